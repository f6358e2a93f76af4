"""``corrwise table time-weights``."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

from corrwise.experiments.cli.options import (
    CHOOSES_ROWS,
    SPEED_ONLY,
    Count,
    Processes,
    Seed,
    Steps,
    canonical_costs,
    check_memory,
    spec_of,
)
from corrwise.validation import SEVERAL, Names, Range, check, validated

NAME = "table time-weights"

CASE_NAMES = (
    *("flow-matching/cond-ot", "flow-matching/cosine", "flow-matching/vp", "flow-matching/polynomial"),
    *("diffusion", "circle"),
    *("squared/data", "squared/residual", "squared/gated", "kl/data", "kl/gated"),
    *("itakura-saito/data", "itakura-saito/gated", "log-cosh/data", "log-cosh/gated"),
    *("logistic/data", "exponential/residual", "kl-by-state/data", "matrix-field/data"),
    *("cross-entropy", "jump/rates", "jump/multipliers", "edit-flow"),
)
CONTROL_CASES = ("squared/weight-of-endpoint", "absolute-error/data", "squared/small-model", "edit-flow/log-only")
_ALL = (*CASE_NAMES, *CONTROL_CASES)


@validated
class TimeWeightTableConfig:
    """Check by exact sums which weights of the loss over time leave a generative model's minimiser where it is."""

    out: Path = Path("runs/time-weights")
    """Folder for rows, images, table.md and figures. The same command continues a run that was stopped."""
    cases: tuple[Annotated[str, Names(_ALL)], ...] = field(default=_ALL, metadata=CHOOSES_ROWS)
    """Generators and losses, and the controls on which the checks must fail; none makes the images alone."""
    weights: tuple[str, ...] = field(default=(), metadata=CHOOSES_ROWS)
    """Weights of the loss over time with options, such as min-snr:gamma=5; none is one of each."""
    laws: tuple[str, ...] = field(default=(), metadata=CHOOSES_ROWS)
    """Laws of the time with options, such as logit-normal:mean=0; none is one of each."""
    times: Annotated[int, Range(2, 1000)] = 12
    """Nodes of the Gauss-Legendre rule over t, from 0.001 to 0.999: weights may be zero or infinite at 0 and 1."""
    hidden: Annotated[int, Range(1, 1024)] = 16
    """Width of the two hidden layers of the network whose gradients are compared."""
    seed: Seed = 0
    """Seed of the network's weights, and first seed of the noise in the images."""
    costs: tuple[str, ...] = field(
        default=("mse", "l1", "ssim", "corr-mse:flow=dis", "corr-l1:flow=dis", "corr-l1"), metadata=CHOOSES_ROWS
    )
    """Costs whose expectation over the posterior of a scene is minimised, as in corrwise mpc; none makes no images."""
    image_times: Annotated[tuple[Annotated[float, Range(0, 1, open="both")], ...], SEVERAL] = field(
        default=(0.1, 0.2, 0.3, 0.4), metadata=CHOOSES_ROWS
    )
    """Times at which a noisy scene is given."""
    draws: Count = 2
    """Noisy scenes at each of these times."""
    steps: Steps = 100
    """Optimiser steps of a minimising image, from each of its three starts."""
    height: Annotated[int, Range(16, 8192, " pixels")] = 32
    """Height of the scene in pixels, a multiple of 8."""
    width: Annotated[int, Range(16, 8192, " pixels")] = 64
    """Width of the scene in pixels, a multiple of 8."""
    offset_range: Annotated[float, Range(0, 1, open="low")] = 0.25
    """Width of the range of the object's positions, as a share of the image's width."""
    background: Literal["street", "city"] = "street"
    """What is behind the object."""
    processes: Processes = field(default=1, metadata=SPEED_ONLY)
    """Processes, each with a thread; 0 is one for each core. Changes the speed, never the rows."""

    def __post_init__(self) -> None:
        """Refuse options that do not fit together."""
        object.__setattr__(self, "costs", canonical_costs("costs", self.costs, controls=()))
        for name in ("cases", "weights", "laws"):
            values = getattr(self, name)
            check(len(set(values)) == len(values), name, "different from each other", " ".join(values))
        check(bool(self.cases or self.costs), "cases", "at least one, or --costs with one", "none")
        for name in ("height", "width"):
            check(getattr(self, name) % 8 == 0, name, "a multiple of 8 pixels", getattr(self, name))
            for cost in self.costs:
                least = spec.smallest if (spec := spec_of(cost)) else 1
                wanted = f"at least {least} pixels for cost {cost}"
                check(getattr(self, name) >= least, name, wanted, getattr(self, name))
        scenes = round(self.offset_range * self.width) + 1
        # Four bytes a number, with the activations of a flow network over all scenes at once.
        check_memory(4 * 40 * 16 * self.height * self.width * scenes if self.costs else 0, "--height or --width")


def run(config: TimeWeightTableConfig) -> Path:
    """Make the table, and return its path."""
    from corrwise.experiments.studies.time_weights.table import run_time_weight_table

    return run_time_weight_table(config)
