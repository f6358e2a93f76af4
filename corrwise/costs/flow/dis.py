"""Dense inverse search (Kroeger et al., ECCV 2016) by OpenCV: the fast flow, for dense and small motion."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.costs._checks import check_batch_pair
from corrwise.costs._precision import in_full_precision

__all__ = ["DISFlow"]

PRESETS = ("ultrafast", "fast", "medium")  # in the order of OpenCV's constants
SMALLEST = 16  # px: OpenCV refuses less, or (seen with 5.0) crashes on narrow images
PATCH = 8
WORTHWHILE = 2**14  # pixels: DIS takes about 0.3 ms for them, as long as it takes to start a pool
LUMA = (0.299, 0.587, 0.114)


class DISFlow:
    """Optical flow of grey 8-bit images on the CPU, a thread pool over the batch where that is worth it.

    Inputs on another device go through the host and the flow comes back to their device. There is no gradient. A pair
    with a pixel that is not finite has zero flow, so the distance itself sees the NaN.

    Args:
        preset: "ultrafast" (about 0.1 ms a 64 px pair), "fast" or "medium".
        finest_scale: the flow is computed at 1 / 2^finest_scale of the image and upsampled; 0 is the full resolution.
            Small images have fewer scales, and the coarsest one they have is used then.
        threads: pairs worked on at a time, at most; None means one per core.

    Raises:
        ValueError: an unknown preset, a negative scale, or fewer than one thread.
    """

    differentiable = False

    def __init__(self, *, preset: str = "ultrafast", finest_scale: int = 1, threads: int | None = None) -> None:
        if preset not in PRESETS:
            raise ValueError(f"expected preset to be one of {', '.join(PRESETS)}, got {preset!r}")
        if finest_scale < 0:
            raise ValueError(f"expected finest_scale of at least 0, got {finest_scale}")
        if threads is not None and threads < 1:
            raise ValueError(f"expected threads of at least 1, got {threads}")
        self.preset, self.finest_scale, self.threads = preset, finest_scale, threads

    @in_full_precision
    def __call__(self, target: Float[Tensor, "B C h w"], source: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 2 h w"]:
        """Return where to sample ``source`` so that it matches ``target``, in pixels.

        Raises:
            TypeError, ValueError: not two float grey or RGB images (B, C, h, w) of one shape, or smaller than 16 px.
        """
        check_batch_pair(target, source)
        return self._estimate([(_grey(target), _grey(source))], _finite(target, source)).to(target)

    @in_full_precision
    def both(
        self, x: Float[Tensor, "B C h w"], y: Float[Tensor, "B C h w"]
    ) -> tuple[Float[Tensor, "B 2 h w"], Float[Tensor, "B 2 h w"]]:
        """Return ``flow(x, y)`` and ``flow(y, x)``; the images cross to the host only once."""
        check_batch_pair(x, y)
        grey_x, grey_y = _grey(x), _grey(y)
        flows = self._estimate([(grey_x, grey_y), (grey_y, grey_x)], _finite(x, y)).to(x)
        return flows[: x.shape[0]], flows[x.shape[0] :]

    def _estimate(self, directions: list[tuple[np.ndarray, np.ndarray]], finite: np.ndarray) -> Tensor:
        """Run every pair of every direction; the result has the directions one after the other."""
        shape = directions[0][0].shape
        flows = np.zeros((len(directions), *shape, 2), np.float32)
        jobs = [
            (target[i], source[i], out[i])
            for (target, source), out in zip(directions, flows, strict=True)
            for i in np.flatnonzero(finite)
        ]
        worthwhile = len(jobs) * shape[1] * shape[2] // WORTHWHILE
        workers = min(self.threads or os.cpu_count() or 1, len(jobs), worthwhile)
        if workers <= 1:
            self._run(jobs)
        else:
            with ThreadPoolExecutor(workers) as pool:  # cv2 works without the GIL
                list(pool.map(self._run, [jobs[i::workers] for i in range(workers)]))
        return torch.from_numpy(flows).flatten(0, 1).permute(0, 3, 1, 2)

    def _run(self, jobs: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> None:
        solver: Any = None  # not thread-safe: each worker has its own
        for target, source, out in jobs:
            solver = solver or self._solver(*target.shape)
            out[:] = solver.calc(target, source, None)

    def _solver(self, height: int, width: int) -> Any:
        import cv2

        solver = cv2.DISOpticalFlow.create(PRESETS.index(self.preset))
        # Beyond the coarsest scale OpenCV silently picks other settings, and reads out of bounds on narrow images.
        solver.setFinestScale(min(self.finest_scale, _coarsest(height, width)))
        return solver


def _coarsest(height: int, width: int) -> int:
    """Return the coarsest scale that OpenCV will use: the long side four patches long, the short side one at least."""
    by_length = math.log2(max(height, width) / (4 * PATCH)) + 0.5
    return max(0, int(min(by_length, math.log2(min(height, width) / PATCH))))


def _grey(images: Tensor) -> np.ndarray:
    channels, height, width = images.shape[1:]
    if channels not in (1, 3) or min(height, width) < SMALLEST:
        got = (channels, height, width)
        raise ValueError(f"expected grey or RGB images of at least {SMALLEST} px for DIS, got {got}")
    with torch.no_grad():
        weights = images.new_tensor(LUMA if channels == 3 else (1.0,))[:, None, None]
        grey = (images * weights).sum(dim=1).mul_(255).round_().nan_to_num_(0, 255, 0).clamp_(0, 255)
        return grey.to(torch.uint8).cpu().numpy()


def _finite(first: Tensor, second: Tensor) -> np.ndarray:
    with torch.no_grad():  # a sum is finite only if all its parts are
        return (first.sum(dim=(1, 2, 3)) + second.sum(dim=(1, 2, 3))).isfinite().cpu().numpy()
