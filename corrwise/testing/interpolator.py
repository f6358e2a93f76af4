"""The contract of an interpolator."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from corrwise.testing.expectations import expect, refuses


def check_interpolator(interpolator: Callable[..., Any], frames: Any, *, exact: bool = True) -> None:
    """Check an interpolator (``corrwise.types.Interpolator``; with fixed times ``FixedTimes``).

    Wanted times in any order give the same frames, none give none, and only the ratios of times matter. A known time
    has its own frame. An environment's frames do not depend on the environments beside it, and NaN stays in its
    environment. Nothing is changed in place. Times that do not increase, are not one for each frame, or lie outside are
    refused, and so is a single frame.

    Args:
        interpolator: ``interpolator(frames (B, K, C, h, w), times, wanted) -> (B, T, C, h, w)``.
        frames: (B, K, C, h, w) in [0, 1] of at least two environments, as many as it takes.
        exact: whether frames must be the same to the bit whatever is beside them, instead of to 1e-4.

    Raises:
        AssertionError: a promise is broken; the message names it.
        ValueError: too few environments or frames to check it with.
    """
    import torch

    from corrwise.types import FixedTimes

    batch, known, *image = frames.shape
    if min(batch, known) < 2:
        raise ValueError(f"expected frames (B >= 2, K >= 2, C, h, w), got {tuple(frames.shape)}")
    fixed, before = isinstance(interpolator, FixedTimes), frames.clone()
    times = list(getattr(interpolator, "known", range(known)))
    between = list(getattr(interpolator, "between", (0.25, 0.5, known - 1.3)))
    hint = "" if not exact else "; if only in the last bits, pass exact=False"

    def same(one: Any, two: Any) -> bool:
        return torch.equal(one, two) if exact else torch.allclose(one, two, atol=1e-4)

    made, shape = interpolator(frames, times, between), (batch, len(between), *image)
    expect(made.shape == shape, f"return one frame for each wanted time: expected {shape}, got {tuple(made.shape)}")
    expect(made.dtype == torch.float32, f"return float32 frames, got {made.dtype}")
    expect(made.isfinite().all(), "return finite frames for finite input")
    low, high = float(made.min()), float(made.max())
    expect(low >= 0 and high <= 1 + 1e-6, f"frames must lie in [0, 1], got {low} to {high}")
    expect(torch.equal(frames, before), "the frames were changed in place: work on a copy")
    for order in ([*range(len(between))][::-1], [0, 0], []):
        some = interpolator(frames, times, [between[i] for i in order])
        expect(same(some, made[:, order]), f"wanted times in the order {order} must give those frames{hint}")
    moved = interpolator(frames, [10 + 3 * time for time in times], [10 + 3 * time for time in between])
    expect(torch.allclose(moved, made, atol=1e-3), "only the ratios of times matter: 10 + 3 t gave other frames")
    for row in range(batch):
        alone = interpolator(frames[row : row + 1], times, between)[0]
        expect(same(alone, made[row]), f"an environment's frames depend on the environments beside it{hint}")
    broken = frames.clone()
    broken[0] = math.nan
    beside = interpolator(broken, times, between)
    expect(same(beside[1:], made[1:]), f"NaN in one environment disturbs another{hint}")
    expect(beside[0].isnan().any(), "NaN in all frames must give NaN: a broken candidate must not seem sound")
    if not fixed:
        own = interpolator(frames, times, times)
        expect(torch.allclose(own, frames, atol=1e-6), "a known time must have its own frame")
    refuses(lambda: interpolator(frames[:, :1], times[:1], times[:1]), "a single frame was accepted")
    refuses(lambda: interpolator(frames, times[:-1], between[:1]), f"{known - 1} times of {known} frames were accepted")
    refuses(lambda: interpolator(frames, times[::-1], between[:1]), "times that decrease were accepted")
    refuses(lambda: interpolator(frames, times, [times[-1] + 1]), "a time after the last frame was accepted")
    refuses(lambda: interpolator(frames, times, [times[0] - 1]), "a time before the first frame was accepted")
