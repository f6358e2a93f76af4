"""Renderers draw simulator states: ``render(states (n, S)) -> pictures (n, 3, h, w)`` in [0, 1]."""

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
    """Draws states from the task's fixed camera; a state that MuJoCo would refuse (NaN, huge) gives a NaN picture.

    It may say what it does not draw: ``left_out``, a tuple of words for parts of the model ("1 skin"), and ``unseen``,
    empty if any part that moves is drawn, else what moves, why it is hidden and what helps.
    """

    height: int
    width: int

    def render(self, states: Float64[np.ndarray, "n S"]) -> Float[Tensor, "n 3 h w"]:
        """Return one picture per state."""
        ...
