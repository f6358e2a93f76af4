"""The planners by the names that the command line knows them by."""

from __future__ import annotations

from collections.abc import Callable

from corrwise.mpc.cem import CEM
from corrwise.mpc.icem import ICEM
from corrwise.mpc.mppi import MPPI
from corrwise.mpc.random_shooting import RandomShooting
from corrwise.types import Planner

PLANNERS: dict[str, Callable[..., Planner]] = {"random": RandomShooting, "cem": CEM, "icem": ICEM, "mppi": MPPI}
