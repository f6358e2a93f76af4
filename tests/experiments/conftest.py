"""A run folder as `corrwise mpc` leaves it, made up: a cart that glides over a checker floor toward its goal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from corrwise.costs.flow_colors import flow_to_rgb
from corrwise.experiments import RunFolder
from corrwise.experiments.report.strip import make_strip, save_strip
from corrwise.experiments.runs.rows import append_row

SIDE = 64
SPEED = {"l1": 0.012, "corr-l1": 0.09, "corr-l1-reg": 0.08, "state": 0.14, "zero-action": 0.0, "random-action": 0.0}


def frame(x: float, angle: float) -> np.ndarray:
    """A box with a pole at x metres on a floor that is seen from -4 m to 4 m."""
    v, u = np.mgrid[0:SIDE, 0:SIDE].astype(float)
    sky = np.stack([120 - v, 150 - v, 190 - 0.8 * v], -1)
    depth = np.maximum(v - 40, 0.5)
    checker = (np.floor((u - 32) / depth * 1.5) + np.floor(60 / depth)) % 2
    image = np.where((v > 40)[..., None], 70 + 40 * checker[..., None] + np.array([0, 8, 18]), sky)
    center = 32 + x * 7
    pole = np.abs((u - center) * np.cos(angle) + (v - 42) * np.sin(angle)) < 1.2
    along = (42 - v) * np.cos(angle) + (u - center) * np.sin(angle)
    image[pole & (along > 0) & (along < 22)] = (214, 178, 120)
    image[(np.abs(u - center) < 5) & (np.abs(v - 44) < 3.5)] = (196, 96, 62)
    return image.clip(0, 255).astype(np.uint8)


def episode(cost: str, seed: int, steps: int) -> tuple[list[float], list[list[np.ndarray]]]:
    """Distances over time and the rows goal, seen, predicted, flow."""
    rng = np.random.default_rng([seed, *cost.encode()])
    start = np.random.default_rng(seed).uniform(-3.2, -1.5)
    goal = start + np.random.default_rng(seed + 99).uniform(2.5, 4.5)
    x, angle, xs, angles = start, 0.0, [], []
    for _ in range(steps + 1):
        xs.append(x)
        angles.append(angle)
        wander = 0.18 if cost == "random-action" else 0.05 if SPEED.get(cost, 0.05) else 0.0
        x += SPEED.get(cost, 0.05) * (goal - x) * rng.uniform(0.6, 1.4) + wander * rng.normal()
        angle = 0.8 * angle + (0.12 * rng.normal() if wander else 0.0)
    seen = [frame(x, a) for x, a in zip(xs[:-1], angles[:-1], strict=True)]
    predicted = [frame(x + 0.3 * (goal - x), 0.5 * a) for x, a in zip(xs[:-1], angles[:-1], strict=True)]
    flows = []
    for x, image in zip(xs, predicted, strict=False):
        moving = np.abs(image.astype(int) - frame(99, 0)).sum(-1) > 30
        flows.append(flow_to_rgb(np.stack([moving * (goal - x) * 4.9, moving * rng.normal()]), max_px=16))
    return [abs(goal - x) for x in xs], [[frame(goal, 0.0)] * steps, seen, predicted, flows]


def write_fake_run(
    out: Path,
    *,
    costs: Sequence[str] = ("l1", "corr-l1", "corr-l1-reg"),
    seeds: int = 3,
    steps: int = 24,
    task: str = "cartpole",
    images: bool = True,
) -> Path:
    """Write config.json, rows.jsonl and episodes/."""
    planner = {"planner": "cem", "candidates": 48, "iterations": 3, "horizon": 8}
    with RunFolder(out, {"task": task, "costs": costs, "episodes": seeds, "steps": steps, "seed": 0, **planner}):
        pass
    for seed in range(seeds):
        for cost in costs:
            distances, clip = episode(cost, seed, steps)
            name = f"episodes/{task}-{cost}-cem-oracle-{seed}.png"
            if images:
                save_strip(out / name, make_strip(clip))
            flow = 0.4 * steps * ("corr" in cost) / 10
            seconds = {"simulate": 1.1, "render": 0.9, "predict": 0.05, "flow": flow, "plan": 0.2}
            append_row(out / "rows.jsonl", {
                **{"task": task, "cost": cost, "planner": "cem", "predictor": "oracle", "seed": seed},
                **{"start_distance": distances[0], "min_distance": min(distances), "final_distance": distances[-1]},
                **{"last10_distance": float(np.mean(distances[-10:])), "distances": distances, "steps": steps},
                **{f"seconds_{phase}": s for phase, s in seconds.items()},
                **{"seconds": sum(seconds.values()) + 0.15, "rejected": 0, "strip": name, "video": "none.mp4"},
                "versions": {"corrwise": "0.1.0", "mujoco": "3.17.0"},
            })  # fmt: skip
    return out


@pytest.fixture
def fake_run(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a made-up run folder and returns it."""
    return lambda name="run", **options: write_fake_run(tmp_path / name, **options)
