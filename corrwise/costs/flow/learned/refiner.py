"""The recurrent refinement of a flow net's pixels, in windows around what is marked."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from corrwise.costs.flow.learned.encoder import CELL, HALF, FlowNetConfig

__all__ = ["Refiner", "Windows", "look_up"]


class Windows:
    """The least size of window that holds all marked pixels of any image and a margin about them, and each one's place.

    A window stays inside its image, so the margin is narrower at a border. The windows of fields at another resolution
    follow by their ``scale``.

    Args:
        marked: the pixels that a window must hold, (B, h, w).
        margin: pixels about them.
    """

    def __init__(self, marked: Bool[Tensor, "B h w"], margin: int) -> None:
        self._sides = marked.shape[1:]
        top, height = _span(marked.any(dim=2), margin)
        left, width = _span(marked.any(dim=1), margin)
        self._corner, self._size = (left, top), (width, height)

    @property
    def corners(self) -> Float[Tensor, "B 2 1 1"]:
        """Where each window begins, (x, y)."""
        return torch.stack(self._corner, dim=1)[:, :, None, None].float()

    def cut(self, field: Shaped[Tensor, "B c hf wf"], *, scale: int = 1, cell: int = 1) -> Shaped[Tensor, "B c H W"]:
        """Return what the windows show of a field with ``scale`` times the pixels to a side; channels lie last.

        A field of cells, each ``cell`` such pixels to a side, is shown as if its pixels were there.
        """
        sample, row, column = self._index(scale)
        return field[sample, :, row // cell, column // cell].permute(0, 3, 1, 2)

    def place(self, window: Float[Tensor, "B c H W"], *, scale: int = 1) -> Float[Tensor, "B c hf wf"]:
        """Return fields that show the windows in their places and zero elsewhere."""
        height, width = self._sides
        field = window.new_zeros(len(window), height * scale, width * scale, window.shape[1])
        return field.index_put(self._index(scale), window.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def _index(self, scale: int) -> tuple[Tensor, Tensor, Tensor]:
        (left, top), (width, height) = self._corner, self._size
        sample = torch.arange(len(top), dtype=torch.int64, device=top.device)
        row = scale * top[:, None] + torch.arange(scale * height, dtype=torch.int64, device=top.device)
        column = scale * left[:, None] + torch.arange(scale * width, dtype=torch.int64, device=top.device)
        return sample[:, None, None], row[:, :, None], column[:, None, :]


def _span(marked: Bool[Tensor, "B n"], margin: int) -> tuple[Tensor, int]:
    """Return where each window begins along one axis, and how long all are."""
    side = marked.shape[1]
    first = marked.int().argmax(dim=1)
    last = torch.where(marked.any(dim=1), side - 1 - marked.flip(1).int().argmax(dim=1), first)
    length = min(int((last - first).max()) + 1 + 2 * margin, side)
    return (first - margin).clamp(0, side - length), length


_REACH = 3  # half-resolution pixels that three 3x3 convolutions, one step, see to each side


class Refiner(nn.Module):
    """Read the source where the flow points, and correct the flow of every pixel; a gate keeps background still."""

    def __init__(self, config: FlowNetConfig) -> None:
        super().__init__()
        self.start = nn.Conv2d(config.width, HALF**2 * config.hidden, 1)
        channels = 2 * config.fine + config.hidden + 3
        self.look = nn.Conv2d(channels, config.hidden, 3, padding=1)
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
        """Return the flow after each of ``times`` steps; zero where ``differs`` is False, about which nothing is asked.

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
            correction = F.pixel_shuffle(self.say(F.relu(state)), HALF)
            moving, gate = moving + correction[:, :2], torch.sigmoid(correction[:, 2:])
            flows.append(windows.place(moving * gate * asked, scale=HALF))
        return flows

    def _look(self, features: Tensor, motion: Tensor) -> Tensor:
        """Return one convolution of both inputs, without putting them into one tensor: their layouts differ."""
        last = torch.channels_last
        first, second = self.look.weight.split((features.shape[1], motion.shape[1]), dim=1)
        read = F.conv2d(features, first.contiguous(memory_format=last), self.look.bias, padding=1)
        return read + F.conv2d(motion, second.contiguous(memory_format=last), padding=1)


def look_up(features: Float[Tensor, "B c h w"], at: Float[Tensor, "B 2 H W"]) -> Float[Tensor, "B c H W"]:
    """Return the features at window pixels plus ``at``, both in the features' own pixels; the border's beyond it."""
    height, width = at.shape[2:]
    rows, columns = (torch.arange(side, dtype=torch.int64, device=at.device) for side in (height, width))
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    size = at.new_tensor([features.shape[3], features.shape[2]])[:, None, None]
    grid = ((2 * (torch.stack((x, y)).to(at) + at) + 1) / size - 1).permute(0, 2, 3, 1)
    return F.grid_sample(features, grid, padding_mode="border", align_corners=False)
