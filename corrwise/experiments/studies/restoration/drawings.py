"""The figure of ``corrwise table restoration``: frames by each carrier, and a row of pixels in time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from corrwise._files import reading
from corrwise._writing import write_aside
from corrwise.experiments.cli.table_restoration import RestorationTableConfig
from corrwise.experiments.runs.rows import Row
from corrwise.experiments.studies.restoration.measure import strip_file

__all__ = ["draw_frames"]

COLUMNS = 4  # frames of the video that are drawn
_SIDE, _DPI = 1.2, 110  # inches of a frame


def draw_frames(path: Path, config: RestorationTableConfig, rows: Sequence[Row]) -> None:
    """Draw the first video by each carrier, flow and noise, of the first model: frames, and the middle row in time.

    A slice has one row for each frame, from top to bottom. What moves evenly makes slanting lines in it, what flickers
    makes broken ones. Nothing is drawn without strips of the first video.
    """
    from matplotlib.figure import Figure

    strips: dict[str, UInt8[np.ndarray, "n h w 3"]] = {}
    for row in rows:
        words = (row["carrier"], row["flow"], row["model"])
        file = strip_file(config.out, *words, 0)
        label = "\n".join(
            [row["carrier"], *filter(None, (row.get("noise"),)), *([row["flow"]] if row["model"] else [])]
        )
        if row["video"] == 0 and label not in strips and file.is_file():
            strips[label] = _frames(file, config.frames)
    if not strips:
        return
    numbers = sorted({round(i * (config.frames - 1) / (COLUMNS - 1)) for i in range(COLUMNS)})
    size = (_SIDE * (len(numbers) + 1) + 0.6, _SIDE * len(strips) + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(strips), len(numbers) + 1, squeeze=False)
    for line, (label, frames) in zip(axes, strips.items(), strict=True):
        images = [*frames[numbers], frames[:, frames.shape[1] // 2]]
        for axis, image in zip(line, images, strict=True):
            axis.set(xticks=[], yticks=[])
            axis.imshow(image, interpolation="nearest", aspect="auto")
        line[0].set_ylabel(label, fontsize=7)
    for axis, title in zip(axes[0], [*(f"frame {each}" for each in numbers), "middle row in time"], strict=True):
        axis.set_title(title, fontsize=8)
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=_DPI)


def _frames(file: Path, count: int) -> UInt8[np.ndarray, "n h w 3"]:
    from PIL import Image

    with reading(file, "is no strip of frames; delete it"):
        strip = np.asarray(Image.open(file).convert("RGB"))
        return np.stack(np.split(strip, count, axis=1))
