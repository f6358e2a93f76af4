"""The controls that plan on true states: what has no state has no chance."""

import numpy as np
import pytest
import torch

from corrwise.envs import TASKS, Fleet, MujocoSimulator
from corrwise.experiments.runs.controls import BOUNDS, PlanByTruth
from corrwise.mpc import CEM, generator
from corrwise.mpc.score import Aggregate


@pytest.fixture
def fleet():
    fleet = Fleet(MujocoSimulator(TASKS["cartpole"], size=32, threads=1))
    fleet.context, fleet.goal = fleet.reset([0, 1])
    return fleet


def _decide(fleet, price):
    planner = CEM(1, horizon=12, candidates=8, iterations=2)
    policy = PlanByTruth(fleet, planner, [generator(seed, 0) for seed in (0, 1)], Aggregate("last"), price)
    return policy(fleet.context, fleet.goal)


@pytest.mark.parametrize("name", BOUNDS)
def test_a_diverged_candidate_loses(fleet, name, monkeypatch):
    price, run = BOUNDS[name](fleet.simulator), fleet.simulator.states

    def some_diverge(state, actions, steps):
        states = run(state, actions, steps)
        states[:, 5:] = np.nan
        return states

    monkeypatch.setattr(fleet.simulator, "states", some_diverge)
    assert _decide(fleet, price).rejected.tolist() == [6, 6], "three of eight candidates in each of two iterations"
    assert _decide(fleet, price).action.isfinite().all()


def test_a_bound_leads_where_its_truth_says(fleet):
    for name, make in BOUNDS.items():
        price = make(fleet.simulator)
        plan = _decide(fleet, price).plan
        led, stayed = (
            price(fleet.simulator.states(fleet.snapshot(), each[:, None], [11]), fleet.goal_states)
            for each in (plan, torch.zeros_like(plan))
        )
        assert (led < stayed).all(), name
