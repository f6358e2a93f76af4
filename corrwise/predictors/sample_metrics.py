"""How good several sampled futures are together: energy score, best of them, their spread and their mean's error.

Futures are added in chunks, so that memory does not grow with their number.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.costs import mse, ssim
from corrwise.predictors.metrics import gradient_error, psnr

__all__ = ["SAMPLED", "TOGETHER", "SampleMetrics", "energy_score"]

TOGETHER = 32  # futures of which each is compared with each other one
SAMPLED = (  # what is measured, one value per predicted frame
    "energy",
    "mean_psnr",
    "mean_ssim",
    "best_psnr",
    "best_ssim",
    "sample_gradient_error",
    "spread",
    "mean_mse",
)


def energy_score(futures: Float[Tensor, "n M T 3 h w"], true: Float[Tensor, "n T 3 h w"]) -> Float[Tensor, "n T"]:
    """Return the energy score of each frame: ``E|X - y| - E|X - X'| / 2``; lower is better.

    It is a proper score: on average no distribution of futures has a lower one than that from which the truth is drawn.
    ``|X - y|`` is the Euclidean norm over all pixels and channels of [0, 1], so the score grows with the image's side.
    The second expectation is over all pairs of different futures, which is unbiased; a single future has no pairs and
    the score ``|X - y|``.

    Source: Gneiting and Raftery, Strictly proper scoring rules, prediction, and estimation, 2007.
    """
    count = futures.shape[1]
    away = _norm(futures - true[:, None]).mean(dim=1)
    return away - _apart(futures) / max(1, count * (count - 1) // 2) / 2


class SampleMetrics:
    """Metrics of futures that are added in chunks.

    Pairs are those within a chunk, and the mean over any of the pairs is unbiased. A frame that is not finite counts as
    black.

    Args:
        true: the frames that came, in [0, 1].
    """

    def __init__(self, true: Float[Tensor, "n T 3 h w"]) -> None:
        self._true = true
        self._count, self._pairs = 0, 0
        zero = torch.zeros(true.shape[:2], dtype=torch.float64, device=true.device)
        self._away, self._apart, self._gradient = zero, zero.clone(), zero.clone()
        self._sum = torch.zeros_like(true, dtype=torch.float64)
        self._squares = torch.zeros_like(self._sum)
        self._first = true
        self._best: dict[str, Tensor] = {}
        self.broken = torch.zeros(len(true), dtype=torch.int64, device=true.device)

    def add(self, futures: Float[Tensor, "n S T 3 h w"]) -> None:
        """Add futures of each window, a chunk of at most ``TOGETHER`` by convention."""
        finite = futures.isfinite().flatten(3).all(dim=3)
        self.broken += (~finite).sum(dim=(1, 2))
        futures = futures.where(finite[..., None, None, None], 0.0)
        true = self._true[:, None].expand_as(futures)
        if not self._count:
            self._first = futures[:, 0]
        for one in futures.unbind(1):
            self._away += _norm(one - self._true)
            from_first = (one - self._first).double()  # so that equal futures have no spread at all
            self._sum += from_first
            self._squares += from_first.square()
        count = futures.shape[1]
        self._apart += _apart(futures)
        self._pairs += count * (count - 1) // 2
        self._count += count
        self._gradient += gradient_error(futures, true).double().sum(dim=1)
        self._keep_best("best_psnr", psnr(futures, true))
        self._keep_best("best_ssim", 1 - 2 * ssim(futures, true))

    def result(self) -> dict[str, Float[Tensor, "n T"]]:
        """Return what ``SAMPLED`` names.

        ``energy``: see ``energy_score``. ``mean_psnr`` and ``mean_ssim`` of the mean of the futures. ``best_psnr`` and
        ``best_ssim`` of the future in which that metric is best on average over the frames.
        ``sample_gradient_error``: of a future, on average. ``spread``: the variance of the futures, on average over the
        values of a frame; ``mean_mse``: the squared error of their mean. Where futures and truth are drawn alike, the
        second is ``1 + 1 / M`` times the first on average.
        """
        count = self._count
        mean = (self._first + self._sum / count).to(self._true.dtype)
        variance = (self._squares - self._sum.square() / count).clamp_min(0) / max(1, count - 1)
        return {
            "energy": self._away / count - self._apart / max(1, self._pairs) / 2,
            "mean_psnr": psnr(mean, self._true).double(),
            "mean_ssim": (1 - 2 * ssim(mean, self._true)).double(),
            **self._best,
            "sample_gradient_error": self._gradient / count,
            "spread": variance.mean(dim=(-3, -2, -1)),
            "mean_mse": mse(mean, self._true).double(),
        }

    def _keep_best(self, name: str, values: Float[Tensor, "n S T"]) -> None:
        """Keep the values of the future with the best average."""
        there = [self._best[name][:, None]] if name in self._best else []
        every = torch.cat([*there, values.double()], dim=1)
        best = every.mean(dim=2).argmax(dim=1)
        self._best[name] = every.take_along_dim(best[:, None, None], dim=1)[:, 0]


def _apart(futures: Float[Tensor, "n S T 3 h w"]) -> Float[Tensor, "n T"]:
    """Return the sum of the distances of all pairs."""
    total = torch.zeros(len(futures), futures.shape[2], dtype=torch.float64, device=futures.device)
    for i in range(futures.shape[1] - 1):
        total += _norm(futures[:, i + 1 :] - futures[:, i : i + 1]).sum(dim=1)
    return total


def _norm(difference: Float[Tensor, "*n 3 h w"]) -> Float[Tensor, "*n"]:
    return difference.flatten(-3).double().square().sum(dim=-1).sqrt()
