"""The figure of ``corrwise table noise-carriers``: noise along the drawn scene and along moving planes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise._writing import write_aside
from corrwise.envs.arrays import to_uint8
from corrwise.experiments.cli.table_noise_carriers import SCENE, NoiseCarrierTableConfig
from corrwise.experiments.studies.noise_carriers.motions import maps_of, scene
from corrwise.predictors.restoration import carried_noise, make_carrier

__all__ = ["draw_carriers"]

SLICE = 3  # times as many frames as the table has: rows of a slice through time
RANGE = 2.5  # standard deviations from black to white
_SIDE, _DPI = 1.35, 110  # inches of a frame

Frames = Sequence[Float[Tensor, "3 h w"]]


def draw_carriers(path: Path, config: NoiseCarrierTableConfig) -> None:
    """Draw the noise of each carrier in frames of the scene, slices through time, and the last frame of a zoom.

    A slice has one row for each frame, from top to bottom: the row of pixels at the height of the car. What stands
    still makes vertical lines in it, and what moves slanting ones.
    """
    from matplotlib.figure import Figure

    count, row = SLICE * config.warps + 1, round(0.7 * config.size)
    video = list(scene(config, count)[0])
    lines: dict[str, list[Tensor | None]] = {"scene": [*_shown(video), _slice(video, row), None, None]}
    for name in config.carriers:
        noise, drift = (_noise(name, motion, config, count) for motion in (SCENE, "drift"))
        zoom = _noise(name, "zoom", config, config.warps + 1)
        lines[name] = [*_shown(noise), _slice(noise, row), _slice(drift, row), zoom[-1]]
    titles = [*(f"frame {number}" for number in (0, count // 2, count - 1)), "a row in time"]
    titles += ["drift: a row in time", f"zoom: frame {config.warps}"]
    figure = Figure(figsize=(_SIDE * len(titles) + 0.4, _SIDE * len(lines) + 0.3), layout="constrained")
    axes = figure.subplots(len(lines), len(titles), squeeze=False)
    for axis_row, (name, images) in zip(axes, lines.items(), strict=True):
        for axis, image in zip(axis_row, images, strict=True):
            axis.set(xticks=[], yticks=[])
            if image is None:
                axis.axis("off")
            else:
                axis.imshow(to_uint8(image[None])[0], interpolation="nearest", aspect="auto")
        axis_row[0].set_ylabel(name, fontsize=9)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=9)
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=_DPI)


def _noise(name: str, motion: str, config: NoiseCarrierTableConfig, frames: int) -> Frames:
    """Return the noise of each frame of a motion as grey images."""
    generator = torch.Generator("cpu").manual_seed(0)
    noise = carried_noise(make_carrier(name), maps_of(motion, config, frames), 1, generator)
    return [(each / (2 * RANGE) + 0.5).clamp(0, 1).expand(3, -1, -1) for each in noise]


def _shown(frames: Frames) -> Frames:
    return [frames[0], frames[len(frames) // 2], frames[-1]]


def _slice(frames: Frames, row: int) -> Float[Tensor, "3 n w"]:
    return torch.stack([frame[:, row] for frame in frames], dim=1)
