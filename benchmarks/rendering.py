"""Images of Humanoid at 64x64: the ray caster against Gymnasium's own OpenGL renderer, in one run.

    .venv/bin/python benchmarks/rendering.py

Both use the same camera, the same poses (standing and fallen) and one sample per pixel. Gymnasium renders with software
OpenGL (EGL) in its own process, as on a machine without a display. Figures are medians; the last line is JSON. The
exit status is 1 if the ray caster is not ``TARGET_RATIO`` times as fast for every pose.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from time import perf_counter

import numpy as np

TARGET_RATIO = 40
CANDIDATES = 144  # one plan: 48 candidates x 3 iterations, last frame only


def poses() -> dict[str, np.ndarray]:
    """Return states of Humanoid: candidates of a plan made standing, and one made after a second of falling."""
    import torch

    from corrwise.envs import TASKS, Fleet, MujocoSimulator

    fleet = Fleet(MujocoSimulator(TASKS["humanoid"]))
    context, _ = fleet.reset([0])
    states = {}
    for name, idle in (("standing", 0), ("fallen", 70)):
        for _ in range(idle):
            context = fleet.step(torch.zeros(1, 17))
        actions = torch.rand(1, CANDIDATES, 8, 17, generator=torch.Generator().manual_seed(0)) * 2 - 1
        assert context.state is not None
        states[name] = fleet.simulator.states(context.state, actions, [7])[0, :, 0]
    return states


def raycast(states: np.ndarray, repeats: int) -> float:
    """Return seconds per frame of the ray caster, drawing a plan's candidates at once."""
    from corrwise.envs import TASKS, MujocoSimulator

    simulator = MujocoSimulator(TASKS["humanoid"])
    simulator.render(states)
    return median(lambda: simulator.render(states), repeats) / len(states)


def gymnasium_gl(path: str) -> None:
    """Print seconds per frame of ``Humanoid-v5``'s own ``render()`` for each set of poses in a file."""
    import gymnasium
    import mujoco

    from corrwise.envs import TASKS

    camera = TASKS["humanoid"].camera
    towards = np.subtract(camera.target, camera.position)
    distance = np.linalg.norm(towards)
    free = {
        "type": int(mujoco.mjtCamera.mjCAMERA_FREE),
        "lookat": np.array(camera.target),
        "distance": distance,
        "azimuth": float(np.degrees(np.arctan2(towards[1], towards[0]))),
        "elevation": float(np.degrees(np.arcsin(towards[2] / distance))),
    }
    env = gymnasium.make(
        "Humanoid-v5", render_mode="rgb_array", width=64, height=64, camera_id=-1, default_camera_config=free
    ).unwrapped
    env.model.vis.global_.fovy = camera.fovy
    env.reset(seed=0)
    seconds = {}
    for name, states in np.load(path).items():
        times = []
        for state in states[:40]:
            env.set_state(state[1:25], state[25:48])
            began = perf_counter()
            env.render()
            times.append(perf_counter() - began)
        seconds[name] = float(np.median(times[5:]))
    print(json.dumps(seconds))


def median(call, repeats: int) -> float:
    """Return the median seconds of a call."""
    times = []
    for _ in range(repeats):
        began = perf_counter()
        call()
        times.append(perf_counter() - began)
    return float(np.median(times))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--gl", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.gl:
        gymnasium_gl(options.gl)
        return 0
    states = poses()
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        np.savez(file.name, **states)  # type: ignore[arg-type]  # the stubs' allow_pickle
        done = subprocess.run(
            [sys.executable, __file__, "--gl", file.name],
            env={**os.environ, "MUJOCO_GL": "egl"}, check=True, capture_output=True, text=True,
        )  # fmt: skip
    peer = json.loads(done.stdout.strip().splitlines()[-1])
    seconds = {name: raycast(candidates, options.repeats) for name, candidates in states.items()}
    print(f"{'Humanoid 64x64':<16}{'raycast ms':>12}{'gymnasium ms':>14}{'ratio':>8}")
    ratios = {name: peer[name] / seconds[name] for name in states}
    for name, ratio in ratios.items():
        print(f"{name:<16}{1e3 * seconds[name]:>12.3f}{1e3 * peer[name]:>14.2f}{ratio:>7.0f}x")
    reached = all(ratio >= TARGET_RATIO for ratio in ratios.values())
    print(f"gymnasium / raycast (target: at least {TARGET_RATIO}x): {'pass' if reached else 'MISS'}")
    print(json.dumps({"raycast_s": seconds, "gymnasium_s": peer}))
    return int(not reached)


if __name__ == "__main__":
    raise SystemExit(main())
