"""Cutting videos into clips: squares of consecutive frames, of which the last ones are held out."""

import cv2
import numpy as np

from corrwise.experiments.report.video import write_video
from tools.video_clips import Cut, clip_starts, main


def test_the_end_of_a_video_is_held_out_and_still_squares_are_left_out(tmp_path):
    frames = np.zeros((13, 64, 96, 3), dtype=np.uint8)
    for k in range(13):
        frames[k, 10:20, 2 * k : 2 * k + 10] = 255  # moves in the upper left square
    write_video(tmp_path / "bar.mp4", frames, fps=5)
    main(Cut(tmp_path / "out", (tmp_path / "bar.mp4",), frames=4, held=0.3))
    names = {part: sorted(each.name for each in (tmp_path / "out" / part).iterdir()) for part in ("train", "held")}
    assert names == {"train": ["bar-00-000-000", "bar-01-000-000"], "held": ["bar-02-000-000"]}
    images = sorted((tmp_path / "out" / "train" / "bar-01-000-000").iterdir())
    assert [path.name for path in images] == [f"{k:04d}.png" for k in range(4)]
    shown = cv2.imread(str(images[0]))
    assert shown.shape == (32, 32, 3)
    assert shown[15, 13].min() > 200, "frame 4 of the video: the bar begins at pixel 8"
    assert shown[15, 3].max() < 60


def test_no_clip_has_frames_of_two_scenes():
    frames = np.zeros((20, 4, 4, 3), dtype=np.uint8)
    frames[7:] = 200
    assert clip_starts(frames, 5, cut=30) == [0, 7, 12]


def test_squares_to_learn_from_overlap_with_a_stride_and_held_out_ones_do_not(tmp_path):
    frames = np.random.default_rng(0).integers(0, 20, (8, 64, 64, 3), dtype=np.uint8)
    write_video(tmp_path / "noise.mp4", frames, fps=5)
    main(Cut(tmp_path / "out", (tmp_path / "noise.mp4",), frames=4, held=0.5, stride=16, least=0))
    counts = {part: len(list((tmp_path / "out" / part).iterdir())) for part in ("train", "held")}
    assert counts == {"train": 9, "held": 4}
