"""Correspondence-wise distances (Geng, Hamilton, Owens, CVPR 2022): match the pixels first, then compare them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import inf

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.costs._checks import check_pair, check_per_sample
from corrwise.costs._precision import in_full_precision
from corrwise.costs.flow.bidirectional import both_ways
from corrwise.costs.flow.consistency import occluded_share
from corrwise.costs.penalties import Regularizer, displacement_of
from corrwise.costs.warp import PADDINGS, warp
from corrwise.types import Distance, has_gradient

__all__ = ["CorrespondenceWise", "Terms"]


@dataclass(frozen=True)
class Terms:
    """The parts of a correspondence-wise distance. Only ``residual`` and ``penalty`` are in the total.

    Attributes:
        residual: the base distance of the matched images, summed over the directions; the base distance's unit.
        penalty: the regulariser, averaged over the flows that it sees, and the occlusion penalty; zero without any.
        displacement: the mean length of the unscaled flow in pixels, over all pixels and directions.
        flow: the unscaled flow of the first direction in pixels: where the pixels of ``x`` lie in ``y``.
        backward: the unscaled flow of the second direction; None for a distance with one.
    """

    residual: Float[Tensor, "*batch"]
    penalty: Float[Tensor, "*batch"]
    displacement: Float[Tensor, "*batch"]
    flow: Float[Tensor, "*batch 2 h w"]
    backward: Float[Tensor, "*batch 2 h w"] | None

    @property
    def total(self) -> Tensor:
        """What calling the distance returns."""
        return self.residual + self.penalty

    @cached_property
    def occluded(self) -> Tensor:
        """The share of pixels in [0, 1], over both directions, that fail the forward-backward check; (*batch,).

        See ``flow.consistency.occluded``. NaN for a distance with one direction, which has nothing to check against.
        """
        flows = [self.flow] if self.backward is None else [self.flow, self.backward]
        return occluded_share([flow.reshape(-1, *flow.shape[-3:]) for flow in flows]).reshape(self.residual.shape)


Flows = list[Tensor]


class CorrespondenceWise:
    """Any image distance, between pixels that optical flow has matched (Eq. 2-4 and Alg. 1).

    ``L(x, y) = l(x, warp(y, (1 - e) F(x, y))) + l(y, warp(x, (1 - e) F(y, x))) + regulariser``, one value per sample,
    and where it is asked for a penalty on occlusion.
    The directions are summed as in Alg. 1, so ``scaling = 1`` is exactly twice the base distance.

    By default gradients reach the images through the sampled values and through the unwarped side, never through the
    sampling coordinates: the flow is a constant, and a regulariser then ranks candidates but has no gradient. Training
    with a regulariser needs ``detach_flow=False`` and a flow that differentiates.

    Args:
        distance: the base distance ``l``; reduces C, h, w.
        flow: ``flow(target, source)`` in pixels; with a method ``both(x, y)`` both directions are asked for at once.
        scaling: epsilon of flow scaling (Sec. 3.1) in [0, 1]; 0 warps all the way, the paper uses 0.1.
        regularizer: a penalty (Eq. 3) on the unscaled flow, averaged over the directions.
        symmetric: False keeps only the first direction, in which ``y`` is carried onto ``x``.
        penalized: whose flow the regulariser sees: "both", or "y" for where y's pixels went alone, which is not
            symmetric. A planner whose goal is y then counts each goal pixel once, whatever the candidate hides.
        occlusion: what it costs that no pixel of both images has a mutual match, in the base distance's unit; a part of
            the pixels costs that part of it. (UnFlow's occlusion penalty, Meister et al., AAAI 2018, Eq. 2, added
            rather than put in the residual's place). It has no gradient.
        padding: what lies outside the image, see ``warp``.
        detach_flow: estimate the flow without gradients.

    Raises:
        ValueError: scaling outside [0, 1], an unknown padding or side, an occlusion penalty that is negative, not
            finite or of a distance with one direction, or gradients asked of a flow that has none.
    """

    def __init__(
        self,
        distance: Callable[[Tensor, Tensor], Tensor],
        flow: Callable[[Tensor, Tensor], Tensor],
        *,
        scaling: float | int = 0.1,
        regularizer: Regularizer | None = None,
        symmetric: bool = True,
        penalized: str = "both",
        occlusion: float | int = 0.0,
        padding: str = "reflection",
        detach_flow: bool = True,
    ) -> None:
        if not 0 <= scaling <= 1:
            raise ValueError(f"expected scaling (epsilon) in [0, 1], got {scaling}")
        if padding not in PADDINGS:
            raise ValueError(f"expected padding to be one of {', '.join(PADDINGS)}, got {padding!r}")
        if penalized not in ("both", "y") or (penalized == "y" and not symmetric):
            raise ValueError(f"expected penalized to be 'both', or 'y' of a symmetric distance, got {penalized!r}")
        if not 0 <= occlusion < inf or (occlusion and not symmetric):
            raise ValueError(f"expected occlusion of 0 or above, and 0 unless symmetric, got {occlusion}")
        if not detach_flow and not has_gradient(flow):
            raise ValueError(f"detach_flow=False needs a flow with gradients, got {type(flow).__name__} which has none")
        self.distance, self.flow, self.scaling, self.regularizer = distance, flow, scaling, regularizer
        self.symmetric, self.penalized, self.padding, self.detach_flow = symmetric, penalized, padding, detach_flow
        self.occlusion = occlusion

    @in_full_precision
    def __call__(self, x: Float[Tensor, "*batch C h w"], y: Float[Tensor, "*batch C h w"]) -> Float[Tensor, "*batch"]:
        """Return one value per pair of images; lower is nearer.

        Raises:
            TypeError, ValueError: not two float images of one shape, type and device.
            ValueError: a flow of the wrong shape, or a base distance or regulariser without one value per sample.
        """
        x_flat, y_flat, flows = self._match(x, y)
        total = self._residual(x_flat, y_flat, flows)
        if self.regularizer is not None:
            total = total + self._regularization(x_flat, y_flat, flows)
        if self.occlusion:
            total = total + self.occlusion * occluded_share(flows)
        return total.reshape(x.shape[:-3])

    def carrying(self, compare: Distance) -> CorrespondenceWise:
        """Return this distance for images with channels beyond the first three, such as depth.

        Flow, base distance and regulariser see the first three channels; the others are warped along with them, and
        what ``compare`` makes of them is added to the base distance of each direction.
        """
        other = copy.copy(self)
        other.distance, other.flow = _WithOthers(self.distance, compare), _OfColours(self.flow)
        other.regularizer = None if self.regularizer is None else _PenaltyOfColours(self.regularizer)
        return other

    @in_full_precision
    def terms(self, x: Float[Tensor, "*batch C h w"], y: Float[Tensor, "*batch C h w"]) -> Terms:
        """Return the parts of the distance and the flow, for reports; ``terms(x, y).total`` is the distance itself."""
        x_flat, y_flat, flows = self._match(x, y)
        batch, penalty = x.shape[:-3], self._regularization(x_flat, y_flat, flows)
        if self.occlusion:
            penalty = penalty + self.occlusion * occluded_share(flows)
        shown = [flow.reshape(*batch, *flow.shape[1:]) for flow in flows]
        return Terms(
            residual=self._residual(x_flat, y_flat, flows).reshape(batch),
            penalty=penalty.reshape(batch),
            displacement=displacement_of(flows).reshape(batch),
            flow=shown[0],
            backward=shown[1] if self.symmetric else None,
        )

    def _match(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Flows]:
        """Flatten the leading axes and estimate the flow of every direction in use."""
        check_pair(x, y)
        x, y = x.reshape(-1, *x.shape[-3:]), y.reshape(-1, *y.shape[-3:])
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.detach_flow):
            flows = list(both_ways(self.flow, x, y)) if self.symmetric else [self.flow(x, y)]
        expected = (x.shape[0], 2, *x.shape[2:])
        for flow in flows:
            got = tuple(flow.shape) if isinstance(flow, Tensor) else type(flow).__name__
            if got != expected:
                raise ValueError(f"expected {type(self.flow).__name__} to return {expected}, got {got}")
        return x, y, flows

    def _residual(self, x: Tensor, y: Tensor, flows: Flows) -> Tensor:
        total = self._compare(x, self._carry(y, flows[0]))
        return total + self._compare(y, self._carry(x, flows[1])) if self.symmetric else total

    def _compare(self, x: Tensor, y: Tensor) -> Tensor:
        values = self.distance(x, y)
        check_per_sample(f"the distance {_name(self.distance)}", values, x.shape[0])
        return values

    def _carry(self, image: Tensor, flow: Tensor) -> Tensor:
        if self.scaling == 1:  # exactly the image: even a warp by zero rounds its coordinates
            return image
        return warp(image, (1 - self.scaling) * flow, self.padding)

    def _regularization(self, x: Tensor, y: Tensor, flows: Flows) -> Tensor:
        if self.regularizer is None:
            return x.new_zeros(x.shape[0])
        sides = list(zip(flows, (x, y), strict=False))
        penalties = [self.regularizer(*side) for side in (sides[1:] if self.penalized == "y" else sides)]
        for penalty in penalties:
            check_per_sample(f"the regularizer {_name(self.regularizer)}", penalty, x.shape[0])
        return sum(penalties[1:], start=penalties[0]) / len(penalties)


@dataclass(frozen=True)
class _WithOthers:
    """A base distance of the first three channels, and what the others add to it."""

    distance: Callable[[Tensor, Tensor], Tensor]
    compare: Callable[[Tensor, Tensor], Tensor]

    def __call__(self, x: Float[Tensor, "B C h w"], y: Float[Tensor, "B C h w"]) -> Float[Tensor, "B"]:
        return self.distance(x[:, :3], y[:, :3]) + self.compare(x[:, 3:], y[:, 3:])


@dataclass(frozen=True)
class _PenaltyOfColours:
    """A regulariser that sees the first three channels."""

    penalty: Regularizer

    def __call__(self, flow: Float[Tensor, "B 2 h w"], image: Float[Tensor, "B C h w"]) -> Tensor:
        return self.penalty(flow, image[:, :3])


class _OfColours:
    """A flow between the first three channels."""

    def __init__(self, flow: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.flow = flow

    def __call__(self, target: Float[Tensor, "B C h w"], source: Float[Tensor, "B C h w"]) -> Tensor:
        return self.flow(target[:, :3], source[:, :3])

    def both(self, x: Float[Tensor, "B C h w"], y: Float[Tensor, "B C h w"]) -> tuple[Tensor, Tensor]:
        return both_ways(self.flow, x[:, :3], y[:, :3])


def _name(function: Callable) -> str:
    return getattr(function, "__name__", type(function).__name__)
