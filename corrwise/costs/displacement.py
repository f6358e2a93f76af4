"""How far pixels move, in pixels, and a price for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from jaxtyping import Float
from torch import Tensor

from corrwise.costs.penalties import check_weight

__all__ = ["Displacement", "displacement_of"]


@dataclass(frozen=True)
class Displacement:
    """``weight`` times the mean over pixels of a power of the flow's length in pixels: a price for displacement.

    The weight is in units of the base distance per pixel of displacement to that power: intensity per pixel over an L1.
    The length is neither clipped nor robust, for a planner needs to know of a far goal how far it is. With power 1, for
    square images of side s, it is ``FlowMagnitude(weight * (s - 1), p=2)``, so the paper's 4.5 image widths are about
    0.071 per pixel at 64 px. With power 2 one limb far from its place counts more than all limbs a little off, as it
    does in the Euclidean distance of states.

    Raises:
        ValueError: a weight that is negative or not finite, or a power that is below 1 or not finite.
    """

    weight: float | int
    power: float | int = 1

    def __post_init__(self) -> None:
        check_weight(self.weight)
        if not 1 <= self.power < inf:
            raise ValueError(f"expected a finite power of at least 1, got {self.power}")

    def __call__(self, flow: Float[Tensor, "B 2 h w"], image: Float[Tensor, "B C h w"]) -> Float[Tensor, "B"]:
        """Return one penalty per sample; its gradient where nothing moves is zero."""
        squares = flow.square().sum(dim=1)
        powers = squares if self.power == 2 else _roots(squares) ** self.power
        return self.weight * powers.mean(dim=(-2, -1))


def displacement_of(flows: Sequence[Float[Tensor, "B 2 h w"]]) -> Float[Tensor, "B"]:
    """Return the mean length over the pixels of one or two flows, in pixels."""
    means = [_roots(flow.square().sum(dim=1)).mean(dim=(-2, -1)) for flow in flows]
    return sum(means[1:], start=means[0]) / len(means)


def _roots(squares: Float[Tensor, "B h w"]) -> Float[Tensor, "B h w"]:
    """Return the lengths of vectors of these squared lengths, with gradient zero where nothing moves.

    Faster than torch's norms, which take up to a hundred times as long over so short an axis.
    """
    still = squares == 0  # the root's slope there is infinite; NaN is not still and stays NaN
    return squares.masked_fill(still, 1).sqrt().masked_fill(still, 0)
