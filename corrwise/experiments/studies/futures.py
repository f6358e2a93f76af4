"""``corrwise table futures``: plans over sampled futures beside plans that bet on one, in a task with gusts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from corrwise.envs.tasks.manifest import frozen_manifest
from corrwise.experiments.cli.mpc import PREDICTOR_NAMES, MPCConfig
from corrwise.experiments.cli.options import cost_label
from corrwise.experiments.cli.table_futures import FuturesTableConfig, label_of
from corrwise.experiments.report.statistics import mean_and_error, paired_difference, share_nearer
from corrwise.experiments.report.table import markdown_table
from corrwise.experiments.runs.executors import executor_of
from corrwise.experiments.runs.grid import Cell
from corrwise.experiments.studies.planning import Row, Rows, by_method, paired, run_planning_table
from corrwise.mpc.config import RiskName

LOST = 0.6  # metres; the shelter's edge is nearer to every goal, and the foot of the slope is farther away
LABELS: Mapping[str, str] = MappingProxyType(
    {
        "oracle": "*oracle, no gusts* (upper-bound control)",
        "oracle-gusts": "*oracle, sampled gusts* (privileged control)",
        "zero-action": "*no action*",
    }
)
_HEAD = (
    "predictor", "futures", "n", "last 10 steps", "nearest", "nearer than the first (95 %)", "nearer in", "lost", "s"
)  # fmt: skip


def run_futures_table(config: FuturesTableConfig) -> Path:
    """Run what the folder does not hold yet, and return the table's path.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, ValueError: there is no such predictor, or it does not fit the task.
    """
    cells = cells_of(config)

    def table(rows: list[Row]) -> str:
        return futures_table(rows, [cell.method for cell in cells])

    executor = executor_of(config.where, config.processes, config.out)
    return run_planning_table(config.out, cells, table, executor=executor, lockstep=config.lockstep)


def cells_of(config: FuturesTableConfig) -> list[Cell]:
    """Return a cell for no action, each deterministic predictor, and each stochastic one under each risk."""
    manifest = frozen_manifest(config.task).part(slice(config.episodes))

    def cell(predictor: str, label: str, futures: int, risk: RiskName, cost: str = config.cost) -> Cell:
        several = futures > 1 and predictor not in PREDICTOR_NAMES
        nfe, sampling = (config.nfe, config.sampling) if several else (None, ())
        each = MPCConfig(
            task=config.task, costs=(cost,), predictor=predictor, futures=futures, risk=risk, nfe=nfe,
            sampling=sampling, risk_level=config.risk_level, plan_every=config.plan_every, horizon=config.horizon,
            candidates=config.candidates, iterations=config.iterations, aggregate=config.aggregate,
            size=config.size, supersample=config.supersample, device=config.device, videos=False,
        )  # fmt: skip
        return Cell(label, each, manifest)

    arms = [cell(each, f"{label_of(each)}, 1", 1, "mean") for each in config.deterministic]
    for each in config.stochastic:
        arms += [
            cell(each, f"{label_of(each)}, {risk} of {config.futures}", config.futures, risk) for risk in config.risks
        ]
    return [*arms, cell("oracle", "zero-action, -", 1, "mean", cost="zero-action")]


def futures_table(rows: Iterable[Row], order: Sequence[str]) -> str:
    """Return a table for each task: the distance to the goal over the last ten steps of each arm, in this order.

    It is compared with the first arm's, paired by episode: by how much an arm is nearer, with the 95 % bootstrap
    interval, and in which share of the episodes. ``nearest`` is the smallest distance of an episode, and ``lost`` the
    share of episodes that came near and ended far away.
    """
    parts = []
    for task, arms in by_method(rows).items():
        costs = sorted({row["cost"] for mine in arms.values() for row in mine} - {"zero-action"})
        arms = {name: arms[name] for name in order if name in arms}
        lines = [_line(name, arms) for name in arms]
        parts.append(f"### {task}, `{cost_label(' '.join(costs))}`\n\n{markdown_table(_HEAD, lines)}")
    return "\n".join(parts)


def _line(name: str, arms: Rows) -> list[str]:
    first, mine = next(iter(arms)), arms[name]
    predictor, _, futures = name.rpartition(", ")
    last, nearest = (_averaged([row[each] for row in mine]) for each in ("last10_distance", "min_distance"))
    compared = ["", ""]
    if name != first:
        pairs = paired("last10_distance", arms[first], mine)
        compared = [paired_difference(*pairs).text("+.3f"), f"{share_nearer(*reversed(pairs)):.0%}"]
    return [LABELS.get(predictor, predictor), futures, str(len(mine)), last, nearest, *compared,
            f"{_lost(mine):.0%}", f"{sum(row['seconds'] for row in mine) / len(mine):.1f}"]  # fmt: skip


def _averaged(distances: Sequence[float]) -> str:
    mean, error = mean_and_error(distances)
    return f"{mean:.3f} ± {error:.3f}"


def _lost(rows: Sequence[Row]) -> float:
    return sum(row["min_distance"] <= LOST < row["final_distance"] for row in rows) / len(rows)
