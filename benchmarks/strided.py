"""Time of one CEM plan on Cartpole (48 candidates x 3 iterations x 8 steps) with a predictor of strides and without.

    .venv/bin/python benchmarks/strided.py --models runs/stride-1 runs/stride-2
    .venv/bin/python benchmarks/strided.py --plans runs/stride-1-plans runs/stride-2-plans

The models are runs of ``corrwise train --stride``, the first without strides; without ``--models`` they are small
``resnet3d`` with random weights, whose images change everywhere, so that a learned flow takes longer than on true ones.
For each cost and aggregate the predictors take turns in one process, in another order each time. "network" is the time
of the model, "interpolate" that of frames within strides, "flow" that of the cost's flow, and "rest" all else. A ratio
is the median over turns of the seconds divided by those of the model of single steps in the same turn, with the
quartiles. Figures are medians; the last line is JSON. The exit status is 1 if the ratio of ``blend``, the default of
``corrwise mpc``, misses its target with L1. With ``--plans`` nothing is timed: the rows of two runs of ``corrwise mpc``
are compared, episode by episode, with 95 % bootstrap intervals.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from corrwise._clock import Clock
from corrwise.costs import GoalCost
from corrwise.envs import TASKS, Fleet, MujocoSimulator
from corrwise.experiments.cli.train import TrainConfig
from corrwise.experiments.report.statistics import paired_difference, paired_ratio
from corrwise.experiments.runs.distances import make_distance
from corrwise.experiments.runs.rows import read_rows
from corrwise.mpc import CEM, AgentConfig, VisualMPC, generator
from corrwise.mpc.config import AggregateName
from corrwise.predictors.interpolation import Blend, HalfFlow
from corrwise.predictors.interpolation.strided import ControlSteps, StridedPredictor
from corrwise.predictors.models.pretrained import model_folder, weights_hash
from corrwise.predictors.models.registry import load_model, make_model
from corrwise.types import Interpolator, Predictor

Row = dict[str, Any]
RATIO = 0.7  # of the seconds without strides, at most
HORIZON, CANDIDATES, ITERATIONS, CONTEXT, SIZE = 8, 48, 3, 2, 64
WARM_UP = -1  # the turn that is not recorded
PHASES = ("network", "interpolate", "flow", "rest")
COSTS = ("l1", "recommended")
AGGREGATES: tuple[AggregateName, ...] = ("last", "mean")
SINGLE, DEFAULT = "single steps", "blend"
INTERPOLATORS: dict[str, Callable[[], Interpolator]] = {
    "half-flow": HalfFlow,
    "half-flow:flow=dis": lambda: HalfFlow("dis"),
    DEFAULT: Blend,
}


def models(folders: list[str] | None) -> tuple[dict[int, Any], int]:
    """Return the model of single steps and that of strides, by stride, and how many frames both see at most."""
    if folders is None:
        small = TrainConfig(options=("small",)).model_options
        made = {stride: make_model("resnet3d", action_dim=stride, context=CONTEXT, **small) for stride in (1, 2)}
        return {stride: model.eval().requires_grad_(False) for stride, model in made.items()}, CONTEXT + 1
    paths = [model_folder(folder) for folder in folders]
    steps = [ControlSteps.of(path) for path in paths]
    if len(steps) != 2 or steps[0].stride != 1 or steps[1].stride == 1:
        raise SystemExit(f"expected a model of single steps and one of strides, got {[each.stride for each in steps]}")
    loaded = {each.stride: load_model(path).requires_grad_(False) for each, path in zip(steps, paths, strict=True)}
    return loaded, max(each.context for each in steps)


def predictors(models: dict[int, Any], clock: Clock) -> dict[str, Predictor]:
    """Return the predictors that take turns, their parts timed."""
    (_, single), (stride, strided) = sorted(models.items())
    made: dict[str, Predictor] = {SINGLE: clock.timed(single, "network")}
    for name, interpolator in INTERPOLATORS.items():
        parts = clock.timed(strided, "network"), clock.timed(interpolator(), "interpolate")
        made[name] = StridedPredictor(*parts, stride)
    return made


def turns(
    models: dict[int, Any], seen: int, cost: str, aggregate: AggregateName, numbers: list[int]
) -> Iterator[list[Row]]:
    """Yield, for each of these turns, the seconds of each predictor's plan, by phase."""
    clock, planner = Clock(), CEM(1, horizon=HORIZON, candidates=CANDIDATES, iterations=ITERATIONS)
    config = AgentConfig(context_frames=seen, aggregate=aggregate)
    distance = GoalCost(clock.watch_flow(make_distance(cost)))
    context, goal = Fleet(MujocoSimulator(TASKS["cartpole"], size=SIZE), context_frames=seen).reset([0])
    agents = {
        name: VisualMPC(predictor, distance, planner, config=config)
        for name, predictor in predictors(models, clock).items()
        if aggregate != "last" or name in (SINGLE, DEFAULT)  # no frame lies within a stride
    }
    for number in [WARM_UP, *numbers] if numbers else []:
        rows = []
        for name in np.random.default_rng(number + 1).permutation(list(agents)):
            clock.seconds.clear()
            with clock.measure("rest"):
                agents[name].plan(context, goal, planner.init(1), [generator(number + 1, 0)])
            phases = {phase: round(clock.seconds[phase], 4) for phase in PHASES}
            rows.append({"cost": cost, "aggregate": aggregate, "predictor": str(name), "turn": number, **phases})
        if number != WARM_UP:
            yield rows


def summary(rows: list[Row]) -> dict[str, dict[str, Any]]:
    """Return, by predictor, the medians of all seconds and of each phase, and the ratio with its quartiles."""
    whole = {(row["predictor"], row["turn"]): sum(row[phase] for phase in PHASES) for row in rows}
    lines = {}
    for name in dict.fromkeys([SINGLE, *INTERPOLATORS]):
        mine = [row for row in rows if row["predictor"] == name and (SINGLE, row["turn"]) in whole]
        if mine:
            ratios = [whole[name, row["turn"]] / whole[SINGLE, row["turn"]] for row in mine]
            lines[name] = {
                "seconds": float(np.median([whole[name, row["turn"]] for row in mine])),
                **{phase: float(np.median([row[phase] for row in mine])) for phase in PHASES},
                "ratio": np.quantile(ratios, [0.5, 0.25, 0.75]).tolist(),
            }
    return lines


def measured(out: Path | None, about: Row) -> list[Row]:
    """Return the rows that a folder holds; without one it is begun, and one of other models or threads is refused."""
    if out is None:
        return []
    out.mkdir(parents=True, exist_ok=True)
    config, rows = out / "config.json", out / "rows.jsonl"
    if config.exists() and (there := json.loads(config.read_text())) != about:
        raise SystemExit(f"{out} holds rows of {there}, and this would measure {about}")
    config.write_text(json.dumps(about, indent=2) + "\n")
    return [json.loads(line) for line in rows.read_text().splitlines()] if rows.exists() else []


def compare(single: Path, strided: Path) -> None:
    """Print the distances of both runs over the episodes that both have, and the paired differences."""
    first, second = ({row["seed"]: row for row in read_rows(out / "rows.jsonl")} for out in (single, strided))
    seeds = sorted(first.keys() & second.keys())
    print(f"{len(seeds)} episodes; distances of {single.name}, of {strided.name}, and how much nearer the second ends")
    for name in ("start_distance", "min_distance", "last10_distance", "final_distance"):
        one, two = ([rows[seed][name] for seed in seeds] for rows in (first, second))
        print(f"{name:<16} {np.mean(one):.3f} {np.mean(two):.3f} {paired_difference(one, two).text('+.3f')}")
    for name in ("seconds_plan", "seconds_predict", "seconds_flow"):
        one, two = ([rows[seed].get(name, 0.0) for seed in seeds] for rows in (first, second))
        print(f"{name:<16} {np.mean(one):.1f} {np.mean(two):.1f} ratio {paired_ratio(two, one).text('.2f')}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs=2, help="runs of corrwise train, of stride 1 and of another")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--costs", nargs="+", default=COSTS)
    parser.add_argument("--aggregates", nargs="+", default=AGGREGATES)
    parser.add_argument("--out", type=Path, help="folder for rows, which are kept as they come; the command continues")
    parser.add_argument("--plans", nargs=2, type=Path, help="runs of corrwise mpc with these models, to compare")
    options = parser.parse_args()
    if options.plans:
        compare(*options.plans)
        return 0
    torch.manual_seed(0)
    made, seen = models(options.models)
    weights = [weights_hash(model_folder(folder)) for folder in options.models or ()] or "random"
    rows = measured(options.out, {"weights": weights, "threads": torch.get_num_threads(), "size": SIZE})
    print(f"{'cost':<12} {'aggregate':<10}{'predictor':<20}{'seconds':>8}" + "".join(f"{p:>12}" for p in PHASES))
    plans, reached = [], True
    for cost, aggregate in product(options.costs, options.aggregates):
        mine = [row for row in rows if (row["cost"], row["aggregate"]) == (cost, aggregate)]
        whole = {row["turn"] for row in mine if row["predictor"] == SINGLE}
        missing = [number for number in range(options.repeats) if number not in whole]
        for turn in turns(made, seen, cost, aggregate, missing):
            mine += turn
            if options.out:
                with (options.out / "rows.jsonl").open("a") as file:
                    file.write("".join(json.dumps(row) + "\n" for row in turn))
        for name, each in summary(mine).items():
            plans.append({"cost": cost, "aggregate": aggregate, "predictor": name, **each})
            line = f"{cost:<12} {aggregate:<10}{name:<20}{each['seconds']:>8.3f}"
            middle, low, high = each["ratio"]
            ratio = "" if name == SINGLE else f"   {middle:.2f} of single steps ({low:.2f} to {high:.2f})"
            print(line + "".join(f"{each[phase]:>12.3f}" for phase in PHASES) + ratio)
            if name == DEFAULT and cost == "l1":
                reached &= middle <= RATIO
    print(json.dumps({"plans": plans, "threads": torch.get_num_threads()}))
    return int(not reached)


if __name__ == "__main__":
    sys.exit(main())
