"""``corrwise train``."""

from __future__ import annotations

from dataclasses import field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from corrwise.experiments.cli.distilling import MOST_RATE, AdversaryOptions
from corrwise.experiments.cli.options import (
    CHOOSES_ROWS,
    DEFAULT_FLOW,
    SPEED_ONLY,
    Accelerator,
    Count,
    FlowName,
    Horizon,
    Seed,
    Steps,
    canonical_costs,
    option_values,
    spec_of,
)
from corrwise.validation import SEVERAL, Range, check, validated

NAME = "train"

Objective = Literal["predict", "interpolate", "flow-matching", "distill", "mogan", "restore"]
Precision = Literal["auto", "32-true", "bf16-mixed"]
AUTO = "auto"
Model = Literal["auto", "resnet3d", "svg", "svg-prime", "denoiser", "flavr", "restoration"]
INTERPOLATING = ("flavr",)
DENOISING = ("denoiser",)
RESTORING = ("restoration",)
FLOW_MATCHING: Objective = "flow-matching"
DISTILLING: tuple[Objective, ...] = ("distill", "mogan")  # a few-step student
GENERATIVE: tuple[Objective, ...] = (FLOW_MATCHING, *DISTILLING)  # models that evaluate their network several times
OF_FRAMES: tuple[Objective, ...] = ("interpolate", "restore")  # models that see no actions
MODEL_NAMES = tuple(name for name in get_args(Model) if name != AUTO)
SMALL = {  # what "small" among a model's options stands for: sizes that two cores can train
    "resnet3d": ("width=8", "keep=true", "downs=2", "blocks3d=1", "blocks2d=3"),
    "svg": ("width=24", "hidden=128", "latent=16", "recursive=true"),
    "svg-prime": ("width=8", "hidden=32", "features=32", "latent=4", "recursive=true"),
    "denoiser": ("width=32", "blocks=1"),
    "flavr": ("width=16", "blocks=1", "residual=true"),
    "restoration": ("width=32", "blocks=1"),
}
_OF_TIME = ("time_weight", "time_law", "own_frames_after")
_OF_STUDENTS = ("teacher", "sample_at", "student_time_law", "fake_steps", "adversary")
_BY_PIXELS = ("gap", "loss", "flow", "warm_start")
_UNUSED = {  # options that an objective does not have
    "predict": ("gap", *_OF_TIME, *_OF_STUDENTS, "damages"),
    "interpolate": ("actions", "horizon", *_OF_TIME, *_OF_STUDENTS, "damages"),
    FLOW_MATCHING: (*_BY_PIXELS, *_OF_STUDENTS, "damages"),
    "distill": (*_BY_PIXELS, *_OF_TIME, "options", "adversary", "damages"),
    "mogan": (*_BY_PIXELS, *_OF_TIME, "options", "damages"),
    "restore": ("context", "actions", "horizon", "stride", *_BY_PIXELS, "own_frames_after", *_OF_STUDENTS),
}
Rate = Annotated[float, Range(0, MOST_RATE, open="low")]
Decay = Annotated[float, Range(0, 1, open="high")]


@validated
class TrainConfig:
    """Train a video predictor on clips; the same command continues a run that was stopped."""

    data: Annotated[tuple[Path, ...], SEVERAL] = (Path("clips/cartpole"),)
    """Folders of clips of one size, as corrwise collect or corrwise import write them; or kitti:, caltech:,
    cityscapes: or vimeo: and a folder of that dataset. With interpolate their numbers of actions may differ."""
    objective: Objective = "predict"
    """predict (the frames after a context), flow-matching (samples of them, for denoiser), distill (few evaluations in
    place of a denoiser's many), mogan (distill, with an adversary of motion), interpolate (the frames between those of
    a context, for flavr) or restore (whole images from damaged ones, for restoration)."""
    model: Model = "auto"
    """resnet3d (auto), svg, svg-prime or denoiser with predict. Every other objective has one model: flow-matching,
    distill and mogan denoiser, interpolate flavr, restore restoration."""
    loss: str = "corr-l1:flow=dis"
    """l1, mse, ssim, or between matched pixels as in corrwise mpc: corr-l1:flow=dis, corr-mse:form=reg. A regulariser
    needs a flow with gradients, such as learned, tv-l1 or raft. vgg=FILE adds the perceptual distance to the base
    distance, in equal parts: weights of VGG-19, a name or a file, or st-vgg."""
    flow: FlowName = DEFAULT_FLOW
    """Flow of a loss named corr-* whose name states none; dis is fast and has no gradient."""
    out: Path = Path("runs/train")
    """Folder for checkpoints, TensorBoard logs and, in model/, the trained predictor."""
    steps: Steps = field(default=6000, metadata=CHOOSES_ROWS)
    """Optimiser steps; more of them can be asked for later."""
    batch: Count = 16
    """Windows in a step, over all processes."""
    context: Horizon = 2
    """Frames that the model sees."""
    actions: bool = True
    """With predict: whether the model sees the clips' actions; --no-actions learns from the frames alone."""
    horizon: Horizon = 4
    """Frames that it predicts, each from those before; the losses of all are summed."""
    gap: Annotated[tuple[Annotated[int, Range(2, 1000)], ...], SEVERAL] = (2,)
    """With interpolate: frames from one frame that the model sees to the next; it makes the one in their middle. Each
    step draws one of several gaps."""
    stride: Annotated[int, Range(1, 1000)] = 1
    """With predict: steps of the clips that one step of the model covers. Context and horizon count frames that are a
    stride apart, and a step takes the actions of its stride side by side; corrwise mpc interpolates the frames in
    between."""
    warm_start: Annotated[int, Range(0, 100_000_000)] = 0
    """Steps at the beginning that learn by the base distance of a loss between matched pixels, at the same place."""
    time_weight: str = "data"
    """With flow-matching and restore: the loss's weight over time, such as data, velocity, flowfusion or
    min-snr:gamma=5 (docs/train_a_predictor.md)."""
    time_law: str = "shifted"
    """With flow-matching and restore: the law of the times, such as shifted:shift=5, uniform or
    logit-normal:mean=0,std=1."""
    own_frames_after: Annotated[int, Range(0, 1_000_000_000)] = 1000
    """With flow-matching: steps that learn from true contexts; in later ones the frames after the context are predicted
    from the model's own, with gradients through the chain, as in regression."""
    teacher: str = ""
    """With distill and mogan: folder of a denoiser's run with flow-matching, whose samples the student is to draw."""
    sample_at: Annotated[tuple[Annotated[float, Range(0, 1, open="low")], ...], SEVERAL] = (0.25, 0.5, 0.75)
    """With distill and mogan: rising times at which the student evaluates its network for a frame, at most."""
    student_time_law: str = "shifted:shift=20"
    """With distill and mogan: the law of the times at which teacher and student are compared. More noise makes a
    student move less (docs/train_a_predictor.md)."""
    fake_steps: Steps = 4
    """With distill and mogan: steps of the network that follows the student's samples, for each of the student's."""
    adversary: AdversaryOptions = AdversaryOptions()
    damages: Annotated[tuple[str, ...], SEVERAL] = ("random",)
    """With restore: damages of the images, such as random:share=0.4, box:share=0.25, free-form or downscale:factor=4
    (docs/restoration.md); each step draws one. The noise is an option of the model: noise=white, or length_scale=1.5
    of Gaussian-process noise in pixels."""
    crop: Annotated[int, Range(0, 8192)] = 0
    """Side of the square, around what moves, that a step sees of each window; 0 shows whole images. Small bodies are
    learned in a fraction of the time; not for svg, which is made for one size."""
    options: tuple[str, ...] = ()
    """More options of the model, such as width=16 blocks2d=2 (its configuration in corrwise.predictors); small stands
    for a size that two cores can train."""
    lr: Rate = 2e-4
    """Learning rate of Adam."""
    ema: Decay = 0.999
    """Decay of the exponential moving average of the weights, which is what is kept; 0 keeps the last weights."""
    max_grad_norm: Annotated[float, Range(0, open="low")] = 1.0
    """Largest norm of the gradient."""
    init_from: str = ""
    """Folder of a run of corrwise train, or of its model, of the same shape, whose weights this one begins with."""
    val_fraction: Decay = 0.05
    """Share of the clips, the last ones, that no step sees; predictions of them are logged."""
    checkpoint_every: Steps = field(default=500, metadata=SPEED_ONLY)
    """Steps between checkpoints, logged images and validation losses."""
    seed: Seed = 0
    """Seed of weights, windows and latents."""
    num_workers: Annotated[int, Range(0, 1024)] = field(default=2, metadata=SPEED_ONLY)
    """Threads of each process that read the clips of the next steps meanwhile."""
    device: Accelerator = field(default="auto", metadata=SPEED_ONLY)
    """auto (a GPU when there is one), cpu or cuda. Under torchrun every process takes its share of the batch."""
    precision: Precision = "auto"
    """auto (bfloat16 on a GPU), 32-true or bf16-mixed, which is faster on processors with bfloat16 too."""

    def __post_init__(self) -> None:
        """Refuse losses, crops and options of the model that cannot be used."""
        objective, loss = self.objective, ""
        for name in _UNUSED[objective]:
            given = getattr(self, name)
            usual = given == getattr(TrainConfig, name) or (name, given) == ("loss", "")
            check(usual, name, f"left out with --objective {objective}", _changed(given))
        if "loss" not in _UNUSED[objective]:
            (loss,) = canonical_costs("loss", (self.loss,), flow=self.flow, controls=())
        object.__setattr__(self, "loss", loss)
        object.__setattr__(self, "flow", DEFAULT_FLOW)  # the loss states it now
        check(self.crop == 0 or self.crop >= 16, "crop", "0 or at least 16", self.crop)
        models = _models(objective)
        if self.model == AUTO:
            object.__setattr__(self, "model", models[0])
        check(self.model in models, "model", f"{' or '.join(models)} with --objective {objective}", self.model)
        whole = objective != "interpolate" or self.stride == 1
        check(whole, "stride", f"1 with --objective {objective}", self.stride)
        if objective in DISTILLING:
            wanted = f"given with --objective {objective}, a run of corrwise train --objective {FLOW_MATCHING}"
            check(bool(self.teacher), "teacher", wanted, self.teacher or "none")
            window = self.adversary.window
            check(window <= self.horizon, "adversary.window", f"at most the horizon, {self.horizon}", window)
        if self.warm_start:
            matched = (spec := spec_of(loss)) is not None and spec.matched
            check(matched, "warm_start", f"0 for {loss}, which matches no pixels", self.warm_start)
            check(self.warm_start < self.steps, "warm_start", f"fewer than the {self.steps} steps", self.warm_start)
        for pair in self._pairs:
            name, equals, value = pair.partition("=")
            check(bool(name and equals and value), "options", "small, or pairs such as width=8", pair)
            stated = name in ("context", "action_dim", "size", "damages")
            check(not stated, "options", "without what clips and flags state", pair)
            one = pair == "evaluations=1" or name != "evaluations" or objective in (FLOW_MATCHING, "restore")
            check(one, "options", f"evaluations=1 with --objective {objective}", pair)

    @property
    def model_options(self) -> dict[str, object]:
        """The parsed ``options``: numbers, truth values and text."""
        regression = self.model in DENOISING and self.objective == "predict"
        return option_values([*self._pairs, *(["evaluations=1"] if regression else [])])

    @property
    def window(self) -> int:
        """Frames of a window: context and horizon, all from the first known frame to the last, or one to restore."""
        if self.objective == "restore":
            return 1
        if self.objective == "interpolate":
            return (self.context - 1) * max(self.gap) + 1
        return self.context + self.horizon

    @property
    def sees_actions(self) -> bool:
        """Whether the model sees the clips' actions."""
        return self.actions and self.objective not in OF_FRAMES

    @property
    def _pairs(self) -> list[str]:
        return [pair for each in self.options for pair in (SMALL[self.model] if each == "small" else (each,))]


def _changed(given: Any) -> Any:
    """Return a value as a refusal shows it: of a group of options those that are not the default."""
    if not is_dataclass(given):
        return given
    values = {each.name: getattr(given, each.name) for each in fields(given)}
    return ", ".join(f"{name} {value}" for name, value in values.items() if value != getattr(type(given), name))


def _models(objective: Objective) -> tuple[str, ...]:
    """Return the models that an objective trains."""
    special = {**dict.fromkeys(GENERATIVE, DENOISING), "interpolate": INTERPOLATING, "restore": RESTORING}
    predictors = tuple(name for name in MODEL_NAMES if name not in (*INTERPOLATING, *RESTORING))
    return special.get(objective, predictors)


def run(config: TrainConfig) -> Path:
    """Train the model, and return its folder."""
    from corrwise.experiments.runs.train import run_train

    return run_train(config)
