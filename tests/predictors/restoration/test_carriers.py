"""What each noise carrier keeps along ten frames, and what the baselines lose."""

from dataclasses import dataclass, replace

import pytest
import torch
from scipy.stats import kstest

from corrwise.predictors.restoration import (
    CARRIERS,
    Affine,
    CarriedNoise,
    GaussianProcessConfig,
    NoiseCarrier,
    affine_maps,
    carried_noise,
    first_map,
    flow_maps,
    kernel,
    make_carrier,
)
from corrwise.predictors.restoration.carriers import DiscreteNoise, FixedNoise, FunctionNoise, ResampledNoise
from corrwise.testing import check_noise_carrier

SIDE = 24
CENTER = ((SIDE - 1) / 2, (SIDE - 1) / 2)
DRIFT = Affine.shift(0.3, 0.4)
GROW = Affine.turn(3, CENTER, zoom=1.06)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator("cpu").manual_seed(seed)


def last(name: str, step: Affine, channels: int = 32) -> torch.Tensor:
    maps = affine_maps([step] * 10, SIDE, SIDE)
    *_, noise = carried_noise(make_carrier(name), maps, channels, generator())
    return noise


def repeated(noise: torch.Tensor) -> float:
    return 1 - noise[0].unique().numel() / noise[0].numel()


def neighbours(noise: torch.Tensor) -> float:
    return float((noise[:, :, 1:] * noise[:, :, :-1]).mean() / noise.square().mean())


@pytest.mark.parametrize("name", CARRIERS)
def test_each_registered_carrier_keeps_what_it_promises(name):
    carrier = make_carrier(name)
    assert isinstance(carrier, NoiseCarrier)
    check_noise_carrier(carrier)


@pytest.mark.parametrize("kind", [FixedNoise, ResampledNoise])
def test_baselines_with_coloured_noise_keep_their_kernel(kind):
    check_noise_carrier(kind(GaussianProcessConfig(length_scale=0.9)))


@pytest.mark.parametrize("name", [name for name in CARRIERS if CARRIERS[name].keeps_law])
@pytest.mark.parametrize("step", [DRIFT, GROW], ids=["drift", "grow"])
def test_noise_that_keeps_its_law_stays_standard_normal(name, step):
    noise = last(name, step)
    # The mapped kernel is wider where the scene grows, so that fewer values are independent.
    sample = noise[:, ::6, ::6].flatten()
    assert kstest(sample.numpy(), "norm").pvalue > 1e-3
    assert repeated(noise) == 0


def test_bilinear_noise_fades():
    assert float(last("bilinear", DRIFT).var()) < 0.3
    assert neighbours(last("bilinear", DRIFT)) > 0.5
    with pytest.raises(AssertionError, match="must have unit variance, got 0"):
        check_noise_carrier(Claims("bilinear"))


def test_nearest_noise_repeats_values_where_the_scene_grows():
    noise = last("nearest", GROW)
    assert repeated(noise) > 0.3
    assert neighbours(noise) > 0.2
    assert repeated(last("nearest", Affine.shift(0.5, 0.5))) == 0  # all halves are rounded one way


@pytest.mark.parametrize("name", ["fixed", "resample"])
def test_noise_that_does_not_move_does_not_follow(name):
    carrier = Claims(name)
    with pytest.raises(AssertionError, match="has other noise"):
        check_noise_carrier(carrier)


def test_discrete_noise_is_white_given_the_map():
    noise = last("discrete", GROW, channels=2000)
    points = noise[:, 8:11, 8:11].flatten(1)
    covariance = points.T @ points / len(noise)
    assert (covariance - torch.eye(9)).abs().max() < 0.14  # six deviations


def test_discrete_noise_splits_the_sum_of_a_pixel():
    grow = Affine.turn(0, (0.0, 0.0), zoom=2.0)
    first, second = affine_maps([grow], 8, 8)
    carrier = DiscreteNoise()
    start = carrier.start(first, 10_000, generator())
    moved = carrier.carry(start, second, generator(1)).values
    # A pixel in its middle takes a quarter of a value's variance, one between two pixels an eighth of either's.
    old = start.values[:, 2, 2]
    shares = {(4, 4): 0.5, (4, 5): 0.25, (5, 5): 0.125, (4, 6): 0.0, (4, 7): 0.0, (7, 7): 0.0}
    for (y, x), share in shares.items():
        assert float((moved[:, y, x] * old).mean()) == pytest.approx(share, abs=0.05), (y, x)
        assert float((moved[:, x, y] * old).mean()) == pytest.approx(share, abs=0.05), (x, y)


def test_function_noise_has_the_kernel_of_distances_in_the_first_frame():
    carrier = FunctionNoise(GaussianProcessConfig(length_scale=1.0))
    maps = list(affine_maps([GROW] * 10, SIDE, SIDE))
    *_, noise = carried_noise(carrier, [maps[0], maps[-1]], 2000, generator())
    there, here = maps[-1].points[12, 13:17], maps[-1].points[12, 12]
    measured = (noise[:, 12, 13:17] * noise[:, 12, 12:13]).mean(dim=0)
    torch.testing.assert_close(measured, kernel(there - here, carrier.config), atol=0.12, rtol=0)


def test_a_scene_that_returns_has_its_noise_again():
    steps = [Affine.shift(5, 2)] * 3 + [Affine.shift(-5, -2)] * 3
    noise = list(carried_noise(make_carrier("gp"), affine_maps(steps, SIDE, SIDE), 2, generator()))
    torch.testing.assert_close(noise[-1], noise[0], atol=1e-3, rtol=0)  # also where it had left the frame
    white = list(carried_noise(make_carrier("discrete"), affine_maps(steps, SIDE, SIDE), 2, generator()))
    assert not torch.allclose(white[-1], white[0], atol=0.1)


@pytest.mark.parametrize("name", ["nearest", "bilinear", "discrete", "gp"])
def test_what_comes_into_view_has_noise_of_its_own(name):
    later, earlier = torch.zeros(2, SIDE, SIDE), torch.zeros(2, SIDE, SIDE)
    later[0, 8:16, 10:18], earlier[0, 8:16, 6:14] = -4, 4
    maps = list(flow_maps([(later, earlier)]))
    uncovered = maps[1].hidden
    assert int(uncovered.sum()) == 8 * 4
    before, after = carried_noise(make_carrier(name), maps, 400, generator())
    same = (before[:, uncovered] * after[:, uncovered]).mean(dim=0)
    assert same.abs().max() < 0.3  # other values than those that the square took with it
    assert abs(float(after[:, uncovered].var()) - 1) < 0.1
    torch.testing.assert_close(after[:, 8:16, 10:18], before[:, 8:16, 6:14], atol=1e-3, rtol=0)


def test_noise_that_does_not_fit_is_refused():
    first = first_map(8, 8)
    noise = make_carrier("discrete").start(first, 3, generator())
    with pytest.raises(ValueError, match="expected a map of 8 x 8 pixels like the noise"):
        make_carrier("discrete").carry(noise, first_map(8, 9), generator())
    with pytest.raises(ValueError, match="expected noise that is a function"):
        make_carrier("gp").carry(noise, first, generator())
    with pytest.raises(ValueError, match="expected at least one channel, got 0"):
        make_carrier("fixed").start(first, 0, generator())
    with pytest.raises(ValueError, match="unknown noise carrier 'warp'; there are fixed"):
        make_carrier("warp")
    with pytest.raises(ValueError, match="nearest has no such options"):
        make_carrier("nearest", config=None)


@dataclass(frozen=True)
class Claims:
    """A carrier that promises everything, and perhaps draws or changes what it must not."""

    name: str
    fault: str = ""
    config = None
    follows = True
    keeps_law = True

    def start(self, first, channels, generator):
        noise = make_carrier(self.name).start(first, channels, generator)
        if self.fault == "global":
            noise = replace(noise, values=torch.randn_like(noise.values))
        return replace(noise, values=2 * noise.values) if self.fault == "loud" else noise

    def carry(self, noise, step, generator):
        if self.fault == "size" and noise.values.shape[1:] != step.size:
            return noise
        moved = make_carrier(self.name).carry(noise, step, generator).values
        if self.fault == "in place":
            noise.values.copy_(moved)
            return noise
        return CarriedNoise(moved)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("global", "a generator of one seed must give the same noise"),
        ("loud", "of the first frame must have unit variance, got 4"),
        ("in place", "changed in place"),
        ("size", "a map of another size than the noise was accepted"),
    ],
)
def test_the_contract_detects_a_carrier_that_breaks_it(fault, message):
    with pytest.raises(AssertionError, match=message):
        check_noise_carrier(Claims("discrete", fault))
