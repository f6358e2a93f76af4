"""Registries: each name is listed here once, and its object is imported on first use.

This module loads neither torch nor MuJoCo, so that the command line knows every name before either is loaded. To add a
task, renderer or planner, write its file and add one line here. The names of distances and flows are in
``corrwise.costs.presets``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Generic, TypeVar

__all__ = ["CARRIER_PATHS", "INTERPOLATOR_PATHS", "PLANNER_PATHS", "RENDERER_PATHS", "TASK_PATHS", "Registry"]

T_co = TypeVar("T_co", covariant=True)

TASK_PATHS: Mapping[str, str] = {
    "cartpole": "corrwise.envs.tasks.cartpole:CARTPOLE",
    "ant": "corrwise.envs.tasks.ant:ANT",
    "humanoid": "corrwise.envs.tasks.humanoid:HUMANOID",
    "cartpole-short": "corrwise.envs.tasks.cartpole:CARTPOLE_SHORT",
    "cartpole-gusts": "corrwise.envs.tasks.cartpole:CARTPOLE_GUSTS",
}
RENDERER_PATHS: Mapping[str, str] = {
    "raycast": "corrwise.envs.renderers.raycast:RaycastRenderer",
    "gl": "corrwise.envs.renderers.gl:GLRenderer",
}
INTERPOLATOR_PATHS: Mapping[str, str] = {
    "blend": "corrwise.predictors.interpolation.blend:Blend",
    "half-flow": "corrwise.predictors.interpolation.half_flow:HalfFlow",
    "average": "corrwise.predictors.interpolation.average:CorrespondenceAverage",
    "flavr": "corrwise.predictors.interpolation.flavr:FLAVR",
}
CARRIER_PATHS: Mapping[str, str] = {
    "fixed": "corrwise.predictors.restoration.carriers:FixedNoise",
    "resample": "corrwise.predictors.restoration.carriers:ResampledNoise",
    "nearest": "corrwise.predictors.restoration.carriers:NearestNoise",
    "bilinear": "corrwise.predictors.restoration.carriers:BilinearNoise",
    "discrete": "corrwise.predictors.restoration.carriers:DiscreteNoise",
    "gp": "corrwise.predictors.restoration.carriers:FunctionNoise",
}
PLANNER_PATHS: Mapping[str, str] = {
    "random": "corrwise.mpc.planners:RandomShooting",
    "cem": "corrwise.mpc.planners:CEM",
    "icem": "corrwise.mpc.planners:ICEM",
    "mppi": "corrwise.mpc.planners:MPPI",
}


class Registry(Mapping[str, T_co], Generic[T_co]):
    """A mapping from names to objects, each imported on first use.

    Args:
        paths: of each name, ``package.module:attribute``.
    """

    def __init__(self, paths: Mapping[str, str]) -> None:
        self.paths = dict(paths)

    def __getitem__(self, name: str) -> T_co:
        module, attribute = self.paths[name].split(":")
        value: T_co = getattr(import_module(module), attribute)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __contains__(self, name: object) -> bool:
        return name in self.paths

    def __repr__(self) -> str:
        return f"Registry({', '.join(self.paths)})"
