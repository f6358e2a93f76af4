"""``corrwise table mpc``."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated

from corrwise.costs.spec import RECOMMENDED
from corrwise.experiments.cli import options
from corrwise.validation import SEVERAL, Range, validated

NAME = "table mpc"

METHOD_NAMES = ("l1", "corr-l1:flow=all-pairs", "corr-l1:flow=all-pairs,form=reg", RECOMMENDED, *options.CONTROL_NAMES)


@validated
class MPCTableConfig(options.Parallel):
    """Plan with every method on the same frozen starts and goals, and compare the distances (the paper's Table A3)."""

    out: Path = Path("runs/table-mpc")
    """Folder for rows, table.md and images. The same command continues a run that was stopped."""
    tasks: options.Tasks = field(default=options.TABLE_TASKS, metadata=options.CHOOSES_ROWS)
    """cartpole (a track of 5.4 m), ant, humanoid, cartpole-short (3.6 m)."""
    methods: Annotated[tuple[str, ...], SEVERAL] = field(default=METHOD_NAMES, metadata=options.CHOOSES_ROWS)
    """Image costs, as in corrwise mpc, and the controls zero-action, random-action, state (the true state distance is
    the cost), exact-flow and exact-flow-squared (how far, or its square, the goal's body pixels truly lie: a flow
    without error)."""
    episodes: Annotated[int, Range(1, 100)] = field(default=100, metadata=options.CHOOSES_ROWS)
    """How many of the 100 frozen starts and goals, from the first."""
    lockstep: options.Lockstep = field(default=5, metadata=options.SPEED_ONLY)
    """Episodes of a method that step together; changes the speed, never the rows."""
    device: options.Device = "cpu"
    """Where costs and flows are computed: cpu or cuda. Simulators stay on the CPU."""

    def __post_init__(self) -> None:
        """Bring the costs into the one form that rows have."""
        object.__setattr__(self, "methods", options.canonical_costs("methods", self.methods, own=False))


def run(config: MPCTableConfig) -> Path:
    """Make the table, and return its path."""
    from corrwise.experiments.studies.planning import run_mpc_table

    return run_mpc_table(config)
