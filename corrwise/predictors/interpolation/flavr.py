"""FLAVR (Kalluri et al., WACV 2023): frames in between by a 3-D U-Net, without any optical flow.

Sizes are those of Geng et al. (CVPR 2022, Sec. A4), who train it with two frames, and of the public code. The paper
of FLAVR describes a gate with a bottleneck; the public code's has none, and neither has this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Generator, Tensor, nn

from corrwise.predictors.data.windows import Batch
from corrwise.predictors.interpolation.times import check_fixed
from corrwise.predictors.models.base import Learned, check_channels
from corrwise.predictors.models.pretrained import Pretrained, Width
from corrwise.predictors.models.resnet3d import FewFramesConv3d
from corrwise.validation import Range, validated

__all__ = ["FLAVR", "FLAVRConfig", "window_places"]

_STRIDE = 8  # of the deepest features
_LEAK = 0.2


@validated(error=ValueError)
class FLAVRConfig:
    """How many frames the network sees and makes, and how wide it is; the defaults are the paper's for two frames.

    Attributes:
        context: frames that it sees, K: 2, or 4 as in FLAVR's paper; half of them before those that it makes.
        outputs: frames that it makes, at equal distances between the two middle ones.
        width: channels of the first convolution; 8 times as many at the deepest.
        blocks: residual blocks at each of the four levels.
        channels: of an image, 3 for each view.
        residual: whether the network makes what is added to the mean of the two middle frames, at first nothing,
            rather than to the mean colour of all. This is not in the papers; a small network learns faster with it.

    Raises:
        ValueError: a number that makes no network.
    """

    context: Annotated[int, Range(2, 1000)] = 2
    outputs: Annotated[int, Range(1, 100)] = 1
    width: Width = 64
    blocks: Annotated[int, Range(1, 100)] = 2
    channels: Width = 3
    residual: bool = False

    def __post_init__(self) -> None:
        if self.context % 2:
            raise ValueError(f"context must be an even number, got {self.context}")


class FLAVR(Pretrained):
    """A ``FixedTimes`` interpolator: K frames at equal distances to those between the two middle ones.

    Images of any size are padded at the right and the bottom to multiples of 8 by their border.

    Attributes:
        known: times of the frames that it sees, 0 to K - 1.
        between: times of those that it makes.
    """

    name, config_type = "flavr", FLAVRConfig

    def __init__(self, config: FLAVRConfig | None = None) -> None:
        super().__init__()
        self.config = config = FLAVRConfig() if config is None else config
        w, bias = config.width, config.outputs > 1
        self.stem = FewFramesConv3d(config.channels, w, (3, 7, 7), stride=2, padding_mode="zeros", bias=bias)
        widths, strides = (w, w, 2 * w, 4 * w, 8 * w), (1, 2, 2, 1)
        self.levels = nn.ModuleList(
            nn.Sequential(
                *(_Block(widths[i] if k == 0 else widths[i + 1], widths[i + 1], strides[i] if k == 0 else 1, bias)
                  for k in range(config.blocks))
            )
            for i in range(4)
        )  # fmt: skip
        self.up = nn.ModuleList(
            [
                _Gated(FewFramesConv3d(8 * w, 4 * w, (3, 3, 3), padding_mode="zeros"), 4 * w),
                _Gated(_Up(8 * w, 2 * w), 2 * w),
                _Gated(_Up(4 * w, w), w),
                _Gated(FewFramesConv3d(2 * w, w, (3, 3, 3), padding_mode="zeros"), w),
                _Gated(_Up(2 * w, w), w),
            ]
        )
        self.fuse = nn.Conv2d(w * config.context, w, 1)
        self.last = nn.Conv2d(w, config.channels * config.outputs, 7)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):  # the transposed and the 2-D ones keep torch's own draws
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        if config.residual:
            for weights in self.last.parameters():
                nn.init.zeros_(weights)

    @property
    def known(self) -> tuple[float, ...]:
        """The times of the frames that it sees."""
        return tuple(map(float, range(self.config.context)))

    @property
    def between(self) -> tuple[float, ...]:
        """The times of the frames that it makes."""
        parts = self.config.outputs + 1
        return tuple(self.config.context / 2 - 1 + (i + 1) / parts for i in range(self.config.outputs))

    def forward(
        self, frames: Float[Tensor, "B K C h w"], times: Sequence[float | int], wanted: Sequence[float | int]
    ) -> Float[Tensor, "B T C h w"]:
        """Return the frames of the wanted times, in [0, 1]; the network's last layer has no such bounds.

        Raises:
            TypeError, ValueError: times that are not its own (``check_fixed``), or images of other channels.
        """
        places = check_fixed(self, frames, times, wanted)
        check_channels(frames, self.config)
        return self.interpolate(frames)[:, places].clamp(0, 1)

    def interpolate(self, frames: Float[Tensor, "B K C h w"]) -> Float[Tensor, "B outputs C h w"]:
        """Return what the network makes of its K frames, as it is: for training, without bounds."""
        height, width = frames.shape[-2:]
        pad = -height % _STRIDE, -width % _STRIDE
        if any(pad):
            frames = F.pad(frames.flatten(0, 1), (0, pad[1], 0, pad[0]), mode="replicate").unflatten(
                0, frames.shape[:2]
            )
        mean = frames.mean(dim=(1, 3, 4), keepdim=True)
        x = F.relu(self.stem((frames - mean).transpose(1, 2)))
        seen = [x]
        for level in self.levels:
            x = level(x)
            seen.append(x)
        for up, skip in zip(self.up[:-1], seen[3::-1], strict=True):
            x = torch.cat([F.leaky_relu(up(x), _LEAK), skip], dim=1)
        x = F.leaky_relu(self.up[-1](x), _LEAK)
        x = F.leaky_relu(self.fuse(x.flatten(1, 2)), _LEAK)
        painted = self.last(F.pad(x, (3,) * 4, mode="reflect"))
        made = painted.unflatten(1, (self.config.outputs, self.config.channels)).float()
        middle = frames.shape[1] // 2
        made = made + (frames[:, middle - 1 : middle + 1].mean(dim=1, keepdim=True) if self.config.residual else mean)
        return made[..., :height, :width]

    def learn(self, batch: Batch, noise: Generator | None = None) -> Learned:
        """Make the frames in between from windows whose first, last and equally distant frames are the K known ones.

        Raises:
            ValueError: a window that no such frames fit, or images of other channels.
        """
        check_channels(batch.frames, self.config)
        known, between = window_places(batch.frames.shape[1], self.config)
        made = self.interpolate(batch.frames[:, known])
        return Learned(made, batch.frames[:, between], made.new_zeros(()))


def window_places(length: int, config: FLAVRConfig) -> tuple[list[int], list[int]]:
    """Return which frames of a window are known, and which are to be made.

    Args:
        length: frames of the window, K - 1 gaps and one; a gap is a multiple of ``outputs + 1`` frames.
        config: the model's.

    Raises:
        ValueError: another length.
    """
    gaps, parts = config.context - 1, config.outputs + 1
    gap = (length - 1) // gaps
    if gap < 1 or (length - 1) % gaps or gap % parts:
        got = f"a gap of {gap}" if gap and not (length - 1) % gaps else f"a window of {length} frames"
        raise ValueError(
            f"expected a gap of a multiple of {parts} frames between {config.context} known ones, of which the middle "
            f"gap has {config.outputs} to be made, got {got}"
        )
    middle = (config.context // 2 - 1) * gap
    return list(range(0, length, gap)), [middle + (i + 1) * gap // parts for i in range(config.outputs)]


class _Gate(nn.Module):
    """Scales each channel by a function of the means of all."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weigh = nn.Conv3d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.weigh(x.mean(dim=(2, 3, 4), keepdim=True)))


class _Block(nn.Module):
    """Two 3-D convolutions and a gate beside the identity, or beside a projection where the shape changes."""

    def __init__(self, channels: int, out: int, stride: int, bias: bool) -> None:
        super().__init__()
        self.first = FewFramesConv3d(channels, out, (3, 3, 3), stride=stride, padding_mode="zeros", bias=bias)
        self.second = FewFramesConv3d(out, out, (3, 3, 3), padding_mode="zeros", bias=bias)
        self.gate = _Gate(out)
        same = channels == out and stride == 1
        self.project = None if same else nn.Conv3d(channels, out, 1, (1, stride, stride), bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        beside = x if self.project is None else self.project(x)
        return F.relu(beside + self.gate(self.second(F.relu(self.first(x)))))


class _Gated(nn.Module):
    """A convolution with a gate behind it."""

    def __init__(self, convolution: nn.Module, width: int) -> None:
        super().__init__()
        self.convolution, self.gate = convolution, _Gate(width)

    def forward(self, x: Tensor) -> Tensor:
        gated: Tensor = self.gate(self.convolution(x))
        return gated


class _Up(nn.ConvTranspose3d):
    """A transposed convolution to twice the height and width."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(channels, out, (3, 4, 4), stride=(1, 2, 2), padding=(1, 1, 1))
