"""How far distances that are no Bregman divergences move the minimiser: a scene whose object is at one of K offsets.

Given ``x_t = t x1 + (1 - t) x0`` with white noise x0, the posterior over the K scenes is exact. The image that
minimises the expected distance over it is compared with the mean E[x1 | x_t], which every Bregman divergence has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.experiments.cli.options import file_label
from corrwise.experiments.cli.table_time_weights import TimeWeightTableConfig
from corrwise.experiments.cli.toy import ToyConfig
from corrwise.experiments.report.strip import save_strip
from corrwise.experiments.runs.distances import make_distance
from corrwise.experiments.runs.executors import one_thread
from corrwise.experiments.runs.rows import Row, RowKey
from corrwise.experiments.studies.toy.scenes import Scenes, make_scenes
from corrwise.predictors.average_image import PixelImages, average_image
from corrwise.types import Distance

__all__ = [
    "IMAGE",
    "ImageSubject",
    "Posterior",
    "image_arm",
    "image_rows",
    "minimising_image",
    "posterior",
    "scenes_of",
]

IMAGE = "image"  # kind of rows
_LR = 0.005


@dataclass(frozen=True)
class ImageSubject:
    """A cost, and how its minimisers are measured."""

    cost: str
    config: TimeWeightTableConfig


@dataclass(frozen=True)
class Posterior:
    """What is known of a scene, given a noisy one.

    Attributes:
        chance: probability of each scene.
        mean: E[x1 | x_t].
        spread: root of the mean squared difference of a pixel from that mean.
    """

    chance: Float[Tensor, "k"]
    mean: Float[Tensor, "3 h w"]
    spread: float


def scenes_of(config: TimeWeightTableConfig) -> Scenes:
    """Return the scenes, one for each offset of the object; all are equally probable."""
    return make_scenes(
        ToyConfig(
            height=config.height, width=config.width, offset_range=config.offset_range, background=config.background
        )
    )


def posterior(scenes: Float[Tensor, "k 3 h w"], t: float, seed: int) -> Posterior:
    """Return the posterior, given one scene under noise of a seed, which also chooses the scene."""
    generator = Generator("cpu").manual_seed(seed)
    true = int(torch.randint(len(scenes), (), generator=generator, dtype=torch.long, device="cpu"))
    exact = scenes.double()
    noise = torch.randn(exact.shape[1:], generator=generator, dtype=torch.float64, device="cpu")
    off = t * (exact[true] - exact) + (1 - t) * noise
    chance = (-off.square().sum(dim=(1, 2, 3)) / (2 * (1 - t) ** 2)).softmax(dim=0)
    mean = torch.einsum("k,kchw->chw", chance, exact)
    variance = torch.einsum("k,kchw->", chance, (exact - mean).square()) / mean.numel()
    return Posterior(chance, mean, float(variance.sqrt()))


def minimising_image(
    scenes: Float[Tensor, "k 3 h w"], given: Posterior, distance: Distance, steps: int
) -> tuple[Float[Tensor, "3 h w"], float, float]:
    """Return an image of least expected distance, that expectation, and the one of the mean.

    A distance may have several minima, and slopes that jump where a flow changes: Adam starts from the mean, from the
    median and from the most probable scene, and the best image on the way counts.
    """
    chance, mean = given.chance.float(), given.mean.float()
    seen: list[tuple[float, Tensor]] = []

    def expected(x: Tensor, y: Tensor) -> Tensor:
        values = chance * distance(x, y)
        value = float(values.detach().sum())
        if not seen or value < seen[-1][0]:
            seen.append((value, x[0].detach().clone()))
        return values

    starts = (mean, _median(scenes, given.chance), scenes[int(given.chance.argmax())])
    for start in starts:
        image = PixelImages(start[None])
        (end,) = average_image(image, lambda step: scenes[:, None], expected, steps=steps, lr=_LR, decay=True)
        with torch.no_grad():
            expected(end.expand_as(scenes), scenes)
    return seen[-1][1], seen[-1][0], seen[0][0]  # the mean is the first that is computed


def _median(scenes: Float[Tensor, "k 3 h w"], chance: Float[Tensor, "k"]) -> Float[Tensor, "3 h w"]:
    """Return the median of each pixel."""
    values, order = scenes.sort(dim=0)
    below = (chance[order].cumsum(dim=0) < 0.5).sum(dim=0, keepdim=True)
    return values.gather(0, below.clamp(max=len(scenes) - 1))[0]


def image_arm(t: float) -> str:
    """Return how a time stands in a row."""
    return f"t={t:g}"


def image_rows(subject: ImageSubject, *, threads: int, progress: Callable[[], object]) -> Callable[..., Iterator[Row]]:
    """Return what makes the rows, and the images, of one cost.

    It computes with one thread, because the number of threads changes the rounding, which the optimisation amplifies.
    """
    one_thread()
    config, distance = subject.config, make_distance(subject.cost, optimized=True)
    scenes = scenes_of(config).all
    times = {image_arm(t): t for t in config.image_times}

    def rows(keys: Sequence[RowKey]) -> Iterator[Row]:
        for kind, cost, arm in keys:
            began = time.perf_counter()
            row: Row = {"kind": kind, "case": cost, "arm": arm, "image": f"images/{file_label(cost)}-{arm[2:]}.png"}
            each: dict[str, list[float]] = {}
            for draw in range(config.draws):
                given = posterior(scenes, times[arm], config.seed + draw)
                best, loss, loss_mean = minimising_image(scenes, given, distance, config.steps)
                if not best.isfinite().all():
                    raise FloatingPointError(f"the image of least expected {cost} at {arm} is not finite")
                numbers = {
                    "spread": given.spread,
                    "moved": _root_mean_square(best.double() - given.mean),
                    "scene_distance": min(_root_mean_square(best - scene) for scene in scenes),
                    "loss": loss,
                    "loss_mean": loss_mean,
                }
                for name, value in numbers.items():
                    each.setdefault(name, []).append(value)
                if draw == 0:
                    (config.out / "images").mkdir(exist_ok=True)
                    for name, image in ((row["image"], best), (f"images/mean-{arm[2:]}.png", given.mean)):
                        save_strip(config.out / name, _pixels(image))
                progress()
            yield {**row, **each, "seconds": time.perf_counter() - began}

    return rows


def _pixels(image: Float[Tensor, "3 h w"]) -> np.ndarray:
    pixels: np.ndarray = (image.permute(1, 2, 0) * 255).round().clamp(0, 255).byte().numpy()
    return pixels


def _root_mean_square(off: Tensor) -> float:
    return float(off.square().mean().sqrt())
