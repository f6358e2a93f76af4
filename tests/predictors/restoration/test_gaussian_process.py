"""Gaussian-process noise: a function on the plane with the kernel's covariance."""

import math
import subprocess
import sys

import pytest
import torch

from corrwise.predictors.restoration import (
    GaussianProcessConfig,
    grid_covariance,
    kernel,
    nyquist_length_scale,
    sample_gaussian_process,
)

CONFIG = GaussianProcessConfig()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator("cpu").manual_seed(seed)


def plane(height: int, width: int) -> torch.Tensor:
    ys, xs = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    return torch.stack((xs, ys), dim=-1)


def test_the_kernel_has_the_values_of_the_truncated_and_of_the_whole_spectrum():
    along = torch.tensor([[0.0, 0], [0.5, 0], [0, 1.0], [1.5, 0], [2, 0], [0, 3]], dtype=torch.float64)
    truncated = [1, 0.7827, 0.3407, 0.0401, -0.0109, 0.0095]
    torch.testing.assert_close(kernel(along, CONFIG), torch.tensor(truncated, dtype=torch.float64), atol=1e-4, rtol=0)
    whole = kernel(along, GaussianProcessConfig(length_scale=2 / math.pi, truncation=10))
    gaussian = torch.exp(-along.square().sum(-1) / (2 * (2 / math.pi) ** 2))
    torch.testing.assert_close(whole, gaussian, atol=1e-12, rtol=0)


def test_the_kernel_is_the_mean_of_cosines_over_the_truncated_normal_law():
    nodes = torch.linspace(-2, 2, 20_001, dtype=torch.float64)
    density = torch.exp(-nodes.square() / 2)
    epsilon = 1.3
    config = GaussianProcessConfig(length_scale=epsilon)
    offsets = torch.tensor([[0.4, 0.0], [3.7, 0.0], [40.0, 0.0]], dtype=torch.float64)
    expected = [
        torch.trapezoid(density * torch.cos(nodes * d / epsilon), nodes) / torch.trapezoid(density, nodes)
        for d in (0.4, 3.7, 40.0)
    ]
    torch.testing.assert_close(kernel(offsets, config), torch.stack(expected), atol=1e-6, rtol=0)


def test_no_frequency_is_above_nyquist():
    process = sample_gaussian_process(CONFIG, 1, generator())
    assert process.frequencies.abs().max() <= math.pi * (1 + 1e-6)
    assert process.frequencies.abs().max() > 0.95 * math.pi  # the rule is used up
    assert CONFIG.epsilon == nyquist_length_scale() == pytest.approx(0.6366, abs=1e-4)


@pytest.mark.parametrize("epsilon", [None, 1.5])
def test_the_covariance_between_points_is_the_kernel(epsilon):
    config = GaussianProcessConfig(length_scale=epsilon)
    points = torch.tensor([[0.0, 0], [0.5, 0], [0, 1], [1.3, -0.7], [-30.2, 55.5], [-30.2, 56.1]])
    process = sample_gaussian_process(config, 4000, generator())  # channels are independent draws of the weights
    values = process.at(points)
    measured = values @ values.T / 4000
    expected = kernel(points[:, None] - points, config)
    assert (measured - expected).abs().max() < 0.08  # four deviations of 4000 draws and of 3000 features


@pytest.mark.parametrize("size", [(7, 12), (1, 1), (64, 64)])
def test_the_fast_path_on_a_grid_has_the_values_of_its_points(size, monkeypatch):
    process = sample_gaussian_process(CONFIG, 3, generator())
    at = process.at(plane(*size)).permute(2, 0, 1)
    torch.testing.assert_close(process.grid(*size), at, atol=5e-5, rtol=0)
    monkeypatch.setattr("corrwise.predictors.restoration.gaussian_process.BLOCK", 5000)
    torch.testing.assert_close(process.grid(*size), at, atol=5e-5, rtol=0)
    torch.testing.assert_close(process.at(plane(*size)).permute(2, 0, 1), at, atol=5e-5, rtol=0)


def test_a_seed_gives_one_function_and_another_seed_another():
    first, again, other = (sample_gaussian_process(CONFIG, 2, generator(seed)).grid(8, 8) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=0.1)


def test_noise_goes_on_outside_the_frame_and_is_nan_where_a_point_is():
    process = sample_gaussian_process(CONFIG, 500, generator())
    far = process.at(plane(4, 4) - torch.tensor([700.0, -900.0]))
    assert far.isfinite().all()
    assert abs(float(far.var()) - 1) < 0.08
    assert process.at(torch.tensor([[math.nan, 0.0], [1.0, 1.0]])).isnan().any(-1).tolist() == [True, False]


def test_q_multiplies_like_the_whole_matrix_and_its_samples_have_it():
    config = GaussianProcessConfig(length_scale=1.2)
    covariance = grid_covariance(config, 3, 5, dtype=torch.float64)
    points = plane(3, 5).reshape(-1, 2).double()
    whole = kernel(points[:, None] - points, config)
    image = torch.randn(2, 3, 5, generator=generator(), dtype=torch.float64)
    product = (image.flatten(1) @ whole).view_as(image)
    torch.testing.assert_close(covariance.multiply(image), product, atol=1e-10, rtol=0)
    twice = covariance.colour(covariance.colour(image))
    torch.testing.assert_close(twice, product, atol=1e-7, rtol=0)  # eigenvalues near zero are rounded
    drawn = covariance.sample((20_000,), generator()).flatten(1)
    assert (drawn.T @ drawn / 20_000 - whole).abs().max() < 0.05


def test_functions_and_samples_of_q_have_one_covariance():
    size = (6, 6)
    process = sample_gaussian_process(CONFIG, 4000, generator())
    one = process.grid(*size).flatten(1)
    two = grid_covariance(CONFIG, *size).sample((4000,), generator(1)).flatten(1)
    assert (one.T @ one / 4000 - two.T @ two / 4000).abs().max() < 0.12


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"length_scale": 0.0}, "length_scale must be above zero and finite, got 0.0"),
        ({"length_scale": -1.0}, "length_scale must be above zero and finite, got -1.0"),
        ({"features": 0}, "features must be at least 1, got 0"),
        ({"truncation": 0.0}, "truncation must be in"),
    ],
)
def test_a_kernel_that_is_none_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        GaussianProcessConfig(**options)


def test_images_of_another_size_and_no_channels_are_refused():
    with pytest.raises(ValueError, match=r"expected images of 4 x 5 pixels, got \(3, 4, 4\)"):
        grid_covariance(CONFIG, 4, 5).multiply(torch.zeros(3, 4, 4))
    with pytest.raises(ValueError, match="expected at least one channel, got 0"):
        sample_gaussian_process(CONFIG, 0, generator())


MEMORY = """
import resource, torch
from corrwise.predictors.restoration import GaussianProcessConfig, sample_gaussian_process
process = sample_gaussian_process(GaussianProcessConfig(), 3, torch.Generator("cpu").manual_seed(0))
process.grid(8, 8), process.at(torch.zeros(8, 2))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
process.grid(1024, 1024)
process.at(torch.zeros(4, 1024, 2))  # as many blocks as show that one is freed before the next
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_large_grid_needs_little_memory():
    used = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True).stdout
    assert int(used) < 100 * 1024  # kB: the grid itself is 12 MB, all of its cosines would be 12 GB


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_function_of_a_seed_is_the_same_on_a_gpu():
    process = sample_gaussian_process(CONFIG, 3, generator())
    torch.testing.assert_close(process.to("cuda").grid(32, 32).cpu(), process.grid(32, 32), atol=1e-4, rtol=0)
