"""Copies and pickles of everything that draws or steps go on as the original does, to the bit, in mid-episode."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
import torch
from stable_baselines3.common.vec_env import DummyVecEnv

from corrwise.costs import GoalCost, l1, recommended
from corrwise.envs import (
    TASKS,
    Fleet,
    ImageGoalReward,
    MujocoSimulator,
    RaycastRenderer,
    RenderToInfo,
    VecImageGoalReward,
    VectorImageGoalReward,
    VectorVisualTask,
    VisualTask,
)
from corrwise.envs.arrays import to_uint8
from corrwise.envs.physics import Physics
from corrwise.mpc import CEM, AgentConfig, VisualMPC
from corrwise.predictors import OraclePredictor
from tests.envs.worlds import flat, goes_on, moves, near, same, simulator, some_states

SIZE = 16
ROOT = Path(__file__).parents[2]
WAYS = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda each: pickle.loads(pickle.dumps(each)),
    "cloudpickle": lambda each: pickle.loads(cloudpickle.dumps(each)),
}
each_way = pytest.mark.parametrize("duplicate", WAYS.values(), ids=WAYS)


@pytest.mark.parametrize("duplicate", [WAYS["deepcopy"], WAYS["pickle"]])
@pytest.mark.parametrize("name", TASKS)
def test_environments_go_on_as_their_originals(name, duplicate):
    env = VisualTask(near(name), size=SIZE)
    env.reset(seed=3)
    for action in moves(env, 2):
        env.step(action)
    other = duplicate(env)
    assert same(goes_on(env), goes_on(other))


@each_way
@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_vector_environments_go_on_as_their_originals(mode, duplicate):
    options = {"goal_key": "desired_goal", "source": "observation", "form": "improvement"}
    envs = VectorImageGoalReward(
        VectorVisualTask(2, task=near("cartpole"), size=SIZE, autoreset_mode=mode), l1, **options
    )
    envs.reset(seed=3)
    for action in moves(envs, 2):
        envs.step(action)
    other = duplicate(envs)
    assert same([envs.step(action) for action in moves(envs, 8)], [other.step(action) for action in moves(envs, 8)])


@each_way
def test_wrappers_go_on_as_their_originals(duplicate):
    env = RenderToInfo(VisualTask(near("cartpole"), size=SIZE, render_mode="rgb_array"))
    distance = recommended(l1, "all-pairs")
    env = ImageGoalReward(env, distance, goal_key="desired_goal", source="observation", form="improvement")
    env.reset(seed=3)
    env.step(moves(env, 1)[0])
    other = duplicate(env)
    assert same(goes_on(env), goes_on(other))


@each_way
def test_stable_baselines_wrapper_goes_on_as_its_original(duplicate):
    copies = DummyVecEnv([partial(VisualTask, near("cartpole"), size=SIZE)] * 2)
    envs = VecImageGoalReward(copies, l1, goal_key="desired_goal", source="observation")
    envs.seed(3)
    envs.reset()
    envs.step(np.zeros((2, 1), np.float32))
    other = duplicate(envs)
    assert len(other.envs) == 2, "what the wrapper does not have is asked of the environment inside"
    for _ in range(6):
        assert same(envs.step(np.ones((2, 1), np.float32)), other.step(np.ones((2, 1), np.float32)))


@each_way
def test_what_an_environment_is_made_of_can_be_copied(duplicate):
    states = some_states("ant")
    world = simulator("ant")
    actions = torch.rand(2, 3, 2, world.physics.action_dim, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert isinstance(other := duplicate(world), MujocoSimulator)
    assert torch.equal(other.rollout(states[:2], actions, [0, 1]), world.rollout(states[:2], actions, [0, 1]))
    assert isinstance(physics := duplicate(world.physics), Physics)
    assert np.array_equal(physics.states(states[:2], actions, [1]), world.physics.states(states[:2], actions, [1]))
    assert isinstance(renderer := duplicate(world.renderer), RaycastRenderer)
    assert torch.equal(renderer.render(states), world.render(states))
    assert same(*(each.correspondence(states[0], states[1]) for each in (renderer, world.renderer)))


@each_way
def test_fleets_and_agents_go_on_as_their_originals(duplicate):
    fleet = Fleet(MujocoSimulator(TASKS["cartpole"], size=SIZE), context_frames=2)
    fleet.reset([0, 1])
    planner = CEM(1, horizon=3, candidates=6, iterations=2)
    agent = VisualMPC(
        OraclePredictor(fleet.simulator), GoalCost(recommended(l1, "zero")), planner,
        goal=fleet.simulator.render(fleet.goal_states), state_source=fleet.snapshot,
        config=AgentConfig(context_frames=2),
    )  # fmt: skip

    def act(fleet: Fleet, agent: VisualMPC, state: object) -> tuple[np.ndarray, object]:
        action, state = agent.predict(to_uint8(fleet.context.frames[:, -1]), state=state)
        fleet.step(torch.from_numpy(action))
        return np.asarray(action), state

    _, state = act(fleet, agent, None)
    others = duplicate((fleet, agent, state))
    for _ in range(2):
        (one, state), (two, kept) = act(fleet, agent, state), act(*others)
        others = (*others[:2], kept)
        assert same([one, fleet.snapshot()], [two, others[0].snapshot()])


def test_a_pickle_goes_on_in_a_process_of_its_own(tmp_path):
    wanted = {}
    for name in TASKS:
        env = VisualTask(near(name), size=SIZE)
        env.reset(seed=3)
        env.step(moves(env, 1)[0])
        (tmp_path / name).write_bytes(pickle.dumps(env))
        wanted[name] = flat(goes_on(env))
    code = """
import pickle, sys
from pathlib import Path
from tests.envs.worlds import flat, goes_on
folder = Path(sys.argv[1])
seen = {path.name: flat(goes_on(pickle.loads(path.read_bytes()))) for path in sorted(folder.iterdir())}
(folder / "seen").write_bytes(pickle.dumps(seen))
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    seen = pickle.loads((tmp_path / "seen").read_bytes())
    assert {name: same(wanted[name], seen[name]) for name in TASKS} == dict.fromkeys(TASKS, True)


def test_a_task_made_of_a_lambda_needs_cloudpickle():
    task = near("cartpole")
    env = VisualTask(replace(task, model=lambda: task.model()), size=SIZE)
    with pytest.raises((AttributeError, pickle.PicklingError), match="lambda"):
        pickle.dumps(env)
    env.reset(seed=0)
    other = pickle.loads(cloudpickle.dumps(env))
    assert same(goes_on(env), goes_on(other))
