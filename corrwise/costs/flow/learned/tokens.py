"""The tokens of a flow net: which cells of an image they are, and their recurrent update."""

from __future__ import annotations

from math import sqrt
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

__all__ = ["POSITION_BANDS", "Update", "bands", "groups", "token_index"]

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


EXPANSION = 2
ABSENT = -1e4  # added to the logit of a token that is only padding
CELLS = 4.0  # cells; flows and offsets are divided by this where the net reads them


class Update(nn.Module):
    """One update, with the same weights each time: self-attention, all-pairs correlation, and a two-layer network.

    Both directions go side by side: the batch's first half is x's tokens, its second half y's, on the same cells. The
    correlation of every token with every token of the other image is the all-pairs volume; each head leans it towards
    where the flow points now and reads from it the place of the match (a look-up of unlimited radius) and features.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, 6 * width)
        self.mix = nn.Linear(2 * width + 4 * heads + 2, width)
        self.norm_think = nn.LayerNorm(width)
        last = nn.Linear(EXPANSION * width, width)
        self.think = nn.Sequential(nn.Linear(width, EXPANSION * width), nn.ReLU(inplace=True), last)
        self.norm_move = nn.LayerNorm(width)
        self.move = nn.Linear(width, 2 + heads)
        like: dict[str, Any] = {"dtype": self.move.weight.dtype, "device": self.move.weight.device}
        self.spring_own = nn.Parameter(torch.linspace(-3.0, -1.0, heads, **like))
        self.spring_other = nn.Parameter(torch.linspace(-6.0, -3.0, heads, **like))
        for layer in (self.mix, last, self.move):
            nn.init.normal_(layer.weight, std=0.3 / sqrt(layer.in_features))
            nn.init.zeros_(layer.bias)

    def forward(
        self, tokens: Float[Tensor, "B2 n d"], places: Float[Tensor, "B2 n 2"], valid: Bool[Tensor, "B2 n"], times: int
    ) -> tuple[list[Float[Tensor, "B2 n 2"]], Float[Tensor, "B2 n d"]]:
        """Return the flow in cells after each update, and the tokens."""
        absent = torch.where(valid, 0.0, ABSENT).to(places)
        flow, flows = torch.zeros_like(places), []
        for _ in range(times):
            tokens, flow = self._once(tokens, places, flow, absent)
            flows.append(flow)
        return flows, tokens

    def _once(self, tokens: Tensor, places: Tensor, flow: Tensor, absent: Tensor) -> tuple[Tensor, Tensor]:
        parts = self._heads(self.project(self.norm(tokens)))
        mine = attend(*parts[:3], at=places, to=places, absent=absent, spring=self.spring_own, carry=flow)
        query, key, value = parts[3], swapped(parts[4]), swapped(parts[5])
        at = places + flow
        other = attend(query, key, value, at=at, to=places, absent=absent, spring=self.spring_other, carry=places)
        offset = other[1] - at[:, None]  # (B2, heads, n, 2)
        seen = torch.cat((mine[0], other[0], (mine[1] - flow[:, None]) / CELLS, offset / CELLS), dim=-1)
        tokens = tokens + self.mix(torch.cat((seen.transpose(1, 2).flatten(2), flow / CELLS), dim=-1))
        tokens = tokens + self.think(self.norm_think(tokens))
        move = self.move(self.norm_move(tokens))
        gates = torch.sigmoid(move[..., 2:])[..., None]
        return tokens, flow + move[..., :2] + (gates * offset.transpose(1, 2)).mean(dim=2)

    def _heads(self, projected: Tensor) -> tuple[Tensor, ...]:
        batch, n, _ = projected.shape
        return projected.reshape(batch, n, 6, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)


def attend(
    query: Float[Tensor, "B g n d"],
    key: Float[Tensor, "B g n d"],
    value: Float[Tensor, "B g n d"],
    *,
    at: Float[Tensor, "B n 2"],
    to: Float[Tensor, "B n 2"],
    absent: Float[Tensor, "B n"],
    spring: Float[Tensor, "g"],
    carry: Float[Tensor, "B n 2"],
) -> tuple[Float[Tensor, "B g n d"], Float[Tensor, "B g n 2"]]:
    """Return what attention reads of ``value`` and of ``carry``; logits fall by spring x squared distance (cells).

    The squared distance between ``at`` and ``to`` is part of the inner product, but for a term that is the same for all
    keys and so means nothing to a softmax; no matrix of all pairs is kept.
    """  # fmt: skip
    heads, stiff = query.shape[1], F.softplus(spring)[:, None, None]
    at, to, carry = (each[:, None].expand(-1, heads, -1, -1) for each in (at, to, carry))
    edge = absent[:, None, :, None] - stiff * to.square().sum(dim=-1, keepdim=True)
    longer_query = torch.cat((query / sqrt(query.shape[-1]), 2 * stiff * at, torch.ones_like(edge)), dim=-1)
    read = F.scaled_dot_product_attention(
        longer_query, torch.cat((key, to, edge), dim=-1), torch.cat((value, carry, torch.zeros_like(edge)), dim=-1),
        scale=1.0,
    )  # fmt: skip
    return read[..., :-3], read[..., -3:-1]


def swapped(both: Tensor) -> Tensor:
    """Exchange the batch's halves: what belongs to x stands where y's was."""
    return both.roll(both.shape[0] // 2, dims=0)
