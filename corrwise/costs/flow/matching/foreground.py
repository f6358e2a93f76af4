"""Which pixels show a moving body, from two pictures of a scene that is otherwise still, and nothing else."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["flattened", "foreground"]

LEVELS = 255
BINS = 16  # shades of a channel
SHARE = 0.3  # of a colour's pixels that must differ. Bodies' colours reach 0.5 and more, the background's some 0.1
FEWEST = 0.03  # share of the differing pixels; a body holds about half of them, less beside noise
OUTLINE = 51.0  # levels by which being body or not sets pixels apart, beside their colours


def foreground(image: Float[Tensor, "B C h w"], differs: Bool[Tensor, "B h w"]) -> Bool[Tensor, "B h w"]:
    """Return where ``image`` differs from another and shows a colour that is mostly found where they differ.

    What a body uncovers or hides differs too, but most of the background's pixels stay as they are. Where the body has
    the background's own colours, that is all of where the images differ. Counts are whole numbers, so a picture's
    result is the same to the bit whatever is beside it. NaN counts as black, and of more than three channels only the
    first three tell a colour.
    """
    image = image.detach()[:, :3]
    batch, bins = len(image), BINS ** image.shape[1]
    shades = (image.nan_to_num(0.0) * LEVELS).round().clamp(0, LEVELS).long() // ((LEVELS + 1) // BINS)
    colour = torch.zeros_like(shades[:, 0])
    for channel in shades.unbind(1):
        colour = BINS * colour + channel
    colour = colour.flatten(1)
    moving = torch.zeros(batch, bins, dtype=torch.float32, device=image.device)
    moving = moving.scatter_add(1, colour, differs.flatten(1).float())
    still = torch.zeros_like(moving).scatter_add(1, colour, (~differs).flatten(1).float())
    rare = moving >= SHARE * (moving + still)
    body = differs & rare.gather(1, colour).reshape(differs.shape)
    told = body.sum(dim=(1, 2), keepdim=True) >= FEWEST * differs.sum(dim=(1, 2), keepdim=True)
    return torch.where(told, body, differs)


def flattened(image: Float[Tensor, "B C h w"], body: Bool[Tensor, "B h w"]) -> Float[Tensor, "B C+1 h w"]:
    """Return the body's 8-bit levels about zero on a plain ground, and as one more channel its outline.

    Patches at a body's rim then look the same whatever is behind it.
    """
    levels = (LEVELS * image.detach()).float().round() - (LEVELS + 1) // 2
    inside = body[:, None]
    return torch.cat((torch.where(inside, levels, 0.0), OUTLINE * inside.float()), dim=1)
