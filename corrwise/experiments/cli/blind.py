"""``corrwise blind``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from corrwise.validation import SEVERAL, validated

NAME = "blind"


@validated
class BlindConfig:
    """Report which videos people preferred on a page of corrwise evaluate --motion --blind, with intervals."""

    answers: tyro.conf.Positional[Annotated[tuple[Path, ...], SEVERAL]]
    """Files that the page let people download, one for each person."""
    key: Path = Path("runs/evaluate/blind-key.json")
    """What each pair of videos shows: the file beside the page."""


def run(config: BlindConfig) -> int:
    """Print a line for each comparison, and return the exit status."""
    from corrwise.experiments.studies.motion.blind import preferences

    print(preferences(config.key, config.answers))
    return 0
