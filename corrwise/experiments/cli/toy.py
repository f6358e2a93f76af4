"""``corrwise toy``."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

from corrwise.experiments.cli.options import (
    CHOOSES_ROWS,
    SPEED_ONLY,
    Count,
    Device,
    Processes,
    Seed,
    Steps,
    canonical_costs,
    check_memory,
    spec_of,
)
from corrwise.validation import Range, check, validated

NAME = "toy"

Side = Annotated[int, Range(16, 8192, " pixels")]
Share = Annotated[float, Range(0, 1)]


@validated
class ToyConfig:
    """Find the image that minimises the expected cost where an object's place is uncertain; costs against offsets."""

    out: Path = Path("runs/toy")
    """Folder for rows, images, averages.png, table.md and, with --curves, curves.png. The same command continues a run
    that was stopped."""
    costs: tuple[str, ...] = field(
        default=("l1", "corr-l1:flow=dis", "mse", "corr-mse:flow=dis"), metadata=CHOOSES_ROWS
    )
    """Costs whose average images are made, as in corrwise mpc; none makes curves alone."""
    curves: tuple[str, ...] = field(default=(), metadata=CHOOSES_ROWS)
    """Costs that are measured between the object at its place and at offsets, over many backgrounds."""
    seeds: Annotated[int, Range(1, 1000)] = field(default=1, metadata=CHOOSES_ROWS)
    """Average images of each cost; seeds count from 0 and decide weights, noise and the order of the offsets."""
    object: str = "car"
    """car, present, or an image file with an alpha channel."""
    background: str = "street"
    """street, city, or an image file, whose middle is used."""
    scene_seed: Seed = 0
    """Seed of backgrounds that are drawn at random."""
    height: Side = 64
    """Height of the images in pixels, a multiple of 8."""
    width: Side = 128
    """Width of the images in pixels, a multiple of 8."""
    object_height: Annotated[float, Range(0, 1, open="low")] = 0.33
    """Height of the object as a share of the images' height."""
    vertical: Share = 0.7
    """Where the object is, from 0 at the upper end to 1 at the lower end."""
    offset_range: Share = 0.2
    """Width of the range of positions, about the centre, as a share of the images' width; 0.2 and 0.3 in the paper."""
    steps: Steps = 2000
    """Optimiser steps of an average image; 10000 in the paper."""
    warm_start: Annotated[int, Range(0, 1_000_000_000)] = 0
    """How many of them, at the beginning, use the cost's base distance between pixels at the same place. The paper has
    none; flows of little reach match a first guess better than noise, and fewer steps are then enough."""
    batch: Count = 4
    """Scenes in a step."""
    image: Literal["network", "pixels"] = "network"
    """What is optimised: network, the weights of a network whose input is fixed noise (the paper's); or pixels, from
    the mean of all scenes on, in a tenth of the time."""
    lr: Annotated[float, Range(0, 1, open="low")] | None = None
    """Learning rate of Adam; none is 2e-4 for a network, as in the paper, and 0.03 for pixels, where it falls to zero
    along a cosine."""
    channels: Annotated[int, Range(1, 1024)] = 16
    """Channels of the network's first convolution; 64 in the paper."""
    curve_backgrounds: Annotated[int, Range(2, 1_000_000)] = 32
    """Backgrounds of a curve."""
    curve_folder: Path | None = None
    """Folder of images to take these backgrounds from, by name; none draws streets."""
    curve_reach: Annotated[int, Range(1, 8192)] = 24
    """Largest offset of a curve, in pixels."""
    processes: Processes = field(default=1, metadata=SPEED_ONLY)
    """Processes, each with a thread; 0 is one for each core. Changes the speed, never the rows."""
    device: Device = "cpu"
    """Where images are optimised and costs computed: cpu or cuda."""

    def __post_init__(self) -> None:
        """Refuse options that do not fit together."""
        for name in ("costs", "curves"):
            object.__setattr__(self, name, canonical_costs(name, getattr(self, name), controls=()))
        check(bool(self.costs or self.curves), "costs", "at least one, or --curves with one", "none")
        for cost in (*self.costs, *self.curves):
            least = spec.smallest if (spec := spec_of(cost)) else 1
            wanted = f"at least {least} pixels for cost {cost}"
            for name in ("height", "width"):
                check(getattr(self, name) >= least, name, wanted, getattr(self, name))
        for name in ("height", "width"):
            check(getattr(self, name) % 8 == 0, name, "a multiple of 8 pixels", getattr(self, name))
        check(self.curve_reach < self.width, "curve_reach", f"below the width of {self.width}", self.curve_reach)
        check(self.warm_start < self.steps, "warm_start", f"below the {self.steps} steps", self.warm_start)
        positions = round(self.offset_range * self.width) + 1
        activations = 40 * self.channels * self.height * self.width
        scenes = 12 * self.height * self.width * max(positions, self.batch)
        curves = 12 * self.height * self.width * self.curve_backgrounds if self.curves else 0
        check_memory(activations + scenes + curves, "--height, --width, --batch, --channels or --curve-backgrounds")


def run(config: ToyConfig) -> Path:
    """Make the images and curves, and return the table's path."""
    from corrwise.experiments.studies.toy.table import run_toy

    return run_toy(config)
