"""Images of several views, with or without depth: compared view by view."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.costs._checks import check_pair
from corrwise.costs.correspondence import Terms
from corrwise.types import COLOURS, ONE_VIEW, Distance, Views

__all__ = ["PerView", "ViewTerms", "check_depth_numbers"]


@dataclass(frozen=True)
class ViewTerms:
    """What ``Terms`` are for one view, for several: numbers are means over the views, fields lie side by side.

    Attributes:
        views: the terms of all views, with the views as the last of the batch's axes.
    """

    views: Terms

    @property
    def residual(self) -> Float[Tensor, "*batch"]:
        """Mean residual of a view, what its depths differ by included."""
        return self.views.residual.mean(dim=-1)

    @property
    def penalty(self) -> Float[Tensor, "*batch"]:
        """Mean penalty of a view."""
        return self.views.penalty.mean(dim=-1)

    @property
    def displacement(self) -> Float[Tensor, "*batch"]:
        """Mean length of the flow over the pixels of all views."""
        return self.views.displacement.mean(dim=-1)

    @property
    def occluded(self) -> Float[Tensor, "*batch"]:
        """Share of the pixels of all views that fail the forward-backward check."""
        return self.views.occluded.mean(dim=-1)

    @property
    def flow(self) -> Float[Tensor, "*batch 2 h W"]:
        """The flows of all views beside each other along the width."""
        return _beside(self.views.flow)

    @property
    def backward(self) -> Float[Tensor, "*batch 2 h W"] | None:
        """The flows of the second direction; None for a distance with one."""
        return None if self.views.backward is None else _beside(self.views.backward)

    @property
    def total(self) -> Float[Tensor, "*batch"]:
        """What calling the distance returns."""
        return self.views.total.mean(dim=-1)


class PerView:
    """A distance of one view, for images in which several are stacked along the channels: the mean over the views.

    The mean keeps the base distance's unit and range, so weights chosen for one view stay right. Each view is matched
    for itself: ``PerView(CorrespondenceWise(...), views)`` estimates a flow per view, from its colours alone, and
    counts penalties per view.

    With depth, each view adds ``depth_weight`` times the mean of ``min(|d_x - d_y|, depth_scale) / depth_scale``, which
    is in [0, 1] as an L1 of intensities is: a surface that is ``depth_scale`` metres off, or is there in one image and
    not in the other, counts as black against white. Only pixels with depth in both images count; without any the term
    is 0. A ``CorrespondenceWise`` carries a view's depth along with its colours, so that matched pixels are compared,
    and adds the term in each direction (``CorrespondenceWise.carrying``); any other distance compares in place.

    One view without depth is the distance itself, to the bit.

    Args:
        distance: of one view of three channels.
        views: the layout of the channels.
        depth_weight: what a depth that is ``depth_scale`` off costs, in the distance's unit.
        depth_scale: metres.

    Raises:
        TypeError: a distance that cannot be called.
        ValueError: a weight that is negative or a scale that is not above 0, or either not finite.
    """

    def __init__(
        self, distance: Distance, views: Views, *, depth_weight: float | int = 1.0, depth_scale: float | int = 1.0
    ) -> None:
        if not callable(distance):
            raise TypeError(f"expected a distance of images, such as corrwise.costs.l1, got {distance!r}")
        check_depth_numbers(depth_weight, depth_scale)
        self.distance, self.views = distance, views
        self.depth_weight, self.depth_scale = depth_weight, depth_scale
        carrying = getattr(distance, "carrying", None) if views.depth else None
        self._whole: Any = None if carrying is None else carrying(self._depths)

    def __call__(self, x: Float[Tensor, "*batch C h w"], y: Float[Tensor, "*batch C h w"]) -> Float[Tensor, "*batch"]:
        """Return one value per pair of images; lower is nearer.

        Raises:
            TypeError, ValueError: not two float images of one shape, type and device, or not of these views.
        """
        check_pair(x, y)
        self.views.check(x.shape)
        if self.views == ONE_VIEW:
            return self.distance(x, y)
        x, y = self._apart(x), self._apart(y)
        if not self.views.depth:
            values = self.distance(x, y)
        elif self._whole is not None:
            values = self._whole(x, y)
        else:
            near = self._depths(x[..., COLOURS:, :, :], y[..., COLOURS:, :, :])
            values = self.distance(x[..., :COLOURS, :, :], y[..., :COLOURS, :, :]) + near
        return values.mean(dim=-1)

    def __getattr__(self, name: str) -> Any:
        """Offer ``terms(x, y)``, ``encode(images)`` and ``compare(first, second)`` where the distance has them."""
        offered = {"terms": ("terms",), "encode": ("encode", "compare"), "compare": ("encode", "compare")}
        if name in offered and all(hasattr(self.distance, part) for part in offered[name]):
            return getattr(self, f"_{name}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _terms(self, x: Float[Tensor, "*batch C h w"], y: Float[Tensor, "*batch C h w"]) -> Terms | ViewTerms:
        """Return the parts of the distance; those of the distance itself for one view without depth."""
        check_pair(x, y)
        self.views.check(x.shape)
        distance: Any = self._whole or self.distance
        if self.views == ONE_VIEW:
            return distance.terms(x, y)
        if self.views.depth and self._whole is None:
            raise ValueError(f"expected a distance that carries depth for the terms of {self.views}, got {distance!r}")
        return ViewTerms(distance.terms(self._apart(x), self._apart(y)))

    def _encode(self, images: Float[Tensor, "*batch C h w"]) -> tuple[Tensor, ...]:
        """Return the distance's features of every view, and with depth the depths, for ``compare``."""
        self.views.check(images.shape)
        parts = self._apart(images)
        features: Any = self.distance
        return (*features.encode(parts[..., :COLOURS, :, :]), parts[..., COLOURS:, :, :])

    def _compare(self, first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> Float[Tensor, "*batch"]:
        """Return the distance between two results of ``encode``."""
        features: Any = self.distance
        values = features.compare(first[:-1], second[:-1])
        return (values + self._depths(first[-1], second[-1]) if self.views.depth else values).mean(dim=-1)

    def _apart(self, images: Tensor) -> Tensor:
        """Return the views (*batch, V, c, h, w); of depth, metres where there are any, else 0, and where there are."""
        parts = self.views.apart(images)
        if not self.views.depth:
            return parts
        colour, metres = parts[..., :COLOURS, :, :], parts[..., COLOURS:, :, :]
        nothing = (metres <= 0) | metres.isinf()  # NaN is something: no distance may lose it
        return torch.cat([colour, metres.masked_fill(nothing, 0.0), (~nothing).to(metres.dtype)], dim=-3)

    def _depths(self, x: Float[Tensor, "*n 2 h w"], y: Float[Tensor, "*n 2 h w"]) -> Float[Tensor, "*n"]:
        """Return the weighted difference of depths, each with the share of it that was measured."""
        weight = x[..., 1, :, :] * y[..., 1, :, :]
        # A warp mixes neighbours: of those, only the ones with depth may count.
        a, b = (each[..., 0, :, :] / each[..., 1, :, :].where(each[..., 1, :, :] > 0, 1.0) for each in (x, y))
        off = (a - b).abs().clamp(max=self.depth_scale) / self.depth_scale
        counted = weight.sum(dim=-1).sum(dim=-1)
        mean = (off * weight).sum(dim=-1).sum(dim=-1) / counted.where(counted > 0, 1.0)
        return self.depth_weight * mean


def check_depth_numbers(weight: float | int, scale: float | int) -> None:
    """Raise a ValueError unless a depth's weight is finite and at least 0, and its scale finite and above 0."""
    if not 0 <= weight < inf:
        raise ValueError(f"expected a finite depth_weight of at least 0, got {weight}")
    if not 0 < scale < inf:
        raise ValueError(f"expected a finite depth_scale above 0, got {scale}")


def _beside(fields: Float[Tensor, "*batch V 2 h w"]) -> Float[Tensor, "*batch 2 h W"]:
    return torch.cat(fields.unbind(-4), dim=-1)
