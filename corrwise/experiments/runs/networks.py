"""Which network stands behind a cost: rows of two networks under one name could not be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from corrwise.costs import CorrespondenceWise
from corrwise.experiments.cli.cost import CONTROL_NAMES
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs.named_costs import make_distance
from corrwise.experiments.runs.settings import ConfigMismatch
from corrwise.experiments.studies.flows.candidates import fingerprint
from corrwise.types import Distance, Flow

__all__ = ["check_networks", "check_weights", "distances_of", "network_of"]

Row = dict[str, Any]


def network_of(distance: Distance | None) -> str | None:
    """Return what tells the network behind a distance from others; None for one without any."""
    return fingerprint(cast(Flow, distance.flow)) if isinstance(distance, CorrespondenceWise) else None


def distances_of(config: MPCConfig) -> dict[str, Distance | None]:
    """Return the distance behind each cost of a run; None for the controls.

    Raises:
        FileNotFoundError, RuntimeError, ValueError: if weights cannot be had or options make no sense.
    """
    return {cost: None if cost in CONTROL_NAMES else make_distance(cost) for cost in config.costs}


def check_networks(out: Path, rows: list[Row], networks: dict[str, str | None]) -> None:
    """Refuse to add rows to those that another network made.

    Raises:
        ConfigMismatch: the folder holds rows of a cost with another network behind it.
    """
    for row in rows:
        here = networks.get(row["cost"])
        if here and row.get("network", here) != here:
            raise ConfigMismatch(
                f"{out} holds rows of {row['cost']} made with network {row['network']}, and here is {here}; "
                "choose another output folder"
            )


def check_weights(out: Path, rows: list[Row], weights: str | None) -> None:
    """Refuse to add rows to those that another training of the predictor made.

    Raises:
        ConfigMismatch: the folder holds rows of a predictor with other weights.
    """
    for row in rows:
        if row.get("predictor_weights", weights) != weights:
            raise ConfigMismatch(
                f"{out} holds rows of predictor {row['predictor']} with weights {row['predictor_weights']}, and here "
                f"they are {weights}; choose another output folder"
            )
