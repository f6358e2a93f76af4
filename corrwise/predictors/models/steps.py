"""Which of the horizon's frames are asked for."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from torch import Tensor

from corrwise.types import Context


def wanted_steps(context: Context, actions: Tensor, steps: Sequence[int] | None) -> list[int]:
    """Return the 0-based steps as a list, all H of them if None.

    Raises:
        ValueError: if a step lies outside the horizon, or the actions are not (B, N, H, A) with the context's B.
    """
    batch = context.frames.shape[0]
    if actions.ndim != 4 or actions.shape[0] != batch:
        raise ValueError(f"expected actions ({batch}, N, H, A), as the context, got {tuple(actions.shape)}")
    horizon = actions.shape[2]
    if steps is None:
        return list(range(horizon))
    wanted = [operator.index(step) for step in steps]
    if any(not 0 <= step < horizon for step in wanted):
        raise ValueError(f"steps must lie in 0 to {horizon - 1} (the horizon is {horizon}), got {wanted}")
    return wanted
