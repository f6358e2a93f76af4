"""A flow of reduced images, then each pixel's best match near where that leads: all-pairs matching of larger images."""

from __future__ import annotations

from math import isfinite

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from corrwise.costs._checks import check_batch_pair
from corrwise.costs._precision import in_full_precision
from corrwise.costs.flow.bidirectional import both_ways
from corrwise.costs.flow.matching.all_pairs import LEVELS, TIE_BREAK, AllPairsFlow, patch_unit
from corrwise.costs.flow.matching.places import Places, differing, patches_of
from corrwise.types import Flow

__all__ = ["CoarseToFine"]


class CoarseToFine:
    """Find matches between cells of ``factor`` x ``factor`` pixels, then within half a cell of them.

    The match costs and units are those of ``AllPairsFlow``, and so is the independence of batch and order. All-pairs
    matching has a cost matrix of n^2 entries for n pixels that differ; on cells it has 1 / factor^4 as many, and each
    pixel is then compared with (factor + 1)^2 places. It pays from about 128 px on (docs/choose_a_flow.md).

    Args:
        flow: what matches the reduced images, in their pixels; None is ``AllPairsFlow`` with the same patch, penalty
            and threshold.
        factor: pixels to a side of a cell.
        patch: side of the patches in pixels; odd, 1 to 7.
        penalty: intensity per pixel of displacement.
        threshold: pixels whose channels differ by no more than this count as equal, and stay where they are.

    Raises:
        ValueError: a factor below 2, or what ``AllPairsFlow`` refuses.
    """

    differentiable = False

    def __init__(
        self,
        flow: Flow | None = None,
        *,
        factor: int = 2,
        patch: int = 3,
        penalty: float | int = 0.01,
        threshold: float | int = 0.01,
    ) -> None:
        if factor < 2:
            raise ValueError(f"expected factor of at least 2, got {factor}")
        if patch not in (1, 3, 5, 7):
            raise ValueError(f"expected patch to be one of 1, 3, 5, 7, got {patch}")
        if not (isfinite(penalty) and isfinite(threshold) and penalty >= 0 and threshold >= 0):
            raise ValueError(f"expected finite penalty and threshold of at least 0, got {penalty} and {threshold}")
        self.flow: Flow = flow or AllPairsFlow(
            patch=patch, penalty=factor * penalty, threshold=threshold / factor**2  # one pixel of a cell may differ
        )  # fmt: skip
        self.factor, self.patch, self.penalty, self.threshold = factor, patch, penalty, threshold

    def __call__(self, target: Float[Tensor, "B C h w"], source: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 2 h w"]:
        """Return where to sample ``source`` so that it matches ``target``, in pixels.

        Raises:
            TypeError, ValueError: not two float images (B, C, h, w) of one shape, or too small for the flow of cells.
        """
        return self.both(target, source)[0]

    @torch.no_grad()
    @in_full_precision
    def both(
        self, x: Float[Tensor, "B C h w"], y: Float[Tensor, "B C h w"]
    ) -> tuple[Float[Tensor, "B 2 h w"], Float[Tensor, "B 2 h w"]]:
        """Return ``flow(x, y)`` and ``flow(y, x)``."""
        check_batch_pair(x, y)
        if min(x.shape[2:]) <= self.factor * (self.patch // 2):
            least = self.factor * (self.patch // 2)
            raise ValueError(f"expected images of more than {least} px to a side, got {tuple(x.shape[2:])}")
        forward, backward = both_ways(self.flow, self._reduced(x), self._reduced(y))
        places = Places(differing(x, y, threshold=self.threshold, reach=self.patch // 2))
        first, second = (patches_of((LEVELS * image).float().round_(), self.patch) for image in (x, y))
        return (
            self._near(places, first, second, forward).to(x.dtype),
            self._near(places, second, first, backward).to(x.dtype),
        )

    def _reduced(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        padded = F.pad(images, (0, -width % self.factor, 0, -height % self.factor), mode="replicate")
        return F.avg_pool2d(padded, self.factor)

    def _near(self, places: Places, target: Tensor, source: Tensor, coarse: Tensor) -> Float[Tensor, "B 2 h w"]:
        """Return each place's cheapest match near where its cell's leads, the nearest to it among equals."""
        last, (height, width) = places.total, target.shape[1:3]
        sample, y, x = (axis[:last] for axis in (places.sample, places.y, places.x))
        lead = coarse[sample, :, y // self.factor, x // self.factor].nan_to_num(0.0)
        to_x, to_y = (
            axis + (self.factor * move).round().long() for axis, move in zip((x, y), lead.unbind(1), strict=True)
        )
        patches, weight = (
            target[sample, y, x].flatten(1),
            max(self.penalty, TIE_BREAK) * patch_unit(target.shape[3:].numel()),
        )
        best, move = torch.full_like(lead[:, 0], torch.inf), torch.zeros_like(lead)
        for dx, dy in self._offsets():
            at_x, at_y = (to_x + dx).clamp(0, width - 1), (to_y + dy).clamp(0, height - 1)
            by = torch.stack((at_x - x, at_y - y), dim=1).to(lead)
            cost = (patches - source[sample, at_y, at_x].flatten(1)).square_().sum(dim=1).sqrt_()
            cost += by.square().sum(dim=1).sqrt_().mul_(weight)  # whole numbers: the same to the bit in any batch
            better = cost < best
            best, move = torch.where(better, cost, best), torch.where(better[:, None], by, move)
        return places.scatter(F.pad(move, (0, 0, 0, 1)))

    def _offsets(self) -> list[tuple[int, int]]:
        near = range(-(self.factor // 2), self.factor // 2 + 1)
        return sorted(((dx, dy) for dx in near for dy in near), key=lambda by: by[0] ** 2 + by[1] ** 2)
