"""The examples of docs/add_an_env.md are run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

from tests.contracts import check_task

PAGE = Path(__file__).parents[2] / "docs" / "add_an_env.md"


def test_documented_task_keeps_the_contract_and_is_used_as_shown():
    task, use, *_ = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len([line for line in task.splitlines() if line]) <= 30
    names: dict = {}
    exec(compile(task, PAGE, "exec"), names)
    check_task(names["TASK"])
    exec(compile(use, PAGE, "exec"), names)
    assert names["frames"].shape == (2, 5, 8, 3, 32, 32)
    assert names["observation"]["desired_goal"].shape == (32, 32, 3)
