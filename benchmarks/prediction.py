"""Time of a trained predictor: one CEM plan of 48 x 3 x 8 at 64x64, and training steps with corr-L1 and with L1.

    .venv/bin/python benchmarks/prediction.py

The models have random weights and the sizes that ``corrwise table predictors`` trains; plans are of Humanoid,
training clips are coarse noise, as whole images and as the crops of the recipe. Steps with and without correspondence
alternate, so that both run under the same conditions. A plan is timed with pixel L1, whose own time is negligible, and
with the default cost. Figures are medians; the last line is JSON. The exit status is 1 if a plan (pixel L1) or the
overhead (whole images) misses its target.
"""

from __future__ import annotations

import argparse
import json
import sys
from time import perf_counter

import numpy as np
import torch

from corrwise.costs import CorrespondenceWise, GoalCost, l1, recommended
from corrwise.costs.flow import DISFlow
from corrwise.envs import TASKS, Fleet, MujocoSimulator
from corrwise.experiments.cli.train import SMALL, TrainConfig
from corrwise.mpc import CEM, AgentConfig, VisualMPC, generator
from corrwise.predictors.data import Batch
from corrwise.predictors.models.registry import make_model
from corrwise.predictors.training import FramePrediction
from corrwise.types import Context, Distance

PLAN = 2.5  # s, at most
OVERHEAD = 0.15  # of the pixel-wise step's time, at most
ACTIONS, CONTEXT, SIZE = 17, 2, 64  # Humanoid's actions, the most of all tasks
CROP = 32  # px to a side of the recipe's crops


def plan_seconds(name: str, distance: Distance, repeats: int) -> float:
    """Return the median seconds of one plan."""
    model = make_model(name, action_dim=ACTIONS, context=CONTEXT, **options(name)).eval().requires_grad_(False)
    planner = CEM(ACTIONS, horizon=8, candidates=48, iterations=3)
    agent = VisualMPC(model, GoalCost(distance), planner, config=AgentConfig(context_frames=CONTEXT))
    seen, goal = Fleet(MujocoSimulator(TASKS["humanoid"], size=SIZE)).reset([0])
    frames = seen.frames.expand(-1, CONTEXT, -1, -1, -1)
    context = Context(frames, torch.zeros(1, CONTEXT - 1, ACTIONS), None)
    return timed(lambda: agent.plan(context, goal, planner.init(1), [generator(0, 0)]), repeats)


def step_seconds(name: str, size: int, repeats: int, batch: int, horizon: int) -> dict[str, float]:
    """Return the median seconds of a training step with each distance, on images of this size."""
    model = make_model(name, action_dim=ACTIONS, context=CONTEXT, **options(name)).train()
    coarse = torch.rand(batch, CONTEXT + horizon, 3, size // 8, size // 8)
    frames = coarse.repeat_interleave(8, -1).repeat_interleave(8, -2)
    clips = Batch(frames, torch.zeros(batch, CONTEXT + horizon - 1, ACTIONS))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-4)
    times: dict[str, list[float]] = {"l1": [], "corr-l1": []}
    distances: dict[str, Distance] = {"l1": l1, "corr-l1": CorrespondenceWise(l1, DISFlow())}
    for repeat in range(repeats + 1):
        for loss, distance in distances.items():
            began = perf_counter()
            optimizer.zero_grad()
            FramePrediction(model, distance).loss(clips).total.backward()
            optimizer.step()
            if repeat:  # the first steps warm up
                times[loss].append(perf_counter() - began)
    return {loss: float(np.median(spent)) for loss, spent in times.items()}


def options(name: str) -> dict:
    """Return a model's configuration as numbers."""
    return TrainConfig(model=name, options=("small",)).model_options  # type: ignore[arg-type]


def timed(call, repeats: int) -> float:
    times = []
    for _ in range(repeats + 1):
        began = perf_counter()
        call()
        times.append(perf_counter() - began)
    return float(np.median(times[1:]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(SMALL))
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--horizon", type=int, default=4)
    options = parser.parse_args()
    costs: dict[str, Distance] = {"l1": l1, "default": recommended(l1)}
    plans, steps, good = {}, {}, True
    for name in options.models:
        plans[name] = {cost: plan_seconds(name, distance, options.repeats) for cost, distance in costs.items()}
        sizes = (SIZE,) if name == "svg" else (SIZE, CROP)  # svg is made for one size
        steps[name] = {
            str(size): step_seconds(name, size, options.repeats, options.batch, options.horizon) for size in sizes
        }
        overhead = {size: each["corr-l1"] / each["l1"] - 1 for size, each in steps[name].items()}
        good &= plans[name]["l1"] <= PLAN and overhead[str(SIZE)] <= OVERHEAD
        more = ", ".join(f"{100 * share:+.1f} % at {size} px" for size, share in overhead.items())
        print(
            f"{name}: a plan {plans[name]['l1']:.2f} s (at most {PLAN}), with the default cost "
            f"{plans[name]['default']:.2f} s; a training step with L1 {steps[name][str(SIZE)]['l1']:.3f} s, "
            f"with corr-L1 {more} (at most {100 * OVERHEAD:.0f} %)"
        )
    print(json.dumps({"plan_s": plans, "step_s": steps}))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
