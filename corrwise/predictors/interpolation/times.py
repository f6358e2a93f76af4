"""What every interpolator does with times: check them, and place a wanted one between two that are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import isfinite
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.types import COLOURS, FixedTimes

__all__ = ["as_frames", "between_pairs", "check_fixed", "check_times", "fixed_places", "views_apart"]

TOLERANCE = 1e-4  # share of the time between two frames; a wanted time that is nearer to a known one is that one

Between = Callable[[Tensor, Tensor, float], Tensor]


def as_frames(images: Sequence[Float[Tensor, "C h w"]]) -> Float[Tensor, "1 K C h w"]:
    """Return images of consecutive times as the frames of one clip.

    Raises:
        ValueError: no images, or images of several sizes.
    """
    shapes = list(dict.fromkeys(tuple(image.shape) for image in images))
    if len(shapes) != 1:
        raise ValueError(f"expected frames of one size, got {' and '.join(map(str, shapes)) or 'none'}")
    return torch.stack(list(images))[None]


def check_times(frames: Any, times: Sequence[float | int], wanted: Sequence[float | int]) -> None:
    """Refuse what is no tensor of frames, and times that do not belong to the frames.

    Raises:
        TypeError: frames that are no float tensor.
        ValueError: fewer than two frames, not one time for each, times that do not increase, or a wanted time outside.
    """
    if not isinstance(frames, Tensor) or not frames.is_floating_point():
        got = frames.dtype if isinstance(frames, Tensor) else type(frames).__name__
        raise TypeError(f"expected frames to be a float tensor (B, K, C, h, w) in [0, 1], got {got}")
    if frames.ndim != 5 or frames.shape[1] < 2:
        raise ValueError(f"expected frames (B, K, C, h, w) of at least K = 2 times, got {tuple(frames.shape)}")
    if len(times) != frames.shape[1]:
        raise ValueError(f"expected a time for each of {frames.shape[1]} frames, got {len(times)}")
    if not all(map(isfinite, times)) or not all(before < after for before, after in pairwise(times)):
        raise ValueError(f"expected times that increase, got {list(times)}")
    outside = [time for time in wanted if not times[0] <= time <= times[-1]]
    if outside:
        raise ValueError(f"expected times within {times[0]} to {times[-1]}, which the frames span, got {outside}")


def check_fixed(
    model: FixedTimes, frames: Any, times: Sequence[float | int], wanted: Sequence[float | int]
) -> list[int]:
    """Return which of a model's own times each wanted one is, by its place in ``between``.

    Raises:
        TypeError, ValueError: what ``check_times`` refuses, or times that are not the model's, shifted and scaled.
    """
    check_times(frames, times, wanted)
    return fixed_places(model, times, wanted)


def fixed_places(model: FixedTimes, times: Sequence[float | int], wanted: Sequence[float | int]) -> list[int]:
    """Return which of a model's own times each wanted one is, by its place in ``between``.

    Raises:
        ValueError: times that are not the model's, shifted and scaled.
    """
    known, between = model.known, model.between
    scale = (times[-1] - times[0]) / (known[-1] - known[0])

    def here(time: float | int) -> float | int:
        return times[0] + scale * (time - known[0])

    def same(one: float | int, two: float | int) -> bool:
        return abs(one - two) <= TOLERANCE * abs(scale)

    places = [next((i for i, own in enumerate(between) if same(here(own), time)), -1) for time in wanted]
    alike = len(times) == len(known) and all(same(here(own), time) for own, time in zip(known, times, strict=True))
    if not alike or -1 in places:
        raise ValueError(
            f"{type(model).__name__} makes the frames of times {_shown(between)} from those of {_shown(known)}, "
            f"shifted and scaled, got {_shown(wanted)} from {_shown(times)}"
        )
    return places


def between_pairs(
    frames: Float[Tensor, "B K C h w"], times: Sequence[float | int], wanted: Sequence[float | int], make: Between
) -> Float[Tensor, "B T C h w"]:
    """Return the frames of the wanted times, each from the two around it; a known time has its own frame.

    Args:
        frames: the known ones.
        times: of each of them.
        wanted: the times of the frames to make.
        make: ``make(first (B, C, h, w), second, share)``, the frame at a share in (0, 1) of the time between the two.

    Raises:
        TypeError, ValueError: see ``check_times``.
    """
    check_times(frames, times, wanted)
    made = []
    for time in wanted:
        first = max(i for i in range(len(times) - 1) if times[i] <= time)
        share = (time - times[first]) / (times[first + 1] - times[first])
        if TOLERANCE < share < 1 - TOLERANCE:
            made.append(make(frames[:, first], frames[:, first + 1], share))
        else:
            made.append(frames[:, first + round(share)])
    return torch.stack(made, dim=1) if made else frames[:, :0]


def views_apart(images: Float[Tensor, "B C h w"]) -> Float[Tensor, "n c h w"]:
    """Return the views of each image one after the other: a flow sees one view of 3 channels.

    Raises:
        ValueError: channels that are not 3 to a view, or fewer than 3.
    """
    channels = images.shape[1]
    if channels > COLOURS and channels % COLOURS:
        raise ValueError(f"expected images of 3 channels to a view, without depth, got {channels}")
    return images.unflatten(1, (-1, min(channels, COLOURS))).flatten(0, 1)


def _shown(times: Sequence[float | int]) -> str:
    return "(" + ", ".join(f"{time:g}" for time in times) + ")"
