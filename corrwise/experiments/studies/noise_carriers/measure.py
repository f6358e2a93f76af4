"""The rows of ``corrwise table noise-carriers``: the noise of a motion's last frame."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Generator, Tensor

from corrwise.experiments.cli.table_noise_carriers import SCENE, NoiseCarrierTableConfig
from corrwise.experiments.runs.executors import one_thread
from corrwise.experiments.runs.rows import COUNT, NUMBER, TEXT_BY_NAME, Key, Row, RowKey, needed
from corrwise.experiments.studies.noise_carriers.motions import ESTIMATED, maps_of
from corrwise.predictors.restoration import FrameMap, GaussianProcessConfig, carried_noise, kernel, make_carrier

__all__ = ["KEY", "MotionSubject", "carrier_rows"]

OFFSETS = ((1, 0), (0, 1), (1, 1), (2, 0), (0, 2))  # px, at which the covariance is measured
APART = 6  # px between values that count as independent
WHOLE = 1e-3  # px, within which an origin is the centre of a pixel
COLOURS = 3  # channels of the noise whose time is taken

KEY = Key(
    {"carrier": str, "motion": str, "seed": int},
    {
        **dict.fromkeys(("variance", "moran", "moran_expected", "moran_z"), needed(NUMBER)),
        **dict.fromkeys(("ks", "ks_p", "covariance_error", "grid_error", "repeated"), needed(NUMBER)),
        **dict.fromkeys(("follow_error", "follow_correlation", "origin_error", "traced", "hidden", "ms_frame"), NUMBER),
        **{"values": COUNT, "versions": TEXT_BY_NAME},
    },
)


@dataclass(frozen=True)
class MotionSubject:
    """A motion, and how noise is measured along it."""

    motion: str
    config: NoiseCarrierTableConfig


def carrier_rows(
    subject: MotionSubject, *, threads: int, progress: Callable[[], object]
) -> Callable[[Sequence[RowKey]], Iterator[Row]]:
    """Return what makes the rows of a motion, one for each carrier and seed."""
    one_thread()
    config = subject.config
    maps = list(maps_of(subject.motion, config))
    exact = None if ESTIMATED not in subject.motion else list(maps_of(SCENE, config))[-1]

    def rows(keys: Sequence[RowKey]) -> Iterator[Row]:
        for name, motion, seed in keys:
            carrier = make_carrier(name)
            frames = carried_noise(carrier, maps, config.channels, _generator(seed))
            first = next(frames)
            (last,) = deque(frames, maxlen=1)  # no frame between them is kept
            began = time.perf_counter()
            deque(carried_noise(carrier, maps, COLOURS, _generator(seed)), maxlen=0)
            spent = 1000 * (time.perf_counter() - began) / len(maps)
            measured = {**_law(last, maps[-1], carrier.config), **_following(first, last, maps[-1], exact)}
            progress()
            yield {"carrier": name, "motion": motion, "seed": seed, **measured, "ms_frame": spent}

    return rows


def _generator(seed: int) -> Generator:
    return torch.Generator("cpu").manual_seed(seed)


def _law(noise: Float[Tensor, "C h w"], at: FrameMap, config: GaussianProcessConfig | None) -> Row:
    """Return variance, autocorrelation, distribution and covariance, beside what the carrier's law gives."""
    from scipy.stats import kstest

    variance = float(noise.square().mean())
    on_grid, mapped = [abs(variance - 1)], [abs(variance - 1)]
    for offset in OFFSETS:
        covariance = float((_moved(noise, offset, later=True) * _moved(noise, offset, later=False)).mean())
        on_grid.append(abs(covariance - _expected(at, offset, config, warped=False)))
        mapped.append(abs(covariance - _expected(at, offset, config, warped=True)))
    sample = noise[:, APART // 2 :: APART, APART // 2 :: APART].flatten().double()
    test = kstest(sample.numpy(), "norm")
    neighbours = [_expected(at, offset, config, warped=True) for offset in OFFSETS[:2]]
    count = noise[0].numel()
    expected = -1 / (count - 1) if config is None else sum(neighbours) / 2
    moran = _moran(noise)
    return {
        "variance": variance,
        "moran": moran,
        "moran_expected": expected,
        "moran_z": (moran - expected) / (_moran_deviation(*noise.shape[1:]) / sqrt(len(noise))),
        "ks": float(test.statistic),
        "ks_p": float(test.pvalue),
        "values": len(sample),
        "covariance_error": max(mapped),
        "grid_error": max(on_grid),
        "repeated": 1 - sum(each.unique().numel() for each in noise) / noise.numel(),
    }


def _moved(images: Shaped[Tensor, "*c h w"], offset: tuple[int, int], *, later: bool) -> Shaped[Tensor, "*c H W"]:
    """Return the pixels that have one at an offset (x, y), or those at the offset."""
    x, y = offset
    height, width = images.shape[-2:]
    return images[..., y:, x:] if later else images[..., : height - y, : width - x]


def _expected(at: FrameMap, offset: tuple[int, int], config: GaussianProcessConfig | None, *, warped: bool) -> float:
    """Return the mean covariance of two pixels at an offset (x, y): by the kernel, of their origins or of the grid.

    Pixels of different origin frames have independent noise.
    """
    if config is None:
        return 0.0
    if not warped:
        return float(kernel(at.points.new_tensor(offset), config))
    points, origin = at.points.permute(2, 0, 1), at.origin
    apart = (_moved(points, offset, later=True) - _moved(points, offset, later=False)).permute(1, 2, 0)
    alike = _moved(origin, offset, later=True) == _moved(origin, offset, later=False)
    return float((kernel(apart, config) * alike).mean())


def _moran(noise: Float[Tensor, "C h w"]) -> float:
    """Return Moran's I on the four neighbours of each pixel, on average over channels (Moran, 1950)."""
    centered = noise - noise.mean(dim=(1, 2), keepdim=True)
    products, pairs = noise.new_zeros(len(noise)), 0
    for offset in OFFSETS[:2]:
        product = _moved(centered, offset, later=True) * _moved(centered, offset, later=False)
        products, pairs = products + product.sum(dim=(1, 2)), pairs + product[0].numel()
    return float((products / pairs / centered.square().mean(dim=(1, 2))).mean())


def _moran_deviation(height: int, width: int) -> float:
    """Return the standard deviation of Moran's I of independent normal values on a grid (Cliff and Ord, 1981)."""
    n = height * width
    pairs = height * (width - 1) + width * (height - 1)
    s0, s1 = 2 * pairs, 4 * pairs
    inner, edge = (height - 2) * (width - 2), 2 * (height - 2) + 2 * (width - 2)
    s2 = sum(count * (2 * neighbours) ** 2 for count, neighbours in ((inner, 4), (edge, 3), (4, 2)))
    return sqrt((n * n * s1 - n * s2 + 3 * s0 * s0) / ((n * n - 1) * s0 * s0) - 1 / (n - 1) ** 2)


def _following(
    first: Float[Tensor, "C h w"], last: Float[Tensor, "C h w"], at: FrameMap, exact: FrameMap | None
) -> Row:
    """Return how well noise follows its origins in the first frame, where they are visible throughout.

    The largest difference is that of pixels whose origins are the centres of pixels; null where none is, and for
    estimated flow, whose origins have an error of their own.
    """
    traced = at.traced
    x, y = at.points.round().long().unbind(-1)
    height, width = at.size
    there = first[:, y.clamp(0, height - 1), x.clamp(0, width - 1)]
    whole = traced & ((at.points - at.points.round()).abs() < WHOLE).all(dim=-1)
    shares = {"traced": float(traced.float().mean()), "hidden": float(at.hidden.float().mean())}
    return {
        "follow_error": float((last - there)[:, whole].abs().max()) if exact is None and bool(whole.any()) else None,
        "follow_correlation": _correlation(there, last, traced),
        "origin_error": None if exact is None else _distance(at, exact),
        **shares,
    }


def _distance(at: FrameMap, exact: FrameMap) -> float | None:
    """Return the mean distance in pixels of origins from the exact ones, of pixels that have both."""
    both = at.traced & exact.traced
    return float((at.points - exact.points)[both].norm(dim=-1).mean()) if bool(both.any()) else None


def _correlation(one: Tensor, two: Tensor, where: Bool[Tensor, "h w"]) -> float | None:
    if not bool(where.any()):
        return None
    pair = torch.stack((one[:, where].flatten(), two[:, where].flatten())).double()
    return float(torch.corrcoef(pair)[0, 1])
