"""Damaged goals restored before planning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

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


def restored_goal(
    model: RestorationModel,
    goal: Goal,
    operators: Operator | Sequence[Operator],
    *,
    carrier: NoiseCarrier | None = None,
    flow: str | Flow = "dis",
    guidance: Guidance | None = None,
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
        ValueError: no goal, no pass, a carrier of other noise than the model's, images that the model or an operator
            does not take, or another number of operators than frames.
    """
    kernel = model.config.kernel
    if carrier is None:
        carrier = make_carrier("discrete") if kernel is None else make_carrier("gp", config=kernel)
    each = operators if isinstance(operators, Sequence) else [operators] * goal.frames.shape[1]
    if not goal.frames.numel():
        raise ValueError(f"expected at least one goal, got frames of shape {tuple(goal.frames.shape)}")
    if len(each) != goal.frames.shape[1]:
        raise ValueError(f"expected an operator for each of {goal.frames.shape[1]} frames, got {len(each)}")
    known = [operator for operator in each if isinstance(operator, Downscaling | Masking)]  # others may be anything
    for factor in {operator.factor if isinstance(operator, Downscaling) else 1 for operator in known}:
        model.warn_untrained(factor)
    pairs = [list(zip(each, video, strict=True)) for video in goal.frames]
    options: dict[str, Any] = {"flow": flow, "guidance": guidance, "passes": passes, "seed": seed}
    return Goal(torch.stack([restored_video(model, observed, carrier, **options) for observed in pairs]))


def restored_video(
    model: RestorationModel,
    observed: Sequence[tuple[Operator, Float[Tensor, "C oh ow"]]],
    carrier: NoiseCarrier,
    *,
    flow: str | Flow = "dis",
    guidance: Guidance | None = None,
    passes: int = 1,
    seed: int = 0,
) -> Float[Tensor, "T C h w"]:
    """Return the frames of a short video, which is followed by a flow, or one image; see ``restored_goal``."""
    if passes < 1:
        raise ValueError(f"expected at least 1 pass, got {passes}")
    frames: Iterable[Tensor] = (first_guess(*pair) for pair in observed)
    for _ in range(passes if len(observed) > 1 else 1):
        maps = video_maps(frames, flow) if len(observed) > 1 else iter([_map_of(*observed[0])])
        generator = torch.Generator("cpu").manual_seed(seed)
        frames = list(restored_frames(model, observed, maps, carrier, generator, guidance=guidance))
    return torch.stack(list(frames))


def _map_of(operator: Operator, observed: Float[Tensor, "C oh ow"]) -> FrameMap:
    return first_map(*operator.filled(observed[None]).shape[-2:], device=observed.device)
