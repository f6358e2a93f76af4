"""``corrwise evaluate``."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated

from corrwise.costs.presets import DEFAULT_FLOW
from corrwise.experiments.cli.mpc import INTERPOLATOR_NAMES, INTERPOLATORS
from corrwise.experiments.cli.options import (
    CHOOSES_ROWS,
    SPEED_ONLY,
    Accelerator,
    Count,
    FlowName,
    Horizon,
    Sampling,
    Seed,
)
from corrwise.validation import SEVERAL, Names, Range, check, check_that, validated

NAME = "evaluate"

_VBENCH_FPS = 8  # frames a second that the dynamic degree is defined for


@validated
class EvaluateConfig:
    """Evaluate trained video predictors beside the baseline that nothing moves: numbers, curves and videos."""

    models: Annotated[tuple[Path, ...], SEVERAL] = field(metadata=CHOOSES_ROWS)
    """Folders of runs of corrwise train, or of their models."""
    data: Path
    """Folder of clips that no model was trained on."""
    out: Path = Path("runs/evaluate")
    """Folder for rows, table.md, curves.png, strips.png, videos and evaluation.html or, with --motion, motion.html."""
    horizon: Horizon = 10
    """Frames that are predicted, each from those before. Of a model that was trained with --stride, frames within a
    stride are interpolated, so that all models make the same frames."""
    nfe: Horizon | None = None
    """Evaluations of each denoiser's network for a predicted frame, at most; without it the models' own numbers."""
    sampling: Sampling = ()
    """How denoisers sample, other than they state themselves: solver, time_grid, temperature and correlation, as
    temperature=1.2 (docs/train_a_predictor.md)."""
    stride_interpolator: Annotated[str, Names(INTERPOLATOR_NAMES)] = "blend"
    """Makes the frames within a stride: blend, half-flow or average."""
    windows: Count = 100
    """Windows of the clips, drawn at random."""
    videos: Annotated[int, Range(0, 100_000)] = field(default=6, metadata=SPEED_ONLY)
    """Windows that are shown as videos."""
    seed: Seed = 0
    """Seed of the windows and of the futures."""
    samples: Annotated[int, Range(0, 100_000)] = 0
    """Futures that are drawn of each window, 2 or more: the energy score over the horizon, the best of them, and their
    spread against the error of their mean. 0 draws none."""
    residuals: Path | None = None
    """Folder of other clips: deterministic models are also evaluated with their own residuals on these added, as a
    baseline of the models that draw. It needs --samples."""
    motion: bool = False
    """Measure instead how the futures of --samples move: smoothness, dynamic degree, and how far the distributions of
    flow lengths and accelerations are from those of the true frames. Writes motion.html (docs/motion.md)."""
    motion_flow: FlowName = DEFAULT_FLOW
    """Flow between consecutive frames that --motion measures with; tv-l1 for natural video (docs/motion.md)."""
    motion_interpolator: Annotated[str, INTERPOLATORS] = "half-flow"
    """Makes every second frame again for the smoothness of --motion: blend, half-flow or average, with options as
    half-flow:flow=dis; or the folder of a trained one. VBench takes AMT-S."""
    fps: Annotated[int, Range(0, 1000)] = 0
    """Frames of the clips in a second: the dynamic degree of --motion then keeps about 8 of them a second, as VBench
    does. 0 keeps all frames."""
    losses: Path | None = field(default=None, metadata=SPEED_ONLY)
    """Folder of corrwise table flow-matching that trained the models: --motion then also shows the rank correlation of
    their held-out loss with each measure of motion."""
    blind: Annotated[int, Range(0, 1000)] = field(default=0, metadata=SPEED_ONLY)
    """Pairs of videos for each comparison with the first model on a page for people, blind.html of --motion, which
    hides the models' names. corrwise blind evaluates the answers. 0 writes none."""
    batch: Count = field(default=20, metadata=SPEED_ONLY)
    """Windows that are predicted at a time; bounds the memory."""
    device: Accelerator = field(default="auto", metadata=SPEED_ONLY)
    """auto (a GPU when there is one), cpu or cuda."""

    def __post_init__(self) -> None:
        check(self.samples != 1, "samples", "0, or 2 or more", self.samples)
        check_that(self.residuals is None or self.samples > 0, "--residuals are added to futures: give --samples, too")
        check_that(not self.motion or self.samples > 0, "--motion is that of futures: give --samples, too")
        check_that(not self.motion or self.horizon > 1, "--motion needs a --horizon of at least 2")
        check_that(not self.motion or self.residuals is None, "--residuals do not move: leave them out with --motion")
        given = [f"--{name}" for name in ("losses", "blind") if getattr(self, name)]
        check_that(self.blind <= self.windows, f"--blind shows a window once: at most --windows {self.windows}")
        check(self.motion_flow != "zero", "motion_flow", "a flow that sees motion", self.motion_flow)
        check_that(self.motion or not given, f"{' and '.join(given)} need{'' if given[1:] else 's'} --motion")
        wanted = f"--fps {self.fps:g} keeps one of {self.every_frame} frames: give a --horizon of at least as many"
        check_that(not self.motion or self.every_frame <= self.horizon, wanted)

    @property
    def every_frame(self) -> int:
        """Frames from one to the next of those that the dynamic degree is measured on."""
        return max(1, round(self.fps / _VBENCH_FPS))


def run(config: EvaluateConfig) -> Path:
    """Evaluate the models, and return the path of the page."""
    if config.motion:
        from corrwise.experiments.studies.motion.run import run_motion

        return run_motion(config)
    from corrwise.experiments.studies.predictors.evaluate import run_evaluate

    return run_evaluate(config)
