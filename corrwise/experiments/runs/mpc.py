"""``corrwise mpc``: costs side by side on the same starts and goals; rows, videos and a report in one folder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from corrwise.costs.spec import RECOMMENDED, CostSpec
from corrwise.experiments.cli.mpc import GOAL_CONTROLS, INTERPOLATOR_NAMES, MPCConfig, run_name
from corrwise.experiments.cli.options import cost_label, file_label
from corrwise.experiments.report.strip import make_strip, save_strip
from corrwise.experiments.report.video import label_panels, write_video
from corrwise.experiments.runs import parts
from corrwise.experiments.runs.damaged_goals import damage_settings, restored_by, restorer_weights
from corrwise.experiments.runs.distances import distance_of, network_of, with_costs
from corrwise.experiments.runs.episodes import EpisodeRunner, episode_row
from corrwise.experiments.runs.executors import executor_of
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.goal_videos import interpolator_settings
from corrwise.experiments.runs.gust_oracle import check_gusts
from corrwise.experiments.runs.jobs import Job
from corrwise.experiments.runs.policies import planner_settings
from corrwise.experiments.runs.rows import Row, RowKey
from corrwise.experiments.runs.settings import ConfigMismatch, Settings, settings_of
from corrwise.experiments.runs.shown import Episode
from corrwise.types import Distance

_VIDEO_FPS = 10


def run_mpc(config: MPCConfig) -> Path:
    """Run what the folder does not hold yet, print the result that the report opens with, and return the report's path.

    Raises what ``plan_rows`` does.
    """
    rows = plan_rows(config)
    from corrwise.experiments.report.page import METHOD, run_text, write_report  # rows need no report
    from corrwise.experiments.report.summary import rejection_warnings, warn

    report = write_report(config.out)
    print(run_text(rows))
    warn(rejection_warnings(rows, METHOD))
    return report


def plan_rows(config: MPCConfig) -> list[Row]:
    """Run what the folder does not hold yet, and return its rows.

    An episode's row is written after its images, so a run that is killed loses at most the episodes in flight, and
    the same call continues it.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, RuntimeError, ValueError: a task, a camera or weights are missing.
    """
    # A missing task, camera or weights must fail before all else.
    task = parts.named_task(config.task)
    task.check_cameras(config.cameras)
    if config.predictor == "oracle-gusts":
        check_gusts(task)
    settings = with_costs(mpc_settings(config), config.out, config.costs)
    trained = parts.load_trained(config)
    planned = [PlannedCost.of(config, cost, trained) for cost in config.costs]
    networks, weights = {cost_label(each.cost): each.network for each in planned}, planned[0].weights
    if weights or any(networks.values()):
        settings = settings.with_values({}, counted=["max_frames"])  # a network's last bits depend on the batch
    executor = executor_of(config.where, config.processes, config.out)
    with RunFolder(config.out, settings) as folder:
        if RECOMMENDED in config.costs:
            tqdm.write(f"{RECOMMENDED}: {CostSpec.parse(RECOMMENDED).describe()}", file=sys.stderr)
        _check_same_weights(config.out, folder.rows, networks, weights)
        names = config.label, config.planner_label, config.predictor_label
        seeds = range(config.seed, config.seed + config.episodes)
        jobs = [
            Job(
                _shown_episodes,
                each,
                {(names[0], cost_label(each.cost), *names[1:], seed): {} for seed in seeds},
                together=config.lockstep,
                label=cost_label(each.cost),
                steps=config.steps or parts.named_task(config.task).episode_steps,
            )
            for each in planned
        ]
        folder.run(jobs, executor, unit="episode", ended=lambda job: _print_result(config, folder.rows, job.label))
        return folder.rows


def mpc_settings(config: MPCConfig) -> Settings:
    """Return what the rows of a configuration depend on: of the planners' options, those of the planner in use.

    Raises:
        ValueError: there is no such task.
    """
    settings = settings_of(config, "mpc")
    del settings["knots"]  # an option of the planner's
    return settings.with_values(
        {
            **planner_settings(config),
            **parts.task_settings(config.task),
            **interpolator_settings(config),
            **damage_settings(config),
        },
        counted=() if config.reproducible else ("lockstep",),  # float rounding depends on what shares a batch
        evidence=("task_model", "task_numbers"),
        normal={
            "task": parts.task_label,
            "predictor": _predictor_label,
            "interpolator": _interpolator_label,
            "restore": restored_by,
        },
    )


@dataclass(frozen=True)
class PlannedCost:
    """What the episodes of one cost depend on; a process that receives it builds again what cannot be pickled.

    Attributes:
        config: the configuration.
        cost: which of its costs.
        network, weights, restorer: hashes of the networks behind flow, predictor and restored goals when the run began;
            None without one.
        distance, trained: what has been built already; None in another process.
    """

    config: MPCConfig
    cost: str
    network: str | None
    weights: str | None
    restorer: str | None
    distance: Distance | None = field(default=None, compare=False)
    trained: parts.Trained | None = field(default=None, compare=False)

    @classmethod
    def of(cls, config: MPCConfig, cost: str, trained: parts.Trained | None) -> PlannedCost:
        """Build the distance and note the weights; raises what ``make_distance`` does."""
        distance, weights = distance_of(cost), None if trained is None else trained.weights
        return cls(config, cost, network_of(distance), weights, restorer_weights(config), distance, trained)

    def runner(self, *, threads: int, images: bool) -> EpisodeRunner:
        """Build what runs the episodes.

        Raises:
            ValueError: a file of weights has changed since the run began.
        """
        runner = EpisodeRunner(
            self.config, self.cost, threads=threads, images=images, distance=self.distance, trained=self.trained
        )
        here = None if runner.trained is None else runner.trained.weights
        restorer = "restore", self.restorer, runner.restorer
        for name, was, now in (("predictor", self.weights, here), (self.cost, self.network, runner.network), restorer):
            if was != now:
                raise ValueError(f"the weights of {name} have changed since the run began: {was} then, {now} now")
        return runner

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "distance": None, "trained": None}


def _shown_episodes(
    planned: PlannedCost, *, threads: int, progress: Callable[[], Any]
) -> Callable[[Sequence[RowKey]], Any]:
    """Return what makes the rows of ``corrwise mpc`` and writes their images."""
    runner, config = planned.runner(threads=threads, images=True), planned.config
    names = {"task": config.label, "cost": cost_label(planned.cost)}
    names |= {"planner": config.planner_label, "predictor": config.predictor_label}
    views = {"cameras": list(config.cameras), "depth": config.depth}
    if len(config.cameras) == 1 and not config.depth:
        views = {}  # rows without these fields are of one camera's colours
    futures: Row = {} if config.futures == 1 else {"futures": config.futures, "risk": config.risk}
    if futures and config.risk == "cvar":
        futures["risk_level"] = config.risk_level
    weights = {"network": planned.network, "predictor_weights": planned.weights}

    def rows(keys: Sequence[RowKey]) -> Iterator[Row]:
        for episode in runner([key[-1] for key in keys], progress=progress):
            yield {**names, **views, **futures, **episode_row(episode), **_images(config, names, episode), **weights}

    return rows


def _images(config: MPCConfig, names: dict[str, str], episode: Episode) -> Row:
    """Write an episode's images and return their fields."""
    words = [file_label(value) if name == "cost" else value for name, value in names.items()]
    stem = Path("episodes") / f"{'-'.join(words)}-{episode.seed}"
    strip, video = Path(f"{stem}.png"), Path(f"{stem}.mp4")
    save_strip(config.out / strip, make_strip(list(episode.panels.values())))
    if config.videos:
        clips = {name: np.stack(images) for name, images in episode.panels.items()}
        write_video(config.out / video, label_panels(clips), fps=_VIDEO_FPS)
    return {"strip": str(strip), "panels": list(episode.panels), "video": str(video) if config.videos else None}


def _predictor_label(name: str) -> str:
    return name if name in parts.PREDICTORS else run_name(Path(name))


def _interpolator_label(text: str) -> str:
    head = text.partition(":")[0]
    return text if head in (*INTERPOLATOR_NAMES, *GOAL_CONTROLS) else run_name(Path(text))


def _print_result(config: MPCConfig, rows: Sequence[Row], cost: str) -> None:
    """Print the result of one cost in a line, as soon as the last episode of that cost is done."""
    from corrwise.experiments.report.summary import averaged, summarize
    from corrwise.experiments.report.table import decimals_for, number

    this = {"task": config.label, "cost": cost, "planner": config.planner_label, "predictor": config.predictor_label}
    for line in summarize(row for row in rows if this.items() <= row.items()):  # one, or none without rows
        d = decimals_for([line])
        error, count = f" ± {number(line.last10_error, d)}", f"mean ± standard error, {line.n} episodes"
        if line.n == 1:
            error, count = "", "1 episode"
        distance = f"{number(line.last10, d)}{error} from the goal over the {averaged([line])}"
        tqdm.write(f"{cost}: {distance} ({count}; start {number(line.start, d)})", file=sys.stderr)


def _check_same_weights(out: Path, rows: Sequence[Row], networks: dict[str, str | None], weights: str | None) -> None:
    """Refuse to add rows to those of another network behind a cost, or of another training of the predictor."""
    for row in rows:
        here = networks.get(row["cost"])
        if here and row.get("network", here) != here:
            raise ConfigMismatch(
                f"{out} holds rows of {row['cost']} made with network {row['network']}, and here is {here}; "
                "choose another output folder"
            )
        if row.get("predictor_weights", weights) != weights:
            raise ConfigMismatch(
                f"{out} holds rows of predictor {row['predictor']} with weights {row['predictor_weights']}, and here "
                f"they are {weights}; choose another output folder"
            )
