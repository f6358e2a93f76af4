"""The distance that a ``CostSpec`` names: its base distance, its flow and its form put together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from corrwise.costs import DISTANCES
from corrwise.costs.flow import FLOWS
from corrwise.costs.presets import LPIPS, NAMED_FLOWS, NUMBERS, PRESETS
from corrwise.types import Distance, Flow

if TYPE_CHECKING:
    from corrwise.costs.spec import CostSpec

__all__ = ["built"]


def built(spec: CostSpec, *, device: str | torch.device | None, detach_flow: bool) -> Distance:
    """Return the distance, see ``CostSpec.build``."""
    base = _moved(_base(spec), device)
    if not spec.flow:
        return cast("Distance", base)
    given = dict(spec.options)
    options = {name: given[name] for name in NAMED_FLOWS[spec.flow].options if name in given}
    preset = PRESETS[spec.flow]
    flow: Flow = FLOWS[spec.flow](
        **{**preset.options(spec.form), **{name.replace("-", "_"): value for name, value in options.items()}}
    )
    numbers = {field: given[name] for name, field in NUMBERS[spec.form].items() if name in given}
    return replace(preset, **cast("dict[str, Any]", numbers)).apply(
        base,
        _moved(flow, device),
        spec.form,
        symmetric=spec.directions == 2,
        detach_flow=detach_flow,
    )


def _base(spec: CostSpec) -> Any:
    parts: list[Any] = [DISTANCES[spec.base]] if spec.base in DISTANCES else []
    if spec.base == LPIPS:
        from corrwise.costs.st_lpips import ShiftTolerantLPIPS

        parts = [ShiftTolerantLPIPS()]
    if spec.perceptual_weights:
        from corrwise.costs.perceptual import Perceptual

        parts.append(Perceptual(spec.perceptual_weights))
    return parts[0] if len(parts) == 1 else _Sum(*parts)


class _Sum:
    """The sum of two base distances: the paper's "L1 and L_p in equal weight", of which its code takes the mean."""

    def __init__(self, one: Distance, two: Distance) -> None:
        self._one, self._two = one, two

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        return self._one(x, y) + self._two(x, y)


def _moved(part: Any, device: str | torch.device | None) -> Any:
    """Move the weights of a distance or flow, if it has any."""
    if device is not None:
        for each in (part, getattr(part, "net", None)):
            if each is not None and hasattr(each, "to"):
                each.to(device)
    return part
