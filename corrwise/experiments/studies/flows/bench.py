"""Which rows the table of flows has, and how the numbers of each are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from corrwise.costs.flow.bidirectional import both_ways
from corrwise.costs.flow.networks import FlowOn, network_hash
from corrwise.experiments.cli.options import BODY_NAMES
from corrwise.experiments.cli.table_flows import FlowTableConfig
from corrwise.experiments.studies.flows.candidates import (
    EXACT,
    WEIGHTS,
    WeightsMissing,
    candidate,
    differentiable,
    preset_of,
    settings_of,
)
from corrwise.experiments.studies.flows.measure import (
    curve_numbers,
    error_numbers,
    l1_curve,
    speed_numbers,
    true_fields,
)
from corrwise.experiments.studies.flows.scenes import FlowScene
from corrwise.experiments.studies.flows.text import BASELINE, MISSING, RowKey
from corrwise.types import Flow

__all__ = ["FlowBench", "Measure"]

_TIMED = "humanoid"
_VARIANTS = ("scaled", "unscaled", "recommended")  # of a curve

Row = dict[str, Any]


@dataclass(frozen=True)
class Measure:
    """One row to come.

    Attributes:
        key: what identifies it.
        network: the fingerprint of the weights that it depends on; None for a flow without any.
        settings: the numbers behind the flow's name that it depends on; None for a row without a flow.
        numbers: makes its numbers.
    """

    key: RowKey
    network: str | None
    settings: Row | None
    numbers: Callable[[], Row]


class FlowBench:
    """The flows that can be had, and the scenes that they are measured on.

    Attributes:
        flows: by name, as their recommended preset sets them up; without the truth.
        absent: the flows whose weights are not at hand, with a sentence that says so.
        scenes: by body; each makes its data when it is first asked.

    Raises:
        FileNotFoundError, RuntimeError, ValueError: weights that were asked for cannot be had.
    """

    def __init__(self, config: FlowTableConfig) -> None:
        self._config = config
        self.scenes = {body: FlowScene(body, config) for body in {*config.bodies, _TIMED}}
        self.flows: dict[str, Flow] = {}
        self.absent: dict[str, str] = {}
        for name in (name for name in config.flows if name != EXACT):
            try:
                self.flows[name] = candidate(name, config, form=preset_of(name).form)
            except WeightsMissing as error:
                self.absent[name] = str(error)
        self._networks = {name: network_hash(flow) for name, flow in self.flows.items()}
        self._on: Callable[[Flow], Flow] = (
            partial(FlowOn, config.device) if config.device != "cpu" else lambda flow: flow
        )

    def measures(self) -> Iterator[Measure]:
        """Yield all rows of the table, body by body."""
        for name in self.absent:
            yield self._row((MISSING, name, "", ""), self._missing)
        for body in self._config.bodies:
            if "errors" in self._config.measures:
                for name in self.flows:
                    for variant in ("clean", "degraded"):
                        yield self._row(("error", name, body, variant), self._error)
            if "curves" in self._config.measures and body in BODY_NAMES:
                yield from self._curves(body)
        if "speed" in self._config.measures:
            devices = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
            for name in self.flows:
                for device in devices:
                    yield self._row(("speed", name, _TIMED, device), self._speed)

    def _curves(self, body: str) -> Iterator[Measure]:
        yield self._row(("curve", BASELINE, body, "l1"), self._l1)
        for name in (*self.flows, *((EXACT,) if EXACT in self._config.flows else ())):
            for variant in _VARIANTS:
                yield self._row(("curve", name, body, variant), self._curve)

    def _row(self, key: RowKey, measure: Callable[[str, str, str], Row]) -> Measure:
        _, name, body, variant = key
        settings = None if name == BASELINE else settings_of(name)
        return Measure(key, self._networks.get(name), settings, partial(measure, name, body, variant))

    def _missing(self, name: str, body: str, variant: str) -> Row:
        return {"reason": "weights not at hand", **_facts(name)}

    def _error(self, name: str, body: str, variant: str) -> Row:
        scene = self.scenes[body]
        return error_numbers(self._on(self.flows[name]), scene.clean if variant == "clean" else scene.degraded)

    def _l1(self, name: str, body: str, variant: str) -> Row:
        return l1_curve(self.scenes[body].moved[0])

    def _curve(self, name: str, body: str, variant: str) -> Row:
        """Return a curve with flow scaling, without any (the paper's Fig. A2) or as recommended for the flow."""
        form = preset_of(name).form if variant == "recommended" else variant
        pictures, masks = self.scenes[body].moved
        if name == EXACT:
            forward, backward = true_fields(masks)
            return {"form": form, **curve_numbers(lambda p: (forward[p], backward[p]), pictures, name=name, form=form)}
        flow = self._on(candidate(name, self._config, form="scaled" if form == "unscaled" else form))
        x, y = pictures[:, :1].expand_as(pictures).flatten(0, 1), pictures.flatten(0, 1)
        numbers = curve_numbers(lambda p: both_ways(flow, x[p], y[p]), pictures, name=name, form=form)
        return {"form": form, **numbers}

    def _speed(self, name: str, body: str, device: str) -> Row:
        x, y = (images.to(device) for images in self.scenes[body].timed())
        return {**speed_numbers(self.flows[name], x, y, repeats=self._config.repeats), **_facts(name)}


def _facts(name: str) -> Row:
    return {"differentiable": differentiable(name), "weights": WEIGHTS.get(name, "none")}
