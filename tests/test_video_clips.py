"""Cutting videos into clips: squares of consecutive frames, of which the last ones are held out."""

import cv2
import numpy as np

from corrwise.experiments.report.video import write_video
from tools.video_clips import Cut, main


def test_the_end_of_a_video_is_held_out_and_still_squares_are_left_out(tmp_path):
    frames = np.zeros((13, 64, 96, 3), dtype=np.uint8)
    for k in range(13):
        frames[k, 10:20, 2 * k : 2 * k + 10] = 255  # moves in the upper left square
    write_video(tmp_path / "bar.mp4", frames, fps=5)
    main(Cut(tmp_path / "out", (tmp_path / "bar.mp4",), frames=4, held=0.3))
    names = {part: sorted(each.name for each in (tmp_path / "out" / part).iterdir()) for part in ("train", "held")}
    assert names == {"train": ["bar-00-0-0", "bar-01-0-0"], "held": ["bar-02-0-0"]}
    images = sorted((tmp_path / "out" / "train" / "bar-01-0-0").iterdir())
    assert [path.name for path in images] == [f"{k:04d}.png" for k in range(4)]
    shown = cv2.imread(str(images[0]))
    assert shown.shape == (32, 32, 3)
    assert shown[15, 13].min() > 200, "frame 4 of the video: the bar begins at pixel 8"
    assert shown[15, 3].max() < 60
