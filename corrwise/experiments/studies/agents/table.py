"""``corrwise table agents``: agents that learn from goal images; rows, a table and learning curves in one folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from corrwise._writing import write_aside
from corrwise.experiments.cli.table_agents import AgentTableConfig
from corrwise.experiments.report.statistics import mean_and_error, mean_curve, paired_difference, paired_ratio
from corrwise.experiments.report.table import markdown_table, write_table
from corrwise.experiments.runs.executors import executor_of
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.jobs import Job
from corrwise.experiments.runs.rows import NUMBER, NUMBERS, TEXT_BY_NAME, Key, Row, RowKey, needed
from corrwise.experiments.runs.settings import settings_of
from corrwise.experiments.studies.agents.agents import AgentRun, train_agent

_BASELINES = {"reward": "l1", "hindsight": "random"}


def agent_table(rows: Sequence[Row]) -> str:
    """Return a line for each method and what was learned from: final distance, and the paired gain on the baseline."""
    head = ("lesson", "learned from", "agents", "ends at", "nearer than the baseline by", "as a ratio", "minutes each")
    lines = []
    for method, arms in _by_arm(rows).items():
        base = arms.get(_BASELINES.get(method, ""), {})
        for arm, mine in arms.items():
            both = sorted(mine.keys() & base.keys()) if arm != _BASELINES.get(method) else []
            pair = [base[seed]["final"] for seed in both], [mine[seed]["final"] for seed in both]
            mean, error = mean_and_error([row["final"] for row in mine.values()])
            spread = f" ± {error:.2f}" if len(mine) > 1 else ""
            minutes = np.mean([row["seconds"] for row in mine.values()]) / 60
            lines.append((
                method, f"`{arm}`", str(len(mine)), f"{mean:.2f}{spread}", paired_difference(*pair).text(".2f"),
                paired_ratio(*pair).text(".2f"), f"{minutes:.1f}",
            ))  # fmt: skip
    return markdown_table(head, lines)


def draw_curves(path: Path, rows: Sequence[Row]) -> None:
    """Draw a plot for each method: the distance at the end of an episode over the control steps learned from."""
    from matplotlib.figure import Figure

    methods = _by_arm(rows)
    if not methods:
        return
    figure = Figure(figsize=(5 * len(methods), 3.6), layout="constrained")
    for axis, (method, arms) in zip(figure.subplots(1, len(methods), squeeze=False)[0], methods.items(), strict=True):
        for i, (arm, mine) in enumerate(arms.items()):
            curves = [row["curve"] for row in mine.values()]
            steps = max((row["steps"] for row in mine.values()), key=len)
            if len(steps) == 1:
                axis.axhline(mean_curve(curves)[0], color="0.5", linestyle="--", label=arm)
                continue
            for row in mine.values():
                axis.plot(row["steps"], np.array(row["curve"], dtype=float), color=f"C{i}", linewidth=0.6, alpha=0.4)
            axis.plot(steps, mean_curve(curves), color=f"C{i}", linewidth=2, label=arm)
        axis.set(title=method, xlabel="control steps learned from", ylim=(0, None))
        axis.legend(frameon=False)
    figure.axes[0].set_ylabel("state distance at the end, m and rad")
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=110)


def _by_arm(rows: Sequence[Row]) -> dict[str, dict[str, dict[int, Row]]]:
    """Return the rows by method, by what was learned from, and by seed."""
    methods: dict[str, dict[str, dict[int, Row]]] = {}
    for row in rows:
        methods.setdefault(row["lesson"], {}).setdefault(row["arm"], {})[row["seed"]] = row
    return methods


def _uneven(row: Row) -> str | None:
    """Return what is wrong with the curve of a row."""
    steps, curve = len(row["steps"]), len(row["curve"])
    return None if steps == curve > 0 else f"expected a distance at each of {steps} steps in curve, got {curve}"


KEY = Key(
    {"lesson": str, "arm": str, "seed": int},
    {
        **{"final": needed(NUMBER, null=True), "seconds": needed(NUMBER)},
        **{"steps": needed(NUMBERS), "curve": needed(NUMBERS), "versions": TEXT_BY_NAME},
    },
    also=_uneven,
)


def run_agent_table(config: AgentTableConfig) -> Path:
    """Train and evaluate the agents that the folder does not hold yet, and return the table's path.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
    """
    arms = {"reward": config.rewards, "hindsight": ("random", "hindsight")}
    seeds = {"reward": config.seeds, "hindsight": config.hindsight_seeds}
    jobs = [
        Job(_setup, AgentRun(method, arm, seed, config), {(method, arm, seed): {}})
        for method in config.methods
        for seed in range(seeds[method])
        for arm in arms[method]
    ]
    with RunFolder(config.out, settings_of(config, "agents"), KEY, digits=True) as folder:
        folder.run(jobs, executor_of(config.where, config.processes, config.out), unit="agent")

        def page() -> tuple[str, list[str]]:
            draw_curves(config.out / "curves.png", folder.rows)
            return agent_table(folder.rows), []

        return write_table(config.out, page)


def _setup(run: AgentRun, *, threads: int, progress: Callable[[], Any]) -> Callable[[Sequence[RowKey]], list[Row]]:
    return lambda keys: [train_agent(run, threads=threads)]
