"""Pairs with ground-truth flow: the flow is correct, batches are the same in every run, and bodies are in view."""

import numpy as np
import pytest
import torch

from corrwise.costs import warp
from corrwise.envs import TASKS
from corrwise.envs.flow_data import (
    BodyPairs,
    FlowPairs,
    Pairs,
    PlannedPairs,
    degraded,
    displaced,
    make_pool,
    painted,
    suite_task,
    true_fields,
)
from corrwise.envs.flow_data import pairs as flow_pairs
from corrwise.envs.flow_data.bodies import OTHER_BODIES, TASK_BODIES
from corrwise.experiments.cli.options import BODY_NAMES


@pytest.fixture
def few_bodies(monkeypatch):
    monkeypatch.setattr(flow_pairs, "OTHER_BODIES", ("reacher",))
    monkeypatch.setattr(flow_pairs, "CAMERAS", 1)


def _left_over(pairs: Pairs) -> tuple[float, float]:
    """The mean difference of seen, differing pixels before and after y is warped by the flow."""
    warped = warp(pairs.y, pairs.flow_xy.nan_to_num(0.0))
    seen = (pairs.seen_xy & ((pairs.x - pairs.y).abs().amax(dim=1) > 0.05))[:, None]
    before, after = ((image - pairs.x).abs() * seen for image in (pairs.y, warped))
    return float(before.sum() / seen.sum()), float(after.sum() / seen.sum())


@pytest.mark.parametrize("name", TASKS)
def test_the_flow_of_a_body_warps_one_image_onto_the_other(name):
    rng = np.random.default_rng(0)
    pairs = BodyPairs(make_pool(TASKS[name], episodes=3, size=48, rng=rng)).sample(12, rng)
    before, after = _left_over(pairs)
    assert after < 0.6 * before
    still = pairs.flow_xy.norm(dim=1) == 0
    assert 0.5 < still.float().mean() < 1, "the background moves, or the body does not"


@pytest.mark.parametrize("checked", [False, True])
def test_the_flow_of_painted_layers_warps_one_image_onto_the_other(checked):
    pairs = Pairs(*painted(16, 48, np.random.default_rng(1), checked=checked))
    before, after = _left_over(pairs)
    assert after < 0.4 * before
    back = warp(pairs.flow_yx, pairs.flow_xy)
    error = (back + pairs.flow_xy).norm(dim=1)[pairs.seen_xy]
    assert error.median() < 0.01


@pytest.mark.parametrize("name", [*OTHER_BODIES, "walker", "cheetah"])
def test_every_other_body_is_in_view_and_moves(name):
    rng = np.random.default_rng(2)
    pool = make_pool(suite_task(name, rng), episodes=3, size=48, rng=rng)
    assert pool.usable.mean() > 0.5
    pairs = BodyPairs(pool).sample(12, rng)
    body = (pairs.flow_xy.nan_to_num(0.0).norm(dim=1) > 1e-3).float().mean()
    assert 0.002 < body < 0.4


def test_a_batch_depends_on_seed_and_index_alone(few_bodies):
    one, two, other = (FlowPairs(6, size=32, episodes=2, tasks=0.5, seed=seed) for seed in (3, 3, 4))
    one.batch(0)
    assert torch.equal(one.batch(7).y, two.batch(7).y)
    assert torch.equal(one.batch(7).flow_yx, two.batch(7).flow_yx)
    assert not torch.equal(one.batch(7).x, one.batch(8).x)
    assert not torch.equal(one.batch(7).x, other.batch(7).x)
    assert one.batch(0).x.shape == (6, 3, 32, 32)


def test_tasks_sets_their_share_of_the_pairs(few_bodies):
    tasks_alone, none = (FlowPairs(9, size=32, episodes=2, tasks=tasks, seed=5) for tasks in (1.0, 0.0))
    tasks_alone._others, none._tasks = [], []  # drawing from an empty list would fail
    assert tasks_alone.batch(0).x.shape[0] == none.batch(0).x.shape[0] == 9


def test_every_degradation_changes_an_image_and_keeps_its_range():
    images = torch.rand(64, 3, 16, 16)
    changed = degraded(images, images.flip(0), np.random.default_rng(3))
    assert changed.shape == images.shape
    assert ((changed - images).abs().amax(dim=(1, 2, 3)) > 0).all()
    assert changed.min() >= 0
    assert changed.max() <= 1
    flat = torch.full((64, 3, 16, 16), 0.4)
    assert ((degraded(flat, flat, np.random.default_rng(4)) - flat).abs().amax() < 0.2).all()


def test_half_of_a_tasks_pairs_are_planned_ones(few_bodies, monkeypatch):
    asked = []
    monkeypatch.setattr(PlannedPairs, "sample", lambda self, n, rng: asked.append(n) or BodyPairs.sample(body, n, rng))
    monkeypatch.setattr(PlannedPairs, "ghost", lambda self, n, rng: BodyPairs.ghost(body, n, rng))
    body = BodyPairs(make_pool(TASKS["cartpole"], episodes=2, size=16, rng=np.random.default_rng(0)))
    plans = [np.zeros((1, 2, 1), dtype=np.float32)] * len(TASK_BODIES)
    pairs = FlowPairs(16, size=16, episodes=2, tasks=1.0, seed=0, plans=plans)
    batches = [pairs.batch(i) for i in range(8)]
    assert all(len(batch.x) == 16 for batch in batches)
    assert 40 < sum(asked) < 88


def test_a_body_moves_whole_over_its_own_background():
    background = torch.rand(3, 8, 20)
    images = background.repeat(2, 1, 1, 1)
    images[0, :, 2:5, 8:12] = 2.0
    images[1, :, 2:5, 0:19] = 2.0  # too wide to move
    moved, masks = displaced(images, background, n=5, reach=6)
    assert moved.shape == (1, 7, 3, 8, 20)
    for d in range(7):
        assert torch.equal(masks[0, d], masks[0, 0].roll(d, 1))
        assert masks[0, d].sum() == 12
        assert (moved[0, d][:, masks[0, d]] == 2).all()
        assert torch.equal(moved[0, d][:, ~masks[0, d]], background[:, ~masks[0, d]])
    forward, backward = true_fields(masks)
    assert forward[6][0][masks[0, 0]].eq(6).all()
    assert backward[6][0][masks[0, 6]].eq(-6).all()
    assert forward[:, 1].abs().sum() == 0
    assert forward[6][0].count_nonzero() == 12
    with pytest.raises(ValueError, match="leaves space for the body, at most 16 pixels, got 17"):
        displaced(images, background, n=5, reach=17)


def test_the_tasks_of_the_pairs_are_those_of_the_tables():
    assert TASK_BODIES == BODY_NAMES
