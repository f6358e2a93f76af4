"""A discriminator of motion: it sees a clip's maps of motion alone, and returns one logit, higher for real motion."""

from __future__ import annotations

from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from corrwise.costs.motion.flow_maps import check_clips
from corrwise.costs.motion.trunks import Mixing, TokenTrunk, Trunk
from corrwise.validation import Range, validated

__all__ = ["MotionDiscriminator", "MotionDiscriminatorConfig"]

_BRANCHES = 3


@validated(error=ValueError)
class MotionDiscriminatorConfig:
    """Sizes of a discriminator. A trunk that is handed over has its own; the branches' width alone concerns both.

    Attributes:
        trunk: how tokens exchange information: by attention, or by convolutions.
        width: features of a token.
        depth: blocks of the trunk.
        branches: after which blocks a branch reads the tokens, counted from 1; () is the last one and, evenly spaced
            before it, two more.
        heads: of the attention; they divide the width.
        patch: side of a token's patch, in pixels.
        span: maps that a patch covers, an odd number: its own and those beside it.
        branch_width: features of a branch.
        recompute: store only the tokens between blocks, and compute the rest again in the backward pass: less memory,
            more time, and the same gradients.

    Raises:
        ValueError: a number outside its range, heads that do not divide a width, or branches that are not in order.
    """

    trunk: Mixing = "transformer"
    width: Annotated[int, Range(1, 65_536)] = 64
    depth: Annotated[int, Range(1, 1000)] = 4
    branches: tuple[Annotated[int, Range(1, 1000)], ...] = ()
    heads: Annotated[int, Range(1, 1000)] = 4
    patch: Annotated[int, Range(1, 1000)] = 8
    span: Annotated[int, Range(1, 1000)] = 3
    branch_width: Annotated[int, Range(1, 65_536)] = 64
    recompute: bool = False

    def __post_init__(self) -> None:
        for name in ("width", "branch_width"):
            if getattr(self, name) % self.heads:
                raise ValueError(f"expected {name} in multiples of {self.heads} heads, got {getattr(self, name)}")
        if self.span % 2 != 1:
            raise ValueError(f"expected an odd span, with as many maps before as after, got {self.span}")
        if sorted(set(self.branches)) != list(self.branches) or (self.branches and self.branches[-1] > self.depth):
            raise ValueError(f"expected branches after blocks 1 to {self.depth}, in order, got {self.branches}")

    @property
    def taps(self) -> tuple[int, ...]:
        """After which blocks a branch reads the tokens."""
        spaced = {round(self.depth * (k + 1) / _BRANCHES) for k in range(_BRANCHES)} - {0}
        return self.branches or tuple(sorted(spaced))


class MotionDiscriminator(nn.Module):
    """Maps of motion to one logit: a trunk, branches at several of its depths, and a network that joins them.

    Args:
        config: sizes.
        trunk: in place of the one that the configuration describes, such as a teacher's own
            (``corrwise.predictors.generative.DenoiserTrunk``).

    Source: MoGAN, Sec. 4.3 and Appendix A, with branches as in APT (Lin et al. 2025).
    """

    def __init__(self, config: MotionDiscriminatorConfig, trunk: Trunk | None = None) -> None:
        super().__init__()
        self.config = config
        self.trunk: Trunk = trunk if trunk is not None else _made(config)
        width = config.branch_width
        self.branches = nn.ModuleList(_Branch(each, width, config.heads) for each in self.trunk.widths)
        joined = width * len(self.branches)
        self.join = nn.Sequential(nn.LayerNorm(joined), nn.Linear(joined, width), nn.SiLU(), nn.Linear(width, 1))

    def forward(self, maps: Float[Tensor, "n T 3 h w"]) -> Float[Tensor, " n"]:
        """Return a logit for each clip.

        Args:
            maps: of motion (``flow_maps``).

        Raises:
            TypeError: maps that are not floats.
            ValueError: maps of another shape, or of a size that the trunk does not take.
        """
        check_clips("maps", maps)
        tokens = self.trunk(maps)
        read = [branch(each) for branch, each in zip(self.branches, tokens, strict=True)]
        logits: Tensor = self.join(torch.cat(read, dim=-1))[:, 0]
        return logits


class _Branch(nn.Module):
    """A learned token attends to the tokens of one depth; a network reads it."""

    def __init__(self, tokens: int, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.token = nn.Parameter(
            torch.zeros(width, dtype=torch.get_default_dtype(), device=torch.get_default_device())
        )
        nn.init.normal_(self.token, std=width**-0.5)
        self.query = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width))
        self.pairs = nn.Sequential(nn.LayerNorm(tokens), nn.Linear(tokens, 2 * width))
        self.leave = nn.Linear(width, width)
        self.each = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, tokens: Float[Tensor, "n L d"]) -> Float[Tensor, "n width"]:
        token = self.token.expand(len(tokens), 1, -1)
        query = self.query(token).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        key, value = self.pairs(tokens).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = nn.functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        token = token + self.leave(attended)
        out: Tensor = (token + self.each(token))[:, 0]
        return out


def _made(config: MotionDiscriminatorConfig) -> TokenTrunk:
    return TokenTrunk(
        config.width,
        config.depth,
        config.taps,
        patch=config.patch,
        span=config.span,
        heads=config.heads,
        mixing=config.trunk,
        recompute=config.recompute,
    )
