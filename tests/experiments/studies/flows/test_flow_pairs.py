"""The pairs a flow net learns from: their flow is true, they are the same in every run, and bodies fill the picture."""

import numpy as np
import pytest
import torch

from corrwise.costs import warp
from corrwise.envs import TASKS, Fleet, MujocoSimulator
from corrwise.envs.tasks.metric import integration_size
from corrwise.experiments.cli.options import BODY_NAMES
from corrwise.experiments.cli.train_flow import FIRST_PLANNED_SEED
from corrwise.experiments.studies.flows import pairs as flow_pairs
from corrwise.experiments.studies.flows.bodies import HELD_OUT, OTHER_BODIES, make_pool, suite_task
from corrwise.experiments.studies.flows.exact_pairs import BodyPairs, Pairs, PlannedPairs
from corrwise.experiments.studies.flows.layers import degraded, painted
from corrwise.experiments.studies.flows.pairs import FlowPairs
from corrwise.experiments.studies.flows.plans import planned_states


@pytest.fixture
def few_bodies(monkeypatch):
    monkeypatch.setattr(flow_pairs, "OTHER_BODIES", ("reacher",))
    monkeypatch.setattr(flow_pairs, "CAMERAS", 1)


def _left_over(pairs: Pairs) -> tuple[float, float]:
    """The mean difference of seen, differing pixels before and after y is carried along the true flow."""
    carried = warp(pairs.y, pairs.flow_xy.nan_to_num(0.0))
    seen = (pairs.seen_xy & ((pairs.x - pairs.y).abs().amax(dim=1) > 0.05))[:, None]
    before, after = ((image - pairs.x).abs() * seen for image in (pairs.y, carried))
    return float(before.sum() / seen.sum()), float(after.sum() / seen.sum())


@pytest.mark.parametrize("name", TASKS)
def test_a_bodys_true_flow_carries_one_picture_onto_the_other(name):
    rng = np.random.default_rng(0)
    pairs = BodyPairs(make_pool(TASKS[name], episodes=3, size=48, rng=rng)).sample(12, rng)
    before, after = _left_over(pairs)
    assert after < 0.6 * before
    still = pairs.flow_xy.norm(dim=1) == 0
    assert 0.5 < still.float().mean() < 1, "the background moves, or the body does not"


@pytest.mark.parametrize("checked", [False, True])
def test_painted_flow_carries_one_picture_onto_the_other(checked):
    pairs = Pairs(*painted(16, 48, np.random.default_rng(1), checked=checked))
    before, after = _left_over(pairs)
    assert after < 0.4 * before
    back = warp(pairs.flow_yx, pairs.flow_xy)
    error = (back + pairs.flow_xy).norm(dim=1)[pairs.seen_xy]
    assert error.median() < 0.01


@pytest.mark.parametrize("name", OTHER_BODIES + HELD_OUT)
def test_every_other_body_is_in_the_picture_and_moves(name):
    rng = np.random.default_rng(2)
    pool = make_pool(suite_task(name, rng), episodes=3, size=48, rng=rng)
    assert pool.usable.mean() > 0.5
    pairs = BodyPairs(pool).sample(12, rng)
    body = (pairs.flow_xy.nan_to_num(0.0).norm(dim=1) > 1e-3).float().mean()
    assert 0.002 < body < 0.4


def test_a_batch_depends_on_seed_and_index_alone(few_bodies):
    one, two, other = (FlowPairs(size=32, episodes=2, tasks=0.5, seed=seed) for seed in (3, 3, 4))
    one.batch(0, 4)
    assert torch.equal(one.batch(7, 6).y, two.batch(7, 6).y)
    assert torch.equal(one.batch(7, 6).flow_yx, two.batch(7, 6).flow_yx)
    assert not torch.equal(one.batch(7, 6).x, one.batch(8, 6).x)
    assert not torch.equal(one.batch(7, 6).x, other.batch(7, 6).x)
    assert one.batch(0, 1).x.shape == (1, 3, 32, 32)


def test_the_share_of_the_tasks_is_the_one_asked_for(monkeypatch):
    monkeypatch.setattr(flow_pairs, "OTHER_BODIES", ("reacher",))
    monkeypatch.setattr(flow_pairs, "CAMERAS", 1)
    tasks_alone, none = (FlowPairs(size=32, episodes=2, tasks=tasks, seed=5) for tasks in (1.0, 0.0))
    tasks_alone._others, none._tasks = [], []  # drawing from an empty list would fail
    assert tasks_alone.batch(0, 9).x.shape[0] == none.batch(0, 9).x.shape[0] == 9


def test_every_fault_changes_a_picture_and_keeps_its_range():
    images = torch.rand(64, 3, 16, 16)
    spoilt = degraded(images, images.flip(0), np.random.default_rng(3))
    assert spoilt.shape == images.shape
    assert ((spoilt - images).abs().amax(dim=(1, 2, 3)) > 0).all()
    assert spoilt.min() >= 0
    assert spoilt.max() <= 1
    flat = torch.full((64, 3, 16, 16), 0.4)
    assert ((degraded(flat, flat, np.random.default_rng(4)) - flat).abs().amax() < 0.2).all()


def test_plans_are_learned_from():
    states = planned_states("cartpole", "small", size=16, episodes=1, candidates=4)
    simulator = MujocoSimulator(TASKS["cartpole"], size=16)
    steps, iterations = TASKS["cartpole"].episode_steps, 3
    assert states.shape == (steps * iterations * 4, 2, integration_size(simulator.model))
    assert (states[:, 1] == states[0, 1]).all(), "one episode has one goal"
    _, goal = Fleet(MujocoSimulator(TASKS["cartpole"], size=16)).reset([FIRST_PLANNED_SEED])
    pairs = PlannedPairs(simulator, states).sample(5, np.random.default_rng(0))
    assert torch.equal(pairs.x[0], goal.frames[0, 0]), "x is the goal, y what a prediction stands for"
    assert pairs.flow_xy.nan_to_num(0).abs().amax() > 1, "candidates are elsewhere"


def test_half_of_a_tasks_pairs_are_planned_ones(few_bodies, monkeypatch):
    asked = []
    monkeypatch.setattr(PlannedPairs, "sample", lambda self, n, rng: asked.append(n) or BodyPairs.sample(body, n, rng))
    monkeypatch.setattr(PlannedPairs, "ghost", lambda self, n, rng: BodyPairs.ghost(body, n, rng))
    body = BodyPairs(make_pool(TASKS["cartpole"], episodes=2, size=16, rng=np.random.default_rng(0)))
    pairs = FlowPairs(
        size=16, episodes=2, tasks=1.0, seed=0, plans=[np.zeros((1, 2, 1), dtype=np.float32)] * len(BODY_NAMES)
    )
    batches = [pairs.batch(i, 16) for i in range(8)]
    assert all(len(batch.x) == 16 for batch in batches)
    assert 40 < sum(asked) < 88
