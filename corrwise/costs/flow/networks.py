"""Networks behind flows: where they compute, and which weights they have."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from corrwise.costs.flow.bidirectional import both_ways
from corrwise.types import Flow

__all__ = ["FlowOn", "network_hash"]


def network_hash(flow: Flow) -> str | None:
    """Return a hash of a flow's network, its weights and how they are used; None for a flow that has none."""
    network = flow if isinstance(flow, nn.Module) else getattr(flow, "net", None)
    if network is None:
        return None
    digest = sha256(repr(getattr(network, "config", None)).encode())
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


class FlowOn:
    """A flow that is computed on another device than its images.

    Args:
        device: where.
        flow: which; its network, where it has one, follows the images.
    """

    def __init__(self, device: str | torch.device, flow: Flow) -> None:
        self._device, self._flow = device, flow

    def __getattr__(self, name: str) -> Any:
        return getattr(self._flow, name)

    def __call__(self, target: Float[Tensor, "B C h w"], source: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 2 h w"]:
        """Return the flow on the device of the images."""
        return self._flow(target.to(self._device), source.to(self._device)).to(target.device)

    def both(
        self, x: Float[Tensor, "B C h w"], y: Float[Tensor, "B C h w"]
    ) -> tuple[Float[Tensor, "B 2 h w"], Float[Tensor, "B 2 h w"]]:
        """Return both directions on the device of the images."""
        forward, backward = both_ways(self._flow, x.to(self._device), y.to(self._device))
        return forward.to(x.device), backward.to(x.device)
