"""Options of ``corrwise table predictors``; free of torch, so that help and argument errors come at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from corrwise.costs.spec import RECOMMENDED
from corrwise.experiments.cli.checks import check, check_names
from corrwise.experiments.cli.cost import canonical_costs
from corrwise.experiments.cli.executor import ExecutorConfig
from corrwise.experiments.cli.marks import CHOOSES_ROWS, SPEED_ONLY
from corrwise.experiments.cli.mpc import BODY_NAMES, TASK_NAMES
from corrwise.experiments.cli.sizes import check_counts, check_memory, ray_bytes

ARM_NAMES = (
    *("resnet3d-l1", "resnet3d-corr-l1:flow=dis", "resnet3d-corr-l1", "resnet3d-corr-l1:form=reg"),
    *("resnet3d-mse", "resnet3d-corr-mse:flow=dis", "resnet3d-corr-mse", "resnet3d-corr-mse:form=reg"),
    *("svg-mse", "svg-corr-mse:flow=dis", "svg-prime-mse", "svg-prime-corr-mse:flow=dis"),
)


@dataclass(frozen=True)
class PredictorTableConfig:
    """Train video predictors with pixel-wise and with correspondence-wise losses; compare their frames and plans."""

    out: Path = Path("runs/predictors")
    """Folder for clips, models, rows, tables and pictures. The same command continues a run that was stopped."""
    tasks: tuple[str, ...] = field(default=BODY_NAMES, metadata=CHOOSES_ROWS)
    """cartpole, ant, humanoid, cartpole-short."""
    arms: tuple[str, ...] = field(default=("resnet3d-l1", "resnet3d-corr-l1:flow=dis"), metadata=CHOOSES_ROWS)
    """A model and a loss each, the loss as in corrwise train: resnet3d-l1, resnet3d-corr-l1:flow=dis, the same through
    the learned flow with flow scaling (resnet3d-corr-l1) and with the regulariser (resnet3d-corr-l1:form=reg), all of
    these with mse in place of l1, svg-mse, svg-corr-mse:flow=dis, svg-prime-mse, svg-prime-corr-mse:flow=dis. The table
    has all that the folder has rows of."""
    seeds: int = field(default=3, metadata=CHOOSES_ROWS)
    """Models of each arm and task."""
    clips: int = 400
    """Episodes to learn from, of coloured and of random actions."""
    supersample: int = 2
    """Rays to a side of each pixel, in clips and in plans."""
    held: int = 40
    """Episodes to judge frames on."""
    warm: int = 5000
    """Steps by mse, of one predicted frame, that a model begins with: all arms of a model and seed go on from the same
    weights."""
    steps: int = 1500
    """Training steps after that, with the arm's own loss."""
    batch: int = 16
    """Windows in a step."""
    horizon: int = 4
    """Frames that are predicted in the arm's own steps."""
    windows: int = 100
    """Windows of the held-out clips that frames are judged on."""
    shown: int = 10
    """Frames predicted there."""
    episodes: int = field(default=30, metadata=CHOOSES_ROWS)
    """Frozen episodes that are planned with the models of each arm, which share them out, with the oracle, the last
    frame and nothing at all; 0 plans none."""
    cost: str = RECOMMENDED
    """The image cost of those plans."""
    look: int = 8
    """Control steps that those plans look ahead."""
    candidates: int = 24
    """Action sequences tried in each iteration of a plan."""
    iterations: int = 2
    """Iterations of a plan."""
    size: int = 64
    """Pixels to a side."""
    workers: int = field(default=0, metadata=SPEED_ONLY)
    """Processes, each with a thread; 0 is one for each core. Changes the speed, never the rows."""
    where: tyro.conf.OmitArgPrefixes[ExecutorConfig] = field(default_factory=ExecutorConfig, metadata=SPEED_ONLY)
    """Where the jobs run."""

    def __post_init__(self) -> None:
        """Refuse unknown names and sizes that make no table."""
        check_names("task", self.tasks, TASK_NAMES)
        check_names("arm", self.arms, ARM_NAMES)
        object.__setattr__(self, "cost", *canonical_costs("cost", (self.cost,), own=False))
        counts = ("seeds", "clips", "held", "steps", "batch", "horizon", "windows", "shown", "warm", "supersample")
        check_counts(self, *counts, "look", "candidates", "iterations")
        check(0 <= self.episodes <= 100, "episodes", "from 0 to 100", self.episodes)
        check_counts(self, "size", least=16, unit=" pixels")
        check_counts(self, "workers", least=0)
        batch = 12 * self.batch * (self.horizon + 2) * self.size**2
        check_memory(batch + ray_bytes(self.size, self.supersample), "--size, --supersample, --batch or --horizon")
