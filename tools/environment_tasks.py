"""List the environments of Gymnasium and of the dm_control suite that can be tasks, with their names.

python tools/environment_tasks.py [NAME ...]
"""

import sys
import time
import warnings

import gymnasium
import numpy as np

from corrwise.envs import MujocoSimulator
from corrwise.envs.tasks import find_task
from corrwise.envs.tasks.goals import sample_episode


def all_names() -> list[str]:
    from dm_control import suite

    mujoco_ids = [name for name, spec in gymnasium.registry.items() if "envs.mujoco" in str(spec.entry_point)]
    names = [f"gym:{name}" for name in mujoco_ids if name.endswith("-v5")]
    return names + [f"dm_control:{domain}-{task}" for domain, task in suite.ALL_TASKS]


def described(name: str) -> str:
    """Return a line about the task of a name, from four episodes at 32 pixels; or why there is none."""
    begun = time.perf_counter()
    try:
        task = find_task(name)
        simulator = MujocoSimulator(task, size=32)
        simulator.check_drawn()
        episodes = np.array([sample_episode(task, simulator.physics, np.random.default_rng(seed)) for seed in range(4)])
    except (RuntimeError, ValueError) as error:
        return f"no   {name}: {error}"
    images = simulator.render(episodes)
    same = int((images[:, 0] == images[:, 1]).flatten(start_dim=1).all(dim=1).sum())
    notes = [*simulator.left_out, *([f"{same} of 4 goal images equal their starts'"] if same else [])]
    step = 1000 * simulator.model.opt.timestep * task.frame_skip
    camera = tuple(round(each, 2) for each in task.camera.position)
    goals = f"goals from {task.goal.min_distance:g} away, camera at {camera}, {time.perf_counter() - begun:.1f} s"
    return f"yes  {name}: {task.episode_steps} steps of {step:g} ms, {goals}{'; ' * bool(notes)}{', '.join(notes)}"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for each in sys.argv[1:] or all_names():
        print(described(each), flush=True)
