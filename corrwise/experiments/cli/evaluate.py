"""Options of ``corrwise evaluate``; free of torch, so that help and argument errors come at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from corrwise.experiments.cli.checks import check, check_name
from corrwise.experiments.cli.marks import CHOOSES_ROWS, SPEED_ONLY
from corrwise.experiments.cli.sizes import check_counts
from corrwise.experiments.cli.train import ACCELERATOR_NAMES


@dataclass(frozen=True)
class EvaluateConfig:
    """Say what trained video predictors are worth, beside the floor that nothing moves: numbers, curves and videos."""

    models: tuple[Path, ...] = field(metadata=CHOOSES_ROWS)
    """Folders of runs of corrwise train, or of their models."""
    data: Path
    """Folder of clips that no model was trained on."""
    out: Path = Path("runs/evaluate")
    """Folder for rows, table.md, curves.png, strips.png, videos and evaluation.html."""
    horizon: int = 10
    """Frames that are predicted, each from those before."""
    windows: int = 100
    """Windows of the clips, drawn at random."""
    videos: int = field(default=6, metadata=SPEED_ONLY)
    """Windows that are shown as videos."""
    seed: int = 0
    """Seed of the windows."""
    batch: int = field(default=20, metadata=SPEED_ONLY)
    """Windows that are predicted at a time; bounds the memory."""
    accelerator: str = field(default="auto", metadata=SPEED_ONLY)
    """auto (a GPU when there is one), cpu or cuda."""

    def __post_init__(self) -> None:
        """Refuse what makes no table."""
        check(len(self.models) > 0, "models", "at least one folder", "none")
        check_name("accelerator", self.accelerator, ACCELERATOR_NAMES)
        check_counts(self, "horizon", "windows", "batch")
        check_counts(self, "videos", least=0)
        check(0 <= self.seed < 2**31, "seed", "zero or above and below 2^31", self.seed)
