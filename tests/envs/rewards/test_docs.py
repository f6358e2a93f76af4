"""Every snippet of docs/goal_rewards.md runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.envs.test_gl import needs_egl

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "goal_rewards.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


@needs_egl
def test_environments_of_others_are_rewarded_and_agents_learn_from_them():
    """In a process of its own: Gymnasium's renderer uses OpenGL."""
    assert len(BLOCKS) == 5
    made = {**os.environ, "MUJOCO_GL": "egl"}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(BLOCKS[:3])], cwd=ROOT, env=made, capture_output=True, text=True, timeout=200,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    reward, cost, displacement = map(float, done.stdout.splitlines()[0].split())
    assert -reward == cost > 0
    assert displacement > 0


def test_vector_environments_are_rewarded():
    smaller = BLOCKS[3].replace("num_envs=16", "num_envs=2, size=32")
    names: dict = {}
    exec(compile(smaller, PAGE, "exec"), names)
    assert names["rewards"].shape == (2,)


def test_hindsight_replays_goals():
    smaller = (
        BLOCKS[4].replace('"corrwise/Cartpole-v0"', '"corrwise/Cartpole-v0", size=36').replace("learn(50)", "learn(46)")
    )
    exec(compile(smaller, PAGE, "exec"), {})
