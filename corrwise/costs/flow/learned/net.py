"""A small recurrent flow net: match coarse cells all against all, then refine pixels by looking again (RAFT-style).

Only cells where the two images differ become tokens, so a still background costs nothing and stays exactly still.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from corrwise.costs.flow.learned.encoder import CELL, Encoder, FlowNetConfig
from corrwise.costs.flow.learned.refiner import Refiner
from corrwise.costs.flow.learned.tokens import POSITION_BANDS, Update, bands, groups, token_index

__all__ = ["CELL", "Estimate", "FlowNet", "FlowNetConfig"]


@dataclass(frozen=True)
class Estimate:
    """The output of the net: both directions stacked along the batch, first x to y, then y to x.

    Attributes:
        coarse: the tokens' flow after each update, pixels, (updates, 2B, 2, h / 4, w / 4), zero where no token is.
        flows: the pixels' flow after each refinement, pixels, (refinements, 2B, 2, h, w).
    """

    coarse: Float[Tensor, "K B2 2 hc wc"]
    flows: Float[Tensor, "R B2 2 h w"]


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
        fine_x, coarse_x = self._encoded(x)
        fine_y, coarse_y = self._encoded(y)
        cells = F.max_pool2d(differs[:, None].float(), CELL)[:, 0] > 0
        features = torch.cat((coarse_x, coarse_y)).float()
        tokens, coarse = self._match(features, cells)
        flows = self.refiner(
            tokens,
            coarse[-1],
            torch.cat((fine_x, fine_y)),
            torch.cat((fine_y, fine_x)),
            torch.cat((differs, differs)),
            times=refinements or self.config.refinements,
        )
        return Estimate(coarse, torch.stack(flows))

    def _encoded(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of every image; of several equal ones in a row, such as a plan's goal, made once.

        Not where a gradient is asked for: it would reach the first of them alone.
        """
        if images.requires_grad:
            return self.encoder(images)
        fresh = (images[1:] != images[:-1]).flatten(1).any(dim=1)
        fresh = torch.cat((fresh.new_ones(1), fresh))
        which = fresh.cumsum(0) - 1
        fine, coarse = self.encoder(images[fresh])
        return fine[which], coarse[which]

    def _match(self, features: Tensor, cells: Bool[Tensor, "B hc wc"]) -> tuple[Tensor, Tensor]:
        """Return the tokens (2B, width, hc, wc) and their flow after each update (K, 2B, 2, hc, wc), in pixels.

        Pairs with few tokens are taken apart from those with many, so that little is computed for padding.
        """
        batch, grid = cells.shape[0], cells.shape[1:]
        flat, counts = features.flatten(2).transpose(1, 2), cells.sum(dim=(1, 2))
        tokens = features.new_zeros(2 * batch, grid.numel(), self.config.width)
        flows = features.new_zeros(2 * batch, grid.numel(), 2 * self.config.updates)
        for pairs in groups(counts.tolist()):
            chosen = torch.tensor(pairs, dtype=torch.int64, device=cells.device)
            index, valid = token_index(cells[chosen])
            rows = torch.cat((chosen, chosen + batch))[:, None]
            index, valid = torch.cat((index, index)), torch.cat((valid, valid))
            places = torch.stack((index % grid[1], index // grid[1]), dim=-1).to(features.dtype)
            tokens_of = self.embed(torch.cat((flat[rows, index], bands(places)), dim=-1))
            steps, tokens_of = self.update(tokens_of, places, valid, self.config.updates)
            where = (rows.expand_as(index)[valid], index[valid])
            tokens = tokens.index_put(where, tokens_of[valid].float())
            flows = flows.index_put(where, CELL * torch.cat(steps, dim=2)[valid].float())
        return _on_grid(tokens, grid), _on_grid(flows, grid).unflatten(1, (-1, 2)).transpose(0, 1)


def _on_grid(values: Float[Tensor, "n cells c"], grid: torch.Size) -> Float[Tensor, "n c hc wc"]:
    return values.transpose(1, 2).unflatten(2, grid)
