"""Images from MuJoCo's threaded ray caster: no OpenGL, no display, the same on any machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
import torch
from jaxtyping import Bool, Float, Float64

from corrwise.envs.renderers import inventory, shading
from corrwise.envs.renderers.exact_flow import ExactFlow
from corrwise.envs.renderers.scene import STATIC, PixelRays, RayScene
from corrwise.envs.renderers.textures import Textures
from corrwise.envs.renderers.view import PinholeView, far_plane
from corrwise.envs.tasks.metric import drawable
from corrwise.envs.tasks.task import MAIN, camera_name
from corrwise.types import Views

_SMOOTH = 4  # rays per pixel side of the background, which is drawn once


class RaycastRenderer:
    """Draws states of one model from cameras fixed in the world.

    Shapes are the geoms and sites that MuJoCo draws by default: those of groups 0 to 2 with an alpha above 0. Fixed
    shapes are drawn once. For each state, rays are cast only at moving shapes and only inside their projected boxes; a
    hit that is nearer than the background is shaded with the model's materials and lights. There are no shadows,
    reflections, transparency, skins, flexes or tendons. Without ``textures``, only fixed planes have textures, and
    other shapes have their textures' mean colours. Pixels have 8 bits, so conversion to uint8 and back is lossless.

    Depth is the distance in metres along a camera's optical axis to what the ray through a pixel's centre hits, as in
    OpenGL. It is finite: the sky, and everything beyond the model's far plane, has the depth of the far plane.

    Args:
        model: a compiled model with a camera named "corrwise" (``Task.compile``).
        height, width: the size of a view, pixels.
        supersample: rays per pixel side; 2 smooths the edges of moving geoms at four times the rays.
        threads: threads of the ray caster; 0 means all CPUs.
        chunk: the largest number of states drawn at once, which bounds memory.
        textures: draw the textures of all shapes, moving ones too.
        cameras: the views, in the order of their channels, by the task's names for its cameras.
        depth: whether each view also has depth.

    Attributes:
        views: the layout of the images' channels.
        left_out: texts that name the parts of the model that MuJoCo draws and this renderer does not.
        unseen: empty if a moving part is drawn, else a text: what moves and why it is not drawn.

    Raises:
        ValueError: if a size or ``supersample`` is below 1, there is no view, or the model has no such camera.
    """

    def __init__(
        self, model: mujoco.MjModel, *, height: int = 64, width: int = 64, supersample: int = 1, threads: int = 0,
        chunk: int = 64, textures: bool = False, cameras: Sequence[str] = (MAIN,), depth: bool = False,
    ) -> None:  # fmt: skip
        if min(height, width, supersample) < 1:
            raise ValueError(f"height, width and supersample must be at least 1, got {height}, {width}, {supersample}")
        self.height, self.width, self.supersample = height, width, supersample
        self.views = Views(len(cameras), depth)
        self._scene = RayScene(model, threads=threads, chunk=chunk)
        self.model = model
        shapes = self._scene.shapes
        self.left_out = inventory.beyond_rays(model, shapes, textures=textures)
        self.unseen = inventory.unseen(model, shapes, soft=False)
        albedo = shading.albedo(model, shapes)
        options: dict[str, Any] = {"height": height, "width": width, "supersample": supersample, "textures": textures}
        self._drawers = [
            _Drawer(model, self._scene, PinholeView.of_camera(model, camera_name(each)), albedo, depth=depth, **options)
            for each in cameras
        ]

    @property
    def background(self) -> Float[torch.Tensor, "C h w"]:
        """The image without moving shapes; the image of a state differs from it only where a moving shape is."""
        return torch.from_numpy(np.concatenate([each.empty() for each in self._drawers], axis=-1)).permute(2, 0, 1)

    def render(self, states: Float64[np.ndarray, "n S"]) -> Float[torch.Tensor, "n C h w"]:
        """Return images in [0, 1], depth in metres; a state that MuJoCo would refuse (NaN, huge) gives NaN.

        Raises:
            ValueError: if these are not integration states of this model.
        """
        good = drawable(self.model, states)
        chunk = self._scene.chunk
        shape = (len(states), self.views.channels, self.height, self.width)
        out = torch.empty(shape, dtype=torch.float32, device="cpu")
        for i in range(0, len(states), chunk):
            part = slice(i, i + chunk)
            self._scene.load(states[part], good[part])
            images = [drawer.draw(good[part]) for drawer in self._drawers]
            image = images[0] if len(images) == 1 else np.concatenate(images, axis=-1)
            out[part] = torch.from_numpy(image).permute(0, 3, 1, 2)
        return out

    def correspondence(
        self, state_a: Float64[np.ndarray, "*#n S"], state_b: Float64[np.ndarray, "*#n S"]
    ) -> tuple[Float[torch.Tensor, "*n 2 h w"], Bool[torch.Tensor, "*n h w"]]:
        """Return the flow from a's image to b's and which pixels are visible there; see ``ExactFlow``.

        Raises:
            ValueError: if these are not integration states of this model, or there are several views, which only
                ``displacement`` supports.
        """
        if self.views.count > 1:
            raise ValueError(f"expected one view for a flow field, got {self.views.count}")
        return self._drawers[0].exact.correspondence(state_a, state_b)

    def displacement(
        self, state_a: Float64[np.ndarray, "*#n S"], state_b: Float64[np.ndarray, "*#n S"], *, power: float | int = 1
    ) -> Float[torch.Tensor, "*n"]:
        """Return the mean length in pixels of the flow from a's image to b's, over pixels of moving bodies.

        With a power, the mean of the lengths to that power. With several views, the sum over the views.

        No ray is cast in b, so each b takes microseconds. NaN where a state cannot be drawn.

        Raises:
            ValueError: if these are not integration states of this model, or their leading axes do not broadcast.
        """
        first, *others = (each.exact.displacement(state_a, state_b, power=power) for each in self._drawers)
        return sum(others, start=first)


class _Drawer:
    """Draws the image of one camera from the states that are loaded into the scene.

    Args:
        model: the compiled model.
        scene: its geometry.
        view: the camera.
        albedo: each shape's own colour.
        height, width, supersample, textures, depth: see ``RaycastRenderer``.
    """

    def __init__(
        self, model: mujoco.MjModel, scene: RayScene, view: PinholeView, albedo: np.ndarray, *, height: int,
        width: int, supersample: int, textures: bool, depth: bool,
    ) -> None:  # fmt: skip
        self._model, self._scene, self._view, self._albedo = model, scene, view, albedo
        self._size, self._supersample = (height, width), supersample
        self._rays = PixelRays(scene, view, height=height * supersample, width=width * supersample)
        pixel = 1 / view.focal(height * supersample)
        self._textures = Textures(model, scene.shapes, angle=pixel) if textures else None
        self._background = self._draw_background()
        self._whole = self._rays if supersample == 1 else PixelRays(scene, view, height=height, width=width)
        self._along = self._whole.directions @ view.forward if depth else None  # metres of depth to one of distance
        self._far = far_plane(model)
        self.exact = ExactFlow(self._whole)

    def empty(self) -> Float[np.ndarray, "h w c"]:
        """Return the image without moving shapes."""
        image = _quantised(_shrink(self._background[None], *self._size, self._supersample)[0])
        if self._along is None:
            return image
        return np.concatenate([image, self._metres(self._whole.depth[None])[0]], axis=-1)

    def draw(self, good: Bool[np.ndarray, "n"]) -> Float[np.ndarray, "n h w c"]:
        """Return the images of the first n loaded states, NaN where not ``good``."""
        n = len(good)
        frame, pixel, distance, shape, normal = self._rays.moving_hits(n)
        image = np.repeat(self._background[None], n, axis=0)
        image[frame, pixel] = self._shade(self._rays.directions[pixel], distance, shape, normal, frame)
        image = _shrink(image, *self._size, self._supersample)
        image = _quantised(image)
        if self._along is not None:
            if self._whole is not self._rays:
                frame, pixel, distance, *_ = self._whole.moving_hits(n)
            nearest = np.repeat(self._whole.depth[None], n, axis=0)
            nearest[frame, pixel] = distance
            image = np.concatenate([image, self._metres(nearest)], axis=-1)
        image[~good] = np.nan
        return image

    def _metres(self, distance: Float64[np.ndarray, "n pixels"]) -> Float[np.ndarray, "n h w 1"]:
        """Return depths along the optical axis from distances along the rays, clipped to the far plane."""
        depth = np.minimum(distance * self._along, self._far)
        return depth.reshape(-1, *self._size, 1).astype(np.float32)

    def _shade(
        self, directions: np.ndarray, distance: np.ndarray, shape: np.ndarray, normal: np.ndarray, frame: np.ndarray
    ) -> np.ndarray:
        """Return the colours of ray hits, each in one of the loaded states."""
        points = self._view.position + distance[:, None] * directions
        albedo = self._albedo[shape]
        if self._textures is not None:
            coated = self._textures.covered[shape]
            at, on = (frame[coated], shape[coated]), shape[coated]
            position, rotation = self._scene.poses(int(frame.max(initial=0)) + 1)
            local = np.einsum("pij,pi->pj", rotation[at], points[coated] - position[at])
            albedo[coated] = self._scene.shapes.rgba[on, :3] * self._textures.colours(on, local, distance[coated])
        return (albedo * shading.lambert(self._model, points, normal, directions)).clip(0.0, 1.0)

    def _draw_background(self) -> np.ndarray:
        """Return the background at the rays' resolution, (rays, 3), each value the mean of many finer rays."""
        height, width = (side * self._supersample for side in self._size)
        directions = self._view.directions(height * _SMOOTH, width * _SMOOTH)
        distance, shape, normal = (part[0] for part in self._rays.cast(directions[None], STATIC))
        image, hit = shading.sky(self._model, directions), shape >= 0
        first = np.zeros(int(hit.sum()), dtype=int)
        image[hit] = self._shade(directions[hit], distance[hit], shape[hit], normal[hit], first)
        position, rotation = self._scene.poses(1)
        for plane in np.unique(shape[hit]).tolist() if self._textures is None else ():
            where = shape == plane
            points = self._view.position + distance[where, None] * directions[where] - position[0, plane]
            pattern = shading.plane_texture(self._model, self._scene.shapes, plane, points @ rotation[0, plane])
            if pattern is not None:
                image[where] = (image[where] * pattern).clip(0.0, 1.0)
        return _shrink(image[None], height, width, _SMOOTH).reshape(-1, 3)


def _quantised(image: np.ndarray) -> np.ndarray:
    """Return the nearest 8-bit values, float32."""
    return np.rint(image.clip(0.0, 1.0) * 255.0).astype(np.float32) / np.float32(255.0)


def _shrink(image: np.ndarray, height: int, width: int, by: int) -> np.ndarray:
    """Return images (n, height, width, 3) from rays (n, rays, 3): the mean of ``by`` x ``by`` rays per pixel."""
    if by == 1:
        return image.reshape(-1, height, width, 3)
    return image.reshape(-1, height, by, width, by, 3).mean(axis=(2, 4))
