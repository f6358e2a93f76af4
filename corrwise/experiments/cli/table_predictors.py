"""``corrwise table predictors``."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal, get_args

from corrwise.costs.spec import RECOMMENDED
from corrwise.experiments.cli import options
from corrwise.validation import SEVERAL, Range, validated

NAME = "table predictors"

Arm = Literal[
    "resnet3d-l1", "resnet3d-corr-l1:flow=dis", "resnet3d-corr-l1", "resnet3d-corr-l1:form=reg",
    "resnet3d-mse", "resnet3d-corr-mse:flow=dis", "resnet3d-corr-mse", "resnet3d-corr-mse:form=reg",
    "svg-mse", "svg-corr-mse:flow=dis", "svg-prime-mse", "svg-prime-corr-mse:flow=dis",
]  # fmt: skip
ARM_NAMES = get_args(Arm)


@validated
class PredictorTableConfig(options.Parallel):
    """Train video predictors with pixel-wise and with correspondence-wise losses; compare their frames and plans."""

    out: Path = Path("runs/predictors")
    """Folder for clips, models, rows, tables and images. The same command continues a run that was stopped."""
    tasks: options.Tasks = field(default=options.BODY_NAMES, metadata=options.CHOOSES_ROWS)
    """cartpole, ant, humanoid, cartpole-short."""
    arms: Annotated[tuple[Arm, ...], SEVERAL] = field(
        default=("resnet3d-l1", "resnet3d-corr-l1:flow=dis"), metadata=options.CHOOSES_ROWS
    )
    """A model and a loss each, the loss as in corrwise train: resnet3d-l1, resnet3d-corr-l1:flow=dis, the same through
    the learned flow with flow scaling (resnet3d-corr-l1) and with the regulariser (resnet3d-corr-l1:form=reg), all of
    these with mse in place of l1, svg-mse, svg-corr-mse:flow=dis, svg-prime-mse, svg-prime-corr-mse:flow=dis. The table
    has all that the folder has rows of."""
    seeds: options.Lockstep = field(default=3, metadata=options.CHOOSES_ROWS)
    """Models of each arm and task."""
    clips: options.Count = 400
    """Episodes to learn from, of coloured and of random actions."""
    supersample: options.Supersample = 2
    """Rays to a side of each pixel, in clips and in plans."""
    eval_episodes: options.Count = 40
    """Held-out episodes, on which frames are evaluated."""
    warm: options.Steps = 5000
    """Steps by mse, of one predicted frame, that a model begins with: all arms of a model and seed go on from the same
    weights."""
    steps: options.Steps = 1500
    """Training steps after that, with the arm's own loss."""
    batch: options.Count = 16
    """Windows in a step."""
    horizon: options.Horizon = 4
    """Frames that are predicted in the arm's own steps."""
    windows: options.Count = 100
    """Windows of the held-out clips on which frames are evaluated."""
    shown: options.Horizon = 10
    """Frames predicted there."""
    episodes: Annotated[int, Range(0, 100)] = field(default=30, metadata=options.CHOOSES_ROWS)
    """Frozen episodes that are planned with the models of each arm, which share them out, with the oracle, the last
    frame and nothing at all; 0 plans none."""
    cost: str = RECOMMENDED
    """The image cost of those plans."""
    plan_horizon: options.Horizon = 8
    """Horizon of those plans in control steps."""
    candidates: options.Count = 24
    """Action sequences tried in each iteration of a plan."""
    iterations: options.Horizon = 2
    """Iterations of a plan."""
    size: options.Size = 64
    """Pixels to a side."""
    device: options.Device = "cpu"
    """Where training, predictors, costs and flows are computed: cpu or cuda. Simulators stay on the CPU."""

    def __post_init__(self) -> None:
        """Refuse an unknown cost, and sizes beyond the memory of the machine."""
        object.__setattr__(self, "cost", *options.canonical_costs("cost", (self.cost,), own=False))
        batch = 12 * self.batch * (self.horizon + 2) * self.size**2
        options.check_memory(
            batch + options.ray_bytes(self.size, self.supersample), "--size, --supersample, --batch or --horizon"
        )


def run(config: PredictorTableConfig) -> Path:
    """Make the table, and return its path."""
    from corrwise.experiments.studies.predictors.table import run_predictor_table

    return run_predictor_table(config)
