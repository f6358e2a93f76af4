"""``corrwise table futures``."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated

from corrwise.experiments.cli import options
from corrwise.experiments.cli.mpc import PREDICTOR_NAMES, is_folder, run_name
from corrwise.mpc.config import AggregateName, RiskName
from corrwise.validation import SEVERAL, Names, Range, check, validated

NAME = "table futures"

Part = Annotated[str, Names(PREDICTOR_NAMES, "the folder of a run of corrwise train", is_folder)]


@validated
class FuturesTableConfig(options.Parallel):
    """Compare plans over sampled futures with those of deterministic predictors, on the same episodes and gusts."""

    out: Path = Path("runs/futures")
    """Folder for rows and table.md. The same command continues a run that was stopped."""
    task: Annotated[str, Names(options.TASK_NAMES)] = "cartpole-gusts"
    """A task with frozen episodes; cartpole-gusts is the one in which random forces act."""
    deterministic: Annotated[tuple[Part, ...], SEVERAL] = field(default=("oracle",), metadata=options.CHOOSES_ROWS)
    """Predictors that are asked for one future: oracle (the simulator without gusts), copy-last, or folders of runs of
    corrwise train. The others are compared with the first."""
    stochastic: Annotated[tuple[Part, ...], SEVERAL] = field(default=("oracle-gusts",), metadata=options.CHOOSES_ROWS)
    """Predictors that are asked for several: oracle-gusts (a control that draws gusts from the task's own law), or
    folders of runs of corrwise train."""
    nfe: options.Horizon | None = None
    """Evaluations of a denoiser's network for each predicted frame, of the stochastic runs, at most; without it the
    models' own number."""
    sampling: options.Sampling = ()
    """How the stochastic runs sample, other than they state themselves: solver, time_grid, temperature and correlation,
    as temperature=1.2 (docs/train_a_predictor.md)."""
    futures: options.Count = 4
    """Futures of each candidate."""
    risks: Annotated[tuple[RiskName, ...], SEVERAL] = field(default=("mean", "cvar"), metadata=options.CHOOSES_ROWS)
    """What the costs of a candidate's futures become: mean, cvar or worst; an arm for each."""
    risk_level: Annotated[float, Range(0, 1, open="low")] = 0.5
    """The share of cvar."""
    cost: str = "recommended"
    """Image cost, or state, a control that plans on true states."""
    aggregate: AggregateName = "last"
    """How the horizon's costs become one number."""
    horizon: options.Horizon = 12
    """Horizon of each plan in control steps."""
    plan_every: options.Horizon = 4
    """Control steps between plans."""
    candidates: options.Count = 48
    """Action sequences tried in each iteration of a plan."""
    iterations: options.Horizon = 3
    """Iterations of a plan."""
    size: options.Size = 32
    """Pixels to a side of the image."""
    supersample: options.Supersample = 2
    """Rays per pixel side, as in the clips of the predictors."""
    episodes: Annotated[int, Range(1, 100)] = field(default=40, metadata=options.CHOOSES_ROWS)
    """How many of the frozen episodes."""
    lockstep: options.Lockstep = field(default=4, metadata=options.SPEED_ONLY)
    """Episodes that step together; changes the speed, never the rows."""
    device: options.Device = "cpu"
    """Where costs, flows and trained predictors are computed: cpu or cuda."""

    def __post_init__(self) -> None:
        """Refuse arms that could not be told apart, and write the cost in one way."""
        object.__setattr__(self, "cost", options.canonical_costs("cost", (self.cost,))[0])
        names = [label_of(each) for each in (*self.deterministic, *self.stochastic)]
        check(len(set(names)) == len(names), "stochastic", "runs whose folders have different names", " ".join(names))


def label_of(predictor: str) -> str:
    """Return what rows call a predictor: of a trained one, the name of its run's folder."""
    return predictor if predictor in PREDICTOR_NAMES else run_name(Path(predictor))


def run(config: FuturesTableConfig) -> Path:
    """Make the table, and return its path."""
    from corrwise.experiments.studies.futures import run_futures_table

    return run_futures_table(config)
