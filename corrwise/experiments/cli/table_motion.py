"""``corrwise table motion``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, Any

from corrwise.costs.presets import DEFAULT_FLOW
from corrwise.experiments.cli.distilling import PIXELS, AdversaryOptions
from corrwise.experiments.cli.mpc import INTERPOLATORS
from corrwise.experiments.cli.options import (
    CHOOSES_ROWS,
    SPEED_ONLY,
    Count,
    Device,
    FlowName,
    Horizon,
    Lockstep,
    Parallel,
    Steps,
)
from corrwise.experiments.cli.train import SMALL, Precision, Rate, TrainConfig
from corrwise.validation import SEVERAL, Names, Range, check, validated

NAME = "table motion"

TEACHER, UNTRAINED, DISTILL = "teacher", "untrained", "distill"
ARMS: Mapping[str, Mapping[str, Any]] = {  # each student, and how its adversary differs from the one that is given
    UNTRAINED: {},
    DISTILL: {},
    "mogan": {},
    "mogan-no-penalty": {"r1": 0.0, "r2": 0.0},
    "mogan-no-matching": {"matching": False},
    "mogan-pixels": {"flow": PIXELS},
    "mogan-teacher-trunk": {"trunk": "teacher"},
    "mogan-conv-trunk": {"trunk": "conv"},
}
REPEATED = (UNTRAINED, DISTILL, "mogan")  # arms that have a model for each seed; the others have --ablation-seeds
WITHOUT_ADVERSARY = (UNTRAINED, DISTILL)


@validated
class MotionTableConfig(Parallel):
    """Distil few-step students with and without an adversary of motion, and compare how their samples move."""

    data: Path = Path("clips/cartpole")
    """Folder of clips to learn from, as corrwise collect or corrwise import write them."""
    held: Path = Path("clips/held")
    """Folder of clips that no model is trained on."""
    out: Path = Path("runs/motion-table")
    """Folder for models, rows and table.md. The same command continues a run that was stopped."""
    arms: Annotated[tuple[Annotated[str, Names(tuple(ARMS))], ...], SEVERAL] = field(
        default=tuple(ARMS)[:-1], metadata=CHOOSES_ROWS
    )
    """Students: untrained (the teacher's weights), distill (distribution matching alone, which the others are compared
    with), mogan (with an adversary of motion), and mogan-no-penalty (without R1 and R2), mogan-no-matching (without
    distribution matching after the warm-up), mogan-pixels (the adversary sees frames), mogan-teacher-trunk or
    mogan-conv-trunk (its trunk is the teacher's network, or convolutions)."""
    seeds: Lockstep = field(default=3, metadata=CHOOSES_ROWS)
    """Teachers, and students of each of the arms untrained, distill and mogan; a student's teacher has its seed."""
    ablation_seeds: Lockstep = field(default=1, metadata=CHOOSES_ROWS)
    """Students of each other arm."""
    actions: bool = True
    """Whether models see the clips' actions; --no-actions makes the future uncertain."""
    context: Horizon = 2
    """Frames that models see."""
    batch: Count = 8
    """Windows in a step of a student."""
    crop: Annotated[int, Range(0, 8192)] = 0
    """Side of the square, around what moves, that a step sees; 0 shows whole images."""
    options: tuple[str, ...] = SMALL["denoiser"]
    """Options of the denoiser, such as width=32."""
    teacher_steps: Steps = 3000
    """Training steps of a teacher."""
    teacher_batch: Count = 8
    """Windows in such a step."""
    teacher_horizon: Horizon = 4
    """Frames that it predicts in a step, each from those before."""
    own_frames_after: Annotated[int, Range(0, 1_000_000_000)] | None = None
    """Steps in which it sees true contexts; in later ones its frames are predicted from its own, which teaches too much
    motion where the future is random. None is all of them."""
    teacher_lr: Rate = 1e-3
    """Learning rate of a teacher."""
    time_weight: str = "data"
    """Weight of a teacher's loss over time."""
    time_law: str = "shifted"
    """Law of the times of a teacher's loss."""
    iterations: Steps = 300
    """Iterations of a student, the warm-up included: each has a step of the student by distribution matching and the
    steps of the fake score network; after the warm-up also a step against the adversary and one of the adversary."""
    horizon: Horizon = 8
    """Frames that a student samples in a step, each from those before."""
    sample_at: Annotated[tuple[Annotated[float, Range(0, 1, open="low")], ...], SEVERAL] = TrainConfig.sample_at
    """Rising times at which a student evaluates its network for a frame."""
    student_time_law: str = TrainConfig.student_time_law
    """Law of the times at which a student is compared with its teacher."""
    fake_steps: Steps = TrainConfig.fake_steps
    """Steps of the fake score network in an iteration."""
    lr: Rate = TrainConfig.lr
    """Learning rate of student and fake score network."""
    ema: Annotated[float, Range(0, 1, open="high")] = 0.99
    """Decay of the moving average of a student's weights, which is what is measured."""
    adversary: AdversaryOptions = AdversaryOptions()
    nfe: Horizon = 16
    """Evaluations of a teacher for a frame. Students have their own number."""
    samples: Annotated[int, Range(2, 10_000)] = 8
    """Futures that are sampled of each window."""
    shown: Annotated[Horizon, Range(2, 10_000)] = 8
    """Frames of a future."""
    windows: Count = 60
    """Windows of the held-out clips on which models are measured."""
    motion_flows: Annotated[tuple[FlowName, ...], SEVERAL] = field(default=(DEFAULT_FLOW,), metadata=CHOOSES_ROWS)
    """Flows that motion is measured with, each in a table of its own."""
    motion_interpolator: Annotated[str, INTERPOLATORS] = "half-flow"
    """Makes every second frame again for the smoothness, as in corrwise evaluate."""
    videos: Annotated[int, Range(0, 1000)] = field(default=4, metadata=SPEED_ONLY)
    """Windows that are shown as videos."""
    device: Device = "cpu"
    """Where models are trained and measured: cpu or cuda."""
    precision: Precision = "auto"
    """Of training, as in corrwise train."""

    def __post_init__(self) -> None:
        """Refuse arms and sizes that do not fit each other."""
        check(len(set(self.arms)) == len(self.arms), "arms", "different from each other", " ".join(self.arms))
        check(DISTILL in self.arms, "arms", f"{DISTILL} and what is compared with it", " ".join(self.arms))
        check("zero" not in self.motion_flows, "motion_flows", "flows that see motion", " ".join(self.motion_flows))
        check(self.crop == 0 or self.crop >= 16, "crop", "0 or at least 16", self.crop)
        warm, alone = self.adversary.warm_up, set(self.arms) <= set(WITHOUT_ADVERSARY)
        check(alone or warm < self.iterations, "adversary.warm_up", f"below the {self.iterations} iterations", warm)
        window = self.adversary.window
        check(window <= self.horizon, "adversary.window", f"at most the horizon, {self.horizon}", window)

    def adversary_of(self, arm: str) -> AdversaryOptions:
        """Return the adversary of an arm; an arm without one has the default, which it does not use."""
        return AdversaryOptions() if arm in WITHOUT_ADVERSARY else replace(self.adversary, **ARMS[arm])

    def steps_of(self, arm: str) -> int:
        """Return the optimiser steps of a student's iterations."""
        match = 1 + self.fake_steps
        if arm in WITHOUT_ADVERSARY:
            return self.iterations * match
        adversary = self.adversary_of(arm)
        warm = min(adversary.warm_up, self.iterations)
        return warm * match + (self.iterations - warm) * ((match if adversary.matching else 0) + 2)


def run(config: MotionTableConfig) -> Path:
    """Make the table, and return its path."""
    from corrwise.experiments.studies.students.run import run_motion_table

    return run_motion_table(config)
