"""Flow of moving bodies alone, each pixel moving like those around it."""

from __future__ import annotations

from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.costs.flow.matching.alike import alike, noise
from corrwise.costs.flow.matching.foreground import flattened, foreground
from corrwise.costs.flow.matching.places import Chunk, Places, differing, paired_chunks, patches_of
from corrwise.costs.flow.matching.rigid import BodyGroup, Side, rigid_matches

__all__ = ["body_flows"]

LEVELS = 255
WINDOWS = (4, 16)  # the votes' windows: the image's longer side over 4 to either side of a pixel, then over 16
FILLS = (32, 16)  # the windows of the means in which a displacement ends


def body_flows(
    x: Float[Tensor, "B C h w"],
    y: Float[Tensor, "B C h w"],
    *,
    patch: int,
    penalty: float,
    rigidity: float,
    threshold: float,
    max_entries: int,
) -> tuple[Float[Tensor, "B 2 h w"], Float[Tensor, "B 2 h w"]]:
    """Return the flow of both directions, zero where the image shows no moving body; see ``AllPairsFlow``."""
    first, second = alike(x.detach(), y.detach())
    differs = differing(first, second, threshold=noise(first, second).clamp_min(threshold), reach=0)
    bodies = [foreground(image, differs) for image in (first, second)]
    patches = [patches_of(flattened(i, body), patch) for i, body in zip((first, second), bodies, strict=True)]
    places = Places(bodies[0]), Places(bodies[1])
    moves = [torch.zeros(each.total + 1, 2, dtype=torch.float32, device=x.device) for each in places]
    unit = LEVELS * sqrt(patch**2 * (x.shape[1] + 1))
    longer = max(x.shape[2:])
    windows, fills = (tuple(max(1, longer // part) for part in parts) for parts in (WINDOWS, FILLS))
    for chunks in paired_chunks(*places, max_entries):
        sides = [_side(*each) for each in zip(patches, places, chunks, strict=True)]
        group = BodyGroup(sides[0], sides[1], penalty * unit, rigidity * unit)
        for move, chunk, by in zip(moves, chunks, rigid_matches(group, windows=windows, fills=fills), strict=True):
            move[chunk.index] = by
    return places[0].scatter(moves[0]).to(x.dtype), places[1].scatter(moves[1]).to(x.dtype)


def _side(patches: Tensor, places: Places, chunk: Chunk) -> Side:
    return Side(places.look(patches, chunk), places.positions(chunk), chunk.valid)
