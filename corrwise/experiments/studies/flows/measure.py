"""What the table of flows measures: held-out pairs of a body, and the numbers of a flow on them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from corrwise.costs import PRESETS, CorrespondenceWise, Preset, l1
from corrwise.costs.flow.bidirectional import both_ways
from corrwise.costs.flow.consistency import occluded
from corrwise.costs.flow.learned.loss import MOVES, endpoint_errors
from corrwise.envs import TASKS
from corrwise.envs.flow_data import BodyPairs, Pairs, Pool, degraded, displaced, make_pool, painted, suite_task
from corrwise.envs.renderers import RaycastRenderer
from corrwise.experiments.cli.table_flows import BODIES, FlowTableConfig
from corrwise.types import Flow

EXACT = "exact"  # the ground-truth flow
BANDS = ("0_2", "2_8", "8_32")  # displacement, pixels; as row fields name them
CHUNK = 64  # pairs at a time

_HELD_OUT = 2**31  # training seeds lie below it, so no state here was ever drawn there
_VIEWS = 3  # cameras of a body that is none of the tasks
_POOLS, _PAIRS, _FAULTS, _CURVE, _TIMED = range(1, 6)  # separate streams: no measure changes another's data

Row = dict[str, Any]
Fields = Callable[[slice], tuple[Tensor, Tensor]]  # both flows of some pairs


class FlowScene:
    """Held-out data of one body. Each part is made on first use and does not depend on the others."""

    def __init__(self, body: str, config: FlowTableConfig) -> None:
        self.body, self._config = body, config

    @cached_property
    def clean(self) -> Pairs:
        """Pairs as the renderer draws them."""
        return self._pairs(self._config.pairs, self._rng(_PAIRS))

    @cached_property
    def degraded(self) -> Pairs:
        """The same pairs with y blurred, ghosted, noisy or tinted, as a prediction may be."""
        clean = self.clean
        return replace(clean, y=degraded(clean.y, clean.y.roll(1, 0), self._rng(_FAULTS)))

    def timed(self) -> tuple[Float[Tensor, "B 3 h w"], Float[Tensor, "B 3 h w"]]:
        """Return the images of the pairs that are timed."""
        pairs = self._pairs(self._config.timed_pairs, self._rng(_TIMED))
        return pairs.x, pairs.y

    @cached_property
    def moved(self) -> tuple[Float[Tensor, "n d 3 h w"], Bool[Tensor, "n d h w"]]:
        """Images with the body at offsets of 0 to ``reach`` pixels, and the masks of the body."""
        pool = self._pools[0]
        assert isinstance(pool.simulator.renderer, RaycastRenderer)
        images = pool.images[pool.usable].float() / 255
        chosen = self._rng(_CURVE).permutation(len(images))
        background = pool.simulator.renderer.background
        return displaced(images[chosen], background, n=self._config.images, reach=self._config.reach)

    @cached_property
    def _pools(self) -> list[Pool]:
        rng, size = self._rng(_POOLS), self._config.size
        tasks = [TASKS[self.body]] if self.body in TASKS else [suite_task(self.body, rng) for _ in range(_VIEWS)]
        episodes = max(2, self._config.episodes // len(tasks))
        return [make_pool(task, episodes=episodes, size=size, rng=rng) for task in tasks]

    def _pairs(self, n: int, rng: np.random.Generator) -> Pairs:
        if self.body == "textures":
            return Pairs(*painted(n, self._config.size, rng, checked=True))
        counts = np.diff(np.linspace(0, n, len(self._pools) + 1).round().astype(int))
        parts = zip(self._pools, counts, strict=True)
        return Pairs.joined([BodyPairs(pool).sample(int(count), rng) for pool, count in parts if count])

    def _rng(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([_HELD_OUT + self._config.seed, stream, BODIES.index(self.body) + 1])


def preset_of(name: str) -> Preset:
    """Return the preset of a flow; the ground-truth flow has a penalty on its displacement."""
    return Preset(form="disp") if name == EXACT else PRESETS[name]


class GivenFlow:
    """A flow of two given fields, whatever the images."""

    def __init__(self, forward: Float[Tensor, "B 2 h w"], backward: Float[Tensor, "B 2 h w"]) -> None:
        self._forward, self._backward = forward, backward

    def __call__(self, target: Float[Tensor, "B C h w"], source: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 2 h w"]:
        """Return the field on the grid of the target."""
        return self._forward

    def both(
        self, x: Float[Tensor, "B C h w"], y: Float[Tensor, "B C h w"]
    ) -> tuple[Float[Tensor, "B 2 h w"], Float[Tensor, "B 2 h w"]]:
        """Return both fields, on the grids of x and of y."""
        return self._forward, self._backward

    def to(self, device: str) -> GivenFlow:
        """Return the same flow with its fields on a device."""
        return GivenFlow(self._forward.to(device), self._backward.to(device))


@torch.no_grad()
def error_numbers(flow: Flow, pairs: Pairs) -> Row:
    """Return errors in pixels over the visible pixels of moving bodies, both directions, by displacement.

    For each band: ``epe``, the mean endpoint error; ``relative``, the mean of error / displacement; ``displacement``,
    its mean; ``marked``, the share of pixels that the flow's forward-backward check marks; ``epe_unmarked``, the mean
    error of the others; ``pixels``, their number. NaN where a band is empty.
    """
    chunks = zip(pairs.x.split(CHUNK), pairs.y.split(CHUNK), strict=True)
    fields = [both_ways(flow, x, y) for x, y in chunks]
    forward, backward = torch.cat([f for f, _ in fields]).cpu(), torch.cat([b for _, b in fields]).cpu()
    truth, seen = torch.cat((pairs.flow_xy, pairs.flow_yx)), torch.cat((pairs.seen_xy, pairs.seen_yx))
    error, length = endpoint_errors(torch.cat((forward, backward)), truth, seen)
    marked = torch.cat((occluded(forward, backward), occluded(backward, forward)))
    marked = marked[seen & (truth.norm(dim=1) > MOVES) & torch.isfinite(truth).all(dim=1)]
    row: Row = {}
    for name in BANDS:
        low, high = map(float, name.split("_"))
        band = (length >= low) & (length < high)
        e, d, m = error[band].double(), length[band].double(), marked[band]
        numbers = {
            "epe": e.mean(), "relative": (e / d).mean(), "displacement": d.mean(), "marked": m.double().mean(),
            "epe_unmarked": e[~m].mean(),
        }  # fmt: skip
        row |= {f"{number}_{name}": float(value) for number, value in numbers.items()}
        row[f"pixels_{name}"] = int(band.sum())
    return row


def l1_curve(images: Float[Tensor, "n d 3 h w"]) -> Row:
    """Return the pixel L1 between offset 0 and each offset."""
    return curve_statistics(l1(images[:, :1].expand_as(images), images))


@torch.no_grad()
def curve_numbers(fields: Fields, images: Float[Tensor, "n d 3 h w"], *, name: str, form: str) -> Row:
    """Return the loss between offset 0 and each offset: mean and standard error over the n images.

    Args:
        fields: the two flows of a slice of the n * d pairs.
        images: see ``FlowScene.moved``.
        name: of the flow, whose preset has the weights of a form.
        form: one of a preset's, or "unscaled": full warp, without any penalty (the paper's Fig. A2).
    """
    n, d = images.shape[:2]
    x, y = images[:, :1].expand_as(images).flatten(0, 1), images.flatten(0, 1)
    losses = []
    for at in range(0, n * d, CHUNK):
        part = slice(at, min(at + CHUNK, n * d))
        flow = GivenFlow(*fields(part))
        unscaled = CorrespondenceWise(l1, flow, scaling=0)
        distance = unscaled if form == "unscaled" else preset_of(name).apply(l1, flow, form)
        losses.append(distance(x[part], y[part]))
    return curve_statistics(torch.cat(losses).reshape(n, d))


def curve_statistics(losses: Float[Tensor, "n d"]) -> Row:
    """Return a row of a curve: the mean and the standard error over n images at each offset from 0."""
    n = len(losses)
    error = losses.double().std(dim=0) / n**0.5 if n > 1 else torch.full_like(losses[0], float("nan"))
    mean = losses.double().mean(dim=0)
    loss, spread = ([float(f"{value:.6g}") for value in values.tolist()] for values in (mean, error))
    return {"pictures": n, "offsets": list(range(losses.shape[1])), "loss": loss, "error": spread}


@torch.no_grad()
def speed_numbers(flow: Flow, x: Float[Tensor, "B 3 h w"], y: Float[Tensor, "B 3 h w"], *, repeats: int) -> Row:
    """Return the median milliseconds for both directions of a batch, on the device of the images."""

    def once() -> float:
        _finish(x)
        start = time.perf_counter()
        both_ways(flow, x, y)
        _finish(x)
        return 1e3 * (time.perf_counter() - start)

    once()  # first calls build pools, plans and caches
    times = [once() for _ in range(repeats)]
    median = statistics.median(times)
    return {
        **{"ms_per_pair": median / len(x), "ms_batch": median, "ms_batch_least": min(times), "pairs": len(x)},
        **{"size": x.shape[-1], "threads": torch.get_num_threads() if x.device.type == "cpu" else None},
        "processor": torch.cuda.get_device_name(x.device) if x.device.type == "cuda" else None,
    }


def _finish(images: Tensor) -> None:
    if images.device.type == "cuda":
        torch.cuda.synchronize(images.device)
