"""The example of docs/add_a_predictor.md is run as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from corrwise.testing import check_predictor
from corrwise.types import Context

PAGE = Path(__file__).parents[2] / "docs" / "add_a_predictor.md"


def _brighten() -> type:
    code, *_ = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 20
    names: dict = {}
    exec(compile(code, PAGE, "exec"), names)
    return names["Brighten"]


def _inputs() -> tuple[Context, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    frames, actions = torch.rand(2, 3, 3, 8, 8, generator=generator), torch.rand(2, 4, 5, 2, generator=generator)
    return Context(frames, torch.zeros(2, 2, 2), torch.zeros(2, 7).double().numpy()), actions


def test_documented_predictor_keeps_the_contract():
    check_predictor(_brighten()(), *_inputs())


def test_the_contract_catches_a_predictor_that_peeks_at_the_state():
    honest = _brighten()()

    class Peeking:
        def __call__(self, context, actions, *, steps=None, generators=None):
            frames = honest(context, actions, steps=steps, generators=generators)
            return frames if context.state is None else frames + float(context.state.sum())

    with pytest.raises(AssertionError, match="a learned predictor reads the simulator's state"):
        check_predictor(Peeking(), *_inputs())
