"""``corrwise table flows``."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal, get_args

from corrwise.costs.presets import NAMED_FLOWS
from corrwise.experiments.cli.options import BODY_NAMES, CHOOSES_ROWS, Count, Device, Horizon, Seed, check_memory
from corrwise.validation import SEVERAL, Names, Range, check, validated

NAME = "table flows"
COMPARED = (*NAMED_FLOWS, "exact")
BODIES = (*BODY_NAMES, "walker", "cheetah", "textures")  # no learned flow ever trained on the last three
Measure = Literal["errors", "curves", "speed"]


@validated
class FlowTableConfig:
    """Measure optical flows against the simulator's exact correspondence: errors, loss curves and speed."""

    out: Path = Path("runs/flows")
    """Folder for rows, table.md, curves.png and matches.png. The same command continues a run that was stopped."""
    flows: Annotated[tuple[Annotated[str, Names(COMPARED)], ...], SEVERAL] = field(
        default=COMPARED, metadata=CHOOSES_ROWS
    )
    """What to compare: all-pairs, rigid, dis, raft, zero, affine, homography, learned, tv-l1, and exact (the truth, in
    curves and figures only). A flow whose weights are not at hand is left out."""
    bodies: Annotated[tuple[Annotated[str, Names(BODIES)], ...], SEVERAL] = field(default=BODIES, metadata=CHOOSES_ROWS)
    """cartpole, ant, humanoid; walker, cheetah and painted textures, which no learned flow was trained on."""
    measures: Annotated[tuple[Measure, ...], SEVERAL] = field(default=get_args(Measure), metadata=CHOOSES_ROWS)
    """errors (endpoint errors), curves (loss against offset), speed (ms per symmetric pair, on the CPU and, where
    there is one, on a GPU)."""
    pairs: Count = 192
    """Pairs of images of each body behind an error; their seed is shared with no training."""
    episodes: Annotated[int, Range(2, 1_000_000)] = 24
    """Random episodes of each body to draw the pairs from."""
    images: Annotated[int, Range(2, 1_000_000)] = 16
    """Images of each body behind a curve."""
    reach: Annotated[int, Range(1, 8192)] = 32
    """Largest offset of a curve, pixels."""
    timed_pairs: Count = 144
    """Humanoid pairs in the batch that is timed."""
    repeats: Horizon = 7
    """Timings, of which the median counts."""
    retime: bool = field(default=False, metadata=CHOOSES_ROWS)
    """Measure the speed anew, also where the folder has it; the newest row counts."""
    size: Annotated[int, Range(32, 8192, " pixels")] = 64
    """Pixels to a side of the images."""
    seed: Seed = 0
    """Seed of the held-out states."""
    raft_weights: str = NAMED_FLOWS["raft"].options["weights"].default
    """RAFT flow: the name of torchvision's weights, which are downloaded once, or a local file."""
    learned_weights: str = NAMED_FLOWS["learned"].options["weights"].default
    """Learned flow: the name of shipped weights, or a file that corrwise train-flow wrote."""
    device: Device = "cpu"
    """Where flows are computed for errors and curves: cpu or cuda. The speed is always measured on both."""

    def __post_init__(self) -> None:
        """Refuse options that do not fit together."""
        pairs = 12 * (max(self.pairs, self.timed_pairs) + self.images * self.reach)
        check_memory(2 * pairs * self.size**2, "--size, --pairs, --timed-pairs or --images")
        check(self.reach < self.size, "reach", f"below the size of {self.size} pixels", self.reach)


def run(config: FlowTableConfig) -> Path:
    """Make the table, and return its path."""
    from corrwise.experiments.studies.flows.bench import run_flow_table

    return run_flow_table(config)
