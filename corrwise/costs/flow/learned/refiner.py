"""The recurrent refinement of a flow net's pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from corrwise.costs.flow.learned.config import CELL, HALF, FlowNetConfig
from corrwise.costs.flow.learned.windows import Windows

__all__ = ["Refiner", "look_up"]

_REACH = 3  # half-resolution pixels that three 3x3 convolutions, one look, see to each side


class Refiner(nn.Module):
    """Look at the source where the flow points, and correct the flow of every pixel; a gate keeps background still."""

    def __init__(self, config: FlowNetConfig) -> None:
        super().__init__()
        self.start = nn.Conv2d(config.width, HALF**2 * config.hidden, 1)
        looks = 2 * config.fine + config.hidden + 3
        self.look = nn.Conv2d(looks, config.hidden, 3, padding=1)
        self.think = nn.Conv2d(config.hidden, config.hidden, 3, padding=1)
        self.say = nn.Conv2d(config.hidden, HALF**2 * 3, 3, padding=1)

    def forward(
        self,
        tokens: Float[Tensor, "B2 d hc wc"],
        coarse: Float[Tensor, "B2 2 hc wc"],
        target: Float[Tensor, "B2 c hf wf"],
        source: Float[Tensor, "B2 c hf wf"],
        differs: Bool[Tensor, "B2 h w"],
        *,
        times: int,
    ) -> list[Float[Tensor, "B2 2 h w"]]:
        """Return the flow after each of ``times`` looks; zero where ``differs`` is False, about which nothing is asked.

        Only a window about the pixels that differ is computed, as wide as what their flow depends on.
        """
        marked = F.max_pool2d(differs[:, None].float(), HALF)[:, 0] > 0
        windows = Windows(marked, margin=_REACH * times)
        state = windows.cut(F.pixel_shuffle(self.start(tokens), HALF))
        moving = windows.cut(coarse, scale=HALF, cell=CELL)
        target, gate = windows.cut(target), torch.ones_like(moving[:, :1])
        asked = windows.cut(differs[:, None], scale=HALF)
        flows = []
        for _ in range(times):
            at = F.avg_pool2d(moving, HALF)
            seen = look_up(source, windows.corners + at / HALF).contiguous(memory_format=torch.channels_last)
            features = torch.cat((target, target - seen, F.relu(state)), dim=1)
            state = state + self.think(
                F.relu(self._look(features, torch.cat((at / 8, F.avg_pool2d(gate, HALF)), dim=1)))
            )
            said = F.pixel_shuffle(self.say(F.relu(state)), HALF)
            moving, gate = moving + said[:, :2], torch.sigmoid(said[:, 2:])
            flows.append(windows.place(moving * gate * asked, scale=HALF))
        return flows

    def _look(self, features: Tensor, motion: Tensor) -> Tensor:
        """Return one convolution of both inputs, without putting them into one tensor: their layouts differ."""
        last = torch.channels_last
        first, second = self.look.weight.split((features.shape[1], motion.shape[1]), dim=1)
        looked = F.conv2d(features, first.contiguous(memory_format=last), self.look.bias, padding=1)
        return looked + F.conv2d(motion, second.contiguous(memory_format=last), padding=1)


def look_up(features: Float[Tensor, "B c h w"], at: Float[Tensor, "B 2 H W"]) -> Float[Tensor, "B c H W"]:
    """Return the features at window pixels plus ``at``, both in the features' own pixels; the border's beyond it."""
    height, width = at.shape[2:]
    rows, columns = (torch.arange(side, dtype=torch.int64, device=at.device) for side in (height, width))
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    size = at.new_tensor([features.shape[3], features.shape[2]])[:, None, None]
    grid = ((2 * (torch.stack((x, y)).to(at) + at) + 1) / size - 1).permute(0, 2, 3, 1)
    return F.grid_sample(features, grid, padding_mode="border", align_corners=False)
