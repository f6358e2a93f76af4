"""``corrwise preview``: starts and goals of a task on one sheet, with the parts that the images do not show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import mujoco
import numpy as np
from jaxtyping import Bool, Float64

from corrwise._writing import write_bytes_atomic
from corrwise.envs import MujocoSimulator, RaycastRenderer, Task
from corrwise.envs.arrays import to_uint8
from corrwise.envs.renderers.extent import ViewExtents
from corrwise.envs.renderers.scene import PixelRays, RayScene
from corrwise.envs.renderers.view import PinholeView
from corrwise.envs.tasks.goals import sample_episode
from corrwise.envs.tasks.task import CAMERA_NAME
from corrwise.experiments.cli.preview import PreviewConfig
from corrwise.experiments.report.sheet import Numbers, Shot, contact_sheet
from corrwise.experiments.report.strip import png_bytes
from corrwise.experiments.runs.parts import named_task

_MARGIN = 8  # the image's size over the width of what is drawn around it
_NAMED = 5  # geoms that a line names at most
_UNDER_ONE = 0.94  # pixels; a thickness below one is never printed as 1.0


def run_preview(config: PreviewConfig) -> Path:
    """Draw the sheet, print what it shows, and return its path.

    Raises:
        RuntimeError: the task has no goals.
        RunFolderError: the file cannot be written.
        ValueError: there is no such task.
    """
    task = named_task(config.task)
    simulator = MujocoSimulator(task, size=config.size)
    seeds = range(config.seed, config.seed + config.count)
    pairs = [sample_episode(task, simulator.physics, np.random.default_rng(seed)) for seed in seeds]
    states = np.array(pairs).reshape(2 * len(pairs), -1)  # start, goal, start, goal, ...
    shots = _shots(task, simulator, states, seeds)
    episodes = "1 episode" if config.count == 1 else f"{config.count} episodes"
    title = f"{task.name}: {episodes} from seed {config.seed}, {config.size} x {config.size} pixels"
    lines = [*_summary(shots), *_undrawn(simulator, shots)]
    write_bytes_atomic(config.file, png_bytes(contact_sheet(title, lines, shots)))
    print("\n".join([title, *lines]))
    return config.file


def _shots(task: Task, simulator: MujocoSimulator, states: Float64[np.ndarray, "n S"], seeds: range) -> list[Shot]:
    view, size = simulator.physics.extents, simulator.renderer.height
    extents, thickness = view.extents(states), size * view.thickness(states)
    beyond, outside = size * extents.beyond, extents.outside
    drawn = _drawn(simulator.model, view, states, size)
    images, (around, body) = to_uint8(simulator.render(states)), _wider(task, states, size)
    shots = []
    for i in range(len(states)):
        cut, inside = extents.cut[i], ~outside[i]
        thin, hidden = inside & (thickness[i] < 1), inside & ~drawn[i]
        shots.append(
            Shot(
                title=f"seed {seeds[i // 2]}, {'goal' if i % 2 else 'start'}",
                goal=bool(i % 2),
                image=images[i],
                around=around[i],
                body=body[i],
                edges=(beyond[i] > 0).any(axis=0),
                cut=_numbered(view, cut, beyond[i].max(axis=-1, initial=0.0)),
                thin=_numbered(view, thin, np.minimum(thickness[i], _UNDER_ONE)),
                hidden=_numbered(view, hidden, thickness[i]),
            )
        )
    return shots


def _numbered(view: ViewExtents, which: Bool[np.ndarray, "g"], pixels: Float64[np.ndarray, "g"]) -> Numbers:
    return {view.names[geom]: float(pixels[geom]) for geom in np.flatnonzero(which)}


def _drawn(
    model: mujoco.MjModel, view: ViewExtents, states: Float64[np.ndarray, "n S"], size: int
) -> Bool[np.ndarray, "n g"]:
    """Return which shapes are what at least one pixel's ray meets first."""
    scene = RayScene(model)
    rays = PixelRays(scene, PinholeView.of_camera(model, CAMERA_NAME), height=size, width=size)
    met = np.zeros((len(states), len(scene.shapes.kind)), dtype=bool)
    for i in range(0, len(states), scene.chunk):
        part = states[i : i + scene.chunk]
        scene.load(part, np.ones(len(part), dtype=bool))
        row, _, _, shape, _ = rays.moving_hits(len(part))
        met[i + row, shape] = True
    return met[:, view.which]


def _wider(task: Task, states: Float64[np.ndarray, "n S"], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the images with a margin, uint8 (n, wide, wide, 3), and where those show a body, (n, wide, wide).

    The rays of the images are among those of the wider ones.
    """
    model, wide = task.compile(), size + 2 * round(size / _MARGIN)
    half = np.tan(np.radians(model.camera(CAMERA_NAME).fovy[0]) / 2) * wide / size
    model.camera(CAMERA_NAME).fovy = np.degrees(2 * np.arctan(half))
    renderer = RaycastRenderer(model, height=wide, width=wide)
    around = to_uint8(renderer.render(states))
    return around, (around != to_uint8(renderer.background)).any(axis=-1)


def _summary(shots: Sequence[Shot]) -> list[str]:
    """Return how many starts, goals and images have each fault, and in which geoms."""
    starts, goals = [shot for shot in shots if not shot.goal], [shot for shot in shots if shot.goal]
    return [
        _line("starts", "cut off", [shot.cut for shot in starts], max, " (by up to {:.1f} px)"),
        _line("goals", "cut off", [shot.cut for shot in goals], max, " (by up to {:.1f} px)"),
        _line("images", "with a part thinner than a pixel", [shot.thin for shot in shots], min, " ({:.1f} px)"),
        _line("images", "with a hidden part", [shot.hidden for shot in shots], max, ""),
    ]


def _undrawn(simulator: MujocoSimulator, shots: Sequence[Shot]) -> list[str]:
    """Return what no image of the task shows, and how many goals have the same image as their starts."""
    lines = []
    if simulator.unseen:
        lines = [f"images: nothing that moves is drawn: {simulator.unseen}"]
    elif simulator.left_out:
        lines = [f'images: left out {", ".join(simulator.left_out)}; renderer="gl" draws it all']
    starts, goals = shots[::2], shots[1::2]
    same = sum(np.array_equal(start.image, goal.image) for start, goal in zip(starts, goals, strict=True))
    return [*lines, f"goals: {same} of {len(goals)} with the same image as their start"] if same else lines


def _line(
    what: str, fault: str, faults: Sequence[Numbers], extreme: Callable[[Iterable[float]], float], note: str
) -> str:
    count = sum(bool(each) for each in faults)
    if not count:
        return f"{what}: none of {len(faults)} {fault}"
    geoms = Counter(name for each in faults for name in each).most_common()
    parts = [
        f"{name} in {times}{note.format(extreme(each[name] for each in faults if name in each))}"
        for name, times in geoms[:_NAMED]
    ]
    more = [f"{len(geoms) - _NAMED} more"] if len(geoms) > _NAMED else []
    return f"{what}: {count} of {len(faults)} {fault}: {', '.join(parts + more)}"
