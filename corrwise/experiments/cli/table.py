"""Options of ``corrwise table``; free of torch, so that help and argument errors come at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from corrwise.costs.presets import NAMED_FLOWS
from corrwise.experiments.cli.checks import check, check_names, check_tuning_seeds
from corrwise.experiments.cli.cost import DEFAULT_FLOW, canonical_costs
from corrwise.experiments.cli.marks import CHOOSES_ROWS, SPEED_ONLY
from corrwise.experiments.cli.mpc import BODY_NAMES, TASK_NAMES, MPCConfig
from corrwise.experiments.cli.sizes import MOST, check_counts, check_memory
from corrwise.experiments.cli.table_ablations import AblationTableConfig
from corrwise.experiments.cli.table_agents import AgentTableConfig
from corrwise.experiments.cli.table_mpc import MPCTableConfig
from corrwise.experiments.cli.table_predictors import PredictorTableConfig

COMPARED = (*NAMED_FLOWS, "exact")
BODIES = (*BODY_NAMES, "walker", "cheetah", "textures")  # no learned flow ever trained on the last three
MEASURES = ("errors", "curves", "speed")


@dataclass(frozen=True)
class FlowTableConfig:
    """Measure optical flows against the simulator's exact correspondence, and say which is good for what."""

    out: Path = Path("runs/flows")
    """Folder for rows, table.md, curves.png and matches.png. The same command continues a run that was stopped."""
    flows: tuple[str, ...] = field(default=COMPARED, metadata=CHOOSES_ROWS)
    """What to compare: all-pairs, rigid, dis, raft, zero, affine, homography, learned, and exact (the truth, in curves
    and pictures only). A flow whose weights are not at hand is left out."""
    bodies: tuple[str, ...] = field(default=BODIES, metadata=CHOOSES_ROWS)
    """cartpole, ant, humanoid; walker, cheetah and painted textures, which no learned flow was trained on."""
    measures: tuple[str, ...] = field(default=MEASURES, metadata=CHOOSES_ROWS)
    """errors (endpoint errors), curves (loss against offset), speed (ms per symmetric pair, on the CPU and, where
    there is one, on a GPU)."""
    pairs: int = 192
    """Pairs of pictures of each body behind an error; their seed is shared with no training."""
    episodes: int = 24
    """Random episodes of each body to draw the pairs from."""
    pictures: int = 16
    """Pictures of each body behind a curve."""
    reach: int = 32
    """Largest offset of a curve, pixels."""
    timed_pairs: int = 144
    """Humanoid pairs in the batch that is timed."""
    repeats: int = 7
    """Timings, of which the median counts."""
    retime: bool = field(default=False, metadata=CHOOSES_ROWS)
    """Measure the speed anew, also where the folder has it; the newest row counts."""
    size: int = 64
    """Pixels to a side of the pictures."""
    seed: int = 0
    """Seed of the held-out states."""
    raft_weights: str = NAMED_FLOWS["raft"].options["weights"].default
    """RAFT flow: the name of torchvision's weights, which are downloaded once, or a local file."""
    learned_weights: str = NAMED_FLOWS["learned"].options["weights"].default
    """Learned flow: the name of shipped weights, or a file that corrwise train-flow wrote."""

    def __post_init__(self) -> None:
        """Refuse unknown names and sizes that make no table."""
        check_names("flow", self.flows, COMPARED)
        check_names("body", self.bodies, BODIES)
        check_names("measure", self.measures, MEASURES)
        check_counts(self, "pairs", "timed_pairs", "repeats", "reach")
        check_counts(self, "episodes", "pictures", least=2)
        check_counts(self, "size", least=32, unit=" pixels")
        pairs = 12 * (max(self.pairs, self.timed_pairs) + self.pictures * self.reach)
        check_memory(2 * pairs * self.size**2, "--size, --pairs, --timed-pairs or --pictures")
        check(self.reach < self.size, "reach", f"below the size of {self.size} pixels", self.reach)
        check(0 <= self.seed < 2**31, "seed", "zero or above and below 2^31", self.seed)


@dataclass(frozen=True)
class RankingTableConfig:
    """Ask of each cost how well it ranks the candidates of real plans: before any planning is done with it."""

    out: Path = Path("runs/ranking")
    """Folder for rows and table.md. The same command continues a run that was stopped."""
    tasks: tuple[str, ...] = field(default=BODY_NAMES, metadata=CHOOSES_ROWS)
    """cartpole, ant, humanoid, cartpole-short."""
    costs: tuple[str, ...] = field(default=("l1", "ssim", "corr-l1", "recommended"), metadata=CHOOSES_ROWS)
    """Image costs, as in corrwise mpc."""
    flows: tuple[str, ...] = field(default=(DEFAULT_FLOW,), metadata=CHOOSES_ROWS)
    """The flows of the costs named corr-* whose name says none: such a cost is ranked once with each."""
    episodes: int = field(default=12, metadata=CHOOSES_ROWS)
    """Start and goal pairs. The control exact-flow plans in them, and its candidates are ranked."""
    seed: int = field(default=1000, metadata=CHOOSES_ROWS)
    """Seed of the first episode."""
    moments: tuple[int, ...] = (0, 5, 10, 16)
    """Control steps whose plans are looked at, from 0."""
    horizon: int = MPCConfig.horizon
    """Control steps that each plan looks ahead; the frame at its end is what costs compare with the goal."""
    candidates: int = MPCConfig.candidates
    """Candidates of each iteration."""
    iterations: int = MPCConfig.iterations
    """Iterations of a plan: the first one's candidates are spread wide, the last one's lie close together."""
    lockstep: int = field(default=4, metadata=SPEED_ONLY)
    """Episodes stepped together; changes the speed, never the rows."""
    size: int = 64
    """Pixels to a side of the picture."""

    def __post_init__(self) -> None:
        """Refuse unknown names and sizes that make no table."""
        check_names("task", self.tasks, TASK_NAMES)
        check_names("flow", self.flows, NAMED_FLOWS)
        each = [canonical_costs("costs", self.costs, flow=flow, controls=()) for flow in self.flows]
        costs = tuple(dict.fromkeys(cost for costs in zip(*each, strict=True) for cost in costs))
        object.__setattr__(self, "costs", costs)
        object.__setattr__(self, "flows", (DEFAULT_FLOW,))  # the costs say them now
        check_counts(self, "episodes", "horizon", "iterations", "lockstep")
        check_counts(self, "candidates", least=5)
        steps = len(self.moments) > 0 and min(self.moments) >= 0 and len(set(self.moments)) == len(self.moments)
        check(steps, "moments", "different steps from 0 up", " ".join(map(str, self.moments)) or "none")
        check(max(self.moments) <= MOST["steps"], "moments", f"at most {MOST['steps']}", max(self.moments))
        check_counts(self, "size", least=16, unit=" pixels")
        together = min(self.lockstep, self.episodes) * self.candidates
        check_memory(12 * together * self.size**2 + 8 * together * self.horizon, "--size, --candidates or --lockstep")
        check_tuning_seeds("seed", self.seed, self.episodes)


@dataclass(frozen=True)
class TableConfig:
    """Measure, and make a table and pictures of what was measured."""

    table: (
        Annotated[FlowTableConfig, tyro.conf.subcommand("flows")]
        | Annotated[RankingTableConfig, tyro.conf.subcommand("ranking")]
        | Annotated[MPCTableConfig, tyro.conf.subcommand("mpc")]
        | Annotated[AblationTableConfig, tyro.conf.subcommand("ablations")]
        | Annotated[PredictorTableConfig, tyro.conf.subcommand("predictors")]
        | Annotated[AgentTableConfig, tyro.conf.subcommand("agents")]
    )
    """Which table."""
