"""``corrwise table goals``."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated

from corrwise.experiments.cli import options
from corrwise.experiments.cli.mpc import GOAL_CONTROLS, INTERPOLATOR_NAMES
from corrwise.mpc.config import AggregateName
from corrwise.validation import FIRST_TEST_SEED, SEVERAL, Names, Range, check, validated

NAME = "table goals"

ARM_NAMES = (*INTERPOLATOR_NAMES, *GOAL_CONTROLS)


@validated
class GoalPlans(options.Parallel):
    """Options of plans towards goals of key frames."""

    horizon: options.Horizon = 8
    """Horizon of each plan in control steps."""
    candidates: options.Count = 24
    """Action sequences tried in each iteration of a plan."""
    iterations: options.Horizon = 2
    """Iterations of a plan."""
    aggregate: AggregateName = "mean"
    """How the horizon's costs become one number; mean compares each predicted frame with the goal of its own time."""
    size: options.Size = 64
    """Pixels to a side of the image."""
    episodes: options.Count = field(default=30, metadata=options.CHOOSES_ROWS)
    """Starts and hidden paths."""
    seed: options.Seed = field(default=FIRST_TEST_SEED, metadata=options.CHOOSES_ROWS)
    """Seed of the first episode."""
    lockstep: options.Lockstep = field(default=5, metadata=options.SPEED_ONLY)
    """Episodes that step together; changes the speed, never the rows."""
    device: options.Device = "cpu"
    """Where costs, flows and models are computed: cpu or cuda. Simulators stay on the CPU."""


@validated
class GoalTableConfig(GoalPlans):
    """Compare goals made from the same key frames: videos by interpolators, and controls without one."""

    out: Path = Path("runs/goals")
    """Folder for rows and table.md. The same command continues a run that was stopped."""
    tasks: options.Tasks = field(default=("cartpole", "ant"), metadata=options.CHOOSES_ROWS)
    """cartpole, ant, humanoid, cartpole-short; of the two Cartpoles, the episodes in which the pole swings."""
    arms: Annotated[tuple[Annotated[str, Names(ARM_NAMES)], ...], SEVERAL] = field(
        default=("half-flow", "blend", "last", "next", "true"), metadata=options.CHOOSES_ROWS
    )
    """What is followed: blend, half-flow or average; last (the last key frame alone), next (each key frame until its
    time) or true (all images of the path, an upper bound)."""
    costs: Annotated[tuple[str, ...], SEVERAL] = field(default=("recommended",), metadata=options.CHOOSES_ROWS)
    """Image costs; each arm is measured with each of them."""
    goal_frames: Annotated[int, Range(1, 1000)] = 4
    """Key frames at equal distances on the hidden path."""

    def __post_init__(self) -> None:
        """Refuse controls that plan without images, which follow no video, and write each cost in one way."""
        object.__setattr__(self, "costs", options.canonical_costs("costs", self.costs))
        controls = [cost for cost in self.costs if cost in options.CONTROL_NAMES]
        check(not controls, "costs", "image costs", " ".join(controls))


def run(config: GoalTableConfig) -> Path:
    """Make the table, and return its path."""
    from corrwise.experiments.studies.goal_videos import run_goal_table

    return run_goal_table(config)
