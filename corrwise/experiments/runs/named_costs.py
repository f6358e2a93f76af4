"""The distances behind the costs that the command line names."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

from corrwise._files import read_json
from corrwise.costs import CorrespondenceWise
from corrwise.experiments.cli.cost import CONTROL_NAMES, spec_of
from corrwise.experiments.runs.clock import Clock
from corrwise.experiments.runs.user_code import user_object, user_source
from corrwise.types import Distance

__all__ = ["make_distance", "settings_behind", "with_other_costs"]


def make_distance(cost: str, *, clock: Clock | None = None) -> Distance:
    """Return the distance behind the canonical text of an image cost; with a clock, its flow's time counts as "flow".

    Code of one's own is a distance, or a function without arguments that makes one.

    Raises:
        FileNotFoundError, RuntimeError, ValueError: weights cannot be had, or there is no such code.
    """
    spec = spec_of(cost)
    distance = _own(cost) if spec is None else spec.build()
    if clock is not None and isinstance(distance, CorrespondenceWise):
        distance = copy(distance)  # one of one's own may be in use elsewhere
        distance.flow = copy(distance.flow)
        if hasattr(distance.flow, "both"):
            clock.watch(distance.flow, "both", "flow")
        else:
            distance.flow = clock.timed(distance.flow, "flow")
    return distance


def settings_behind(cost: str) -> dict[str, Any]:
    """Return what the text of a cost stands for: numbers that presets chose, or a digest of code of one's own."""
    if cost in CONTROL_NAMES:
        return {}
    spec = spec_of(cost)
    return {"source": user_source(cost)} if spec is None else spec.settings()


def with_other_costs(out: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Return a run's configuration with what the costs of earlier rows are made of, as config.json has it."""
    try:
        return {**config, "made_of": {**read_json(out / "config.json")["made_of"], **config["made_of"]}}
    except (OSError, ValueError, KeyError, TypeError):
        return config  # claiming the folder says what is wrong with it


def _own(cost: str) -> Distance:
    what = "a distance, or a function without arguments that makes one, named"
    found: Callable[..., Any] = user_object(cost, _is_distance_or_maker, what, noun="cost")
    if _arguments(found) == 2:
        return found
    made = found()
    if not callable(made) or _arguments(made) != 2:
        raise ValueError(
            f"expected a function that makes a distance of two images as {cost}, got one that made {made!r:.80}"
        )
    return made


def _is_distance_or_maker(value: Any) -> bool:
    return callable(value) and _arguments(value) in (0, 2)


def _arguments(function: Callable[..., Any]) -> int | None:
    """Return how many arguments must be given by position; None where that cannot be known."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(each.kind is each.KEYWORD_ONLY and each.default is each.empty for each in parameters):
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.kind in positional and each.default is each.empty for each in parameters)
