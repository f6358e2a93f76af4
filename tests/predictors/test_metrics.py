"""Metrics of predicted frames: what their numbers mean."""

from __future__ import annotations

import pytest
import torch

from corrwise.predictors.metrics import METRICS, frame_metrics
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
    page = (ROOT / "docs" / "train_a_predictor.md").read_text()
    assert "noise on a blurred frame raises sharpness" in " ".join(page.split())


def test_a_frame_that_is_not_finite_counts_as_black():
    true, last = torch.stack([_square(6), _square(9)])[None], _square(3)[None]
    broken = true.clone()
    broken[0, 1, 0, 3, 3] = torch.nan
    black = torch.stack([_square(6), torch.zeros(3, 24, 24)])[None]
    first, second = (frame_metrics(shown, true, last) for shown in (broken, black))
    assert all(torch.equal(first[name], second[name]) for name in METRICS)
