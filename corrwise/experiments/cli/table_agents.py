"""``corrwise table agents``."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal, get_args

from corrwise.experiments.cli import options
from corrwise.validation import SEVERAL, Range, check, validated

NAME = "table agents"

Method = Literal["reward", "hindsight"]
METHOD_NAMES = get_args(Method)


@validated
class AgentTableConfig(options.Parallel):
    """Train Stable-Baselines3 agents on image rewards, and report their final distance to the goal state."""

    out: Path = Path("runs/agents")
    """Folder for rows, table.md and curves.png. The same command continues a run that was stopped."""
    methods: Annotated[tuple[Method, ...], SEVERAL] = field(default=METHOD_NAMES, metadata=options.CHOOSES_ROWS)
    """reward: SAC observes Cartpole's state vector; its reward compares images with the goal's. hindsight: SAC with
    SB3's hindsight replay observes images only, as the goal environment gives them, beside random actions."""
    rewards: Annotated[tuple[str, ...], SEVERAL] = field(
        default=("l1", "recommended", "state"), metadata=options.CHOOSES_ROWS
    )
    """Rewards of method reward: image costs, as in corrwise mpc, and the upper bound state, the true state distance."""
    seeds: options.Lockstep = field(default=5, metadata=options.CHOOSES_ROWS)
    """Agents of each reward."""
    hindsight_seeds: options.Lockstep = field(default=3, metadata=options.CHOOSES_ROWS)
    """Agents of method hindsight."""
    steps: options.Steps = 20_000
    """Control steps of an agent of method reward, with one update after each."""
    hindsight_steps: options.Steps = 12_000
    """Control steps of an agent of method hindsight, with one update after each."""
    episodes: options.Count = 20
    """Episodes of an evaluation, from seed 50000 on: the same for all agents."""
    evaluations: options.Horizon = 10
    """Evaluations during training, at equal intervals; the last one counts."""
    copies: options.Lockstep = 8
    """Environments that an agent acts in at once."""
    size: Annotated[int, Range(32, 8192, " pixels")] = 64
    """Pixels to a side of the goal image of method reward."""
    supersample: options.Supersample = 2
    """Rays to a side of each pixel for method reward: with a single ray per pixel, the pole can fall between them."""
    hindsight_size: Annotated[int, Range(36, 8192, " pixels")] = 40
    """Pixels to a side of the images of method hindsight."""
    device: options.Device = "cpu"
    """Where rewards and networks are computed: cpu or cuda. Simulators stay on the CPU."""

    def __post_init__(self) -> None:
        """Refuse options that do not fit together."""
        rewards = options.canonical_costs("rewards", self.rewards, controls=("state",), own=False)
        object.__setattr__(self, "rewards", rewards)
        for option in ("steps", "hindsight_steps"):
            least, steps = self.evaluations * self.copies, getattr(self, option)
            check(steps >= least, option, f"at least evaluations x copies, {least}", steps)
        shown = 12 * max(self.copies, self.episodes) * max(self.size, self.hindsight_size) ** 2
        options.check_memory(
            shown + options.ray_bytes(self.size, self.supersample), "--size, --supersample, --copies or --episodes"
        )


def run(config: AgentTableConfig) -> Path:
    """Make the table, and return its path."""
    from corrwise.experiments.studies.agents.table import run_agent_table

    return run_agent_table(config)
