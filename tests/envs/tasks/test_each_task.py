"""Every task keeps the contract: those of the registry, and models that nobody here wrote."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import mujoco
import numpy as np
import pytest
import torch

from corrwise.envs import TASKS, Camera, Fleet, GoalSampling, MujocoSimulator, Task, VisualTask
from corrwise.envs.tasks.models import dm_control_model
from corrwise.testing import check_task
from tests.envs.worlds import SIZE, rest, simulator

# Their goals were frozen before anyone measured whether the tip of the pole stays in the image.
OUT_OF_VIEW = {"cartpole": 0.25, "cartpole-short": 0.4}


@pytest.mark.parametrize("name", TASKS)
def test_registered_task_keeps_the_contract(name):
    assert TASKS[name].name == name
    check_task(TASKS[name], out_of_view=OUT_OF_VIEW.get(name, 0.0))


def test_the_contract_sees_a_part_that_leaves_the_image_though_its_centre_does_not():
    with pytest.raises(AssertionError, match=r"\d+% of the (starts|goals) have a part outside the image: pole_1"):
        check_task(TASKS["cartpole-short"])


@pytest.mark.filterwarnings("ignore:compiler attribute 'settotalmass'")  # in dm_control's cheetah
@pytest.mark.parametrize("domain", ["walker", "cheetah"])
def test_any_dm_control_model_becomes_a_task(domain):
    task = Task(
        name=domain,
        model=partial(dm_control_model, f"{domain}.xml"),
        camera=Camera(position=(0.0, -6.0, 1.0), target=(0.0, 0.0, 0.8), fovy=55.0),
        frame_skip=10,
        episode_steps=20,
        start=_standing,
        goal=GoalSampling(min_steps=4, max_steps=10, min_distance=0.3),
    )
    check_task(task)
    _, reward, *_ = _first_step(VisualTask(task, size=SIZE))
    assert reward <= 0
    context, _ = Fleet(MujocoSimulator(task, size=SIZE)).reset([0, 1])
    assert context.frames.shape == (2, 1, 3, SIZE, SIZE)


def test_the_hidden_actions_are_correlated_and_in_bounds():
    from corrwise.envs.tasks.goals import _hidden_actions

    task = TASKS["cartpole"]
    soft = replace(task, goal=replace(task.goal, correlation=0.9, std=0.2, max_steps=40))
    noise = np.concatenate([_hidden_actions(soft, 8, np.random.default_rng(seed)) for seed in range(20)])
    assert noise.dtype == np.float32
    assert np.abs(noise).max() <= 1
    assert noise.std() == pytest.approx(0.2, rel=0.05)
    assert noise[:, 0].std() == pytest.approx(0.2, rel=0.05)  # stationary from the first step
    neighbours = (noise[:, 1:] * noise[:, :-1]).mean() / (noise**2).mean()
    assert neighbours == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize(("low", "high"), [(0, 5), (6, 5), (5, 41)])
def test_goals_beyond_an_episode_are_refused(low, high):
    task = TASKS["cartpole"]
    with pytest.raises(ValueError, match=f"1 to 40 control steps .* got {low} to {high}"):
        replace(task, episode_steps=40, goal=replace(task.goal, min_steps=low, max_steps=high))


def test_no_physics_step_is_refused():
    with pytest.raises(ValueError, match="cartpole: frame_skip must be at least 1, got 0"):
        replace(TASKS["cartpole"], frame_skip=0)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_velocity_weight_that_weighs_nothing_is_refused(weight):
    with pytest.raises(ValueError, match=f"cartpole: velocity_weight must be zero or above.*, got {weight}"):
        replace(TASKS["cartpole"], velocity_weight=weight)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"min_distance": 0.0}, "min_distance must be above zero and finite, got 0.0"),
        ({"min_distance": float("nan")}, "min_distance must be above zero and finite, got nan"),
        ({"correlation": 1.0}, r"correlation must be in \[0, 1\), got 1.0"),
        ({"correlation": float("nan")}, r"correlation must be in \[0, 1\), got nan"),
        ({"std": -1.0}, "std must be above zero and finite, got -1.0"),
    ],
)
def test_goals_that_are_none_are_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        GoalSampling(min_steps=1, max_steps=5, **numbers)


def test_a_compiled_model_is_no_specification():
    with pytest.raises(TypeError, match=r"must return a mujoco.MjSpec, got MjModel|returned.* MjModel|violates"):
        replace(TASKS["cartpole"], model=TASKS["cartpole"].compile).compile()


@pytest.mark.parametrize("name", TASKS)
def test_a_task_may_return_the_same_specification_each_time(name):
    task, spec = TASKS[name], TASKS[name].model()
    cameras = len(spec.cameras)
    reused = replace(task, model=lambda: spec)
    wanted, first, second = task.compile(), reused.compile(), reused.compile()
    assert _bytes(first) == _bytes(second) == _bytes(wanted)
    assert len(spec.cameras) == cameras, "the specification is the user's own"


def test_meshes_and_textures_given_in_memory_survive():
    corners = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"
    xml = """<mujoco><asset><mesh name="m" file="m.obj"/></asset><worldbody><body><freejoint/>
    <geom type="mesh" mesh="m"/></body></worldbody></mujoco>"""
    spec = mujoco.MjSpec.from_string(xml, assets={"m.obj": corners})
    task = replace(TASKS["cartpole"], model=lambda: spec)
    assert task.compile().mesh_vertnum.tolist() == task.compile().mesh_vertnum.tolist() == [4]


def test_a_camera_of_the_same_name_is_refused():
    spec = TASKS["cartpole"].model()
    spec.worldbody.add_camera(name="corrwise")
    with pytest.raises(ValueError, match="cartpole: the model has a camera named 'corrwise' already; give it another"):
        replace(TASKS["cartpole"], model=lambda: spec).compile()


def _bytes(model: mujoco.MjModel) -> bytes:
    buffer = np.empty(mujoco.mj_sizeModel(model), dtype=np.uint8)
    mujoco.mj_saveModel(model, None, buffer)
    return buffer.tobytes()


def test_a_camera_that_looks_straight_up_is_refused():
    with pytest.raises(ValueError, match=r"points along its up direction: position \(0.0, 0.0, 5.0\)"):
        Camera(position=(0.0, 0.0, 5.0), target=(0.0, 0.0, 0.0)).axes()


def test_camera_axes_are_right_up_and_backward():
    axes = Camera(position=(0.0, -3.0, 0.0), target=(0.0, 0.0, 0.0)).axes()
    assert np.allclose(axes, np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]).T, atol=1e-12)


def test_actions_span_the_actuators_ranges():
    physics = simulator("humanoid").physics
    low, high = physics.model.actuator_ctrlrange.T
    ones = np.ones(physics.action_dim)
    assert np.allclose(physics.controls(-ones), low)
    assert np.allclose(physics.controls(0 * ones), (low + high) / 2)
    assert np.allclose(physics.controls(ones), high)
    assert np.array_equal(physics.controls(7 * ones), physics.controls(ones))


def _standing(model, rng):
    qpos, qvel = rest(model, rng)
    return qpos + 0.05 * rng.standard_normal(model.nq), qvel


def _first_step(env: VisualTask):
    env.reset(seed=0)
    return env.step(torch.zeros(env.action_space.shape).numpy())
