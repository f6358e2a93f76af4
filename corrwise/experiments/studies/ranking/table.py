"""``corrwise table ranking``: how well each cost ranks the candidates of real plans, beside what exact flow sees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from corrwise._files import reading
from corrwise._writing import RunFolderError, write_bytes_atomic
from corrwise.experiments.cli.cost import FLOW_NAMES
from corrwise.experiments.cli.table_ranking import RankingTableConfig
from corrwise.experiments.report.statistics import paired_difference, paired_ratio
from corrwise.experiments.report.summary import planned_rows, quoted, rejection_warnings, warn
from corrwise.experiments.runs.fields import COUNT, NUMBER, TEXT, TEXT_BY_NAME, Key, needed
from corrwise.experiments.runs.lock import only_run
from corrwise.experiments.runs.named_costs import make_distance, resolved
from corrwise.experiments.runs.networks import network_of
from corrwise.experiments.runs.rows import append_row, claim_folder, open_rows, read_rows
from corrwise.experiments.runs.settings import settings_of
from corrwise.experiments.runs.versions import check_versions, versions
from corrwise.experiments.studies.ranking.sets import CandidateSet, candidate_sets
from corrwise.types import Distance

__all__ = ["KEY", "elite_distance", "rank_correlation", "ranking_key", "ranking_table", "run_ranking"]

KEY = Key(  # what identifies a row of this table
    {"task": str, "cost": str, "flow": str, "seed": int},
    {
        **dict.fromkeys(("correlation", "correlation_exact", "distance"), needed(NUMBER, null=True)),
        **dict.fromkeys(("distance_elites", "distance_exact", "distance_state"), needed(NUMBER, null=True)),
        **dict.fromkeys(("sets", "rejected", "scored", "plans_rejected"), COUNT),
        **{"network": TEXT, "versions": TEXT_BY_NAME},
    },
)

Row = dict[str, Any]


def ranking_key(row: Row) -> tuple[str, str, str, int]:
    """Return what identifies a row: (task, cost, flow, seed)."""
    task, cost, flow, seed = (row[name] for name in KEY)
    return task, cost, flow, seed


def ranking_table(rows: Iterable[Row]) -> str:
    """Return one line per task, cost and flow, and the bounds: exact flow's and the true distance's own ranking.

    *Elites* is how much nearer to the goal the cheapest fifth of the candidates are than all of them, as a share of
    what exact flow's cheapest fifth are: 100 % is exact flow, 0 % a draw by lot.
    """
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in {ranking_key(row): row for row in rows}.values():
        groups.setdefault((row["task"], row["cost"], row["flow"]), []).append(row)
    lines = ["| task | cost | flow | episodes | rank correlation | elites |", "|---|---|---|---|---|---|"]
    for task in dict.fromkeys(task for task, _, _ in groups):
        mine = {key: group for key, group in groups.items() if key[0] == task}
        for (_, cost, flow), group in mine.items():
            lines.append(_line(task, f"`{cost}`", flow, group, "correlation", "distance_elites"))
        largest = max(mine.values(), key=len)
        lines.append(_line(task, "*exact-flow*", "", largest, "correlation_exact", "distance_exact"))
        lines.append(_line(task, "*state*", "", largest, "", "distance_state"))
    return "\n".join(lines) + "\n"


def _line(task: str, cost: str, flow: str, rows: list[Row], correlation: str, elites: str) -> str:
    zeros = [0.0] * len(rows)
    ranked = paired_difference([row[correlation] for row in rows], zeros).said(".2f") if correlation else "1.00"
    gains, bounds = ([_gain(row, name) for row in rows] for name in (elites, "distance_exact"))
    return f"| {task} | {cost} | {flow} | {len(rows)} | {ranked} | {paired_ratio(gains, bounds).said('.0%')} |"


def _gain(row: Row, name: str) -> float | None:
    """Return how much nearer some candidates are than all of them; None where the row does not say."""
    return None if row["distance"] is None or row[name] is None else row["distance"] - row[name]


ELITES = 0.2  # share of the candidates that a plan goes on with, as in CEM
_FREE = ("tasks", "costs", "flows", "episodes", "seed", "lockstep")  # these never change a row

_COUNTS = ("rejected", "scored", "plans_rejected")  # of a row, summed over its candidate sets
Asked = tuple[str, str]  # cost, flow ("" for one that matches nothing)


def run_ranking(config: RankingTableConfig) -> Path:
    """Measure what the folder does not hold yet, and return the table's path.

    Rows of a network that is another by now are measured anew; of rows with the same key the last counts.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, RuntimeError, ValueError: weights that cannot be had.
    """
    distances = {asked: _distance(asked, config) for asked in _asked(config)}  # must fail before anything is written
    networks = {asked: network_of(distance) for asked, distance in distances.items()}
    with only_run(config.out):
        file = config.out / "rows.jsonl"
        claim_folder(config.out, _jsonable(config), ignore=_FREE, key=KEY)
        rows = open_rows(file, KEY)
        check_versions(config.out, rows)
        done = {ranking_key(row) for row in rows if row.get("network") == networks.get((row["cost"], row["flow"]))}
        for task in config.tasks:
            seeds = [config.seed + i for i in range(config.episodes)]
            left = [seed for seed in seeds if any((task, *asked, seed) not in done for asked in distances)]
            with tqdm(range(0, len(left), config.lockstep), unit="group", desc=task) as bar:
                for i in bar:
                    group = left[i : i + config.lockstep]
                    missing = {a: d for a, d in distances.items() if any((task, *a, k) not in done for k in group)}
                    for row in _measured(task, config, group, missing):
                        if ranking_key(row) not in done:
                            network = networks[row["cost"], row["flow"]]
                            append_row(file, {**row, "network": network, "versions": versions()})
        with reading(file, "holds rows that no table can be made of", RunFolderError):
            rows = [{**row, "steps": row["sets"]} for row in read_rows(file, KEY)]
            refused = rejection_warnings(rows, ("task", "cost", "flow"))
            page = ranking_table(planned_rows(rows, ("task", "cost", "flow")))
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


def _asked(config: RankingTableConfig) -> list[Asked]:
    pairs = [(cost, flow) for cost in config.costs for flow in (config.flows if cost.startswith("corr-") else [""])]
    return list(dict.fromkeys(pairs))


def _distance(asked: Asked, config: RankingTableConfig) -> Distance:
    cost, flow = asked
    return make_distance(cost, replace(config.cost, flow=flow) if flow else config.cost)


def _measured(
    task: str, config: RankingTableConfig, seeds: Sequence[int], distances: dict[Asked, Distance]
) -> Iterator[Row]:
    """Yield a row for each cost and episode: means over the plans that were looked at and their iterations."""
    found: dict[tuple[Asked, int], list[Row]] = {}
    for candidates in candidate_sets(task, config, seeds):
        if np.isfinite(candidates.distances).sum() < 2:
            continue  # there is nothing to rank
        for asked, distance in distances.items():
            found.setdefault((asked, candidates.seed), []).append(_numbers(candidates, distance, config.device))
    for ((cost, flow), seed), sets in found.items():
        means = {name: float(np.mean([each[name] for each in sets])) for name in sets[0] if name not in _COUNTS}
        counts = {name: sum(each[name] for each in sets) for name in _COUNTS}
        yield {"task": task, "cost": cost, "flow": flow, "seed": seed, **means, "sets": len(sets), **counts}


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


def _jsonable(config: RankingTableConfig) -> Row:
    """Return what the rows depend on, each flow's own numbers among it."""
    row = settings_of(config)
    row["cost"].pop("flow")
    counted = [
        flow for flow in FLOW_NAMES if flow != "tv-l1" or flow in config.flows
    ]  # folders older than it stay valid
    row["numbers"] = {flow: asdict(resolved(replace(config.cost, flow=flow))) for flow in counted}
    return row
