"""Videos restored by an image model: seconds a frame with and without guidance, and what maps and noise take of them.

    .venv/bin/python benchmarks/restoration.py [threads]

16 frames of 64 px, 25 evaluations a frame, the small model with random weights: its work does not depend on them. Then
a stream of 1000 frames with guidance, 5 evaluations a frame: the process's peak memory after 20 of them, and after all.
The table is written as Markdown.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

import torch

from corrwise.predictors.restoration import (
    Guidance,
    RestorationConfig,
    RestorationModel,
    carried_noise,
    make_carrier,
    make_damage,
    restored_frames,
    video_maps,
)

OUT = Path("docs/results/restoration/restoring-speed.md")
FRAMES, SIDE, DAMAGE = 16, 64, "random:share=0.4"
SHORT, LONG, STREAM_EVALUATIONS = 20, 1000, 5


def generator() -> torch.Generator:
    """Return a fresh source of random numbers."""
    return torch.Generator("cpu").manual_seed(0)


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes, the least of three."""
    times = []
    for _ in range(3):
        began = perf_counter()
        call()
        times.append(perf_counter() - began)
    return min(times)


def peaks(model: RestorationModel, whole: torch.Tensor) -> dict[int, float]:
    """Return the process's peak memory in MiB after so many guided frames of a stream, made as they are asked for."""

    def frames() -> Iterator[torch.Tensor]:
        for k in range(LONG):
            left = 15 + abs(k % 30 - 15)  # to and fro
            yield whole[:, 8 : 8 + SIDE, left : left + SIDE]

    draws, damage, found = generator(), make_damage(DAMAGE), dict[int, float]()
    operators = (damage.draw(1, SIDE, SIDE, draws) for _ in range(LONG))
    observed = ((operator, operator.apply(frame[None])[0]) for operator, frame in zip(operators, frames(), strict=True))
    maps, times = video_maps(frames(), "dis"), model.config.times(STREAM_EVALUATIONS)
    stream = restored_frames(model, observed, maps, make_carrier("gp"), generator(), guidance=Guidance(), times=times)
    for number, _ in enumerate(stream, start=1):
        if number in (SHORT, LONG):
            found[number] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kibibytes, on Linux
    return found


def main() -> None:
    """Measure, print and write the table."""
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = RestorationModel(RestorationConfig(damages=(DAMAGE,), width=32, blocks=1)).requires_grad_(False)
    whole = torch.nn.functional.interpolate(torch.rand(1, 3, 24, 24), size=(96, 96), mode="bicubic")[0].clamp(0, 1)
    memory = peaks(model, whole)  # first: a peak never falls
    video = [whole[:, 8 : 8 + SIDE, 30 - k : 30 - k + SIDE] for k in range(FRAMES)]
    operator = make_damage(DAMAGE).draw(1, SIDE, SIDE, generator())
    observed = [(operator, operator.apply(frame[None])[0]) for frame in video]
    maps = list(video_maps(video, "dis"))

    def restored(guidance: Guidance | None) -> Iterator[torch.Tensor]:
        return restored_frames(model, observed, maps, make_carrier("gp"), generator(), guidance=guidance)

    def spent(guidance: Guidance | None) -> float:
        return seconds(lambda: list(restored(guidance)))

    free, guided, direct = (spent(each) for each in (None, Guidance(), Guidance(pulls="prediction")))
    parts = {
        "maps by DIS": seconds(lambda: list(video_maps(video, "dis"))),
        "Gaussian-process noise": seconds(lambda: list(carried_noise(make_carrier("gp"), maps, 3, generator()))),
        "frame by frame": free,
        "with guidance": guided,
        "with guided predictions": direct,
    }
    what = f"{FRAMES} frames of {SIDE} px, {threads} thread{'s' * (threads > 1)}"
    lines = [f"| {what} | seconds | ms a frame |", "|---|---|---|"]
    lines += [f"| {name} | {each:.1f} | {1000 * each / FRAMES:.0f} |" for name, each in parts.items()]
    lines.append(f"| guidance costs | {guided / free:.1f}x | |")
    lines.append(f"| guidance of predictions costs | {direct / free:.1f}x | |")
    for number, peak in memory.items():
        lines.append(f"| peak memory after {number} frames | {peak:.0f} MiB | |")
    print("\n".join(lines))
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
