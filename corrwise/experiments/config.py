"""The command line's options as frozen dataclasses; free of torch, so that help and argument errors come at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

import tyro

from corrwise.mpc.config import (
    AGGREGATE_NAMES,
    PLANNER_NAMES,
    CEMConfig,
    ICEMConfig,
    MPPIConfig,
    RandomShootingConfig,
)

TASK_NAMES = ("cartpole", "ant", "humanoid")
PREDICTOR_NAMES = ("oracle", "copy-last")
RENDERER_NAMES = ("raycast", "gl")
FLOW_NAMES = ("all-pairs", "rigid", "dis", "raft", "zero", "affine", "homography", "learned")
DIS_PRESET_NAMES = ("ultrafast", "fast", "medium")
BASE_NAMES = ("l1", "mse", "ssim")
CORRESPONDENCE_SUFFIXES = ("", "-reg", "-both", "-disp")
CONTROL_NAMES = ("zero-action", "random-action", "state", "exact-flow")
COST_NAMES = (
    *BASE_NAMES,
    *(f"corr-{base}{suffix}" for base in BASE_NAMES for suffix in CORRESPONDENCE_SUFFIXES),
    *CONTROL_NAMES,
)


class ConfigError(Exception):
    """An option that cannot be used, said in one sentence; no ValueError, which tyro would draw a box around."""


@dataclass(frozen=True)
class CostConfig:
    """What stands behind the costs named ``corr-*``."""

    flow: str = "learned"
    """Who finds the correspondence: learned, all-pairs, rigid, dis, raft, zero, or one map fitted to all-pairs:
    affine or homography."""
    scaling: float | None = None
    """Epsilon of flow scaling: the share of the flow that is left unmatched; costs named -reg and -disp use 0. None,
    here and for the next four, is the flow's own number (docs/choose_a_flow.md): 0.1."""
    magnitude: float | None = None
    """Weight of the flow's mean length (image widths) in costs named -reg and -both: the paper's 9.0 for images in
    [-1, 1] is 4.5 for ours in [0, 1]."""
    gradient: float | None = None
    """Weight of the flow's mean gradient in the same costs: 2.25, the paper's 4.5 for images in [-1, 1]."""
    price: float | None = None
    """Intensity that each pixel of mean displacement costs in costs named -disp: 0.07, 1.0 for learned."""
    occlusion: float | None = None
    """What pixels without a match cost in costs named -disp, times their share: 6.0 for learned, 0 for others."""
    displacement: float | None = None
    """All-pairs flow: intensity (in [0, 1]) that one pixel of displacement costs a match. None is 0.01 for flow
    scaling alone and 0.001 for costs with a suffix, which price the displacement already."""
    patch: int = 3
    """All-pairs flow: pixels to a patch's side: 1, 3, 5 or 7."""
    dis_preset: str = "ultrafast"
    """DIS flow: OpenCV's preset, ultrafast, fast or medium."""
    dis_finest_scale: int = 1
    """DIS flow: 0 computes it at full resolution, 1 at half."""
    raft_weights: str = "Raft_Small_Weights.C_T_V2"
    """RAFT flow: the name of torchvision's weights, which are downloaded once, or a local file."""

    learned_weights: str = "small"
    """Learned flow: the name of shipped weights, or a file that corrwise train-flow wrote."""

    def __post_init__(self) -> None:
        """Refuse what no flow or distance can use."""
        check_name("flow", self.flow, FLOW_NAMES)
        check(self.scaling is None or 0 <= self.scaling <= 1, "scaling", "in [0, 1]", self.scaling)
        for name in ("magnitude", "gradient", "price", "occlusion", "displacement"):
            value = getattr(self, name)
            check(value is None or 0 <= value < inf, name, "zero or above", value)
        check(self.patch in (1, 3, 5, 7), "patch", "1, 3, 5 or 7", self.patch)
        check_name("dis_preset", self.dis_preset, DIS_PRESET_NAMES)
        check(self.dis_finest_scale >= 0, "dis_finest_scale", "zero or above", self.dis_finest_scale)


_OPTIONS = {  # of single flows: whose they are, and what they are when nobody asks
    "displacement": (("all-pairs",), CostConfig.displacement),
    "patch": (("all-pairs",), CostConfig.patch),
    "dis_preset": (("dis",), CostConfig.dis_preset),
    "dis_finest_scale": (("dis",), CostConfig.dis_finest_scale),
    "raft_weights": (("raft",), CostConfig.raft_weights),
    "learned_weights": (("learned",), CostConfig.learned_weights),
}


@dataclass(frozen=True)
class MPCConfig:
    """Plan from pixels toward a goal picture, and show what happened."""

    task: str = "cartpole"
    """cartpole, ant or humanoid."""
    costs: tuple[str, ...] = ("l1", "corr-l1", "corr-l1-disp")
    """Image costs l1, mse, ssim, corr-l1, corr-l1-reg, corr-l1-both, corr-l1-disp (the same with mse, ssim), and the
    controls zero-action, random-action, state (the true state distance) and exact-flow (how far the
    goal's body pixels lie from their true places: the bound of any optical flow)."""
    planner: str = "cem"
    """random, cem, icem or mppi."""
    predictor: str = "oracle"
    """oracle (the simulator) or copy-last."""
    episodes: int = 3
    """How many start and goal pairs."""
    seed: int = 0
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
    lockstep: int = 4
    """Episodes stepped together; changes the speed, never the rows."""
    max_frames: int = 256
    """About how many predicted frames may exist at a time; bounds the memory."""
    videos: bool = True
    """Write a short video of each episode."""
    cost: tyro.conf.OmitArgPrefixes[CostConfig] = field(default_factory=CostConfig)
    """What stands behind the costs named corr-*."""
    random: RandomShootingConfig = field(default_factory=RandomShootingConfig)
    """Options of planner random."""
    cem: CEMConfig = field(default_factory=CEMConfig)
    """Options of planner cem."""
    icem: ICEMConfig = field(default_factory=ICEMConfig)
    """Options of planner icem."""
    mppi: MPPIConfig = field(default_factory=MPPIConfig)
    """Options of planner mppi."""

    def __post_init__(self) -> None:
        """Refuse unknown names and sizes that make no run."""
        for option, names in (
            ("task", TASK_NAMES), ("planner", PLANNER_NAMES), ("predictor", PREDICTOR_NAMES),
            ("renderer", RENDERER_NAMES), ("aggregate", AGGREGATE_NAMES),
        ):  # fmt: skip
            check_name(option, getattr(self, option), names)
        check(len(self.costs) > 0, "costs", "at least one name", "none")
        check(len(set(self.costs)) == len(self.costs), "costs", "different from each other", " ".join(self.costs))
        for cost in self.costs:
            check_name("cost", cost, COST_NAMES)
        for option in ("episodes", "horizon", "candidates", "iterations", "context_frames"):
            check(getattr(self, option) >= 1, option, "at least 1", getattr(self, option))
        for option in ("supersample", "lockstep", "max_frames"):
            check(getattr(self, option) >= 1, option, "at least 1", getattr(self, option))
        check(
            self.supersample == 1 or self.renderer == "raycast", "supersample", "1 with renderer gl", self.supersample
        )
        traced = self.renderer == "raycast" or "exact-flow" not in self.costs
        check(traced, "renderer", "raycast for cost exact-flow", self.renderer)
        check(0 <= self.seed < 2**32 - self.episodes, "seed", "zero or above and below 2^32", self.seed)
        check(self.size >= 16, "size", "at least 16 pixels", self.size)
        check(self.steps is None or self.steps >= 1, "steps", "at least 1", self.steps)
        check(0 < self.gamma <= 1, "gamma", "in (0, 1]", self.gamma)
        check(0 < self.k < inf, "k", "above zero and finite", self.k)
        for option, (flows, plain) in _OPTIONS.items():
            given, fits = getattr(self.cost, option), self.cost.flow in flows
            check(fits or given == plain, option, f"left out, for it belongs to flow {' or '.join(flows)}", given)
        raft = self.cost.flow == "raft" and any(cost.startswith("corr-") for cost in self.costs)
        check(not raft or self.size >= 32, "size", "at least 32 pixels for flow raft", self.size)


@dataclass(frozen=True)
class ReportConfig:
    """Make report.html of a run folder anew, from its rows and pictures alone."""

    out: tyro.conf.Positional[Path]
    """The run folder."""


@dataclass(frozen=True)
class DoctorConfig:
    """Say what this machine offers, and the one command for each thing that is missing."""


def check(ok: bool, option: str, wanted: str, got: object) -> None:
    """Raise a ConfigError that names the option, what it must be and what it was, unless ``ok``."""
    if not ok:
        raise ConfigError(f"{option} must be {wanted}, got {got}")


def check_name(option: str, name: str, names: Iterable[str]) -> None:
    """Raise a ConfigError that lists the names there are, unless ``name`` is one of them."""
    known = list(names)
    if name not in known:
        raise ConfigError(f"unknown {option} {name!r}; there are {', '.join(known)}")
