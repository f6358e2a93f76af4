"""The distances behind the names of costs: those of specs, the user's own, and what identifies them in a run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from jaxtyping import Float
from torch import Tensor

from corrwise._faults import named_error, place_of
from corrwise._files import read_json, shown
from corrwise.costs import CorrespondenceWise, PerView
from corrwise.costs.flow.networks import network_hash
from corrwise.costs.spec import as_distance
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.cli.options import CONTROL_NAMES, cost_label, spec_of
from corrwise.experiments.runs.settings import Settings
from corrwise.types import ONE_VIEW, BidirectionalFlow, Distance, EncodingDistance, Flow, TermsDistance, Views
from corrwise.user_code import user_object, user_source

_OF_A_FLOW = "CorrespondenceWise(l1, flow) makes a distance of a flow"


def make_distance(cost: str, *, optimized: bool = False) -> Distance:
    """Return the distance behind the canonical text of an image cost.

    A user's code is a distance, or a function without arguments that makes one.

    Args:
        cost: the text.
        optimized: whether it is minimised by its gradient, see ``as_distance``.

    Raises:
        FileNotFoundError, RuntimeError, ValueError: weights are missing, there is no such code, or a regularised form
            is to be minimised over a flow without a gradient.
    """
    spec = spec_of(cost)
    if spec is not None:
        return as_distance(spec, optimized=optimized)
    what = "a distance, or a function without arguments that makes one, named"
    own: Callable[..., Any] = user_object(
        cost, lambda value: callable(value) and _arguments(value) in (0, 2), what, noun="cost"
    )
    made = own if _arguments(own) == 2 else own()
    if not callable(made) or _arguments(made) != 2:
        raise ValueError(
            f"expected a function that makes a distance of two images as {cost}, got one that made {shown(made)}"
        )
    if isinstance(made, BidirectionalFlow):
        raise ValueError(f"expected a distance of two images as {cost}, got a flow; {_OF_A_FLOW}")
    return made if isinstance(made, EncodingDistance | TermsDistance) else OwnDistance(cost, made)


@dataclass(frozen=True)
class OwnDistance:
    """A user's distance whose values are checked: a function of two images may as well be a flow.

    Attributes:
        name: ``file.py:NAME``, for messages.
        distance: the user's.
    """

    name: str
    distance: Callable[[Tensor, Tensor], Any]

    def __call__(self, x: Float[Tensor, "*n C h w"], y: Float[Tensor, "*n C h w"]) -> Float[Tensor, "*n"]:
        """Return one value for each pair of images.

        Raises:
            ValueError: it returns anything else, such as a flow, or fails in code that is not the user's.
        """
        try:
            values = self.distance(x, y)
        except Exception as error:
            if place_of(error) is not None:  # the line where it failed is reported
                raise
            raise ValueError(
                f"{self.name} fails where a distance is called, with images of shape {tuple(x.shape)}: "
                f"{named_error(error)}"
            ) from error
        wanted, got = tuple(x.shape[:-3]), f"got {shown(values)}"
        if isinstance(values, Tensor):
            if tuple(values.shape) == wanted:
                return values
            of_flow = f"; {_OF_A_FLOW}" if values.shape[-3:] == (2, *x.shape[-2:]) else ""
            got = f"got values of shape {tuple(values.shape)}{of_flow}"
        raise ValueError(
            f"expected {self.name} to return one value for each pair of images, of shape {wanted} for images of shape "
            f"{tuple(x.shape)}, {got}"
        )


def _arguments(function: Callable[..., Any]) -> int | None:
    """Return how many arguments must be given by position; None where that is unknown."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(each.kind is each.KEYWORD_ONLY and each.default is each.empty for each in parameters):
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.kind in positional and each.default is each.empty for each in parameters)


def distance_of(cost: str) -> Distance | None:
    """Return the distance behind a cost; None for a control. Raises what ``make_distance`` does."""
    return None if cost in CONTROL_NAMES else make_distance(cost)


def per_view(config: MPCConfig, distance: Distance) -> Distance:
    """Return a distance of the views that are planned on, made of one of a single view."""
    views = Views(len(config.cameras), config.depth)
    numbers = {"depth_weight": config.depth_weight, "depth_scale": config.depth_scale}
    return distance if views == ONE_VIEW else PerView(distance, views, **numbers)


def network_of(distance: Distance | None) -> str | None:
    """Return a hash of the network behind a distance; None without one."""
    return network_hash(cast(Flow, distance.flow)) if isinstance(distance, CorrespondenceWise) else None


def settings_behind(cost: str) -> dict[str, Any]:
    """Return what the text of a cost stands for: the numbers of its presets, or a digest of a user's code."""
    if cost in CONTROL_NAMES:
        return {}
    spec = spec_of(cost)
    return {"source": user_source(cost)} if spec is None else spec.settings()


def with_costs(settings: Settings, out: Path, costs: Iterable[str]) -> Settings:
    """Return settings that state what each cost is made of, those of the folder's earlier rows among them.

    A cost that both runs have must be made of the same, however the path of its code is spelled.
    """
    made_of = {cost_label(cost): settings_behind(cost) for cost in costs}
    return settings.with_values(
        {"made_of": {**stated_before(out, "made_of"), **made_of}},
        evidence=["made_of"],
        normal=dict.fromkeys(("cost", "loss"), cost_label),
    )


def stated_before(out: Path, name: str) -> dict[str, Any]:
    """Return a setting of the folder's earlier runs; nothing where config.json is unusable, which opening reports."""
    try:
        return dict(read_json(out / "config.json")[name])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
