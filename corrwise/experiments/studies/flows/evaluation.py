"""Judge a flow net while it trains: on the same held-out pairs, by the same numbers, as ``corrwise table flows``."""

from __future__ import annotations

from math import nan
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.costs.flow import LearnedFlow
from corrwise.costs.flow.learned.net import FlowNet
from corrwise.experiments.cli.options import BODY_NAMES
from corrwise.experiments.cli.table_flows import BODIES, FlowTableConfig
from corrwise.experiments.cli.train_flow import TrainFlowConfig
from corrwise.experiments.studies.flows.measure import error_numbers
from corrwise.experiments.studies.flows.scenes import FlowScene

__all__ = ["Judge"]

Row = dict[str, Any]


class Judge:
    """``judge(net, device)`` returns a row of errors (``error_numbers``) for each body, degraded pairs' beside them.

    Args:
        config: how many pairs of which size.
        held_out: also judge bodies and textures that no training shows.
    """

    def __init__(self, config: TrainFlowConfig, *, held_out: bool) -> None:
        table = FlowTableConfig(pairs=config.judged, size=config.size, reach=1)
        self._scenes = [FlowScene(body, table) for body in (BODIES if held_out else BODY_NAMES)]

    def __call__(self, net: FlowNet, device: torch.device) -> dict[str, Row]:
        """Return the rows; ``epe_0_8`` joins the two bands of small displacements."""
        flow, rows = _There(LearnedFlow(net), device), {}
        for scene in self._scenes:
            clean, degraded = error_numbers(flow, scene.clean), error_numbers(flow, scene.degraded)
            rows[scene.body] = _joined(clean) | {f"degraded_{name}": value for name, value in _joined(degraded).items()}
        return rows


class _There:
    """A flow that is computed on another device than its pictures'."""

    def __init__(self, flow: LearnedFlow, device: torch.device) -> None:
        self._flow, self._device = flow, device

    def __call__(self, target: Float[Tensor, "B C h w"], source: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 2 h w"]:
        return self.both(target, source)[0]

    def both(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        forward, backward = self._flow.both(x.to(self._device), y.to(self._device))
        return forward.to(x.device), backward.to(x.device)


def _joined(row: Row) -> Row:
    pixels = [row["pixels_0_2"], row["pixels_2_8"]]
    known = [(row[name], n) for name, n in zip(("epe_0_2", "epe_2_8"), pixels, strict=True) if n]
    return row | {"epe_0_8": sum(epe * n for epe, n in known) / sum(pixels) if known else nan}
