"""Time laws: the formulas of the papers, and refusals; that each is one law is in ``test_each_part``."""

import math

import pytest
import torch

from corrwise.predictors.generative import make_time_law


def test_shift_moves_the_noise_time() -> None:
    t = torch.linspace(0.01, 0.99, 9, dtype=torch.float64)
    tau, s = 1 - t, 5
    torch.testing.assert_close(1 - make_time_law("shifted:shift=5").quantile(t), s * tau / (1 + (s - 1) * tau))


def test_formulas_of_the_papers() -> None:
    u = torch.linspace(0.01, 0.99, 9, dtype=torch.float64)
    s = 1.29  # the paper's map falls from 1 to 0; a uniform u and 1 - u are the same law
    mode = 1 - u - s * (torch.cos(math.pi * u / 2) ** 2 - 1 + u)
    torch.testing.assert_close(make_time_law("mode").quantile(1 - u), mode)
    torch.testing.assert_close(make_time_law("cosmap").quantile(u), 1 - 1 / (torch.tan(math.pi / 2 * u) + 1))
    normal = torch.special.ndtri(u)
    skewed = 1 / (1 + torch.exp(1.2 * normal - 1.2))
    torch.testing.assert_close(make_time_law("skewed").quantile(1 - u), skewed)
    torch.testing.assert_close(make_time_law("logit-normal:mean=0.5").quantile(u), torch.sigmoid(0.5 + normal))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("uniforn", "unknown time law 'uniforn' .did you mean uniform"),
        ("uniform:mean=1", "time law uniform has no options, got 'mean'"),
        ("logit-normal:men=1", "unknown option of logit-normal 'men' .did you mean mean"),
        ("logit-normal:std=0", "expected a number of at least 0.001 as std, got 0"),
        ("mode:scale=1.9", r"expected a number in \[-0.99, 1.75\] as scale, got 1.9"),
        ("shifted:shift=x", "as shift, got 'x'"),
    ],
)
def test_what_is_no_law_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make_time_law(text)


def test_an_interval_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"low must be below high, got 0.5 and 0.5"):
        make_time_law("uniform").sample(3, torch.Generator(), 0.5, 0.5)
    with pytest.raises(ValueError, match=r"t must lie in \[0, 1\], got 1.5"):
        make_time_law("uniform").sample(3, torch.Generator(), 0.5, 1.5)
