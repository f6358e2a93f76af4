"""``corrwise collect``."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal, get_args

import tyro

from corrwise.experiments.cli.options import (
    CHOOSES_ROWS,
    SPEED_ONLY,
    Count,
    ExecutorConfig,
    OwnTask,
    Processes,
    Size,
    Steps,
    Supersample,
    canonical_costs,
    check_memory,
    ray_bytes,
)
from corrwise.validation import SEVERAL, check, validated

NAME = "collect"

Behaviour = Literal["random", "coloured", "mpc"]
BEHAVIOUR_NAMES = get_args(Behaviour)


@validated
class CollectConfig:
    """Collect clips of a task to train video predictors on; the same command continues a run that was stopped."""

    out: Path = Path("clips/cartpole")
    """Folder of HDF5 shards with at most ten episodes each, and an index."""
    task: OwnTask = "cartpole"
    """cartpole, ant, humanoid, cartpole-short; or your own, as file.py:NAME, which runs that file
    as Python code."""
    episodes: Count = field(default=500, metadata=CHOOSES_ROWS)
    """How many episodes; more of them can be asked for later."""
    behaviours: Annotated[tuple[Behaviour, ...], SEVERAL] = ("coloured", "random")
    """Who acts, in turn: random (uniform, new at each step), coloured (correlated noise of random strength, as
    goals are made), mpc (the planner with --cost, from start to goal)."""
    cost: str = "exact-flow"
    """What behaviour mpc plans with: a cost or a control of corrwise mpc."""
    steps: Steps | None = None
    """Control steps of an episode; None is the task's own number."""
    seed: int = 100_000
    """Seed of the first episode; tuning, tables and other runs use lower ones."""
    size: Size = 64
    """Pixels to a side of the frames."""
    supersample: Supersample = 1
    """Rays per pixel side; 2 smooths edges at four times the rays."""
    threads: Processes = field(default=0, metadata=SPEED_ONLY)
    """Threads of physics and ray caster; 0 is one for each core. Changes the speed, never the clips."""
    processes: Processes = field(default=1, metadata=SPEED_ONLY)
    """Shards made at a time; 1 works in this process with all threads, 0 is one for each core."""
    where: tyro.conf.OmitArgPrefixes[ExecutorConfig] = field(default_factory=ExecutorConfig, metadata=SPEED_ONLY)
    """Where the jobs run."""

    def __post_init__(self) -> None:
        """Refuse options that do not fit together."""
        object.__setattr__(self, "cost", *canonical_costs("cost", (self.cost,)))
        check(0 <= self.seed < 2**32 - self.episodes, "seed", "zero or above and below 2^32", self.seed)
        frames = min(self.episodes, 10) * ((self.steps or 1) + 1)  # of a shard
        rays = ray_bytes(self.size, self.supersample)
        check_memory(3 * frames * self.size**2 + rays, "--size, --supersample or --steps")


def run(config: CollectConfig) -> Path:
    """Collect the clips, and return their folder."""
    from corrwise.experiments.runs.collect import run_collect

    return run_collect(config)
