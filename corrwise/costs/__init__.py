"""Images to distances: pixel-wise, perceptual and correspondence-wise. Knows no simulator, no agent, no file.

Names are imported on first use (PEP 562), so that ``CostSpec`` and the names of costs and flows stay free of torch.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from corrwise.costs.presets import BASES as _BASES
from corrwise.costs.presets import FORMS, PRESETS, Preset, recommended
from corrwise.costs.spec import CostSpec, as_distance

if TYPE_CHECKING:
    from corrwise.costs._checks import check_pair
    from corrwise.costs.correspondence import CorrespondenceWise, Terms
    from corrwise.costs.distances import l1, mse, ssim
    from corrwise.costs.goal import GoalCost
    from corrwise.costs.penalties import Displacement, EdgeAwareSmoothness, FlowGradient, FlowMagnitude, Regularizers
    from corrwise.costs.perceptual import Perceptual
    from corrwise.costs.st_lpips import ShiftTolerantLPIPS
    from corrwise.costs.views import PerView, ViewTerms
    from corrwise.costs.warp import warp
    from corrwise.types import Distance

    DISTANCES: dict[str, Distance]

_HOMES = {
    "_checks": ("check_pair",),
    "correspondence": ("CorrespondenceWise", "Terms"),
    "distances": ("l1", "mse", "ssim"),
    "goal": ("GoalCost",),
    "penalties": ("Displacement", "EdgeAwareSmoothness", "FlowGradient", "FlowMagnitude", "Regularizers"),
    "perceptual": ("Perceptual",),
    "st_lpips": ("ShiftTolerantLPIPS",),
    "views": ("PerView", "ViewTerms"),
}
_HOME_OF = {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}

__all__ = [
    "DISTANCES",
    "FORMS",
    "PRESETS",
    "CorrespondenceWise",
    "CostSpec",
    "Displacement",
    "EdgeAwareSmoothness",
    "FlowGradient",
    "FlowMagnitude",
    "GoalCost",
    "PerView",
    "Perceptual",
    "Preset",
    "Regularizers",
    "ShiftTolerantLPIPS",
    "Terms",
    "ViewTerms",
    "as_distance",
    "check_pair",
    "l1",
    "mse",
    "recommended",
    "ssim",
    "warp",
]


def __getattr__(name: str) -> object:
    if name == "DISTANCES":
        value: object = {each: _imported(*path.split(":")) for each, path in _BASES.items()}
    elif name in _HOME_OF:
        value = _imported(_HOME_OF[name], name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def _imported(module: str, name: str) -> object:
    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted(__all__)


class _Costs(ModuleType):
    """This package, in which ``warp`` is the function, also when the module of that name has been imported."""

    @property
    def warp(self) -> object:
        return _imported("corrwise.costs.warp", "warp")

    @warp.setter
    def warp(self, module: object) -> None:
        pass


sys.modules[__name__].__class__ = _Costs
