"""Model-predictive control: sample action sequences, score them, refit, act.

Names are imported on first use (PEP 562), so that ``corrwise.mpc.config`` stays free of torch. The functions
:func:`corrwise.mpc.optimize.optimize` and :func:`corrwise.mpc.score.score` share their modules' names and are
imported from there.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corrwise.mpc.cem import CEM
    from corrwise.mpc.config import AgentConfig, CEMConfig, ICEMConfig, MPPIConfig, RandomShootingConfig
    from corrwise.mpc.controller import AgentState, VisualMPC
    from corrwise.mpc.icem import ICEM
    from corrwise.mpc.mppi import MPPI
    from corrwise.mpc.proposal import first_action, new_proposal, planned_actions, reset, settle, shift
    from corrwise.mpc.random import generator
    from corrwise.mpc.random_shooting import RandomShooting
    from corrwise.mpc.registry import PLANNERS
    from corrwise.mpc.score import Aggregate

_HOMES = {
    "controller": ("AgentState", "VisualMPC"),
    "cem": ("CEM",),
    "config": ("AgentConfig", "CEMConfig", "ICEMConfig", "MPPIConfig", "RandomShootingConfig"),
    "icem": ("ICEM",),
    "mppi": ("MPPI",),
    "proposal": ("first_action", "new_proposal", "planned_actions", "reset", "settle", "shift"),
    "random": ("generator",),
    "random_shooting": ("RandomShooting",),
    "registry": ("PLANNERS",),
    "score": ("Aggregate",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CEM",
    "ICEM",
    "MPPI",
    "PLANNERS",
    "AgentConfig",
    "AgentState",
    "Aggregate",
    "CEMConfig",
    "ICEMConfig",
    "MPPIConfig",
    "RandomShooting",
    "RandomShootingConfig",
    "VisualMPC",
    "first_action",
    "generator",
    "new_proposal",
    "planned_actions",
    "reset",
    "settle",
    "shift",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
