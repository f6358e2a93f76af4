"""Images and videos of ``corrwise evaluate --motion``: frames with their flow, and distributions of motion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from corrwise._writing import write_aside
from corrwise.costs.motion.score import level_shares
from corrwise.envs.arrays import to_uint8
from corrwise.experiments.report.video import label_panels, write_video
from corrwise.experiments.runs.rows import Row
from corrwise.experiments.studies.motion.measure import ACCELERATIONS, LENGTHS, REAL
from corrwise.experiments.studies.predictors.evaluation import BASELINE, by_model

__all__ = ["FPS", "draw_distributions", "with_flow", "write_flow_video"]

FPS = 5
_SMALLEST = 1e-4  # share of the pixels at which the curves end
_AHEAD = 2  # times the longest true motion that is shown
_AXES = {LENGTHS: "flow length, px a frame", ACCELERATIONS: "acceleration, px a frame²"}

Array = np.ndarray


def with_flow(
    frames: Mapping[str, Float[Tensor, "n T 3 h w"]], colours: Mapping[str, UInt8[np.ndarray, "n T h w 3"]]
) -> dict[str, Float[Tensor, "n T 3 h w"]]:
    """Return panels of frames, each followed by the panel of its flow."""
    panels: dict[str, Tensor] = {}
    for name, mine in frames.items():
        flow = torch.from_numpy(np.ascontiguousarray(colours[name].transpose(0, 1, 4, 2, 3)))
        panels |= {name: mine, f"{name}: flow": flow.to(torch.float32) / 255}
    return panels


def write_flow_video(path: Path, frames: Mapping[str, Float[Tensor, "T 3 h w"]], colours: Mapping[str, Array]) -> None:
    """Write a video of the frames of each panel side by side, each above its flow."""
    panels = {name: np.concatenate([to_uint8(mine), colours[name]], axis=1) for name, mine in frames.items()}
    write_video(path, label_panels(panels), fps=FPS)


def draw_distributions(path: Path, rows: Sequence[Row]) -> None:
    """Draw which share of the pixels moves farther than a length, and changes its motion by more, a line per model."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    models, shares = by_model(rows), level_shares().numpy()
    palette = colormaps["tab10" if len(models) <= 12 else "tab20"]
    styles: dict[str, tuple[Any, str]] = {REAL: ("black", "-"), BASELINE: ("grey", "--")}
    names = [name for name in models if name not in styles]
    styles |= {name: (palette(i % palette.N), "-") for i, name in enumerate(names)}
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    axes = figure.subplots(1, 2)
    for axis, (field, label) in zip(axes, _AXES.items(), strict=True):
        longest = 0.0
        for name, mine in models.items():
            values = np.concatenate([row[field] for row in mine])
            order = values.argsort()
            above = 1 - np.tile(shares / len(mine), len(mine))[order].cumsum()
            seen = above > _SMALLEST
            longest = max(longest, *values[order][seen][-1:]) if name == REAL else longest
            color, line = styles[name]
            wide = 2.2 if name == REAL else 1.2
            axis.plot(values[order][seen], above[seen], label=name, color=color, linestyle=line, linewidth=wide)
        axis.set(xlabel=label, ylabel="share of pixels above it", yscale="log", ylim=(_SMALLEST, 1.2))
        axis.set_xlim(0, _AHEAD * longest or None)
        axis.grid(visible=True, alpha=0.25)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=110)
