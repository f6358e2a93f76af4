"""``corrwise table ranking``."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated

from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.cli.options import (
    BODY_NAMES,
    CHOOSES_ROWS,
    DEFAULT_FLOW,
    SPEED_ONLY,
    Count,
    Device,
    FlowName,
    Horizon,
    Lockstep,
    Size,
    Tasks,
    canonical_costs,
    check_memory,
)
from corrwise.validation import SEVERAL, Range, check_tuning_seeds, validated

NAME = "table ranking"


@validated
class RankingTableConfig:
    """Ask of each cost how well it ranks the candidates of real plans: before any planning is done with it."""

    out: Path = Path("runs/ranking")
    """Folder for rows and table.md. The same command continues a run that was stopped."""
    tasks: Tasks = field(default=BODY_NAMES, metadata=CHOOSES_ROWS)
    """cartpole, ant, humanoid, cartpole-short."""
    costs: Annotated[tuple[str, ...], SEVERAL] = field(
        default=("l1", "ssim", "corr-l1", "recommended"), metadata=CHOOSES_ROWS
    )
    """Image costs, as in corrwise mpc."""
    flows: Annotated[tuple[FlowName, ...], SEVERAL] = field(default=(DEFAULT_FLOW,), metadata=CHOOSES_ROWS)
    """The flows of the costs named corr-* whose name says none: such a cost is ranked once with each."""
    episodes: Count = field(default=12, metadata=CHOOSES_ROWS)
    """Start and goal pairs. The control exact-flow plans in them, and its candidates are ranked."""
    seed: int = field(default=1000, metadata=CHOOSES_ROWS)
    """Seed of the first episode."""
    moments: Annotated[tuple[Annotated[int, Range(0, 1_000_000_000)], ...], SEVERAL] = (0, 5, 10, 16)
    """Control steps whose plans are looked at, from 0."""
    horizon: Horizon = MPCConfig.horizon
    """Control steps that each plan looks ahead; the frame at its end is what costs compare with the goal."""
    candidates: Annotated[int, Range(5, 1_000_000)] = MPCConfig.candidates
    """Candidates of each iteration."""
    iterations: Horizon = MPCConfig.iterations
    """Iterations of a plan: the first one's candidates are spread wide, the last one's lie close together."""
    lockstep: Lockstep = field(default=4, metadata=SPEED_ONLY)
    """Episodes stepped together; changes the speed, never the rows."""
    size: Size = 64
    """Pixels to a side of the picture."""
    device: Device = "cpu"
    """Where costs and flows are computed: cpu or cuda. Simulators stay on the CPU."""

    def __post_init__(self) -> None:
        """Refuse options that do not fit together."""
        each = [canonical_costs("costs", self.costs, flow=flow, controls=()) for flow in self.flows]
        costs = tuple(dict.fromkeys(cost for costs in zip(*each, strict=True) for cost in costs))
        object.__setattr__(self, "costs", costs)
        object.__setattr__(self, "flows", (DEFAULT_FLOW,))  # the costs say them now
        together = min(self.lockstep, self.episodes) * self.candidates
        check_memory(12 * together * self.size**2 + 8 * together * self.horizon, "--size, --candidates or --lockstep")
        check_tuning_seeds("seed", self.seed, self.episodes)


def run(config: RankingTableConfig) -> Path:
    """Make the table, and return its path."""
    from corrwise.experiments.studies.ranking import run_ranking

    return run_ranking(config)
