"""The residual network of Geng et al. (CVPR 2022, Table A1): 3-D blocks over the context, then 2-D blocks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Generator, Tensor, nn

from corrwise.predictors.models.base import Memory, VideoPredictor
from corrwise.predictors.models.pretrained import ActionDim, ContextFrames, Width
from corrwise.validation import Range, validated

__all__ = ["FewFramesConv3d", "ResNet3D", "ResNet3DConfig", "UpConv2d"]


class FewFramesConv3d(nn.Conv3d):
    """A padded 3-D convolution with an odd kernel, computed as one 2-D convolution if there are few frames.

    The frames are then stacked along the channel axis. On a CPU this is five times as fast for two frames, and it never
    takes more multiplications.

    Args:
        channels, out: numbers of input and output channels.
        kernel: sizes over time, height and width.
        stride: over height and width; 1 over time.
        padding_mode: "replicate" or "zeros".
        bias: whether to add one.
    """

    def __init__(
        self,
        channels: int,
        out: int,
        kernel: tuple[int, int, int],
        *,
        stride: int = 1,
        padding_mode: Literal["replicate", "zeros"],
        bias: bool = True,
    ) -> None:
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        super().__init__(channels, out, kernel, (1, stride, stride), padding, bias=bias, padding_mode=padding_mode)

    def forward(self, x: Float[Tensor, "n c t h w"]) -> Float[Tensor, "n o t h2 w2"]:
        """Return the output of ``Conv3d``."""
        frames, taps = x.shape[2], self.kernel_size[0]
        if frames > taps:
            return super().forward(x)
        # The input frame of each tap of each output frame; beyond the ends it is replicated, or zero.
        times, offsets = (torch.arange(count, dtype=torch.int64, device="cpu") for count in (frames, taps))
        on = times[:, None] + offsets - taps // 2
        hits = F.one_hot(on.clamp(0, frames - 1), frames)
        if self.padding_mode == "zeros":
            hits = hits * ((on >= 0) & (on < frames))[..., None]
        weight = torch.einsum("ockyx,tks->toscyx", self.weight, hits.to(self.weight)).flatten(2, 3).flatten(0, 1)
        bias = None if self.bias is None else self.bias.repeat(frames)
        _, vertical, horizontal = (taps // 2 for taps in self.kernel_size)
        mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
        stacked = F.pad(x.transpose(1, 2).flatten(1, 2), (horizontal, horizontal, vertical, vertical), mode=mode)
        return F.conv2d(stacked, weight, bias, self.stride[-2:]).unflatten(1, (frames, -1)).transpose(1, 2)


class UpConv2d(nn.Conv2d):
    """Nearest up-sampling by two and a 3 x 3 convolution, as one transposed convolution: three times as fast."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(channels, out, 3)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n o h2 w2"]:
        """Return maps of twice the size, with zero padding."""
        # Two neighbouring up-sampled pixels are equal, so their weights add up.
        turned = F.pad(self.weight.transpose(0, 1).flip(-1, -2), (1, 1, 1, 1))
        return F.conv_transpose2d(x, 4 * F.avg_pool2d(turned, 2, stride=1), self.bias, stride=2, padding=1)


_INITIAL_STD = 0.02
_MOST = 1 - 1 / 255  # of a tanh: black and white lie half a level inside its range
_SMALL, _LEAK = 0.05, 0.05  # smaller changes, before the tanh, are scaled by _LEAK: with 0 they had no gradient


Blocks = Annotated[int, Range(0, 200)]


@validated(error=ValueError)
class ResNet3DConfig:
    """How wide and deep the network is; the defaults are the paper's.

    Attributes:
        context: frames that the network sees, K.
        action_dim: numbers of an action, A; 0 for plain video.
        width: channels of the first convolution.
        downs: how often the resolution is halved and the number of channels doubled.
        blocks3d, blocks2d: numbers of residual blocks over the context and over its last frame.
        keep: whether the network predicts the change of the last frame instead of the whole next frame, as in the
            paper. The change is added before the last tanh, and small changes are suppressed, so that a static
            background stays static. A new network returns the last frame.
        channels: of an image, 3 for each view.

    Raises:
        ValueError: a number outside its range.
    """

    context: ContextFrames = 3
    action_dim: ActionDim = 0
    width: Width = 64
    downs: Annotated[int, Range(0, 16)] = 3
    blocks3d: Blocks = 2
    blocks2d: Blocks = 4
    keep: bool = False
    channels: Width = 3


class ResNet3D(VideoPredictor):
    """Predicts the next frame from K frames; later frames are predicted from earlier predictions.

    The sides of images are multiples of ``2 ** downs``, and at least twice that.
    """

    deterministic = True
    name, config_type = "resnet3d", ResNet3DConfig

    def __init__(self, config: ResNet3DConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.width * 2**i for i in range(config.downs + 1)]
        wide = widths[-1]
        self.enter = nn.Sequential(
            FewFramesConv3d(config.channels, widths[0], (3, 7, 7), padding_mode="replicate"),
            nn.BatchNorm3d(widths[0]),
            nn.ReLU(),
        )
        self.down = nn.Sequential(*(_down(a, b) for a, b in itertools.pairwise(widths)))
        self.act = nn.Linear(config.action_dim, wide) if config.action_dim else None
        self.over_time = nn.Sequential(*(_Block3D(wide) for _ in range(config.blocks3d)))
        self.last = nn.Sequential(*(_Block2D(wide) for _ in range(config.blocks2d)))
        self.up = nn.Sequential(*(_up(b, a) for a, b in list(itertools.pairwise(widths))[::-1]))
        self.leave = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(widths[0], config.channels, 7))
        self.apply(_initialised)
        if config.keep:  # begin with changes around the threshold
            weight = self.leave[1].weight
            assert isinstance(weight, Tensor)
            nn.init.normal_(weight, 0.0, 2 * _SMALL * (2 / weight[0].numel()) ** 0.5)

    def start(self, frames: Tensor, actions: Tensor, noise: Sequence[Generator] | None) -> Memory:
        """Return the context and its features from the first layers, which all candidates share."""
        side = 2**self.config.downs
        if frames.shape[-1] % side or frames.shape[-2] % side or min(frames.shape[-2:]) < max(4, 2 * side):
            raise ValueError(
                f"expected images with sides that are multiples of {side} and at least {max(4, 2 * side)}, "
                f"got {tuple(frames.shape[-2:])}"
            )
        return frames, actions, self._encoded(frames)

    def step(self, memory: Memory, action: Tensor, noise: Sequence[Generator] | None) -> tuple[Tensor, Memory]:
        """Return the next frame, and the context that ends with it."""
        frames, actions, *encoded = memory
        features = encoded[0] if encoded else self._encoded(frames)
        actions = torch.cat([actions, action[:, None]], dim=1)
        if self.act is not None:
            features = features + self.act(actions).movedim(-1, 1)[..., None, None]
        hidden = self.last(self.over_time(features)[:, :, -1])
        output = self.leave(self.up(hidden)).float()  # also where layers are in half precision
        if self.config.keep:
            last = torch.atanh((2 * frames[:, -1] - 1).clamp(-_MOST, _MOST))
            output = last + F.softshrink(output, _SMALL) + _LEAK * output
        frame = (torch.tanh(output) + 1) / 2
        return frame, (torch.cat([frames[:, 1:], frame[:, None]], dim=1), actions[:, 1:])

    def _encoded(self, frames: Float[Tensor, "M K C h w"]) -> Float[Tensor, "M c K hc wc"]:
        features: Tensor = self.down(self.enter(2 * frames.movedim(1, 2) - 1))
        return features


def _down(a: int, b: int) -> nn.Module:
    return nn.Sequential(FewFramesConv3d(a, b, (3, 3, 3), stride=2, padding_mode="zeros"), nn.BatchNorm3d(b), nn.ReLU())


def _up(b: int, a: int) -> nn.Module:
    return nn.Sequential(UpConv2d(b, a), nn.BatchNorm2d(a), nn.ReLU())


class _Block3D(nn.Module):
    """Two 3-D convolutions beside the identity; no ReLU after the sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = (FewFramesConv3d(width, width, (3, 3, 3), padding_mode="replicate") for _ in range(2))
        self.norms = nn.ModuleList([nn.BatchNorm3d(width), nn.BatchNorm3d(width)])

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu(self.norms[0](self.first(x)))
        return x + self.norms[1](self.second(hidden))


class _Block2D(nn.Module):
    """The same in 2-D."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(width, width, 3), nn.Conv2d(width, width, 3)
        self.norms = nn.ModuleList([nn.BatchNorm2d(width), nn.BatchNorm2d(width)])

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu(self.norms[0](self.first(F.pad(x, (1,) * 4, mode="reflect"))))
        return x + self.norms[1](self.second(F.pad(hidden, (1,) * 4, mode="reflect")))


def _initialised(module: nn.Module) -> None:
    """Draw weights as the public code does, which keeps the default norms of the 3-D part."""
    if isinstance(module, (nn.Conv2d, nn.Conv3d)):
        nn.init.normal_(module.weight, 0.0, _INITIAL_STD)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, _INITIAL_STD)
