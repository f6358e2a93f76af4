"""Model-predictive control: sample action sequences, score them, refit, act.

Names are imported on first use (PEP 562), so that ``corrwise.mpc.config`` and ``corrwise.mpc.spec`` stay free of torch.
The functions :func:`corrwise.mpc.optimize.optimize` and :func:`corrwise.mpc.score.score` share their modules' names and
are imported from there.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corrwise.mpc.config import AgentConfig
    from corrwise.mpc.controller import AgentState, VisualMPC
    from corrwise.mpc.futures import Risk
    from corrwise.mpc.knots import Knots
    from corrwise.mpc.optimize import first_action, new_proposal, planned_actions, reset, shift
    from corrwise.mpc.planners import CEM, ICEM, MPPI, RandomShooting
    from corrwise.mpc.sampling import generator
    from corrwise.mpc.score import Aggregate
    from corrwise.mpc.spec import PLANNERS, PlannerSpec

_HOMES = {
    "config": ("AgentConfig",),
    "controller": ("AgentState", "VisualMPC"),
    "futures": ("Risk",),
    "knots": ("Knots",),
    "optimize": ("first_action", "new_proposal", "planned_actions", "reset", "shift"),
    "planners": ("CEM", "ICEM", "MPPI", "RandomShooting"),
    "sampling": ("generator",),
    "score": ("Aggregate",),
    "spec": ("PLANNERS", "PlannerSpec"),
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
    "Knots",
    "PlannerSpec",
    "RandomShooting",
    "Risk",
    "VisualMPC",
    "first_action",
    "generator",
    "new_proposal",
    "planned_actions",
    "reset",
    "shift",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
