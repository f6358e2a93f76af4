"""Energy score, best and mean of several futures, and the baseline with residuals."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from corrwise.costs import ssim
from corrwise.predictors import CopyLast
from corrwise.predictors.metrics import gradient_error, psnr
from corrwise.predictors.models.residuals import WithResiduals
from corrwise.predictors.sample_metrics import SAMPLED, SampleMetrics, energy_score
from corrwise.testing import check_predictor
from corrwise.types import Context


def images(*shape, seed=0):
    return torch.rand(*shape, 3, 12, 12, generator=torch.Generator().manual_seed(seed))


def norm(difference):
    return float(difference.double().square().sum().sqrt())


def test_the_energy_score_is_its_definition_over_all_pairs():
    futures, true = images(2, 5, 3, seed=1), images(2, 3, seed=2)
    wanted = torch.empty(2, 3)
    for n in range(2):
        for t in range(3):
            away = sum(norm(futures[n, i, t] - true[n, t]) for i in range(5)) / 5
            apart = sum(norm(futures[n, i, t] - futures[n, j, t]) for i in range(5) for j in range(5)) / 20
            wanted[n, t] = away - apart / 2
    torch.testing.assert_close(energy_score(futures, true).float(), wanted)
    assert energy_score(true[:, None], true).abs().max() == 0, "the truth itself"


def test_the_energy_score_is_proper_and_its_estimate_unbiased():
    """Truth and futures are one of two images, with probability p: the expected score is least at the true p."""
    one, two = images(1, 1, seed=1), images(1, 1, seed=2)
    length, generator = norm(one - two), torch.Generator().manual_seed(0)

    def expected(p, true_p=0.3):  # in closed form: E|X - y| - E|X - X'| / 2
        return length * (p * (1 - true_p) + (1 - p) * true_p - p * (1 - p))

    assert min((expected(p / 10), p) for p in range(11))[1] == 3
    for p in (0.3, 0.6):
        drawn = torch.rand(4000, 3, 1, generator=generator)[..., None, None, None] < p
        came = torch.rand(4000, 1, generator=generator)[..., None, None, None] < 0.3
        scores = energy_score(torch.where(drawn, one[None], two[None]), torch.where(came, one, two))
        assert float(scores.mean()) == pytest.approx(expected(p), abs=4 * float(scores.std()) / 4000**0.5)


def test_chunks_give_the_same_but_for_the_pairs_between_them():
    futures, true = images(2, 6, 3, seed=1), images(2, 3, seed=2)
    whole, parts = SampleMetrics(true), SampleMetrics(true)
    whole.add(futures)
    for chunk in futures.split(2, dim=1):
        parts.add(chunk)
    one, two = whole.result(), parts.result()
    assert set(one) == set(two) == set(SAMPLED)
    for name in SAMPLED:
        if name != "energy":
            torch.testing.assert_close(one[name], two[name], msg=name)
    assert not torch.equal(one["energy"], two["energy"])
    torch.testing.assert_close(one["energy"], two["energy"], rtol=0.1, atol=0)


def test_best_mean_and_spread():
    true = images(1, 4, seed=3)
    futures = torch.stack([true + 0.1, true - 0.1, true + 0.02 * images(1, 4, seed=4)], dim=1)
    metrics = SampleMetrics(true)
    metrics.add(futures)
    result = metrics.result()
    torch.testing.assert_close(result["best_psnr"], psnr(futures[:, 2], true).double())
    torch.testing.assert_close(result["best_ssim"], (1 - 2 * ssim(futures[:, 2], true)).double())
    mean = futures.mean(dim=1)
    torch.testing.assert_close(result["mean_psnr"], psnr(mean, true).double(), rtol=1e-3, atol=0)
    variance = futures.var(dim=1).mean(dim=(-3, -2, -1))
    torch.testing.assert_close(result["spread"].float(), variance, rtol=1e-4, atol=0)
    errors = torch.stack([gradient_error(each, true) for each in futures.unbind(1)]).mean(0)
    torch.testing.assert_close(result["sample_gradient_error"].float(), errors)


def test_one_future_has_the_score_of_a_point_forecast():
    true, made = images(2, 3, seed=1), images(2, 1, 3, seed=2)
    metrics = SampleMetrics(true)
    metrics.add(made)
    result = metrics.result()
    assert float(result["energy"][1, 2]) == pytest.approx(norm(made[1, 0, 2] - true[1, 2]))
    assert result["spread"].abs().max() == 0
    torch.testing.assert_close(result["best_psnr"], result["mean_psnr"], rtol=1e-4, atol=0)


def test_frames_that_are_not_finite_count_as_black():
    true, futures = images(2, 3, seed=1), images(2, 4, 3, seed=2)
    futures[1, 2, 0, 1, 3, 3] = torch.nan
    metrics = SampleMetrics(true)
    metrics.add(futures)
    assert metrics.broken.tolist() == [0, 1]
    black = futures.clone()
    black[1, 2, 0] = 0
    assert torch.equal(metrics.result()["energy"], energy_score(black, true))


def context(batch=2):
    generator = torch.Generator().manual_seed(5)
    frames = torch.rand(batch, 2, 3, 16, 16, generator=generator)
    return Context(frames, torch.zeros(batch, 1, 2), None)


def test_residuals_are_added_to_each_future_and_kept_in_range():
    residuals = torch.stack([torch.full((3, 3, 16, 16), value) for value in (-0.1, 0.0, 0.3)])
    model = WithResiduals(CopyLast(), lambda: residuals)
    seen, actions = context(), torch.zeros(2, 4, 3, 2)
    assert torch.equal(model(seen, actions), CopyLast()(seen, actions)), "no generators, no residuals"
    generators = [torch.Generator().manual_seed(k) for k in range(2)]
    frames = model(seen, actions, generators=generators, steps=[2, 0])
    last = seen.frames[:, -1]
    for k in range(2):
        assert any(torch.equal(frames[k, 0, 0], (last[k] + value[0]).clamp(0, 1)) for value in residuals)
        assert torch.equal(frames[k, 0], frames[k, 3]), "candidates share the residual"
    with pytest.raises(ValueError, match="expected residuals of 4 frames"):
        model(seen, torch.zeros(2, 1, 4, 2), generators=generators)


def test_residuals_keep_the_contract_of_predictors():
    residuals = 0.1 * torch.randn(5, 8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    seen = replace(context(3), state=np.zeros((3, 2)))
    check_predictor(WithResiduals(CopyLast(), lambda: residuals), seen, torch.zeros(3, 4, 5, 2))
