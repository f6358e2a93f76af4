"""Gaussian-process noise: seconds and memory of a grid and of warped points, beside discrete noise and plain sums.

    .venv/bin/python benchmarks/noise.py [threads]

Each figure is the median of five repetitions in a process of its own, with 3 channels; memory is the growth of the
process's peak. The table is written as Markdown.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

OUT = Path("docs/results/restoration/speed.md")
CODE = """
import resource, statistics, time
import torch
from corrwise.predictors.restoration import *
from corrwise.predictors.restoration.maps import pixel_grid
torch.set_num_threads({threads})
generator = torch.Generator("cpu").manual_seed(0)
process = sample_gaussian_process(GaussianProcessConfig(), 3, generator)
first, step = affine_maps([Affine.turn(3, ({size} / 2, {size} / 2))], {size}, {size})
gp, discrete = make_carrier("gp"), make_carrier("discrete")
noise = discrete.start(first, 3, generator)
process.grid(8, 8), process.at(torch.zeros(8, 2))
before, times = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
for _ in range({repeats}):
    began = time.perf_counter()
    {call}
    times.append(time.perf_counter() - began)
print(statistics.median(times), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
CALLS = {
    "noise of a frame: `grid`": "process.grid({size}, {size})",
    "the same, pixel by pixel: `at`": "process.at(first.points)",
    "noise at the origins of a turned frame: `at`": "process.at(step.points)",
    "discrete noise of the turned frame": "discrete.carry(noise, step, generator)",
}


def measured(call: str, size: int, threads: int) -> tuple[float, float]:
    """Return the seconds and the MiB of a call."""
    repeats = 1 if size > 512 and ".at(" in call else 5
    code = CODE.format(threads=threads, size=size, repeats=repeats, call=call.format(size=size))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, mib = map(float, done.stdout.split())
    return seconds, mib


def main() -> None:
    """Measure, print and write the table."""
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    lines = [f"| {threads} thread{'s' * (threads > 1)} | 3 x 256 x 256 | 3 x 1024 x 1024 |", "|---|---|---|"]
    for name, call in CALLS.items():
        cells = [f"{s:.3f} s, {mib:.0f} MiB" for s, mib in (measured(call, size, threads) for size in (256, 1024))]
        lines.append(f"| {name} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
