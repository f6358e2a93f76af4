"""Training-free flow by matching patches, every position against every other."""

from __future__ import annotations

from math import isfinite, sqrt

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.costs._checks import check_batch_pair
from corrwise.costs._precision import in_full_precision
from corrwise.costs.flow.matching.match_costs import Group, expected_matches, matches
from corrwise.costs.flow.matching.places import Chunk, Places, differing, patches_of
from corrwise.costs.flow.matching.rigid import body_flows

__all__ = ["AllPairsFlow", "patch_unit"]

LEVELS = 255
TIE_BREAK = 2e-5  # intensity per pixel; the least that float32 can distinguish, so that equal patches match the nearest


class AllPairsFlow:
    """Each position moves to the position of the cheapest match, however far, in whole pixels.

    The cost of a match is the root mean square difference of two small colour patches plus ``penalty`` times the
    displacement. Only positions where the images differ take part; all others stay where they are. One cost matrix
    gives both directions. Patches are rounded to 8-bit levels, and then the result for a pair does not depend, to the
    bit, on the batch around it or on ``max_entries``. Autocast is off inside; of matrix products on a GPU the same asks
    for whole float32, which is torch's default (TF32 changes matches). Positions are chosen from the data, so the host
    waits for a GPU: for how many positions there are, for how many each pair has, and at every chunk of pairs.

    With a ``rigidity`` only moving bodies are matched, each pixel like those around it: brightness, contrast and noise
    are compensated, the still background is painted out of the patches, and in two rounds the matches that both
    directions agree on pull the others to their mean displacement. What the directions do not agree on gets the mean of
    its neighbours on which they do, and so does sub-pixel motion. What a body hides or uncovers stays still. It needs a
    scene that is mostly still; 0.015 with patches of 5 px and a penalty of 0.001 is a good choice.

    With a ``temperature`` the match is a softmax-weighted mean instead (sub-pixel, unrounded patches, differentiable).

    Args:
        patch: side of the patches in pixels; odd, 1 to 7.
        penalty: what one pixel of displacement costs, in intensity (RMS difference of images in [0, 1]) per pixel. An
            object that stands out by 0.3 is worth moving up to 0.3 / penalty pixels. Beyond that it is left unmatched,
            and a cost with a flow regulariser falls with the distance: at 0.01 from about 20 px on, at 0.001 not within
            64 px (benchmarks/correspondence.py --curve).
        threshold: pixels whose channels differ by no more than this count as equal.
        temperature: of the soft match, in intensity; None takes the cheapest.
        max_entries: how many entries of cost matrices exist at a time (4 bytes each, a few copies; with gradients, the
            backward pass keeps all of them). With a rigidity a single pair's matrices exist whole in any case.
        rigidity: what one pixel of departure from the neighbours' displacement costs, in intensity per pixel like
            ``penalty``; 0 matches every position on its own.

    Raises:
        ValueError: an even or large patch, a negative penalty, threshold or rigidity, a temperature or max_entries of 0
            or below, one of them that is not finite, or a temperature together with a rigidity.
    """

    def __init__(
        self,
        *,
        patch: int = 3,
        penalty: float | int = 0.01,
        threshold: float | int = 0.01,
        temperature: float | int | None = None,
        max_entries: int = 2**20,
        rigidity: float | int = 0.0,
    ) -> None:
        if patch not in (1, 3, 5, 7):
            raise ValueError(f"expected patch to be one of 1, 3, 5, 7, got {patch}")
        if not (isfinite(penalty) and isfinite(threshold) and penalty >= 0 and threshold >= 0):
            raise ValueError(f"expected finite penalty and threshold of at least 0, got {penalty} and {threshold}")
        if temperature is not None and not (isfinite(temperature) and temperature > 0):
            raise ValueError(f"expected a finite temperature above 0 or None, got {temperature}")
        if max_entries < 1:
            raise ValueError(f"expected max_entries of at least 1, got {max_entries}")
        if not (isfinite(rigidity) and rigidity >= 0) or (rigidity > 0 and temperature is not None):
            wanted = "a finite rigidity of at least 0, and 0 with a temperature"
            raise ValueError(f"expected {wanted}, got {rigidity} and {temperature}")
        self.patch, self.penalty, self.threshold = patch, penalty, threshold
        self.temperature, self.max_entries, self.rigidity = temperature, max_entries, rigidity

    @property
    def differentiable(self) -> bool:
        """Whether the flow has a gradient: only the soft match does."""
        return self.temperature is not None

    def __call__(self, target: Float[Tensor, "B C h w"], source: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 2 h w"]:
        """Return where to sample ``source`` so that it matches ``target``, in pixels.

        Raises:
            TypeError, ValueError: not two float images (B, C, h, w) of one shape, or smaller than a patch.
        """
        return self.both(target, source)[0]

    @in_full_precision
    def both(
        self, x: Float[Tensor, "B C h w"], y: Float[Tensor, "B C h w"]
    ) -> tuple[Float[Tensor, "B 2 h w"], Float[Tensor, "B 2 h w"]]:
        """Return ``flow(x, y)`` and ``flow(y, x)``."""
        check_batch_pair(x, y)
        if min(x.shape[2:]) <= self.patch // 2:
            raise ValueError(f"expected images larger than half a patch of {self.patch} px, got {tuple(x.shape[2:])}")
        if self.rigidity > 0:
            return self._bodies(x, y)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.differentiable):
            # Elsewhere the patches are equal, and staying is the best match there is.
            places = Places(differing(x, y, threshold=self.threshold, reach=self.patch // 2))
            first, second = self._patches(x), self._patches(y)
            # One row more than there are positions: the matches of padded positions end up there.
            moves = [first.new_zeros(places.total + 1, 2) for _ in range(2)]
            for chunk in places.chunks(self.max_entries):
                group = self._group(first, second, places, chunk)
                for move, matched in zip(moves, self._match(group), strict=True):
                    move[chunk.index] = matched - group.positions
            return places.scatter(moves[0]).to(x.dtype), places.scatter(moves[1]).to(x.dtype)

    @torch.no_grad()
    def _bodies(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        penalty, most = max(self.penalty, TIE_BREAK), self.max_entries
        return body_flows(
            x, y, patch=self.patch, penalty=penalty, rigidity=self.rigidity, threshold=self.threshold, max_entries=most
        )

    def _patches(self, images: Tensor) -> Tensor:
        """Return a view (B, h, w, patch, patch, C) of all patches, in 8-bit levels about zero."""
        levels = LEVELS * images
        if self.temperature is None:
            levels = levels.float().round_()
        return patches_of(levels.sub_((LEVELS + 1) // 2), self.patch)

    def _group(self, first: Tensor, second: Tensor, places: Places, chunk: Chunk) -> Group:
        a, b = (places.patches_at(patches, chunk) for patches in (first, second))
        positions = places.positions(chunk).to(first.dtype)
        weight = max(self.penalty, TIE_BREAK) * patch_unit(a.shape[2])
        return Group(a, b, positions, chunk.valid, weight, rows=max(1, self.max_entries // chunk.index.numel()))

    def _match(self, group: Group) -> tuple[Tensor, Tensor]:
        if self.temperature is None:
            return matches(group)
        temperature = self.temperature * patch_unit(group.first.shape[2])
        return expected_matches(group, temperature), expected_matches(group.swapped(), temperature)


def patch_unit(numbers: int) -> float:
    """Return how large an RMS intensity of 1 is as the norm of a patch of so many levels."""
    return LEVELS * sqrt(numbers)
