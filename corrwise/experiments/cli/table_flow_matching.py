"""``corrwise table flow-matching``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from corrwise.experiments.cli.options import CHOOSES_ROWS, Count, Device, Horizon, Lockstep, Parallel, Sampling, Steps
from corrwise.experiments.cli.train import SMALL, Model, Precision, Rate
from corrwise.validation import SEVERAL, Range, check, check_that, validated

NAME = "table flow-matching"

REGRESSION = "mse"
OTHERS: dict[str, Model] = {REGRESSION: "denoiser", "svg": "svg", "svg-prime": "svg-prime"}  # models by squared error
Predicts = Literal["data", "velocity", "noise"]


@dataclass(frozen=True)
class Arm:
    """How a denoiser is trained; ``str`` gives the text that ``parse`` reads.

    Attributes:
        weight: of the loss over time, as in ``corrwise train --time-weight``; or a name of ``OTHERS``, which have no
            time: "mse" is regression by the same network.
        law: of the times, as in ``corrwise train --time-law``.
        predicts: the quantity in whose unit the network corrects a copy of the last frame.
    """

    weight: str
    law: str = "uniform"
    predicts: Predicts = "data"

    @classmethod
    def parse(cls, text: str) -> Arm:
        """Return the arm that ``WEIGHT``, ``WEIGHT@LAW`` or ``WEIGHT@LAW@PREDICTS`` names.

        Raises:
            ConfigError: more parts, an empty one, or no such quantity. Weight and law are read when models are made.
        """
        parts: list[Any] = text.split("@")
        check_that(
            len(parts) <= 3 and all(parts) and "/" not in text,
            f"expected arms as WEIGHT, WEIGHT@LAW or WEIGHT@LAW@PREDICTS, got {text!r}",
        )
        check_that(parts[0] not in OTHERS or len(parts) == 1, f"{parts[0]} has no time law, got {text!r}")
        kinds = get_args(Predicts)
        known = len(parts) < 3 or parts[2] in kinds
        check_that(known, f"expected {', '.join(kinds)} behind the second @ of an arm, got {text!r}")
        return cls(*parts)

    @property
    def samples_by_flow(self) -> bool:
        """Whether it is a denoiser trained by flow matching."""
        return self.weight not in OTHERS

    def __str__(self) -> str:
        if not self.samples_by_flow:
            return self.weight
        return "@".join([self.weight, self.law, *([] if self.predicts == "data" else [self.predicts])])


@validated
class FlowMatchingTableConfig(Parallel):
    """Train denoisers that differ in the loss's weight over time and the times' law; compare what they learned."""

    data: Path = Path("clips/cartpole")
    """Folder of clips to learn from, as corrwise collect writes them."""
    held: Path = Path("clips/held")
    """Folder of clips that no model is trained on."""
    out: Path = Path("runs/flow-matching")
    """Folder for models, rows, table.md and curves.png. The same command continues a run that was stopped."""
    arms: Annotated[tuple[str, ...], SEVERAL] = field(
        default=("velocity@uniform@velocity", "data", "flowfusion", "min-snr", REGRESSION),
        metadata=CHOOSES_ROWS,
    )
    """Weights over time and time laws, as WEIGHT@LAW: data, velocity, flowfusion, min-snr:gamma=5@logit-normal and so
    on; behind a second @ what the network predicts, data, velocity or noise. mse is the same network trained by
    regression, the baseline; svg-prime is its small size, trained as many steps. The first arm is what the others are
    compared with."""
    seeds: Lockstep = field(default=1, metadata=CHOOSES_ROWS)
    """Models of each arm."""
    actions: bool = True
    """Whether models see the clips' actions; --no-actions makes the future uncertain."""
    steps: Steps = 3000
    """Training steps of each model."""
    own_frames_after: Annotated[int, Range(0, 1_000_000_000)] = 2000
    """Steps given true contexts; in later ones frames are predicted from the model's own, also by regression."""
    batch: Count = 16
    """Windows in a step."""
    horizon: Horizon = 2
    """Frames that are predicted in a step, each from those before."""
    crop: Annotated[int, Range(0, 8192)] = 32
    """Side of the square, around what moves, that a step sees; 0 shows whole images."""
    lr: Rate = 1e-3
    """Learning rate of Adam."""
    options: tuple[str, ...] = SMALL["denoiser"]
    """Options of the denoiser, such as width=32."""
    nfe: Annotated[tuple[Horizon, ...], SEVERAL] = field(default=(1, 4), metadata=CHOOSES_ROWS)
    """Numbers of evaluations for a frame, with each of which futures are sampled."""
    sampling: Sampling = ()
    """How denoisers sample: solver, time_grid, temperature and correlation, as
    temperature=1.2 (docs/train_a_predictor.md)."""
    samples: Annotated[int, Range(2, 10_000)] = 8
    """Futures that are sampled of each window."""
    residuals: bool = False
    """Whether deterministic models are evaluated with their own residuals on the training clips added, too."""
    shown: Horizon = 8
    """Frames predicted there."""
    windows: Count = 100
    """Windows of the held-out clips on which models are evaluated."""
    device: Device = "cpu"
    """Where models are trained and evaluated: cpu or cuda."""
    precision: Precision = "auto"
    """Of training, as in corrwise train."""

    def __post_init__(self) -> None:
        """Refuse arms that cannot be read."""
        arms = tuple(str(Arm.parse(arm)) for arm in self.arms)
        check(len(set(arms)) == len(arms), "arms", "different from each other", " ".join(arms))
        object.__setattr__(self, "arms", arms)
        check(self.crop == 0 or self.crop >= 16, "crop", "0 or at least 16", self.crop)


def run(config: FlowMatchingTableConfig) -> Path:
    """Make the table, and return its path."""
    from corrwise.experiments.studies.flow_matching.table import run_flow_matching_table

    return run_flow_matching_table(config)
