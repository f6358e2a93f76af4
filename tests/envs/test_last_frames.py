"""Frame stacking for goal environments."""

from __future__ import annotations

import numpy as np

from corrwise.envs import VisualTask
from corrwise.envs.last_frames import LastFrames


def _cartpole():
    return VisualTask("cartpole", size=16)


def test_last_frames_stack_the_observation_alone():
    plain, env = _cartpole(), LastFrames(_cartpole(), 2)
    first, seen = plain.reset(seed=1)[0], env.reset(seed=1)[0]
    assert env.observation_space.contains(seen)
    np.testing.assert_array_equal(seen["observation"], np.concatenate([first["observation"]] * 2, axis=-1))
    second, seen = (each.step(np.ones(1, np.float32))[0] for each in (plain, env))
    newest = np.concatenate([first["observation"], second["observation"]], axis=-1)
    np.testing.assert_array_equal(seen["observation"], newest)
    for name in ("achieved_goal", "desired_goal"):
        np.testing.assert_array_equal(seen[name], second[name])
    goals = np.stack([second["achieved_goal"]] * 2)
    assert env.get_wrapper_attr("compute_reward")(goals, goals, [{}] * 2).tolist() == [0, 0]
