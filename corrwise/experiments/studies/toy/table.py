"""``corrwise toy``: rows, images, figures and tables of average images and of costs against offsets in one folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from math import nan
from pathlib import Path
from typing import Any

import numpy as np

from corrwise._files import reading, shown
from corrwise._writing import RunFolderError, write_aside
from corrwise.experiments.cli.options import cost_label
from corrwise.experiments.cli.toy import ToyConfig
from corrwise.experiments.report.statistics import mean_and_error
from corrwise.experiments.report.strip import local_file
from corrwise.experiments.report.table import markdown_table, number, percent, write_table
from corrwise.experiments.runs.distances import make_distance, network_of, with_costs
from corrwise.experiments.runs.executors import Local
from corrwise.experiments.runs.folder import Job, RunFolder
from corrwise.experiments.runs.rows import COUNT, NUMBER, NUMBERS, TEXT, TEXT_BY_NAME, Key, Row
from corrwise.experiments.runs.settings import Settings, settings_of
from corrwise.experiments.studies.flows.report import draw_line
from corrwise.experiments.studies.toy.drawings import BACKGROUNDS, OBJECTS
from corrwise.experiments.studies.toy.measure import AVERAGE, CURVE, Subject, average_rows, curve_rows
from corrwise.experiments.studies.toy.scenes import Scenes, curve_scenes, make_scenes
from corrwise.predictors.data.formats.image_decoding import BitDepth, read_image

__all__ = ["KEY", "draw_averages", "draw_curves", "run_toy", "toy_table"]

_NEEDED = {
    AVERAGE: ("crispness", "distance", "distance_background", "loss", "loss_centre"),
    CURVE: ("offsets", "loss", "error", "pictures"),
}
_COLUMNS = 2  # panels beside each other
_INCH = 3.4  # width of a panel


def _incomplete(row: Row) -> str | None:
    """Return what is wrong with a row of its kind, or None."""
    kind = row["kind"]
    if kind not in _NEEDED:
        return f"expected one of {', '.join(_NEEDED)} as kind, got {shown(kind)}"
    missing = [name for name in _NEEDED[kind] if row.get(name) is None]
    if missing:
        return f"expected a value as {missing[0]}, got none"
    field = NUMBER if kind == AVERAGE else NUMBERS
    if not field.fits(row["loss"]):
        return f"expected {field.words} as loss, got {shown(row['loss'])}"
    if kind == CURVE and not len(row["loss"]) == len(row["error"]) == len(row["offsets"]) > 0:
        return f"expected a loss and an error at each of {len(row['offsets'])} offsets"
    return None


KEY = Key(
    {"kind": str, "cost": str, "seed": int},
    {
        **dict.fromkeys(("crispness", "distance", "distance_background"), NUMBER),
        **dict.fromkeys(("loss_centre", "optimum_error", "offset", "seconds"), NUMBER),
        **dict.fromkeys(("offsets", "error", "shift"), NUMBERS),
        **{"pictures": COUNT, "image": TEXT, "network": TEXT, "versions": TEXT_BY_NAME},
    },
    also=_incomplete,
)


def run_toy(config: ToyConfig) -> Path:
    """Make the rows that the folder does not hold yet, then the figures and the table, and return the table's path.

    Rows of a network whose weights have changed are made anew; of rows with the same key the last counts.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, RuntimeError, ValueError: an image or weights that cannot be used.
        FloatingPointError: an average image is not finite.
    """
    made = {cost: make_distance(cost) for cost in config.curves}
    made |= {cost: make_distance(cost, optimized=True) for cost in config.costs}
    stamps = {cost: {"network": network_of(distance)} for cost, distance in made.items()}
    scenes = make_scenes(config)  # missing files must fail before anything is written
    if config.curves:
        curve_scenes(config)
    seeds = range(config.seeds)
    jobs = [
        Job(
            average_rows, Subject(cost, config), {(AVERAGE, cost_label(cost), seed): stamps[cost] for seed in seeds},
            label=cost_label(cost), steps=config.steps,
        )
        for cost in config.costs
    ] + [
        Job(
            curve_rows, Subject(cost, config), {(CURVE, cost_label(cost), 0): stamps[cost]},
            label=f"curve {cost_label(cost)}", steps=config.curve_backgrounds,
        )
        for cost in config.curves
    ]  # fmt: skip
    settings = with_costs(_settings(config), config.out, stamps)
    with RunFolder(config.out, settings, KEY, newest=True, digits=True) as folder:
        folder.run(jobs, Local(config.processes), unit="step")

        def page() -> tuple[str, list[str]]:
            rows = list({KEY.of(row): row for row in folder.rows}.values())
            draw_averages(config.out / "averages.png", rows, scenes)
            draw_curves(config.out / "curves.png", rows)
            return toy_table(rows), []

        return write_table(config.out, page)


def _settings(config: ToyConfig) -> Settings:
    """Return the settings, with the content of a user's files in the place of their paths."""
    content = {
        name: f"{Path(value).name} {sha256(Path(value).expanduser().read_bytes()).hexdigest()[:12]}"
        for name, value, built_in in (
            ("object", config.object, OBJECTS),
            ("background", config.background, BACKGROUNDS),
        )
        if value not in built_in
    }
    return settings_of(config, "toy").with_values(content)


def toy_table(rows: Iterable[Row]) -> str:
    """Return a table of the average images and one of the curves, each where there are rows of it."""
    rows = list(rows)
    averages, curves = ([row for row in rows if row["kind"] == kind] for kind in (AVERAGE, CURVE))
    parts = []
    if averages:
        parts += ["# Average images\n\n", _averages_table(averages)]
    if curves:
        parts += ["\n" if parts else "", "# Cost against offset\n\n", _curves_table(curves)]
    return "".join(parts)


def _averages_table(rows: Sequence[Row]) -> str:
    head = (
        "cost",
        "images",
        "crispness",
        "distance",
        "offset, px",
        "shift, px",
        "cost / centre's",
        "from the optimum",
        "minutes",
    )
    lines: list[tuple[str, ...]] = []
    for cost in dict.fromkeys(row["cost"] for row in rows):
        mine = [row for row in rows if row["cost"] == cost]
        ratios = [row["loss"] / row["loss_centre"] if row["loss_centre"] else nan for row in mine]
        lines.append((
            f"`{cost}`", str(len(mine)), _mean(mine, "crispness", 2), _mean(mine, "distance", 4),
            ", ".join(str(row.get("offset")) for row in mine),
            ", ".join(" ".join(map(str, row.get("shift") or ())) for row in mine), number(mean_and_error(ratios)[0], 2),
            _mean(mine, "optimum_error", 4), number(mean_and_error([row.get("seconds") for row in mine])[0] / 60, 1),
        ))  # fmt: skip
    lines.append(("*a true scene*", "", "1.00", "0.0000", "", "", "", "", ""))
    lines.append(("*background alone*", "", "0.00", _mean(rows[:1], "distance_background", 4), "", "", "", "", ""))
    return markdown_table(head, lines)


def _mean(rows: Sequence[Row], name: str, decimals: int) -> str:
    mean, error = mean_and_error([row.get(name) for row in rows])
    return number(mean, decimals) + (f" ± {number(error, decimals)}" if error == error else "")


def _curves_table(rows: Sequence[Row]) -> str:
    last = max(row["offsets"][-1] for row in rows)
    parts = [last // 4, last // 2, last]
    head = ("cost", "backgrounds", *(f"at {offset} px" for offset in parts), "steps that rise", "largest")
    lines: list[tuple[str, ...]] = []
    for row in rows:
        loss = np.array(row["loss"], dtype=float)
        there = dict(zip(row["offsets"], loss, strict=True))
        shares = [percent(there.get(offset, nan) / loss.max()) if loss.max() > 0 else "" for offset in parts]
        rising = percent(float((np.diff(loss) > 0).mean())) if len(loss) > 1 else ""
        lines.append((f"`{row['cost']}`", str(row["pictures"]), *shares, rising, f"{loss.max():.4g}"))
    return markdown_table(head, lines)


def draw_averages(path: Path, rows: Sequence[Row], scenes: Scenes) -> None:
    """Draw one true scene, with a bar over the range of the object's places, and the first average image of each cost.

    Images are those beside the rows; one that is gone leaves its panel out.
    """
    from matplotlib.figure import Figure

    panels: list[tuple[str, Any]] = [("a true scene", scenes.at([0])[0].permute(1, 2, 0).numpy())]
    for cost in dict.fromkeys(row["cost"] for row in rows if row["kind"] == AVERAGE):
        row = min((row for row in rows if row["cost"] == cost and row["kind"] == AVERAGE), key=lambda row: row["seed"])
        if (name := local_file(path.parent, row.get("image"))) is not None:
            title = f"{cost}: crispness {row['crispness']:.2f}"
            with reading(path.parent / name, "is no image that can be read", RunFolderError):
                panels.append((title, read_image(path.parent / name, BitDepth())))
    if len(panels) == 1:
        return
    height, width = scenes.background.shape[-2:]
    lines = -(-len(panels) // _COLUMNS)
    figure = Figure(figsize=(_INCH * _COLUMNS, lines * (_INCH * height / width + 0.3)), layout="constrained")
    axes = figure.subplots(lines, _COLUMNS, squeeze=False).ravel()
    for axis, (title, image) in zip(axes, panels, strict=False):
        axis.imshow(image, interpolation="nearest")
        axis.set_title(title, fontsize=8)
    for axis in axes:
        axis.axis("off")
    ends = scenes.left - scenes.reach - 0.5, scenes.left + scenes.reach + scenes.alpha.shape[-1] - 0.5
    axes[0].plot(ends, (0.97 * height,) * 2, color="black", linewidth=3, solid_capstyle="butt")
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=100)


def draw_curves(path: Path, rows: Sequence[Row]) -> None:
    """Draw cost against offset, each as a share of its largest value, with its 95 % interval over backgrounds."""
    from matplotlib.figure import Figure

    curves = [row for row in rows if row["kind"] == CURVE]
    if not curves:
        return
    figure = Figure(figsize=(6, 4), layout="constrained")
    axis = figure.subplots()
    for i, row in enumerate(curves):
        draw_line(axis, row, times=1 / (max(row["loss"]) or 1.0), color=f"C{i}", label=row["cost"])
    axis.set(xlabel="offset of the object, pixels", ylabel="share of the cost's largest value", ylim=(0, None))
    axis.legend(frameon=False, fontsize=8)
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=100)
