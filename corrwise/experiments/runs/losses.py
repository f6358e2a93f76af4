"""The distances that predictors are trained with, by name."""

from __future__ import annotations

from torch import Tensor

from corrwise.costs import DISTANCES, CorrespondenceWise, Perceptual
from corrwise.experiments.cli.train import TrainConfig
from corrwise.experiments.runs.named_costs import make_correspondence
from corrwise.types import Distance

__all__ = ["make_loss"]


class _Sum:
    """The sum of two base distances: the paper's "L1 and L_p in equal weight", of which its code takes the mean."""

    def __init__(self, one: Distance, two: Distance) -> None:
        self._one, self._two = one, two

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        return self._one(x, y) + self._two(x, y)


class _Half:
    """Half of a distance that sums two directions."""

    def __init__(self, distance: CorrespondenceWise) -> None:
        self.matched = distance

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        return self.matched(x, y) / 2


def make_loss(config: TrainConfig) -> Distance:
    """Return the distance; with a regulariser its flow has gradients.

    A correspondence-wise one is the mean of its two directions rather than their sum. Where nothing moves it is then
    its pixel-wise twin, so that gradients are clipped, and a model's own penalty weighs, as with that.

    Raises:
        FileNotFoundError, RuntimeError, ValueError: weights cannot be had, or a regulariser is asked of a flow without
            gradients.
    """
    name = config.loss
    base = DISTANCES[name.removeprefix("corr-").partition("-")[0]]
    if config.perceptual:
        base = _Sum(base, Perceptual(config.perceptual))
    matched = make_correspondence(name, config.cost)
    if matched is None:
        return base
    regularised = matched.regularizer is not None
    return _Half(CorrespondenceWise(
        base, matched.flow, scaling=matched.scaling, regularizer=matched.regularizer, penalized=matched.penalized,
        occlusion=matched.occlusion, detach_flow=not regularised,
    ))  # fmt: skip
