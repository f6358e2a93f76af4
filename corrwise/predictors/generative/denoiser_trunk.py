"""A trained denoiser as the trunk of the motion discriminator: it reads maps of motion as if they were frames."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from corrwise.costs.motion.trunks import Place, recomputed
from corrwise.predictors.generative.denoiser import Denoiser

__all__ = ["DenoiserTrunk"]

_REACH = 4.0  # units of motion that become half of the range of a frame


class DenoiserTrunk(nn.Module):
    """The features of a denoiser's network for each map, at all its levels on the way up, with places and times.

    The denoiser sees map t as it sees the frame that it learned to predict: the K maps before it are the context (the
    first map again where there are fewer), and the change of the last one is what lies at the fixed ``time`` between
    noise and data. A motion of zero is grey, actions are zero. The network sees K + 1 maps at once; longer times meet
    in the branches of the discriminator. The weights begin as a copy of the teacher's, and learn; the features of
    places and times begin at zero.

    Args:
        teacher: which stays as it is.
        time: above 0, where the network sees no map at all, to 1. MoGAN's t* = 0 counts from the data: 1 here, without
            noise. APT saw a discriminator collapse at that time.
        reach: motion, in the unit of the maps, that is white or black.
        recompute: store only the levels' features, and compute the rest again in the backward pass.

    Raises:
        ValueError: a denoiser of other images than one view in colour, or a time or reach outside its range.
    """

    def __init__(
        self, teacher: Denoiser, *, time: float | int = 1.0, reach: float | int = _REACH, recompute: bool = False
    ) -> None:
        super().__init__()
        if teacher.config.channels != 3:
            raise ValueError(
                f"expected a denoiser of images of 3 channels, as maps have, got {teacher.config.channels}"
            )
        if not 0 < time <= 1:
            raise ValueError(f"expected a time above 0, where a denoiser sees noise alone, to 1, got {time}")
        if not reach > 0:
            raise ValueError(f"expected a reach above 0, got {reach}")
        self.denoiser = Denoiser(teacher.config)
        self.denoiser.load_state_dict(teacher.state_dict())
        del self.denoiser.network.leave  # weights that nothing uses would have no gradient
        self.time, self.reach, self.recompute = time, reach, recompute
        self.widths = self.denoiser.network.widths[::-1]
        places = [Place(width) for width in self.widths]
        for place in places:
            nn.init.zeros_(place.project.weight)
        self.places = nn.ModuleList(places)

    def forward(self, maps: Float[Tensor, "n T 3 h w"]) -> tuple[Float[Tensor, "n _ _"], ...]:
        """Return the tokens of each level, the coarsest first; a token is a cell of one map.

        Raises:
            ValueError: sides that are no multiples of the denoiser's.
        """
        side, shape = self.denoiser.network.side, tuple(maps.shape[-2:])
        if shape[0] % side or shape[1] % side:
            raise ValueError(f"expected maps with sides that are multiples of {side}, got {shape}")
        features = recomputed(self._features, maps) if self.recompute else self._features(maps)
        tokens = []
        for place, level in zip(self.places, features, strict=True):
            grid = level.unflatten(0, maps.shape[:2]).movedim(2, -1)
            tokens.append((grid + place(grid)).flatten(1, 3))
        return tuple(tokens)

    def _features(self, maps: Tensor) -> list[Tensor]:
        config, times = self.denoiser.config, maps.shape[1]
        images = 0.5 + maps / (2 * self.reach)
        # map t - k for each k, so that the last of the context is map t - 1
        places = torch.arange(times, dtype=torch.int64, device=maps.device)
        before = torch.stack([(places - k).clamp(min=0) for k in range(config.context, 0, -1)], dim=1)
        context = images[:, before].flatten(0, 1)
        actions = maps.new_zeros(len(context), config.context, config.action_dim)
        condition = self.denoiser.condition(context, actions)
        change = (images.flatten(0, 1) - condition.last) / config.scale
        at = torch.full((len(context), 1), self.time, dtype=torch.float32, device=maps.device)
        x_t = self.denoiser.path.alpha(at).to(change)[..., None, None] * change
        features: list[Tensor] = self.denoiser.network.features(*self.denoiser.inputs(condition, x_t, at))
        return features
