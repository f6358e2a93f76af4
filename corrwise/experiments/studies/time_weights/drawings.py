"""Figures of ``corrwise table time-weights``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from corrwise._files import reading
from corrwise._writing import RunFolderError, write_aside
from corrwise.experiments.report.strip import local_file
from corrwise.experiments.runs.rows import Row
from corrwise.experiments.studies.time_weights.alignments import EDITS, STRINGS
from corrwise.experiments.studies.time_weights.controls import (
    CONTROLS,
    LOG_ONLY,
    SMALL_MODEL,
    SOFTENED,
    small_model,
    softened,
)
from corrwise.experiments.studies.time_weights.edits import final_law, marginal_counts, strings_at
from corrwise.experiments.studies.time_weights.exact import FIRST, LAST, gauss_legendre
from corrwise.experiments.studies.time_weights.gaussians import (
    MIXTURE,
    flow_matching,
    marginal_velocity,
    mixture_density,
)
from corrwise.experiments.studies.time_weights.measure import minimiser
from corrwise.experiments.studies.time_weights.weighting import factors, weight_at
from corrwise.predictors.data.formats.image_decoding import BitDepth, read_image
from corrwise.predictors.generative.schedules import CondOT
from corrwise.predictors.generative.time_laws import make_time_law

__all__ = ["draw_images", "draw_log_only", "draw_minimisers", "draw_moved", "draw_weights"]

_DPI = 90
_LATE = 0.95  # weights are drawn up to here: some are infinite at 1


def _save(figure: Any, path: Path) -> None:
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=_DPI)


def _titled(axis: Any, title: str, **settings: Any) -> None:
    axis.set_title(title, fontsize=9)
    axis.set(**settings)


def _times(low: float, high: float, count: int) -> torch.Tensor:
    return torch.linspace(low, high, count, dtype=torch.float64, device="cpu")


def draw_weights(path: Path, weights: Sequence[str], laws: Sequence[str]) -> None:
    """Draw each weight on the squared error of the data and of the velocity, and the density of each law of t."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 3.3), layout="constrained")
    data, velocity, law_axis = figure.subplots(1, 3)
    t, straight = _times(FIRST, _LATE, 200), CondOT()
    for i, weight in enumerate(weights):
        w = weight_at(weight, straight, t)
        style = {"color": f"C{i % 10}", "linewidth": 1.2, "linestyle": "-" if i < 10 else "--"}
        data.plot(t.numpy(), (w / w.mean()).numpy(), **style)
        v = w * (1 - t) ** 2
        velocity.plot(t.numpy(), (v / v.mean()).numpy(), label=weight, **style)
    for axis, of in ((data, "data"), (velocity, "velocity")):
        _titled(axis, f"weight on the error of the {of}", xlabel="t", yscale="log", ylim=(0.02, 30))
    for i, law in enumerate(laws):
        law_axis.plot(t.numpy(), make_time_law(law).density(t).numpy(), color=f"C{i}", linewidth=1.2, label=law)
    _titled(law_axis, "density of the law of t", xlabel="t", ylim=(0, 6))
    law_axis.legend(frameon=False, fontsize=7)
    figure.legend(*velocity.get_legend_handles_labels(), loc="outside lower left", ncols=9, frameon=False, fontsize=7)
    _save(figure, path)


def draw_minimisers(path: Path, weights: Sequence[str]) -> None:
    """Draw the velocity of a mixture with the minimisers of all weights, and small models' fits, which differ."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 3.3), layout="constrained")
    field, lines, small = figure.subplots(1, 3)
    straight = CondOT()
    t, x = torch.meshgrid(_times(0.0, 0.995, 90), _times(-4.0, 4.0, 90), indexing="ij")
    density = mixture_density(MIXTURE, straight, x.flatten(), t.flatten()).reshape(t.shape)
    field.pcolormesh(t.numpy(), x.numpy(), density.sqrt().numpy(), cmap="Blues", shading="auto", rasterized=True)
    t, x = torch.meshgrid(_times(0.04, 0.96, 13), _times(-3.6, 3.6, 15), indexing="ij")
    v = marginal_velocity(MIXTURE, straight, x.flatten(), t.flatten()).reshape(t.shape)
    field.quiver(t.numpy(), x.numpy(), np.ones(v.shape), v.numpy(), angles="xy", scale=18, width=0.004, color="0.15")
    _titled(field, "density and velocity of a mixture", xlabel="t", ylabel="x", xlim=(0, 1), ylim=(-4, 4))

    times, widths = gauss_legendre(4, FIRST, LAST)
    case = flow_matching(straight, times)
    for i, when in enumerate(times.tolist()):
        here = case.problem.time == i
        x = _times(-3.5, 3.5, 200)
        velocity = marginal_velocity(MIXTURE, straight, x, torch.full_like(x, when))
        lines.plot(x.numpy(), velocity.numpy(), color=f"C{i}", label=f"t = {when:.2f}")
        for weight in weights:
            (factor,) = factors(weight, ["uniform"], straight, times, widths)
            places = case.problem.x[here, 0].numpy()
            lines.plot(places, minimiser(case, factor)[here, 0].numpy(), "o", color=f"C{i}", markersize=2.5)
    _titled(lines, "closed form, and minimisers of all weights", xlabel="x", ylabel="velocity", ylim=(-7, 7))
    lines.legend(frameon=False, fontsize=6)

    case = CONTROLS[SMALL_MODEL].build(times)
    here = case.problem.time == 2
    states = case.problem.x[here, 0].numpy()
    small.plot(states, case.problem.wanted[here, 0].numpy(), color="black", label="E[x1 | x]")
    for i, weight in enumerate(weights):
        (factor,) = factors(weight, ["uniform"], straight, times, widths)
        small.plot(states, small_model(case, factor)[here, 0].numpy(), color=f"C{i % 10}", linewidth=1, label=weight)
    _titled(small, f"best a + b t + c x, at t = {float(times[2]):.2f}", xlabel="x", ylabel="endpoint")
    small.legend(frameon=False, fontsize=6)
    _save(figure, path)


def draw_log_only(path: Path, rows: Sequence[Row]) -> None:
    """Draw the rate of an edit, the rates with the softened hazard, and the strings that both generate."""
    from matplotlib.figure import Figure

    if not any(row["case"] == LOG_ONLY for row in rows):
        return
    figure = Figure(figsize=(9.5, 3.2), layout="constrained")
    rate, law, variation = figure.subplots(1, 3, width_ratios=(1, 1.3, 1))
    t = _times(0.01, 0.97, 100)
    string, edit = "a", ("insert", 1, "b")
    true = 3 * t.square() / (1 - t**3) * marginal_counts(t)[:, STRINGS.index(string), EDITS.index(edit)]
    rate.plot(t.numpy(), true.numpy(), color="black", label="weight on the bracket: true rate")
    rate.plot(t.numpy(), (softened(t) * true).numpy(), color="C3", label="softened, on the logarithm alone")
    _titled(rate, f'rate of inserting "b" behind "{string}"', xlabel="t", ylim=(0, None))
    rate.legend(frameon=False, fontsize=6)

    exact = strings_at(torch.tensor([LAST], dtype=torch.float64, device="cpu"))[0]
    wrong = final_law(softened, LAST, steps=100)
    shown = (exact > 0.01) | (wrong > 0.01)
    names = [f'"{name}"' for name, is_shown in zip(STRINGS, shown.tolist(), strict=True) if is_shown]
    place = np.arange(len(names))
    law.bar(place - 0.2, exact[shown].numpy(), 0.4, color="black", label="data")
    law.bar(place + 0.2, wrong[shown].numpy(), 0.4, color="C3", label="softened, on the logarithm alone")
    law.set_xticks(place, names, rotation=90, fontsize=6)
    _titled(law, "strings that are generated", ylim=(0, 0.42))
    law.legend(frameon=False, fontsize=6)

    mine = [row for row in rows if row["case"] == LOG_ONLY and row.get("total_variation") is not None]
    mine.sort(key=lambda row: row["total_variation"])
    colors = ["C3" if row["arm"] == SOFTENED else "0.5" for row in mine]
    variation.barh([row["arm"] for row in mine], [row["total_variation"] for row in mine], color=colors)
    variation.tick_params(axis="y", labelsize=6)
    _titled(variation, "total variation from the data", xlim=(0, 1))
    _save(figure, path)


def draw_moved(path: Path, rows: Sequence[Row]) -> None:
    """Draw how far each cost's minimiser is from the mean, relative to the posterior's spread, against t."""
    from matplotlib.figure import Figure

    images = [row for row in rows if row["kind"] == "image"]
    if not images:
        return
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axis = figure.subplots()
    for i, cost in enumerate(dict.fromkeys(row["case"] for row in images)):
        mine = sorted((float(row["arm"][2:]), row) for row in images if row["case"] == cost)
        shares = [[m / s for m, s in zip(row["moved"], row["spread"], strict=True)] for _, row in mine]
        times = [t for t, _ in mine]
        axis.plot(times, [np.mean(share) for share in shares], color=f"C{i}", label=cost)
        for t, share in zip(times, shares, strict=True):
            axis.plot([t] * len(share), share, "o", color=f"C{i}", markersize=3)
    axis.set(xlabel="t", ylabel="distance from E[x1 | x_t] / spread", ylim=(0, None))
    axis.legend(frameon=False, fontsize=7)
    _save(figure, path)


def draw_images(path: Path, rows: Sequence[Row]) -> None:
    """Draw the mean E[x1 | x_t] and each cost's minimiser, a line for each t; a file that is gone stays blank."""
    from matplotlib.figure import Figure

    images = {(row["case"], row["arm"]): row for row in rows if row["kind"] == "image"}
    if not images:
        return
    costs, arms = (list(dict.fromkeys(key[i] for key in images)) for i in (0, 1))
    names: dict[tuple[int, int], str | None] = {}
    for i, arm in enumerate(arms):
        names[i, 0] = local_file(path.parent, f"images/mean-{arm[2:]}.png")
        for j, cost in enumerate(costs, start=1):
            if (cost, arm) in images:
                names[i, j] = local_file(path.parent, images[cost, arm].get("image"))
    figure = Figure(figsize=(1.6 * (len(costs) + 1), 0.9 * len(arms) + 0.3), layout="constrained")
    axes = figure.subplots(len(arms), len(costs) + 1, squeeze=False)
    for axis in axes.ravel():
        axis.set(xticks=[], yticks=[])
    for place, name in names.items():
        if name is not None:
            with reading(path.parent / name, "is no image that can be read", RunFolderError):
                axes[place].imshow(read_image(path.parent / name, BitDepth()), interpolation="nearest")
    for axis, title in zip(axes[0], ["E[x1 | x_t]", *costs], strict=True):
        axis.set_title(title, fontsize=7)
    for line, arm in zip(axes, arms, strict=True):
        line[0].set_ylabel(arm, fontsize=7)
    _save(figure, path)
