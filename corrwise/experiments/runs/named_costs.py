"""The costs that the command line names, put together from the cost room's parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from corrwise.costs import DISTANCES, PRESETS, CorrespondenceWise, PerView, Preset
from corrwise.costs.flow import FLOWS
from corrwise.experiments.cli.cost import CostConfig
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.types import ONE_VIEW, Distance, Flow, Views

# A preset's, where the command line says nothing.
_NUMBERS = ("scaling", "magnitude", "gradient", "edge_magnitude", "smoothness", "price", "power", "occlusion")


def resolved(config: CostConfig) -> CostConfig:
    """Return the options with the numbers that stand for None, which are the flow's own."""
    preset = PRESETS[config.flow]
    return replace(config, **{n: getattr(preset, n) for n in _NUMBERS if getattr(config, n) is None})


def make_flow(config: CostConfig, *, regularized: bool) -> Flow:
    """Return the optical flow that the configuration names, for a cost with or without a flow regulariser.

    Raises:
        FileNotFoundError, RuntimeError, ValueError: if its weights cannot be had or its options make no sense.
    """
    preset = PRESETS[config.flow]
    options: dict[str, dict[str, Any]] = {
        "all-pairs": {"patch": config.patch, "penalty": config.displacement},
        "dis": {"preset": config.dis_preset, "finest_scale": config.dis_finest_scale},
        "raft": {"weights": config.raft_weights},
        "learned": {"weights": config.learned_weights},
    }
    asked = {name: value for name, value in options.get(config.flow, {}).items() if value is not None}
    return FLOWS[config.flow](**{**(preset.regularized if regularized else preset.scaled), **asked})


def make_correspondence(name: str, config: CostConfig) -> CorrespondenceWise | None:
    """Return the distance behind a cost named ``corr-*``, or None for a cost that matches nothing.

    ``corr-l1`` scales the flow (epsilon); ``corr-l1-reg`` matches fully and penalises the flow instead (the paper's
    alternative, Eq. 3), ``corr-l1-edge`` with edge-aware smoothness; ``corr-l1-both`` scales and penalises;
    ``corr-l1-disp`` matches fully and adds a price for displacement and an occlusion penalty.
    """
    if not name.startswith("corr-"):
        return None
    _, base, *suffix = name.split("-")
    form = suffix[0] if suffix else "scaled"
    flow = make_flow(config, regularized=form != "scaled")
    numbers = resolved(config)
    preset = Preset(**{number: getattr(numbers, number) for number in _NUMBERS})
    return preset.apply(DISTANCES[base], flow, form)


def make_distance(name: str, config: CostConfig) -> Distance:
    """Return the distance behind an image cost's name: ``l1`` and the like, or one of ``make_correspondence``."""
    return make_correspondence(name, config) or DISTANCES[name]


def per_view(config: MPCConfig) -> Callable[[Distance], Distance]:
    """Return what makes a distance of one view one of the views that are planned on."""
    views = Views(len(config.cameras), config.depth)
    numbers = {"depth_weight": config.depth_weight, "depth_scale": config.depth_scale}
    return lambda distance: distance if views == ONE_VIEW else PerView(distance, views, **numbers)
