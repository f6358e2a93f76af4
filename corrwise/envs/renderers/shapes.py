"""The geoms and sites of a model in one list, with the visibility and colours that MuJoCo gives them."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Bool, Float, Int

from corrwise.envs.renderers.culling import moving_geoms

__all__ = ["SHOWN_GROUPS", "Shapes", "visible"]

SHOWN_GROUPS = 3  # MuJoCo draws groups 0 to 2 by default; higher ones hold collision shapes
_DEFAULT_RGBA = np.array([0.5, 0.5, 0.5, 1.0], dtype=np.float32)  # MuJoCo then draws the material's colour


@dataclass(frozen=True)
class Shapes:
    """All geoms of a model, hidden ones too, and after them the sites that are drawn.

    Attributes:
        geoms: the number of geoms, g; shape i below g is geom i.
        sites: the sites that are drawn; shape g + i is site ``sites[i]``.
        kind: ``mujoco.mjtGeom``.
        size: as in the model, metres.
        rgba: the colour that MuJoCo draws, the shape's own or its material's.
        material, mesh: their indices, or -1.
        moving: not welded to the world; a mocap body is not, nor is what hangs on it.
        shown: whether the group is 0 to 2 and alpha is not 0.
    """

    geoms: int
    sites: Int[np.ndarray, "s"]
    kind: Int[np.ndarray, "n"]
    size: Float[np.ndarray, "n 3"]
    rgba: Float[np.ndarray, "n 4"]
    material: Int[np.ndarray, "n"]
    mesh: Int[np.ndarray, "n"]
    moving: Bool[np.ndarray, "n"]
    shown: Bool[np.ndarray, "n"]

    @staticmethod
    def of_model(model: mujoco.MjModel) -> Shapes:
        """Return the shapes of a compiled model."""
        sites = np.flatnonzero(visible(model, model.site_group, model.site_rgba, model.site_matid))
        shown = visible(model, model.geom_group, model.geom_rgba, model.geom_matid)
        rgba = np.concatenate([model.geom_rgba, model.site_rgba[sites]])
        material = np.concatenate([model.geom_matid, model.site_matid[sites]])
        site_moves = np.asarray(model.body_weldid != 0)[model.site_bodyid[sites]]
        mesh = np.isin(model.geom_type, (int(mujoco.mjtGeom.mjGEOM_MESH), int(mujoco.mjtGeom.mjGEOM_SDF)))
        return Shapes(
            geoms=model.ngeom,
            sites=sites,
            kind=np.concatenate([model.geom_type, model.site_type[sites]]),
            size=np.concatenate([model.geom_size, model.site_size[sites]]),
            rgba=_drawn_rgba(model, rgba, material),
            material=material,
            mesh=np.concatenate([np.where(mesh, model.geom_dataid, -1), np.full(len(sites), -1)]),
            moving=np.concatenate([moving_geoms(model), site_moves]),
            shown=np.concatenate([shown, np.ones(len(sites), dtype=bool)]),
        )


def visible(
    model: mujoco.MjModel, group: Int[np.ndarray, "n"], rgba: Float[np.ndarray, "n 4"], material: Int[np.ndarray, "n"]
) -> Bool[np.ndarray, "n"]:
    """Return which elements MuJoCo draws by default: those of groups 0 to 2 whose alpha is not 0."""
    return np.asarray((group < SHOWN_GROUPS) & (_drawn_rgba(model, rgba, material)[:, 3] != 0))


def _drawn_rgba(
    model: mujoco.MjModel, own: Float[np.ndarray, "n 4"], material: Int[np.ndarray, "n"]
) -> Float[np.ndarray, "n 4"]:
    """Return the colours that MuJoCo draws: the material's, if any, where an element's own colour is the default."""
    takes = (material >= 0) & (own == _DEFAULT_RGBA).all(axis=1)
    colours = own.copy()
    colours[takes] = model.mat_rgba[material[takes]]
    return colours
