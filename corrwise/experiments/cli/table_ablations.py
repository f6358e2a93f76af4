"""``corrwise table ablations``."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal, get_args

from corrwise.costs.spec import RECOMMENDED
from corrwise.experiments.cli import options
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
class AblationTableConfig(options.Parallel):
    """Vary one choice of the planning table at a time, on tuning episodes, and report its effect."""

    out: Path = Path("runs/ablations")
    """Folder for rows and table.md. The same command continues a run that was stopped."""
    tasks: options.Tasks = field(default=options.BODY_NAMES, metadata=options.CHOOSES_ROWS)
    """cartpole, ant, humanoid, cartpole-short."""
    axes: Annotated[tuple[Axis, ...], SEVERAL] = field(default=AXIS_NAMES, metadata=options.CHOOSES_ROWS)
    """planner, horizon, candidates, aggregate, size, supersample and planner-horizon (of every method); flow, epsilon,
    regulariser, displacement, power and occlusion (of the cost)."""
    methods: Annotated[tuple[Annotated[str, Names(METHOD_NAMES)], ...], SEVERAL] = field(
        default=ALIKE, metadata=options.CHOOSES_ROWS
    )
    """Costs whose planner and image are varied: l1, recommended, state, exact-flow, exact-flow-squared."""
    episodes: options.Count = field(default=20, metadata=options.CHOOSES_ROWS)
    """Starts and goals; the planning table has others."""
    seed: int = field(default=1000, metadata=options.CHOOSES_ROWS)
    """Seed of the first episode."""
    lockstep: options.Lockstep = field(default=5, metadata=options.SPEED_ONLY)
    """Episodes that step together; changes the speed, never the rows."""
    device: options.Device = "cpu"
    """Where costs and flows are computed: cpu or cuda. Simulators stay on the CPU."""

    def __post_init__(self) -> None:
        """Refuse episodes of the tests."""
        check_tuning_seeds("seed", self.seed, self.episodes)


def run(config: AblationTableConfig) -> Path:
    """Make the table, and return its path."""
    from corrwise.experiments.studies.ablations import run_ablation_table

    return run_ablation_table(config)
