"""``corrwise table flow-matching``: denoisers that differ in the loss's weight over time and in the times' law."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from corrwise._writing import write_aside
from corrwise.experiments.cli.evaluate import EvaluateConfig
from corrwise.experiments.cli.table_flow_matching import OTHERS, Arm, FlowMatchingTableConfig
from corrwise.experiments.cli.train import TrainConfig
from corrwise.experiments.report.statistics import mean_and_error, mean_curve, paired_difference
from corrwise.experiments.report.table import markdown_table, write_table
from corrwise.experiments.runs.executors import executor_of
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.jobs import Job
from corrwise.experiments.runs.rows import Row, of_newest_weights, read_rows
from corrwise.experiments.runs.settings import settings_of
from corrwise.experiments.runs.train import MODEL, train_with_one_thread
from corrwise.experiments.studies.flow_matching.grid import grid_table
from corrwise.experiments.studies.flow_matching.measure import KEY, Measured, velocity_rows
from corrwise.experiments.studies.predictors.apart import check_held
from corrwise.experiments.studies.predictors.evaluate import KEY as FRAMES_KEY
from corrwise.experiments.studies.predictors.evaluate import run_evaluate
from corrwise.experiments.studies.predictors.evaluation import BASELINE, RESIDUALS, broken_frames, clip_means
from corrwise.predictors.generative import make_time_law, make_weight
from corrwise.predictors.training.flow_matching import TIMES

__all__ = ["flow_matching_tables", "run_flow_matching_table", "train_config"]

CURVES = "curves.png"
_FRAMES = {"energy": "energy score", "mean_psnr": "PSNR of their mean, dB", "best_psnr": "PSNR of the best, dB"}
_FEW = 10  # lines with a colour each
_STYLES = ("-", "--", "-.", ":", (0, (1, 4)), (0, (6, 1, 1, 1, 1, 1)))  # of the laws where there are more
_DIGITS = {"energy": 4, "mean_psnr": 2, "best_psnr": 2}

Values = Mapping[str, Mapping[str, Mapping[int, float]]]  # of each clip, by arm and seed


def run_flow_matching_table(config: FlowMatchingTableConfig) -> Path:
    """Train and measure what the folder does not hold yet, and return the path of a table of all that it holds.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, ValueError: clips, weights, time laws or options that cannot be used.
        RuntimeError: the extra ``train`` is not installed, or a worker was killed.
    """
    for arm in map(Arm.parse, config.arms):  # before hours of training
        make_time_law(arm.law)
        if arm.samples_by_flow:
            make_weight(arm.weight)
    shared = check_held(config.data, config.held, TrainConfig.context + config.shown, actions=config.actions)
    models = {f"{arm}-{seed}": train_config(config, arm, seed) for seed in range(config.seeds) for arm in config.arms}
    executor = executor_of(config.where, config.processes, config.out)
    with RunFolder(config.out, settings_of(config, "flow-matching"), KEY, newest=True) as folder:
        for _ in executor(train_with_one_thread, list(models.values())):
            pass
        jobs = []
        for name, model in models.items():
            if Arm.parse(name.rpartition("-")[0]).samples_by_flow:
                measured = Measured(model.out / MODEL, config.held, config.windows)
                rows = {(name, i): measured.stamp for i in range(config.windows)}
                jobs.append(Job(velocity_rows, measured, rows, label=name))
        folder.run(jobs, unit="window")
        for nfe in config.nfe:
            run_evaluate(_evaluated(config, models, nfe))
        velocity = list({KEY.of(row): row for row in folder.rows}.values())

        def page() -> tuple[str, list[str]]:
            frames = held_frames(config.out)
            draw_curves(config.out / CURVES, velocity, frames)
            broken = [sentence for rows in frames.values() for sentence in broken_frames(rows)]
            return flow_matching_tables(velocity, frames, first=config.arms[0]), shared + broken

        return write_table(config.out, page)


def train_config(config: FlowMatchingTableConfig, text: str, seed: int) -> TrainConfig:
    """Return how a model of an arm is trained."""
    arm = Arm.parse(text)
    model = OTHERS.get(arm.weight, "denoiser")
    plain = TrainConfig(
        data=(config.data,), model=model, objective="predict", loss="mse", actions=config.actions,
        out=config.out / "models" / f"{arm}-{seed}", steps=config.steps, batch=config.batch, horizon=config.horizon,
        crop=config.crop if model != "svg" else 0, options=config.options if model == "denoiser" else ("small",),
        lr=config.lr, val_fraction=0.0, seed=seed, device=config.device, precision=config.precision,
    )  # fmt: skip
    if not arm.samples_by_flow:
        return plain
    return TrainConfig(
        **{
            **{name: getattr(plain, name) for name in plain.__dataclass_fields__ if name not in ("loss", "flow")},
            "objective": "flow-matching", "time_weight": arm.weight, "time_law": arm.law,
            "own_frames_after": config.own_frames_after, "options": (*config.options, f"predicts={arm.predicts}"),
        }
    )  # fmt: skip


def _evaluated(config: FlowMatchingTableConfig, models: Mapping[str, TrainConfig], nfe: int) -> EvaluateConfig:
    several = any(model.objective != "predict" for model in models.values())
    return EvaluateConfig(
        models=tuple(model.out for model in models.values()), data=config.held, out=config.out / f"frames-{nfe}",
        horizon=config.shown, windows=config.windows, samples=config.samples, nfe=nfe if several else None,
        sampling=config.sampling if several else (),
        residuals=config.data if config.residuals else None, videos=0, device=config.device,
    )  # fmt: skip


def held_frames(folder: Path) -> dict[int, list[Row]]:
    """Return the rows of sampled frames by the number of evaluations: of each model those of its newest weights."""
    frames = {}
    for path in sorted(folder.glob("frames-*"), key=lambda path: int(path.name.rpartition("-")[2])):
        frames[int(path.name.rpartition("-")[2])] = of_newest_weights(read_rows(path / "rows.jsonl", FRAMES_KEY))
    return {nfe: rows for nfe, rows in frames.items() if rows}


def flow_matching_tables(velocity: Sequence[Row], frames: Mapping[int, Sequence[Row]], *, first: str) -> str:
    """Return a table of the velocity's error, and one of sampled futures for each number of evaluations.

    Numbers are means over clips, each the mean over its windows and the models of an arm. Differences from the first
    arm are paired by clip, with their 95 % bootstrap interval.

    Args:
        velocity: rows of the velocity's error.
        frames: rows of sampled futures by the number of evaluations.
        first: the arm that the others are compared with.
    """
    parts = [_velocity_table(velocity, first)] if velocity else []
    parts += [_frames_table(nfe, rows, first) for nfe, rows in frames.items()]
    return "\n".join(parts)


def _by_arm(rows: Iterable[Row], metric: str) -> Values:
    """Return a metric of each clip, by arm and seed."""
    models: dict[str, list[Row]] = {}
    for row in rows:
        models.setdefault(row["model"], []).append(row)
    arms: dict[str, dict[str, Mapping[int, float]]] = {}
    for name, mine in models.items():
        arm, seed = _arm_and_seed(name)
        if all(row.get(metric) is not None for row in mine):
            arms.setdefault(arm, {})[seed] = clip_means(mine, metric)
    return arms


def _arm_and_seed(model: str) -> tuple[str, str]:
    """Return a model's arm, which is another one where its residuals are added, and its seed."""
    name, residuals, _ = model.partition(RESIDUALS)
    arm, _, seed = name.rpartition("-") if name != BASELINE else (name, "", "0")
    return arm + residuals, seed


def _over_seeds(seeds: Mapping[str, Mapping[int, float]]) -> dict[int, float]:
    clips = set.intersection(*(set(each) for each in seeds.values()))
    return {clip: float(np.mean([each[clip] for each in seeds.values()])) for clip in sorted(clips)}


def _cells(values: Values, arm: str, first: str, digits: int) -> list[str]:
    """Return the mean of an arm with its standard error, and how much more than the first arm's it is."""
    if arm not in values:
        return ["", ""]
    mine = _over_seeds(values[arm])
    mean, error = mean_and_error(list(mine.values()))
    more = ""
    if arm != first and first in values:
        other = _over_seeds(values[first])
        clips = sorted(mine.keys() & other.keys())
        more = paired_difference([mine[c] for c in clips], [other[c] for c in clips]).text(f"+.{digits}f")
    return [f"{mean:.{digits}f} ± {error:.{digits}f}", more]


def _velocity_table(rows: Sequence[Row], first: str) -> str:
    values, lines = _by_arm(rows, "velocity"), []
    for arm, seeds in values.items():
        mine = [row["velocity"] for row in rows if _arm_and_seed(row["model"])[0] == arm]
        curve = [f"{value:.3f}" for value in mean_curve(mine)]
        lines.append([f"`{arm}`", str(len(seeds)), *_cells(values, arm, first, 3), *curve])
    head = ["arm", "models", "mean", f"more than {first} (95 %)", *(f"t = {t:g}" for t in TIMES)]
    return f"### Squared error of the velocity on held-out clips, one frame ahead\n\n{markdown_table(head, lines)}"


def _frames_table(nfe: int, rows: Sequence[Row], first: str) -> str:
    each = {metric: _by_arm(rows, metric) for metric in _FRAMES}
    arms = [arm for arm in each["energy"] if arm != BASELINE]
    arms += [BASELINE] if BASELINE in each["energy"] else []
    lines = []
    for arm in arms:
        cells = [cell for metric in _FRAMES for cell in _cells(each[metric], arm, first, _DIGITS[metric])]
        lines.append([f"`{arm}`", str(len(each["energy"][arm])), *cells])
    head = ["arm", "models"]
    for name in _FRAMES.values():
        head += [name, f"more than {first} (95 %)"]
    title = f"### Sampled futures, {nfe} evaluation{'s' if nfe > 1 else ''} a frame"
    return f"{title}\n\n{markdown_table(head, lines)}{_grids(each)}"


def _grids(each: Mapping[str, Values]) -> str:
    """Return the energy score and the PSNR of all weights and laws, where there are several of both."""
    parts = []
    for metric in ("energy", "mean_psnr"):
        flows = {arm: seeds for arm, seeds in each[metric].items() if arm != BASELINE and RESIDUALS not in arm}
        means = {arm: float(np.mean(list(_over_seeds(seeds).values()))) for arm, seeds in flows.items()}
        grid = grid_table(means, digits=_DIGITS[metric], lower=metric == "energy")
        parts += [f"\n#### {_FRAMES[metric][0].upper()}{_FRAMES[metric][1:]}\n\n{grid}"] if grid else []
    return "".join(parts)


def draw_curves(path: Path, velocity: Sequence[Row], frames: Mapping[int, Sequence[Row]]) -> None:
    """Draw the velocity's error over time, and the energy score over the predicted frames, a line for each arm."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    arms = list(dict.fromkeys(_arm_and_seed(row["model"])[0] for rows in (velocity, *frames.values()) for row in rows))
    arms = [arm for arm in arms if arm != BASELINE]
    figure = Figure(figsize=(4.2 * (1 + len(frames)), 4.2), layout="constrained")
    axes = figure.subplots(1, 1 + len(frames), squeeze=False)[0]
    looks = _line_looks(arms)
    for arm, look in looks.items():
        mine = [row["velocity"] for row in velocity if _arm_and_seed(row["model"])[0] == arm]
        if mine:
            axes[0].plot(TIMES, mean_curve(mine), **look)
        for axis, rows in zip(axes[1:], frames.values(), strict=True):
            futures = [row["energy"] for row in rows if _arm_and_seed(row["model"])[0] == arm and row.get("energy")]
            if futures:
                curve = mean_curve(futures)
                axis.plot(np.arange(1, len(curve) + 1), curve, **look)
    axes[0].set(xlabel="t (0 is noise)", title="squared error of the velocity", yscale="log")
    for axis, nfe in zip(axes[1:], frames, strict=True):
        axis.set(xlabel="predicted frame", title=f"energy score, {nfe} evaluation{'s' if nfe > 1 else ''}")
    named = {text: Line2D([], [], **look) for text, look in _legend(looks).items()}
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=4, frameon=False)
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=110)


def _line_looks(arms: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return how each arm is drawn: in a colour of its own, or, of many, in its weight's and in its law's style."""
    if len(arms) <= _FEW:
        return {arm: {"color": f"C{i}", "linestyle": "-", "marker": "."} for i, arm in enumerate(arms)}
    weights, laws = (list(dict.fromkeys(arm.partition("@")[i] for arm in arms)) for i in (0, 2))
    return {
        arm: {"color": f"C{weights.index(weight) % 10}", "linestyle": _STYLES[laws.index(law) % len(_STYLES)]}
        for arm in arms
        for weight, _, law in [arm.partition("@")]
    }


def _legend(looks: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return what the legend names: each arm, or, of many, the weights by colour and the laws by style."""
    if len(looks) <= _FEW:
        return dict(looks)
    named: dict[str, Mapping[str, Any]] = {}
    for arm, look in looks.items():
        weight, _, law = arm.partition("@")
        named.setdefault(weight, {**look, "linestyle": "-"})
        if law:
            named.setdefault(f"@{law}", {**look, "color": "black"})
    return dict(sorted(named.items(), key=lambda each: each[0].startswith("@")))
