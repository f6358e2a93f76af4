"""What an agent makes of pictures without learning to see: their means along rows and along columns."""

from __future__ import annotations

import gymnasium
import torch
from jaxtyping import Float
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor

__all__ = ["Profiles", "profiles"]

_FLAT = 1e-3  # deviation of a profile that shows nothing


class Profiles(BaseFeaturesExtractor):
    """Row and column profiles of all pictures of a dictionary, one beside the other; nothing in it is learned.

    A convolutional network has to learn where things are before an agent can learn where to go, which takes far more
    steps than a small body needs.

    Args:
        observation_space: a dictionary of pictures, channels first as Stable-Baselines3 hands them over.
    """

    def __init__(self, observation_space: gymnasium.spaces.Dict) -> None:
        shapes = [space.shape or () for space in observation_space.spaces.values()]
        samples = [torch.zeros(1, *shape, dtype=torch.float32, device="cpu") for shape in shapes]
        super().__init__(observation_space, torch.cat([profiles(each) for each in samples], dim=1).shape[1])

    def forward(self, observations: dict[str, Tensor]) -> Float[Tensor, "B F"]:
        """Return the features of pictures in [0, 1]."""
        return torch.cat([profiles(pictures) for pictures in observations.values()], dim=1)


def profiles(pictures: Float[Tensor, "B c h w"]) -> Float[Tensor, "B F"]:
    """Return the mean of each column and of each row, each profile with mean 0 and deviation 1 along itself."""
    both = (pictures.mean(dim=2), pictures.mean(dim=3))
    return torch.cat([((p - p.mean(-1, keepdim=True)) / (p.std(-1, keepdim=True) + _FLAT)).flatten(1) for p in both], 1)
