"""Time laws: density, distribution, quantile and samples of each agree, and the formulas are the papers'."""

import math

import pytest
import torch
from scipy.stats import kstest

from corrwise.predictors.generative import TIME_LAWS, make_time_law

LAWS = [*TIME_LAWS, "logit-normal:mean=1,std=0.5", "mode:scale=-0.5", "skewed:mean=-0.4", "shifted:shift=0.5"]


@pytest.mark.parametrize("text", LAWS)
def test_density_integrates_to_the_distribution(text: str) -> None:
    law = make_time_law(text)
    t = torch.linspace(0, 1, 40_001, dtype=torch.float64)
    middles = (t[1:] + t[:-1]) / 2
    density = law.density(middles)
    assert (density > 0).all()
    grown = torch.cumsum(density * (t[1:] - t[:-1]), 0)
    assert abs(float(grown[-1]) - 1) < 1e-6
    torch.testing.assert_close(law.distribution(t[1:]), grown, rtol=0, atol=1e-6)


@pytest.mark.parametrize("text", LAWS)
def test_quantile_inverts_the_distribution(text: str) -> None:
    law, u = make_time_law(text), torch.linspace(0, 1, 101, dtype=torch.float64)
    torch.testing.assert_close(law.distribution(law.quantile(u)), u, rtol=0, atol=1e-12)
    assert law.quantile(u[[0, -1]]).tolist() == [0, 1]


@pytest.mark.parametrize("text", LAWS)
@pytest.mark.parametrize("ends", [(0.0, 1.0), (0.2, 0.6)])
def test_samples_follow_the_law_restricted_to_an_interval(text: str, ends: tuple[float, float]) -> None:
    law = make_time_law(text)
    drawn = law.sample(4000, torch.Generator().manual_seed(3), *ends)
    assert drawn.dtype == torch.float32
    assert drawn.shape == (4000,)
    assert ends[0] <= drawn.min()
    assert drawn.max() <= ends[1]
    low, high = law.distribution(torch.tensor(ends, dtype=torch.float64))

    def distribution(t: object) -> object:
        return ((law.distribution(torch.as_tensor(t, dtype=torch.float64)) - low) / (high - low)).numpy()

    assert kstest(drawn.double().numpy(), distribution).pvalue > 0.01


def test_samples_come_from_the_generator() -> None:
    law = make_time_law("mode")
    first, again = (law.sample(5, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, law.sample(5, torch.Generator().manual_seed(2)))


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


@pytest.mark.parametrize("text", LAWS)
def test_the_text_of_a_law_makes_it_again(text: str) -> None:
    law = make_time_law(text)
    assert make_time_law(str(law)) == law
    assert str(law) == text
