"""Images from MuJoCo's OpenGL renderer, with textures and optional shadows; slow with software OpenGL."""

from __future__ import annotations

import atexit
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import mujoco
import numpy as np
import torch
from jaxtyping import Float, Float64

from corrwise._triton_guard import load_triton
from corrwise.envs.renderers import inventory
from corrwise.envs.renderers.shapes import Shapes
from corrwise.envs.renderers.view import far_plane
from corrwise.envs.tasks.metric import drawable
from corrwise.envs.tasks.task import MAIN, camera_name
from corrwise.types import Views

_SPARE = 10_000  # elements to draw besides geoms and sites: skins, flexes, each segment of a tendon


class GLRenderer:
    """Draws states one by one with ``mujoco.Renderer``; needs a working OpenGL (``MUJOCO_GL=egl`` without display).

    Args:
        model: a compiled model with a camera named "corrwise".
        height, width: the size of a view, pixels.
        effects: shadows and reflections, which cost most of the time in software OpenGL.
        cameras: the views, in the order of their channels, by the task's names for its cameras.
        depth: whether each view also has depth: metres along the optical axis, the far plane's for the sky.

    Attributes:
        views: the layout of the images' channels.
        left_out: empty; all that MuJoCo draws by default is drawn.
        unseen: empty if a moving part is drawn, else a text: what moves and why it is not drawn.

    Raises:
        RuntimeError: if no OpenGL context can be made.
    """

    def __init__(
        self, model: mujoco.MjModel, *, height: int = 64, width: int = 64, effects: bool = False,
        cameras: Sequence[str] = (MAIN,), depth: bool = False,
    ) -> None:  # fmt: skip
        load_triton()  # before OpenGL, and only if OpenGL is used
        self.model, self.height, self.width, self._effects = model, height, width, effects
        self.views, self._cameras = Views(len(cameras), depth), tuple(cameras)
        self.left_out: tuple[str, ...] = ()
        self.unseen = inventory.unseen(model, Shapes.of_model(model), soft=True)
        try:
            with _buffer(model, height, width):
                elements = _SPARE + 2 * (model.ngeom + model.nsite)
                self._renderer = mujoco.Renderer(model, height, width, max_geom=elements)
        except Exception as error:  # each GL backend raises an error type of its own
            raise RuntimeError(
                f"OpenGL rendering is not available here ({error}); set MUJOCO_GL=egl and install Mesa's EGL, "
                "or use the raycast renderer"
            ) from error
        _close_before_exit(self)
        self._data = mujoco.MjData(model)
        flags = self._renderer.scene.flags
        flags[int(mujoco.mjtRndFlag.mjRND_SHADOW)] = effects
        flags[int(mujoco.mjtRndFlag.mjRND_REFLECTION)] = effects

    def render(self, states: Float64[np.ndarray, "n S"]) -> Float[torch.Tensor, "n C h w"]:
        """Return images in [0, 1], depth in metres; a state that MuJoCo would refuse (NaN, huge) gives NaN."""
        shape = (len(states), self.views.channels, self.height, self.width)
        out = torch.full(shape, torch.nan, dtype=torch.float32, device="cpu")
        for i in np.flatnonzero(drawable(self.model, states)):
            mujoco.mj_setState(self.model, self._data, states[i], int(mujoco.mjtState.mjSTATE_INTEGRATION))
            mujoco.mj_fwdPosition(self.model, self._data)
            for view, camera in zip(out[i].chunk(self.views.count), self._cameras, strict=True):
                self._renderer.update_scene(self._data, camera=camera_name(camera))
                view[:3] = torch.from_numpy(self._renderer.render().transpose(2, 0, 1).copy()).float() / 255.0
                if self.views.depth:
                    view[3] = torch.from_numpy(self._metres())
        return out

    def _metres(self) -> Float[np.ndarray, "h w"]:
        """Return the depth of the scene drawn last."""
        self._renderer.enable_depth_rendering()
        try:
            return np.minimum(self._renderer.render(), np.float32(far_plane(self.model)))
        finally:
            self._renderer.disable_depth_rendering()

    def __reduce__(self) -> tuple[Any, ...]:
        """Make a new OpenGL context in copies and pickles."""
        size = self.height, self.width
        shown: dict[str, Any] = {"cameras": self._cameras, "depth": self.views.depth}
        make = partial(type(self), height=size[0], width=size[1], effects=self._effects, **shown)
        return make, (self.model,)

    def close(self) -> None:
        """Free the OpenGL context; nothing can be drawn afterwards."""
        context = self._renderer._gl_context
        if context is not None:  # MuJoCo frees what the *current* context holds, which may be another renderer's
            context.make_current()
        self._renderer.close()

    def __del__(self) -> None:
        if hasattr(self, "_renderer"):
            self.close()


@contextmanager
def _buffer(model: mujoco.MjModel, height: int, width: int) -> Iterator[None]:
    """Allow images larger than MuJoCo's default limit, 640 x 480 pixels."""
    limits = model.vis.global_
    before = limits.offheight, limits.offwidth
    limits.offheight, limits.offwidth = max(before[0], height), max(before[1], width)
    try:
        yield
    finally:
        limits.offheight, limits.offwidth = before


def _close_before_exit(renderer: GLRenderer) -> None:
    """Free the context before the interpreter exits; MuJoCo's own clean-up comes too late and prints a traceback."""
    reference = weakref.ref(renderer)

    def close() -> None:
        alive = reference()
        if alive is not None:
            alive.close()

    atexit.register(close)
