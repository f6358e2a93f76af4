"""Painted pairs with ground-truth flow, and the degradations that predictions show."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

__all__ = ["degraded", "painted"]

KINDS = (0.35, 0.35, 0.15, 0.15)  # shares of blur, ghost, noise and tint
BLUR = (0.5, 1.4)  # standard deviation, pixels
GHOST = (0.15, 0.45)  # the other frame's share
NOISE = 0.02  # largest standard deviation, intensity
COLOUR = 0.08  # largest change of gain and of offset
_RADIUS = 3


def degraded(
    images: Float[Tensor, "B 3 h w"], ghosts: Float[Tensor, "B 3 h w"], rng: np.random.Generator
) -> Float[Tensor, "B 3 h w"]:
    """Return each image with one of the four degradations at random strength; ``ghosts`` are blended in."""
    n = len(images)
    kind = torch.from_numpy(rng.choice(len(KINDS), size=n, p=KINDS))[:, None, None, None]
    weight = torch.from_numpy(rng.uniform(*GHOST, (n, 1, 1, 1))).float()
    ghosted = images + weight * (ghosts - images)
    deviation = rng.uniform(0, NOISE, (n, 1, 1, 1))
    noisy = images + torch.from_numpy(deviation * rng.standard_normal(images.shape)).float()
    gain = torch.from_numpy(1 + rng.uniform(-COLOUR, COLOUR, (n, 3, 1, 1))).float()
    offset = torch.from_numpy(rng.uniform(-COLOUR, COLOUR, (n, 3, 1, 1))).float()
    out = torch.where(kind == 0, _blurred(images, rng), ghosted)
    out = torch.where(kind == 2, noisy, out)
    return torch.where(kind == 3, gain * images + offset, out).clamp(0, 1)


def _blurred(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Return each image under its own Gaussian."""
    n, channels = images.shape[:2]
    at = np.arange(-_RADIUS, _RADIUS + 1)
    kernel = np.exp(-(at**2) / (2 * rng.uniform(*BLUR, (n, 1)) ** 2))
    weights = torch.from_numpy(kernel / kernel.sum(axis=1, keepdims=True)).float().repeat_interleave(channels, 0)
    padded = F.pad(images, (_RADIUS,) * 4, mode="replicate")
    flat = padded.reshape(1, n * channels, *padded.shape[2:])
    across = F.conv2d(flat, weights[:, None, None, :], groups=n * channels)
    return F.conv2d(across, weights[:, None, :, None], groups=n * channels).reshape(images.shape)


STICKS = 7
PRESENT = 0.7  # share of the sticks that an image shows
LENGTH = (0.0, 14.0)  # half of the axis, pixels of a 64 px image
RADIUS = (1.0, 4.5)
SHARED_SHIFT = 14.0  # standard deviation of the motion that all sticks share, pixels
OWN_SHIFT = 4.0
CAMERA = 0.15  # share of the pairs in which the background moves too
CAMERA_SHIFT = 3.0
_PLAIN: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}


def painted(n: int, size: int, rng: np.random.Generator, *, checked: bool = False) -> tuple[Tensor, ...]:
    """Return x, y, flow_xy, flow_yx, seen_xy, seen_yx of n pairs, as ``Pairs`` holds them.

    ``checked`` gives the sticks a pattern that training never shows.
    """
    scene = _Scene(n, size, rng, checked=checked)
    top_x, top_y = scene.top(0), scene.top(1)
    x, y = scene.paint(0, top_x), scene.paint(1, top_y)
    flow_xy, seen_xy = scene.flow(0, top_x, top_y)
    flow_yx, seen_yx = scene.flow(1, top_y, top_x)
    return x, y, flow_xy, flow_yx, seen_xy, seen_yx


class _Scene:
    """Sticks with a pose in each of two images; layer 0 is the background, later layers lie in front."""

    def __init__(self, n: int, size: int, rng: np.random.Generator, *, checked: bool) -> None:
        def uniform(low: float | int, high: float | int, *shape: int) -> Tensor:
            return torch.from_numpy(rng.uniform(low, high, (n, *shape))).float()

        def normal(scale: float | int, *shape: int) -> Tensor:
            return torch.from_numpy(rng.normal(0, scale, (n, *shape))).float()

        self.size, self.checked, scale = size, checked, size / 64
        self.length = torch.cat((torch.zeros(n, 1, **_PLAIN), uniform(*LENGTH, STICKS) * scale), dim=1)
        self.radius = torch.cat((torch.full((n, 1), 4.0 * size, **_PLAIN), uniform(*RADIUS, STICKS) * scale), dim=1)
        self.radius[:, 1:][uniform(0, 1, STICKS) > PRESENT] = -1.0
        body = uniform(0.25, 0.75, 1, 2) * size
        centre = body + normal(9.0 * scale, STICKS, 2)
        moved = normal(SHARED_SHIFT * scale, 1, 2) * uniform(0, 1, 1, 1)
        after = centre + moved + normal(OWN_SHIFT * scale, STICKS, 2) * uniform(0, 1, 1, 1)
        camera = normal(CAMERA_SHIFT * scale, 1, 2) * (uniform(0, 1, 1, 1) < CAMERA)
        middle = torch.full((n, 1, 2), size / 2, **_PLAIN)
        angle, turn = uniform(-np.pi, np.pi, STICKS), normal(0.5, STICKS) * uniform(0, 1, 1)
        still = torch.zeros(n, 1, **_PLAIN)
        grow = torch.exp(normal(0.05, STICKS))
        self.centre = torch.stack((torch.cat((middle, centre), 1), torch.cat((middle + camera, after), 1)))
        self.angle = torch.stack((torch.cat((still, angle), 1), torch.cat((still, angle + turn), 1)))
        self.grow = torch.stack((torch.ones(n, STICKS + 1, **_PLAIN), torch.cat((torch.ones(n, 1, **_PLAIN), grow), 1)))
        base = uniform(0, 1, 1, 3)
        self.colour = (base + uniform(-0.25, 0.25, STICKS + 1, 3)).clamp(0, 1)
        self.colour[:, 0] = uniform(0, 1, 3)
        self.wave, self.phase = uniform(0.2, 1.0, STICKS + 1, 2) / scale, uniform(0, 2 * np.pi, STICKS + 1)
        self.depth = uniform(0, 0.25, STICKS + 1)
        coarse = torch.from_numpy(rng.uniform(-1, 1, (n, 3, 9, 9))).float() * uniform(0, 0.3, 1, 1, 1)
        self.ground = F.interpolate(coarse, (2 * size, 2 * size), mode="bilinear", align_corners=True)
        y, x = torch.meshgrid(*[torch.arange(size, **_PLAIN)] * 2, indexing="ij")
        self.pixels = torch.stack((x, y), dim=-1).reshape(-1, 2) + 0.5

    def local(self, side: int, points: Float[Tensor, "n l p 2"]) -> Tensor:
        """Return points of an image in the layers' own frames."""
        away = (points - self.centre[side][:, :, None]) / self.grow[side][..., None, None]
        cos, sin = self.angle[side].cos()[..., None], self.angle[side].sin()[..., None]
        return torch.stack((cos * away[..., 0] + sin * away[..., 1], cos * away[..., 1] - sin * away[..., 0]), dim=-1)

    def covers(self, local: Tensor) -> Tensor:
        """Return which layers own which of their points."""
        along = local[..., 0].abs() - self.length[..., None]
        outside = torch.stack((along.clamp(min=0), local[..., 1]), dim=-1).norm(dim=-1)
        return outside < self.radius[..., None]

    def top(self, side: int) -> Tensor:
        """Return which layer each pixel shows, (n, pixels)."""
        covered = self.covers(self.local(side, self.pixels[None, None].expand(len(self.radius), STICKS + 1, -1, -1)))
        order = torch.arange(1, STICKS + 2, dtype=torch.int64, device="cpu")[None, :, None]
        return (covered * order).argmax(dim=1)

    def paint(self, side: int, top: Tensor) -> Tensor:
        """Return the image, (n, 3, h, w)."""
        local = self._of(top, self.local(side, self.pixels[None, None].expand(len(top), STICKS + 1, -1, -1)))
        layer = top[..., None]
        colour = self.colour.gather(1, layer.expand(-1, -1, 3))
        angle = (local * self.wave.gather(1, layer.expand(-1, -1, 2))).sum(-1) + self.phase.gather(1, top)
        wave = torch.sign(torch.sin(2 * angle)) if self.checked else torch.sin(angle)
        shade = 1 + self.depth.gather(1, top) * wave
        at = (local / self.size).clamp(-1, 1)[:, None]
        ground = F.grid_sample(self.ground, at, align_corners=True)[:, :, 0].transpose(1, 2)
        image = colour * shade[..., None] + ground * (layer == 0)
        return image.clamp(0, 1).transpose(1, 2).reshape(len(top), 3, self.size, self.size)

    def flow(self, side: int, top: Tensor, other_top: Tensor) -> tuple[Tensor, Tensor]:
        """Return where each pixel's point lies in the other image, and whether it is seen there."""
        n, other = len(top), 1 - side
        local = self._of(top, self.local(side, self.pixels[None, None].expand(n, STICKS + 1, -1, -1)))
        angle, grow = self.angle[other].gather(1, top), self.grow[other].gather(1, top)[..., None]
        cos, sin = angle.cos(), angle.sin()
        turned = torch.stack((cos * local[..., 0] - sin * local[..., 1], sin * local[..., 0] + cos * local[..., 1]), -1)
        position = grow * turned + self.centre[other].gather(1, top[..., None].expand(-1, -1, 2))
        inside = ((position >= 0) & (position <= self.size)).all(dim=-1)
        pixel = position.floor().long().clamp(0, self.size - 1)
        shown = other_top.gather(1, pixel[..., 1] * self.size + pixel[..., 0])
        seen = inside & (shown == top)
        flow = (position - self.pixels).transpose(1, 2).reshape(n, 2, self.size, self.size)
        return torch.where(flow.abs() < 1e-4, 0.0, flow), seen.reshape(n, self.size, self.size)

    def _of(self, top: Tensor, values: Tensor) -> Tensor:
        """Return each pixel's value of its own layer, (n, pixels, 2)."""
        return values.gather(1, top[:, None, :, None].expand(-1, 1, -1, 2))[:, 0]
