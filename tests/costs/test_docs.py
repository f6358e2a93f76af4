import re
from pathlib import Path

import torch

from corrwise.testing import check_distance
from corrwise.types import Goal

PAGE = Path(__file__).parents[2] / "docs" / "add_a_cost.md"


def test_the_example_of_the_page_keeps_the_contract():
    names = {}
    exec(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[1], names)
    check_distance(names["blurred_l1"])
    assert names["cost"](torch.rand(1, 3, 2, 3, 32, 32), Goal(torch.rand(1, 1, 3, 32, 32))).shape == (1, 3, 2)
