"""Short videos of labelled panels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

Array = np.ndarray
BAND = 18  # pixels above each panel for its label
GAP = 6
INK, PAPER = (232, 232, 232), (24, 25, 28)


def write_video(path: Path, frames: Array, *, fps: int = 10) -> None:
    """Write frames, uint8 (T, H, W, 3), as an mp4 that browsers play (H.264, yuv420p, index first).

    Odd sizes get their last line or column repeated, because yuv420p halves both. The file appears as a whole.
    """
    frames = np.asarray(frames)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise ValueError(f"expected frames as uint8 (T, H, W, 3), got {frames.dtype} {frames.shape}")
    from corrwise.predictors.data.formats.video_encoding import encode_video  # reports need no torch

    encode_video(path, frames, rate=fps)


def label_panels(panels: Mapping[str, Array], *, scale: int = 4) -> Array:
    """Set clips, name -> uint8 (T, h, w, 3), side by side, enlarged without smoothing, each under its name."""
    shapes = {name: clip.shape for name, clip in panels.items()}
    if not shapes or len(set(shapes.values())) != 1:
        raise ValueError(f"expected clips of one shape (T, h, w, 3), got {shapes}")
    steps, height, width, _ = next(iter(shapes.values()))
    step_x = width * scale + GAP
    banner = _banner(list(panels), step_x=step_x, width=len(panels) * step_x - GAP)
    canvas = np.empty((steps, BAND + height * scale, *banner.shape[1:]), dtype=np.uint8)
    canvas[:] = PAPER
    canvas[:, :BAND] = banner
    for index, clip in enumerate(panels.values()):
        left = index * step_x
        canvas[:, BAND:, left : left + width * scale] = clip.repeat(scale, axis=1).repeat(scale, axis=2)
    return canvas


def _banner(names: list[str], *, step_x: int, width: int) -> Array:
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (width, BAND), PAPER)
    draw = ImageDraw.Draw(image)
    for index, name in enumerate(names):
        draw.text((index * step_x + 4, BAND // 2), name, fill=INK, font=ImageFont.load_default(12), anchor="lm")
    return np.asarray(image)
