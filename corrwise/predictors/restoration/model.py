"""An image model that restores: it samples a whole image given a damaged one, from white or Gaussian-process noise.

The data of the flow is the image in units of its own spread, ``x1 = (image - 1/2) / scale``, so that data, noise and
what lies between them move with a scene alike. With noise of covariance Q everything but the noise stays the same: the
minimiser of the squared error is still ``E[x1 | x_t]``, and the velocity is still that of the path.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from math import inf
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from corrwise._network_size import check_network
from corrwise.predictors.generative.inputs import TIME_NUMBERS, linear_estimate, time_numbers
from corrwise.predictors.generative.paths import Path
from corrwise.predictors.generative.schedules import make_path
from corrwise.predictors.generative.solvers import time_grid
from corrwise.predictors.generative.unet import UNet
from corrwise.predictors.models.pretrained import Pretrained, Width, typed_config
from corrwise.predictors.restoration.carriers import NoiseCarrier
from corrwise.predictors.restoration.damage import Downscale, Operator, as_images, make_damage
from corrwise.predictors.restoration.gaussian_process import GaussianProcessConfig
from corrwise.validation import Range, validated

__all__ = ["Autoencoder", "Observation", "RestorationConfig", "RestorationModel", "make_restoration_model"]

_LEVELS = (1, 2, 4)  # widths at half the resolution, a quarter and an eighth
_MIDDLE = 0.5  # of the values of an image


@validated(error=ValueError)
class RestorationConfig:
    """How wide the network is, what it restores, and how images are sampled.

    Attributes:
        damages: that it is trained on, as text (``corrwise.predictors.restoration.damage``); each step draws one.
        noise: ``gp``, Gaussian-process noise, or ``white``. A carrier of the other kind is refused.
        length_scale: of Gaussian-process noise, in pixels; None is the Nyquist rule's.
        width: channels at half the resolution; at a quarter there are twice as many, at an eighth four times.
        blocks: residual blocks of each level, on the way down and again on the way up.
        scale: standard deviation of the values of an image in [0, 1].
        path: from noise to data, as text (``corrwise.predictors.generative.paths``).
        evaluations: of the network for an image.
        time_grid: law of the evaluations' times, as text (``corrwise.predictors.generative.time_laws``).
        channels: of an image, or of an autoencoder's latents.

    Raises:
        ValueError: a number outside its range, or an unknown damage, path or time law.
    """

    damages: tuple[str, ...] = ("random",)
    noise: Literal["gp", "white"] = "gp"
    length_scale: Annotated[float, Range(0, inf, open="low")] | None = None
    width: Width = 64
    blocks: Annotated[int, Range(1, 100)] = 2
    scale: Annotated[float, Range(0, 100, open="low")] = 0.25
    path: str = "cond-ot"
    evaluations: Annotated[int, Range(1, 10_000)] = 25
    time_grid: str = "uniform"
    channels: Width = 3

    def __post_init__(self) -> None:
        object.__setattr__(self, "damages", tuple(self.damages))  # a list in config.json
        if not self.damages:
            raise ValueError("expected at least one damage, got none")
        for text in self.damages:
            make_damage(text)
        make_path(self.path)
        self.times()
        if self.noise == "white" and self.length_scale is not None:
            raise ValueError(f"white noise has no length scale, got {self.length_scale}")

    @property
    def kernel(self) -> GaussianProcessConfig | None:
        """The kernel of the noise; None for white noise."""
        return None if self.noise == "white" else GaussianProcessConfig(length_scale=self.length_scale)

    def times(self, evaluations: int | None = None) -> tuple[float, ...]:
        """Return the rising times at which the data is predicted; the last prediction is the sample.

        Args:
            evaluations: of the network; None is the configuration's.
        """
        return time_grid(self.time_grid, self.evaluations if evaluations is None else evaluations)[:-1]


@runtime_checkable
class Autoencoder(Protocol):
    """Encodes images, and decodes what images become."""

    def encode(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B c h w"]:
        """Return the latents of images in [0, 1]."""
        ...

    def decode(self, latents: Float[Tensor, "B c h w"]) -> Float[Tensor, "B C H W"]:
        """Return the images of latents."""
        ...


@dataclass(frozen=True)
class Observation:
    """What is known of images, as the network takes it.

    Attributes:
        filled: the first guess, in units of the data.
        entered: the network's first features of it and of what is known.
        known: the share of each place that is known.
    """

    filled: Float[Tensor, "B C h w"]
    entered: Float[Tensor, "B d h2 w2"]
    known: Float[Tensor, "B 1 h w"]


class RestorationModel(Pretrained):
    """Predicts a whole image given a damaged one and a mixture of the whole image and noise.

    The output corrects the first guess (``Operator.filled``); a new network returns that guess. The sides of images are
    multiples of 8.
    """

    name, config_type = "restoration", RestorationConfig

    def __init__(self, config: RestorationConfig) -> None:
        super().__init__()
        self.config = config
        self.path: Path = make_path(config.path)
        widths = [config.width * each for each in _LEVELS]
        groups = (config.channels + 1, config.channels)
        self.network = UNet(groups, config.channels, TIME_NUMBERS, widths, config.blocks)
        self._autoencoder: tuple[Autoencoder | None] = (None,)  # in a tuple it is no part of this module

    def use_autoencoder(self, autoencoder: Autoencoder | None) -> None:
        """Learn and restore the latents of an autoencoder in place of pixels, as Warped Diffusion does.

        ``RestorationConfig.channels`` is then the number of its channels, ``scale`` the spread of its latents. Maps are
        those between frames of the latents' size. It is neither trained nor saved with the model.

        Args:
            autoencoder: None for pixels.
        """
        self._autoencoder = (autoencoder,)

    def observe(self, operator: Operator, observed: Float[Tensor, "B C oh ow"]) -> Observation:
        """Return what is known of images.

        Raises:
            TypeError: images that are not floats.
            ValueError: images of another number of channels, or whose sides are no multiples of 8.
        """
        observed = as_images(observed)
        filled = self.units(operator.filled(observed))
        if filled.shape[1] != self.config.channels:
            raise ValueError(f"expected images of {self.config.channels} channels, got {filled.shape[1]}")
        if any(side % self.network.side for side in filled.shape[-2:]):
            side, got = self.network.side, tuple(filled.shape[-2:])
            raise ValueError(f"expected images with sides that are multiples of {side}, got {got}")
        known = operator.known(observed)
        if known.shape[-2:] != filled.shape[-2:]:
            known = F.interpolate(known, filled.shape[-2:], mode="area")
        return Observation(filled, self.network.entered(0, torch.cat((filled, known), dim=1)), known)

    def data(
        self, seen: Observation, x_t: Float[Tensor, "B C h w"], t: Float[Tensor, "*B"]
    ) -> Float[Tensor, "B C h w"]:
        """Return the predicted x1, ``E[x1 | x_t, observed]``.

        Args:
            seen: what is known.
            x_t: between noise and data.
            t: one time for each image, or one for all.
        """
        times = t.to(torch.float32).reshape(-1, 1).expand(len(x_t), 1)
        entered = seen.entered + self.network.entered(1, linear_estimate(self.path, x_t, times))
        return seen.filled + self.network(entered, time_numbers(times)).float()

    def units(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B c h w"]:
        """Return images in [0, 1], or their latents, in units of the data."""
        (autoencoder,) = self._autoencoder
        values = images - _MIDDLE if autoencoder is None else autoencoder.encode(images)
        return values / self.config.scale

    def images(self, data: Float[Tensor, "B c h w"], *, clamp: bool = True) -> Float[Tensor, "B C H W"]:
        """Return the images that data stands for, in [0, 1] unless they are not clamped."""
        (autoencoder,), values = self._autoencoder, self.config.scale * data
        images = _MIDDLE + values if autoencoder is None else autoencoder.decode(values)
        return images.clamp(0, 1) if clamp else images

    def check_carrier(self, carrier: NoiseCarrier) -> None:
        """Refuse noise of another law than that of the training.

        Raises:
            ValueError: white noise for a model of Gaussian-process noise, the other way round, or another length scale.
        """
        wanted, got = (
            "white noise" if each is None else f"Gaussian-process noise of length scale {each.epsilon:.3g} px"
            for each in (self.config.kernel, carrier.config)
        )
        if wanted != got:
            fits = "discrete, nearest or bilinear" if self.config.kernel is None else "gp"
            raise ValueError(
                f"the model was trained with {wanted}, and the carrier has {got}: expected the carrier {fits}, or "
                "fixed or resample with the model's noise"
            )

    def warn_untrained(self, factor: int) -> None:
        """Warn of a resolution that is lower by another factor than in the training, or of pixels that never missed.

        Args:
            factor: how many pixels to a side have become one; 1 stands for missing pixels.
        """
        trained = [make_damage(text) for text in self.config.damages]
        if factor not in {each.factor if isinstance(each, Downscale) else 1 for each in trained}:
            asked = "missing pixels" if factor == 1 else f"{Downscale.name}:factor={factor}"
            words = ", ".join(self.config.damages)
            warnings.warn(f"the model was trained for {words}, and never for {asked}: images may be poor", stacklevel=3)


def make_restoration_model(**options: Any) -> RestorationModel:
    """Return a fresh model, its weights drawn from torch's global generator.

    Args:
        options: the fields of its configuration.

    Raises:
        ValueError: options that it does not have, or a network that is too large (``check_network``).
    """
    config = typed_config(RestorationConfig, RestorationModel.name, options)
    check_network(lambda: RestorationModel(config))
    return RestorationModel(config)
