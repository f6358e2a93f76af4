"""The distances that predictors are trained with, by name."""

from __future__ import annotations

from torch import Tensor

from corrwise.experiments.cli.cost import spec_of
from corrwise.experiments.cli.train import TrainConfig
from corrwise.experiments.runs.named_costs import make_distance
from corrwise.types import Distance

__all__ = ["make_loss"]


class _Scaled:
    """A distance times a number: the scale of an objective, where the distance keeps its meaning."""

    def __init__(self, distance: Distance, scale: float) -> None:
        self.distance, self.scale = distance, scale

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        return self.distance(x, y) * self.scale


def make_loss(config: TrainConfig) -> Distance:
    """Return the distance; with a regulariser its flow has gradients.

    A sum of two directions counts half. Where nothing moves it is then its pixel-wise twin, so that gradients are
    clipped, and a model's own penalty weighs, as with that.

    Raises:
        FileNotFoundError, RuntimeError, ValueError: weights cannot be had, or a regulariser is asked of a flow without
            gradients.
    """
    spec = spec_of(config.loss)
    if spec is None:
        return make_distance(config.loss)
    distance = spec.build(detach_flow=spec.form == "scaled")
    return _Scaled(distance, 0.5) if spec.matched and spec.directions == 2 else distance
