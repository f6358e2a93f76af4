"""``corrwise mpc``: costs side by side on the same starts and goals; rows, videos and a report in one folder."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from corrwise.costs.spec import RECOMMENDED, CostSpec
from corrwise.experiments.cli.cost import cost_label
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.report.page import METHOD, write_report
from corrwise.experiments.report.rejected import refusals, warn
from corrwise.experiments.report.strip import make_strip, save_strip
from corrwise.experiments.report.video import label_panels, write_video
from corrwise.experiments.runs.episode import episode_row
from corrwise.experiments.runs.episodes import Episode, run_episodes
from corrwise.experiments.runs.lock import only_run
from corrwise.experiments.runs.named_costs import settings_behind, with_other_costs
from corrwise.experiments.runs.named_predictors import weights_of
from corrwise.experiments.runs.named_tasks import named_task, task_source
from corrwise.experiments.runs.networks import check_networks, check_weights, networks_of
from corrwise.experiments.runs.rows import append_row, claim_folder, open_rows, read_rows, row_key
from corrwise.experiments.runs.versions import check_versions, versions
from corrwise.mpc.config import PLANNER_NAMES

FREE = (
    "costs",
    "flow",
    "episodes",
    "seed",
    "lockstep",
    "max_frames",
    "videos",
)  # these never change a row but a network's
_VIDEO_FPS = 10

Row = dict[str, Any]


def run_mpc(config: MPCConfig) -> Path:
    """Run what the folder does not hold yet, episode group by episode group, and return the report's path.

    An episode's row is written after its pictures, so a run that is killed loses at most the episodes in flight, and
    the same command continues it.
    """
    if RECOMMENDED in config.costs:
        tqdm.write(f"{RECOMMENDED}: {CostSpec.parse(RECOMMENDED).describe()}", file=sys.stderr)
    named_task(config.task)  # a task or weights that cannot be had must fail before all else
    networks, weights = networks_of(config), weights_of(config)
    # A network's last bits depend on the batch, which max_frames may cut.
    free = [name for name in FREE if name != "max_frames" or not any((weights, *networks.values()))]
    with only_run(config.out):
        claim_folder(config.out, with_other_costs(config.out, jsonable_config(config)), ignore=free)
        rows = open_rows(config.out / "rows.jsonl")
        check_versions(config.out, rows)
        check_networks(config.out, rows, networks)
        check_weights(config.out, rows, weights)
        _run_missing(config, {row_key(row) for row in rows}, networks, weights)
        report = write_report(config.out)
        warn(refusals(read_rows(config.out / "rows.jsonl"), METHOD))
        return report


def _run_missing(config: MPCConfig, done: set[Any], networks: dict[str, str | None], weights: str | None) -> None:
    work = list(_groups(config, done))
    steps = config.steps or named_task(config.task).episode_steps
    with tqdm(total=steps * len(work), unit="step", desc=config.label) as bar:
        for cost, seeds in work:
            bar.set_description(f"{config.label} {cost_label(cost)} seeds {seeds[0]}-{seeds[-1]}")
            for episode in run_episodes(config, cost, seeds, progress=bar.update):
                told = {"network": networks[cost_label(cost)], "predictor_weights": weights}
                append_row(config.out / "rows.jsonl", {**_save(config, cost, episode), **told})


def jsonable_config(config: MPCConfig) -> Row:
    """Return the configuration as it stands in config.json: the options of the planner in use, and no other's.

    What each cost is made of stands in it too, so that rows never mix two versions of one name.
    """
    unused = {*PLANNER_NAMES, "out"} - {config.planner}  # a folder stays the same run wherever it is moved
    source = task_source(config.task)
    plain = {name: value for name, value in asdict(config).items() if name not in unused}
    plain["made_of"] = {cost_label(cost): settings_behind(cost) for cost in config.costs}
    return plain if source is None else {**plain, "task_source": source}


def _groups(config: MPCConfig, done: set[Any]) -> Iterator[tuple[str, list[int]]]:
    """Yield what is left to do: a cost and the seeds that step together."""
    for cost in config.costs:
        seeds = [config.seed + i for i in range(config.episodes)]
        method = config.label, cost_label(cost), config.planner, config.predictor_label
        left = [seed for seed in seeds if (*method, seed) not in done]
        for i in range(0, len(left), config.lockstep):
            yield cost, left[i : i + config.lockstep]


def _save(config: MPCConfig, cost: str, episode: Episode) -> Row:
    """Write an episode's pictures and return its row."""
    label = cost_label(cost)
    name = f"{config.label}-{_file_name(label)}-{config.planner}-{config.predictor_label}-{episode.seed}"
    strip, video = Path("episodes") / f"{name}.png", Path("episodes") / f"{name}.mp4"
    save_strip(config.out / strip, make_strip(list(episode.panels.values())))
    if config.videos:
        clips = {name: np.stack(pictures) for name, pictures in episode.panels.items()}
        write_video(config.out / video, label_panels(clips), fps=_VIDEO_FPS)
    return {
        **{"task": config.label, "cost": label, "planner": config.planner, "predictor": config.predictor_label},
        **episode_row(episode),
        "versions": versions(),
        "strip": str(strip),
        "panels": list(episode.panels),
        "video": str(video) if config.videos else None,
    }


def _file_name(label: str) -> str:
    """Return a cost's label as a part of a file name: one with a path in it is cut short and told apart by a digest."""
    if "/" not in label and len(label) <= 80:
        return label.replace(":", "-")
    plain = re.sub(r"[^\w=,.-]+", "-", label)[:60]
    return f"{plain}-{hashlib.sha256(label.encode()).hexdigest()[:8]}"
