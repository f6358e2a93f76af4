"""``corrwise table ranking``."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated

from corrwise.experiments.cli import options
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.validation import SEVERAL, Range, check_tuning_seeds, validated

NAME = "table ranking"


@validated
class RankingTableConfig:
    """Measure how well each cost ranks the candidates of real plans, without planning with it."""

    out: Path = Path("runs/ranking")
    """Folder for rows and table.md. The same command continues a run that was stopped."""
    tasks: options.Tasks = field(default=options.BODY_NAMES, metadata=options.CHOOSES_ROWS)
    """cartpole, ant, humanoid, cartpole-short."""
    costs: Annotated[tuple[str, ...], SEVERAL] = field(
        default=("l1", "ssim", "corr-l1", "recommended"), metadata=options.CHOOSES_ROWS
    )
    """Image costs, as in corrwise mpc."""
    flows: Annotated[tuple[options.FlowName, ...], SEVERAL] = field(
        default=(options.DEFAULT_FLOW,), metadata=options.CHOOSES_ROWS
    )
    """Flows of the costs named corr-* whose name states none: such a cost is ranked once with each."""
    episodes: options.Count = field(default=12, metadata=options.CHOOSES_ROWS)
    """Start and goal pairs. The control exact-flow plans in them, and its candidates are ranked."""
    seed: int = field(default=1000, metadata=options.CHOOSES_ROWS)
    """Seed of the first episode."""
    moments: Annotated[tuple[Annotated[int, Range(0, 1_000_000_000)], ...], SEVERAL] = (0, 5, 10, 16)
    """Control steps whose plans are evaluated, from 0."""
    horizon: options.Horizon = MPCConfig.horizon
    """Horizon of each plan in control steps; costs compare the frame at its end with the goal."""
    candidates: Annotated[int, Range(5, 1_000_000)] = MPCConfig.candidates
    """Candidates of each iteration."""
    iterations: options.Horizon = MPCConfig.iterations
    """Iterations of a plan: the first one's candidates are spread wide, the last one's lie close together."""
    lockstep: options.Lockstep = field(default=4, metadata=options.SPEED_ONLY)
    """Episodes stepped together; changes the speed, never the rows."""
    size: options.Size = 64
    """Pixels to a side of the image."""
    device: options.Device = "cpu"
    """Where costs and flows are computed: cpu or cuda. Simulators stay on the CPU."""

    def __post_init__(self) -> None:
        """Refuse options that do not fit together."""
        each = [options.canonical_costs("costs", self.costs, flow=flow, controls=()) for flow in self.flows]
        costs = tuple(dict.fromkeys(cost for costs in zip(*each, strict=True) for cost in costs))
        object.__setattr__(self, "costs", costs)
        object.__setattr__(self, "flows", (options.DEFAULT_FLOW,))  # the costs state them now
        together = min(self.lockstep, self.episodes) * self.candidates
        options.check_memory(
            12 * together * self.size**2 + 8 * together * self.horizon, "--size, --candidates or --lockstep"
        )
        check_tuning_seeds("seed", self.seed, self.episodes)


def run(config: RankingTableConfig) -> Path:
    """Make the table, and return its path."""
    from corrwise.experiments.studies.ranking import run_ranking

    return run_ranking(config)
