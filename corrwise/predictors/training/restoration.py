"""The objective of a restoring image model: the squared error of whole images, from damaged ones and noise.

Every frame of a window is an image of its own. Each step draws one of the model's damages, its masks, a time for each
image, and noise of the model's law: white, or of covariance Q. The loss is the plain squared error of the data,
weighted over time as in flow matching.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from corrwise.predictors.data.windows import Batch
from corrwise.predictors.generative.chain import random_like
from corrwise.predictors.generative.paths import interpolate
from corrwise.predictors.generative.time_laws import TimeLaw
from corrwise.predictors.generative.weights import Weight, check_weight, time_range
from corrwise.predictors.restoration.covariance import GridCovariance, grid_covariance
from corrwise.predictors.restoration.damage import make_damage
from corrwise.predictors.restoration.model import RestorationModel
from corrwise.predictors.restoration.sampling import sample_images
from corrwise.predictors.training.flow_matching import mean_weight
from corrwise.predictors.training.objective import Loss, Phase

__all__ = ["Restoration"]


class Restoration:
    """Learns to predict the whole image from a damaged one and a mixture of image and noise.

    The parts of the loss are the unweighted squared errors of the predicted image, in [0, 1], or latents: ``known`` and
    ``missing``, over the known share of each pixel and over the rest. Held-out images have the same for a sample, as
    ``sampled known`` and ``sampled missing``, and as outputs the ``frames`` that are sampled.

    Args:
        model: the network.
        weight: of the squared error of the data, over time.
        time_law: of the times.

    Raises:
        ValueError: a weight that is zero, negative or infinite inside (0, 1).
    """

    phases = (Phase("train", ("model",)),)

    def __init__(self, model: RestorationModel, weight: Weight, time_law: TimeLaw) -> None:
        check_weight(weight, model.path)
        self.model, self.weight, self.time_law = model, weight, time_law
        self.damages = tuple(make_damage(text) for text in model.config.damages)
        self._range = time_range(weight, model.path, "data")
        self._mean = mean_weight(weight, time_law, model.path, *self._range)
        self._covariance: GridCovariance | None = None

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The network as ``model``."""
        return {"model": self.model}

    def loss(self, batch: Batch, generator: Generator, phase: str = "train") -> Loss:
        """Return the loss of all frames of windows.

        Raises:
            ValueError: images of another number of channels, or whose sides do not suit the network or the damage.
        """
        return self._loss(self.model, batch, generator, sampled=False)

    def evaluate(self, batch: Batch, networks: Mapping[str, nn.Module], generator: Generator) -> Loss:
        """Return the loss of another network, and samples of it (``corrwise.types.EvaluatingObjective``)."""
        return self._loss(cast("RestorationModel", networks["model"]), batch, generator, sampled=True)

    def _loss(self, model: RestorationModel, batch: Batch, generator: Generator, *, sampled: bool) -> Loss:
        frames = batch.frames.flatten(0, 1)
        count, _, height, width = frames.shape
        which = int(torch.randint(len(self.damages), (), generator=generator, dtype=torch.int64, device="cpu"))
        operator = self.damages[which].draw(count, height, width, generator, device=frames.device)
        observed = operator.apply(frames)
        seen, x1 = model.observe(operator, observed), model.units(frames)
        times = self.time_law.sample(count, generator, *self._range).to(frames.device)
        noise = self._noise(x1, generator)
        predicted = model.data(seen, interpolate(model.path, x1, noise, times), times)
        error = (predicted - x1).square()
        weights = self.weight(model.path, times) / self._mean
        total = (weights * error.flatten(1).mean(dim=1)).mean()
        parts = _shares(model.config.scale**2 * error.detach(), seen.known)
        if not sampled:
            return Loss(total, parts)
        made, known = sample_images(model, seen, noise), operator.known(observed)
        parts |= {f"sampled {name}": value for name, value in _shares((made - frames).square(), known).items()}
        return Loss(total, parts, {"frames": made.view_as(batch.frames)})

    def _noise(self, like: Float[Tensor, "n C h w"], generator: Generator) -> Float[Tensor, "n C h w"]:
        """Return noise of the model's law, an image for each."""
        white, kernel = random_like(like, generator), self.model.config.kernel
        if kernel is None:
            return white
        if self._covariance is None or self._covariance.size != like.shape[-2:]:
            self._covariance = grid_covariance(kernel, *like.shape[-2:], device=like.device)
        return self._covariance.colour(white)


def _shares(error: Float[Tensor, "n C h w"], known: Float[Tensor, "n 1 h w"]) -> dict[str, Tensor]:
    """Return the mean error over the known share of each pixel, and over the rest; zero where there is none."""
    error = error.mean(dim=1, keepdim=True)
    shares = {"known": known, "missing": 1 - known}
    return {name: (error * share).sum() / share.sum().clamp(min=1) for name, share in shares.items()}
