"""Damaged goals restored before planning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.predictors.restoration.carriers import NoiseCarrier, make_carrier
from corrwise.predictors.restoration.damage import Downscaling, Masking, Operator
from corrwise.predictors.restoration.guesses import first_guess
from corrwise.predictors.restoration.guidance import Guidance
from corrwise.predictors.restoration.maps import FrameMap, first_map, video_maps
from corrwise.predictors.restoration.model import RestorationModel
from corrwise.predictors.restoration.video import restored_frames
from corrwise.types import Flow, Goal

__all__ = ["restored_goal", "restored_video"]

_GUIDED, _CHANNELS = Guidance(), 3


def restored_goal(
    model: RestorationModel,
    goal: Goal,
    operators: Operator | Sequence[Operator],
    *,
    carrier: NoiseCarrier | None = None,
    flow: str | Flow = "dis",
    guidance: Guidance | None = _GUIDED,
    passes: int = 1,
    seed: int = 0,
) -> Goal:
    """Return a goal image or a goal video as it was before the damage, for any planner.

    A damage that the model was not trained for is a warning.

    Args:
        model: the network.
        goal: what is observed of it, (B, G, C, oh, ow).
        operators: what happened to all of its frames, such as ``Masking(mask)`` or ``Downscaling(4)``, or a list with
            one for each frame.
        carrier: of the noise of a video; None is ``gp``, or ``discrete`` for a model of white noise.
        flow: by which a video is followed, between first guesses (``first_guess``): a name in
            ``corrwise.costs.flow.FLOWS``, or a flow.
        guidance: of each frame of a video by the one before; None is without.
        passes: how often a video is restored; from the second on it is followed by the flow between the frames that
            the pass before has restored.
        seed: of the noise; each goal of a batch has the same, so that it is restored as it would be alone.

    Raises:
        TypeError: images that are not floats.
        ValueError: no goal, goals of other channels or whose known pixels are not finite, no pass or several that are
            the same, a carrier of other noise than the model's, images that the model or an operator does not take, or
            another number of operators than frames.
    """
    kernel = model.config.kernel
    if carrier is None:
        carrier = make_carrier("discrete") if kernel is None else make_carrier("gp", config=kernel)
    if passes > 1 and not (carrier.follows or (guidance is not None and guidance.strength > 0)):
        name = type(carrier).__name__
        raise ValueError(f"passes follow the scene, and {name} does not: expected guidance or another carrier")
    each = operators if isinstance(operators, Sequence) else [operators] * goal.frames.shape[1]
    if not goal.frames.numel():
        raise ValueError(f"expected at least one goal, got frames of shape {tuple(goal.frames.shape)}")
    if goal.frames.shape[2] != _CHANNELS:
        raise ValueError(f"expected goals of {_CHANNELS} channels, got frames of shape {tuple(goal.frames.shape)}")
    if len(each) != goal.frames.shape[1]:
        raise ValueError(f"expected an operator for each of {goal.frames.shape[1]} frames, got {len(each)}")
    known = [operator for operator in each if isinstance(operator, Downscaling | Masking)]  # others may be anything
    for factor in {operator.factor if isinstance(operator, Downscaling) else 1 for operator in known}:
        model.warn_untrained(factor)
    pairs = [list(zip(each, video, strict=True)) for video in goal.frames]
    videos = [
        restored_video(model, observed, carrier, flow=flow, guidance=guidance, passes=passes, seed=seed)
        for observed in pairs
    ]
    frames = torch.stack(videos)
    if not frames.isfinite().all():
        raise ValueError("expected goals whose known pixels are finite, and a model without NaN, got NaN or infinity")
    return Goal(frames)


def restored_video(
    model: RestorationModel,
    observed: Sequence[tuple[Operator, Float[Tensor, "C oh ow"]]],
    carrier: NoiseCarrier,
    *,
    flow: str | Flow = "dis",
    guidance: Guidance | None = _GUIDED,
    passes: int = 1,
    seed: int = 0,
) -> Float[Tensor, "T C h w"]:
    """Return the frames of a short video, which is followed by a flow, or one image; see ``restored_goal``."""
    if passes < 1:
        raise ValueError(f"expected at least 1 pass, got {passes}")

    def restored(maps: Iterable[FrameMap]) -> Float[Tensor, "T C h w"]:
        generator = torch.Generator("cpu").manual_seed(seed)
        return torch.stack(list(restored_frames(model, observed, maps, carrier, generator, guidance=guidance)))

    if len(observed) == 1:
        operator, given = observed[0]
        return restored([first_map(*operator.filled(given[None]).shape[-2:], device=given.device)])
    frames = restored(video_maps((first_guess(*pair) for pair in observed), flow))
    for _ in range(passes - 1):
        frames = restored(video_maps(frames, flow))
    return frames
