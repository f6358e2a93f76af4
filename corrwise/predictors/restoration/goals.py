"""Damaged goals restored before planning."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from corrwise.predictors.restoration.carriers import NoiseCarrier, make_carrier
from corrwise.predictors.restoration.damage import Operator
from corrwise.predictors.restoration.guesses import first_guess
from corrwise.predictors.restoration.guidance import Guidance
from corrwise.predictors.restoration.maps import first_map, video_maps
from corrwise.predictors.restoration.model import RestorationModel
from corrwise.predictors.restoration.video import restored_frames
from corrwise.types import Flow, Goal

__all__ = ["restored_goal"]


def restored_goal(
    model: RestorationModel,
    goal: Goal,
    operators: Operator | Sequence[Operator],
    *,
    carrier: NoiseCarrier | None = None,
    flow: str | Flow = "dis",
    guidance: Guidance | None = None,
    seed: int = 0,
) -> Goal:
    """Return a goal image or a goal video as it was before the damage, for any planner.

    Args:
        model: the network.
        goal: what is observed of it, (B, G, C, oh, ow).
        operators: what happened to all of its frames, such as ``Masking(mask)`` or ``Downscaling(4)``, or a list with
            one for each frame.
        carrier: of the noise of a video; None is ``gp``, or ``discrete`` for a model of white noise.
        flow: by which a video is followed, between first guesses (``first_guess``): a name in
            ``corrwise.costs.flow.FLOWS``, or a flow.
        guidance: of each frame of a video by the one before; None is without.
        seed: of the noise.

    Raises:
        ValueError: a carrier of other noise than the model's, images that the model or an operator does not take, or
            another number of operators than frames.
    """
    kernel = model.config.kernel
    if carrier is None:
        carrier = make_carrier("discrete") if kernel is None else make_carrier("gp", config=kernel)
    each = operators if isinstance(operators, Sequence) else [operators] * goal.frames.shape[1]
    if len(each) != goal.frames.shape[1]:
        raise ValueError(f"expected an operator for each of {goal.frames.shape[1]} frames, got {len(each)}")
    videos = []
    for video in goal.frames:
        observed = list(zip(each, video, strict=True))
        if len(video) > 1:
            maps = video_maps((first_guess(*pair) for pair in observed), flow)
        else:
            size = each[0].filled(video).shape[-2:]
            maps = iter([first_map(*size, device=video.device)])
        generator = torch.Generator("cpu").manual_seed(seed)
        videos.append(torch.stack(list(restored_frames(model, observed, maps, carrier, generator, guidance=guidance))))
    return Goal(torch.stack(videos))
