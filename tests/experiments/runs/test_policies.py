"""The controls that plan on true states: what has no state has no chance."""

import numpy as np
import pytest
import torch

from corrwise._clock import Clock
from corrwise.envs import TASKS, Fleet, MujocoSimulator
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs.policies import (
    STATE_COSTS,
    Planning,
    make_policy,
    planner_class,
    planner_of,
    state_score,
)
from corrwise.mpc import CEM, AgentConfig, Aggregate, VisualMPC
from corrwise.predictors import OraclePredictor


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

    def some_diverge(*arguments):
        states = run(*arguments)
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


OWN = """
from corrwise.predictors import OraclePredictor
from corrwise.mpc import CEM

class Mine(CEM):
    pass

def make(action_dim, *, horizon, candidates, iterations, greed: float = 0.5):
    return CEM(action_dim, horizon=horizon, candidates=candidates, iterations=iterations, initial_std=greed)

nothing = 3
"""


@pytest.mark.parametrize(("name", "std"), [("Mine", 0.5), ("Mine:initial_std=0.3", 0.3), ("make:greed=0.2", 0.2)])
def test_a_users_planner_is_named_by_its_file(fleet, tmp_path, name, std):
    file = tmp_path / "own.py"
    file.write_text(OWN)
    config = MPCConfig(planner=f"{file}:{name}", candidates=8, iterations=1, size=32)
    assert config.planner_label == name.partition(":")[0]
    oracle = OraclePredictor(fleet.simulator)
    policy = make_policy("state", config, fleet, fleet.goal, [0, 1], Clock(), oracle, None)
    assert policy(fleet.context).scored == 8
    assert planner_of(config).build(1, find=planner_class, horizon=5, candidates=8, iterations=1).initial_std == std


def test_what_is_no_planner_is_refused(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(OWN)
    with pytest.raises(ValueError, match=r"a function that makes one, named 'nothing' in .* got 3"):
        planner_of(MPCConfig(planner=f"{file}:nothing:a=1"))
    with pytest.raises(ValueError, match="has no option 'fear'; its options are greed, knots, interpolation"):
        planner_of(MPCConfig(planner=f"{file}:make:fear=1"))
