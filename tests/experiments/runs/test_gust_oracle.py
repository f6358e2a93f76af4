"""The control that plans over sampled gusts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from corrwise.envs import TASKS, Fleet
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.runs.gust_oracle import GustOracle, sampled_gusts
from corrwise.experiments.runs.mpc import plan_rows
from corrwise.experiments.runs.parts import task_settings
from corrwise.experiments.runs.policies import state_cost, state_score
from corrwise.mpc import Aggregate, Risk, generator
from corrwise.mpc.futures import split_futures
from corrwise.mpc.score import score
from corrwise.predictors import OraclePredictor
from tests.envs.worlds import simulator

GUSTS = "cartpole-gusts"


def at(place, count=1):
    fleet = Fleet(simulator(GUSTS))
    fleet.reset(list(range(count)))
    states = fleet.snapshot()
    states[:, 1] = place
    return fleet, *fleet.begin(states, fleet.goal_states, list(range(count)))


def test_candidates_share_gusts_and_futures_do_not():
    fleet, context, _ = at(1.0)
    oracle, still = GustOracle(fleet.simulator), torch.zeros(1, 3, 10, 1)
    (futures,) = split_futures([generator(0, 0)], 2)
    one, other = (oracle(context, still, steps=[9], generators=[each]) for each in futures)
    assert torch.equal(one[:, 0], one[:, 1])
    assert not torch.equal(one, other)
    assert torch.equal(one, oracle(context, still, steps=[9], generators=[futures[0]])), "it draws from copies"
    calm = oracle(context, still, steps=[9])
    assert torch.equal(calm, OraclePredictor(fleet.simulator)(context, still, steps=[9]))
    assert not torch.equal(one, calm)


def test_the_gusts_of_an_episode_to_come_are_not_known():
    fleet, _, _ = at(1.0)
    actions = torch.zeros(1, 1, 10, 1)
    drawn = sampled_gusts(fleet.simulator, actions, [generator(0, 0)])[0, 0]
    assert not set(drawn.ravel()) & set(TASKS[GUSTS].gusts.of_episode(fleet.simulator.model, 0, range(40)).ravel())


class Cost:
    """The brightness of a frame."""

    def __call__(self, frames, goal):
        return frames.mean(dim=(-3, -2, -1))


def test_a_cart_in_the_open_has_a_risk_and_one_in_shelter_has_none():
    for place, risky in ((1.0, True), (0.0, False)):
        fleet, context, goal = at(place)
        options = {"aggregate": Aggregate("last"), "generators": [generator(0, 0)], "futures": 4}
        still = torch.zeros(1, 1, 12, 1)
        worst, mean = (
            score(GustOracle(fleet.simulator), Cost(), context, goal, still, risk=Risk(name), **options)
            for name in ("worst", "mean")
        )
        assert bool(worst > mean) == risky


def test_true_states_are_scored_under_the_same_gusts():
    fleet, context, goal = at(1.0)
    actions, rng = torch.zeros(1, 2, 12, 1), [generator(3, 0)]
    windy = state_score(fleet, state_cost(fleet.simulator), Aggregate("last"), gusts=True)
    calm = state_score(fleet, state_cost(fleet.simulator), Aggregate("last"))
    costs = windy(context, goal, actions, rng)
    assert torch.equal(costs, windy(context, goal, actions, rng))
    assert not torch.equal(costs, calm(context, goal, actions, rng))
    assert (windy.deterministic, calm.deterministic) == (False, True)


def test_it_needs_a_task_with_gusts(tmp_path):
    with pytest.raises(ValueError, match="oracle-gusts needs a task with gusts, and cartpole has none"):
        plan_rows(MPCConfig(task="cartpole", predictor="oracle-gusts", out=tmp_path / "mpc"))
    assert not (tmp_path / "mpc").exists()
    with pytest.raises(ValueError, match="oracle-gusts needs a task with gusts, and cartpole has none"):
        GustOracle(simulator("cartpole"))


def test_settings_of_tasks_without_gusts_have_none():
    assert "gusts" not in task_settings("cartpole")["task_numbers"]
    assert task_settings(GUSTS)["task_numbers"]["gusts"] == {"joint": "slider", "force": 30.0, "beyond": 0.8}
    assert replace(MPCConfig(), predictor="oracle-gusts").predictor_label == "oracle-gusts"
