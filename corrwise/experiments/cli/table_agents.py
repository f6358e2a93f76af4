"""Options of ``corrwise table agents``; free of torch, so that help and argument errors come at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from corrwise.experiments.cli.checks import check, check_names
from corrwise.experiments.cli.cost import canonical_costs
from corrwise.experiments.cli.executor import ExecutorConfig
from corrwise.experiments.cli.marks import CHOOSES_ROWS, SPEED_ONLY
from corrwise.experiments.cli.sizes import check_counts, check_memory, ray_bytes

LESSON_NAMES = ("reward", "hindsight")


@dataclass(frozen=True)
class AgentTableConfig:
    """Train Stable-Baselines3 agents on rewards made of pictures, and say how far from the goal state they end."""

    out: Path = Path("runs/agents")
    """Folder for rows, table.md and curves.png. The same command continues a run that was stopped."""
    lessons: tuple[str, ...] = field(default=LESSON_NAMES, metadata=CHOOSES_ROWS)
    """reward: SAC sees Cartpole's state vector, its reward a goal picture. hindsight: SAC with SB3's replay of achieved
    goals sees pictures only, as the goal environment gives them, beside random actions."""
    rewards: tuple[str, ...] = field(default=("l1", "recommended", "state"), metadata=CHOOSES_ROWS)
    """Of the lesson reward: image costs, as in corrwise mpc, and as a bound state, the true state distance."""
    seeds: int = field(default=5, metadata=CHOOSES_ROWS)
    """Agents of each reward."""
    hindsight_seeds: int = field(default=3, metadata=CHOOSES_ROWS)
    """Agents that learn from hindsight."""
    steps: int = 20_000
    """Control steps that an agent of the lesson reward takes; it learns once from each."""
    hindsight_steps: int = 12_000
    """Control steps that an agent of the lesson hindsight takes; it learns once from each."""
    episodes: int = 20
    """Episodes on which an agent is judged, from seed 50000 on: the same for all."""
    looks: int = 10
    """How often it is judged while it learns, at equal intervals; the last time counts."""
    copies: int = 8
    """Environments that an agent acts in at once."""
    size: int = 64
    """Pixels to a side of the goal picture in the lesson reward."""
    supersample: int = 2
    """Rays to a side of each pixel in the lesson reward: with a single one the pole can fall between them."""
    hindsight_size: int = 40
    """Pixels to a side of what the lesson hindsight sees."""
    workers: int = field(default=0, metadata=SPEED_ONLY)
    """Processes, each with a thread; 0 is one for each core. Changes the speed, never the rows."""
    where: tyro.conf.OmitArgPrefixes[ExecutorConfig] = field(default_factory=ExecutorConfig, metadata=SPEED_ONLY)
    """Where the jobs run."""

    def __post_init__(self) -> None:
        """Refuse unknown names and sizes that make no table."""
        check_names("lesson", self.lessons, LESSON_NAMES)
        rewards = canonical_costs("rewards", self.rewards, controls=("state",), own=False)
        object.__setattr__(self, "rewards", rewards)
        check_counts(self, "seeds", "hindsight_seeds", "episodes", "looks", "copies", "supersample")
        check_counts(self, "steps", "hindsight_steps")
        for option in ("steps", "hindsight_steps"):
            least = self.looks * self.copies
            check(getattr(self, option) >= least, option, f"at least looks x copies, {least}", getattr(self, option))
        check_counts(self, "size", least=32, unit=" pixels")
        check(self.hindsight_size >= 36, "hindsight-size", "at least 36 pixels", self.hindsight_size)
        check_counts(self, "hindsight_size")
        check_counts(self, "workers", least=0)
        shown = 12 * max(self.copies, self.episodes) * max(self.size, self.hindsight_size) ** 2
        check_memory(shown + ray_bytes(self.size, self.supersample), "--size, --supersample, --copies or --episodes")
