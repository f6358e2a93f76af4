"""Where a training run computes: a CPU, a GPU, or the processes of torchrun, through Lightning Fabric."""

from __future__ import annotations

import os
from typing import Any

import torch

from corrwise.experiments.options.train import TrainConfig

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
    if config.accelerator == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("accelerator cuda is asked for, and torch finds no GPU here; leave it auto or say cpu")
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun says so
    machines = int(os.environ.get("GROUP_WORLD_SIZE", "1"))
    fabric = Fabric(
        accelerator="cuda" if _on_gpu(config) else "cpu", devices=processes, num_nodes=machines,
        precision=precision_of(config),
    )  # fmt: skip
    fabric.launch()
    return fabric


def _on_gpu(config: TrainConfig) -> bool:
    return config.accelerator != "cpu" and torch.cuda.is_available()


def precision_of(config: TrainConfig) -> Any:
    """Return what Fabric calls the precision of a run."""
    return ("bf16-mixed" if _on_gpu(config) else "32-true") if config.precision == "auto" else config.precision
