"""Weights: the formulas of the literature on each quantity, ranges of times, and refusals."""

from dataclasses import dataclass

import pytest
import torch

from corrwise.predictors.generative import (
    PATHS,
    Weight,
    check_weight,
    make_path,
    make_weight,
    snr,
    time_range,
    weight_of,
)

COND_OT = make_path("cond-ot")
T = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "quantity", "wanted"),
    [
        ("velocity", "data", (1 - T) ** -2),
        ("velocity", "noise", T**-2),
        ("flowfusion", "data", (1.05 - T) ** -2),
        ("data", "velocity", (1 - T) ** 2),
        ("noise", "velocity", T**2),
        ("min-snr", "data", (T / (1 - T)).square().clamp(max=5)),
        ("min-snr:gamma=3", "noise", (T / (1 - T)).square().clamp(max=3) / (T / (1 - T)).square()),
        ("min-snr", "velocity", (T / (1 - T)).square().clamp(max=5) * (1 - T) ** 2),
        ("clipped-inverse:gamma=0.5", "velocity", (0.5 / (1.05 - T)).clamp(min=1)),
        ("sigma-sqrt", "data", (1 - T) ** -2),
        ("edm", "data", (T / (1 - T)).square() + 4),
    ],
)
def test_weights_on_straight_lines(name: str, quantity: str, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(weight_of(make_weight(name), COND_OT, T, quantity), wanted)  # type: ignore[arg-type]


def test_min_snr_on_the_velocity_of_diffusion_models() -> None:
    """Their v is alpha noise - sigma data, whose error is that of the data over sigma where the squares sum to 1."""
    path = make_path("vp")
    ratio = snr(path, T)
    on_v = make_weight("min-snr")(path, T) * path.sigma(T) ** 2
    torch.testing.assert_close(on_v, ratio.clamp(max=5) / (ratio + 1))


def test_edm_is_one_on_its_preconditioned_target() -> None:
    for name in PATHS:
        path = make_path(name)
        level, of_data = path.sigma(T) / path.alpha(T), 0.5
        c_out = level * of_data / (level**2 + of_data**2).sqrt()
        torch.testing.assert_close(make_weight("edm")(path, T) * c_out**2, torch.ones_like(T))


def test_self_forcing_has_mean_one_and_is_the_limit_of_its_scheduler() -> None:
    steps = 1000
    level = torch.arange(steps, dtype=torch.float64) / steps * steps
    bump = torch.exp(-2 * ((level - steps / 2) / steps) ** 2)
    bump = bump - bump.min()
    table = bump * steps / bump.sum()
    mine = weight_of(make_weight("self-forcing"), COND_OT, 1 - level / steps, "velocity")
    torch.testing.assert_close(mine, table, rtol=0, atol=5e-3)
    assert abs(float(mine.mean()) - 1) < 1e-3


@pytest.mark.parametrize(
    ("name", "quantity", "near_ends"),
    [
        ("velocity", "velocity", False),
        ("velocity", "data", True),
        ("velocity", "noise", True),
        ("data", "data", False),
        ("data", "velocity", True),
        ("flowfusion", "data", False),
        ("min-snr", "data", True),
        ("self-forcing", "velocity", True),
    ],
)
def test_times_keep_off_the_ends_where_a_weight_is_zero_or_infinite(name: str, quantity: str, near_ends: bool) -> None:
    wanted = (1e-3, 1 - 1e-3) if near_ends else (0.0, 1.0)
    assert time_range(make_weight(name), COND_OT, quantity) == wanted  # type: ignore[arg-type]


def test_times_keep_off_an_infinite_velocity() -> None:
    assert time_range(make_weight("velocity"), make_path("vp"), "velocity") == (1e-3, 1 - 1e-3)


@dataclass(frozen=True)
class Bad(Weight):
    name = "bad"
    at_half: float = 0.0

    def factor(self, path: object, t: torch.Tensor) -> torch.Tensor:
        return torch.where((t - 0.5).abs() < 1e-9, self.at_half, 1.0)


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_a_weight_that_is_not_positive_inside_is_named_with_its_time(value: float) -> None:
    with pytest.raises(ValueError, match=rf"weight bad must be positive and finite.*got {value:g} at t = 0.5"):
        check_weight(Bad(value), COND_OT)
