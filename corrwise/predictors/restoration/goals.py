"""Damaged goals restored before planning."""

from __future__ import annotations

import torch

from corrwise.predictors.restoration.carriers import NoiseCarrier, make_carrier
from corrwise.predictors.restoration.damage import Operator
from corrwise.predictors.restoration.guidance import Guidance
from corrwise.predictors.restoration.maps import first_map, video_maps
from corrwise.predictors.restoration.model import RestorationModel
from corrwise.predictors.restoration.video import restored_frames
from corrwise.types import Flow, Goal

__all__ = ["restored_goal"]


def restored_goal(
    model: RestorationModel,
    goal: Goal,
    operator: Operator,
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
        operator: what happened to each of its frames, such as ``Masking(mask)`` or ``Downscaling(4)``.
        carrier: of the noise of a video; None is ``gp``, or ``discrete`` for a model of white noise.
        flow: by which a video is followed, between first guesses: a name in ``corrwise.costs.flow.FLOWS``, or a flow.
        guidance: of each frame of a video by the one before; None is without.
        seed: of the noise.

    Raises:
        ValueError: a carrier of other noise than the model's, or images that the model or the operator does not take.
    """
    kernel = model.config.kernel
    if carrier is None:
        carrier = make_carrier("discrete") if kernel is None else make_carrier("gp", config=kernel)
    videos = []
    for video in goal.frames:
        guesses = operator.filled(video)
        height, width = guesses.shape[-2:]
        maps = video_maps(guesses, flow) if len(video) > 1 else [first_map(height, width, device=video.device)]
        observed = ((operator, frame) for frame in video)
        generator = torch.Generator("cpu").manual_seed(seed)
        videos.append(torch.stack(list(restored_frames(model, observed, maps, carrier, generator, guidance=guidance))))
    return Goal(torch.stack(videos))
