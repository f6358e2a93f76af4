"""``corrwise table predictors``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from corrwise.costs.presets import FORMS, NAMED_FLOWS
from corrwise.costs.spec import BASE_NAMES, RECOMMENDED, CostSpec
from corrwise.experiments.cli import options
from corrwise.experiments.cli.train import INTERPOLATING, MODEL_NAMES, RESTORING, Model
from corrwise.validation import SEVERAL, ConfigError, Range, check, check_that, validated

NAME = "table predictors"

MODELS: tuple[Model, ...] = tuple(model for model in MODEL_NAMES if model not in (*INTERPOLATING, *RESTORING))


@dataclass(frozen=True)
class Arm:
    """A model and the loss that it is trained with; ``str`` gives the text that ``parse`` reads.

    Attributes:
        model: a name in ``MODELS``.
        loss: an image distance.
    """

    model: Model
    loss: CostSpec

    @classmethod
    def parse(cls, text: str) -> Arm:
        """Return the arm that ``MODEL-LOSS`` names, the loss as in ``corrwise train``.

        Raises:
            ConfigError: no such model or loss, or weights that are a file: an arm's text is the name of a folder.
        """
        model = next((name for name in sorted(MODELS, key=len, reverse=True) if text.startswith(f"{name}-")), None)
        if model is None:
            also = f"expected a model ({', '.join(MODELS)}) and a loss, such as resnet3d-corr-l1:flow=dis"
            raise ConfigError(f"unknown arm {text!r}; {also}")
        (loss,) = options.canonical_costs("arms", (text.removeprefix(f"{model}-"),), controls=(), own=False)
        check_that("/" not in loss, f"expected weights that have a name in an arm, got {text!r}")
        return cls(model, CostSpec.parse(loss))

    def __str__(self) -> str:
        return f"{self.model}-{self.loss}"

    @property
    def pixel_wise(self) -> Arm:
        """The arm that this one is compared with: the same base distance of pixels at the same place."""
        return Arm(self.model, replace(self.loss, flow="", form="scaled", directions=2, options=()))

    @property
    def place(self) -> tuple[Any, ...]:
        """What tables sort by: models as they are registered, their losses in families."""
        loss, flows = self.loss, ("", *NAMED_FLOWS)
        family = BASE_NAMES.index(loss.base), loss.vgg, flows.index(loss.flow), FORMS.index(loss.form)
        return MODELS.index(self.model), *family, -loss.directions, str(self)


@validated
class PredictorTableConfig(options.Parallel):
    """Train video predictors with pixel-wise and with correspondence-wise losses; compare their frames and plans."""

    out: Path = Path("runs/predictors")
    """Folder for clips, models, rows, tables and images. The same command continues a run that was stopped."""
    tasks: options.Tasks = field(default=options.BODY_NAMES, metadata=options.CHOOSES_ROWS)
    """cartpole, ant, humanoid, cartpole-short."""
    arms: Annotated[tuple[str, ...], SEVERAL] = field(
        default=("resnet3d-l1", "resnet3d-corr-l1:flow=dis"), metadata=options.CHOOSES_ROWS
    )
    """A model and a loss each, as MODEL-LOSS: resnet3d, svg or svg-prime, and a loss as in corrwise train, such as
    resnet3d-l1, resnet3d-corr-l1:flow=dis, resnet3d-corr-l1:form=reg, svg-prime-mse, resnet3d-l1:vgg=st-alex. The table
    has all that the folder has rows of, each arm beside the pixel-wise one with the same base distance."""
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
        """Refuse unknown arms and costs, and sizes beyond the memory of the machine."""
        arms = tuple(str(Arm.parse(arm)) for arm in self.arms)
        check(len(set(arms)) == len(arms), "arms", "different from each other", " ".join(arms))
        object.__setattr__(self, "arms", arms)
        object.__setattr__(self, "cost", *options.canonical_costs("cost", (self.cost,), own=False))
        batch = 12 * self.batch * (self.horizon + 2) * self.size**2
        options.check_memory(
            batch + options.ray_bytes(self.size, self.supersample), "--size, --supersample, --batch or --horizon"
        )


def run(config: PredictorTableConfig) -> Path:
    """Make the table, and return its path."""
    from corrwise.experiments.studies.predictors.table import run_predictor_table

    return run_predictor_table(config)
