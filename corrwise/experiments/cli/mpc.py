"""``corrwise mpc``."""

from __future__ import annotations

import os
from dataclasses import field
from pathlib import Path
from typing import Annotated

from corrwise.experiments.cli import options
from corrwise.experiments.cli.restore import AUTO
from corrwise.mpc.config import AggregateName, RiskName
from corrwise.mpc.spec import PlannerSpec, split
from corrwise.registry import CARRIER_PATHS, PLANNER_PATHS, RENDERER_PATHS
from corrwise.validation import SEVERAL, ConfigError, Names, Range, check, validated

NAME = "mpc"

PREDICTOR_NAMES = ("oracle", "oracle-gusts", "copy-last")
INTERPOLATOR_NAMES = ("blend", "half-flow", "average")  # those that need no training
INPAINT = "inpaint"  # a restoration without a model
GOAL_CONTROLS = ("last", "next", "true")  # goals of the same key frames without an interpolator


def is_folder(name: str) -> bool:
    """Return whether a predictor's name is that of a folder."""
    return "/" in name or Path(name).is_dir()


def _is_interpolator(text: str) -> bool:
    """Return whether a text is a name with options, as half-flow:flow=dis, or the folder of a trained interpolator."""
    name, options, _ = text.partition(":")
    return name in INTERPOLATOR_NAMES if options else is_folder(text)


def _is_own(planner: str) -> bool:
    return ":" in split(planner)[0]


def _is_planner(text: str) -> bool:
    return _is_own(text) or split(text)[0] in PLANNER_PATHS


def run_name(folder: Path) -> str:
    """Return the name of a training run, given its folder or the folder of its model."""
    path = folder.resolve()
    return path.parent.name if path.name == "model" else path.name


_ELSE = "one with options as half-flow:flow=dis, or the folder of a trained one"
INTERPOLATORS = Names(INTERPOLATOR_NAMES, _ELSE, _is_interpolator)
RESTORERS = Names((INPAINT,), "the folder of a run of corrwise train --objective restore", is_folder)
GOAL_MAKERS = Names((*INTERPOLATOR_NAMES, *GOAL_CONTROLS), _ELSE, _is_interpolator)


@validated
class MPCConfig(options.Parallel):
    """Plan from pixels toward a goal image, and report the result."""

    task: options.OwnTask = "cartpole"
    """cartpole (a track of 5.4 m), ant, humanoid, cartpole-short (3.6 m) or cartpole-gusts (random forces that no image
    shows); an environment, as gym:Hopper-v5 or dm_control:walker-walk; or your own, as file.py:NAME, which runs that
    file as Python code."""
    costs: Annotated[tuple[str, ...], SEVERAL] = field(
        default=("l1", "corr-l1", "recommended"), metadata=options.CHOOSES_ROWS
    )
    """Image costs l1, mse, ssim, each also between matched pixels as corr-l1, with options as in
    corr-l1:flow=dis,form=reg,magnitude=2 (docs/choose_a_flow.md); recommended, the default of planning; your own as
    file.py:NAME, which runs that file as Python code; and the controls zero-action, random-action, state (the true
    state distance), exact-flow (how far the goal's body pixels lie from their true places: a flow without error) and
    exact-flow-squared."""
    flow: options.FlowName = field(default=options.DEFAULT_FLOW, metadata=options.CHOOSES_ROWS)
    """Flow of the costs named corr-* whose name states none: learned, all-pairs, rigid, dis, tv-l1, raft, zero, affine
    or homography."""
    planner: Annotated[str, Names(tuple(PLANNER_PATHS), "your own as file.py:NAME", _is_planner)] = "cem"
    """random, cem, icem or mppi, with options where wanted, as icem:momentum=0.2,keep_fraction=0.5; or your own, as
    file.py:NAME, which runs that file as Python code. See docs/add_a_planner.md."""
    knots: options.Horizon | None = None
    """Points that the planner draws for each action, between which the actions of the horizon are interpolated; without
    it each step has an action of its own. The planner's option interpolation is zero, linear or cubic."""
    action_change_penalty: Annotated[float, Range(0)] = 0.0
    """Weight of the mean squared difference of successive actions, which is added to the cost, in its unit."""
    predictor: Annotated[str, Names(PREDICTOR_NAMES, "the folder of a run of corrwise train", is_folder)] = "oracle"
    """oracle (the simulator, without a task's gusts), copy-last, or the folder of a run of corrwise train; or the
    control oracle-gusts (the simulator with gusts that are drawn from the task's own law)."""
    nfe: options.Horizon | None = None
    """Evaluations of a denoiser's network for each predicted frame, at most; without it the model's own number."""
    sampling: options.Sampling = ()
    """How a denoiser samples, other than it states itself: solver, time_grid, temperature and correlation, as
    temperature=1.2 (docs/train_a_predictor.md)."""
    episodes: options.Count = field(default=3, metadata=options.CHOOSES_ROWS)
    """How many start and goal pairs."""
    seed: int = field(default=0, metadata=options.CHOOSES_ROWS)
    """Seed of the first episode; episode i has seed + i."""
    out: Path = Path("runs/mpc")
    """Folder for rows, images and the report. The same command continues a run that was stopped."""
    steps: options.Steps | None = None
    """Control steps of an episode; None is the task's own number."""
    goal_frames: Annotated[int, Range(0, 1000)] = 0
    """Follow a goal video, made from so many key frames at equal distances on a path to the goal; 0 is the goal image
    alone. With --aggregate mean each predicted frame is compared with the video's frame of its own time."""
    interpolator: Annotated[str, GOAL_MAKERS] = "half-flow"
    """Makes the goal video from the key frames: blend, half-flow or average, with options as half-flow:flow=dis; the
    folder of a trained interpolator; or a control: last (the last key frame alone), next (each key frame until its
    time) or true (all images of the path, an upper bound)."""
    damage: str | None = None
    """Damage the goal image, or each frame of the goal video, and plan towards the damaged one: any damage of
    docs/restoration.md, as random:share=0.4 or downscale:factor=4, drawn by the episode's seed, or an image of the
    goal's size that is white where pixels are missing. Missing pixels are black; a small image is enlarged bilinearly.
    Controls that read the state see no goal image."""
    restore: Annotated[str, RESTORERS] | None = None
    """Restore the damaged goal before planning: the folder of a run of corrwise train --objective restore, or inpaint
    (OpenCV's inpainting of missing pixels, a baseline without a model)."""
    restore_carrier: Annotated[str, Names((AUTO, *CARRIER_PATHS))] = AUTO
    """How noise moves along a goal video that --restore restores; auto is gp, or discrete for a model of white noise;
    resample with --restore-guidance 0 restores frame by frame."""
    restore_guidance: Annotated[float, Range(0, 1_000_000)] = 1.0
    """Strength with which each restored frame of a goal video is guided by the one before; 0 is without."""
    stride_interpolator: Annotated[str, Names(INTERPOLATOR_NAMES)] = "blend"
    """Makes the frames within a stride of a predictor that was trained with --stride: blend, half-flow or average. With
    --aggregate last and a horizon of whole strides there are none."""
    horizon: options.Horizon = 12
    """Horizon of each plan in control steps."""
    candidates: options.Count = 48
    """Action sequences tried in each iteration of a plan."""
    iterations: options.Horizon = 3
    """Iterations of a plan."""
    aggregate: AggregateName = "last"
    """How the horizon's costs become one number: last, sum, mean, discounted, last-times-k or min."""
    gamma: Annotated[float, Range(0, 1, open="low")] = 0.95
    """Discount per step for aggregate discounted."""
    k: Annotated[float, Range(0, open="low")] = 10.0
    """How often aggregate last-times-k counts the last step."""
    futures: options.Count = 1
    """Futures that a predictor which draws is asked for, for each candidate; all candidates of a plan share their
    random numbers. A deterministic predictor has one future."""
    risk: RiskName = "mean"
    """What the costs of a candidate's futures become: mean, cvar (the mean of the worst share) or worst."""
    risk_level: Annotated[float, Range(0, 1, open="low")] = 0.5
    """The share of --risk cvar, above 0: 0.5 averages the worst half of the futures."""
    plan_every: options.Horizon = 1
    """Control steps between plans: the first actions of a plan are executed until the next one is made."""
    context_frames: options.Horizon = 1
    """Past frames that the predictor sees."""
    size: options.Size = 64
    """Pixels to a side of the image."""
    supersample: options.Supersample = 1
    """Rays per pixel side; 2 smooths edges at four times the rays."""
    renderer: Annotated[str, Names(tuple(RENDERER_PATHS))] = "raycast"
    """raycast (needs no OpenGL) or gl."""
    cameras: tuple[str, ...] = ("main",)
    """Views that are planned on, by the task's names for its cameras: main, and of its own side (ant, humanoid) or top
    (cartpole, humanoid). Several are compared one by one."""
    depth: bool = False
    """Add the depth in metres to each view."""
    depth_weight: Annotated[float, Range(0)] = 1.0
    """Cost of a depth error of depth-scale, in the unit of the cost."""
    depth_scale: Annotated[float, Range(0, open="low")] = 1.0
    """Depth error in metres at which the cost saturates."""
    lockstep: options.Lockstep = field(default=4, metadata=options.SPEED_ONLY)
    """Episodes stepped together; changes the speed, never the rows."""
    max_frames: options.Steps = field(default=256, metadata=options.SPEED_ONLY)
    """About how many predicted frames may exist at a time; bounds the memory."""
    reproducible: bool = True
    """Compare the images of one environment at a time with its goal: rows then do not depend on --lockstep. Without it
    those of all environments are compared in one call, and float rounding may differ."""
    videos: bool = field(default=True, metadata=options.SPEED_ONLY)
    """Write a short video of each episode."""
    processes: options.Processes = field(default=1, metadata=options.SPEED_ONLY)
    """Jobs at a time; 1 works in this process with all threads, 0 is one for each core. Changes the speed, never the
    rows."""
    device: options.Device = "cpu"
    """Where costs, flows and trained predictors are computed: cpu or cuda. Simulators stay on the CPU."""

    @property
    def label(self) -> str:
        """What rows and images call the task: the name without its file or package."""
        return self.task.rpartition(":")[2].replace("/", "-")

    @property
    def planner_text(self) -> str:
        """The planner with all its options, the knots among them."""
        name, given = split(self.planner)
        options = [*([given] if given else []), *([] if self.knots is None else [f"knots={self.knots}"])]
        return f"{name}:{','.join(options)}" if options else name

    @property
    def planner_label(self) -> str:
        """The planner's name in rows and images, without options and, of a user's planner, without its file."""
        return split(self.planner)[0].rpartition(":")[2]

    @property
    def predictor_label(self) -> str:
        """What rows and images call the predictor: of a trained one, the name of its run's folder."""
        return self.predictor if self.predictor in PREDICTOR_NAMES else run_name(Path(self.predictor))

    def __post_init__(self) -> None:
        """Refuse options that do not fit together."""
        object.__setattr__(self, "costs", options.canonical_costs("costs", self.costs, flow=self.flow))
        object.__setattr__(self, "flow", options.DEFAULT_FLOW)  # the costs state it now
        if split(self.planner_text)[1] and not _is_own(self.planner):
            try:
                PlannerSpec.parse(self.planner_text).build(1, horizon=self.horizon)
            except ValueError as error:
                raise ConfigError(f"planner: {error}") from None
        check(
            self.supersample == 1 or self.renderer == "raycast", "supersample", "1 with renderer gl", self.supersample
        )
        check(self.plan_every <= self.horizon, "plan-every", f"at most the horizon of {self.horizon}", self.plan_every)
        check(len(set(self.cameras)) == len(self.cameras) > 0, "cameras", "different names", " ".join(self.cameras))
        options.named_options(self.interpolator)
        made = self.goal_frames or self.interpolator == MPCConfig.interpolator
        check(bool(made), "interpolator", "left out without --goal-frames", self.interpolator)
        trained = self.nfe is None or self.predictor not in PREDICTOR_NAMES
        check(trained, "nfe", f"left out with predictor {self.predictor}", self.nfe)
        trained = not self.sampling or self.predictor not in PREDICTOR_NAMES
        check(trained, "sampling", f"left out with predictor {self.predictor}", " ".join(self.sampling))
        check(self.futures > 1 or self.risk == "mean", "risk", "mean with 1 future", self.risk)
        exact = [cost for cost in self.costs if cost.startswith("exact-flow")]
        check(self.renderer == "raycast" or not exact, "renderer", f"raycast for cost {' '.join(exact)}", self.renderer)
        check(0 <= self.seed < 2**32 - self.episodes, "seed", "zero or above and below 2^32", self.seed)
        states = [cost for cost in self.costs if cost == "state" or cost in exact]
        check(not (self.goal_frames and states), "goal-frames", f"0 for cost {' '.join(states)}", self.goal_frames)
        self._check_damage()
        for cost in self.costs:
            least = spec.smallest if (spec := options.spec_of(cost)) else 1
            check(self.size >= least, "size", f"at least {least} pixels for cost {cost}", self.size)
        options.check_memory(
            self._needed, "--size, --supersample, --max-frames, --candidates, --lockstep, --horizon or --steps"
        )

    def _check_damage(self) -> None:
        """Refuse a restoration without a damage, and its options without a model."""
        check(self.restore is None or self.damage is not None, "restore", "left out without --damage", self.restore)
        views = f"{len(self.cameras)} views{' with depth' if self.depth else ''}"
        plain = len(self.cameras) == 1 and not self.depth
        check(self.damage is None or plain, "damage", f"left out with {views}", self.damage)
        trained = self.restore not in (None, INPAINT)
        for name in ("restore_carrier", "restore_guidance"):
            fits = trained or getattr(self, name) == getattr(MPCConfig, name)
            wanted = "left out without the folder of a model as --restore"
            check(fits, name.replace("_", "-"), wanted, getattr(self, name))

    @property
    def _needed(self) -> int:
        """Bytes that the largest arrays take: predicted frames, actions, and the images of an episode."""
        together = min(self.lockstep, self.episodes)
        steps = 1 if self.aggregate == "last" else self.horizon
        imagined = together * self.candidates * self.futures * steps
        frames = min(imagined, max(self.max_frames, steps))
        pixels, panels = self.size**2 * len(self.cameras), 4
        return (
            (16 if self.depth else 12) * pixels * frames
            + (options.ray_bytes(self.size, self.supersample) if self.renderer == "raycast" else 0)
            + 8 * together * self.candidates * (self.horizon + self.futures)
            + 3 * pixels * panels * together * (self.steps or 1)
            + 12 * pixels * together * self.context_frames
        )


def run(config: MPCConfig) -> Path:
    """Plan, and return the path of the report."""
    if config.renderer == "gl":
        os.environ.setdefault("MUJOCO_GL", "egl")  # before mujoco is imported; a display is rarely at hand
    from corrwise.experiments.runs.mpc import run_mpc

    return run_mpc(config)
