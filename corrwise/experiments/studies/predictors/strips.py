"""A picture of predicted frames: what came, and under it what each model had thought, as large as the motion is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from corrwise.envs.pictures import to_uint8
from corrwise.experiments.runs.atomic import write_aside

__all__ = ["draw_strips", "moving_square"]

_WINDOWS, _COLUMNS = 6, 6  # windows, and predicted frames of each, that are shown at most
_ROWS = 24  # of frames in the picture, unless one window has more panels
_AROUND = 4  # px around what moves
_CHANGED = 12  # levels of 255 that are motion
_SIDE = 1.1  # inches of a frame


def draw_strips(path: Path, panels: Mapping[str, Float[Tensor, "n T 3 h w"]], context: int) -> None:
    """Draw frames of each panel for the first windows: the context's last, and some that are predicted.

    Args:
        path: of a PNG.
        panels: the true frames first; all begin with the same context.
        context: how many frames that is.
    """
    from matplotlib.figure import Figure

    frames = {name: to_uint8(panel) for name, panel in panels.items()}
    true = next(iter(frames.values()))
    ahead = true.shape[1] - context
    shown = np.unique(np.linspace(0, ahead, min(ahead, _COLUMNS) + 1).round().astype(int))
    windows = min(len(true), _WINDOWS, max(1, _ROWS // len(frames)))
    rows = [(name, window) for window in range(windows) for name in frames]
    figure = Figure(figsize=(_SIDE * len(shown) + 1.4, _SIDE * len(rows) + 0.3), layout="constrained")
    for line, (name, window) in zip(figure.subplots(len(rows), len(shown), squeeze=False), rows, strict=True):
        top, left, side = moving_square(true[window, context - 1 :])
        for axis, step in zip(line, shown, strict=True):
            frame = frames[name][window, context - 1 + step]
            axis.imshow(frame[top : top + side, left : left + side], interpolation="nearest")
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for axis, step in zip(figure.axes, shown, strict=False):
        axis.set_title(f"step {step}" if step else "last seen", fontsize=9)
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=80)


def moving_square(frames: UInt8[np.ndarray, "T h w 3"]) -> tuple[int, int, int]:
    """Return the top, left and side of the smallest square, inside the picture, around all that moves in a clip."""
    height, width = frames.shape[1:3]
    moved = (np.abs(frames.astype(int) - frames[0]).max(axis=(0, 3)) > _CHANGED).nonzero()
    if not len(moved[0]):
        return 0, 0, max(height, width)
    spans = [(int(where.min()) - _AROUND, int(where.max()) + 1 + _AROUND) for where in moved]
    side = min(height, width, max(end - begin for begin, end in spans))
    starts = ((begin + end - side) // 2 for begin, end in spans)
    top, left = (min(max(0, start), whole - side) for start, whole in zip(starts, (height, width), strict=True))
    return top, left, side
