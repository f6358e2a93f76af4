"""Every predictor keeps the contract; a new one needs a line in ``PREDICTORS``."""

from __future__ import annotations

import pytest
import torch

import corrwise.predictors
from corrwise.envs import TASKS, Fleet
from corrwise.predictors import CopyLast, OraclePredictor
from corrwise.predictors.models.registry import make_model
from corrwise.testing import check_predictor
from corrwise.types import Context
from tests.envs.worlds import SIZE, simulator
from tests.predictors.tiny_models import awake


def _tiny(name, **options):
    """Build a narrow model that was never trained, for the actions of a simulator."""

    def make(world):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return awake(make_model(name, action_dim=world.physics.action_dim, context=2, **options), SIZE)

    return make


# How to build it for a simulator, whether it is an oracle, which alone reads the state, and whether it is exact: the
# sums of a network round differently in another batch.
PREDICTORS = {
    "CopyLast": (lambda world: CopyLast(), False, True),
    "OraclePredictor": (OraclePredictor, True, True),
    "ResNet3D": (_tiny("resnet3d", width=2, downs=2, blocks2d=1, blocks3d=1), False, False),
    "SVG": (_tiny("svg", width=2, size=SIZE, features=4, latent=2, hidden=4), False, False),
    "Denoiser": (_tiny("denoiser", width=2, blocks=1, evaluations=2), False, False),
    "SVGPrime": (_tiny("svg-prime", width=2, features=4, latent=2, hidden=4), False, False),
}


def _context(name: str, *, batch: int = 2, frames: int = 2) -> Context:
    fleet = Fleet(simulator(name), context_frames=frames)
    fleet.reset(range(batch))
    return fleet.step(torch.full((batch, fleet.simulator.physics.action_dim), 0.3))


def _actions(name: str, batch: int, candidates: int, horizon: int) -> torch.Tensor:
    shape = (batch, candidates, horizon, simulator(name).physics.action_dim)
    return 2 * torch.rand(shape, generator=torch.Generator().manual_seed(0)) - 1


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", PREDICTORS)
def test_keeps_the_contract(name, task):
    make, needs_state, exact = PREDICTORS[name]
    with torch.no_grad():
        check_predictor(
            make(simulator(task)), _context(task), _actions(task, 2, 3, 4), needs_state=needs_state, exact=exact
        )


def test_every_public_predictor_is_under_contract():
    public = {name for name in corrwise.predictors.__all__ if callable(getattr(corrwise.predictors, name))}
    assert public == set(PREDICTORS)


@pytest.mark.parametrize("task", [name for name, task in TASKS.items() if task.gusts is None])
def test_the_oracle_predicts_what_the_environment_then_shows(task):
    context, actions = _context(task, batch=3), _actions(task, 3, 4, 6)
    oracle = OraclePredictor(simulator(task))
    predicted = oracle(context, actions)
    some = oracle(context, actions, steps=[5, 2])
    for candidate in range(4):
        fleet = Fleet(simulator(task))
        fleet.begin(context.state, context.state)
        for step in range(6):
            shown = fleet.step(actions[:, candidate, step])
            assert torch.equal(predicted[:, candidate, step], shown.frames[:, -1])
            if step in (5, 2):
                assert torch.equal(some[:, candidate, [5, 2].index(step)], shown.frames[:, -1])
    assert not torch.equal(predicted[:, 0, -1], predicted[:, 1, -1]), "all candidates have the same frames"


def test_the_oracle_keeps_a_broken_candidate_to_itself():
    context, actions = _context("cartpole"), _actions("cartpole", 2, 3, 4)
    clean = OraclePredictor(simulator("cartpole"))(context, actions)
    actions[1, 2, 1] = torch.nan
    frames = OraclePredictor(simulator("cartpole"))(context, actions)
    assert frames[1, 2, 1:].isnan().all()
    frames[1, 2, 1:] = clean[1, 2, 1:]
    assert torch.equal(frames, clean)


def test_the_oracle_says_what_it_misses():
    context = _context("cartpole")
    blind = Context(context.frames, context.actions)
    with pytest.raises(
        ValueError, match="needs the simulator's state, but the context has none; hand VisualMPC a state_s"
    ):
        OraclePredictor(simulator("cartpole"))(blind, _actions("cartpole", 2, 3, 4))


def test_only_the_steps_asked_for_are_drawn():
    world, drawn = simulator("cartpole"), []

    class Counting:
        def states(self, state, actions, steps):
            return world.states(state, actions, steps)

        def rollout(self, state, actions, steps):
            drawn.append(list(steps))
            return world.rollout(state, actions, steps)

    context, actions = _context("cartpole"), _actions("cartpole", 2, 3, 4)
    OraclePredictor(Counting())(context, actions)
    OraclePredictor(Counting())(context, actions, steps=[3])
    assert drawn == [[0, 1, 2, 3], [3]]


def test_copy_last_is_the_last_frame_and_ignores_actions():
    context = _context("cartpole", frames=3)
    frames = CopyLast()(context, _actions("cartpole", 2, 5, 4))
    assert torch.equal(frames, context.frames[:, None, -1:].expand(2, 5, 4, -1, -1, -1))
    assert torch.equal(frames, CopyLast()(context, torch.zeros(2, 5, 4, 1)))
    assert frames.untyped_storage().data_ptr() == context.frames.untyped_storage().data_ptr(), "memory was copied"


@pytest.mark.parametrize("name", PREDICTORS)
def test_bad_input_says_both_values(name):
    context, actions = _context("cartpole"), _actions("cartpole", 2, 3, 4)
    predictor = PREDICTORS[name][0](simulator("cartpole"))
    for steps in ([4], [-1], [0, 9]):
        with pytest.raises(ValueError, match=r"steps must lie in 0 to 3 \(the horizon is 4\), got"):
            predictor(context, actions, steps=steps)
    with pytest.raises((ValueError, TypeError)):
        predictor(context, actions, steps=[0.5])
