"""What noise is carried along: moving planes with exact maps, and a drawn scene with exact or estimated flow."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from corrwise.experiments.cli.table_noise_carriers import PLANES, SCENE, NoiseCarrierTableConfig
from corrwise.experiments.studies.toy.drawings import car, street
from corrwise.predictors.restoration import Affine, FrameMap, affine_maps, flow_maps, video_maps

__all__ = ["ESTIMATED", "SCENE_SPEED", "maps_of", "motion_names", "scene"]

ESTIMATED = ":flow="  # before the name of a flow
SCENE_SPEED = 1  # px a frame: of the car to the right, and of the street to the left
_CAR = 0.35  # width of the car, as a share of the image's; the rest is where it drives


def motion_names(config: NoiseCarrierTableConfig) -> list[str]:
    """Return all motions that a table has: planes, and the drawn scene by its exact flow and by estimated ones."""
    return [*config.motions, *(f"{SCENE}{ESTIMATED}{flow}" for flow in config.flows)]


def maps_of(motion: str, config: NoiseCarrierTableConfig, frames: int | None = None) -> Iterator[FrameMap]:
    """Return the map of each frame of a motion, the first included.

    Args:
        motion: see ``motion_names``.
        config: the size, the number of frames and the scene's seed.
        frames: of the motion; None is those of the table.
    """
    count = config.warps + 1 if frames is None else frames
    if motion in PLANES:
        return affine_maps([_step(motion, config.size)] * (count - 1), config.size, config.size)
    video, fields = scene(config, count)
    return flow_maps(fields) if motion == SCENE else video_maps(video, motion.removeprefix(f"{SCENE}{ESTIMATED}"))


def _step(motion: str, size: int) -> Affine:
    """Return how a plane moves in a frame."""
    center = ((size - 1) / 2, (size - 1) / 2)
    return {
        "shift": Affine.shift(2, -1),
        "drift": Affine.shift(0.37, 0.61),
        "turn": Affine.turn(4, center),
        "zoom": Affine.turn(0, center, zoom=1.04),
    }[motion]


def scene(
    config: NoiseCarrierTableConfig, count: int
) -> tuple[Float[Tensor, "n 3 h w"], list[tuple[Float[Tensor, "2 h w"], Float[Tensor, "2 h w"]]]]:
    """Return the frames of a car that drives before a street, and the exact flows of each pair of frames.

    Both move by whole pixels, the car to the right and the street to the left. The flow of a pixel that is hidden in
    the other frame is that of its surface. A car that has reached the right edge leaves the image.
    """
    size, rng = config.size, np.random.default_rng(config.scene_seed)
    wide = torch.from_numpy(street((size, size + SCENE_SPEED * count), rng)).permute(2, 0, 1).float() / 255
    rgba = torch.from_numpy(np.array(car())).permute(2, 0, 1).float() / 255
    across = round(_CAR * size)
    down = max(1, round(across * rgba.shape[1] / rgba.shape[2]))
    small = F.interpolate(rgba[None], (down, across), mode="bilinear", antialias=True)[0].clamp(0, 1)
    frames, masks = [], []
    for number in range(count):
        left, top = 2 + SCENE_SPEED * number, round(0.62 * size)
        image = wide[:, :, SCENE_SPEED * number : SCENE_SPEED * number + size].clone()
        opaque = torch.zeros(size, size, dtype=torch.bool, device="cpu")
        seen = max(0, min(across, size - left))
        part = slice(top, top + down), slice(left, left + seen)
        color, alpha = small[:3, : size - top, :seen], small[3:, : size - top, :seen] > 0.5
        image[:, *part] = torch.where(alpha, color, image[:, *part])
        opaque[part] = alpha[0]
        frames.append(image)
        masks.append(opaque)
    fields = [(_flow(later, -SCENE_SPEED), _flow(earlier, SCENE_SPEED)) for earlier, later in pairwise(masks)]
    return torch.stack(frames), fields


def _flow(is_car: Tensor, speed: int) -> Float[Tensor, "2 h w"]:
    """Return where pixels come from that are the car's or the street's, for the car's displacement."""
    x = torch.where(is_car, float(speed), -float(speed))
    return torch.stack((x, torch.zeros_like(x)))
