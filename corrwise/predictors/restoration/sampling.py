"""Samples of images, step by step: Tweedie's formula with a covariance, and the step of the flow from noise to data."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.predictors.generative.paths import Path, check_times
from corrwise.predictors.restoration.model import Observation, RestorationModel

__all__ = ["backward_step", "flow_step", "preconditioned_score", "sample_images"]


def preconditioned_score(
    path: Path, data: Float[Tensor, "B *rest"], x_t: Float[Tensor, "B *rest"], t: float
) -> Float[Tensor, "B *rest"]:
    """Return ``Q`` times the gradient of the log-density of x_t, by Tweedie's formula for noise of covariance Q.

    ``Q grad log p(x_t) = (alpha E[x1 | x_t] - x_t) / sigma^2``. Neither Q nor its inverse is needed: the flow moves
    along this product.

    Args:
        path: from noise to data.
        data: ``E[x1 | x_t]``.
        x_t: between noise and data.
        t: the time, below 1.

    Raises:
        ValueError: a time at which there is no noise.
    """
    time = torch.full((1,), t, dtype=torch.float64, device="cpu")
    check_times(time)
    alpha, sigma = float(path.alpha(time)), float(path.sigma(time))
    if sigma == 0:
        raise ValueError(f"expected a time below 1, at which there is noise, got {t:g}")
    return (alpha * data - x_t) / sigma**2


def backward_step(
    u: Float[Tensor, "B *rest"], data: Float[Tensor, "B *rest"], sigma: float, next_sigma: float
) -> Float[Tensor, "B *rest"]:
    """Return u one step nearer to the data, for ``u = data + sigma noise``: ``u + (sigma - next) / sigma (data - u)``.

    The Euler step of ``du/dt = -(sigma' / sigma) (E[u0 | u] - u)`` against time. Deviation: Warped Diffusion prints the
    opposite sign (Eq. 7, Alg. 1 line 9), with which u moves away from the data; the equation itself gives this one.

    Args:
        u: at noise level sigma.
        data: ``E[u0 | u]``.
        sigma: noise level, above 0.
        next_sigma: the lower level after the step.

    Raises:
        ValueError: levels that do not fall.
    """
    if not 0 <= next_sigma <= sigma or sigma == 0:
        raise ValueError(f"expected noise levels that fall, got {sigma:g} and {next_sigma:g}")
    return u + (sigma - next_sigma) / sigma * (data - u)


def flow_step(
    path: Path, x_t: Float[Tensor, "B *rest"], data: Float[Tensor, "B *rest"], t: float, following: float
) -> Float[Tensor, "B *rest"]:
    """Return x at the following time: the backward step in units in which the data is not scaled.

    With ``u = x_t / alpha`` and ``sigma_u = sigma / alpha`` it is ``backward_step`` on any path, written so that it
    also starts at t = 0, where alpha is 0. On straight lines it is Euler's step of the velocity.

    Args:
        path: from noise to data.
        x_t: at time t.
        data: ``E[x1 | x_t]``.
        t: the time, below 1.
        following: the next time.

    Raises:
        ValueError: times that do not rise.
    """
    if not t < following:
        raise ValueError(f"expected times that rise, got {t:g} and {following:g}")
    times = torch.tensor([t, following], dtype=torch.float64, device="cpu")
    (alpha, next_alpha), (sigma, next_sigma) = path.alpha(times).tolist(), path.sigma(times).tolist()
    return next_alpha * data + next_sigma / sigma * (x_t - alpha * data)


@torch.no_grad()
def sample_images(
    model: RestorationModel,
    seen: Observation,
    noise: Float[Tensor, "B c h w"],
    times: Sequence[float] = (),
) -> Float[Tensor, "B C H W"]:
    """Return restored images in [0, 1], sampled from noise; the last prediction of the data is the sample.

    Args:
        model: the network.
        seen: what is known of the images.
        noise: of the law that the model was trained with.
        times: rising, at which the data is predicted; empty for the model's own.
    """
    x, data = noise, noise
    for t, following in pairwise((*(times or model.config.times()), 1.0)):
        data = model.data(seen, x, torch.full((1,), t, dtype=torch.float32, device=x.device))
        x = flow_step(model.path, x, data, t, following)
    return model.images(data)
