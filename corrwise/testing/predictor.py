"""The contract of a predictor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from corrwise.testing.expectations import expect, refuses


def check_predictor(
    predictor: Callable[..., Any], context: Any, actions: Any, *, needs_state: bool = False, exact: bool = True
) -> None:
    """Check a predictor (``corrwise.types.Predictor``).

    ``steps`` in any order select frames of the whole prediction, and a step outside the horizon is refused. The same
    generators give the same frames. An environment's frames do not depend on the other environments. Nothing is changed
    in place, and only an oracle reads the simulator's state.

    Args:
        predictor: ``predictor(context, actions, *, steps=None, generators=None) -> frames (B, N, T, C, h, w)``.
        context: a ``Context`` of at least two environments, with a state.
        actions: (B, N, H, A) of at least two candidates and three steps, in [-1, 1].
        needs_state: whether the predictor is an oracle, which may read the state.
        exact: whether frames must be equal to the last bit, instead of to 1e-4.

    Raises:
        AssertionError: a requirement is not met; the message names it.
        ValueError: too few environments, candidates or steps for the check, or no state.
    """
    import torch

    (b, n, h, _), image, device = actions.shape, context.frames.shape[2:], context.frames.device
    if min(b, n, h - 1) < 2 or context.state is None:
        raise ValueError(f"expected actions (B >= 2, N >= 2, H >= 3, A) and a state, got {tuple(actions.shape)}")
    before = context.frames.clone(), actions.clone(), np.copy(context.state)
    hint = "" if not exact else "; if only in the last bits, pass exact=False"

    def same(one: Any, two: Any) -> bool:
        return torch.equal(one, two) if exact else torch.allclose(one, two, atol=1e-4)

    def predicted(context: Any = context, actions: Any = actions, rows: slice = slice(None), **options: Any) -> Any:
        generators = [torch.Generator(device).manual_seed(row) for row in range(b)]
        return predictor(context, actions, generators=generators[rows], **options)

    frames, shape = predicted(), (b, n, h, *image)
    expect(frames.shape == shape, f"steps=None means all H: expected frames {shape}, got {tuple(frames.shape)}")
    expect(frames.dtype == torch.float32, f"return float32 frames, got {frames.dtype}")
    expect(frames.device == actions.device, f"return frames on {actions.device} with the actions, got {frames.device}")
    expect(frames.isfinite().all(), "return finite frames for finite input")
    expect(same(predicted(), frames), f"the same generators gave other frames: draw from them alone{hint}")
    for wanted in ([h - 1], [0, 2], [2, 0, 2], range(h), []):
        some = predicted(steps=wanted)
        expect(same(some, frames[:, :, list(wanted)]), f"steps={wanted} must be those of all frames{hint}")
    for step in (-1, h):
        refuses(lambda step=step: predictor(context, actions, steps=[step]), f"step {step} of {h} was accepted")  # type: ignore[misc]
    refuses(lambda: predictor(context, actions[:1], steps=[0]), f"actions for 1 of {b} environments were accepted")

    for row in range(b):
        part = slice(row, row + 1)
        alone = replace(
            context, frames=context.frames[part], actions=context.actions[part], state=context.state[part]
        )  # fmt: skip
        single = predicted(alone, actions[part], part)
        expect(same(single[0], frames[row]), f"an environment's frames depend on the environments beside it{hint}")
    if needs_state:
        refuses(lambda: predictor(replace(context, state=None), actions), "an oracle predicted without a state")
        first = predicted(actions=actions[:, :1])
        expect(same(first, frames[:, :1]), f"a candidate's frames depend on the candidates beside it{hint}")
    else:
        for state in (None, context.state + 1):
            blind = predicted(replace(context, state=state))
            expect(same(blind, frames), "a learned predictor reads the simulator's state: only an oracle may")
    expect(torch.equal(context.frames, before[0]), "the context's frames were changed in place: work on a copy")
    expect(torch.equal(actions, before[1]), "the actions were changed in place: work on a copy")
    expect(np.array_equal(context.state, before[2]), "the context's state was changed in place: work on a copy")
