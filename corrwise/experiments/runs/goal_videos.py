"""Goals given as a few key frames: images on a path to the goal, from which an interpolator makes a video to follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float32, Float64

from corrwise.envs import MujocoSimulator
from corrwise.envs.tasks.goals import sample_path
from corrwise.experiments.cli.mpc import GOAL_CONTROLS, MPCConfig
from corrwise.experiments.runs.interpolators import interpolator_of, weights_of
from corrwise.predictors.interpolation.video import goal_video
from corrwise.types import Goal, Interpolator


@dataclass(frozen=True)
class KeyFrames:
    """What the episodes of a fleet follow.

    Attributes:
        videos: a goal video for each.
        times: of each episode, the control steps after which its key frames should be seen.
        states: of each episode, the states (key frames, S) that they show.
    """

    videos: list[Float32[torch.Tensor, "_ C h w"]]
    times: list[list[int]]
    states: list[Float64[np.ndarray, "keys S"]]

    @property
    def goal(self) -> Goal:
        """The goal videos as one goal (``held``)."""
        return held(self.videos)

    def distances(self, simulator: MujocoSimulator, step: int, states: Float64[np.ndarray, "B S"]) -> list[list[float]]:
        """Return the distance of each episode's state after so many steps to the key frame of that time, if any."""
        return [
            [float(simulator.state_distance(state, key)) for time, key in zip(times, keys, strict=True) if time == step]
            for state, times, keys in zip(states, self.times, self.states, strict=True)
        ]


def interpolator_settings(config: MPCConfig) -> dict[str, str | None]:
    """Return what goal videos depend on beside the options: a hash of the interpolator's network or of its flow's.

    Raises:
        FileNotFoundError, ValueError: see ``interpolator_of``.
    """
    name = config.interpolator
    if not config.goal_frames or name in GOAL_CONTROLS:
        return {}
    weights = weights_of(name, interpolator_of(name))
    return {} if weights is None else {"interpolator_network": weights}


def key_frames(
    config: MPCConfig,
    simulator: MujocoSimulator,
    seeds: Sequence[int],
    starts: Float32[torch.Tensor, "B C h w"],
    goals: Float32[torch.Tensor, "B C h w"],
) -> KeyFrames:
    """Return the key frames of the episodes with these seeds, at equal distances on the hidden path to each goal.

    The interpolator sees the image of the start, which the camera shows, and those of the key frames. Of the controls,
    ``true`` alone sees more: all images of the path. Those of starts and goals are given, and not drawn again.

    Raises:
        ValueError: an interpolator that does not take these images.
    """
    name = config.interpolator
    follow = name if name in GOAL_CONTROLS else interpolator_of(name, device=config.device)
    videos, times, states = [], [], []
    for seed, start, goal in zip(seeds, starts.split(1), goals.split(1), strict=True):
        path = sample_path(simulator.task, simulator.physics, np.random.default_rng(seed))
        last = len(path) - 1
        keys = sorted({round(last * (i + 1) / config.goal_frames) for i in range(config.goal_frames)} - {0})
        with torch.no_grad():
            videos.append(_video(follow, simulator, path, keys, start, goal))
        times.append(keys)
        states.append(path[keys])
    return KeyFrames(videos, times, states)


def held(videos: Sequence[Float32[torch.Tensor, "_ C h w"]]) -> Goal:
    """Return goal videos as one goal; a shorter one ends with its last frame repeated."""
    longest = max(len(video) for video in videos)
    return Goal(
        torch.stack([torch.cat([video, video[-1:].expand(longest - len(video), -1, -1, -1)]) for video in videos])
    )


def _video(
    follow: str | Interpolator,
    simulator: MujocoSimulator,
    path: Float64[np.ndarray, "steps S"],
    keys: Sequence[int],
    start: Float32[torch.Tensor, "1 C h w"],
    goal: Float32[torch.Tensor, "1 C h w"],
) -> Float32[torch.Tensor, "T C h w"]:
    """Return the goal frames of a path between the states of two images; of the last key frame alone, one."""
    if follow == "last":
        return goal
    between = list(range(1, len(path) - 1)) if follow == "true" else keys[:-1]
    images = torch.cat([simulator.render(path[between]), goal]) if between else goal
    if follow == "true":
        return images
    if isinstance(follow, str):  # next
        gaps = [after - before for before, after in pairwise((0, *keys))]
        return images.repeat_interleave(torch.tensor(gaps, dtype=torch.int64, device="cpu"), 0)
    return goal_video(torch.cat([start, images])[None], (0, *keys), follow)[0]
