"""Options of ``corrwise table mpc``; free of torch, so that help and argument errors come at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from corrwise.costs.spec import RECOMMENDED
from corrwise.experiments.cli.checks import check, check_names
from corrwise.experiments.cli.cost import CONTROL_NAMES, canonical_costs
from corrwise.experiments.cli.mpc import TASK_NAMES
from corrwise.experiments.cli.sizes import check_counts

METHOD_NAMES = ("l1", "corr-l1:flow=all-pairs", "corr-l1:flow=all-pairs,form=reg", RECOMMENDED, *CONTROL_NAMES)


@dataclass(frozen=True)
class MPCTableConfig:
    """Plan with every method on the same frozen starts and goals, and say who comes nearest (the paper's Table A3)."""

    out: Path = Path("runs/table-mpc")
    """Folder for rows, table.md and pictures. The same command continues a run that was stopped."""
    tasks: tuple[str, ...] = TASK_NAMES
    """cartpole (a track of 5.4 m), ant, humanoid, cartpole-short (3.6 m)."""
    methods: tuple[str, ...] = METHOD_NAMES
    """Image costs, as in corrwise mpc, and the controls zero-action, random-action, state (the true state distance is
    the cost), exact-flow and exact-flow-squared (how far, or its square, the goal's body pixels truly lie: a flow
    without error)."""
    episodes: int = 100
    """How many of the 100 frozen starts and goals, from the first."""
    workers: int = 0
    """Processes, each with a thread; 0 is one for each core. Changes the speed, never the rows."""
    lockstep: int = 5
    """Episodes of a method that step together; changes the speed, never the rows."""

    def __post_init__(self) -> None:
        """Refuse unknown names and sizes that make no table."""
        check_names("task", self.tasks, TASK_NAMES)
        object.__setattr__(self, "methods", canonical_costs("methods", self.methods, own=False))
        check(1 <= self.episodes <= 100, "episodes", "from 1 to 100", self.episodes)
        check_counts(self, "workers", least=0)
        check_counts(self, "lockstep")
