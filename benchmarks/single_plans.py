"""The true outcome of single plans: what each cost's plan gains, and how much of it errors of the flow cost.

    .venv/bin/python benchmarks/single_plans.py --task humanoid

The default cost acts on tuning episodes. At steps 2, 7, 12, 17 and 22 every cost makes a plan from the same state with
the same draws, and the state distance at the end of the plan is recorded. ``exact`` is the default cost with the
ground-truth flow in place of the learned one. ``exact where seen`` is the same with hidden pixels moving like those
around them, because no image shows their motion. ``seen corrected`` and ``hidden corrected`` keep the default's matches
and correct only the displacement of the goal's pixels that are visible, or hidden, in the candidate's image. ``cheaper
moves`` weights displacement with a tenth and occlusion with a third, so that the residual counts more. Differences are
paired, with a bootstrap interval over episodes, whose states resemble each other; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from corrwise.costs import CorrespondenceWise, Displacement, GoalCost
from corrwise.costs.flow.bidirectional import both_ways
from corrwise.envs import TASKS, Fleet, MujocoSimulator
from corrwise.envs.renderers.raycast import RaycastRenderer
from corrwise.experiments.report.statistics import paired_difference
from corrwise.experiments.runs.distances import make_distance
from corrwise.experiments.runs.policies import StateCost, exact_flow_cost, state_cost
from corrwise.mpc import CEM, AgentConfig, VisualMPC, first_action, generator, planned_actions, shift
from corrwise.mpc.optimize import optimize
from corrwise.predictors import OraclePredictor
from corrwise.types import Distance
from corrwise.validation import check_tuning_seeds

MOMENTS, HORIZON, DEFAULT = (2, 7, 12, 17, 22), 12, "recommended"
FILL = 3.0  # px, the standard deviation of the window over which hidden pixels take the motion of those around them


@dataclass(frozen=True)
class Moment:
    """A state of an episode and its goal."""

    seed: int
    step: int
    state: np.ndarray
    goal: np.ndarray


class GivenFlow:
    """A flow that is set before each call."""

    flows: tuple[Tensor, Tensor]

    def __call__(self, target: Tensor, source: Tensor) -> Tensor:
        """Return the first direction."""
        return self.flows[0]

    def both(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return both directions."""
        return self.flows


def moments(simulator: MujocoSimulator, seeds: range) -> Iterator[Moment]:
    """Yield states of episodes that are planned with the default cost."""
    distance = make_distance(DEFAULT)
    for seed in seeds:
        fleet, planner = Fleet(simulator), _planner(simulator)
        agent = VisualMPC(OraclePredictor(simulator), GoalCost(distance), planner, config=AgentConfig())
        (context, goal), proposal, draws = fleet.reset([seed]), planner.init(1), [generator(seed, 0)]
        for step in range(max(MOMENTS) + 1):
            if step in MOMENTS:
                yield Moment(seed, step, fleet.snapshot().copy(), fleet.goal_states.copy())
            proposal, _ = agent.plan(context, goal, proposal, draws)
            context = fleet.step(first_action(planner, proposal))
            proposal = shift(proposal)


def image_state_cost(simulator: MujocoSimulator, distance: Distance) -> StateCost:
    """Return the cost of images of states."""

    def cost(states: np.ndarray, goals: np.ndarray) -> Tensor:
        frames = simulator.renderer.render(states[0, :, 0])
        with torch.no_grad():
            goal = simulator.renderer.render(goals).expand_as(frames).contiguous()
            return distance(frames, goal)[None, :, None]

    return cost


def raycast(simulator: MujocoSimulator) -> RaycastRenderer:
    """Return the simulator's renderer, which has exact flow."""
    assert isinstance(simulator.renderer, RaycastRenderer)
    return simulator.renderer


def exact_state_cost(simulator: MujocoSimulator, *, seen: bool) -> StateCost:
    """Return the default cost with the true flow."""
    distance, given = make_distance(DEFAULT), GivenFlow()
    assert isinstance(distance, CorrespondenceWise)
    distance.flow = given
    inner, correspondence = image_state_cost(simulator, distance), raycast(simulator).correspondence

    def cost(states: np.ndarray, goals: np.ndarray) -> Tensor:
        ends, (goal,) = states[0, :, 0], goals
        both = (correspondence(*pair) for pair in ((ends, goal), (goal, ends)))
        there, back = (filled(flow, visible) if seen else flow.nan_to_num(0.0) for flow, visible in both)
        given.flows = there, back
        return inner(states, goals)

    return cost


def corrected_state_cost(simulator: MujocoSimulator, *, seen: bool) -> StateCost:
    """Return the default cost with the true displacement of the goal's visible, or hidden, pixels."""
    distance = make_distance(DEFAULT)
    assert isinstance(distance, CorrespondenceWise)
    assert isinstance(distance.regularizer, Displacement)
    given, flow, displacement = GivenFlow(), distance.flow, distance.regularizer
    distance.flow = given

    def cost(states: np.ndarray, goals: np.ndarray) -> Tensor:
        ends, (goal,) = states[0, :, 0], goals
        with torch.no_grad():
            frames = simulator.renderer.render(ends)
            goal_frames = simulator.renderer.render(goals).expand_as(frames).contiguous()
            given.flows = both_ways(flow, frames, goal_frames)
            true, visible = raycast(simulator).correspondence(goal, ends)
            mended = given.flows[1].where((visible != seen)[:, None], true.nan_to_num(0.0))
            more = displacement(mended, goal_frames) - displacement(given.flows[1], goal_frames)
            return (distance(frames, goal_frames) + more)[None, :, None]

    return cost


def filled(flow: Tensor, visible: Tensor) -> Tensor:
    """Return the flow with hidden pixels moving like the visible ones of moving bodies around them."""
    side = torch.arange(-4 * FILL, 4 * FILL + 1)
    window = torch.exp(-(side[:, None].square() + side[None].square()) / (2 * FILL**2))[None, None]
    around = partial(F.conv2d, weight=window, padding=len(side) // 2)
    flow = flow.nan_to_num(0.0)
    trusted = (visible & (flow != 0).any(dim=1)).float()[:, None]
    moved = around((flow * trusted).flatten(0, 1)[:, None]).view_as(flow)
    return torch.where(visible[:, None], flow, moved / around(trusted).clamp_min(1e-6))


def final_distance(simulator: MujocoSimulator, state_cost: StateCost, moment: Moment) -> float:
    """Return the state distance to the goal at the end of a plan made with a cost."""
    planner = _planner(simulator)

    def cost(actions: Tensor) -> Tensor:
        return state_cost(simulator.states(moment.state, actions, [HORIZON - 1]), moment.goal)[:, :, 0].float()

    proposal, _ = optimize(planner, cost, planner.init(1), [generator(moment.seed, moment.step + 1)])
    actions = planned_actions(planner, proposal)[:, None]
    (end,) = simulator.states(moment.state, actions, [HORIZON - 1])[0, 0]
    return float(simulator.state_distance(end, moment.goal[0]))


def _planner(simulator: MujocoSimulator) -> CEM:
    return CEM(simulator.physics.action_dim, horizon=HORIZON, candidates=48, iterations=3)


def by_episode(tried: Sequence[Moment], ends: Sequence[float]) -> list[float]:
    """Return the mean of each episode's states."""
    values: dict[int, list[float]] = {}
    for moment, end in zip(tried, ends, strict=True):
        values.setdefault(moment.seed, []).append(end)
    return [float(np.mean(each)) for each in values.values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="humanoid", choices=sorted(TASKS))
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1020)
    options = parser.parse_args()
    check_tuning_seeds("seed", options.seed, options.episodes)
    simulator = MujocoSimulator(TASKS[options.task])
    costs: dict[str, StateCost] = {
        "l1": image_state_cost(simulator, make_distance("l1")),
        "default": image_state_cost(simulator, make_distance(DEFAULT)),
        "cheaper moves": image_state_cost(simulator, make_distance("corr-l1:form=disp,displacement=0.01,occlusion=2")),
        "seen corrected": corrected_state_cost(simulator, seen=True),
        "hidden corrected": corrected_state_cost(simulator, seen=False),
        "exact where seen": exact_state_cost(simulator, seen=True),
        "exact": exact_state_cost(simulator, seen=False),
        "exact-flow": exact_flow_cost(simulator),
        "state": state_cost(simulator),
    }
    tried = list(moments(simulator, range(options.seed, options.seed + options.episodes)))
    ends = {name: [final_distance(simulator, each, moment) for moment in tried] for name, each in costs.items()}
    for name, mine in ends.items():
        pair = (by_episode(tried, each) for each in (ends["default"], mine))
        nearer = paired_difference(*pair).text("+.3f") if name != "default" else ""
        print(f"{name:<17} ends {np.mean(mine):.3f} from the goal; nearer than the default by {nearer}")
    print(json.dumps({"task": options.task, "moments": [(each.seed, each.step) for each in tried], "ends": ends}))


if __name__ == "__main__":
    main()
