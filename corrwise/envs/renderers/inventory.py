"""List, for messages, the parts of a model that a renderer does not draw."""

from __future__ import annotations

import mujoco
import numpy as np
from jaxtyping import Bool

from corrwise.envs.renderers.shading import texels, texture_of
from corrwise.envs.renderers.shapes import SHOWN_GROUPS, Shapes, visible

__all__ = ["beyond_rays", "unseen"]

_OPAQUE = 0.995  # MuJoCo blends shapes with a lower alpha
_DIFFERS, _SHARE = 8 / 255, 0.05  # a texture with a larger share of texels off its mean is reported


def beyond_rays(model: mujoco.MjModel, shapes: Shapes, *, textures: bool) -> tuple[str, ...]:
    """Return what MuJoCo draws of a model by default and the ray caster does not, such as ``("1 skin",)``.

    The texture of a moving shape is listed if more than 5 % of its texels differ from their mean by more than 8/255;
    the mean colour represents other textures at the usual sizes.
    """
    out = [_count(number, *words) for words, number in _soft(model).items() if number]
    bare = 0 if textures else int(_patterned(model, shapes).sum())
    if bare:
        out.append(f"the textures of {_count(bare, 'moving shape')} (Task(textures=True) draws them)")
    blended = int((shapes.shown & (shapes.rgba[:, 3] < _OPAQUE)).sum())
    if blended:
        out.append(f"the transparency of {_count(blended, 'shape')}")
    return tuple(out)


def unseen(model: mujoco.MjModel, shapes: Shapes, *, soft: bool) -> str:
    """Return an empty string if a moving part is drawn, else what moves, why it is hidden and what to change.

    Args:
        model: a compiled model.
        shapes: its shapes.
        soft: whether the renderer draws skins, flexes and tendons.
    """
    undrawn = _soft(model)
    if (shapes.moving & shapes.shown).any() or (soft and any(undrawn.values())):
        return ""
    geoms = shapes.moving[: shapes.geoms]
    grouped = int((geoms & (model.geom_group >= SHOWN_GROUPS)).sum())
    sites = int((np.asarray(model.body_weldid != 0)[model.site_bodyid]).sum())
    counts = {
        ("geom of a hidden group (3 to 5)", "geoms of hidden groups (3 to 5)"): grouped,
        ("geom of alpha 0", "geoms of alpha 0"): int(geoms.sum()) - grouped,
        ("hidden site", "hidden sites"): sites,
        **undrawn,
    }
    parts = [_count(number, *words) for words, number in counts.items() if number]
    if not parts:
        return "nothing in the model moves"
    gl = ' or use renderer="gl", which draws skins, flexes and tendons, too' if any(undrawn.values()) else ""
    return f"what moves is {' and '.join(parts)}; show it (groups 0 to 2, alpha above 0){gl}"


def _soft(model: mujoco.MjModel) -> dict[tuple[str, ...], int]:
    """Return how many elements MuJoCo draws that rays do not hit."""
    spatial = np.isin(model.wrap_type[model.tendon_adr], int(mujoco.mjtWrap.mjWRAP_JOINT), invert=True)
    cranks = model.actuator_trntype == int(mujoco.mjtTrn.mjTRN_SLIDERCRANK)
    return {
        ("skin",): int(visible(model, model.skin_group, model.skin_rgba, model.skin_matid).sum()),
        ("flex", "flexes"): int(visible(model, model.flex_group, model.flex_rgba, model.flex_matid).sum()),
        ("tendon",): int((spatial & visible(model, model.tendon_group, model.tendon_rgba, model.tendon_matid)).sum()),
        ("slider-crank",): int(cranks.sum()),
    }


def _patterned(model: mujoco.MjModel, shapes: Shapes) -> Bool[np.ndarray, "n"]:
    """Return which moving shapes have a texture that their mean colour does not represent."""
    out = np.zeros(len(shapes.kind), dtype=bool)
    known: dict[tuple[float, ...], bool] = {}
    for shape in np.flatnonzero((shapes.material >= 0) & shapes.shown & shapes.moving):
        texture = texture_of(model, int(shapes.material[shape]))
        key = (texture, *shapes.rgba[shape, :3].tolist())
        if texture >= 0 and key not in known:
            image = texels(model, texture) * shapes.rgba[shape, :3]
            off = np.abs(image - image.mean(axis=(0, 1))).max(axis=2)
            known[key] = bool((off > _DIFFERS).mean() > _SHARE)
        out[shape] = known.get(key, False)
    return out


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
