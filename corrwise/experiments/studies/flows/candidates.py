"""The flows that the table compares, as the presets set them up, and what each needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from jaxtyping import Float
from torch import Tensor

from corrwise.costs import PRESETS, Preset
from corrwise.costs.flow import FLOWS
from corrwise.experiments.cli.table_flows import FlowTableConfig
from corrwise.types import Flow, has_gradient

__all__ = [
    "EXACT",
    "WEIGHTS",
    "Given",
    "WeightsMissing",
    "candidate",
    "differentiable",
    "preset_of",
    "settings_of",
]

EXACT = "exact"  # the simulator's truth
WEIGHTS = {"raft": "a download or a file", "learned": "shipped"}  # of the flows that need any


class WeightsMissing(Exception):
    """A flow's weights are not at hand, and nobody asked for a file in particular."""


class Given:
    """A flow that is known already: returns the two fields, whatever the pictures."""

    def __init__(self, forward: Float[Tensor, "B 2 h w"], backward: Float[Tensor, "B 2 h w"]) -> None:
        self._forward, self._backward = forward, backward

    def __call__(self, target: Float[Tensor, "B C h w"], source: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 2 h w"]:
        """Return the first field."""
        return self._forward

    def both(
        self, x: Float[Tensor, "B C h w"], y: Float[Tensor, "B C h w"]
    ) -> tuple[Float[Tensor, "B 2 h w"], Float[Tensor, "B 2 h w"]]:
        """Return the two fields."""
        return self._forward, self._backward


def preset_of(name: str) -> Preset:
    """Return how a flow's displacement is counted; that of the truth can be priced as it is."""
    return Preset(form="disp") if name == EXACT else PRESETS[name]


def candidate(name: str, config: FlowTableConfig, *, form: str) -> Flow:
    """Return the named flow with the options that its preset has in that form.

    Raises:
        WeightsMissing: the weights that the flow has by default cannot be had.
        FileNotFoundError, RuntimeError, ValueError: those that were asked for cannot.
    """
    options = preset_of(name).options(form)
    if name in WEIGHTS:
        options["weights"] = getattr(config, f"{name}_weights")
    try:
        return FLOWS[name](**options)
    except (FileNotFoundError, RuntimeError, ValueError) as error:
        asked = name in WEIGHTS and options["weights"] != getattr(FlowTableConfig, f"{name}_weights")
        absent = not isinstance(error, ValueError) or isinstance(error.__cause__, FileNotFoundError)
        if name not in WEIGHTS or asked or not absent:
            raise
        raise WeightsMissing(f"{name}: weights not at hand, so it is left out") from error


def settings_of(name: str) -> dict[str, Any]:
    """Return all numbers behind a flow's name, fit for JSON: rows made with others are not its own."""
    preset, factory = preset_of(name), FLOWS.get(name)
    numbers = {each.name: getattr(preset, each.name) for each in fields(preset)}
    fixed = {key: value for key, value in getattr(factory, "keywords", {}).items() if key != "weights"}
    return {key: _plain(value) for key, value in {**numbers, **fixed}.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if value is None or isinstance(value, str | int | float):
        return value
    numbers = {key: each for key, each in vars(value).items() if isinstance(each, str | int | float)}
    return {type(value).__name__: numbers}


def differentiable(name: str) -> bool:
    """Return whether the flow, as its presets set it up, has a gradient."""
    factory = FLOWS[name]
    flow = factory if name in WEIGHTS else factory(**preset_of(name).options(preset_of(name).form))
    return has_gradient(flow)
