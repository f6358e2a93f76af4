"""Whole videos from interpolators: more frames to a second, and goal videos from a few key frames."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import pairwise
from math import ceil, log

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.predictors.interpolation.times import check_times
from corrwise.types import FixedTimes, Interpolator

__all__ = ["goal_video", "upsample"]


def upsample(frames: Float[Tensor, "B K C h w"], factor: int, interpolator: Interpolator) -> Float[Tensor, "B T C h w"]:
    """Return a video with ``factor - 1`` new frames in each gap, T = (K - 1) * factor + 1.

    A model with fixed times multiplies the frames by the number of its own parts of a gap, again and again.

    Raises:
        ValueError: a factor below 1, one that a model with fixed times cannot reach, or fewer than two frames.
    """
    if factor < 1:
        raise ValueError(f"expected a factor of at least 1, got {factor}")
    check_times(frames, range(frames.shape[1]), ())
    if not isinstance(interpolator, FixedTimes):
        wanted = [i / factor for i in range((frames.shape[1] - 1) * factor + 1)]
        return interpolator(frames, range(frames.shape[1]), wanted)
    parts = len(interpolator.between) + 1
    rounds = round(log(factor, parts))
    if parts**rounds != factor:
        raise ValueError(
            f"{type(interpolator).__name__} makes {parts} frames of one, so a factor of {parts}, {parts**2}, "
            f"{parts**3}, ...; got {factor}"
        )
    for _ in range(rounds):
        frames = _multiplied(frames, interpolator)
    return frames


def goal_video(
    frames: Float[Tensor, "B K C h w"], times: Sequence[int], interpolator: Interpolator
) -> Float[Tensor, "B T C h w"]:
    """Return the frame after each control step from key frames, T = times[-1] - times[0]: a ``Goal`` to follow.

    Args:
        frames: the key frames; the first is what the camera sees when the first action is chosen.
        times: when each is seen, in control steps.
        interpolator: makes the others. One with fixed times makes more of them than there are steps, of which the
            nearest count; one that sees more than two frames takes the gaps to be equally long.

    Raises:
        ValueError: times that are not whole or do not increase, or fewer than two frames.
    """
    times = _whole(times)
    check_times(frames, times, ())
    steps = range(times[0] + 1, times[-1] + 1)
    if not isinstance(interpolator, FixedTimes):
        return interpolator(frames, times, steps)
    parts = len(interpolator.between) + 1
    longest = max(after - before for before, after in pairwise(times))
    factor = parts ** ceil(log(longest, parts) - 1e-9)
    dense, places = upsample(frames, factor, interpolator), []
    for step in steps:
        gap = max(i for i in range(len(times) - 1) if times[i] < step)
        share = (step - times[gap]) / (times[gap + 1] - times[gap])
        places.append(gap * factor + round(share * factor))
    return dense[:, places]


def _whole(times: Sequence[int]) -> list[int]:
    """Return times as numbers: a tensor's or an array's, too."""
    try:
        return [operator.index(time) for time in times]
    except TypeError:
        raise ValueError(f"expected times in whole control steps, such as (0, 10, 25), got {times!r}") from None


def _multiplied(frames: Float[Tensor, "B K C h w"], model: FixedTimes) -> Float[Tensor, "B T C h w"]:
    """Return the frames with those that the model makes in each gap; beyond the ends the outer frames are repeated."""
    seen, count = len(model.known), frames.shape[1]
    before = seen // 2 - 1
    made = [frames[:, :1]]
    for gap in range(count - 1):
        places = [min(max(gap - before + i, 0), count - 1) for i in range(seen)]
        made += [model(frames[:, places], model.known, model.between), frames[:, gap + 1 : gap + 2]]
    return torch.cat(made, dim=1)
