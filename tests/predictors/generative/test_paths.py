"""Paths against closed forms: Gaussian and mixture data, and exact conversions."""

import math

import pytest
import torch

from corrwise.predictors.generative import PATHS, convert, interpolate, make_path, snr, velocity

PATH_TEXTS = [*PATHS, "vp:low=0.2,high=10", "polynomial:power=3"]


def times(n: int = 9) -> torch.Tensor:
    return torch.linspace(0.02, 0.98, n, dtype=torch.float64)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("text", PATH_TEXTS)
def test_time_zero_is_noise_and_time_one_is_data(text: str) -> None:
    path, data, noise = make_path(text), normal(2, 3, seed=1), normal(2, 3, seed=2)
    torch.testing.assert_close(interpolate(path, data, noise, 1.0), data, rtol=0, atol=0)
    left = 0.09 if text.startswith("vp") else 0.0  # of the data, at the noise
    assert (interpolate(path, data, noise, 0.0) - noise).abs().max() <= left * (data.abs() + noise.abs()).max()


@pytest.mark.parametrize("text", PATH_TEXTS)
def test_marginal_velocity_of_gaussian_data_is_the_closed_form(text: str) -> None:
    """x1 ~ N(m, s^2): the posterior mean of the data, and the velocity that the Gaussian marginal's moments imply."""
    path, t, m, s = make_path(text), times(), 0.7, 0.4
    a, b, da, db = path.alpha(t), path.sigma(t), path.alpha_dot(t), path.sigma_dot(t)
    x, variance = normal(9), (a * s) ** 2 + b**2
    posterior = m + a * s**2 / variance * (x - a * m)
    wanted = da * m + (a * da * s**2 + b * db) / variance * (x - a * m)  # mean' + std' / std (x - mean)
    torch.testing.assert_close(convert(path, posterior, x, t, "data", "velocity"), wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("text", PATH_TEXTS)
def test_marginal_of_a_mixture_obeys_the_continuity_equation(text: str) -> None:
    """dp/dt = -d(p v)/dx, where v comes from the mixture's posterior mean: all three in closed form."""
    path = make_path(text)
    weights, means, std = torch.tensor([0.3, 0.7]).double(), torch.tensor([-1.0, 1.5]).double(), 0.3
    grid = torch.linspace(-2.5, 2.5, 11, dtype=torch.float64)
    t = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64).repeat_interleave(11).requires_grad_()
    x = grid.repeat(3).requires_grad_()

    def density_and_mean(x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        a, variance = path.alpha(t), (path.alpha(t) * std) ** 2 + path.sigma(t) ** 2
        away = x[:, None] - a[:, None] * means
        each = weights * torch.exp(-(away**2) / (2 * variance[:, None])) / (2 * math.pi * variance[:, None]).sqrt()
        means_here = means + (a * std**2 / variance)[:, None] * away
        return each.sum(1), (each * means_here).sum(1) / each.sum(1)

    p, mean = density_and_mean(x, t)
    (dp,) = torch.autograd.grad(p.sum(), t, retain_graph=True)
    flux = p * convert(path, mean, x, t, "data", "velocity")
    (dflux,) = torch.autograd.grad(flux.sum(), x)
    torch.testing.assert_close(dp, -dflux, rtol=1e-8, atol=1e-10)


def test_straight_lines_have_the_known_ratio_and_velocity() -> None:
    path, t = make_path("cond-ot"), times()
    torch.testing.assert_close(snr(path, t), t**2 / (1 - t) ** 2)
    data, noise = normal(9, seed=1), normal(9, seed=2)
    torch.testing.assert_close(velocity(path, data, noise, t), data - noise)
    assert torch.equal(interpolate(make_path("polynomial:power=1"), data, noise, t), interpolate(path, data, noise, t))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_type_of_the_images_is_kept(dtype: torch.dtype) -> None:
    data, noise = torch.zeros(2, 3, dtype=dtype), torch.ones(2, 3, dtype=dtype)
    t = torch.tensor([0.25, 0.5])
    x_t = interpolate(make_path("cosine"), data, noise, t)
    assert x_t.dtype == dtype
    assert convert(make_path("cosine"), data, x_t, t, "data", "velocity").dtype == dtype


@pytest.mark.parametrize("t", [-0.1, 1.5, float("nan")])
def test_a_time_outside_the_interval_is_named(t: float) -> None:
    path, x = make_path("cond-ot"), torch.zeros(2, 3)
    mixed = torch.tensor([0.5, t])
    for call in (
        lambda: interpolate(path, x, x, t),
        lambda: velocity(path, x, x, mixed),
        lambda: snr(path, mixed),
        lambda: convert(path, x, x, mixed, "data", "velocity"),
    ):
        with pytest.raises(ValueError, match=rf"t must lie in \[0, 1\], got {t:g}"):
            call()


def test_what_is_not_determined_is_refused() -> None:
    x, t = torch.zeros(2, 3), torch.tensor([0.5, 1.0])
    with pytest.raises(ValueError, match="path cond-ot the data does not determine the velocity at t = 1"):
        convert(make_path("cond-ot"), x, x, t, "data", "velocity")
    with pytest.raises(ValueError, match="path cosine the noise does not determine the data at t = 0"):
        convert(make_path("cosine"), x, x, 0.0, "noise", "data")
    with pytest.raises(ValueError, match="path polynomial the velocity does not determine the data at t = 0"):
        convert(make_path("polynomial"), x, x, 0.0, "velocity", "data")
    with pytest.raises(ValueError, match="path vp has no velocity at t = 1"):
        velocity(make_path("vp"), x, x, t)
    with pytest.raises(ValueError, match=r"one for each of a batch \(2, 3\), got \(3,\)"):
        interpolate(make_path("vp"), x, x, torch.zeros(3))
