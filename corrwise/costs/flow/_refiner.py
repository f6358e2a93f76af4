"""The recurrent refinement of a flow net's pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from corrwise.costs.flow._flow_net_config import CELL, HALF, FlowNetConfig

__all__ = ["Refiner", "look_up"]


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
