"""``corrwise table interpolators``."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated

from corrwise.experiments.cli.mpc import INTERPOLATOR_NAMES, run_name
from corrwise.experiments.cli.options import CHOOSES_ROWS, Count, Device, Seed, named_options
from corrwise.validation import SEVERAL, Names, Range, check, validated

NAME = "table interpolators"

GROUND_TRUTH = "half-flow:flow=ground-truth"
ARMS = ("blend", "half-flow:flow=dis", "half-flow", GROUND_TRUTH, "average:flow=dis")


def _has_options(arm: str) -> bool:
    return arm.partition(":")[0] in INTERPOLATOR_NAMES and ":" in arm


@validated
class InterpolatorTableConfig:
    """Compare the frames that interpolators make in the middle of known ones, on held-out clips."""

    data: Annotated[tuple[Path, ...], SEVERAL] = field(default=(Path("clips/held"),), metadata=CHOOSES_ROWS)
    """Folders of clips that no model was trained on, as corrwise collect or corrwise import write them; or datasets as
    in corrwise train."""
    out: Path = Path("runs/interpolators")
    """Folder for rows, table.md and strips.png. The same command continues a run that was stopped."""
    arms: tuple[
        Annotated[str, Names(INTERPOLATOR_NAMES, "one with options as half-flow:flow=dis", _has_options)], ...
    ] = field(default=ARMS, metadata=CHOOSES_ROWS)
    """Interpolators that need no training, with options: blend, half-flow, average, half-flow:flow=dis and so on.
    half-flow:flow=ground-truth is the upper-bound control with the simulator's exact flow, on collected clips alone."""
    models: tuple[Path, ...] = field(default=(), metadata=CHOOSES_ROWS)
    """Folders of runs of corrwise train --objective interpolate, or of their models. Those whose names differ in a
    number at the end alone, NAME-0 and NAME-1, are seeds of one."""
    gaps: Annotated[tuple[Annotated[int, Range(2, 1000)], ...], SEVERAL] = field(default=(2, 6), metadata=CHOOSES_ROWS)
    """Frames from one known frame to the next, even numbers; the frame in their middle is made."""
    windows: Count = field(default=60, metadata=CHOOSES_ROWS)
    """Windows of each folder and gap, the same for all interpolators; each clip has as many, plus or minus one."""
    context: Annotated[int, Range(2, 4)] = 2
    """Known frames of a window, 2 or 4. With 4, interpolators of two frames get those in the middle."""
    seed: Seed = 0
    """Seed of the windows."""
    device: Device = "cpu"
    """Where frames are made: cpu or cuda."""

    def __post_init__(self) -> None:
        """Refuse gaps without a frame in the middle, and names that two of them would share in rows."""
        for gap in self.gaps:
            check(gap % 2 == 0, "gaps", "even", gap)
        check(self.context % 2 == 0, "context", "2 or 4", self.context)
        for arm in self.arms:
            if arm != GROUND_TRUTH:
                named_options(arm)
        for option, paths in (("data", self.data), ("models", self.models)):
            names = [run_name(path) for path in paths]
            check(len(set(names)) == len(names), option, "folders of different names", " ".join(names))
        check(len(set(self.arms)) == len(self.arms), "arms", "different from each other", " ".join(self.arms))
        check(bool(self.arms or self.models), "arms", "at least one, or --models with one", "none")
        both = {run_name(path) for path in self.models} & set(self.arms)
        check(not both, "models", "folders that are not named like an arm", " ".join(sorted(both)))


def run(config: InterpolatorTableConfig) -> Path:
    """Make the table, and return its path."""
    from corrwise.experiments.studies.interpolators.table import run_interpolator_table

    return run_interpolator_table(config)
