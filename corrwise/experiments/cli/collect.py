"""Options of ``corrwise collect``; free of torch, so that help and argument errors come at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from corrwise.experiments.cli.checks import check, check_name, check_names
from corrwise.experiments.cli.cost import canonical_costs
from corrwise.experiments.cli.executor import ExecutorConfig
from corrwise.experiments.cli.marks import CHOOSES_ROWS, SPEED_ONLY
from corrwise.experiments.cli.mpc import TASK_NAMES
from corrwise.experiments.cli.sizes import check_counts, check_memory, ray_bytes

BEHAVIOUR_NAMES = ("random", "coloured", "mpc")


@dataclass(frozen=True)
class CollectConfig:
    """Collect clips of a task to train video predictors on; the same command continues a run that was stopped."""

    out: Path = Path("clips/cartpole")
    """Folder of HDF5 shards with at most ten episodes each, and an index."""
    task: str = "cartpole"
    """cartpole, ant, humanoid, cartpole-short; or your own, as file.py:NAME, which runs that file
    as Python code."""
    episodes: int = field(default=500, metadata=CHOOSES_ROWS)
    """How many episodes; more of them can be asked for later."""
    behaviours: tuple[str, ...] = ("coloured", "random")
    """Who acts, in turn: random (uniform, new at each step), coloured (correlated noise of random strength, as
    goals are made), mpc (the planner with --cost, from start to goal)."""
    cost: str = "exact-flow"
    """What behaviour mpc plans with: a cost or a control of corrwise mpc."""
    steps: int | None = None
    """Control steps of an episode; None is the task's own number."""
    seed: int = 100_000
    """Seed of the first episode; tuning, tables and other runs use lower ones."""
    size: int = 64
    """Pixels to a side of the frames."""
    supersample: int = 1
    """Rays per pixel side; 2 smooths edges at four times the rays."""
    threads: int = field(default=0, metadata=SPEED_ONLY)
    """Threads of physics and ray caster; 0 is one for each core. Changes the speed, never the clips."""
    workers: int = field(default=1, metadata=SPEED_ONLY)
    """Shards made at a time; 1 works in this process with all threads, 0 is one for each core."""
    where: tyro.conf.OmitArgPrefixes[ExecutorConfig] = field(default_factory=ExecutorConfig, metadata=SPEED_ONLY)
    """Where the jobs run."""

    def __post_init__(self) -> None:
        """Refuse unknown names and sizes that make no clips."""
        if ":" not in self.task:
            check_name("task", self.task, TASK_NAMES, or_else="your own as file.py:NAME")
        check_names("behaviour", self.behaviours, BEHAVIOUR_NAMES)
        object.__setattr__(self, "cost", *canonical_costs("cost", (self.cost,)))
        check_counts(self, "episodes", "supersample", *(() if self.steps is None else ("steps",)))
        check(0 <= self.seed < 2**32 - self.episodes, "seed", "zero or above and below 2^32", self.seed)
        check_counts(self, "size", least=16, unit=" pixels")
        check_counts(self, "threads", "workers", least=0)
        frames = min(self.episodes, 10) * ((self.steps or 1) + 1)  # of a shard
        rays = ray_bytes(self.size, self.supersample)
        check_memory(3 * frames * self.size**2 + rays, "--size, --supersample or --steps")
