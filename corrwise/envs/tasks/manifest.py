"""Frozen starts and goals: every cost is evaluated on the same ones, in this version and the next."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from corrwise._files import load_arrays, parse_json, reading
from corrwise._writing import write_bytes_atomic
from corrwise.envs.physics import Physics
from corrwise.envs.tasks import TASKS
from corrwise.envs.tasks.goals import sample_episode
from corrwise.envs.tasks.metric import integration_size
from corrwise.envs.tasks.task import Task

__all__ = ["Manifest", "draw_manifest", "empty_manifest", "frozen_manifest", "save_manifest"]

_FOLDER = files("corrwise.envs.tasks") / "manifests"


@dataclass(frozen=True, eq=False)
class Manifest:
    """Episodes of one task.

    Attributes:
        task: its name.
        settings: what else an episode depends on: camera, frame skip, control steps, velocity weight.
        seeds: (n,); of the start and goal, and of what the planner draws.
        starts, goals: integration states (n, S).
    """

    task: str
    settings: dict[str, Any]
    seeds: np.ndarray
    starts: Float64[np.ndarray, "n S"]
    goals: Float64[np.ndarray, "n S"]

    @property
    def digest(self) -> str:
        """SHA-256 of all that is in it."""
        header = json.dumps([self.task, self.settings, self.seeds.tolist()], sort_keys=True)
        states = (np.ascontiguousarray(each, dtype="<f8").tobytes() for each in (self.starts, self.goals))
        return hashlib.sha256(b"".join((header.encode(), *states))).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Manifest) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def part(self, which: slice) -> Manifest:
        """Return some of the episodes."""
        return replace(self, **{name: getattr(self, name)[which] for name in ("seeds", "starts", "goals")})

    def chosen(self, seeds: Sequence[int]) -> tuple[Float64[np.ndarray, "k S"], Float64[np.ndarray, "k S"]]:
        """Return the starts and goals of these seeds."""
        where = [int(np.flatnonzero(self.seeds == seed)[0]) for seed in seeds]
        return self.starts[where], self.goals[where]


def draw_manifest(task: str, seeds: Sequence[int]) -> Manifest:
    """Return the episodes that a ``Fleet`` draws from these seeds; other versions of MuJoCo may draw others."""
    model = TASKS[task].compile()
    physics = Physics(model, TASKS[task].frame_skip)
    pairs = [sample_episode(TASKS[task], physics, np.random.default_rng(seed)) for seed in seeds]
    starts, goals = (np.stack(states) for states in zip(*pairs, strict=True))
    return Manifest(task, _settings(TASKS[task]), np.array(seeds), starts, goals)


def empty_manifest(task: str) -> Manifest:
    """Return what a task's manifests have in common, without episodes and without the size of a state."""
    none = np.zeros((0, 0))
    return Manifest(task, _settings(TASKS[task]), np.zeros(0, dtype=int), none, none)


@cache
def frozen_manifest(task: str) -> Manifest:
    """Return the task's 100 episodes that ship with the package.

    Raises:
        ValueError: the file is damaged, or the task is no longer what it was when its episodes were frozen.
    """
    file = _FOLDER / f"{task}.npz"
    with reading(str(file), "is no manifest that can be read"):
        saved = load_arrays(file.read_bytes(), str(file))
        settings = parse_json(str(saved["settings"]))
        manifest = Manifest(task, settings, saved["seeds"], saved["starts"], saved["goals"])
        digest = manifest.digest
    if digest != str(saved["digest"]):
        raise ValueError(f"the manifest of {task} is damaged: its SHA-256 is {digest}")
    now, size = _settings(TASKS[task]), integration_size(TASKS[task].compile())
    if manifest.settings != now or manifest.starts.shape[1] != size:
        raise ValueError(
            f"{task} has changed since its episodes were frozen: {manifest.settings} and states of "
            f"{manifest.starts.shape[1]} numbers there, {now} and {size} here"
        )
    return manifest


def save_manifest(manifest: Manifest, path: Path) -> None:
    """Write the manifest with its digest, the same bytes for the same manifest."""
    data = io.BytesIO()
    np.savez_compressed(
        data,
        settings=np.array(json.dumps(manifest.settings, sort_keys=True)),
        digest=np.array(manifest.digest),
        seeds=manifest.seeds,
        starts=manifest.starts,
        goals=manifest.goals,
    )
    write_bytes_atomic(path, data.getvalue())


def _settings(task: Task) -> dict[str, Any]:
    camera = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(task.camera).items()}
    plain = {name: getattr(task, name) for name in ("frame_skip", "episode_steps", "velocity_weight")}
    return {"camera": camera, **plain, **({} if task.gusts is None else {"gusts": asdict(task.gusts)})}
