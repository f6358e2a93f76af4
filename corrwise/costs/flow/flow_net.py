"""A small recurrent flow net: match coarse cells all against all, then refine pixels by looking again (RAFT-style).

Only cells where the two images differ become tokens, so a still background costs nothing and stays exactly still.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from corrwise.costs.flow._tokens import Update

__all__ = ["CELL", "FlowNet", "FlowNetConfig"]

CELL = 4  # pixels to a side of a token's cell
HALF = 2  # pixels to a side of a fine feature's cell
POSITION_BANDS = 6
STRETCH, FEW = 2, 32  # pairs are computed together whose numbers of tokens differ by no more than this; below, all are


@dataclass(frozen=True)
class FlowNetConfig:
    """How wide and how patient the net is.

    Attributes:
        fine: channels of the features at half resolution, on which pixels are refined.
        coarse: channels of the features at quarter resolution.
        width: channels of the tokens, one for each quarter-resolution cell; a multiple of ``heads``.
        heads: attention heads.
        hidden: channels of the refinement's recurrent state.
        updates: how often the tokens' flow is updated, with the same weights.
        refinements: how often the pixels' flow is refined, with the same weights.
    """

    fine: int = 24
    coarse: int = 64
    width: int = 96
    heads: int = 4
    hidden: int = 32
    updates: int = 5
    refinements: int = 2


@dataclass(frozen=True)
class Estimate:
    """What the net says: both directions stacked along the batch, first x to y, then y to x.

    Attributes:
        coarse: the tokens' flow after each update, pixels, (updates, 2B, 2, h / 4, w / 4), zero where no token is.
        flows: the pixels' flow after each refinement, pixels, (refinements, 2B, 2, h, w).
    """

    coarse: Float[Tensor, "K B2 2 hc wc"]
    flows: Float[Tensor, "R B2 2 h w"]


class _Residual(nn.Module):
    """Two 3x3 convolutions beside the identity; the second begins at zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(F.relu(x))))


class Encoder(nn.Module):
    """Features of one image at half and at quarter resolution."""

    def __init__(self, config: FlowNetConfig) -> None:
        super().__init__()
        fine, coarse = config.fine, config.coarse
        self.stem = nn.Conv2d(3, fine, 5, stride=2, padding=2)
        self.fine = nn.Sequential(_Residual(fine), _Residual(fine))
        self.down = nn.Conv2d(fine, coarse, 3, stride=2, padding=1)
        self.coarse = nn.Sequential(_Residual(coarse), _Residual(coarse))

    def forward(self, images: Float[Tensor, "B 3 h w"]) -> tuple[Tensor, Tensor]:
        fine = self.fine(self.stem(2 * images - 1))
        return fine, self.coarse(self.down(F.relu(fine)))


class Refiner(nn.Module):
    """Look at the source where the flow points, and correct the flow of every pixel; a gate keeps background still."""

    def __init__(self, config: FlowNetConfig) -> None:
        super().__init__()
        self.start = nn.Conv2d(config.width, HALF**2 * config.hidden, 1)
        looks = 2 * config.fine + config.hidden + 3
        self.look = nn.Conv2d(looks, config.hidden, 3, padding=1)
        self.think = nn.Conv2d(config.hidden, config.hidden, 3, padding=1)
        self.say = nn.Conv2d(config.hidden, HALF**2 * 3, 3, padding=1)

    def forward(self, tokens: Tensor, coarse: Tensor, target: Tensor, source: Tensor, times: int) -> list[Tensor]:
        """Return the flow (B2, 2, h, w) after each of ``times`` looks."""
        state = F.pixel_shuffle(self.start(tokens), HALF)
        moving = F.interpolate(coarse, scale_factor=CELL, mode="nearest")
        gate = torch.ones_like(moving[:, :1])
        flows = []
        for _ in range(times):
            at = F.avg_pool2d(moving, HALF)
            seen = look_up(source, at / HALF)
            state = state + self.think(F.relu(self.look(
                torch.cat((target, target - seen, F.relu(state), at / 8, F.avg_pool2d(gate, HALF)), dim=1)
            )).relu())  # fmt: skip
            said = F.pixel_shuffle(self.say(F.relu(state)), HALF)
            moving, gate = moving + said[:, :2], torch.sigmoid(said[:, 2:])
            flows.append(moving * gate)
        return flows


class FlowNet(nn.Module):
    """``net(x, y, differs)``: images in [0, 1] with sides that are multiples of 4, and the pixels where they differ."""

    def __init__(self, config: FlowNetConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.embed = nn.Linear(config.coarse + 4 * POSITION_BANDS, config.width)
        self.update = Update(config.width, config.heads)
        self.refiner = Refiner(config)

    def forward(
        self,
        x: Float[Tensor, "B 3 h w"],
        y: Float[Tensor, "B 3 h w"],
        differs: Bool[Tensor, "B h w"],
        *,
        refinements: int | None = None,
    ) -> Estimate:
        """Return the flow of both directions, zero where ``differs`` is False."""
        fine_x, coarse_x = self.encoder(x)
        fine_y, coarse_y = self.encoder(y)
        cells = F.max_pool2d(differs[:, None].float(), CELL)[:, 0] > 0
        features = torch.cat((coarse_x, coarse_y))
        tokens, coarse = self._match(features, cells)
        flows = self.refiner(
            tokens,
            coarse[-1],
            torch.cat((fine_x, fine_y)),
            torch.cat((fine_y, fine_x)),
            refinements or self.config.refinements,
        )
        mask = torch.cat((differs, differs))[:, None]
        return Estimate(coarse, torch.stack([flow * mask for flow in flows]))

    def _match(self, features: Tensor, cells: Bool[Tensor, "B hc wc"]) -> tuple[Tensor, Tensor]:
        """Return the tokens (2B, width, hc, wc) and their flow after each update (K, 2B, 2, hc, wc), in pixels.

        Pairs with few tokens are taken apart from those with many, so that little is computed for padding.
        """
        batch, grid = cells.shape[0], cells.shape[1:]
        flat, counts = features.flatten(2).transpose(1, 2), cells.sum(dim=(1, 2))
        tokens = features.new_zeros(2 * batch, grid.numel(), self.config.width)
        flows = features.new_zeros(2 * batch, grid.numel(), 2 * self.config.updates)
        for pairs in groups(counts.tolist()):
            chosen = torch.tensor(pairs, device=cells.device)
            index, valid = token_index(cells[chosen])
            rows = torch.cat((chosen, chosen + batch))[:, None]
            index, valid = torch.cat((index, index)), torch.cat((valid, valid))
            places = torch.stack((index % grid[1], index // grid[1]), dim=-1).to(features.dtype)
            found = self.embed(torch.cat((flat[rows, index], bands(places)), dim=-1))
            steps, found = self.update(found, places, valid, self.config.updates)
            where = (rows.expand_as(index)[valid], index[valid])
            tokens = tokens.index_put(where, found[valid])
            flows = flows.index_put(where, CELL * torch.cat(steps, dim=2)[valid])
        return _on_grid(tokens, grid), _on_grid(flows, grid).unflatten(1, (-1, 2)).transpose(0, 1)


def token_index(cells: Bool[Tensor, "B hc wc"]) -> tuple[Tensor, Bool[Tensor, "B n"]]:
    """Return the flat indices of the set cells of each sample, padded to the most of them, and which are real."""
    flat = cells.flatten(1)
    counts = flat.sum(dim=1)
    most = max(int(counts.max()), 1)
    order = torch.argsort((~flat).to(torch.uint8), dim=1, stable=True)[:, :most]
    return order, torch.arange(most, device=cells.device) < counts[:, None]


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


def _on_grid(values: Float[Tensor, "n cells c"], grid: torch.Size) -> Float[Tensor, "n c hc wc"]:
    return values.transpose(1, 2).unflatten(2, grid)


def bands(places: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n bands"]:
    """Return sines and cosines of positions (in cells) at octaves of wavelength from 4 cells up."""
    rates = torch.pi / 2 ** torch.arange(1, POSITION_BANDS + 1, device=places.device, dtype=places.dtype)
    angles = (places[..., None] * rates).flatten(-2)
    return torch.cat((angles.sin(), angles.cos()), dim=-1)


def look_up(features: Float[Tensor, "B c h w"], flow: Float[Tensor, "B 2 h w"]) -> Float[Tensor, "B c h w"]:
    """Return the features where the flow (in their own pixels) points; the border's own beyond it."""
    height, width = features.shape[2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=flow.device), torch.arange(width, device=flow.device), indexing="ij"
    )
    at = torch.stack((x, y)).to(flow) + flow
    size = at.new_tensor([width, height])[:, None, None]
    grid = ((2 * at + 1) / size - 1).permute(0, 2, 3, 1)
    return F.grid_sample(features, grid, padding_mode="border", align_corners=False)
