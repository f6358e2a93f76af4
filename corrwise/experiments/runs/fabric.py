"""Where a training run computes: a CPU, a GPU, or the processes of torchrun, through Lightning Fabric."""

from __future__ import annotations

import os
from typing import Any

from corrwise.experiments.cli.train import TrainConfig
from corrwise.experiments.runs.device import device_named

__all__ = ["make_fabric", "precision_of"]


def make_fabric(config: TrainConfig) -> Any:
    """Return the Fabric of this process, launched.

    Raises:
        RuntimeError: lightning-fabric is not installed, or a GPU is asked for and there is none.
    """
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise RuntimeError("training needs lightning-fabric: pip install 'corrwise[train]'") from error
    device = device_named(config.accelerator, option="accelerator")
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun says so
    machines = int(os.environ.get("GROUP_WORLD_SIZE", "1"))
    fabric = Fabric(
        accelerator=device, devices=processes, num_nodes=machines,
        precision=precision_of(config),
    )  # fmt: skip
    fabric.launch()
    return fabric


def precision_of(config: TrainConfig) -> Any:
    """Return what Fabric calls the precision of a run."""
    if config.precision != "auto":
        return config.precision
    return "bf16-mixed" if device_named(config.accelerator, option="accelerator") == "cuda" else "32-true"
