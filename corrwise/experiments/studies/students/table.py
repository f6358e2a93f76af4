"""The tables of ``corrwise table motion``, from its rows alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from corrwise.costs.motion.score import level_shares, motion_score
from corrwise.experiments.cli.evaluate import EvaluateConfig
from corrwise.experiments.cli.table_motion import DISTILL
from corrwise.experiments.report.statistics import Estimate, mean_and_error, paired_difference, paired_ratio
from corrwise.experiments.report.table import number, percent, with_error
from corrwise.experiments.runs.rows import Row
from corrwise.experiments.studies.motion.distances import Pooled
from corrwise.experiments.studies.motion.measure import ACCELERATIONS, LENGTHS, REAL
from corrwise.experiments.studies.motion.table import clip_values, motion_page, pooled_distances
from corrwise.experiments.studies.predictors.evaluation import BASELINE, by_model
from corrwise.experiments.studies.predictors.sampled_tables import Table

__all__ = ["student_tables"]

_SCORES = {"smoothness": 4, "dynamic": 3, "score": 3}  # digits behind the point
_WARM = "warm-up "
_MOTION = (
    "Measured with the flow {flow}. Means over held-out clips, their windows, and the models of an arm; ± standard "
    "error over clips. Smoothness: by {interpolator}, in the place of VBench's AMT-S. Motion score: mean of it and of "
    "the dynamic degree. Distances: Wasserstein-1, from the "
    "distribution of the true frames, mean over models, with a 95 % interval over clips."
)
_COMPARED = (
    "Models of the same seed, which have the same teacher, are compared; intervals of 95 % are paired by clip. Gap "
    "closed: 1 minus the distance of flow lengths from the true frames over that of {distill}: 100 % has the "
    "true distribution, below 0 is farther from it; in brackets each seed. Energy score: relative to that of "
    "{distill}, above 0 is worse. Of smoothness, dynamic degree and motion score neither sign is better by itself."
)
_SECONDS = (
    "Seconds of a model's training, on average over the models of an arm, in all and in each phase; in brackets "
    "milliseconds a step. Warm-up steps count with the phases that they share."
)

Seeds = Mapping[str, Sequence[Row]]  # rows of each model of an arm, by seed


def student_tables(flows: Mapping[str, Sequence[Row]], times: Sequence[Row]) -> str:
    """Return the tables of each flow that motion was measured with, and that of the seconds of training.

    Args:
        flows: rows of ``corrwise evaluate --motion`` by the flow.
        times: rows of steps and seconds of each model and phase.
    """
    tables = []
    for flow, rows in flows.items():
        arms, pooled = by_arm(rows), pooled_distances(rows)
        tables += [_motion(arms, pooled, flow), _compared(arms, pooled, flow)]
    return motion_page([*tables, _seconds(times)])


def by_arm(rows: Iterable[Row]) -> dict[str, dict[str, Sequence[Row]]]:
    """Return the rows of each model by arm and seed: ``mogan-0`` and ``mogan-1`` are seeds of the arm ``mogan``."""
    arms: dict[str, dict[str, Sequence[Row]]] = {}
    for name, mine in by_model(list(rows)).items():
        arm, dash, seed = name.rpartition("-")
        if not dash or name == BASELINE:  # or the true frames
            arm, seed = name, ""
        arms.setdefault(arm, {})[seed] = mine
    return arms


def _values(seeds: Seeds, field: str) -> dict[int, float]:
    """Return a measure of each clip: over its windows, then over the models."""
    if field == "score":
        smooth, dynamic = _values(seeds, "smoothness"), _values(seeds, "dynamic")
        return {clip: motion_score(smooth[clip], dynamic[clip]) for clip in smooth.keys() & dynamic.keys()}
    each = [clip_values(rows, field) for rows in seeds.values()]
    clips = sorted(set.intersection(*(set(values) for values in each)))
    return {clip: float(np.mean([values[clip] for values in each])) for clip in clips}


def _mean_length(seeds: Seeds) -> float:
    shares = level_shares().numpy()
    return float(np.mean([np.asarray(row[LENGTHS]) @ shares for rows in seeds.values() for row in rows]))


def _names(arm: str, seeds: Iterable[str]) -> list[str]:
    return [f"{arm}-{seed}" if seed else arm for seed in seeds]


def _motion(arms: Mapping[str, Seeds], pooled: Mapping[str, Pooled], flow: str) -> Table:
    lines, true = [], _mean_length(arms[REAL])
    for arm, seeds in arms.items():
        cells = [f"`{arm}`", str(len(seeds)) if arm not in (REAL, BASELINE) else ""]
        for field, digits in _SCORES.items():
            cells.append(_cell(_values(seeds, field), digits))
        length = _mean_length(seeds)
        cells += [number(length, 4), percent(length / true if true else None)]
        for field in (LENGTHS, ACCELERATIONS):
            apart = pooled[field].of_groups([_names(arm, seeds)], lambda mine: mine) if arm != REAL else None
            cells.append("" if apart is None else apart.text(".5f"))
        lines.append([*cells, _cell(_values(seeds, "energy"), 3)])
    head = ["arm", "models", "smoothness", "dynamic degree", "motion score", "mean length, px", "of the true one"]
    head += ["distance of flow lengths, px", "of accelerations, px", "energy score"]
    text = _MOTION.format(flow=flow, interpolator=EvaluateConfig.motion_interpolator)
    return Table(f"Motion of sampled futures ({flow})", head, lines, text)


def _compared(arms: Mapping[str, Seeds], pooled: Mapping[str, Pooled], flow: str) -> Table:
    lines = []
    for arm, seeds in arms.items():
        both = sorted(seeds.keys() & arms.get(DISTILL, {}).keys())
        if arm == DISTILL or not both:
            continue
        mine, base = ({seed: arms[name][seed] for seed in both} for name in (arm, DISTILL))

        groups = [_names(name, both) for name in (arm, DISTILL)]
        more = {field: each.of_groups(groups, np.subtract).text("+.5f") for field, each in pooled.items()}
        cells = [f"`{arm}`", str(len(both)), more[LENGTHS], _gap_closed(pooled[LENGTHS], groups), more[ACCELERATIONS]]
        cells.append(_energy(mine, base).text("+.1%"))
        for field, digits in _SCORES.items():
            cells.append(paired_difference(*_paired(mine, base, field)).text(f"+.{digits}f"))
        lines.append(cells)
    head = ["arm", "pairs of models", "distance of flow lengths, px", "gap closed", "distance of accelerations, px"]
    head += ["energy score", "smoothness", "dynamic degree", "motion score"]
    return Table(f"Compared with {DISTILL} ({flow})", head, lines, _COMPARED.format(distill=DISTILL))


def _gap_closed(pooled: Pooled, groups: Sequence[Sequence[str]]) -> str:
    """Return the share of the second group's distance that the first group does not have, and that of each pair."""

    def closed(mine: Any, base: Any) -> Any:
        with np.errstate(all="ignore"):
            return 1 - mine / base

    each = [closed(*(np.float64(pooled.value(model)) for model in pair)) for pair in zip(*groups, strict=True)]
    alone = f" [{', '.join(percent(float(value)) for value in each)}]" if len(each) > 1 else ""
    return pooled.of_groups(groups, closed).text("+.1%") + alone


def _paired(mine: Seeds, base: Seeds, field: str) -> tuple[list[float], list[float]]:
    one, two = _values(mine, field), _values(base, field)
    clips = sorted(one.keys() & two.keys())
    return [one[clip] for clip in clips], [two[clip] for clip in clips]


def _energy(mine: Seeds, base: Seeds) -> Estimate:
    return Estimate(*(value - 1 for value in paired_ratio(*_paired(mine, base, "energy"))))


def _cell(values: Mapping[int, float], digits: int) -> str:
    if not values:
        return ""
    mean, error = mean_and_error(list(values.values()))
    return with_error(mean, error, digits)


def _seconds(times: Sequence[Row]) -> Table:
    arms: dict[str, dict[str, list[Row]]] = {}
    for row in times:
        arm, phase = row["model"].rpartition("-")[0], row["phase"].removeprefix(_WARM)
        arms.setdefault(arm, {}).setdefault(phase, []).append(row)
    phases = list(dict.fromkeys(phase for each in arms.values() for phase in each))
    lines = []
    for arm, each in arms.items():
        models = len({row["model"] for rows in each.values() for row in rows})
        total = sum(row["seconds"] for rows in each.values() for row in rows) / models
        cells = [f"`{arm}`", str(models), number(total, 0)]
        for phase in phases:
            rows = each.get(phase, [])
            steps, seconds = (sum(row[name] for row in rows) for name in ("steps", "seconds"))
            cells.append(f"{number(seconds / models, 0)} ({number(1000 * seconds / steps, 0)})" if steps else "")
        lines.append(cells)
    return Table("Seconds of training", ["arm", "models", "all", *phases], lines, _SECONDS)
