"""Settings of training runs, and the optimiser, learning rate schedule and weight average of each network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

__all__ = ["Learner", "Learning", "TrainerConfig", "averaged"]

_WARM = 0.05  # share of the steps in which a one-cycle schedule raises the rate


@dataclass(frozen=True)
class Learning:
    """The training settings of one network.

    Attributes:
        lr: learning rate; with a schedule, its maximum.
        optimizer: adam, adamw or rmsprop.
        betas: decays of Adam's moments; RMSProp uses the second one.
        weight_decay: of the optimiser.
        schedule: constant, or one-cycle over all steps in which the network learns.
        max_grad_norm: largest norm of the network's gradient, which is clipped to it.
        ema: decay of the exponential moving average of the weights; 0 for no average.
    """

    lr: float = 2e-4
    optimizer: Literal["adam", "adamw", "rmsprop"] = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    schedule: Literal["constant", "one-cycle"] = "constant"
    max_grad_norm: float = 1.0
    ema: float = 0.0


@dataclass(frozen=True)
class TrainerConfig:
    """The settings of a training run.

    Attributes:
        out: folder of the checkpoint and of ``logs``.
        steps: of all phases together.
        learning: of all networks, or of each by name.
        seed: of the objective's draws.
        checkpoint_every: steps between checkpoints.
        device: "cpu" or "cuda". Under torchrun every process takes part.
        precision: "32-true" or "bf16-mixed".
    """

    out: Path
    steps: int
    learning: Learning | Mapping[str, Learning]
    seed: int = 0
    checkpoint_every: int = 500
    device: str = "cpu"
    precision: str = "32-true"

    def of(self, network: str) -> Learning:
        """Return the settings of a network.

        Raises:
            ValueError: ``learning`` has none for it.
        """
        if isinstance(self.learning, Learning):
            return self.learning
        if network not in self.learning:
            raise ValueError(f"expected how {network!r} learns, got that of {sorted(self.learning)}")
        return self.learning[network]


class Learner:
    """A network in training.

    Args:
        network: the network.
        learning: its settings.
        steps: number of steps in which it learns.

    Attributes:
        network: the network.
        weights: its parameters that learn.
        optimizer: of the weights.
        schedule: of the learning rate; None for a constant one.
        average: the moving average of weights and buffers; None without one.
    """

    def __init__(self, network: nn.Module, learning: Learning, steps: int) -> None:
        self.network = network
        self.weights = [each for each in network.parameters() if each.requires_grad]
        self.optimizer = _optimizer(learning, self.weights)
        self.schedule: Any = None
        if learning.schedule == "one-cycle":
            self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, learning.lr, steps + 1, pct_start=_WARM)
        self.average: AveragedModel | None = None
        if learning.ema:
            follow = partial(averaged, most=learning.ema)
            self.average = AveragedModel(network, multi_avg_fn=follow, use_buffers=True)

    def after_step(self) -> None:
        """Update the learning rate and the average after a step of the optimiser."""
        if self.schedule is not None:
            self.schedule.step()
        if self.average is not None:
            self.average.update_parameters(self.network)


def _optimizer(learning: Learning, weights: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    if learning.optimizer == "rmsprop":
        decay = learning.betas[1]
        return torch.optim.RMSprop(weights, lr=learning.lr, alpha=decay, weight_decay=learning.weight_decay)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[learning.optimizer]
    return kind(weights, lr=learning.lr, betas=learning.betas, weight_decay=learning.weight_decay)


@torch.no_grad()
def averaged(kept: Sequence[Tensor], current: Sequence[Tensor], steps: Tensor, *, most: float) -> None:
    """Move an average towards new weights. The decay begins small, so that the initial weights soon count little."""
    decay = min(most, (1 + int(steps)) / (10 + int(steps)))
    for each, new in zip(kept, current, strict=True):
        if each.is_floating_point():
            each.lerp_(new.to(each), 1 - decay)
        else:
            each.copy_(new)
