"""The rows of cases and controls: for each weight, and each law of t, both differences that are zero by the claim."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.experiments.cli.table_time_weights import TimeWeightTableConfig
from corrwise.experiments.runs.executors import one_thread
from corrwise.experiments.runs.rows import Row, RowKey
from corrwise.experiments.studies.time_weights.cases import CASES, path_of
from corrwise.experiments.studies.time_weights.controls import (
    CONTROLS,
    LOG_ONLY,
    SMALL_MODEL,
    SOFTENED,
    small_model,
    softened,
)
from corrwise.experiments.studies.time_weights.edits import final_law, strings_at
from corrwise.experiments.studies.time_weights.exact import FIRST, LAST, Case, gauss_legendre
from corrwise.experiments.studies.time_weights.measure import (
    gradients,
    minimiser,
    network,
    relative_difference,
    scaled_difference,
)
from corrwise.experiments.studies.time_weights.weighting import all_laws, factors, weight_at
from corrwise.predictors.generative.schedules import CondOT

__all__ = ["CASE", "CONTROL", "CaseSubject", "case_rows", "control_rows"]

CASE, CONTROL = "case", "control"  # kinds of rows


@dataclass(frozen=True)
class CaseSubject:
    """A case or a control, and how it is measured."""

    case: str
    config: TimeWeightTableConfig


def case_rows(subject: CaseSubject, *, threads: int, progress: Callable[[], object]) -> Callable[..., Iterator[Row]]:
    """Return what makes the rows of a case, one for each weight."""
    one_thread()
    config, laws, path = subject.config, all_laws(subject.config.laws), path_of(subject.case)
    times, widths = gauss_legendre(config.times, FIRST, LAST)
    case = CASES[subject.case](times)
    both = gradients(case, _network(case, config))

    def rows(keys: Sequence[RowKey]) -> Iterator[Row]:
        for kind, name, weight in keys:
            began = time.perf_counter()
            row: Row = {"kind": kind, "case": name, "arm": weight, "laws": laws, **_sizes(case)}
            each = factors(weight, laws, path, times, widths)
            row["gradient_difference"] = [relative_difference(f @ both.conditional, f @ both.marginal) for f in each]
            wanted = case.problem.wanted
            row["minimiser_difference"] = [scaled_difference(minimiser(case, f), wanted) for f in each]
            progress()
            yield {**row, "seconds": time.perf_counter() - began}

    return rows


def control_rows(subject: CaseSubject, *, threads: int, progress: Callable[[], object]) -> Callable[..., Iterator[Row]]:
    """Return what makes the rows of a control, one for each weight: its differences from the unchanged case."""
    one_thread()
    config, laws, control = subject.config, all_laws(subject.config.laws), CONTROLS[subject.case]
    times, widths = gauss_legendre(config.times, FIRST, LAST)
    right = control.build(times)
    model = _network(right, config)
    true = gradients(right, model).marginal

    def rows(keys: Sequence[RowKey]) -> Iterator[Row]:
        for kind, name, weight in keys:
            began = time.perf_counter()
            row: Row = {"kind": kind, "case": name, "arm": weight, "laws": laws, **_sizes(right)}
            weigh = softened if weight == SOFTENED else lambda t, weight=weight: weight_at(weight, CondOT(), t)
            of_law = factors("data", laws, CondOT(), times, widths)  # a weight of 1
            w = weigh(times)
            case = control.change(right, w)
            conditional = gradients(case, model).conditional
            inside = torch.ones_like(w) if name == LOG_ONLY else w  # what multiplies the whole loss
            row["gradient_difference"] = [
                relative_difference((f * inside) @ conditional, (f * w) @ true) for f in of_law
            ]
            if name == SMALL_MODEL:
                plain = small_model(right, widths)
                ends = [small_model(right, f * w) for f in of_law]
            else:
                plain = right.problem.wanted
                ends = [minimiser(case, f * inside) for f in of_law]
            row["minimiser_difference"] = [scaled_difference(end, plain) for end in ends]
            if name == LOG_ONLY:
                predicted = w[right.problem.time][:, None] * plain
                row["predicted_difference"] = [scaled_difference(end, predicted) for end in ends]
                row["rate_factor"] = [float(w.min()), float(w.max())]
                row["total_variation"] = _total_variation(weigh)
            progress()
            yield {**row, "seconds": time.perf_counter() - began}

    return rows


def _total_variation(factor: Callable[[Float[Tensor, "t"]], Float[Tensor, "t"]]) -> float:
    """Return the total variation between the strings that rates times a factor generate and the exact law."""
    exact = strings_at(torch.tensor([LAST], dtype=torch.float64, device="cpu"))[0]
    return float((final_law(factor, LAST) - exact).abs().sum() / 2)


def _network(case: Case, config: TimeWeightTableConfig) -> torch.nn.Module:
    return network(case.conditional.x.shape[1], case.outputs, hidden=config.hidden, seed=config.seed)


def _sizes(case: Case) -> Row:
    """Return the numbers of nodes of both sums, and of free outputs of the unrestricted problem."""
    return {
        "nodes": [len(case.conditional.time), len(case.marginal.time)],
        "states": len(case.problem.time) * case.problem.outputs,
    }
