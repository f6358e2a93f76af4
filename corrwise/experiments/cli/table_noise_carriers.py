"""``corrwise table noise-carriers``."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated

from corrwise.experiments.cli.options import CHOOSES_ROWS, SPEED_ONLY, Count, FlowName, Processes, Seed, check_memory
from corrwise.registry import CARRIER_PATHS
from corrwise.validation import SEVERAL, Names, Range, check, validated

NAME = "table noise-carriers"

PLANES = ("shift", "drift", "turn", "zoom")
SCENE = "scene"
MOTION_NAMES = (*PLANES, SCENE)


@validated
class NoiseCarrierTableConfig:
    """Measure what noise keeps when it is carried along a moving scene: variance, covariance, and the motion itself."""

    out: Path = Path("runs/noise-carriers")
    """Folder for rows, carriers.png and table.md. The same command continues a run that was stopped."""
    carriers: Annotated[tuple[Annotated[str, Names(tuple(CARRIER_PATHS))], ...], SEVERAL] = field(
        default=tuple(CARRIER_PATHS), metadata=CHOOSES_ROWS
    )
    """Noise carriers."""
    motions: tuple[Annotated[str, Names(MOTION_NAMES)], ...] = field(default=MOTION_NAMES, metadata=CHOOSES_ROWS)
    """What moves: a plane that is shifted by whole pixels, drifts by parts of pixels, turns or grows; or a drawn scene,
    a car before a street that moves the other way, with its exact flow."""
    flows: tuple[FlowName, ...] = field(default=("dis", "learned"), metadata=CHOOSES_ROWS)
    """Optical flows by which the drawn scene is followed as well; none follows the exact one alone."""
    seeds: Count = field(default=3, metadata=CHOOSES_ROWS)
    """Draws of the noise for each carrier and motion; seeds count from 0."""
    warps: Annotated[int, Range(1, 1000)] = 10
    """Frames after the first one; the last one's noise is measured."""
    size: Annotated[int, Range(16, 1024, " pixels")] = 64
    """Side of the frames."""
    channels: Annotated[int, Range(1, 10_000)] = 32
    """Channels of the noise; each is one more sample."""
    scene_seed: Seed = 0
    """Seed of the street that is drawn."""
    processes: Processes = field(default=1, metadata=SPEED_ONLY)
    """Processes, each with a thread; 0 is one for each core. Changes the speed, never the rows."""

    def __post_init__(self) -> None:
        """Refuse options that do not fit together."""
        for name in ("motions", "flows"):
            values = getattr(self, name)
            check(len(set(values)) == len(values), name, "different from each other", " ".join(values))
        check(bool(self.motions or self.flows), "motions", "at least one, or --flows with one", "none")
        check_memory((4 * 12 * self.channels + 40 * self.warps) * self.size**2, "--size, --channels or --warps")


def run(config: NoiseCarrierTableConfig) -> Path:
    """Make the table, and return its path."""
    from corrwise.experiments.studies.noise_carriers.table import run_noise_carrier_table

    return run_noise_carrier_table(config)
