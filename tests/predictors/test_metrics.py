"""Metrics of predicted frames: what their numbers mean."""

from __future__ import annotations

import pytest
import torch

from corrwise.predictors.metrics import METRICS, frame_metrics, gradient_error
from tests.snippets import ROOT


def _square(at, blur=0):
    frame = torch.zeros(3, 24, 24)
    frame[:, 8:16, at : at + 6] = 1.0
    if blur:
        kernel = torch.ones(3, 1, blur, blur) / blur**2
        frame = torch.nn.functional.conv2d(frame[None], kernel, padding=blur // 2, groups=3)[0]
    return frame


def test_a_frame_that_is_right_is_as_good_as_can_be():
    true = torch.stack([_square(6), _square(9)])[None]
    metrics = frame_metrics(true, true, _square(3)[None])
    assert set(METRICS) <= metrics.keys()
    for name, best in (("psnr", 100.0), ("ssim", 1.0), ("sharpness", 1.0)):
        assert metrics[name][0].tolist() == pytest.approx([best, best])


def test_psnr_is_that_of_the_mean_squared_error():
    true = torch.full((1, 1, 3, 24, 24), 0.5)
    metrics = frame_metrics(true + 0.1, true, true[:, 0])
    assert metrics["psnr"].item() == pytest.approx(20.0, abs=1e-3)
    assert metrics["sharpness"].isnan().all(), "nothing has moved"


def test_blur_and_absence_are_less_sharp():
    true, last = _square(9)[None, None], _square(3)[None]
    sharpness = [
        float(frame_metrics(s[None, None], true, last)["sharpness"])
        for s in (_square(9, 3), _square(9, 5), 0 * last[0])
    ]
    assert 1 > sharpness[0] > sharpness[1] > sharpness[2] == 0
    noise = torch.rand(3, 24, 24, generator=torch.Generator().manual_seed(0))
    (noisy,) = frame_metrics((_square(9) + noise)[None, None], true, last)["sharpness"].flatten().tolist()
    assert noisy < sharpness[0], "so much noise is no gain"


def test_a_little_noise_on_a_blurred_frame_counts_as_sharpness_which_the_docs_say():
    true, last = _square(9)[None, None], _square(3)[None]
    noise = 0.05 * torch.randn(3, 24, 24, generator=torch.Generator().manual_seed(0))
    blurred, noisy = ((_square(9, 5) + added)[None, None] for added in (0, noise))
    first, second = (frame_metrics(each, true, last) for each in (blurred, noisy))
    assert second["sharpness"] > first["sharpness"]
    assert second["psnr"] < first["psnr"]
    assert second["gradient_error"] > first["gradient_error"], "which noise cannot win"
    page = (ROOT / "docs" / "train_a_predictor.md").read_text()
    assert "noise on a blurred frame raises sharpness" in " ".join(page.split())


@pytest.mark.parametrize("blur", [0, 3, 5])
@pytest.mark.parametrize("level", [0.02, 0.05, 0.2])
def test_noise_raises_the_error_of_the_gradient(blur, level):
    true, generator = _square(9), torch.Generator().manual_seed(1)
    shown = 0.2 + 0.6 * _square(9, blur)  # within [0, 1] also with the noise, for most of it
    noisy = (shown + level * torch.randn(200, 3, 24, 24, generator=generator)).clamp(0, 1)
    errors = gradient_error(noisy, true.expand_as(noisy))
    assert errors.mean() > gradient_error(shown, true), "on average"
    assert (errors > gradient_error(shown, true)).float().mean() > 0.99, "and nearly always"


def test_the_error_of_the_gradient_is_its_mean_length_in_levels():
    ramp = torch.linspace(0, 1, 11).expand(3, 8, 11)  # 0.1 a pixel along x
    flat = torch.zeros(3, 8, 11)
    inner = 9 / 11 * 25.5 + 2 / 11 * 12.75  # the border is half as steep: its outer neighbour repeats it
    assert float(gradient_error(ramp, flat)) == pytest.approx(inner, rel=1e-5)
    assert float(gradient_error(ramp, ramp)) == 0
    blurred = [float(gradient_error(_square(9, blur), _square(9))) for blur in (3, 5)]
    assert 0 < blurred[0] < blurred[1]


def test_a_frame_that_is_not_finite_counts_as_black():
    true, last = torch.stack([_square(6), _square(9)])[None], _square(3)[None]
    broken = true.clone()
    broken[0, 1, 0, 3, 3] = torch.nan
    black = torch.stack([_square(6), torch.zeros(3, 24, 24)])[None]
    first, second = (frame_metrics(shown, true, last) for shown in (broken, black))
    assert all(torch.equal(first[name], second[name]) for name in METRICS)
