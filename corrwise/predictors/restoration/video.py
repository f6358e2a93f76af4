"""A video restored frame by frame, with noise that moves with the scene; and how consistent its frames are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import zip_longest

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from corrwise.predictors.restoration.carriers import NoiseCarrier, carried_noise
from corrwise.predictors.restoration.damage import Operator, as_images
from corrwise.predictors.restoration.guidance import Guidance, Sampled, sample_frame
from corrwise.predictors.restoration.maps import FrameMap, sampled_at
from corrwise.predictors.restoration.model import RestorationModel

__all__ = ["restored_frames", "sampled_frames", "warping_differences", "warping_error", "warping_errors"]


def restored_frames(
    model: RestorationModel,
    observed: Iterable[tuple[Operator, Float[Tensor, "C oh ow"]]],
    maps: Iterable[FrameMap],
    carrier: NoiseCarrier,
    generator: Generator,
    *,
    guidance: Guidance | None = None,
    times: Sequence[float] = (),
    exact: bool = True,
) -> Iterator[Float[Tensor, "C h w"]]:
    """Return the restored frames of a video, in [0, 1], one after the other.

    Nothing of earlier frames is kept but the last one's predictions, so that a long video needs no more memory than a
    short one.

    Args:
        model: the network.
        observed: of each frame what happened to it, and what is observed.
        maps: of each frame, the first included.
        carrier: of noise that the model was trained with.
        generator: source of all draws, on the CPU.
        guidance: of each frame by the one before; None is without.
        times: rising, at which the data is predicted; empty for the model's own.
        exact: whether what is known stays as it is observed (``Operator.project``).

    Raises:
        ValueError: a carrier of other noise than the model's, or fewer maps than frames or the other way round.
    """
    samples = sampled_frames(model, observed, maps, carrier, generator, guidance=guidance, times=times, exact=exact)
    return (sample.image for sample in samples)


def sampled_frames(
    model: RestorationModel,
    observed: Iterable[tuple[Operator, Float[Tensor, "C oh ow"]]],
    maps: Iterable[FrameMap],
    carrier: NoiseCarrier,
    generator: Generator,
    *,
    guidance: Guidance | None = None,
    times: Sequence[float] = (),
    exact: bool = True,
    start: int = 0,
    before: Sampled | None = None,
) -> Iterator[Sampled]:
    """Return the sample of each frame; a video that was stopped goes on at any frame.

    Args:
        model: the network.
        observed: of each frame what happened to it, and what is observed.
        maps: of each frame, the first included.
        carrier: of noise that the model was trained with.
        generator: source of all draws, on the CPU, as it was at the first frame.
        guidance: of each frame by the one before; None is without.
        times: rising, at which the data is predicted; empty for the model's own.
        exact: whether what is known stays as it is observed.
        start: the first frame that is sampled; the noise of those before is carried along without the network.
        before: the sample of the frame before it.

    Raises:
        ValueError: see ``restored_frames``.
    """
    model.check_carrier(carrier)
    return _sampled(model, observed, maps, carrier, generator, guidance, times, exact, start, before)


def _sampled(
    model: RestorationModel,
    observed: Iterable[tuple[Operator, Tensor]],
    maps: Iterable[FrameMap],
    carrier: NoiseCarrier,
    generator: Generator,
    guidance: Guidance | None,
    times: Sequence[float],
    exact: bool,
    start: int,
    before: Sampled | None,
) -> Iterator[Sampled]:
    moved = _with_noise(carrier, maps, model.config.channels, generator)
    for number, (pair, noise_and_step) in enumerate(zip_longest(observed, moved)):
        if pair is None or noise_and_step is None:
            more, fewer = ("maps", "frames") if pair is None else ("frames", "maps")
            raise ValueError(f"expected one map for each frame, got {number} {fewer} and more {more}")
        if number < start:
            continue
        (operator, given), (noise, step) = pair, noise_and_step
        image = as_images(given[None])
        with torch.no_grad():
            seen = model.observe(operator, image)
        if noise.shape != seen.filled.shape[1:]:
            size, other = tuple(seen.filled.shape[-2:]), step.size
            raise ValueError(f"expected maps of the whole frames' size {size}, got {other} for frame {number}")
        project = partial(operator.project, observed=image) if exact else None
        before = sample_frame(model, seen, noise[None], step, before, guidance, times, project)
        yield before


def _with_noise(
    carrier: NoiseCarrier, maps: Iterable[FrameMap], channels: int, generator: Generator
) -> Iterator[tuple[Float[Tensor, "C h w"], FrameMap]]:
    """Yield the noise of each frame and its map, of which none is kept: ``itertools.tee`` keeps up to 57."""
    latest: FrameMap | None = None

    def taken() -> Iterator[FrameMap]:
        nonlocal latest
        for step in maps:
            latest = step
            yield step

    for noise in carried_noise(carrier, taken(), channels, generator):
        assert latest is not None
        yield noise, latest


def warping_errors(
    frames: Iterable[Float[Tensor, "C h w"]], maps: Iterable[FrameMap]
) -> Iterator[tuple[float | None, float | None]]:
    """Return of each frame the self-warping error against the frame before and against the first frame.

    The mean squared difference between a pixel and its point in the other frame, sampled bilinearly, over pixels that
    both frames show; None for the first frame, and where no pixel is shown by both.

    Args:
        frames: of the video, in [0, 1].
        maps: of each frame, the first included.
    """
    first: Tensor | None = None
    before: Tensor | None = None
    for frame, step in zip(frames, maps, strict=True):
        if first is None or before is None:
            first = frame
            yield None, None
        else:
            against = (before, step.previous, step.visible), (first, step.points, step.traced)
            previous, origin = (warping_error(frame, *each) for each in against)
            yield previous, origin
        before = frame


def warping_differences(
    frame: Float[Tensor, "C h w"], other: Float[Tensor, "C h w"], points: Float[Tensor, "h w 2"]
) -> Float[Tensor, "h w"]:
    """Return the squared difference of each pixel from its point in another frame, the mean over channels."""
    return (sampled_at(other, points) - frame).square().mean(dim=0)


def warping_error(
    frame: Float[Tensor, "C h w"],
    other: Float[Tensor, "C h w"],
    points: Float[Tensor, "h w 2"],
    seen: Bool[Tensor, "h w"],
) -> float | None:
    """Return the mean of ``warping_differences`` over the pixels that are seen; None where there are none."""
    return float(warping_differences(frame, other, points)[seen].mean()) if bool(seen.any()) else None
