"""Where a command computes, and what is handed there and back: simulators and images of simulators stay on the CPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.costs.flow.bidirectional import both_ways
from corrwise.predictors.models.base import VideoPredictor
from corrwise.types import Context, Flow, Predictor

__all__ = ["FlowOn", "device_named", "model_on"]


def device_named(name: str, *, option: str) -> str:
    """Return "cuda" or "cpu" for "auto", "cuda" or "cpu".

    Args:
        name: what is asked for.
        option: the option by which it is, for the message.

    Raises:
        RuntimeError: a GPU is asked for, and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise RuntimeError(f"--{option} cuda needs a GPU, and torch finds no GPU here; use --{option} cpu")
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"


def model_on(device: str, model: VideoPredictor) -> Predictor:
    """Return a trained model that predicts on a device, whichever device its context is on; frames stay on its own."""
    model.to(device)

    def predict(context: Context, actions: Float[Tensor, "B N H A"], **options: Any) -> Float[Tensor, "B N T C h w"]:
        there = replace(context, frames=context.frames.to(device), actions=context.actions.to(device))
        return model(there, actions.to(device), **options)

    return predict


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
