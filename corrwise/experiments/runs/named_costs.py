"""The distances behind the costs that the command line names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from corrwise._files import read_json
from corrwise.costs import PerView
from corrwise.experiments.cli.cost import CONTROL_NAMES, cost_label, spec_of
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs.settings import Settings
from corrwise.experiments.runs.user_code import user_object, user_source
from corrwise.types import ONE_VIEW, Distance, Views

__all__ = ["make_distance", "per_view", "settings_behind", "with_costs"]


def make_distance(cost: str) -> Distance:
    """Return the distance behind the canonical text of an image cost.

    Code of one's own is a distance, or a function without arguments that makes one.

    Raises:
        FileNotFoundError, RuntimeError, ValueError: weights cannot be had, or there is no such code.
    """
    spec = spec_of(cost)
    return _own(cost) if spec is None else spec.build()


def settings_behind(cost: str) -> dict[str, Any]:
    """Return what the text of a cost stands for: numbers that presets chose, or a digest of code of one's own."""
    if cost in CONTROL_NAMES:
        return {}
    spec = spec_of(cost)
    return {"source": user_source(cost)} if spec is None else spec.settings()


def with_costs(settings: Settings, out: Path, costs: Iterable[str]) -> Settings:
    """Return settings that say what each cost is made of, those of the folder's earlier rows among them.

    A cost that both runs have must be made of the same, however the path of its code is spelled.
    """
    made_of = {cost_label(cost): settings_behind(cost) for cost in costs}
    try:
        before = dict(read_json(out / "config.json")["made_of"])
    except (OSError, ValueError, KeyError, TypeError):
        before = {}  # opening the folder says what is wrong with it
    return settings.with_values(
        {"made_of": {**before, **made_of}},
        evidence=["made_of"],
        normal=dict.fromkeys(("cost", "loss"), cost_label),
    )


def per_view(config: MPCConfig) -> Callable[[Distance], Distance]:
    """Return what makes a distance of one view one of the views that are planned on."""
    views = Views(len(config.cameras), config.depth)
    numbers = {"depth_weight": config.depth_weight, "depth_scale": config.depth_scale}
    return lambda distance: distance if views == ONE_VIEW else PerView(distance, views, **numbers)


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
