"""First guesses of damaged frames without a network: frames without holes, between which a flow is estimated."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.predictors.restoration.damage import Masking, Operator, as_images

__all__ = ["first_guess"]

_RADIUS = 3  # in pixels, of OpenCV's inpainting


def first_guess(operator: Operator, observed: Float[Tensor, "C oh ow"]) -> Float[Tensor, "C h w"]:
    """Return a frame without holes, in [0, 1].

    A small frame is enlarged bilinearly. Missing pixels are filled by OpenCV's inpainting (Telea), in steps of 1/255;
    that takes frames of 3 channels.

    Args:
        operator: what happened to the frame.
        observed: what is observed of it.

    Raises:
        TypeError: images that are not floats.
    """
    filled = operator.filled(as_images(observed[None]))[0]
    if not isinstance(operator, Masking):
        return filled
    missing = (operator.mask[0, 0] == 0).cpu().numpy().astype(np.uint8)
    image = (filled.permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    smooth = cv2.inpaint(image, missing, _RADIUS, cv2.INPAINT_TELEA)
    return (torch.from_numpy(smooth).permute(2, 0, 1).float() / 255).to(observed.device)
