"""How one network learns: its optimiser, the schedule of its learning rate, and the average of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

__all__ = ["Learning", "averaged", "make_average", "make_optimizer", "make_schedule"]

_WARM = 0.05  # share of the steps in which the rate of a one-cycle schedule rises


@dataclass(frozen=True)
class Learning:
    """How one network learns.

    Attributes:
        lr: learning rate; the largest one of a schedule.
        optimizer: adam, adamw or rmsprop.
        betas: decays of Adam's moments; of the second one RMSProp uses.
        weight_decay: of the optimiser.
        schedule: constant, or one-cycle over all steps in which the network learns.
        max_grad_norm: the network's gradient is scaled down to this norm.
        ema: decay of the exponential moving average of the weights; 0 keeps none.
    """

    lr: float = 2e-4
    optimizer: Literal["adam", "adamw", "rmsprop"] = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    schedule: Literal["constant", "one-cycle"] = "constant"
    max_grad_norm: float = 1.0
    ema: float = 0.0


def make_optimizer(learning: Learning, weights: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    """Return the optimiser of a network's weights."""
    if learning.optimizer == "rmsprop":
        decay = learning.betas[1]
        return torch.optim.RMSprop(weights, lr=learning.lr, alpha=decay, weight_decay=learning.weight_decay)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[learning.optimizer]
    return kind(weights, lr=learning.lr, betas=learning.betas, weight_decay=learning.weight_decay)


def make_schedule(optimizer: torch.optim.Optimizer, learning: Learning, steps: int) -> Any:
    """Return what raises the rate to its largest and lowers it again over all steps of a network."""
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, learning.lr, steps + 1, pct_start=_WARM)


def make_average(network: nn.Module, decay: float) -> AveragedModel:
    """Return a copy of a network that follows its weights and its buffers."""
    return AveragedModel(network, multi_avg_fn=partial(averaged, most=decay), use_buffers=True)


@torch.no_grad()
def averaged(kept: Sequence[Tensor], current: Sequence[Tensor], steps: Tensor, *, most: float) -> None:
    """Move an average towards new weights, faster at first: else the first weights would count for a thousand steps."""
    decay = min(most, (1 + int(steps)) / (10 + int(steps)))
    for each, new in zip(kept, current, strict=True):
        if each.is_floating_point():
            each.lerp_(new.to(each), 1 - decay)
        else:
            each.copy_(new)
