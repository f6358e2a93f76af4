"""How arms differ from any one of them: metrics and measures of the drawn body, paired by clip."""

import json

import pytest
import torch

from tools.paired_arms import paired_arms
from tools.predicted_bodies import MEASURES, ROWS, body_measures


def _bar(left, width, level=1.0):
    frame = torch.zeros(3, 16, 16, dtype=torch.float32, device="cpu")
    frame[:, 4:8, left : left + width] = level
    return frame


def test_half_a_body_behind_its_place_on_a_grey_background_is_measured():
    true, last, background = _bar(6, 4)[None, None], _bar(4, 4)[None], _bar(0, 0)
    whole = body_measures(true, true, last, background)
    assert {name: float(value) for name, value in whole.items()} == {"drawn": 1, "place": 0, "ahead": 0, "still": 0}
    half = body_measures(_bar(5, 4, 0.5)[None, None].clamp_min(0.02), true, last, background)
    assert float(half["drawn"]) == pytest.approx(0.5)
    assert float(half["place"]) == pytest.approx(1.0)
    assert float(half["ahead"]) == pytest.approx(-1.0), "the body moved right"
    assert float(half["still"]) == pytest.approx(255 * 0.02)
    none = body_measures(background[None, None], true, last, background)
    assert float(none["drawn"]) == 0
    assert bool(none["place"].isnan())


def test_arms_are_compared_with_any_of_them_clip_by_clip(tmp_path):
    frames, bodies = tmp_path / "frames" / "cartpole" / "rows.jsonl", tmp_path / ROWS
    frames.parent.mkdir(parents=True)
    bodies.parent.mkdir()
    for arm, better in (("resnet3d-l1", 0.0), ("resnet3d-corr-l1:flow=dis", 0.1), ("resnet3d-corr-l1", 0.3)):
        for clip in range(3):
            about = {"model": f"{arm}-0", "weights": arm, "window": clip, "clip": clip}
            metrics = {"psnr": [30.0 + clip + better, None], "ssim": [0.9, 0.9], "sharpness": [0.5, None]}
            with frames.open("a") as file:
                file.write(json.dumps(about | metrics) + "\n")
            with bodies.open("a") as file:
                file.write(json.dumps(about | {name: [better] for name in MEASURES}) + "\n")
    table = paired_arms(tmp_path, "resnet3d-corr-l1:flow=dis")
    line = next(line for line in table.splitlines() if line.startswith("| `resnet3d-corr-l1` |"))
    assert "31.300 | +0.200 (+0.200 to +0.200) | 0.900 |" in line
    assert line.endswith("| 0.300 | +0.200 (+0.200 to +0.200) |")
    with pytest.raises(ValueError, match=r"expected one of resnet3d-l1, .* as baseline, got svg-mse"):
        paired_arms(tmp_path, "svg-mse")
