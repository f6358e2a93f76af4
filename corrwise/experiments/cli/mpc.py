"""The command line's options as frozen dataclasses; free of torch, so that help and argument errors come at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from pathlib import Path

import tyro

from corrwise.experiments.cli.checks import check, check_name, check_that
from corrwise.experiments.cli.cost import DEFAULT_FLOW, canonical_costs, spec_of
from corrwise.experiments.cli.executor import ExecutorConfig
from corrwise.experiments.cli.marks import CHOOSES_ROWS, SPEED_ONLY
from corrwise.experiments.cli.sizes import check_counts, check_memory, ray_bytes
from corrwise.mpc.config import (
    AGGREGATE_NAMES,
    PLANNER_NAMES,
    CEMConfig,
    ICEMConfig,
    MPPIConfig,
    RandomShootingConfig,
)

BODY_NAMES = ("cartpole", "ant", "humanoid")  # tasks that differ in more than where episodes start
TASK_NAMES = (*BODY_NAMES, "cartpole-short")
PREDICTOR_NAMES = ("oracle", "copy-last")
RENDERER_NAMES = ("raycast", "gl")


def run_name(folder: Path) -> str:
    """Return the name of a training run, of whose folder or of whose model's folder this is the path."""
    path = folder.resolve()
    return path.parent.name if path.name == "model" else path.name


@dataclass(frozen=True)
class MPCConfig:
    """Plan from pixels toward a goal picture, and show what happened."""

    task: str = "cartpole"
    """cartpole (a track of 5.4 m), ant, humanoid or cartpole-short (3.6 m); or your own, as file.py:NAME,
    which runs that file as Python code."""
    costs: tuple[str, ...] = field(default=("l1", "corr-l1", "recommended"), metadata=CHOOSES_ROWS)
    """Image costs l1, mse, ssim, each also between matched pixels as corr-l1, with options as in
    corr-l1:flow=dis,form=reg,magnitude=2 (docs/choose_a_flow.md); recommended, the default of planning; your own as
    file.py:NAME, which runs that file as Python code; and the controls zero-action, random-action, state (the true
    state distance), exact-flow (how far the goal's body pixels lie from their true places: a flow without error) and
    exact-flow-squared."""
    flow: str = field(default=DEFAULT_FLOW, metadata=CHOOSES_ROWS)
    """Flow of the costs named corr-* whose name says none: learned, all-pairs, rigid, dis, raft, zero, affine or
    homography."""
    planner: str = "cem"
    """random, cem, icem or mppi."""
    predictor: str = "oracle"
    """oracle (the simulator), copy-last, or the folder of a run of corrwise train."""
    episodes: int = field(default=3, metadata=CHOOSES_ROWS)
    """How many start and goal pairs."""
    seed: int = field(default=0, metadata=CHOOSES_ROWS)
    """Seed of the first episode; episode i has seed + i."""
    out: Path = Path("runs/mpc")
    """Folder for rows, pictures and the report. The same command continues a run that was stopped."""
    steps: int | None = None
    """Control steps of an episode; None is the task's own number."""
    horizon: int = 12
    """Control steps that each plan looks ahead."""
    candidates: int = 48
    """Action sequences tried in each iteration of a plan."""
    iterations: int = 3
    """Iterations of a plan."""
    aggregate: str = "last"
    """How the horizon's costs become one number: last, sum, mean, discounted, last-times-k or min."""
    gamma: float = 0.95
    """Discount per step for aggregate discounted."""
    k: float = 10.0
    """How often aggregate last-times-k counts the last step."""
    context_frames: int = 1
    """Past frames that the predictor sees."""
    size: int = 64
    """Pixels to a side of the picture."""
    supersample: int = 1
    """Rays per pixel side; 2 smooths edges at four times the rays."""
    renderer: str = "raycast"
    """raycast (needs no OpenGL) or gl."""
    lockstep: int = field(default=4, metadata=SPEED_ONLY)
    """Episodes stepped together; changes the speed, never the rows."""
    max_frames: int = field(default=256, metadata=SPEED_ONLY)
    """About how many predicted frames may exist at a time; bounds the memory."""
    videos: bool = field(default=True, metadata=SPEED_ONLY)
    """Write a short video of each episode."""
    workers: int = field(default=1, metadata=SPEED_ONLY)
    """Jobs at a time; 1 works in this process with all threads, 0 is one for each core. Changes the speed, never the
    rows."""
    random: RandomShootingConfig = field(default_factory=RandomShootingConfig)
    """Options of planner random."""
    cem: CEMConfig = field(default_factory=CEMConfig)
    """Options of planner cem."""
    icem: ICEMConfig = field(default_factory=ICEMConfig)
    """Options of planner icem."""
    mppi: MPPIConfig = field(default_factory=MPPIConfig)
    """Options of planner mppi."""
    where: tyro.conf.OmitArgPrefixes[ExecutorConfig] = field(default_factory=ExecutorConfig, metadata=SPEED_ONLY)
    """Where the jobs run."""

    @property
    def label(self) -> str:
        """What rows and pictures call the task: of one's own, the name without its file."""
        return self.task.rpartition(":")[2]

    @property
    def predictor_label(self) -> str:
        """What rows and pictures call the predictor: of a trained one, the name of its run's folder."""
        return self.predictor if self.predictor in PREDICTOR_NAMES else run_name(Path(self.predictor))

    def __post_init__(self) -> None:
        """Refuse unknown names and sizes that make no run."""
        for option, names in (
            ("planner", PLANNER_NAMES), ("renderer", RENDERER_NAMES), ("aggregate", AGGREGATE_NAMES),
        ):  # fmt: skip
            check_name(option, getattr(self, option), names)
        if "/" not in self.predictor and not Path(self.predictor).is_dir():
            known = ", ".join(PREDICTOR_NAMES)
            there = f"unknown predictor {self.predictor!r}; there are {known}, or the folder of a run of corrwise train"
            check_that(self.predictor in PREDICTOR_NAMES, there)
        if ":" not in self.task:
            check_name("task", self.task, TASK_NAMES, or_else="your own as file.py:NAME")
        object.__setattr__(self, "costs", canonical_costs("costs", self.costs, flow=self.flow))
        object.__setattr__(self, "flow", DEFAULT_FLOW)  # the costs say it now
        check_counts(self, "episodes", "horizon", "candidates", "iterations", "context_frames")
        check_counts(self, "supersample", "lockstep", "max_frames", *(() if self.steps is None else ("steps",)))
        check(
            self.supersample == 1 or self.renderer == "raycast", "supersample", "1 with renderer gl", self.supersample
        )
        exact = [cost for cost in self.costs if cost.startswith("exact-flow")]
        check(self.renderer == "raycast" or not exact, "renderer", f"raycast for cost {' '.join(exact)}", self.renderer)
        check(0 <= self.seed < 2**32 - self.episodes, "seed", "zero or above and below 2^32", self.seed)
        check_counts(self, "size", least=16, unit=" pixels")
        check_counts(self, "workers", least=0)
        check(0 < self.gamma <= 1, "gamma", "in (0, 1]", self.gamma)
        check(0 < self.k < inf, "k", "above zero and finite", self.k)
        for cost in self.costs:
            least = spec.smallest if (spec := spec_of(cost)) else 1
            check(self.size >= least, "size", f"at least {least} pixels for cost {cost}", self.size)
        check_memory(
            self._needed, "--size, --supersample, --max-frames, --candidates, --lockstep, --horizon or --steps"
        )

    @property
    def _needed(self) -> int:
        """Bytes that the largest arrays take: predicted frames, actions, and the pictures of an episode."""
        together = min(self.lockstep, self.episodes)
        imagined = together * self.candidates * (1 if self.aggregate == "last" else self.horizon)
        frames = min(imagined, max(self.max_frames, imagined // (together * self.candidates)))
        pixels, panels = self.size**2, 4
        return (
            12 * pixels * frames
            + (ray_bytes(self.size, self.supersample) if self.renderer == "raycast" else 0)
            + 8 * together * self.candidates * self.horizon
            + 3 * pixels * panels * together * (self.steps or 1)
            + 12 * pixels * together * self.context_frames
        )


@dataclass(frozen=True)
class ReportConfig:
    """Make report.html of a run folder anew, from its rows and pictures alone."""

    out: tyro.conf.Positional[Path]
    """The run folder."""


@dataclass(frozen=True)
class DoctorConfig:
    """Say what this machine offers, and the one command for each thing that is missing."""
