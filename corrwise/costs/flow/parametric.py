"""One affine map or homography in place of a dense flow: the weaker flows of the paper's Table 5."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from corrwise.costs._checks import check_batch_pair
from corrwise.costs._precision import in_full_precision
from corrwise.costs.flow._global_fit import AFFINE, HOMOGRAPHY, global_flow
from corrwise.costs.flow.bidirectional import both_ways
from corrwise.costs.flow.matching.all_pairs import AllPairsFlow
from corrwise.costs.flow.matching.places import REACH, THRESHOLD, differing
from corrwise.costs.warp import warp
from corrwise.types import Flow, has_gradient

__all__ = ["AffineFit", "HomographyFit"]

SUPPORTS = ("moving", "all")


class _GlobalFit:
    """What both fits share; only how many numbers their maps have sets them apart."""

    numbers: int

    def __init__(
        self,
        flow: Flow | None = None,
        *,
        support: str = "moving",
        iterations: int = 5,
        penalty: float | int = 0.01,
    ) -> None:
        if flow is not None and not callable(flow):
            raise ValueError(f"expected flow to be a flow estimator or None, got {flow!r}")
        if support not in SUPPORTS:
            raise ValueError(f"expected support to be one of {', '.join(SUPPORTS)}, got {support!r}")
        if iterations < 1:
            raise ValueError(f"expected iterations of at least 1, got {iterations}")
        self.flow = AllPairsFlow(penalty=penalty) if flow is None else flow
        self.support, self.iterations = support, iterations

    @property
    def differentiable(self) -> bool:
        """Whether the flow has a gradient: if the wrapped one has."""
        return has_gradient(self.flow)

    @in_full_precision
    def __call__(self, target: Float[Tensor, "B C h w"], source: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 2 h w"]:
        """Return where to sample ``source`` so that it matches ``target``, in pixels.

        Raises:
            TypeError, ValueError: not two float images (B, C, h, w) of one shape, or what the wrapped flow refuses.
        """
        check_batch_pair(target, source)
        if self.support == "all":
            return self._everywhere(self.flow(target, source))
        forward, backward = both_ways(self.flow, target, source)
        return self._moving(forward, backward, _moved(target, source))

    @in_full_precision
    def both(
        self, x: Float[Tensor, "B C h w"], y: Float[Tensor, "B C h w"]
    ) -> tuple[Float[Tensor, "B 2 h w"], Float[Tensor, "B 2 h w"]]:
        """Return ``flow(x, y)`` and ``flow(y, x)``; the wrapped flow is asked only once."""
        check_batch_pair(x, y)
        forward, backward = both_ways(self.flow, x, y)
        if self.support == "all":
            return self._everywhere(forward), self._everywhere(backward)
        moved = _moved(x, y)
        return self._moving(forward, backward, moved), self._moving(backward, forward, moved)

    def _everywhere(self, flow: Tensor) -> Tensor:
        every = torch.ones_like(flow[:, 0])
        return global_flow(flow, every > 0, every, numbers=self.numbers, iterations=self.iterations)

    def _moving(self, flow: Tensor, back: Tensor, moved: Tensor) -> Tensor:
        trust = _consistency(flow.detach(), back.detach())
        return global_flow(flow, moved, trust, numbers=self.numbers, iterations=self.iterations)


class AffineFit(_GlobalFit):
    """One affine map per pair, fitted robustly to the field of another flow: "Affine" in the paper's Table 5.

    The paper fits "a homography or an affine transformation to the predicted RAFT flow" (Geng, Hamilton, Owens, CVPR
    2022, Sec. 4.1) and uses the map in place of the flow, everywhere: ``AffineFit(RAFTFlow(), support="all")``. It does
    not say how it fits; here by iteratively reweighted least squares with Geman-McClure weights, in double precision.

    ``support="moving"``, a deviation and the default, fits where the images differ and returns zero elsewhere, and
    trusts a pixel the less, the farther from it the two directions lead when they follow each other. Where a camera is
    fixed and a small body moves, a fit to all pixels is a fit to the background: over 64 scenes of a 14 px body that
    moves by up to 14 px and turns by up to 25 degrees in 64 px images, all-pairs flow errs by 1.8 px on the body, its
    affine fit by 10.5 px with "all" and by 0.2 px with "moving" (6 px without that trust, as the background that the
    body uncovers is half of what differs). Background that does not differ is not carried away by the body. A flow that
    fails makes a fit that fails: with DIS both err by 5 px there.

    The result is finite whatever the flow: pixels that are not finite are left out; what too few pixels, or pixels on
    one line, cannot tell stays as in a translation, and so does the map of a sample that would flip, or stretch its
    support more than 4 times. Without a pixel to go by the flow is zero. Pairs do not influence each other.

    Args:
        flow: the estimator to fit; None is ``AllPairsFlow``. With gradients, they flow through the last fit, whose
            weights are held.
        support: "moving" (asks for both directions) or "all" (about half a megabyte of memory per 64 px pair).
        iterations: reweightings, of the translation that starts the fit and of each kind of map after it.
        penalty: of ``AllPairsFlow``, where that is the flow.

    Raises:
        ValueError: a flow that cannot be called, an unknown support, or fewer than one iteration.
    """

    numbers = AFFINE


class HomographyFit(_GlobalFit):
    """One homography per pair, fitted robustly to the field of another flow: "Hom." in the paper's Table 5.

    As ``AffineFit``, which it starts from and falls back to: a map that tilts its support until one end is more than
    twice as near as its centre is not taken. Each fit is a normalised direct linear transform whose weights make the
    algebraic error one in pixels (Hartley and Zisserman, Multiple View Geometry, Sec. 4.1-4.4).

    Args:
        flow: the estimator to fit; None is ``AllPairsFlow``.
        support: "moving" or "all".
        iterations: reweightings of each kind of map.
        penalty: of ``AllPairsFlow``, where that is the flow.

    Raises:
        ValueError: a flow that cannot be called, an unknown support, or fewer than one iteration.
    """

    numbers = HOMOGRAPHY


def _moved(x: Tensor, y: Tensor) -> Bool[Tensor, "B h w"]:
    return differing(x, y, threshold=THRESHOLD, reach=REACH)


def _consistency(flow: Tensor, back: Tensor) -> Float[Tensor, "B h w"]:
    """Return 1 where following the flow and then the one of the other direction ends where it began, less elsewhere."""
    return (1 + (flow + warp(back, flow, "border")).square().sum(dim=1)).pow(-2).nan_to_num(0)
