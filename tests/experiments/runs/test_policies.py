"""The controls that plan on true states: what has no state has no chance."""

import numpy as np
import pytest
import torch

from corrwise.envs import TASKS, Fleet, MujocoSimulator
from corrwise.experiments.runs.policies import STATE_COSTS, Planning, state_score
from corrwise.mpc import CEM, AgentConfig, Aggregate, VisualMPC


@pytest.fixture
def fleet():
    fleet = Fleet(MujocoSimulator(TASKS["cartpole"], size=32, threads=1))
    fleet.context, fleet.goal = fleet.reset([0, 1])
    return fleet


def _decide(fleet, cost):
    planner = CEM(1, horizon=12, candidates=8, iterations=2)
    score, config = state_score(fleet, cost, Aggregate("last")), AgentConfig(seed=(0, 1))
    return Planning(VisualMPC(None, None, planner, goal=fleet.goal, score=score, config=config))(fleet.context)


@pytest.mark.parametrize("name", STATE_COSTS)
def test_a_diverged_candidate_loses(fleet, name, monkeypatch):
    cost, run = STATE_COSTS[name](fleet.simulator), fleet.simulator.states

    def some_diverge(state, actions, steps):
        states = run(state, actions, steps)
        states[:, 5:] = np.nan
        return states

    monkeypatch.setattr(fleet.simulator, "states", some_diverge)
    assert _decide(fleet, cost).rejected.tolist() == [6, 6], "three of eight candidates in each of two iterations"
    assert _decide(fleet, cost).action.isfinite().all()


def test_a_bound_leads_where_its_truth_says(fleet):
    for name, make in STATE_COSTS.items():
        cost = make(fleet.simulator)
        plan = _decide(fleet, cost).plan
        led, stayed = (
            cost(fleet.simulator.states(fleet.snapshot(), each[:, None], [11]), fleet.goal_states)
            for each in (plan, torch.zeros_like(plan))
        )
        assert (led < stayed).all(), name
