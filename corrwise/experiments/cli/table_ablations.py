"""``corrwise table ablations``."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal, get_args

import tyro

from corrwise.costs.spec import RECOMMENDED
from corrwise.experiments.cli.options import (
    BODY_NAMES,
    CHOOSES_ROWS,
    SPEED_ONLY,
    Count,
    Device,
    ExecutorConfig,
    Lockstep,
    Processes,
    Tasks,
)
from corrwise.validation import SEVERAL, Names, check_tuning_seeds, validated

NAME = "table ablations"

Axis = Literal[
    "planner", "horizon", "candidates", "aggregate", "size", "supersample", "planner-horizon",
    "flow", "epsilon", "regulariser", "displacement", "power", "occlusion",
]  # fmt: skip
AXIS_NAMES = get_args(Axis)
ALIKE = ("l1", RECOMMENDED)
METHOD_NAMES = (*ALIKE, "state", "exact-flow", "exact-flow-squared")


@validated
class AblationTableConfig:
    """Change each choice behind the planning table alone, on tuning episodes, and say what it does."""

    out: Path = Path("runs/ablations")
    """Folder for rows and table.md. The same command continues a run that was stopped."""
    tasks: Tasks = field(default=BODY_NAMES, metadata=CHOOSES_ROWS)
    """cartpole, ant, humanoid, cartpole-short."""
    axes: Annotated[tuple[Axis, ...], SEVERAL] = field(default=AXIS_NAMES, metadata=CHOOSES_ROWS)
    """planner, horizon, candidates, aggregate, size, supersample and planner-horizon (of every method); flow, epsilon,
    regulariser, displacement, power and occlusion (of the cost)."""
    methods: Annotated[tuple[Annotated[str, Names(METHOD_NAMES)], ...], SEVERAL] = field(
        default=ALIKE, metadata=CHOOSES_ROWS
    )
    """Whose planner and picture are varied: l1, recommended, state, exact-flow, exact-flow-squared."""
    episodes: Count = field(default=20, metadata=CHOOSES_ROWS)
    """Starts and goals; the planning table has others."""
    seed: int = field(default=1000, metadata=CHOOSES_ROWS)
    """Seed of the first episode."""
    processes: Processes = field(default=0, metadata=SPEED_ONLY)
    """Processes, each with a thread; 0 is one for each core. Changes the speed, never the rows."""
    lockstep: Lockstep = field(default=5, metadata=SPEED_ONLY)
    """Episodes that step together; changes the speed, never the rows."""
    device: Device = "cpu"
    """Where costs and flows are computed: cpu or cuda. Simulators stay on the CPU."""
    where: tyro.conf.OmitArgPrefixes[ExecutorConfig] = field(default_factory=ExecutorConfig, metadata=SPEED_ONLY)
    """Where the jobs run."""

    def __post_init__(self) -> None:
        """Refuse episodes of the tests."""
        check_tuning_seeds("seed", self.seed, self.episodes)


def run(config: AblationTableConfig) -> Path:
    """Make the table, and return its path."""
    from corrwise.experiments.studies.ablations import run_ablation_table

    return run_ablation_table(config)
