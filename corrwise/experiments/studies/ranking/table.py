"""``corrwise table ranking``: how well each cost ranks the candidates of real plans, beside what exact flow sees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from corrwise._files import reading
from corrwise.experiments.cli.cost import cost_label
from corrwise.experiments.cli.table import RankingTableConfig
from corrwise.experiments.report.rejected import planned_rows, quoted, refusals, warn
from corrwise.experiments.report.statistics import paired_difference, paired_ratio
from corrwise.experiments.runs.atomic import RunFolderError, write_bytes_atomic
from corrwise.experiments.runs.fields import COUNT, NUMBER, TEXT, TEXT_BY_NAME, Key, needed
from corrwise.experiments.runs.lock import only_run
from corrwise.experiments.runs.named_costs import make_distance, settings_behind, with_other_costs
from corrwise.experiments.runs.networks import network_of
from corrwise.experiments.runs.rows import append_row, claim_folder, open_rows, read_rows
from corrwise.experiments.runs.settings import settings_of
from corrwise.experiments.runs.versions import check_versions, versions
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

Row = dict[str, Any]


def ranking_key(row: Row) -> tuple[str, str, int]:
    """Return what identifies a row: (task, cost, seed)."""
    task, cost, seed = (row[name] for name in KEY)
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
_FREE = ("tasks", "costs", "flows", "episodes", "seed", "lockstep")  # these never change a row

_COUNTS = ("rejected", "scored", "plans_rejected")  # of a row, summed over its candidate sets


def run_ranking(config: RankingTableConfig) -> Path:
    """Measure what the folder does not hold yet, and return the table's path.

    Rows of a network that is another by now are measured anew; of rows with the same key the last counts.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, RuntimeError, ValueError: weights that cannot be had.
    """
    distances = {cost_label(cost): make_distance(cost) for cost in config.costs}  # must fail before all else
    networks = {cost: network_of(distance) for cost, distance in distances.items()}
    with only_run(config.out):
        file = config.out / "rows.jsonl"
        claim_folder(config.out, with_other_costs(config.out, _jsonable(config)), ignore=_FREE, key=KEY)
        rows = open_rows(file, KEY)
        check_versions(config.out, rows)
        done = {ranking_key(row) for row in rows if row.get("network") == networks.get(row["cost"])}
        for task in config.tasks:
            seeds = [config.seed + i for i in range(config.episodes)]
            left = [seed for seed in seeds if any((task, cost, seed) not in done for cost in distances)]
            with tqdm(range(0, len(left), config.lockstep), unit="group", desc=task) as bar:
                for i in bar:
                    group = left[i : i + config.lockstep]
                    missing = {c: d for c, d in distances.items() if any((task, c, k) not in done for k in group)}
                    for row in _measured(task, config, group, missing):
                        if ranking_key(row) not in done:
                            append_row(file, {**row, "network": networks[row["cost"]], "versions": versions()})
        with reading(file, "holds rows that no table can be made of", RunFolderError):
            rows = [{**row, "steps": row["sets"]} for row in read_rows(file, KEY)]
            refused = refusals(rows, ("task", "cost"))
            page = ranking_table(planned_rows(rows, ("task", "cost")))
        warn(refused)
        write_bytes_atomic(config.out / "table.md", (quoted(refused) + page).encode())
    return config.out / "table.md"


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
            found.setdefault((cost, candidates.seed), []).append(_numbers(candidates, distance))
    for (cost, seed), sets in found.items():
        means = {name: float(np.mean([each[name] for each in sets])) for name in sets[0] if name not in _COUNTS}
        counts = {name: sum(each[name] for each in sets) for name in _COUNTS}
        yield {"task": task, "cost": cost, "seed": seed, **means, "sets": len(sets), **counts}


def _numbers(candidates: CandidateSet, distance: Distance) -> Row:
    goal = candidates.goal.expand_as(candidates.frames).contiguous()
    with torch.no_grad():
        cost = distance(candidates.frames, goal).double().numpy()
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


def _jsonable(config: RankingTableConfig) -> Row:
    """Return what the rows depend on, what each cost is made of among it."""
    behind = {cost_label(cost): settings_behind(cost) for cost in config.costs}
    return {**settings_of(config), "made_of": behind}
