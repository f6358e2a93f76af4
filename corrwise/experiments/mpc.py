"""``corrwise mpc``: costs side by side on the same starts and goals; rows, videos and a report in one folder."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from corrwise.envs import TASKS
from corrwise.experiments.config import MPCConfig
from corrwise.experiments.episodes import Episode, run_episodes
from corrwise.experiments.lock import only_run
from corrwise.experiments.named_costs import resolved
from corrwise.experiments.networks import check_networks, networks_of
from corrwise.experiments.report import write_report
from corrwise.experiments.rows import ConfigMismatch, append_row, claim_folder, open_rows, row_key
from corrwise.experiments.strip import ROWS, make_strip, save_strip
from corrwise.experiments.summary import TERMS
from corrwise.experiments.video import label_panels, write_video
from corrwise.mpc.config import PLANNER_NAMES

FREE = ("costs", "episodes", "seed", "lockstep", "max_frames", "videos")  # these never change a row but a network's
_PACKAGES = ("mujoco", "torch", "torchvision", "numpy", "opencv-python-headless", "gymnasium", "dm-control")
_VIDEO_FPS = 10

Row = dict[str, Any]


def run_mpc(config: MPCConfig) -> Path:
    """Run what the folder does not hold yet, episode group by episode group, and return the report's path.

    An episode's row is written after its pictures, so a run that is killed loses at most the episodes in flight, and
    the same command continues it.
    """
    networks = networks_of(config)  # missing weights must fail before all else
    # A network's last bits depend on the batch, which max_frames may cut.
    free = [name for name in FREE if name != "max_frames" or not any(networks.values())]
    with only_run(config.out):
        claim_folder(config.out, jsonable_config(config), ignore=free)
        rows = open_rows(config.out / "rows.jsonl")
        check_versions(config.out, rows)
        check_networks(config.out, rows, networks)
        _run_missing(config, {row_key(row) for row in rows}, networks)
        return write_report(config.out)


def _run_missing(config: MPCConfig, done: set[Any], networks: dict[str, str | None]) -> None:
    work = list(_groups(config, done))
    steps = config.steps or TASKS[config.task].episode_steps
    with tqdm(total=steps * len(work), unit="step", desc=config.task) as bar:
        for cost, seeds in work:
            bar.set_description(f"{config.task} {cost} seeds {seeds[0]}-{seeds[-1]}")
            for episode in run_episodes(config, cost, seeds, progress=bar.update):
                append_row(config.out / "rows.jsonl", {**_save(config, cost, episode), "network": networks[cost]})


def check_versions(out: Path, rows: list[Row]) -> None:
    """Refuse to add rows to those of another simulator or another torch: they could not be compared."""
    here = versions()
    for package in ("mujoco", "torch"):
        for there in (row.get("versions", {}).get(package, here[package]) for row in rows):
            if there != here[package]:
                raise ConfigMismatch(
                    f"{out} holds rows made with {package} {there}, and here is {here[package]}; choose another folder"
                )


def jsonable_config(config: MPCConfig) -> Row:
    """Return the configuration as it stands in config.json: the options of the planner in use, and no other's.

    The numbers that the flow chose stand in it too, so that rows never mix two choices.
    """
    config = replace(config, cost=resolved(config.cost))
    unused = {*PLANNER_NAMES, "out"} - {config.planner}  # a folder stays the same run wherever it is moved
    return {name: value for name, value in asdict(config).items() if name not in unused}


def _groups(config: MPCConfig, done: set[Any]) -> Iterator[tuple[str, list[int]]]:
    """Yield what is left to do: a cost and the seeds that step together."""
    for cost in config.costs:
        seeds = [config.seed + i for i in range(config.episodes)]
        left = [seed for seed in seeds if (config.task, cost, config.planner, config.predictor, seed) not in done]
        for i in range(0, len(left), config.lockstep):
            yield cost, left[i : i + config.lockstep]


def _save(config: MPCConfig, cost: str, episode: Episode) -> Row:
    """Write an episode's pictures and return its row."""
    name = f"{config.task}-{cost}-{config.planner}-{config.predictor}-{episode.seed}"
    strip, video = Path("episodes") / f"{name}.png", Path("episodes") / f"{name}.mp4"
    save_strip(config.out / strip, make_strip([episode.panels[row] for row in ROWS]))
    if config.videos:
        clips = {row: np.stack(episode.panels[row]) for row in ROWS}
        write_video(config.out / video, label_panels(clips), fps=_VIDEO_FPS)
    return {
        **{"task": config.task, "cost": cost, "planner": config.planner, "predictor": config.predictor},
        "seed": episode.seed,
        **_distances("", episode.distances),
        **_distances("_full", episode.distances_full),
        "last10_distance": float(np.mean(episode.distances[-10:])),
        "steps": len(episode.distances) - 1,
        "seconds": sum(episode.seconds.values()),
        **{f"seconds_{name}": spent for name, spent in sorted(episode.seconds.items())},
        **{name: _mean(episode.terms.get(name, [])) for name in TERMS},
        "rejected": episode.rejected,
        "diverged": episode.diverged,
        "distances": episode.distances,
        "versions": versions(),
        "strip": str(strip),
        "video": str(video) if config.videos else None,
    }


def _distances(suffix: str, distances: list[float]) -> Row:
    """Return start, nearest and final distance; the nearest may be the start."""
    return {
        f"start_distance{suffix}": distances[0],
        f"min_distance{suffix}": min(distances),
        f"final_distance{suffix}": distances[-1],
    }


def _mean(values: list[float]) -> float | None:
    """Return the mean over the control steps that have a value, or None."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else None


@cache
def versions() -> dict[str, str]:
    """Return the versions that results depend on."""
    return {"corrwise": version("corrwise"), "python": platform.python_version()} | {
        package: version(package) for package in _PACKAGES
    }
