"""How wide and how patient a flow net is."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CELL", "HALF", "MOST", "FlowNetConfig"]

MOST = 8192  # channels, heads, updates and refinements
CELL = 4  # pixels to a side of a token's cell
HALF = 2  # pixels to a side of a fine feature's cell


@dataclass(frozen=True)
class FlowNetConfig:
    """How wide and how patient the net is.

    Attributes:
        fine: channels of the features at half resolution, on which pixels are refined.
        coarse: channels of the features at quarter resolution.
        width: channels of the tokens, one for each quarter-resolution cell; a multiple of ``heads``.
        heads: attention heads.
        hidden: channels of the refinement's recurrent state.
        updates: how often the tokens' flow is updated, with the same weights.
        refinements: how often the pixels' flow is refined, with the same weights.

    Raises:
        ValueError: a number that is not whole, above zero and at most ``MOST``, or a width that is no multiple
            of ``heads``.
    """

    fine: int = 24
    coarse: int = 64
    width: int = 96
    heads: int = 4
    hidden: int = 32
    updates: int = 3
    refinements: int = 2

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if type(value) is not int or value < 1:
                raise ValueError(f"expected {name} to be a whole number above 0, got {value!r}")
            if value > MOST:
                raise ValueError(f"expected {name} of at most {MOST}, got {value}")
        if self.width % self.heads:
            raise ValueError(f"expected width to be a multiple of {self.heads} heads, got {self.width}")
