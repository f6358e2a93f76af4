"""Both directions of a flow, in one call where the flow offers that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from corrwise.types import BidirectionalFlow

__all__ = ["both_ways"]


def both_ways(flow: Callable[[Tensor, Tensor], Any], x: Tensor, y: Tensor) -> tuple[Any, Any]:
    """Return ``flow(x, y)`` and ``flow(y, x)``, whatever they are: what a field must be is the caller's to check.

    Raises:
        ValueError: the flow's ``both`` does not return two fields.
    """
    if not isinstance(flow, BidirectionalFlow):
        return flow(x, y), flow(y, x)
    flows: Any = flow.both(x, y)
    got = len(flows) if isinstance(flows, (tuple, list)) else type(flows).__name__
    if got != 2:
        raise ValueError(f"expected {type(flow).__name__}.both to return two flow fields, got {got}")
    return flows[0], flows[1]
