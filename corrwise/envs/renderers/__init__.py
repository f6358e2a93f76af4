"""Renderers draw simulator states: ``render(states (n, S)) -> images (n, C, h, w)`` in [0, 1], depth in metres."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float64
from torch import Tensor

from corrwise.envs.renderers.gl import GLRenderer
from corrwise.envs.renderers.raycast import RaycastRenderer
from corrwise.registry import RENDERER_PATHS, Registry

RENDERERS: Registry[Any] = Registry(RENDERER_PATHS)

__all__ = ["RENDERERS", "GLRenderer", "RaycastRenderer", "Renderer"]


@runtime_checkable
class Renderer(Protocol):
    """Draws states from the task's fixed cameras; a state that MuJoCo would refuse (NaN, huge) gives a NaN image.

    A renderer of several views or of depth has an attribute ``views``, their layout (``corrwise.types.Views``). A
    renderer may report what it does not draw (``corrwise.types.PartialRenderer``).
    """

    height: int
    width: int

    def render(self, states: Float64[np.ndarray, "n S"]) -> Float[Tensor, "n C h w"]:
        """Return one image per state."""
        ...
