"""``corrwise table agents``."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal, get_args

import tyro

from corrwise.experiments.cli.options import (
    CHOOSES_ROWS,
    SPEED_ONLY,
    Count,
    Device,
    ExecutorConfig,
    Horizon,
    Lockstep,
    Processes,
    Steps,
    Supersample,
    canonical_costs,
    check_memory,
    ray_bytes,
)
from corrwise.validation import SEVERAL, Range, check, validated

NAME = "table agents"

Lesson = Literal["reward", "hindsight"]
LESSON_NAMES = get_args(Lesson)


@validated
class AgentTableConfig:
    """Train Stable-Baselines3 agents on rewards made of pictures, and say how far from the goal state they end."""

    out: Path = Path("runs/agents")
    """Folder for rows, table.md and curves.png. The same command continues a run that was stopped."""
    lessons: Annotated[tuple[Lesson, ...], SEVERAL] = field(default=LESSON_NAMES, metadata=CHOOSES_ROWS)
    """reward: SAC sees Cartpole's state vector, its reward a goal picture. hindsight: SAC with SB3's replay of achieved
    goals sees pictures only, as the goal environment gives them, beside random actions."""
    rewards: Annotated[tuple[str, ...], SEVERAL] = field(default=("l1", "recommended", "state"), metadata=CHOOSES_ROWS)
    """Of the lesson reward: image costs, as in corrwise mpc, and as a bound state, the true state distance."""
    seeds: Lockstep = field(default=5, metadata=CHOOSES_ROWS)
    """Agents of each reward."""
    hindsight_seeds: Lockstep = field(default=3, metadata=CHOOSES_ROWS)
    """Agents that learn from hindsight."""
    steps: Steps = 20_000
    """Control steps that an agent of the lesson reward takes; it learns once from each."""
    hindsight_steps: Steps = 12_000
    """Control steps that an agent of the lesson hindsight takes; it learns once from each."""
    episodes: Count = 20
    """Episodes on which an agent is judged, from seed 50000 on: the same for all."""
    looks: Horizon = 10
    """How often it is judged while it learns, at equal intervals; the last time counts."""
    copies: Lockstep = 8
    """Environments that an agent acts in at once."""
    size: Annotated[int, Range(32, 8192, " pixels")] = 64
    """Pixels to a side of the goal picture in the lesson reward."""
    supersample: Supersample = 2
    """Rays to a side of each pixel in the lesson reward: with a single one the pole can fall between them."""
    hindsight_size: Annotated[int, Range(36, 8192, " pixels")] = 40
    """Pixels to a side of what the lesson hindsight sees."""
    processes: Processes = field(default=0, metadata=SPEED_ONLY)
    """Processes, each with a thread; 0 is one for each core. Changes the speed, never the rows."""
    device: Device = "cpu"
    """Where rewards and networks are computed: cpu or cuda. Simulators stay on the CPU."""
    where: tyro.conf.OmitArgPrefixes[ExecutorConfig] = field(default_factory=ExecutorConfig, metadata=SPEED_ONLY)
    """Where the jobs run."""

    def __post_init__(self) -> None:
        """Refuse options that do not fit together."""
        rewards = canonical_costs("rewards", self.rewards, controls=("state",), own=False)
        object.__setattr__(self, "rewards", rewards)
        for option in ("steps", "hindsight_steps"):
            least = self.looks * self.copies
            check(getattr(self, option) >= least, option, f"at least looks x copies, {least}", getattr(self, option))
        shown = 12 * max(self.copies, self.episodes) * max(self.size, self.hindsight_size) ** 2
        check_memory(shown + ray_bytes(self.size, self.supersample), "--size, --supersample, --copies or --episodes")


def run(config: AgentTableConfig) -> Path:
    """Make the table, and return its path."""
    from corrwise.experiments.studies.agents.table import run_agent_table

    return run_agent_table(config)
