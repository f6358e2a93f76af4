"""``corrwise table restored-goals``."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated

from corrwise.experiments.cli import options
from corrwise.experiments.cli.table_goals import GoalPlans
from corrwise.validation import SEVERAL, Names, Range, check, check_that, validated

NAME = "table restored-goals"

CLEAN, DAMAGED, INPAINTED, SINGLE, CARRIED, GUIDED = (
    "clean", "damaged", "inpainted", "frame-by-frame", "carried", "guided"
)  # fmt: skip
ARM_NAMES = (CLEAN, DAMAGED, INPAINTED, SINGLE, CARRIED, GUIDED)
NEEDS_MODEL = (SINGLE, CARRIED, GUIDED)


@validated
class RestoredGoalTableConfig(GoalPlans):
    """Compare plans towards goal videos that are clean, damaged, or restored in several ways, on the same episodes."""

    out: Path = Path("runs/restored-goals")
    """Folder for rows and table.md. The same command continues a run that was stopped."""
    tasks: options.Tasks = field(default=("cartpole", "ant"), metadata=options.CHOOSES_ROWS)
    """cartpole, ant, humanoid, cartpole-short; of the two Cartpoles, the episodes in which the pole swings."""
    models: tuple[Path, ...] = field(default=(), metadata=options.CHOOSES_ROWS)
    """Folders of runs of corrwise train --objective restore, or of their models: one for all tasks, or one for each
    task in the order of --tasks."""
    damages: Annotated[tuple[str, ...], SEVERAL] = field(
        default=("random:share=0.4", "downscale:factor=4"), metadata=options.CHOOSES_ROWS
    )
    """What happens to the goal videos, as in corrwise mpc --damage; all arms see the same damage."""
    arms: Annotated[tuple[Annotated[str, Names(ARM_NAMES)], ...], SEVERAL] = field(
        default=(CLEAN, DAMAGED, INPAINTED, SINGLE, GUIDED), metadata=options.CHOOSES_ROWS
    )
    """What is planned towards: the clean goal; the damaged one; inpainted (missing pixels filled by OpenCV, no model;
    left out of a lower resolution); or the one that a model restored: frame-by-frame (each frame from new noise),
    carried (noise that moves with the scene), or guided (Warped Diffusion: carried noise, and each frame guided by the
    one before)."""
    guidance: Annotated[float, Range(0, 1_000_000, open="low")] = 1.0
    """Strength of the guidance of the arm guided."""
    cost: str = "recommended"
    """Image cost."""
    goal_frames: Annotated[int, Range(0, 1000)] = 4
    """Key frames whose times are measured; the goal video has all images of the path. 0 is the goal image alone."""
    steps: options.Steps | None = None
    """Control steps of an episode; None is the task's own number."""

    def __post_init__(self) -> None:
        """Refuse arms without a model, and controls that plan without images."""
        object.__setattr__(self, "cost", options.canonical_costs("cost", (self.cost,))[0])
        check(self.cost not in options.CONTROL_NAMES, "cost", "an image cost", self.cost)
        wanting = [arm for arm in self.arms if arm in NEEDS_MODEL]
        check(not wanting or bool(self.models), "models", f"a folder for {' '.join(wanting)}", "none")
        differ = self.goal_frames > 0 or len(wanting) < 2  # of one image carrier and guidance change nothing
        check_that(
            differ,
            f"with --goal-frames 0 the goal is one image, which {' and '.join(wanting)} restore alike: give one of "
            "them as --arms, or --goal-frames above 0",
        )
        fits = len(self.models) in (0, 1, len(self.tasks))
        check(fits, "models", f"one folder, or one for each of {len(self.tasks)} tasks", len(self.models))


def run(config: RestoredGoalTableConfig) -> Path:
    """Make the table, and return its path."""
    from corrwise.experiments.studies.restored_goals import run_restored_goal_table

    return run_restored_goal_table(config)
