"""Options of ``corrwise table mpc``; free of torch, so that help and argument errors come at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from corrwise.costs.spec import RECOMMENDED
from corrwise.experiments.cli.checks import check, check_names
from corrwise.experiments.cli.cost import CONTROL_NAMES, canonical_costs
from corrwise.experiments.cli.executor import ExecutorConfig
from corrwise.experiments.cli.marks import CHOOSES_ROWS, SPEED_ONLY
from corrwise.experiments.cli.mpc import TASK_NAMES
from corrwise.experiments.cli.sizes import check_counts

METHOD_NAMES = ("l1", "corr-l1:flow=all-pairs", "corr-l1:flow=all-pairs,form=reg", RECOMMENDED, *CONTROL_NAMES)


@dataclass(frozen=True)
class MPCTableConfig:
    """Plan with every method on the same frozen starts and goals, and say who comes nearest (the paper's Table A3)."""

    out: Path = Path("runs/table-mpc")
    """Folder for rows, table.md and pictures. The same command continues a run that was stopped."""
    tasks: tuple[str, ...] = field(default=TASK_NAMES, metadata=CHOOSES_ROWS)
    """cartpole (a track of 5.4 m), ant, humanoid, cartpole-short (3.6 m)."""
    methods: tuple[str, ...] = field(default=METHOD_NAMES, metadata=CHOOSES_ROWS)
    """Image costs, as in corrwise mpc, and the controls zero-action, random-action, state (the true state distance is
    the cost), exact-flow and exact-flow-squared (how far, or its square, the goal's body pixels truly lie: a flow
    without error)."""
    episodes: int = field(default=100, metadata=CHOOSES_ROWS)
    """How many of the 100 frozen starts and goals, from the first."""
    workers: int = field(default=0, metadata=SPEED_ONLY)
    """Processes, each with a thread; 0 is one for each core. Changes the speed, never the rows."""
    lockstep: int = field(default=5, metadata=SPEED_ONLY)
    """Episodes of a method that step together; changes the speed, never the rows."""
    where: tyro.conf.OmitArgPrefixes[ExecutorConfig] = field(default_factory=ExecutorConfig, metadata=SPEED_ONLY)
    """Where the jobs run."""

    def __post_init__(self) -> None:
        """Refuse unknown names and sizes that make no table."""
        check_names("task", self.tasks, TASK_NAMES)
        object.__setattr__(self, "methods", canonical_costs("methods", self.methods, own=False))
        check(1 <= self.episodes <= 100, "episodes", "from 1 to 100", self.episodes)
        check_counts(self, "workers", least=0)
        check_counts(self, "lockstep")
