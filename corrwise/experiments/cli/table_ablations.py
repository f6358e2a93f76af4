"""Options of ``corrwise table ablations``; free of torch, so that help and argument errors come at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from corrwise.costs.spec import RECOMMENDED
from corrwise.experiments.cli.checks import check_names, check_tuning_seeds
from corrwise.experiments.cli.executor import ExecutorConfig
from corrwise.experiments.cli.marks import CHOOSES_ROWS, SPEED_ONLY
from corrwise.experiments.cli.mpc import BODY_NAMES, TASK_NAMES
from corrwise.experiments.cli.sizes import check_counts

AXIS_NAMES = (
    *("planner", "horizon", "candidates", "aggregate", "size", "supersample", "planner-horizon"),
    *("flow", "epsilon", "regulariser", "displacement", "power", "occlusion"),
)
ALIKE = ("l1", RECOMMENDED)
METHOD_NAMES = (*ALIKE, "state", "exact-flow", "exact-flow-squared")


@dataclass(frozen=True)
class AblationTableConfig:
    """Change each choice behind the planning table alone, on tuning episodes, and say what it does."""

    out: Path = Path("runs/ablations")
    """Folder for rows and table.md. The same command continues a run that was stopped."""
    tasks: tuple[str, ...] = field(default=BODY_NAMES, metadata=CHOOSES_ROWS)
    """cartpole, ant, humanoid, cartpole-short."""
    axes: tuple[str, ...] = field(default=AXIS_NAMES, metadata=CHOOSES_ROWS)
    """planner, horizon, candidates, aggregate, size, supersample and planner-horizon (of every method); flow, epsilon,
    regulariser, displacement, power and occlusion (of the cost)."""
    methods: tuple[str, ...] = field(default=ALIKE, metadata=CHOOSES_ROWS)
    """Whose planner and picture are varied: l1, recommended, state, exact-flow, exact-flow-squared."""
    episodes: int = field(default=20, metadata=CHOOSES_ROWS)
    """Starts and goals; the planning table has others."""
    seed: int = field(default=1000, metadata=CHOOSES_ROWS)
    """Seed of the first episode."""
    workers: int = field(default=0, metadata=SPEED_ONLY)
    """Processes, each with a thread; 0 is one for each core. Changes the speed, never the rows."""
    lockstep: int = field(default=5, metadata=SPEED_ONLY)
    """Episodes that step together; changes the speed, never the rows."""
    where: tyro.conf.OmitArgPrefixes[ExecutorConfig] = field(default_factory=ExecutorConfig, metadata=SPEED_ONLY)
    """Where the jobs run."""

    def __post_init__(self) -> None:
        """Refuse unknown names and sizes that make no table."""
        check_names("task", self.tasks, TASK_NAMES)
        check_names("axis", self.axes, AXIS_NAMES)
        check_names("method", self.methods, METHOD_NAMES)
        check_counts(self, "episodes", "lockstep")
        check_counts(self, "workers", least=0)
        check_tuning_seeds("seed", self.seed, self.episodes)
