"""``corrwise table ranking``: how well each cost ranks the candidates of real plans, beside what exact flow sees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from corrwise._files import reading
from corrwise._writing import RunFolderError, write_bytes_atomic
from corrwise.experiments.cli.cost import cost_label
from corrwise.experiments.cli.table_ranking import RankingTableConfig
from corrwise.experiments.report.statistics import paired_difference, paired_ratio
from corrwise.experiments.report.summary import planned_rows, quoted, rejection_warnings, warn
from corrwise.experiments.runs.folder import Job, RunFolder
from corrwise.experiments.runs.parts import make_distance, network_of, with_costs
from corrwise.experiments.runs.rows import COUNT, NUMBER, TEXT, TEXT_BY_NAME, Key, Row, RowKey, needed
from corrwise.experiments.runs.settings import settings_of
from corrwise.experiments.studies.ranking.sets import CandidateSet, candidate_sets
from corrwise.types import Distance

__all__ = ["KEY", "elite_distance", "rank_correlation", "ranking_key", "ranking_table", "run_ranking"]

KEY = Key(  # what identifies a row of this table
    {"task": str, "cost": str, "seed": int},
    {
        **dict.fromkeys(("correlation", "correlation_exact", "distance"), needed(NUMBER, null=True)),
        **dict.fromkeys(("distance_elites", "distance_exact", "distance_state"), needed(NUMBER, null=True)),
        **dict.fromkeys(("sets", "rejected", "scored", "plans_rejected"), COUNT),
        **{"network": TEXT, "versions": TEXT_BY_NAME},
    },
)


def ranking_key(row: Row) -> tuple[str, str, int]:
    """Return what identifies a row: (task, cost, seed)."""
    task, cost, seed = KEY.of(row)
    return task, cost, seed


def ranking_table(rows: Iterable[Row]) -> str:
    """Return one line per task and cost, and the bounds: exact flow's and the true distance's own ranking.

    *Elites* is how much nearer to the goal the cheapest fifth of the candidates are than all of them, as a share of
    what exact flow's cheapest fifth are: 100 % is exact flow, 0 % a draw by lot.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in {ranking_key(row): row for row in rows}.values():
        groups.setdefault((row["task"], row["cost"]), []).append(row)
    lines = ["| task | cost | episodes | rank correlation | elites |", "|---|---|---|---|---|"]
    for task in dict.fromkeys(task for task, _ in groups):
        mine = {key: group for key, group in groups.items() if key[0] == task}
        for (_, cost), group in mine.items():
            lines.append(_line(task, f"`{cost}`", group, "correlation", "distance_elites"))
        largest = max(mine.values(), key=len)
        lines.append(_line(task, "*exact-flow*", largest, "correlation_exact", "distance_exact"))
        lines.append(_line(task, "*state*", largest, "", "distance_state"))
    return "\n".join(lines) + "\n"


def _line(task: str, cost: str, rows: list[Row], correlation: str, elites: str) -> str:
    zeros = [0.0] * len(rows)
    ranked = paired_difference([row[correlation] for row in rows], zeros).said(".2f") if correlation else "1.00"
    gains, bounds = ([_gain(row, name) for row in rows] for name in (elites, "distance_exact"))
    return f"| {task} | {cost} | {len(rows)} | {ranked} | {paired_ratio(gains, bounds).said('.0%')} |"


def _gain(row: Row, name: str) -> float | None:
    """Return how much nearer some candidates are than all of them; None where the row does not say."""
    return None if row["distance"] is None or row[name] is None else row["distance"] - row[name]


ELITES = 0.2  # share of the candidates that a plan goes on with, as in CEM
_COUNTS = ("rejected", "scored", "plans_rejected")  # of a row, summed over its candidate sets


def run_ranking(config: RankingTableConfig) -> Path:
    """Measure what the folder does not hold yet, and return the table's path.

    Rows of a network that is another by now are measured anew; of rows with the same key the last counts.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, RuntimeError, ValueError: weights that cannot be had.
    """
    distances = {cost_label(cost): make_distance(cost) for cost in config.costs}  # must fail before all else
    stamps: dict[str, Row] = {cost: {"network": network_of(distance)} for cost, distance in distances.items()}
    seeds = range(config.seed, config.seed + config.episodes)
    jobs = [
        Job(
            _setup,
            _Ranking(task, config, distances),
            {(task, cost, seed): stamps[cost] for seed in seeds for cost in distances},
            together=config.lockstep,
            label=task,
        )
        for task in config.tasks
    ]
    settings = with_costs(settings_of(config, "ranking"), config.out, config.costs)
    with RunFolder(config.out, settings, KEY, newest=True) as folder:
        folder.run(jobs, unit="episode")
        with reading(folder.file, "holds rows that no table can be made of", RunFolderError):
            rows = [{**row, "steps": row["sets"]} for row in folder.rows]
            refused = rejection_warnings(rows, ("task", "cost"))
            page = ranking_table(planned_rows(rows, ("task", "cost")))
        warn(refused)
        write_bytes_atomic(config.out / "table.md", (quoted(refused) + page).encode())
    return config.out / "table.md"


@dataclass(frozen=True)
class _Ranking:
    """One task, and the distances that rank its candidates."""

    task: str
    config: RankingTableConfig
    distances: dict[str, Distance] = field(compare=False)


def _setup(ranking: _Ranking, *, threads: int, progress: Callable[[], Any]) -> Callable[[Sequence[RowKey]], Any]:
    def rows(keys: Sequence[RowKey]) -> Iterator[Row]:
        wanted = {cost: ranking.distances[cost] for _, cost, _ in keys}
        yield from _measured(ranking.task, ranking.config, list(dict.fromkeys(key[-1] for key in keys)), wanted)

    return rows


def rank_correlation(cost: np.ndarray, truth: np.ndarray) -> float:
    """Return Spearman's correlation of two (N,); a cost that is not finite ranks last, one that is constant gives 0."""
    from scipy.stats import rankdata

    ranks = [rankdata(np.where(np.isfinite(values), values, np.inf)) for values in (cost, truth)]
    centred = [values - values.mean() for values in ranks]
    size = float(np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum()))
    return float((centred[0] * centred[1]).sum()) / size if size else 0.0


def elite_distance(cost: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean true distance of the cheapest fifth of the candidates, (N,) both."""
    order = np.argsort(np.where(np.isfinite(cost), cost, np.inf), kind="stable")
    return float(truth[order[: max(1, round(ELITES * len(order)))]].mean())


def _measured(
    task: str, config: RankingTableConfig, seeds: Sequence[int], distances: dict[str, Distance]
) -> Iterator[Row]:
    """Yield a row for each cost and episode: means over the plans that were looked at and their iterations."""
    found: dict[tuple[str, int], list[Row]] = {}
    for candidates in candidate_sets(task, config, seeds):
        if np.isfinite(candidates.distances).sum() < 2:
            continue  # there is nothing to rank
        for cost, distance in distances.items():
            found.setdefault((cost, candidates.seed), []).append(_numbers(candidates, distance, config.device))
    for (cost, seed), sets in found.items():
        means = {name: float(np.mean([each[name] for each in sets])) for name in sets[0] if name not in _COUNTS}
        counts = {name: sum(each[name] for each in sets) for name in _COUNTS}
        yield {"task": task, "cost": cost, "seed": seed, **means, "sets": len(sets), **counts}


def _numbers(candidates: CandidateSet, distance: Distance, device: str) -> Row:
    goal = candidates.goal.expand_as(candidates.frames).contiguous()
    with torch.no_grad():
        cost = distance(candidates.frames.to(device), goal.to(device)).cpu().double().numpy()
    alive = np.isfinite(candidates.distances)  # a candidate whose physics broke down has no true distance
    cost, truth, exact = (values[alive] for values in (cost, candidates.distances, candidates.displacements))
    return {
        "correlation": rank_correlation(cost, truth),
        "correlation_exact": rank_correlation(exact, truth),
        "distance": float(truth.mean()),
        "distance_elites": elite_distance(cost, truth),
        "distance_exact": elite_distance(exact, truth),
        "distance_state": elite_distance(truth, truth),
        "rejected": int((~np.isfinite(cost)).sum()),
        "scored": len(cost),
        "plans_rejected": int(not np.isfinite(cost).any()),
    }
