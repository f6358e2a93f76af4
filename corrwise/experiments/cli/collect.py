"""``corrwise collect``."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal, get_args

from corrwise.experiments.cli import options
from corrwise.validation import SEVERAL, check, validated

NAME = "collect"

Behaviour = Literal["random", "coloured", "mpc"]
BEHAVIOUR_NAMES = get_args(Behaviour)


@validated
class CollectConfig(options.Parallel):
    """Collect clips of a task to train video predictors on; the same command continues a run that was stopped."""

    out: Path = Path("clips/cartpole")
    """Folder of HDF5 shards with at most ten episodes each, and an index."""
    task: options.OwnTask = "cartpole"
    """cartpole, ant, humanoid, cartpole-short, cartpole-gusts; or your own, as file.py:NAME, which runs
    that file as Python code."""
    episodes: options.Count = field(default=500, metadata=options.CHOOSES_ROWS)
    """How many episodes; more of them can be asked for later."""
    behaviours: Annotated[tuple[Behaviour, ...], SEVERAL] = ("coloured", "random")
    """Who acts, in turn: random (uniform, new at each step), coloured (correlated noise of random strength, as
    goals are made), mpc (the planner with --cost, from start to goal)."""
    cost: str = "exact-flow"
    """What behaviour mpc plans with: a cost or a control of corrwise mpc."""
    steps: options.Steps | None = None
    """Control steps of an episode; None is the task's own number."""
    seed: int = 100_000
    """Seed of the first episode; tuning, tables and other runs use lower ones."""
    size: options.Size = 64
    """Pixels to a side of the frames."""
    supersample: options.Supersample = 1
    """Rays per pixel side; 2 smooths edges at four times the rays."""
    threads: options.Processes = field(default=0, metadata=options.SPEED_ONLY)
    """Threads of physics and ray caster; 0 is one for each core. Changes the speed, never the clips."""
    processes: options.Processes = field(default=1, metadata=options.SPEED_ONLY)
    """Shards made at a time; 1 works in this process with all threads, 0 is one for each core."""

    def __post_init__(self) -> None:
        """Refuse options that do not fit together."""
        object.__setattr__(self, "cost", *options.canonical_costs("cost", (self.cost,)))
        check(0 <= self.seed < 2**32 - self.episodes, "seed", "zero or above and below 2^32", self.seed)
        frames = min(self.episodes, 10) * ((self.steps or 1) + 1)  # of a shard
        rays = options.ray_bytes(self.size, self.supersample)
        options.check_memory(3 * frames * self.size**2 + rays, "--size, --supersample or --steps")


def run(config: CollectConfig) -> Path:
    """Collect the clips, and return their folder."""
    from corrwise.experiments.runs.collect import run_collect

    return run_collect(config)
