"""Which cells of a picture become tokens, where they are, and which pairs are computed together."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["POSITION_BANDS", "bands", "groups", "token_index"]

POSITION_BANDS = 6
STRETCH, FEW = 2, 32  # pairs are computed together whose numbers of tokens differ by no more than this; below, all are


def token_index(cells: Bool[Tensor, "B hc wc"]) -> tuple[Tensor, Bool[Tensor, "B n"]]:
    """Return the flat indices of the set cells of each sample, padded to the most of them, and which are real."""
    flat = cells.flatten(1)
    counts = flat.sum(dim=1)
    most = max(int(counts.max()), 1)
    order = torch.argsort((~flat).to(torch.uint8), dim=1, stable=True)[:, :most]
    return order, torch.arange(most, dtype=torch.int64, device=cells.device) < counts[:, None]


def groups(counts: list[int]) -> list[list[int]]:
    """Group the pairs by their number of tokens, each group's largest at most ``STRETCH`` times its smallest."""
    out: list[list[int]] = []
    smallest = 0
    for pair in sorted((i for i, count in enumerate(counts) if count), key=lambda i: counts[i]):
        if not out or counts[pair] > STRETCH * smallest:
            out.append([])
            smallest = max(counts[pair], FEW)
        out[-1].append(pair)
    return out


def bands(places: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n bands"]:
    """Return sines and cosines of positions (in cells) at octaves of wavelength from 4 cells up."""
    rates = torch.pi / 2 ** torch.arange(1, POSITION_BANDS + 1, device=places.device, dtype=places.dtype)
    angles = (places[..., None] * rates).flatten(-2)
    return torch.cat((angles.sin(), angles.cos()), dim=-1)
