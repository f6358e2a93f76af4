"""The objective of a denoiser: flow matching of the next frame, with any weight and any law of the time.

The loss is the squared error of the predicted data x1 at a random time t, weighted by w(t). The minimiser is the same
for every positive weight and every time law of positive density (Billera et al., 2025, arXiv 2511.16599); what a
small network learns in a few thousand steps is not.

Own frames are learned in one chain, as regression learns them: the network predicts each frame from a mixture of the
true frame and noise, and that prediction becomes the context of the next. Near the noise it is what one evaluation
samples, nearer to the data it follows the true frame, so that the chain stays beside its targets where the future is
random.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from corrwise.predictors.data.windows import Batch
from corrwise.predictors.generative.chain import chain, random_like
from corrwise.predictors.generative.denoiser import Condition, Denoiser, first_time
from corrwise.predictors.generative.paths import Path, convert, interpolate, velocity
from corrwise.predictors.generative.time_laws import TimeLaw
from corrwise.predictors.generative.weights import Weight, check_weight, time_range
from corrwise.predictors.models.base import check_batch
from corrwise.predictors.training.objective import Loss, Phase

__all__ = ["TIMES", "FlowMatching", "data_error", "futures", "mean_weight"]

TIMES = (0.1, 0.3, 0.5, 0.7, 0.9)  # at which the velocity's loss of held-out windows is logged
_TRUE, _OWN = "true context", "own frames"  # phases
_NODES = 1000  # of the quadrature that gives a weight's mean


class FlowMatching:
    """Flow matching of each frame after the context, first given true frames, then given the model's own.

    The weight is divided by its mean under the time law, so that learning rate and gradient clipping act alike for all
    weights. Times are drawn from ``[1e-3, 1 - 1e-3]`` where the weight is zero or infinite at an end (``time_range``),
    and from 1e-3 on where the network's output does not determine the data at 0 (``first_time``).

    The parts of the loss are ``step 1`` and so on: the unweighted squared error of each predicted frame, in [0, 1].
    Held-out windows have the velocity's squared error at fixed times as well, as ``velocity 0.1`` and so on, and as
    outputs the ``frames`` that the model predicts, each from those before.

    Args:
        model: the network.
        weight: of the squared error of the data, over time.
        time_law: of the times.
        own_after: first step whose contexts are the model's own predictions; gradients pass through the whole chain.
        total: number of steps; a longer run begins alike.

    Raises:
        ValueError: a weight that is zero, negative or infinite inside (0, 1).
    """

    def __init__(self, model: Denoiser, weight: Weight, time_law: TimeLaw, *, own_after: int, total: int) -> None:
        check_weight(weight, model.path)
        self.model, self.weight, self.time_law = model, weight, time_law
        low, high = time_range(weight, model.path, "data")
        self._range = max(low, first_time(model.config)), high
        self._mean = mean_weight(weight, time_law, model.path, *self._range)
        lengths = {_TRUE: min(own_after, total), _OWN: total - min(own_after, total)}
        self._phases = tuple(Phase(name, ("model",), steps) for name, steps in lengths.items() if steps)

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The network as ``model``."""
        return {"model": self.model}

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The steps given true contexts, and those given own frames."""
        return self._phases

    def loss(self, batch: Batch, generator: Generator, phase: str) -> Loss:
        """Return the loss of windows of context and horizon.

        Raises:
            ValueError: see ``corrwise.predictors.models.base.check_batch``.
        """
        return self._loss(self.model, batch, generator, own=phase == _OWN)

    def evaluate(self, batch: Batch, networks: Mapping[str, nn.Module], generator: Generator) -> Loss:
        """Return the loss of another network given true contexts (``corrwise.types.EvaluatingObjective``)."""
        model = cast("Denoiser", networks["model"])
        loss = self._loss(model, batch, generator, own=False)
        condition, x1 = _pairs(model, batch)
        noise = random_like(x1, generator)
        parts = dict(loss.parts)
        for t in TIMES:
            time = torch.full((1,), t, dtype=torch.float32, device=x1.device)
            x_t = interpolate(model.path, x1, noise, time)
            given = convert(model.path, model.data(condition, x_t, time), x_t, time, "data", "velocity")
            parts[f"velocity {t:g}"] = (given - velocity(model.path, x1, noise, time)).square().mean().detach()
        frames = futures(model, batch, generator)
        return Loss(loss.total, parts, {"frames": frames})

    def _loss(self, model: Denoiser, batch: Batch, generator: Generator, *, own: bool) -> Loss:
        check_batch(batch, model.config)
        horizon = batch.frames.shape[1] - model.config.context
        times = self.time_law.sample(len(batch.frames) * horizon, generator, *self._range).to(batch.frames.device)
        if own:
            each = self._chain(model, batch, times.unflatten(0, (-1, horizon)), generator).flatten()
        else:
            condition, x1 = _pairs(model, batch)
            each = data_error(model, condition, x1, times, generator)[0]
        steps = model.config.scale**2 * each.detach().unflatten(0, (-1, horizon)).mean(dim=0)
        weights = self.weight(model.path, times) / self._mean
        return Loss((weights * each).mean(), {f"step {t + 1}": value for t, value in enumerate(steps)})

    @staticmethod
    def _chain(
        model: Denoiser, batch: Batch, times: Float[Tensor, "n horizon"], generator: Generator
    ) -> Float[Tensor, "n horizon"]:
        """Return the squared errors of a chain of predictions, each the newest frame of the next one's context."""
        errors: list[Tensor] = []

        def predict(k: int, frames: Tensor, actions: Tensor) -> Tensor:
            condition = model.condition(frames, actions)
            x1 = (batch.frames[:, model.config.context + k] - condition.last) / model.config.scale
            error, predicted = data_error(model, condition, x1, times[:, k], generator)
            errors.append(error)
            return model.frame(condition, predicted)

        chain(batch, model.config.context, predict)
        return torch.stack(errors, dim=1)


def mean_weight(weight: Weight, law: TimeLaw, path: Path, low: float, high: float) -> float:
    """Return the mean of a weight over the times that are drawn, by the midpoint rule over their quantiles."""
    below, above = law.distribution(torch.tensor([low, high], dtype=torch.float64, device="cpu"))
    nodes = (torch.arange(_NODES, dtype=torch.float64, device="cpu") + 0.5) / _NODES
    return float(weight(path, law.quantile(below + (above - below) * nodes)).mean())


def data_error(
    model: Denoiser, condition: Condition, x1: Float[Tensor, "m C h w"], times: Float[Tensor, "m"], generator: Generator
) -> tuple[Float[Tensor, "m"], Float[Tensor, "m C h w"]]:
    """Return the squared error of the data predicted from its mixture with noise, and that prediction."""
    predicted = model.data(condition, interpolate(model.path, x1, random_like(x1, generator), times), times)
    return (predicted - x1).square().flatten(1).mean(dim=1), predicted


def futures(model: Denoiser, batch: Batch, generator: Generator) -> Float[Tensor, "n horizon C h w"]:
    """Return frames that the model samples after the context of each window."""
    context, frames = model.config.context, []
    with torch.no_grad():
        memory = model.remembered(batch.frames[:, :context], batch.actions[:, : context - 1])
        for action in batch.actions[:, context - 1 :].unbind(dim=1):
            frame, memory = model.advance(memory, action, lambda: random_like(batch.frames[:, 0], generator))
            frames.append(frame)
    return torch.stack(frames, dim=1)


def _pairs(model: Denoiser, batch: Batch) -> tuple[Condition, Tensor]:
    """Return the conditions of all frames after true contexts, clip by clip, and the data x1 of each."""
    context, horizon = model.config.context, batch.frames.shape[1] - model.config.context
    places = torch.arange(horizon, dtype=torch.int64, device="cpu")[:, None] + torch.arange(
        context, dtype=torch.int64, device="cpu"
    )
    condition = model.condition(batch.frames[:, places].flatten(0, 1), batch.actions[:, places].flatten(0, 1))
    return condition, (batch.frames[:, context:].flatten(0, 1) - condition.last) / model.config.scale
