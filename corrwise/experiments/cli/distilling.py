"""Options of ``corrwise train`` that teach a few-step student: how it samples, and the adversary of its motion."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from corrwise.costs.presets import NAMED_FLOWS
from corrwise.validation import Names, Range, validated

__all__ = ["MOST_RATE", "PIXELS", "AdversaryOptions"]

PIXELS = "pixels"  # in place of a flow: a discriminator of the frames themselves

MOST_RATE = 1e6  # of learning; weights that move farther in a step are soon infinite

Share = Annotated[float, Range(0)]


@validated
class AdversaryOptions:
    """With mogan: the discriminator, and how it counts."""

    GROUP: ClassVar = "adversary."

    flow: Annotated[str, Names((*NAMED_FLOWS, PIXELS))] = "learned"
    """Flow estimator with gradients that the discriminator sees frames through: learned, tv-l1, raft; or pixels, for a
    discriminator of the frames themselves."""
    trunk: Literal["transformer", "conv", "teacher"] = "transformer"
    """The discriminator's trunk: a fresh transformer, a fresh convolutional one, or the teacher's own network."""
    width: Annotated[int, Range(1, 65_536)] = 64
    """Features of a token of a fresh trunk, and of the branches that read any trunk."""
    depth: Annotated[int, Range(1, 1000)] = 4
    """Blocks of a fresh trunk."""
    recompute: bool = False
    """Whether the discriminator stores only the tokens between its blocks, and computes the rest again (gradient
    checkpointing): less memory and more time, for a fresh trunk."""
    warm_up: Annotated[int, Range(0, 100_000_000)] = 100
    """Steps of the student by distribution matching alone, before the adversary."""
    matching: bool = True
    """Whether the student goes on to learn by distribution matching afterwards."""
    window: Annotated[int, Range(0, 10_000)] = 0
    """Frames after the context from which a step learns, in all phases; the rollout ends with them. 0 takes all."""
    weight: Share = 0.5
    """Weight of the student's loss against the discriminator, and of the discriminator's own."""
    r1: Share = 0.3
    """Weight of the discriminator's penalty on real clips."""
    r2: Share = 0.3
    """Weight of the discriminator's penalty on generated clips."""
    sigma: Annotated[float, Range(1e-6)] = 0.01
    """Standard deviation of the penalties' noise, in the discriminator's input."""
    divide: bool = False
    """Whether the penalties divide by sigma."""
    lr: Annotated[float, Range(0, MOST_RATE, open="low")] = 2e-4
    """Learning rate of the discriminator."""
    most: Annotated[float, Range(0, open="low")] = 50.0
    """A mean logit beyond it, of either sign, stops training as a collapse."""
    least: Share = 0.05
    """Motion below this share of the real clips' stops training as a collapse."""
