"""Pictures from MuJoCo's own threaded ray caster: no OpenGL, no display, the same on any machine."""

from __future__ import annotations

import mujoco
import numpy as np
import torch
from jaxtyping import Bool, Float, Float64

from corrwise.envs.renderers import inventory, shading
from corrwise.envs.renderers.exact_flow import ExactFlow
from corrwise.envs.renderers.scene import STATIC, PixelRays, RayScene
from corrwise.envs.renderers.textures import Textures
from corrwise.envs.tasks.metric import drawable

_SMOOTH = 4  # the background is drawn once, so its smooth edges cost nothing


class RaycastRenderer:
    """Draws states of one model from a camera fixed in the world.

    Shapes are the geoms and sites that MuJoCo draws by default: of groups 0 to 2 and not of alpha 0. What never moves
    is drawn once. For each state, rays are cast only where the boxes around moving shapes fall and only at moving
    shapes; a hit nearer than the background is shaded with the model's materials and lights. There are no shadows,
    reflections, transparency, skins, flexes or tendons, and without ``textures`` no textures but those of fixed planes
    (elsewhere their mean colour stands in). Pixels have 8 bits, so a picture survives the way through uint8 unchanged.

    Args:
        model: a compiled model with a camera named "corrwise".
        height, width: the picture's size, pixels.
        supersample: rays per pixel side; 2 smooths the edges of moving geoms at four times the rays.
        threads: threads of the ray caster; 0 means all CPUs.
        chunk: the most states drawn at once, which bounds memory.
        textures: lay textures on shapes of all kinds, moving ones too.

    Attributes:
        left_out: what MuJoCo draws of this model and this renderer does not, in words.
        unseen: empty if any part that moves is drawn, else what moves and why it is not drawn, in words.

    Raises:
        ValueError: if a size or ``supersample`` is below 1, or the model has no such camera.
    """

    def __init__(
        self, model: mujoco.MjModel, *, height: int = 64, width: int = 64, supersample: int = 1, threads: int = 0,
        chunk: int = 64, textures: bool = False,
    ) -> None:  # fmt: skip
        if min(height, width, supersample) < 1:
            raise ValueError(f"height, width and supersample must be at least 1, got {height}, {width}, {supersample}")
        self.height, self.width, self.supersample = height, width, supersample
        self._scene = RayScene(model, threads=threads, chunk=chunk)
        self.model = model
        shapes = self._scene.shapes
        self.left_out = inventory.beyond_rays(model, shapes, textures=textures)
        self.unseen = inventory.unseen(model, shapes, soft=False)
        self._albedo = shading.albedo(model, shapes)
        self._rays = PixelRays(self._scene, height=height * supersample, width=width * supersample)
        pixel = 1 / self._scene.view.focal(height * supersample)
        self._textures = Textures(model, shapes, angle=pixel) if textures else None
        self._background = self._draw_background()
        whole = self._rays if supersample == 1 else PixelRays(self._scene, height=height, width=width)
        self._exact = ExactFlow(whole)

    @property
    def background(self) -> Float[torch.Tensor, "3 h w"]:
        """The picture without anything that moves; a picture of a state differs from it only where a body is."""
        image = _shrink(self._background[None], self.height, self.width, self.supersample)[0]
        return torch.from_numpy(_quantised(image)).permute(2, 0, 1)

    def render(self, states: Float64[np.ndarray, "n S"]) -> Float[torch.Tensor, "n 3 h w"]:
        """Return pictures in [0, 1]; a state that MuJoCo would refuse (NaN, huge) gives NaN.

        Raises:
            ValueError: if these are not integration states of this model.
        """
        good = drawable(self.model, states)
        chunk = self._scene.chunk
        out = torch.empty((len(states), 3, self.height, self.width), dtype=torch.float32, device="cpu")
        for i in range(0, len(states), chunk):
            part = slice(i, i + chunk)
            out[part] = torch.from_numpy(self._draw(states[part], good[part])).permute(0, 3, 1, 2)
        return out

    def correspondence(
        self, state_a: Float64[np.ndarray, "*#n S"], state_b: Float64[np.ndarray, "*#n S"]
    ) -> tuple[Float[torch.Tensor, "*n 2 h w"], Bool[torch.Tensor, "*n h w"]]:
        """Return where every pixel of a's picture lies in b's, and whether it is seen there; see ``ExactFlow``.

        Raises:
            ValueError: if these are not integration states of this model, or their leading axes do not broadcast.
        """
        return self._exact.correspondence(state_a, state_b)

    def displacement(
        self, state_a: Float64[np.ndarray, "*#n S"], state_b: Float64[np.ndarray, "*#n S"], *, power: float | int = 1
    ) -> Float[torch.Tensor, "*n"]:
        """Return how far the moving body's pixels of a's picture lie from their places in b's, mean over them, pixels.

        With a power, the mean of the distances to that power.

        Geometry only: no ray is cast in b, so many b cost microseconds each. NaN where a state cannot be drawn.

        Raises:
            ValueError: if these are not integration states of this model, or their leading axes do not broadcast.
        """
        return self._exact.displacement(state_a, state_b, power=power)

    def _draw(self, states: np.ndarray, good: np.ndarray) -> np.ndarray:
        n = len(states)
        self._scene.load(states, good)
        frame, pixel, distance, shape, normal = self._rays.moving_hits(n)
        image = np.repeat(self._background[None], n, axis=0)
        image[frame, pixel] = self._shade(self._rays.directions[pixel], distance, shape, normal, frame)
        image = _shrink(image, self.height, self.width, self.supersample)
        image = _quantised(image)
        image[~good] = np.nan
        return image

    def _shade(
        self, directions: np.ndarray, distance: np.ndarray, shape: np.ndarray, normal: np.ndarray, frame: np.ndarray
    ) -> np.ndarray:
        """Return the colours of what rays hit, each in one of the loaded states."""
        points = self._scene.view.position + distance[:, None] * directions
        albedo = self._albedo[shape]
        if self._textures is not None:
            coated = self._textures.covered[shape]
            at, on = (frame[coated], shape[coated]), shape[coated]
            position, rotation = self._scene.poses(int(frame.max(initial=0)) + 1)
            local = np.einsum("pij,pi->pj", rotation[at], points[coated] - position[at])
            albedo[coated] = self._scene.shapes.rgba[on, :3] * self._textures.colours(on, local, distance[coated])
        return (albedo * shading.lambert(self.model, points, normal, directions)).clip(0.0, 1.0)

    def _draw_background(self) -> np.ndarray:
        """Return what never moves at the rays' resolution, (rays, 3), each value the mean of many finer rays."""
        height, width = self.height * self.supersample, self.width * self.supersample
        directions = self._scene.view.directions(height * _SMOOTH, width * _SMOOTH)
        distance, shape, normal = (part[0] for part in self._scene.cast(directions[None], STATIC))
        image, hit = shading.sky(self.model, directions), shape >= 0
        first = np.zeros(int(hit.sum()), dtype=int)
        image[hit] = self._shade(directions[hit], distance[hit], shape[hit], normal[hit], first)
        position, rotation = self._scene.poses(1)
        for plane in np.unique(shape[hit]).tolist() if self._textures is None else ():
            where = shape == plane
            points = self._scene.view.position + distance[where, None] * directions[where] - position[0, plane]
            pattern = shading.plane_texture(self.model, self._scene.shapes, plane, points @ rotation[0, plane])
            if pattern is not None:
                image[where] = (image[where] * pattern).clip(0.0, 1.0)
        return _shrink(image[None], height, width, _SMOOTH).reshape(-1, 3)


def _quantised(image: np.ndarray) -> np.ndarray:
    """Return the nearest values that 8 bits hold, float32."""
    return np.rint(image.clip(0.0, 1.0) * 255.0).astype(np.float32) / np.float32(255.0)


def _shrink(image: np.ndarray, height: int, width: int, by: int) -> np.ndarray:
    """Return pictures of (height, width) from rays (n, rays, 3), the mean of ``by`` x ``by`` rays a pixel."""
    if by == 1:
        return image.reshape(-1, height, width, 3)
    return image.reshape(-1, height, by, width, by, 3).mean(axis=(2, 4))
