"""Videos decode to what went in, in the format that browsers play, and appear as a whole."""

from __future__ import annotations

import numpy as np
import pytest

from corrwise.experiments.report.video import BAND, GAP, label_panels, write_video


def clip(steps=12, height=32, width=48):
    frames = np.full((steps, height, width, 3), 40, np.uint8)
    for t in range(steps):
        frames[t, 8:24, 2 * t : 2 * t + 16] = (220, 120, 60)
    return frames


@pytest.mark.parametrize("size", [(32, 48), (33, 47)])
def test_a_video_decodes_to_its_frames(tmp_path, size):
    av = pytest.importorskip("av")
    frames, path = clip(12, *size), tmp_path / "episodes" / "a.mp4"
    write_video(path, frames, fps=8)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert float(stream.average_rate) == 8
        decoded = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])
    assert decoded.shape == (12, size[0] + size[0] % 2, size[1] + size[1] % 2, 3)
    assert np.abs(decoded[:, : size[0], : size[1]].astype(int) - frames).mean() < 6
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "the index comes first, so that playback starts at once"
    assert [file.name for file in path.parent.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((3, 8, 8, 3)), "float64"),
        (np.zeros((8, 8, 3), np.uint8), r"\(8, 8, 3\)"),
        (np.zeros((0, 8, 8, 3), np.uint8), r"\(0, 8, 8, 3\)"),
        (np.zeros((3, 3, 8, 8), np.uint8), r"\(3, 3, 8, 8\)"),
    ],
)
def test_wrong_frames_are_refused_and_nothing_is_written(tmp_path, frames, message):
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path / "a.mp4", frames)
    assert list(tmp_path.iterdir()) == []


def test_panels_stand_side_by_side_under_their_names():
    one, two = clip(), clip()[::-1]
    video = label_panels({"goal": one, "seen": two}, scale=3)
    assert video.shape == (12, BAND + 96, 2 * 144 + GAP, 3)
    np.testing.assert_array_equal(video[:, BAND + 1 :: 3, 1:144:3], one)
    np.testing.assert_array_equal(video[:, BAND + 1 :: 3, 144 + GAP + 1 :: 3], two)
    assert video[0, :BAND, :60].max() > 150, "the label is drawn"
    with pytest.raises(ValueError, match="one shape"):
        label_panels({"goal": one, "seen": two[:3]})
