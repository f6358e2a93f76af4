"""How good predicted frames are, and what rows of them say: a table, curves, and a page with videos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from corrwise._writing import write_aside
from corrwise.costs import mse, ssim
from corrwise.experiments.cli.evaluate import EvaluateConfig
from corrwise.experiments.report.images import embedded
from corrwise.experiments.report.markdown import markdown_table
from corrwise.experiments.report.page import template
from corrwise.experiments.report.statistics import mean_and_error, mean_curve

__all__ = [
    "CURVES",
    "FLOOR",
    "METRICS",
    "STRIPS",
    "broken_frames",
    "clip_means",
    "draw_curves",
    "evaluation_page",
    "evaluation_table",
    "frame_metrics",
    "lpips_at_hand",
]

METRICS = ("psnr", "ssim", "sharpness")
_LEAST = 1e-10  # mean squared error of a frame that is right to the bit, 100 dB
_MOVED = 0.04  # difference of a channel from which on a pixel counts as moved
_AROUND = 5  # pixels to a side around what moved
_LPIPS = "alexnet-owt-7be5be79.pth"  # torchvision's weights, where torch keeps downloads


def frame_metrics(
    shown: Float[Tensor, "n T 3 h w"], true: Float[Tensor, "n T 3 h w"], last: Float[Tensor, "n 3 h w"]
) -> dict[str, Float[Tensor, "n T"]]:
    """Return each metric of every frame.

    ``psnr`` in dB, of [0, 1]; ``ssim`` with a Gaussian window of 11 px, data range 1; ``sharpness``: the mean length of
    the brightness gradient around what has moved since the last frame of the context, and the true frame's, the smaller
    as a share of the larger (1 is as sharp; NaN where nothing has moved). It does not tell detail from noise: noise on
    a blurred frame raises it, so it counts beside ``psnr`` and ``ssim`` only.

    Args:
        shown: predictions; one that is not finite counts as black.
        true: what came.
        last: the last frame of the context.
    """
    shown = shown.where(shown.isfinite().flatten(2).all(2)[..., None, None, None], 0.0)
    found = {
        "psnr": -10 * torch.log10(mse(shown, true).clamp_min(_LEAST)),
        "ssim": 1 - 2 * ssim(shown, true),
        "sharpness": _sharpness(shown, true, last),
    }
    lpips = lpips_at_hand()
    return found if lpips is None else {**found, "lpips": lpips(shown, true)}


@cache
def lpips_at_hand() -> Callable[[Tensor, Tensor], Tensor] | None:
    """Return LPIPS (AlexNet, version 0.1) if its weights lie where torch keeps downloads; nothing is downloaded."""
    if not (Path(torch.hub.get_dir()) / "checkpoints" / _LPIPS).is_file():
        return None
    try:
        from torchmetrics.functional.image.lpips import _NoTrainLpips
    except ImportError:
        return None
    network = _NoTrainLpips(net="alex").eval()

    def distance(shown: Tensor, true: Tensor) -> Tensor:
        with torch.no_grad():
            values = network(2 * shown.flatten(0, 1) - 1, 2 * true.flatten(0, 1) - 1)
        return values.reshape(shown.shape[:2])

    return distance


def _sharpness(shown: Tensor, true: Tensor, last: Tensor) -> Tensor:
    moved = ((true - last[:, None]).abs() > _MOVED).any(dim=2).float()
    around = F.max_pool2d(moved, _AROUND, stride=1, padding=_AROUND // 2)
    mine, theirs = ((_gradient(frames) * around).sum(dim=(-2, -1)) for frames in (shown, true))
    return torch.where(theirs > 0, torch.minimum(mine, theirs) / torch.maximum(mine, theirs), torch.nan)


def _gradient(frames: Tensor) -> Tensor:
    """Return the length of the gradient of the brightness, by central differences, (n, T, h, w)."""
    brightness = F.pad(frames.mean(dim=2), (1, 1, 1, 1), mode="replicate")
    dx = (brightness[..., 1:-1, 2:] - brightness[..., 1:-1, :-2]) / 2
    dy = (brightness[..., 2:, 1:-1] - brightness[..., :-2, 1:-1]) / 2
    return (dx.square() + dy.square()).sqrt()


CURVES, STRIPS = "curves.png", "strips.png"
FLOOR = "copy-last"  # what every model is judged beside

Row = dict[str, Any]
_NAMES = {"psnr": "PSNR, dB", "ssim": "SSIM", "sharpness": "sharpness", "lpips": "LPIPS (lower is better)"}


def evaluation_table(rows: Sequence[Row]) -> str:
    """Return a line for each model: means over clips, their windows and steps, with standard errors over clips."""
    metrics = _metrics(rows)
    lines = [(model, str(windows), *cells) for model, windows, cells in table_cells(rows)]
    table = markdown_table(["model", "windows", *(_NAMES[name] for name in metrics)], lines)
    told = "\nLPIPS was not measured: it needs torchmetrics and AlexNet's weights where torch keeps its downloads.\n"
    return table + "\n" + ("" if "lpips" in metrics else told)


def broken_frames(rows: Sequence[Row]) -> list[str]:
    """Return a sentence about each model that predicted frames which are not finite."""
    said = []
    for model in dict.fromkeys(row["model"] for row in rows):
        mine = [row for row in rows if row["model"] == model]
        broken, frames = sum(row.get("broken") or 0 for row in mine), sum(len(row["psnr"]) for row in mine)
        if broken:
            end = "; its numbers are no result" if broken == frames else ""
            said.append(f"{model}: {broken} of {frames} predicted frames are not finite and count as black{end}")
    return said


def table_cells(rows: Sequence[Row]) -> Iterator[tuple[str, int, list[str]]]:
    """Yield each model's name, its number of windows, and its numbers as text."""
    for model in dict.fromkeys(row["model"] for row in rows):
        mine = [row for row in rows if row["model"] == model]
        cells = []
        for name in _metrics(rows):
            mean, error = mean_and_error(list(clip_means(mine, name).values()))
            cells.append(f"{mean:.{_digits(name)}f} ± {error:.{_digits(name)}f}")
        yield model, len(mine), cells


def clip_means(rows: Sequence[Row], metric: str) -> dict[int, float]:
    """Return a metric of each clip, over its windows and their steps, where it has one.

    Windows of one clip overlap, so they say little more than one of them does.
    """
    found: dict[int, list[float]] = {}
    for row in rows:
        found.setdefault(row["clip"], []).extend(value for value in row[metric] if value is not None)
    return {clip: float(np.mean(values)) for clip, values in sorted(found.items()) if values}


def draw_curves(path: Path, rows: Sequence[Row]) -> None:
    """Draw each metric over the predicted steps, a line for each model; models of several seeds share a colour."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    metrics = _metrics(rows)
    kinds: dict[str, list[str]] = {}
    for model in dict.fromkeys(row["model"] for row in rows):
        kinds.setdefault(_kind(model), []).append(model)
    palette = colormaps["tab10" if len(kinds) <= 10 else "tab20"]
    figure = Figure(figsize=(4 * len(metrics), 3.6), layout="constrained")
    for axis, name in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
        for i, (kind, models) in enumerate(kinds.items()):
            color, line = ("black", "--") if kind == FLOOR else (palette(i % palette.N), "-")
            label: str | None = f"{kind}, {len(models)} models" if len(models) > 1 else models[0]
            for model in models:
                means = mean_curve([row[name] for row in rows if row["model"] == model])
                seen = np.isfinite(means)
                steps = np.arange(1, len(means) + 1)[seen]
                axis.plot(steps, means[seen], label=label, color=color, linestyle=line)
                label = None  # named once
        axis.set(xlabel="predicted step", title=_NAMES[name])
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=110)


def _kind(model: str) -> str:
    """Return the name that models of several seeds share."""
    name, _, number = model.rpartition("-")
    return name if number.isdigit() else model


def evaluation_page(config: EvaluateConfig, rows: Sequence[Row], videos: Sequence[str]) -> str:
    """Return a page that opens from disk: the table, the curves, and the videos beside it."""
    return str(
        template("evaluation.html").render(
            metrics=[_NAMES[name] for name in _metrics(rows)],
            lines=list(table_cells(rows)),
            facts={
                "clips": str(config.data),
                "windows": config.windows,
                "horizon": config.horizon,
                "seed": config.seed,
            },
            warnings=broken_frames(rows),
            lpips="lpips" in _metrics(rows),
            curves=embedded((config.out / CURVES).read_bytes()),
            strips=embedded((config.out / STRIPS).read_bytes()) if videos else "",
            videos=videos,
            versions=(rows[-1].get("versions") or {}) if rows else {},
        )
    )


def _metrics(rows: Sequence[Row]) -> list[str]:
    return [name for name in (*METRICS, "lpips") if all(row.get(name) is not None for row in rows)]


def _digits(name: str) -> int:
    return 2 if name == "psnr" else 3
