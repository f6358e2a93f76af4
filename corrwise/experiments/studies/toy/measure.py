"""The rows of ``corrwise toy``: average images with their crispness, and costs against offsets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import inf
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.costs.spec import CostSpec
from corrwise.experiments.cli.options import file_label, spec_of
from corrwise.experiments.cli.toy import ToyConfig
from corrwise.experiments.report.strip import save_strip
from corrwise.experiments.runs.distances import make_distance
from corrwise.experiments.runs.executors import one_thread
from corrwise.experiments.runs.rows import Row, RowKey
from corrwise.experiments.studies.flows.measure import curve_statistics
from corrwise.experiments.studies.toy.scenes import Scenes, curve_scenes, make_scenes
from corrwise.predictors.average_image import NetworkImage, PixelImages, average_image
from corrwise.types import Distance

__all__ = ["AVERAGE", "CURVE", "Subject", "average_rows", "closed_form", "crispness", "curve_losses", "curve_rows"]

AVERAGE, CURVE = "average", "curve"  # kinds of rows
_CHUNK = 16  # pairs of images at a time
_LR = {"network": 2e-4, "pixels": 0.03}
_SHIFT = 2  # pixels, largest shift of a whole image that is undone
_TINY = 1e-12  # an object as bright as its background everywhere has no detail

Rows = Callable[[Sequence[RowKey]], Iterator[Row]]


@dataclass(frozen=True)
class Subject:
    """A cost, and how it is measured."""

    cost: str
    config: ToyConfig


def average_rows(subject: Subject, *, threads: int, progress: Callable[[], Any]) -> Rows:
    """Return what makes the rows, and the images, of one cost.

    It computes with one thread, because the number of threads changes the rounding, which the optimisation amplifies.
    """
    one_thread()
    config, distance = subject.config, make_distance(subject.cost, optimized=True)
    spec = spec_of(subject.cost)
    base = distance if spec is None else CostSpec(spec.base, vgg=spec.vgg).build()
    scenes = make_scenes(config)

    def rows(keys: Sequence[RowKey]) -> Iterator[Row]:
        for kind, cost, seed in keys:
            began = time.perf_counter()
            image = _average(scenes, (base, distance), config, seed, progress)
            seconds = time.perf_counter() - began
            if not image.isfinite().all():
                raise FloatingPointError(f"the average image of {cost} is not finite; a smaller --lr may help")
            name = f"images/{file_label(cost)}-{seed}.png"
            pixels = (image.permute(1, 2, 0) * 255).round().clamp(0, 255).byte().numpy()
            (config.out / "images").mkdir(exist_ok=True)
            save_strip(config.out / name, pixels)
            numbers = {**crispness(image, scenes), **_losses(image, scenes, distance, config.device)}
            numbers["distance_background"] = crispness(scenes.background, scenes)["distance"]
            best = closed_form(cost, scenes)
            numbers["optimum_error"] = None if best is None else float((image - best).abs().mean())
            yield {"kind": kind, "cost": cost, "seed": seed, **numbers, "seconds": seconds, "image": name}

    return rows


def curve_rows(subject: Subject, *, threads: int, progress: Callable[[], Any]) -> Rows:
    """Return what makes the row of one cost against offsets."""
    distance = make_distance(subject.cost)

    def rows(keys: Sequence[RowKey]) -> Iterator[Row]:
        for kind, cost, seed in keys:
            many = []
            for scenes in curve_scenes(subject.config):
                many.append(curve_losses(scenes, distance, subject.config.curve_reach, subject.config.device))
                progress()
            yield {"kind": kind, "cost": cost, "seed": seed, **curve_statistics(torch.stack(many))}

    return rows


def curve_losses(scenes: Scenes, distance: Distance, reach: int, device: str = "cpu") -> Float[Tensor, "d"]:
    """Return the cost of the scene with the object at each offset from 0 to ``reach``, where the truth is at 0."""
    moved = scenes.at(range(reach + 1))
    return _chunked(distance, moved, moved[:1].expand_as(moved), device)


def closed_form(cost: str, scenes: Scenes) -> Float[Tensor, "3 h w"] | None:
    """Return the average image where it has a closed form: the median for ``l1``, the mean for ``mse``, else None."""
    forms = {"l1": lambda: scenes.all.median(dim=0).values, "mse": lambda: scenes.all.mean(dim=0)}
    return forms[cost]() if cost in forms else None


def crispness(image: Float[Tensor, "3 h w"], scenes: Scenes) -> Row:
    """Return how much of the object's detail an image shows, and how far it is from the nearest true scene.

    A displacement of the whole image, ``shift`` (dx, dy) of up to two pixels, is undone before: a biased flow leaves
    one, which a cost between matched pixels hardly counts. ``offset`` is the object's in the scene with the least mean
    absolute difference where the object may be, and ``distance`` that difference. ``crispness`` is the least-squares
    factor of the object's part of the brightness gradient, the scene's without the background's, in the image's without
    the background's: 1 for the scene, 0 for the background and less than 1 for a blur. Noise, which does not look like
    the object, adds nothing to it on average.
    """
    height, width = image.shape[-2:]
    padded = F.pad(image[None], (_SHIFT,) * 4, mode="replicate")[0]
    least, best = inf, (0, 0, 0)
    for dx, dy in sorted(
        product(range(-_SHIFT, _SHIFT + 1), repeat=2), key=lambda shift: abs(shift[0]) + abs(shift[1])
    ):
        moved = padded[:, _SHIFT + dy : _SHIFT + dy + height, _SHIFT + dx : _SHIFT + dx + width]
        away = (moved[:, scenes.region] - scenes.all[:, :, scenes.region]).abs().mean(dim=(1, 2))
        if (value := float(away.min())) < least:
            least, best, nearest = value, (dx, dy, int(away.argmin())), moved
    dx, dy, number = best
    drawn, true = (_gradient(each - scenes.background) for each in (nearest, scenes.all[number]))
    share = (drawn * true).sum() / true.square().sum().clamp(min=_TINY)
    return {"crispness": float(share), "distance": least, "offset": scenes.offsets[number], "shift": [dx, dy]}


def _average(
    scenes: Scenes, distances: tuple[Distance, Distance], config: ToyConfig, seed: int, progress: Callable[[], Any]
) -> Float[Tensor, "3 h w"]:
    """Return the image after a warm start by the first distance, and all other steps by the second."""
    generator = Generator("cpu").manual_seed(seed)
    images = scenes.all.to(config.device)

    def draw(step: int) -> Float[Tensor, "S 1 3 h w"]:
        chosen = torch.randint(len(images), (config.batch,), generator=generator, dtype=torch.int64, device="cpu")
        return images[chosen.to(images.device)][:, None]

    pixels = config.image == "pixels"
    made: NetworkImage | PixelImages = (
        PixelImages(scenes.all.mean(dim=0, keepdim=True))
        if pixels
        else NetworkImage((config.height, config.width), width=config.channels, seed=seed)
    )
    made.to(config.device)
    lr = _LR[config.image] if config.lr is None else config.lr
    for distance, steps in zip(distances, (config.warm_start, config.steps - config.warm_start), strict=True):
        image = average_image(made, draw, distance, steps=steps, lr=lr, decay=pixels, progress=progress)
    return image[0].cpu()


def _losses(image: Tensor, scenes: Scenes, distance: Distance, device: str) -> Row:
    """Return the expected cost of the image over all scenes, and that of the true scene at the centre."""
    images = {"loss": image, "loss_centre": scenes.at([0])[0]}
    return {
        name: float(_chunked(distance, each.expand_as(scenes.all), scenes.all, device).mean())
        for name, each in images.items()
    }


@torch.no_grad()
def _chunked(distance: Distance, x: Tensor, y: Tensor, device: str) -> Float[Tensor, "n"]:
    parts = zip(x.split(_CHUNK), y.split(_CHUNK), strict=True)
    return torch.cat([distance(a.contiguous().to(device), b.contiguous().to(device)).cpu() for a, b in parts])


def _gradient(image: Float[Tensor, "3 h w"]) -> Float[Tensor, "2 h w"]:
    """Return the brightness gradient, by central differences."""
    brightness = F.pad(image.mean(dim=0)[None], (1, 1, 1, 1), mode="replicate")[0]
    dx = (brightness[1:-1, 2:] - brightness[1:-1, :-2]) / 2
    dy = (brightness[2:, 1:-1] - brightness[:-2, 1:-1]) / 2
    return torch.stack([dx, dy])
