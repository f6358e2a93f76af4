"""A flow refined by another: matches over long distances, made sub-pixel by a variational flow."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from corrwise.costs.flow.bidirectional import both_ways
from corrwise.costs.warp import warp
from corrwise.types import Flow, has_gradient

__all__ = ["Polished"]


class Polished:
    """Carry the source by one flow, ask another for the motion that is left, and follow both.

    ``f(p) = r(p) + g(p + r(p))``: ``g`` is the first flow, ``r`` the second, from the target to the carried source.

    Args:
        flow: finds the match.
        by: polishes it, such as ``DISFlow(finest_scale=0)``, whose variational refinement is sub-pixel.
    """

    def __init__(self, flow: Flow, by: Flow) -> None:
        self.flow, self.by = flow, by

    @property
    def differentiable(self) -> bool:
        """Whether the flow has a gradient: if both have."""
        return has_gradient(self.flow) and has_gradient(self.by)

    def __call__(self, target: Float[Tensor, "B C h w"], source: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 2 h w"]:
        """Return where to sample ``source`` so that it matches ``target``, in pixels.

        Raises:
            TypeError, ValueError: what the two flows refuse.
        """
        return self._left_over(target, source, self.flow(target, source))

    def both(
        self, x: Float[Tensor, "B C h w"], y: Float[Tensor, "B C h w"]
    ) -> tuple[Float[Tensor, "B 2 h w"], Float[Tensor, "B 2 h w"]]:
        """Return ``flow(x, y)`` and ``flow(y, x)``."""
        forward, backward = both_ways(self.flow, x, y)
        return self._left_over(x, y, forward), self._left_over(y, x, backward)

    def _left_over(self, target: Tensor, source: Tensor, flow: Tensor) -> Float[Tensor, "B 2 h w"]:
        rest = self.by(target, warp(source, flow))
        return rest + warp(flow, rest, padding="border")
