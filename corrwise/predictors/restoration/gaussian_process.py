"""Gaussian-process noise: a random function on the plane, by random Fourier features (Warped Diffusion, NeurIPS 2024).

Noise that is a function moves with a scene exactly: it is evaluated where each pixel came from, between pixels and
outside the frame too, and nothing is interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import erf, inf, pi, sqrt
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from corrwise.validation import Range, validated

__all__ = ["GaussianProcess", "GaussianProcessConfig", "kernel", "nyquist_length_scale", "sample_gaussian_process"]

BLOCK = 1 << 21  # cosines at a time: 8 MB of float32, which a core's cache nearly holds


def nyquist_length_scale(truncation: float | int = 2.0) -> float:
    """Return the shortest length scale in pixels whose frequencies a grid of pixels represents: ``truncation / pi``.

    The paper's rule. Frequencies reach ``truncation / length scale`` radians a pixel, and a grid has pi at most.
    """
    return truncation / pi


@validated(error=ValueError)
class GaussianProcessConfig:
    """The kernel of the noise, and its approximation by random features.

    The kernel is ``exp(-|d|^2 / (2 length_scale^2))`` of unit variance, with its spectrum cut off. The paper does not
    state whether it cuts each coordinate or the norm of a frequency. Here it is each coordinate: the kernel is then a
    product of one factor for x and one for y.

    Attributes:
        features: number of random cosines, J.
        length_scale: epsilon, in pixels; None is the Nyquist rule's, 0.637 px for the default truncation.
        truncation: where each coordinate of a frequency is cut off, in standard deviations.
    """

    features: Annotated[int, Range(1, 1_000_000)] = 3000
    length_scale: Annotated[float, Range(0, inf, open="low")] | None = None
    truncation: Annotated[float, Range(0, 10, open="low")] = 2.0

    @property
    def epsilon(self) -> float:
        """The length scale in pixels."""
        return nyquist_length_scale(self.truncation) if self.length_scale is None else self.length_scale


def kernel(offsets: Float[Tensor, "*n 2"], config: GaussianProcessConfig) -> Float[Tensor, "*n"]:
    """Return the covariance of the noise at two points, from the offset (dx, dy) between them in pixels.

    This is the kernel of infinitely many features, with the truncation of the spectrum in closed form.
    """
    from scipy.special import wofz  # scipy takes long to import

    cut = config.truncation
    s = np.asarray(offsets.detach().cpu(), dtype=np.float64) / config.epsilon
    # The characteristic function of a truncated normal variable, without the overflow of erf(cut + i s).
    tail = np.exp(-(cut**2) / 2) * np.real(np.exp(-1j * cut * s) * wofz((1j * cut - s) / sqrt(2)))
    factors = (np.exp(-(s**2) / 2) - tail) / erf(cut / sqrt(2))
    kind = offsets.dtype if offsets.is_floating_point() else torch.float32
    return torch.as_tensor(factors.prod(axis=-1), dtype=kind, device=offsets.device)


@dataclass(frozen=True)
class GaussianProcess:
    """One draw of the noise: a function from points of the plane to C channels.

    ``noise(x) = sqrt(2 / J) sum_j w_j cos(<z_j, x> + b_j)``. Channels share the cosines and have their own weights, so
    that a cosine is computed once.

    Beside the plane of the first frame there are as many further planes as a video needs for surfaces that come into
    view later. On plane n the phases are ``b_j + n s_j``, so that its noise is independent of the other planes'.

    Attributes:
        frequencies: z, in radians a pixel.
        phases: b, in radians.
        steps: s, in radians a plane, uniform over the circle.
        weights: w, times ``sqrt(2 / J)``.
    """

    frequencies: Float[Tensor, "J 2"]
    phases: Float[Tensor, " J"]
    steps: Float[Tensor, " J"]
    weights: Float[Tensor, "C J"]

    def at(self, points: Float[Tensor, "*n 2"], planes: Int[Tensor, "*n"] | None = None) -> Float[Tensor, "*n C"]:
        """Return the noise at any points (x, y), in pixels: the centre of the first pixel is (0, 0).

        NaN at a point that is not finite.

        Args:
            points: of one plane or of several.
            planes: the number of the plane of each point; None is plane 0, the first frame's.
        """
        flat = points.reshape(-1, 2).to(self.phases)
        numbers = None if planes is None else planes.reshape(-1, 1).to(self.phases)
        made = flat.new_empty(len(flat), len(self.weights))
        step = max(1, BLOCK // len(self.phases))
        with torch.autocast(flat.device.type, enabled=False):
            for first in range(0, len(flat), step):
                x, y = flat[first : first + step].split(1, dim=1)
                angles = torch.addcmul(self.phases, x, self.frequencies[:, 0]).addcmul_(y, self.frequencies[:, 1])
                if numbers is not None:
                    angles.addcmul_(numbers[first : first + step], self.steps)
                made[first : first + step] = angles.cos_() @ self.weights.T
        return made.reshape(*points.shape[:-1], -1)

    def grid(self, height: int, width: int) -> Float[Tensor, "C h w"]:
        """Return the noise of a frame, one value for the centre of each pixel.

        ``cos(a + b) = cos a cos b - sin a sin b`` makes the sum over features a product of two matrices for each
        channel: only ``(h + w) J`` cosines are computed instead of ``h w J``.
        """
        like = self.phases
        made = like.new_zeros(len(self.weights), height, width)
        step = max(1, BLOCK // (height + width))
        xs, ys = (torch.arange(side, dtype=like.dtype, device=like.device)[:, None] for side in (width, height))
        with torch.autocast(like.device.type, enabled=False):
            for first in range(0, len(like), step):
                part = slice(first, first + step)
                across = torch.addcmul(like[part], xs, self.frequencies[part, 0])
                down = ys * self.frequencies[part, 1]
                right = torch.cat((across.cos(), across.sin()), dim=1).T
                left = torch.cat((down.cos(), -down.sin()), dim=1)
                for channel, weights in zip(made, self.weights[:, part], strict=True):
                    channel.addmm_(left * weights.repeat(2), right)
        return made

    def to(self, device: torch.device | str) -> GaussianProcess:
        """Return the same function on another device."""
        return GaussianProcess(*(getattr(self, each.name).to(device) for each in fields(self)))


def sample_gaussian_process(
    config: GaussianProcessConfig,
    channels: int,
    generator: Generator,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> GaussianProcess:
    """Draw a noise function.

    Args:
        config: its kernel.
        channels: number of independent channels, C; those of all images of a batch.
        generator: on the CPU, so that the function of a seed is the same on every device.
        device: of the function.
        dtype: of the function.

    Raises:
        ValueError: no channels.
    """
    if channels < 1:
        raise ValueError(f"expected at least one channel, got {channels}")
    count, cut = config.features, config.truncation
    uniform = torch.rand(4, count, generator=generator, dtype=torch.float64, device="cpu")
    inside = erf(cut / sqrt(2))  # probability of a standard normal variable between -cut and cut
    normal = (sqrt(2) * torch.erfinv((2 * uniform[:2] - 1) * inside)).clamp(-cut, cut)
    weights = torch.randn(channels, count, generator=generator, dtype=torch.float64, device="cpu") * sqrt(2 / count)
    phases, steps = 2 * pi * uniform[2], pi * (2 * uniform[3] - 1)  # steps near zero, for their products in float32
    parts = (normal.T / config.epsilon, phases, steps, weights)
    return GaussianProcess(*(part.to(dtype).to(device) for part in parts))
