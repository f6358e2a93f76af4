"""Other packages' environments as tasks: their model, starts and control step; a camera that sees them; refusals."""

import pickle
import re
from dataclasses import replace

import gymnasium
import mujoco
import numpy as np
import pytest
import torch

from corrwise.envs import MujocoSimulator, VectorVisualTask, VisualTask
from corrwise.envs.tasks import environments, find_task
from corrwise.envs.tasks.environments import environment_task
from corrwise.envs.tasks.goals import start_state, state_at
from corrwise.envs.tasks.viewpoint import fitted_camera
from corrwise.experiments import cli
from corrwise.testing import check_task
from tests.envs.worlds import task_of

NAMES = ("gym:Hopper-v5", "dm_control:walker")


@pytest.mark.parametrize("name", NAMES)
def test_keeps_the_contract_and_fills_the_image(name):
    task = find_task(name)
    check_task(task)
    simulator = MujocoSimulator(task, size=32)
    starts = np.stack([start_state(task, simulator.model, np.random.default_rng(seed)) for seed in range(3)])
    spans = simulator.physics.extents.extents(starts)
    assert ((spans.high.max(axis=1) - spans.low.min(axis=1)).max(axis=1) > 0.4).all(), "the body is small"


def test_model_starts_actions_and_control_step_are_the_environment_s_own():
    env, task = gymnasium.make("Hopper-v5").unwrapped, find_task("gym:Hopper-v5")
    simulator = MujocoSimulator(task, size=16)
    seed = int(np.random.default_rng(5).integers(2**31))
    env.reset(seed=seed)
    qpos, qvel = task.start(simulator.model, np.random.default_rng(5))
    assert np.array_equal(qpos, env.data.qpos)
    assert np.array_equal(qvel, env.data.qvel)
    action = np.array([0.3, -0.7, 0.9], dtype=np.float32)
    env.step(action)
    before = state_at(simulator.model, qpos, qvel)[None]
    after = simulator.states(before, torch.from_numpy(action)[None, None, None], [0])
    assert np.allclose(after[0, 0, 0, 1 : 1 + env.model.nq], env.data.qpos, atol=1e-12)


def test_a_domain_s_task_is_taken_by_its_name_and_without_one_its_first():
    speeds = {name: environments._suite(name).task._move_speed for name in ("walker", "walker-stand", "walker-run")}
    assert speeds == {"walker": 0, "walker-stand": 0, "walker-run": 8}
    ball, peg = (environments._suite_model(f"manipulator-{name}").compile() for name in ("bring_ball", "bring_peg"))
    assert ball.nbody != peg.nbody, "each task has its own model"


def test_the_name_stands_for_the_task_in_environments_too_and_copies_go_elsewhere():
    vector = VectorVisualTask(2, task="gym:Hopper-v5", size=16)
    one = VisualTask("gym:Hopper-v5", size=16)
    observations, _ = vector.reset(seed=[3, 4])
    assert np.array_equal(observations["observation"][0], one.reset(seed=3)[0]["observation"])
    again = pickle.loads(pickle.dumps(one))
    assert np.array_equal(one.step(np.zeros(3))[0]["observation"], again.step(np.zeros(3))[0]["observation"])
    environment_task.cache_clear()  # as in another process
    assert find_task("gym:Hopper-v5").camera == one.task.camera


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gym:CartPole-v1", "gym:CartPole-v1 cannot be a task: a CartPoleEnv has no MuJoCo model"),
        ("gym:Nobody-v5", "gym:Nobody-v5 cannot be a task: Environment `Nobody` doesn't exist"),
        ("gym:corrwise/Ant-v0", "gym:corrwise/Ant-v0 cannot be a task: a VisualTask has no MuJoCo model"),
        ("dm_control:nobody", "unknown task 'dm_control:nobody'; there are acrobot, ball_in_cup, cartpole, cheetah"),
        ("dm_control:walker-fly", "unknown task 'dm_control:walker-fly'; walker has stand, walk, run"),
        (
            "nobody",
            "unknown task 'nobody'; there are cartpole, ant, humanoid, cartpole-short, cartpole-gusts, gym:ID and ",
        ),
    ],
)
def test_what_cannot_be_a_task_is_refused_in_one_sentence(name, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}[^\n]*$"):
        find_task(name)


def test_the_command_line_plans_on_one(tmp_path, capsys):
    quick = ["--steps", "1", "--size", "16", "--horizon", "1", "--candidates", "2", "--iterations", "1", "--no-videos"]
    run = ["mpc", "--task", "gym:Hopper-v5", "--costs", "l1", "--episodes", "1", *quick, "--out", str(tmp_path / "out")]
    assert cli.main(run) == 0
    assert '"task": "Hopper-v5"' in (tmp_path / "out" / "rows.jsonl").read_text()
    assert cli.main(["mpc", "--task", "gym:CartPole-v1", *quick, "--out", str(tmp_path / "no")]) == 2
    assert "corrwise: gym:CartPole-v1 cannot be a task: a CartPoleEnv has no MuJoCo model\n" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


PLACES = np.linspace(0, 1, 20)
SLIDER = (
    '<mujoco><worldbody><light pos="0 0 5"/><geom type="plane" size="9 9 1"/>{}<body pos="3 2 1">'
    '<joint type="slide" axis="{}"/><geom size=".3"/></body></worldbody></mujoco>'
)


def _states(model, places):
    states = np.zeros((1, len(places), mujoco.mj_stateSize(model, int(mujoco.mjtState.mjSTATE_INTEGRATION))))
    states[0, :, 1] = places
    return states


@pytest.mark.parametrize("axis", ["1 0 0", "0 1 0", "0 0 1"])
def test_the_camera_stands_where_the_motion_shows(axis):
    task = task_of(SLIDER.format("", axis))
    camera = fitted_camera(task, _states(task.compile(), PLACES))
    direction = np.subtract(camera.position, camera.target)
    moved = np.array(axis.split(), dtype=float)
    assert abs(direction @ moved) < 0.8 * np.linalg.norm(direction), "the camera points along the motion"
    simulator = MujocoSimulator(replace(task, camera=camera), size=16)
    extents = simulator.physics.extents.extents(_states(simulator.model, PLACES)[0])
    assert extents.cut.mean() <= 0.1
    assert (extents.high.max(axis=0) - extents.low.min(axis=0)).max() > 0.8, "the motion fills no more of the image"


@pytest.mark.parametrize(
    ("camera", "taken"),
    [
        ('<camera pos="3 -.5 1" xyaxes="1 0 0 0 0 1" fovy="60"/>', True),
        ('<camera pos="3 -30 1" xyaxes="1 0 0 0 0 1" fovy="60"/>', False),  # the body is small
        ('<camera pos="9 -1 1" xyaxes="1 0 0 0 0 1" fovy="60"/>', False),  # it is outside the image
        ('<camera pos="3 -.5 1" xyaxes="1 0 0 0 0 1" fovy="60" mode="trackcom"/>', False),
    ],
)
def test_a_fixed_camera_of_the_model_is_taken_if_it_frames_what_moves(camera, taken):
    task = task_of(SLIDER.format(camera, "1 0 0"))
    camera = fitted_camera(task, _states(task.compile(), PLACES))
    assert (camera.position == (3.0, -0.5, 1.0) and camera.fovy == 60) == taken
    assert not taken or np.allclose((camera.target, camera.up), ((3.0, 0.5, 1.0), (0.0, 0.0, 1.0)))
