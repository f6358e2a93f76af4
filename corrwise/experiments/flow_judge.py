"""Judge a flow net on pairs that it never trained on: other states, other bodies, other textures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from corrwise.costs.flow._places import differing
from corrwise.costs.flow.flow_net import FlowNet
from corrwise.envs import TASKS
from corrwise.experiments.degrade import degraded
from corrwise.experiments.flow_bodies import HELD_OUT, make_pool, suite_task
from corrwise.experiments.flow_layers import painted
from corrwise.experiments.flow_loss import BANDS, endpoint_errors
from corrwise.experiments.flow_pairs import BodyPairs, Pairs
from corrwise.experiments.train_flow_config import TrainFlowConfig

__all__ = ["Judge", "held_out_pairs"]

_SEED = 2**31  # training seeds lie below it, so no state here was ever drawn there
_EPISODES = 24
_CHUNK = 32

Row = dict[str, Any]


class Judge:
    """``judge(net, device)`` returns errors on visible pixels of moving bodies, by body.

    Each row holds the mean endpoint error in pixels for displacements of 0-2, 2-8, 8-32 and 0-8 px, the same on
    degraded pairs (y blurred, ghosted, noisy or tinted), and the error's mean share of the displacement for 8-32 px.
    """

    def __init__(self, config: TrainFlowConfig, *, held_out: bool) -> None:
        rng = np.random.default_rng(_SEED)
        self._pairs = held_out_pairs(config.judged, config.size, rng, others=held_out)
        self._degraded = {
            name: Pairs(
                pairs.x, degraded(pairs.y, pairs.y.roll(1, 0), rng), pairs.flow_xy, pairs.flow_yx, pairs.seen_xy,
                pairs.seen_yx,
            )
            for name, pairs in self._pairs.items()
        }  # fmt: skip

    def __call__(self, net: FlowNet, device: torch.device) -> dict[str, Row]:
        """Return one row of errors for each body."""
        net.eval()
        rows = {}
        for name, pairs in self._pairs.items():
            spoilt = _errors(net, self._degraded[name], device)
            rows[name] = _errors(net, pairs, device) | {f"degraded_{key}": spoilt[key] for key in spoilt}
        net.train()
        return rows


def held_out_pairs(n: int, size: int, rng: np.random.Generator, *, others: bool) -> dict[str, Pairs]:
    """Return n pairs of each of the three tasks and, with ``others``, of bodies and textures never trained on."""
    tasks = [*TASKS.values(), *([suite_task(name, rng) for name in HELD_OUT] if others else [])]
    pools = {task.name: make_pool(task, episodes=_EPISODES, size=size, rng=rng) for task in tasks}
    pairs = {name: BodyPairs(pool).sample(n, rng) for name, pool in pools.items()}
    if others:
        pairs["checked textures"] = Pairs(*painted(n, size, rng, checked=True))
    return pairs


@torch.no_grad()
def _errors(net: FlowNet, pairs: Pairs, device: torch.device) -> Row:
    flows = []
    for x, y in zip(pairs.x.split(_CHUNK), pairs.y.split(_CHUNK), strict=True):
        x, y = x.to(device), y.to(device)
        flows.append(net(x, y, differing(x, y, threshold=0.01, reach=1)).flows[-1][: len(x)].cpu())
    error, length = endpoint_errors(torch.cat(flows), pairs.flow_xy, pairs.seen_xy)
    row: Row = {}
    for low, high in (*BANDS, (0.0, 8.0)):
        band = (length >= low) & (length < high)
        row[f"epe_{low:g}_{high:g}"] = float(error[band].mean())
        row[f"pixels_{low:g}_{high:g}"] = int(band.sum())
    far = (length >= BANDS[-1][0]) & (length < BANDS[-1][1])
    row["relative_8_32"] = float((error / length)[far].mean())
    return row
