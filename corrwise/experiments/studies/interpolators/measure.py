"""The rows of ``corrwise table interpolators``: how good the frame in the middle of a window is, and its time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.experiments.cli.table_interpolators import GROUND_TRUTH, InterpolatorTableConfig
from corrwise.experiments.runs.executors import one_thread
from corrwise.experiments.runs.interpolators import interpolator_of
from corrwise.experiments.runs.rows import COUNT, NUMBER, TEXT, TEXT_BY_NAME, Key, Row, RowKey, needed
from corrwise.experiments.studies.interpolators.windows import HeldClips, Window
from corrwise.predictors.interpolation import HalfFlow
from corrwise.predictors.metrics import frame_metrics, moved_psnr
from corrwise.types import FixedTimes, Interpolator

__all__ = ["KEY", "METRICS", "Subject", "known_frames", "made_frame", "window_rows"]

METRICS = ("psnr", "psnr_moved", "ssim", "st_lpips")

KEY = Key(
    {"arm": str, "data": str, "gap": int, "window": int},
    {
        **dict.fromkeys(("psnr", "ssim"), needed(NUMBER, null=True)),
        **dict.fromkeys(("psnr_moved", "st_lpips", "moved", "ms_frame"), NUMBER),
        **{"clip": needed(COUNT), "start": COUNT, "frames": COUNT, "broken": COUNT},
        **{"weights": TEXT, "versions": TEXT_BY_NAME},
    },
)


@dataclass(frozen=True)
class Subject:
    """An interpolator, and the clips that it is measured on.

    Attributes:
        arm: its name in rows.
        text: the name with options or the folder behind it, see ``interpolator_of``.
        data: the clips.
        gap: frames from one known frame to the next.
        config: the known frames of a window and the seed.
    """

    arm: str
    text: str
    data: Path
    gap: int
    config: InterpolatorTableConfig

    @property
    def held(self) -> HeldClips:
        """The clips, opened anew."""
        return HeldClips(self.data, self.gap, self.config.context, self.config.seed)


def window_rows(
    subject: Subject, *, threads: int, progress: Callable[[], Any]
) -> Callable[[Sequence[RowKey]], Iterator[Row]]:
    """Return what makes the rows of one interpolator, a window at a time and with one thread: frames are timed."""
    one_thread()
    held = subject.held
    device = subject.config.device
    model = None if subject.text == GROUND_TRUTH else interpolator_of(subject.text, device=device)
    made_frame(model, held, held.window(0), device)  # what is built on first use does not count

    def rows(keys: Sequence[RowKey]) -> Iterator[Row]:
        for arm, data, gap, number in keys:
            window = held.window(number)
            made, seconds = made_frame(model, held, window, device)
            about = {"arm": arm, "data": data, "gap": gap, "window": number, "clip": window.clip}
            yield {**about, "start": window.places[0], **measured(made, window), "ms_frame": 1000 * seconds}
            progress()

    return rows


def made_frame(
    model: Interpolator | None, held: HeldClips, window: Window, device: str = "cpu"
) -> tuple[Float[Tensor, "1 3 h w"], float]:
    """Return the frame in the middle of a window, and the seconds that it took; a flow that is given takes none.

    Args:
        model: the interpolator; None is half-flow with the exact flow.
        held: the clips of the window.
        window: what is known.
        device: where the model is and the frame is made; it comes back to the CPU.

    Raises:
        ValueError: a model that needs other known frames, or clips without ground truth.
    """
    interpolator = HalfFlow(held.exact_flow(window).to(device)) if model is None else model
    count = known_frames(interpolator)
    if count > len(window.places):
        raise ValueError(f"expected an interpolator of {len(window.places)} known frames, got one of {count}")
    places, known = window.middle(count)
    known = known.to(device)
    began = time.perf_counter()
    with torch.no_grad():
        made = interpolator(known, places, [(places[0] + places[-1]) / 2])[:, 0].cpu()  # which waits for a GPU
    return made, time.perf_counter() - began


def known_frames(model: Interpolator) -> int:
    """Return how many known frames an interpolator gets."""
    return len(model.known) if isinstance(model, FixedTimes) else 2


def measured(made: Float[Tensor, "1 3 h w"], window: Window) -> Row:
    """Return the metrics of a frame; one that is not finite counts as black, and as ``broken``."""
    broken = not bool(made.isfinite().all())
    made = torch.zeros_like(made) if broken else made
    _, known = window.middle(2)
    plain = frame_metrics(made[None], window.true[None], known[:, 0])
    moved, share = moved_psnr(made, window.true, known)
    perceptual = plain.get("st_lpips")
    return {
        "psnr": float(plain["psnr"]),
        "psnr_moved": float(moved),
        "ssim": float(plain["ssim"]),
        "st_lpips": None if perceptual is None else float(perceptual),
        "moved": float(share),
        "broken": int(broken),
    }
