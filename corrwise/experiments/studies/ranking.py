"""``corrwise table ranking``: how well each cost ranks the candidates of real plans, beside exact flow's ranking."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from corrwise.envs import TASKS, Fleet, MujocoSimulator
from corrwise.experiments.cli.options import cost_label
from corrwise.experiments.cli.table_ranking import RankingTableConfig
from corrwise.experiments.report.statistics import paired_difference, paired_ratio
from corrwise.experiments.report.summary import planned_rows, rejection_warnings
from corrwise.experiments.report.table import markdown_table, write_table
from corrwise.experiments.runs.distances import make_distance, network_of, with_costs
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.jobs import Job
from corrwise.experiments.runs.policies import Planning, Recorded, exact_flow_cost, state_score
from corrwise.experiments.runs.rows import COUNT, NUMBER, TEXT, TEXT_BY_NAME, Key, Row, RowKey, needed
from corrwise.experiments.runs.settings import settings_of
from corrwise.mpc import CEM, AgentConfig, Aggregate, VisualMPC
from corrwise.types import Distance

KEY = Key(  # what identifies a row of this table
    {"task": str, "cost": str, "seed": int},
    {
        **dict.fromkeys(("correlation", "correlation_exact", "distance"), needed(NUMBER, null=True)),
        **dict.fromkeys(("distance_elites", "distance_exact", "distance_state"), needed(NUMBER, null=True)),
        **dict.fromkeys(("sets", "rejected", "scored", "plans_rejected"), COUNT),
        **{"network": TEXT, "versions": TEXT_BY_NAME},
    },
)
ELITES = 0.2  # share of the candidates that a plan goes on with, as in CEM
_METHOD = ("task", "cost")
_COUNTS = ("rejected", "scored", "plans_rejected")  # of a row, summed over its candidate sets


def run_ranking(config: RankingTableConfig) -> Path:
    """Measure what the folder does not hold yet, and return the table's path.

    Rows of a network whose weights have changed are measured anew; of rows with the same key the last counts.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, RuntimeError, ValueError: missing or broken weights.
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

        def page() -> tuple[str, list[str]]:
            rows = [{**row, "steps": row["sets"]} for row in folder.rows]
            return ranking_table(planned_rows(rows, _METHOD)), rejection_warnings(rows, _METHOD)

        return write_table(config.out, page)


def ranking_table(rows: Iterable[Row]) -> str:
    """Return one line per task and cost, and the bounds: exact flow's and the true distance's own ranking.

    *Elites* is how much nearer to the goal the cheapest fifth of the candidates are than all of them, as a share of
    what exact flow's cheapest fifth are: 100 % is exact flow, 0 % a random choice.
    """
    tasks: dict[str, dict[str, list[Row]]] = {}
    for (task, cost, _), row in {KEY.of(row): row for row in rows}.items():
        tasks.setdefault(task, {}).setdefault(cost, []).append(row)
    lines = []
    for task, costs in tasks.items():
        for cost, mine in costs.items():
            lines.append(_line(task, f"`{cost}`", mine, "correlation", "distance_elites"))
        largest = max(costs.values(), key=len)
        lines.append(_line(task, "*exact-flow*", largest, "correlation_exact", "distance_exact"))
        lines.append(_line(task, "*state*", largest, "", "distance_state"))
    return markdown_table(("task", "cost", "episodes", "rank correlation", "elites"), lines)


def _line(task: str, cost: str, rows: list[Row], correlation: str, elites: str) -> tuple[str, ...]:
    zeros = [0.0] * len(rows)
    ranked = paired_difference([row[correlation] for row in rows], zeros).text(".2f") if correlation else "1.00"
    gains, bounds = ([_gain(row, name) for row in rows] for name in (elites, "distance_exact"))
    return task, cost, str(len(rows)), ranked, paired_ratio(gains, bounds).text(".0%")


def _gain(row: Row, name: str) -> float | None:
    """Return how much nearer some candidates are than all of them; None without either number."""
    return None if row["distance"] is None or row[name] is None else row["distance"] - row[name]


@dataclass(frozen=True)
class _Ranking:
    """One task, and the distances that rank its candidates."""

    task: str
    config: RankingTableConfig
    distances: dict[str, Distance] = field(compare=False)


def _setup(ranking: _Ranking, *, threads: int, progress: Callable[[], Any]) -> Callable[[Sequence[RowKey]], Any]:
    def rows(keys: Sequence[RowKey]) -> Iterator[Row]:
        """Yield a row for each cost and episode: means over the plans and their iterations."""
        distances = {cost: ranking.distances[cost] for _, cost, _ in keys}
        seeds = list(dict.fromkeys(key[-1] for key in keys))
        measured: dict[tuple[str, int], list[Row]] = {}
        for candidates in candidate_sets(ranking.task, ranking.config, seeds):
            if np.isfinite(candidates.distances).sum() < 2:
                continue  # there is nothing to rank
            for cost, distance in distances.items():
                numbers = _numbers(candidates, distance, ranking.config.device)
                measured.setdefault((cost, candidates.seed), []).append(numbers)
        for (cost, seed), sets in measured.items():
            means = {name: float(np.mean([each[name] for each in sets])) for name in sets[0] if name not in _COUNTS}
            counts = {name: sum(each[name] for each in sets) for name in _COUNTS}
            yield {"task": ranking.task, "cost": cost, "seed": seed, **means, "sets": len(sets), **counts}

    return rows


@dataclass(frozen=True)
class CandidateSet:
    """The candidates of one iteration of one plan.

    Attributes:
        seed: of the episode.
        frames: the frame at the end of the horizon, of each candidate.
        goal: the goal image.
        distances: true state distance of each to the goal, position only.
        displacements: mean displacement of the goal's body pixels in pixels, by exact flow.
    """

    seed: int
    frames: Float[Tensor, "N 3 h w"]
    goal: Float[Tensor, "3 h w"]
    distances: Float64[np.ndarray, "N"]
    displacements: Float64[np.ndarray, "N"]


def candidate_sets(task: str, config: RankingTableConfig, seeds: Sequence[int]) -> Iterator[CandidateSet]:
    """Yield the candidates of every iteration of the plans at ``config.moments``, in episodes planned by exact flow."""
    simulator = MujocoSimulator(TASKS[task], size=config.size)
    fleet = Fleet(simulator)
    context, goal = fleet.reset(seeds)
    planner = CEM(
        simulator.physics.action_dim,
        horizon=config.horizon,
        candidates=config.candidates,
        iterations=config.iterations,
    )
    recorded = Recorded(exact_flow_cost(simulator))
    score = state_score(fleet, recorded, Aggregate("last"))
    policy = Planning(VisualMPC(None, None, planner, goal=goal, score=score, config=AgentConfig(seed=tuple(seeds))))
    for step in range(max(config.moments) + 1):
        recorded.seen.clear()
        decision = policy(context)
        if step in config.moments:
            for states, displacements in recorded.seen:
                frames = simulator.render(states)
                near = simulator.state_distance(states, fleet.goal_states[:, None])
                for i, seed in enumerate(seeds):
                    yield CandidateSet(seed, frames[i], goal.frames[i, 0], near[i], displacements[i].double().numpy())
        context = fleet.step(decision.action)


def _numbers(candidates: CandidateSet, distance: Distance, device: str) -> Row:
    goal = candidates.goal.expand_as(candidates.frames).contiguous()
    with torch.no_grad():
        cost = distance(candidates.frames.to(device), goal.to(device)).cpu().double().numpy()
    alive = np.isfinite(candidates.distances)  # a candidate whose physics diverged has no true distance
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
