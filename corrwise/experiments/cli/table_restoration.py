"""``corrwise table restoration``."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

from corrwise.costs.presets import NAMED_FLOWS
from corrwise.experiments.cli.mpc import run_name
from corrwise.experiments.cli.options import CHOOSES_ROWS, SPEED_ONLY, Count, FlowName, Processes, Seed
from corrwise.experiments.cli.restore import NOT_MOVED, RESAMPLE
from corrwise.registry import CARRIER_PATHS
from corrwise.validation import SEVERAL, Names, Range, check, check_that, validated

NAME = "table restoration"

GUIDANCE, DIRECT, COPIED = "+guidance", "+direct", "+copied"  # behind the name of a carrier
GROUND_TRUTH = "ground-truth"


def parts_of(arm: str) -> tuple[str, str]:
    """Return the noise carrier of an arm, and what it takes of the frame before: ``+guidance`` ... or ""."""
    carrier, plus, more = arm.partition("+")
    return carrier, plus + more


def noises_of(arm: str) -> tuple[str, ...]:
    """Return the noise of the models that an arm's carrier is for."""
    carrier, _ = parts_of(arm)
    return ("gp", "white") if carrier in NOT_MOVED else ("gp",) if carrier == "gp" else ("white",)


def _takes_more(arm: str) -> bool:
    carrier, more = parts_of(arm)
    return more in (GUIDANCE, DIRECT, COPIED) and carrier in CARRIER_PATHS


_MORE = f"one of them with {GUIDANCE}, {DIRECT} or {COPIED}, as gp{GUIDANCE}"


@validated
class RestorationTableConfig:
    """Compare noise carriers, with and without guidance, on held-out videos that are damaged and restored."""

    models: tuple[Path, ...] = field(default=(), metadata=CHOOSES_ROWS)
    """Folders of runs of corrwise train --objective restore with Gaussian-process noise, one for each seed."""
    white_models: tuple[Path, ...] = field(default=(), metadata=CHOOSES_ROWS)
    """The same of white noise."""
    data: Path = Path("clips/held")
    """Folder of clips that no model was trained on, as corrwise collect or corrwise import write them; or a dataset as
    in corrwise train."""
    out: Path = Path("runs/restoration")
    """Folder for rows, strips, table.md and frames.png. The same command continues a run that was stopped."""
    motion: Literal["shift", "video"] = "shift"
    """shift makes each video of one frame of a clip: a crop that moves by whole pixels; its maps are exact. video takes
    the frames of the clips."""
    carriers: Annotated[tuple[Annotated[str, Names(tuple(CARRIER_PATHS), _MORE, _takes_more)], ...], SEVERAL] = field(
        default=(*CARRIER_PATHS, f"gp{GUIDANCE}", f"gp{DIRECT}", f"{RESAMPLE}{COPIED}"), metadata=CHOOSES_ROWS
    )
    """Noise carriers, with +guidance behind the name of those whose frames are guided by the one before, +direct of
    those whose predictions are pulled themselves, without the network's derivative, and +copied of those whose frames
    take from it all pixels that are still visible: a control without which consistency alone tells nothing. gp has the
    models of Gaussian-process noise, nearest, bilinear and discrete those of white noise, fixed and resample all."""
    flows: Annotated[tuple[Annotated[str, Names((GROUND_TRUTH, *NAMED_FLOWS))], ...], SEVERAL] = field(
        default=(GROUND_TRUTH, "dis"), metadata=CHOOSES_ROWS
    )
    """By which scenes are followed: ground-truth (the shift, or the simulator's flow, on collected clips alone) or
    optical flows."""
    flow_of: Literal["guesses", "truth"] = "guesses"
    """What optical flows are estimated between: first guesses of the damaged frames, which a user has, or the true
    frames."""
    passes: Annotated[int, Range(1, 100)] = 1
    """How often a video is restored; from the second time on optical flows are estimated between the frames that the
    pass before has restored."""
    flow_order: Literal["forward", "shuffled"] = "forward"
    """shuffled is a control: the motion of each pair of frames is that of another pair of the same video."""
    flow_error: Annotated[float, Range(0, 1000)] = 0.0
    """Pixels, in a random direction for each pair of frames, by which flow is wrong."""
    measure_flow: FlowName = "dis"
    """Optical flow between true frames along which warping errors are measured where there is no ground truth."""
    damage: str = "random:share=0.4"
    """What happens to the videos, as in corrwise train: random:share=0.4, box:share=0.25, downscale:factor=4 ..."""
    masks: Literal["frame", "video", "scene"] = "frame"
    """Whether missing pixels are drawn for each frame, for each video, or move with the scene of a shift."""
    exact: bool = True
    """Whether known pixels stay as they are observed."""
    evaluations: Annotated[int, Range(1, 10_000)] | None = None
    """Evaluations of the network for a frame; none is each model's own number."""
    strength: Annotated[float, Range(0, 1_000_000)] = 1.0
    """Strength of guidance (lambda)."""
    normalised: Literal["root", "none"] = "root"
    """Whether the gradient of guidance is divided by the root of the error."""
    frames: Annotated[int, Range(2, 100_000)] = 16
    """Frames of a video."""
    videos: Count = field(default=12, metadata=CHOOSES_ROWS)
    """Videos, the same for all carriers; clips take turns."""
    crop: Annotated[int, Range(8, 8192)] = 48
    """Side of the crop of a shift video."""
    speed: Annotated[int, Range(1, 1000)] = 2
    """Most pixels to a side by which a crop moves in a frame; each frame has another motion."""
    seed: Seed = 0
    """Seed of the videos, of their damage and of the noise."""
    shown: Annotated[int, Range(0, 1000)] = field(default=1, metadata=SPEED_ONLY)
    """Videos whose restored frames are kept as strips; the first one is drawn."""
    processes: Processes = field(default=1, metadata=SPEED_ONLY)
    """Processes, each with a thread; 0 is one for each core. Changes the speed, never the rows."""

    def __post_init__(self) -> None:
        """Refuse options that do not fit together."""
        for name in ("carriers", "flows"):
            values = getattr(self, name)
            check(len(set(values)) == len(values), name, "different from each other", " ".join(values))
        folders = [run_name(path) for path in (*self.models, *self.white_models)]
        check(bool(folders), "models", "at least one, or --white-models with one", "none")
        check(len(set(folders)) == len(folders), "models", "folders of different names", " ".join(folders))
        for arm in self.carriers:
            option = {"gp": "models", "white": "white_models"}
            given = [bool(getattr(self, option[noise])) for noise in noises_of(arm)]
            check(any(given), option[noises_of(arm)[0]], f"at least one for {arm}", "none")
        shift = self.motion == "shift"
        check(shift or self.masks != "scene", "masks", "frame or video with --motion video", self.masks)
        several = self.passes > 1  # with ground truth, or flow between true frames, they would all be the same
        estimated = any(flow != GROUND_TRUTH for flow in self.flows)
        check_that(not several or estimated, f"--passes estimate a flow again: give --flows other than {GROUND_TRUTH}")
        check_that(not several or self.flow_of == "guesses", "--passes leave no flow of true frames: give no --flow-of")
        check(self.flow_order == "forward" or self.frames > 2, "frames", "at least 3 with shuffled flow", self.frames)


def run(config: RestorationTableConfig) -> Path:
    """Make the table, and return its path."""
    from corrwise.experiments.studies.restoration.table import run_restoration_table

    return run_restoration_table(config)
