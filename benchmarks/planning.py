"""Time of one CEM plan (48 candidates x 3 iterations x 8 steps, last-frame cost) by phase; batching; memory.

    .venv/bin/python benchmarks/planning.py --task humanoid
    .venv/bin/python benchmarks/planning.py --task humanoid --batching
    .venv/bin/python benchmarks/planning.py --task cartpole --memory

Physics is a lower bound of every cost's time, so it is measured in the same run. Medians; the last line is JSON.
The exit status is 1 if a target is missed: the seconds beyond physics of Humanoid, or the ratio of batching.
"""

from __future__ import annotations

import argparse
import json
import resource
from collections.abc import Sequence

import numpy as np
import torch

from corrwise._clock import Clock
from corrwise.costs import GoalCost
from corrwise.envs import TASKS, Fleet, MujocoSimulator
from corrwise.experiments.runs.distances import make_distance
from corrwise.mpc import CEM, AgentConfig, VisualMPC, generator
from corrwise.predictors import OraclePredictor

BEYOND_PHYSICS = {"dis": 0.12, "all-pairs": 0.35, "learned": 0.35}  # s, at most, for one plan of Humanoid
BATCHING = 8.0  # times one environment, at most, for eight
PHASES = ("simulate", "render", "flow", "plan")


def plan_seconds(
    task: str, flow: str, *, seeds: Sequence[int], candidates: int, repeats: int, reproducible: bool = True
) -> dict[str, float]:
    """Return the median seconds of one plan for all environments, by phase; "plan" is all that is not the others."""
    clock = Clock()
    simulator = MujocoSimulator(TASKS[task])
    clock.watch(simulator.physics, "states", "simulate")
    clock.watch(simulator.renderer, "render", "render")
    name = {"none": "l1", "learned": "recommended"}.get(flow, f"corr-l1:flow={flow}")
    cost = GoalCost(clock.watch_flow(make_distance(name)))
    planner = CEM(simulator.physics.action_dim, horizon=8, candidates=candidates, iterations=3)
    frames = AgentConfig.max_frames if reproducible else len(seeds) * candidates  # all environments in one call
    config = AgentConfig(reproducible=reproducible, max_frames=frames)
    agent = VisualMPC(OraclePredictor(simulator), cost, planner, config=config)
    context, goal = Fleet(simulator).reset(seeds)
    times: dict[str, list[float]] = {phase: [] for phase in PHASES}
    for repeat in range(repeats + 1):
        clock.seconds.clear()
        with clock.measure("plan"):
            agent.plan(context, goal, planner.init(len(seeds)), [generator(repeat, seed) for seed in seeds])
        for phase in PHASES if repeat else ():  # the first plan warms up
            times[phase].append(clock.seconds[phase])
    return {phase: float(np.median(spent)) for phase, spent in times.items()}


def meets_target(name: str, value: float, target: float) -> bool:
    """Print and return whether a value meets its target."""
    print(f"{name}: {value:.3f} (target: at most {target:g}): {'pass' if value <= target else 'MISS'}")
    return value <= target


def split(options: argparse.Namespace) -> tuple[dict, bool]:
    """Print the time of one plan by flow and phase; return it, and whether Humanoid's targets are met."""
    print(f"{options.task}, 48 x 3 x 8" + "".join(f"{phase:>10}" for phase in (*PHASES, "beyond physics")))
    results = {}
    for flow in ("none", *BEYOND_PHYSICS):
        seconds = plan_seconds(options.task, flow, seeds=[0], candidates=48, repeats=options.repeats)
        beyond = sum(seconds.values()) - seconds["simulate"]
        print(f"{flow:<18}" + "".join(f"{seconds[phase]:>10.3f}" for phase in PHASES) + f"{beyond:>10.3f} s")
        results[flow] = {**seconds, "beyond_physics": beyond}
    targets = BEYOND_PHYSICS if options.task == "humanoid" else {}
    reached = [
        meets_target(f"{flow}, s beyond physics", results[flow]["beyond_physics"], most)
        for flow, most in targets.items()
    ]
    return results, all(reached)


def batching(options: argparse.Namespace) -> tuple[dict, bool]:
    """Print the time for eight environments in lockstep and for one; return it, and whether the ratio meets its target.

    The eight are measured twice: one by one (reproducible, the default) and all in one call of the cost.
    """

    def spent(seeds: Sequence[int], *, reproducible: bool = True) -> dict[str, float]:
        return plan_seconds(
            options.task, options.flow, seeds=seeds, candidates=48, repeats=options.repeats, reproducible=reproducible
        )

    each = [spent([seed]) for seed in range(8)]
    cases = {
        "one": {phase: sum(seconds[phase] for seconds in each) / 8 for phase in PHASES},
        "eight": spent(range(8)),
        "batched": spent(range(8), reproducible=False),
    }
    print(f"{options.task}, {options.flow}, 48 x 3 x 8" + "".join(f"{phase:>10}" for phase in (*PHASES, "all")))
    for name, seconds in cases.items():
        values = (*seconds.values(), sum(seconds.values()))
        print(f"{name:<18}" + "".join(f"{value:>10.3f}" for value in values) + " s")
    totals = {name: sum(seconds.values()) for name, seconds in cases.items()}
    ratios = {"ratio": totals["eight"] / totals["one"], "batched_ratio": totals["batched"] / totals["one"]}
    reached = [meets_target(f"{name}, eight / one", value, BATCHING) for name, value in ratios.items()]
    return {**totals, **ratios, "phases": cases}, all(reached)


def memory(options: argparse.Namespace) -> tuple[dict, bool]:
    """Print the peak memory of the process for growing numbers of candidates; there is no target."""
    peaks = {}
    for candidates in (48, 256, 1024, 4096):
        plan_seconds(options.task, "all-pairs", seeds=[0], candidates=candidates, repeats=1)
        peaks[candidates] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{options.task}: {candidates:>5} candidates, peak {peaks[candidates]:.0f} MiB")
    return peaks, True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="humanoid", choices=tuple(TASKS))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--batching", action="store_true", help="eight environments against one")
    parser.add_argument("--flow", default="all-pairs", choices=("none", *BEYOND_PHYSICS), help="of --batching")
    parser.add_argument("--memory", action="store_true", help="peak memory up to 4096 candidates")
    options = parser.parse_args()
    measure = batching if options.batching else memory if options.memory else split
    result, reached = measure(options)
    print(json.dumps({measure.__name__: result, "threads": torch.get_num_threads()}))
    return int(not reached)


if __name__ == "__main__":
    raise SystemExit(main())
