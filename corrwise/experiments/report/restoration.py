"""The report of a restored video: frames, the flow that they follow, warping errors over time and where it flickers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from corrwise._writing import write_aside
from corrwise.costs.flow_colors import flow_to_rgb
from corrwise.experiments.report.table import markdown_table, number

__all__ = ["Reported", "draw_restoration", "restoration_table"]

_SIDE, _DPI = 1.8, 100  # inches of a frame
_CENTRED: Any = {"ha": "center", "va": "center", "fontsize": 8, "color": "0.4"}

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Reported:
    """What a report draws.

    Attributes:
        damaged, restored: some frames by their number, uint8 (h, w, 3).
        flows: of these frames, the point (x, y) of the frame before of each pixel, (h, w, 2).
        flicker: root of the mean squared warping difference of each pixel over time, (h, w) in [0, 1].
        whole: whether the whole frames are known.
    """

    damaged: dict[int, np.ndarray]
    restored: dict[int, np.ndarray]
    flows: dict[int, np.ndarray]
    flicker: np.ndarray
    whole: bool


def draw_restoration(path: Path, reported: Reported, rows: Sequence[Row]) -> None:
    """Draw damaged and restored frames with their flow; below, warping errors over time and the map of the flicker."""
    from matplotlib.figure import Figure

    numbers = sorted(reported.restored)
    figure = Figure(figsize=(_SIDE * len(numbers) + 0.6, _SIDE * 5), layout="constrained")
    halves: Any = figure.subfigures(2, 1, height_ratios=(3, 2))
    top, bottom = halves
    axes = top.subplots(3, len(numbers), squeeze=False)
    for column, key in enumerate(numbers):
        ys, xs = np.mgrid[: reported.flows[key].shape[0], : reported.flows[key].shape[1]]
        flow = reported.flows[key] - np.stack((xs, ys), axis=-1)
        images = reported.damaged[key], reported.restored[key], flow_to_rgb(flow.transpose(2, 0, 1))
        for axis, image in zip(axes[:, column], images, strict=True):
            axis.set(xticks=[], yticks=[])
            axis.imshow(image, interpolation="nearest")
        if key == 0:
            axes[2, column].text(0.5, 0.5, "no frame before", transform=axes[2, column].transAxes, **_CENTRED)
        axes[0, column].set_title(f"frame {key}", fontsize=9)
    for axis, name in zip(axes[:, 0], ("damaged", "restored", "flow"), strict=True):
        axis.set_ylabel(name, fontsize=9)
    curve, flicker = bottom.subplots(1, 2)
    ordered = sorted(rows, key=lambda row: row["frame"])
    for name, label in (("warping_previous", "frame before"), ("warping_first", "first frame")):
        points = [(row["frame"], row[name]) for row in ordered if row.get(name) is not None]
        if points:
            curve.plot(*zip(*points, strict=True), label=label)
    curve.set_title("warping error", fontsize=9)
    curve.set_xlabel("frame", fontsize=8)
    curve.set_ylabel("mean square, values in [0, 1]", fontsize=8)
    curve.legend(fontsize=8)
    drawn = flicker.imshow(reported.flicker, cmap="magma", vmin=0)
    flicker.set(xticks=[], yticks=[])
    flicker.set_title("flicker: root mean square, values in [0, 1]", fontsize=9)
    bottom.colorbar(drawn, ax=flicker)
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=_DPI)


def restoration_table(rows: Sequence[Row]) -> str:
    """Return the means over frames as a table."""
    names = {
        "warping_previous": "warping error, frame before",
        "warping_first": "first frame",
        "psnr": "PSNR, dB",
        "visible": "share visible before",
    }
    values = {name: [row[name] for row in rows if row.get(name) is not None] for name in names}
    digits = {"warping_previous": 6, "warping_first": 6, "psnr": 2, "visible": 3}
    cells = [number(float(np.mean(values[name])) if values[name] else None, digits[name]) for name in names]
    return markdown_table(("frames", *names.values()), [(str(len(rows)), *cells)])
