"""Average images: those that minimise the expected distance to random images (Geng et al., CVPR 2022, Sec. 3.3)."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from corrwise.predictors.models.resnet3d import ResNet3D, ResNet3DConfig
from corrwise.types import Distance

__all__ = ["NetworkImage", "PixelImages", "average_image"]

Draw = Callable[[int], Float[Tensor, "S n C h w"]]


class PixelImages(nn.Module):
    """Images whose pixels are the parameters.

    Args:
        start: the first values, in [0, 1].
    """

    def __init__(self, start: Float[Tensor, "n C h w"]) -> None:
        super().__init__()
        self.pixels = nn.Parameter(start.detach().clone())

    def forward(self) -> Float[Tensor, "n C h w"]:
        """Return the images."""
        return self.pixels

    @torch.no_grad()
    def clip(self) -> None:
        """Move values outside [0, 1] to the nearer end."""
        self.pixels.clamp_(0, 1)


class NetworkImage(nn.Module):
    """One image as the output of a network, the paper's baseline model, whose input is fixed Gaussian noise (Sec. A1).

    The network stays in training mode: its batch normalisation uses the statistics of this one image.

    Args:
        size: height and width, multiples of 8 and at least 16.
        width: channels of the first convolution, 64 in the paper.
        seed: of the noise and of the initial weights.

    Raises:
        ValueError: a width or size that the network does not have (``ResNet3D``).
    """

    noise: Tensor

    def __init__(self, size: tuple[int, int], *, width: int = 64, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = ResNet3D(ResNet3DConfig(context=1, width=width))
        generator = Generator("cpu").manual_seed(seed)
        noise = torch.randn(1, 1, 3, *size, generator=generator, dtype=torch.float32, device="cpu")
        self.register_buffer("noise", (noise + 1) / 2)  # the network maps [0, 1] to [-1, 1], and then sees the noise

    def forward(self) -> Float[Tensor, "1 3 h w"]:
        """Return the image, in [0, 1]."""
        none = self.noise.new_zeros(1, 0)
        memory = self.network.start(self.noise, none[:, None, :0].expand(1, 0, 0), None)
        return self.network.step(memory, none, None)[0]

    def clip(self) -> None:
        """Do nothing: the network's last layer has the bounds."""


@torch.enable_grad()
def average_image(
    image: PixelImages | NetworkImage,
    draw: Draw,
    distance: Distance,
    *,
    steps: int,
    lr: float,
    decay: bool = False,
    progress: Callable[[], object] = lambda: None,
) -> Float[Tensor, "n C h w"]:
    """Minimise the expected distance between n images and random ones by Adam, and return the images.

    The images are the first argument of the distance, as predictions are in training. Each one's gradient is that of
    its own distances.

    Args:
        image: what is optimised, in place.
        draw: ``draw(step)`` returns S targets for each of the n images.
        distance: one value per pair of images, with gradients.
        steps: of Adam.
        lr: its learning rate, the first one if it decays.
        decay: whether it falls to zero along a cosine, which removes the noise of the last draws.
        progress: called after each step.

    Raises:
        ValueError: the distance has no gradients.
    """
    adam = torch.optim.Adam(image.parameters(), lr=lr)
    for step in range(steps):
        for group in adam.param_groups if decay else ():
            group["lr"] = lr * (1 + cos(pi * step / steps)) / 2
        targets = draw(step)
        adam.zero_grad()
        loss = distance(image().expand_as(targets).flatten(0, 1), targets.flatten(0, 1)).sum()
        if not loss.requires_grad:
            raise ValueError("expected a distance with gradients, got one without")
        loss.backward()
        adam.step()
        image.clip()
        progress()
    return image().detach()
