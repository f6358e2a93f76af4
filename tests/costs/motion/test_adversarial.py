"""Logistic losses, noise penalties and windows."""

from __future__ import annotations

from collections import Counter
from math import log

import pytest
import torch

from corrwise.costs.motion import discriminator_loss, generator_loss, noise_penalty, window, window_start


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator("cpu").manual_seed(seed)


def test_losses_are_the_logistic_ones_also_where_an_exponential_overflows():
    real, generated = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 200.0, -1.0])
    expected = torch.log1p(torch.exp(-real)).mean() + torch.log1p(torch.exp(generated.double())).mean()
    torch.testing.assert_close(discriminator_loss(real, generated), expected.float())
    torch.testing.assert_close(generator_loss(-generated), torch.log1p(torch.exp(generated.double())).mean().float())
    torch.testing.assert_close(discriminator_loss(torch.zeros(2), torch.zeros(2)), torch.tensor(2 * log(2)))


def test_the_generator_is_pushed_where_the_discriminator_is_sure():
    logits = torch.tensor([-50.0], requires_grad=True)
    generator_loss(logits).backward()
    assert float(logits.grad) == -1.0


@pytest.mark.parametrize("divide", [False, True])
def test_the_penalty_of_a_linear_function_is_the_norm_of_its_gradient(divide):
    slope = torch.randn(2, 3, 8, 8, generator=seeded(), dtype=torch.float64)
    maps = torch.zeros(4000, 2, 3, 8, 8, dtype=torch.float64)
    penalty = noise_penalty(lambda x: (x * slope).sum(dim=(1, 2, 3, 4)), maps, 0.01, seeded(1), divide=divide)
    expected = slope.square().sum() * (1 if divide else 0.01**2)
    assert abs(float(penalty / expected) - 1) < 0.1  # chi-squared of 4000 draws


def test_known_logits_are_not_computed_again_and_the_noise_is_that_of_the_generator():
    calls = []

    def discriminator(maps):
        calls.append(maps)
        return maps.sum(dim=(1, 2, 3, 4))

    maps = torch.rand(2, 3, 3, 4, 4)
    first = noise_penalty(discriminator, maps, 0.1, seeded())
    assert len(calls) == 2
    known = noise_penalty(discriminator, maps, 0.1, seeded(), logits=maps.sum(dim=(1, 2, 3, 4)))
    assert len(calls) == 3
    assert torch.equal(first, known)
    assert not torch.equal(first, noise_penalty(discriminator, maps, 0.1, seeded(1)))


def test_the_penalty_teaches_weights_and_not_maps():
    weight, maps = torch.ones((), requires_grad=True), torch.rand(2, 3, 3, 4, 4, requires_grad=True)
    noise_penalty(lambda x: weight * x.sum(dim=(1, 2, 3, 4)), maps, 0.1, seeded()).backward()
    assert float(weight.grad) > 0
    assert maps.grad is None


def test_every_window_is_equally_likely_and_whole():
    clips = torch.arange(5.0).reshape(1, 5, 1).expand(2, 5, 1)
    generator = seeded()
    counts = Counter(tuple(window(clips, 3, generator)[1, :, 0].tolist()) for _ in range(600))
    assert set(counts) == {(0, 1, 2), (1, 2, 3), (2, 3, 4)}
    assert min(counts.values()) > 150
    assert torch.equal(window(clips, 5, generator), clips)


def test_what_is_not_finite_is_named(unhooked):
    nan, maps = torch.tensor([0.0, torch.nan]), torch.zeros(2, 1, 3, 4, 4)
    for loss in (
        lambda: discriminator_loss(nan, torch.zeros(1)),
        lambda: noise_penalty(lambda _: nan, maps, 1, seeded()),
    ):
        with pytest.raises(FloatingPointError, match="clips must be finite, got nan for clip 1"):
            loss()
    with pytest.raises(FloatingPointError, match="the logits of generated clips"):
        generator_loss(torch.tensor([torch.inf]))


def test_bad_numbers_and_shapes_are_refused(unhooked):
    x = torch.zeros(2, 1, 3, 4, 4)
    for sigma in (0, -1, torch.inf):
        with pytest.raises(ValueError, match="sigma above 0 and finite"):
            noise_penalty(lambda x: x.sum(dim=(1, 2, 3, 4)), x, sigma, seeded())
    with pytest.raises(ValueError, match=r"of shape \(2,\), got \(1,\)"):
        noise_penalty(lambda x: x.sum().reshape(1), x, 1, seeded())
    with pytest.raises(ValueError, match=r"logits of real clips of shape \(n,\)"):
        discriminator_loss(torch.zeros(2, 1), torch.zeros(2))
    for length in (0, 6):
        with pytest.raises(ValueError, match=f"a window of 1 to 5 frames, .* got {length}"):
            window_start(5, length, seeded())
