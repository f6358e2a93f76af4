"""The statistics that the noise promises, and where its randomness comes from."""

from __future__ import annotations

import pytest
import torch

from corrwise.mpc import generator
from corrwise.mpc.sampling import autoregressive, coloured


@pytest.mark.parametrize("beta", [0.0, 0.25, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("horizon", [1, 2, 3, 8, 9])
def test_coloured_noise_has_unit_variance_at_every_step(horizon, beta):
    noise = coloured(generator(0, 0), (20_000, horizon, 2), beta=beta)
    assert noise.shape == (20_000, horizon, 2)
    torch.testing.assert_close(noise.var(dim=0), torch.ones(horizon, 2), atol=0.06, rtol=0)
    torch.testing.assert_close(noise.mean(dim=0), torch.zeros(horizon, 2), atol=0.04, rtol=0)


@pytest.mark.parametrize("beta", [0.0, 1.0, 2.0])
def test_coloured_noise_falls_off_with_its_exponent(beta):
    noise = coloured(generator(0, 0), (4000, 128, 1), beta=beta)
    power = torch.fft.rfft(noise[..., 0]).abs().square().mean(dim=0)[1:-1].log()
    frequency = torch.fft.rfftfreq(128)[1:-1].log()
    centred = frequency - frequency.mean()
    slope = (centred * (power - power.mean())).sum() / centred.square().sum()
    assert slope.item() == pytest.approx(-beta, abs=0.03)


def test_white_exponent_leaves_steps_independent():
    noise = coloured(generator(0, 0), (20_000, 6, 1), beta=0.0)[..., 0]
    torch.testing.assert_close(noise.T.corrcoef(), torch.eye(6), atol=0.04, rtol=0)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_autoregressive_noise_keeps_its_variance_and_correlates(correlation):
    noise = autoregressive(generator(0, 0), (20_000, 6, 1), correlation=correlation)[..., 0]
    torch.testing.assert_close(noise.var(dim=0), torch.ones(6), atol=0.06, rtol=0)
    assert noise.T.corrcoef()[2, 3].item() == pytest.approx(correlation, abs=0.03)


def test_generators_depend_on_seed_and_instance_alone():
    first = [torch.rand(3, generator=generator(*pair)) for pair in [(0, 0), (0, 1), (1, 0), (1, 1)]]
    assert all(not torch.equal(a, b) for i, a in enumerate(first) for b in first[:i])
    assert torch.equal(first[1], torch.rand(3, generator=generator(0, 1)))


@pytest.mark.parametrize(
    ("seed", "instance", "sentence"),
    [
        (-1, 0, "seed must be zero or above, got -1"),
        (0, -2, "instance must be zero or above, got -2"),
        (2**32, 0, "seed must be at most 4294967295, got 4294967296"),
        (0, 2**32, "instance must be at most 4294967295, got 4294967296"),
        (0.5, 0, "seed must be a whole number, got 0.5"),
    ],
)
def test_seeds_that_would_share_a_stream_are_refused(seed, instance, sentence, unhooked):
    with pytest.raises(ValueError, match=sentence):
        generator(seed, instance)
