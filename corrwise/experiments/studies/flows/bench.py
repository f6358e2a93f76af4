"""``corrwise table flows``: errors, loss curves and speed of each flow; rows, a table and figures in one folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch

from corrwise._files import reading
from corrwise._writing import RunFolderError, write_bytes_atomic
from corrwise.costs.flow import FLOWS
from corrwise.costs.flow.bidirectional import both_ways
from corrwise.costs.flow.networks import FlowOn, network_hash
from corrwise.envs.flow_data import true_fields
from corrwise.experiments.cli.options import BODY_NAMES
from corrwise.experiments.cli.table_flows import FlowTableConfig
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.jobs import Job
from corrwise.experiments.runs.settings import settings_of
from corrwise.experiments.studies.flows.measure import (
    EXACT,
    FlowScene,
    Row,
    curve_numbers,
    error_numbers,
    l1_curve,
    preset_of,
    speed_numbers,
)
from corrwise.experiments.studies.flows.report import (
    BASELINE,
    KEY,
    MISSING,
    RowKey,
    draw_curves,
    draw_matches,
    table_page,
)
from corrwise.types import Flow, has_gradient

WEIGHTS = {"raft": "a download or a file", "learned": "shipped"}  # of the flows that need any

_TIMED = "humanoid"
_VARIANTS = ("scaled", "unscaled", "recommended")  # of a curve


def run_flow_table(config: FlowTableConfig) -> Path:
    """Measure what the folder does not hold yet, and return the table's path.

    Each row is written as soon as it is measured, so a run that is killed continues with the same command. Rows of a
    flow whose weights or numbers have changed since are measured anew; of rows with the same key the last counts.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, RuntimeError, ValueError: weights that were asked for cannot be loaded.
    """
    bench = FlowBench(config)  # a missing file must raise before anything is written
    for sentence in bench.absent.values():
        print(sentence)
    jobs = [
        Job(_setup, each, {each.key: {"network": each.network, "settings": each.settings}}, label=" ".join(each.key))
        for each in bench.measures()
    ]
    with RunFolder(config.out, settings_of(config, "flows"), KEY, newest=True) as folder:
        timed = [job for job in jobs if config.retime and job.subject.key[0] == "speed"]
        folder.run(jobs, again=[job.subject.key for job in timed])
        with reading(folder.file, "holds rows that no table can be made of", RunFolderError):
            write_bytes_atomic(config.out / "table.md", table_page(folder.rows).encode())
            draw_curves(config.out / "curves.png", folder.rows)
        scenes = [bench.scenes[body] for body in config.bodies if body in BODY_NAMES]
        draw_matches(config.out / "matches.png", scenes, bench.flows)
    return config.out / "table.md"


def _setup(measure: Measure, *, threads: int, progress: Callable[[], Any]) -> Callable[[Sequence[RowKey]], list[Row]]:
    named = dict(zip(KEY, measure.key, strict=True))
    return lambda keys: [{**named, **measure.numbers()}]


@dataclass(frozen=True)
class Measure:
    """A row that is still to be measured.

    Attributes:
        key: its key.
        network: the hash of the weights that it depends on; None for a flow without any.
        settings: the numbers behind the flow's name that it depends on; None for a row without a flow.
        numbers: measures its numbers.
    """

    key: RowKey
    network: str | None
    settings: Row | None
    numbers: Callable[[], Row]


class FlowBench:
    """The flows of a table, and the scenes that they are measured on.

    Attributes:
        flows: by name, with the options of their recommended form; without the ground truth.
        absent: the flows whose default weights cannot be loaded, with a sentence for each.
        scenes: by body; each makes its data on first use.

    Raises:
        FileNotFoundError, RuntimeError, ValueError: weights that were asked for cannot be loaded.
    """

    def __init__(self, config: FlowTableConfig) -> None:
        self._config = config
        self.scenes = {body: FlowScene(body, config) for body in {*config.bodies, _TIMED}}
        self.flows: dict[str, Flow] = {}
        self.absent: dict[str, str] = {}
        for name in (name for name in config.flows if name != EXACT):
            try:
                self.flows[name] = self._flow(name, preset_of(name).form)
            except (FileNotFoundError, RuntimeError, ValueError) as error:
                default = name in WEIGHTS and self._weights(name) == getattr(FlowTableConfig, f"{name}_weights")
                missing = not isinstance(error, ValueError) or isinstance(error.__cause__, FileNotFoundError)
                if not (default and missing):
                    raise
                self.absent[name] = f"{name}: weights not at hand, so it is left out"
        self._networks = {name: network_hash(flow) for name, flow in self.flows.items()}
        self._on: Callable[[Flow], Flow] = (
            partial(FlowOn, config.device) if config.device != "cpu" else lambda flow: flow
        )

    def _flow(self, name: str, form: str) -> Flow:
        """Return a flow with the options that its preset has in that form."""
        weights = {"weights": self._weights(name)} if name in WEIGHTS else {}
        return FLOWS[name](**preset_of(name).options(form), **weights)

    def _weights(self, name: str) -> str:
        weights: str = getattr(self._config, f"{name}_weights")
        return weights

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
        settings = None if name == BASELINE else flow_settings(name)
        return Measure(key, self._networks.get(name), settings, partial(measure, name, body, variant))

    def _missing(self, name: str, body: str, variant: str) -> Row:
        return {"reason": "weights not at hand", **_facts(name)}

    def _error(self, name: str, body: str, variant: str) -> Row:
        scene = self.scenes[body]
        return error_numbers(self._on(self.flows[name]), scene.clean if variant == "clean" else scene.degraded)

    def _l1(self, name: str, body: str, variant: str) -> Row:
        return l1_curve(self.scenes[body].moved[0])

    def _curve(self, name: str, body: str, variant: str) -> Row:
        # with flow scaling, without any (the paper's Fig. A2), or in the form that is recommended for the flow
        form = preset_of(name).form if variant == "recommended" else variant
        images, masks = self.scenes[body].moved
        if name == EXACT:
            forward, backward = true_fields(masks)
            return {"form": form, **curve_numbers(lambda p: (forward[p], backward[p]), images, name=name, form=form)}
        flow = self._on(self._flow(name, "scaled" if form == "unscaled" else form))
        x, y = images[:, :1].expand_as(images).flatten(0, 1), images.flatten(0, 1)
        numbers = curve_numbers(lambda p: both_ways(flow, x[p], y[p]), images, name=name, form=form)
        return {"form": form, **numbers}

    def _speed(self, name: str, body: str, device: str) -> Row:
        x, y = (images.to(device) for images in self.scenes[body].timed())
        return {**speed_numbers(self.flows[name], x, y, repeats=self._config.repeats), **_facts(name)}


def _facts(name: str) -> Row:
    return {"differentiable": _differentiable(name), "weights": WEIGHTS.get(name, "none")}


def flow_settings(name: str) -> dict[str, Any]:
    """Return all numbers behind a flow's name, as JSON: a row is current if they are unchanged."""
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


def _differentiable(name: str) -> bool:
    factory = FLOWS[name]
    flow = factory if name in WEIGHTS else factory(**preset_of(name).options(preset_of(name).form))
    return has_gradient(flow)
