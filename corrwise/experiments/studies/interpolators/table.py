"""``corrwise table interpolators``: rows, tables and strips of frames that interpolators make between known ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np

from corrwise._writing import write_aside
from corrwise.costs.presets import DEFAULT_FLOW
from corrwise.envs.arrays import to_uint8
from corrwise.experiments.cli.mpc import run_name
from corrwise.experiments.cli.options import named_options
from corrwise.experiments.cli.table_interpolators import GROUND_TRUTH, InterpolatorTableConfig
from corrwise.experiments.report.statistics import mean_and_error, paired_difference
from corrwise.experiments.report.table import markdown_table, number, signed, with_error, write_table
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.interpolators import interpolator_of, weights_of
from corrwise.experiments.runs.jobs import Job
from corrwise.experiments.runs.rows import Row
from corrwise.experiments.runs.settings import settings_of
from corrwise.experiments.studies.interpolators.measure import KEY, METRICS, Subject, made_frame, window_rows
from corrwise.experiments.studies.interpolators.windows import HeldClips
from corrwise.experiments.studies.predictors.evaluation import moving_square
from corrwise.types import Interpolator

__all__ = ["interpolator_tables", "run_interpolator_table"]

BASELINE = "half-flow"  # what the others are compared with
ALL = "all folders"
_AVERAGE_FLOW = "dis"  # the default of CorrespondenceAverage
STRIPS = "strips.png"
_NAMES = {"psnr": "PSNR, dB", "psnr_moved": "PSNR where it moved, dB", "ssim": "SSIM", "st_lpips": "ST-LPIPS"}
_DIGITS = {"psnr": 2, "psnr_moved": 2, "ssim": 4, "st_lpips": 4}
_SIDE = 1.1  # inches of a frame

Clip = tuple[str, int]  # the folder and the number of a clip
Seeds = Mapping[str, Sequence[Row]]  # rows of each model of an arm


def run_interpolator_table(config: InterpolatorTableConfig) -> Path:
    """Measure what the folder does not hold yet, and return the path of the table.

    Rows of a model whose weights have changed, and of clips that have grown, are made anew.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, ValueError: interpolators or clips that cannot be used, or do not fit each other.
    """
    texts = {**{arm: arm for arm in config.arms}, **{run_name(path): str(path) for path in config.models}}
    models = {name: _model(text, config.device) for name, text in texts.items()}
    weights = {name: None if model is None else weights_of(texts[name], model) for name, model in models.items()}
    held = {
        (run_name(path), gap): HeldClips(path, gap, config.context, config.seed)
        for path, gap in product(config.data, config.gaps)
    }
    missing = {data: clips.no_truth for (data, _), clips in held.items() if None in models.values() and clips.no_truth}
    jobs, tried = [], set[tuple[str, tuple[int, int]]]()
    for name, ((data, gap), clips) in product(texts, held.items()):
        if models[name] is None and data in missing:
            continue
        if (name, clips.clips.size) not in tried:  # what does not fit fails before anything is written
            made_frame(models[name], clips, clips.window(0), config.device)
            tried.add((name, clips.clips.size))
        stamp = {"weights": weights[name], "frames": clips.frames}
        rows = {(name, data, gap, i): stamp for i in range(config.windows)}
        label = f"{name} {data} {gap}"
        jobs.append(Job(window_rows, Subject(name, texts[name], clips.path, gap, config), rows, label=label))
    settings = settings_of(config, "interpolators")
    with RunFolder(config.out, settings, KEY, newest=True, digits=True) as folder:
        folder.run(jobs, unit="window")
        every = list({KEY.of(row): row for row in folder.rows}.values())

        def page() -> tuple[str, list[str]]:
            draw_strips(config.out / STRIPS, models, held, every, config.device)
            return interpolator_tables(every) + _truth_missing(missing), _broken(every)

        return write_table(config.out, page)


def _model(text: str, device: str) -> Interpolator | None:
    """Return an interpolator; None for the one with the exact flow, which is another in every window."""
    return None if text == GROUND_TRUTH else interpolator_of(text, device=device)


def _truth_missing(missing: Mapping[str, str]) -> str:
    lines = [f"- No ground-truth flow for {data}: {why}.\n" for data, why in sorted(missing.items())]
    return "\n" + "".join(lines) if lines else ""


def _broken(rows: Sequence[Row]) -> list[str]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["arm"]] = counts.get(row["arm"], 0) + (row.get("broken") or 0)
    return [f"{arm}: {n} frames are not finite and count as black" for arm, n in counts.items() if n]


def interpolator_tables(rows: Iterable[Row]) -> str:
    """Return tables for each gap, over all clips and for each folder, and differences of pairs of models.

    Numbers are means over clips, each the mean over its windows and the models of an arm: windows of a clip overlap,
    so they are no independent samples. Differences are paired by clip, with their 95 % bootstrap interval.
    """
    rows = list(rows)
    parts = []
    for gap in sorted({row["gap"] for row in rows}):
        mine = [row for row in rows if row["gap"] == gap]
        folders = list(dict.fromkeys(row["data"] for row in mine))
        if len(folders) > 1:
            seen: dict[str, set[str]] = {}
            for row in mine:
                seen.setdefault(row["arm"], set()).add(row["data"])
            whole = {arm for arm, data in seen.items() if data == set(folders)}
            parts.append(_table(f"Gap {gap}, {ALL}", [row for row in mine if row["arm"] in whole]))
        parts += [_table(f"Gap {gap}, {data}", [row for row in mine if row["data"] == data]) for data in folders]
    parts += [pairs] if (pairs := _pairs_table(rows)) else []
    if not any(row.get("st_lpips") is not None for row in rows):
        parts.append("ST-LPIPS was not measured: it needs stlpips-pytorch, and images of 21 pixels or more.\n")
    return "\n".join(parts)


def grouped(rows: Sequence[Row]) -> dict[str, dict[str, list[Row]]]:
    """Return the rows of each model by arm and seed: ``NAME-0`` and ``NAME-1`` are seeds of the arm ``NAME``."""
    arms: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        name, _, seed = row["arm"].rpartition("-")
        arm, seed = (name, seed) if name and seed.isdigit() else (row["arm"], "")
        arms.setdefault(arm, {}).setdefault(seed, []).append(row)
    return arms


def clip_values(seeds: Seeds, metric: str) -> dict[Clip, float]:
    """Return a metric of each clip that all models of an arm have it for: over its windows, then over models."""
    each = []
    for rows in seeds.values():
        values: dict[Clip, list[float]] = {}
        for row in rows:
            if row.get(metric) is not None:
                values.setdefault((row["data"], row["clip"]), []).append(row[metric])
        each.append({clip: float(np.mean(numbers)) for clip, numbers in values.items()})
    return {clip: float(np.mean([one[clip] for one in each])) for clip in each[0] if all(clip in one for one in each)}


def _difference(mine: Seeds, other: Seeds, metric: str) -> str:
    """Return how much more a metric is, paired by clip, as text with its interval."""
    one, two = clip_values(mine, metric), clip_values(other, metric)
    clips = sorted(one.keys() & two.keys())
    pairs = ([each[clip] for clip in clips] for each in (one, two))
    return paired_difference(*pairs).text(f"+.{_DIGITS[metric]}f")


def _metrics(rows: Sequence[Row]) -> list[str]:
    return [name for name in METRICS if any(row.get(name) is not None for row in rows)]


def _table(title: str, rows: Sequence[Row]) -> str:
    metrics, arms = _metrics(rows), grouped(rows)
    compared = [name for name in metrics if name != "ssim"] if BASELINE in arms else []
    lines = []
    for arm, seeds in arms.items():
        clips = {(row["data"], row["clip"]) for mine in seeds.values() for row in mine}
        cells = [f"`{arm}`", str(len(seeds)), str(len(clips))]
        for name in metrics:
            mean, error = mean_and_error(list(clip_values(seeds, name).values()))
            cells.append(with_error(mean, error, _DIGITS[name]))
        times = [row["ms_frame"] for mine in seeds.values() for row in mine if row.get("ms_frame") is not None]
        cells.append(number(float(np.median(times)) if times else None, 1))
        cells += ["" if arm == BASELINE else _difference(seeds, arms[BASELINE], name) for name in compared]
        lines.append(cells)
    head = ["interpolator", "models", "clips", *(_NAMES[name] for name in metrics), "ms a frame"]
    more = [f"{_NAMES[name]}: minus {BASELINE} (95 %)" for name in compared]
    return f"### {title}\n\n{markdown_table([*head, *more], lines)}"


def twin_of(arm: str) -> str | None:
    """Return the arm that differs in one thing; None without one.

    Of a model with ``corr-`` in its name, the one without it, trained with pixels at the same place; of an average,
    half-flow over the same flow, which is its first guess.
    """
    if arm.partition(":")[0] == "average":
        flow = named_options(arm)[1].get("flow", _AVERAGE_FLOW)
        return BASELINE if flow == DEFAULT_FLOW else f"{BASELINE}:flow={flow}"
    return arm.replace("corr-", "", 1) if "corr-" in arm else None


def _pairs_table(rows: Sequence[Row]) -> str:
    metrics, lines = _metrics(rows), []
    for gap in sorted({row["gap"] for row in rows}):
        mine = [row for row in rows if row["gap"] == gap]
        folders = list(dict.fromkeys(row["data"] for row in mine))
        for data in ([ALL] if len(folders) > 1 else []) + folders:
            arms = grouped(mine if data == ALL else [row for row in mine if row["data"] == data])
            for arm, seeds in arms.items():
                other = twin_of(arm)
                twin = arms.get(other, {}) if other else {}
                both = sorted(seeds.keys() & twin.keys())
                if both:
                    one, two = ({seed: each[seed] for seed in both} for each in (seeds, twin))
                    cells = [_twins(one, two, name) for name in metrics]
                    lines.append([f"`{arm}` minus `{other}`", str(gap), data, str(len(both)), *cells])
    if not lines:
        return ""
    head = ["pair", "gap", "clips", "pairs of models", *(_NAMES[name] for name in metrics)]
    title = "### Pairs that differ in one thing, paired by clip (95 %); in brackets each pair of seeds"
    return f"{title}\n\n{markdown_table(head, lines)}"


def _twins(mine: Seeds, other: Seeds, metric: str) -> str:
    difference, alone = _difference(mine, other, metric), []
    for seed in mine:
        one, two = (clip_values({seed: each[seed]}, metric) for each in (mine, other))
        clips = one.keys() & two.keys()
        alone.append(signed(float(np.mean([one[c] - two[c] for c in clips])) if clips else None, _DIGITS[metric]))
    return f"{difference} [{', '.join(alone)}]" if len(mine) > 1 else difference


def draw_strips(
    path: Path,
    models: Mapping[str, Interpolator | None],
    held: Mapping[tuple[str, int], HeldClips],
    rows: Sequence[Row],
    device: str = "cpu",
) -> None:
    """Draw the window of each folder and gap in which most moves: known frames, the true one, and each arm's.

    Of models that are seeds of one, the first is drawn.
    """
    from matplotlib.figure import Figure

    names = [next(iter(seeds)) for seeds in _by_arm(models).values()]
    columns = ["before", "after", "true", *names]
    figure = Figure(figsize=(_SIDE * len(columns) + 1.2, _SIDE * len(held) + 0.5), layout="constrained")
    axes = figure.subplots(len(held), len(columns), squeeze=False)
    for line, ((data, gap), clips) in zip(axes, held.items(), strict=True):
        mine = [row for row in rows if (row["data"], row["gap"]) == (data, gap)]
        window = clips.window(max(mine, key=lambda row: (row.get("moved") or 0, -row["window"]))["window"])
        known = window.middle(2)[1][0]
        images = [*to_uint8(known), to_uint8(window.true)[0]]
        for name in names:
            absent = models[name] is None and clips.no_truth
            images.append(None if absent else to_uint8(made_frame(models[name], clips, window, device)[0])[0])
        top, left, side = moving_square(np.stack(images[:3]))
        for axis, image in zip(line, images, strict=True):
            axis.set(xticks=[], yticks=[])
            if image is None:
                axis.axis("off")
            else:
                axis.imshow(image[top : top + side, left : left + side], interpolation="nearest")
        line[0].set_ylabel(f"{data}, {gap}", fontsize=8)
    for axis, name in zip(axes[0], columns, strict=True):
        axis.set_title(name.replace(":", ":\n"), fontsize=7)
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=110)


def _by_arm(names: Iterable[str]) -> dict[str, list[str]]:
    return {
        arm: [rows[0]["arm"] for rows in seeds.values()] for arm, seeds in grouped([{"arm": n} for n in names]).items()
    }
