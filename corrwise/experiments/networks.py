"""Which network stands behind a cost: rows of two networks under one name could not be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from corrwise.experiments.config import MPCConfig
from corrwise.experiments.config_match import ConfigMismatch
from corrwise.experiments.cost_config import CONTROL_NAMES, CostConfig
from corrwise.experiments.flow_candidates import fingerprint
from corrwise.experiments.named_costs import make_correspondence
from corrwise.types import Flow

__all__ = ["check_networks", "network_of", "networks_of"]

Row = dict[str, Any]


def network_of(cost: str, config: CostConfig) -> str | None:
    """Return what tells the network behind an image cost from others; None for a cost without one.

    Raises:
        FileNotFoundError, RuntimeError, ValueError: if weights cannot be had or options make no sense.
    """
    distance = make_correspondence(cost, config)
    return None if distance is None else fingerprint(cast(Flow, distance.flow))


def networks_of(config: MPCConfig) -> dict[str, str | None]:
    """Return ``network_of`` each cost of a run; None for the controls."""
    return {cost: None if cost in CONTROL_NAMES else network_of(cost, config.cost) for cost in config.costs}


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
