"""Losses of a discriminator and of what it is to be deceived by: logistic, with R1 and R2 by noise."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Generator, Tensor

__all__ = ["discriminator_loss", "generator_loss", "noise_penalty", "window", "window_start"]

Discriminator = Callable[[Tensor], Tensor]


def discriminator_loss(real: Float[Tensor, " n"], generated: Float[Tensor, " m"]) -> Float[Tensor, ""]:
    """Return the mean over clips of ``softplus(-real) + softplus(generated)``: 2 log 2 where it knows nothing.

    Args:
        real: logits of real clips.
        generated: logits of generated clips.

    Raises:
        ValueError: not one logit for each of some clips.
        FloatingPointError: a logit is not finite.
    """
    _check_logits("real", real)
    _check_logits("generated", generated)
    return F.softplus(-real).mean() + F.softplus(generated).mean()


def generator_loss(generated: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """Return the mean over clips of ``softplus(-generated)``, whose gradient stays where the discriminator is sure.

    Raises:
        ValueError: not one logit for each of some clips.
        FloatingPointError: a logit is not finite.
    """
    _check_logits("generated", generated)
    return F.softplus(-generated).mean()


def noise_penalty(
    discriminator: Discriminator,
    maps: Float[Tensor, "n T 3 h w"],
    sigma: float | int,
    generator: Generator,
    *,
    divide: bool = False,
    logits: Float[Tensor, " n"] | None = None,
) -> Float[Tensor, ""]:
    """Return the mean over clips of ``(D(maps + sigma noise) - D(maps))^2``: R1 of real clips, R2 of generated ones.

    Divided by ``sigma^2`` it is, for small sigma, the squared norm of the gradient of D, as in Self-Forcing's code.
    Without the division, as in APT and MoGAN, it is ``sigma^2`` times that. No second derivative is needed.

    Args:
        discriminator: of maps to one logit for each clip.
        maps: which do not learn: no gradient reaches them.
        sigma: standard deviation of the noise, in the unit of the maps.
        generator: source of the noise.
        divide: whether to divide the difference of the logits by sigma.
        logits: of the maps themselves, where they are known.

    Raises:
        ValueError: a sigma that is not above 0 and finite, or logits of another shape.
        FloatingPointError: a logit is not finite.
    """
    if not (isfinite(sigma) and sigma > 0):
        raise ValueError(f"expected sigma above 0 and finite, got {sigma}")
    maps = maps.detach()
    noise = torch.randn(maps.shape, generator=generator, dtype=torch.float32, device=generator.device).to(maps)
    plain = discriminator(maps) if logits is None else logits
    noisy = discriminator(maps + sigma * noise)
    for name, each in (("unchanged", plain), ("noisy", noisy)):
        _check_logits(name, each, len(maps))
    return ((noisy - plain) / (sigma if divide else 1)).square().mean()


def window_start(frames: int, length: int, generator: Generator) -> int:
    """Return where a window of so many consecutive frames begins, each start equally likely.

    A rollout is trained within the window alone: it runs without gradients up to the start, and ends with the window.

    Raises:
        ValueError: a window of no frames, or of more than there are.
    """
    if not 1 <= length <= frames:
        raise ValueError(f"expected a window of 1 to {frames} frames, as many as a clip has, got {length}")
    return int(torch.randint(frames - length + 1, (), generator=generator, dtype=torch.int64, device=generator.device))


def window(clips: Float[Tensor, "n T *rest"], length: int, generator: Generator) -> Float[Tensor, "n {length} *rest"]:
    """Return a window of consecutive frames, the same one of all clips (``window_start``).

    Raises:
        ValueError: a window of no frames, or of more than the clips have.
    """
    start = window_start(clips.shape[1], length, generator)
    return clips[:, start : start + length]


def _check_logits(name: str, logits: Tensor, clips: int | None = None) -> None:
    if logits.ndim != 1 or not len(logits) or (clips is not None and len(logits) != clips):
        wanted = "(n,) of at least one clip" if clips is None else (clips,)
        raise ValueError(f"expected logits of {name} clips of shape {wanted}, got {tuple(logits.shape)}")
    finite = logits.detach().isfinite()
    if not finite.all():
        clip = int((~finite).nonzero()[0])
        raise FloatingPointError(
            f"the logits of {name} clips must be finite, got {float(logits.detach()[clip])} for clip {clip}"
        )
