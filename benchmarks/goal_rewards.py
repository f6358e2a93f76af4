"""Sixteen Humanoids at 64x64 with a corr-L1 reward, against ``Humanoid-v5`` with OpenGL and a loop over its copies.

    .venv/bin/python benchmarks/goal_rewards.py

All arms step with random actions and compare one image of each copy per step with the same goal image by the same
distance. The peers render with software OpenGL (EGL), in one process (Gymnasium's ``SyncVectorEnv``) and in one process
per copy (Stable-Baselines3's ``SubprocVecEnv``), and call the distance for one copy after the other. Each arm runs in
its own process. Figures are medians; the last line is JSON. The exit status is 1 below ``TARGET_RATIO``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from corrwise.envs import RenderToInfo, VectorImageGoalReward

TARGET_RATIO = 20  # times faster than the faster peer, with DIS flow
ARMS = ("corrwise", "sync", "subproc")
FLOWS = ("dis", "all-pairs", "learned")
SIZE = 64


def distance(flow: str) -> Any:
    """Return the image distance of all arms."""
    from corrwise.costs import l1, recommended

    return recommended(l1, flow)


def corrwise_step(flow: str, copies: int) -> Callable[[], object]:
    """Return a step of this package's vector environment."""
    import gymnasium

    envs = VectorImageGoalReward(
        gymnasium.make_vec("corrwise/Humanoid-v0", num_envs=copies, size=SIZE), distance(flow),
        goal_key="desired_goal", source="observation",
    )  # fmt: skip
    envs.reset(seed=0)
    envs.action_space.seed(0)
    return lambda: envs.step(envs.action_space.sample())


def peer_step(arm: str, flow: str, copies: int) -> Callable[[], object]:
    """Return a step of Gymnasium's Humanoid, its images compared one by one."""
    import gymnasium
    from stable_baselines3.common.vec_env import SubprocVecEnv

    from corrwise.envs.arrays import from_uint8

    compare, forked = distance(flow), arm == "subproc"
    envs = SubprocVecEnv([humanoid] * copies) if forked else gymnasium.vector.SyncVectorEnv([humanoid] * copies)
    envs.reset()
    space = gymnasium.vector.utils.batch_space(envs.action_space, copies) if forked else envs.action_space
    space.seed(0)

    def images() -> list[np.ndarray]:
        infos = envs.step(space.sample())[-1]
        return [info["render"] for info in infos] if forked else list(infos["render"])

    goal = from_uint8(images()[0])

    def step() -> object:
        costs = [float(compare(from_uint8(image), goal)) for image in images()]
        if len(set(costs)) == 1:
            raise RuntimeError("all copies have the same cost: nothing is rendered, or all images are the same")
        return costs

    return step


def humanoid() -> Any:
    """Return one ``Humanoid-v5`` that renders into its info."""
    import gymnasium

    return RenderToInfo(gymnasium.make("Humanoid-v5", render_mode="rgb_array", width=SIZE, height=SIZE))


def measure(arm: str, flow: str, copies: int, steps: int) -> float:
    """Return the median seconds of one vector step."""
    step = corrwise_step(flow, copies) if arm == "corrwise" else peer_step(arm, flow, copies)
    times = []
    for _ in range(steps + 2):
        began = perf_counter()
        step()
        times.append(perf_counter() - began)
    return float(np.median(times[2:]))  # the first ones warm up


def apart(arm: str, flow: str, options: argparse.Namespace) -> float:
    """Return ``measure`` of a new process, so that OpenGL and the forks of copies do not affect the other arms."""
    steps = options.steps * (8 if arm == "corrwise" else 1)
    command = [sys.executable, __file__, "--arm", arm, "--flow", flow, "--steps", str(steps)]
    done = subprocess.run(
        [*command, "--copies", str(options.copies)], env={**os.environ, "MUJOCO_GL": "egl"}, check=True,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return float(done.stdout.splitlines()[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copies", type=int, default=16)
    parser.add_argument(
        "--steps", type=int, default=20, help="vector steps of the peers; corrwise takes eight times as many"
    )
    parser.add_argument("--flows", nargs="+", default=FLOWS)
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    parser.add_argument("--flow", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.arm:
        print(measure(options.arm, options.flow, options.copies, options.steps))
        return 0
    seconds = {flow: {arm: apart(arm, flow, options) for arm in ARMS} for flow in options.flows}
    ratios = {flow: min(each["sync"], each["subproc"]) / each["corrwise"] for flow, each in seconds.items()}
    for flow, each in seconds.items():
        arms = ", ".join(f"{arm} {1000 * spent:.1f} ms" for arm, spent in each.items())
        print(f"{flow}: {arms} a step of {options.copies} copies: {ratios[flow]:.1f} times faster than the faster peer")
    good = ratios.get("dis", TARGET_RATIO) >= TARGET_RATIO
    print(f"dis against at least {TARGET_RATIO} times: {'pass' if good else 'MISS'}")
    print(json.dumps({"copies": options.copies, "seconds": seconds, "ratios": ratios}))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
