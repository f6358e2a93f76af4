"""Strips keep every pixel."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from corrwise.experiments.report.strip import make_strip, save_strip


def frames(rows=4, steps=5, side=8):
    return np.random.default_rng(0).integers(0, 256, (rows, steps, side, side, 3), dtype=np.uint8)


def test_every_frame_comes_back_from_the_file(tmp_path):
    clip = frames()
    strip = make_strip([list(row) for row in clip])
    assert strip.shape == (32, 40, 3)
    np.testing.assert_array_equal(strip[8:16, 24:32], clip[1, 3])
    save_strip(tmp_path / "episodes" / "a.png", strip)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "episodes" / "a.png"))[..., ::-1], strip)
    assert [path.name for path in (tmp_path / "episodes").iterdir()] == ["a.png"]


def test_wrong_frames_are_named():
    clip = [list(row) for row in frames()]
    with pytest.raises(ValueError, match=r"got lengths \[5, 4\]"):
        make_strip([clip[0], clip[1][:4]])
    with pytest.raises(ValueError, match=r"got float64 \(8, 8, 3\)"):
        make_strip([[clip[0][0], clip[0][1] / 255.0]])
    with pytest.raises(ValueError, match=r"got uint8 \(4, 8, 3\)"):
        make_strip([[clip[0][0], clip[0][1][:4]]])
    with pytest.raises(ValueError, match="above zero"):
        make_strip([])
