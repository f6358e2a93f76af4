"""What can be named: each name stands here once, and what it names is imported when it is asked for.

Free of torch and MuJoCo, so that the command line knows every name before either is loaded. To add something of one of
these kinds, write its file and add one line here. Distances and flows have names in ``corrwise.costs.presets``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Generic, TypeVar

__all__ = ["PLANNER_PATHS", "RENDERER_PATHS", "TASK_PATHS", "Registry"]

T_co = TypeVar("T_co", covariant=True)

TASK_PATHS: Mapping[str, str] = {
    "cartpole": "corrwise.envs.tasks.cartpole:CARTPOLE",
    "ant": "corrwise.envs.tasks.ant:ANT",
    "humanoid": "corrwise.envs.tasks.humanoid:HUMANOID",
    "cartpole-short": "corrwise.envs.tasks.cartpole:CARTPOLE_SHORT",
}
RENDERER_PATHS: Mapping[str, str] = {
    "raycast": "corrwise.envs.renderers.raycast:RaycastRenderer",
    "gl": "corrwise.envs.renderers.gl:GLRenderer",
}
PLANNER_PATHS: Mapping[str, str] = {
    "random": "corrwise.mpc.planners:RandomShooting",
    "cem": "corrwise.mpc.planners:CEM",
    "icem": "corrwise.mpc.planners:ICEM",
    "mppi": "corrwise.mpc.planners:MPPI",
}


class Registry(Mapping[str, T_co], Generic[T_co]):
    """A mapping of names to objects, each imported when it is asked for.

    Args:
        paths: of each name, ``package.module:attribute``.
    """

    def __init__(self, paths: Mapping[str, str]) -> None:
        self.paths = dict(paths)

    def __getitem__(self, name: str) -> T_co:
        module, attribute = self.paths[name].split(":")
        found: T_co = getattr(import_module(module), attribute)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __contains__(self, name: object) -> bool:
        return name in self.paths

    def __repr__(self) -> str:
        return f"Registry({', '.join(self.paths)})"
