"""Convert and check images, goals, masks and states from Gymnasium and Stable-Baselines3; nothing checks them again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from corrwise.types import COLOURS, CheckingPredictor, Context, Goal, Predictor, Views, channel_axis

Observation = np.ndarray | Mapping[str, np.ndarray]


def to_frames(image: Any, what: str) -> Float[Tensor, "B C h w"]:
    """Return images as float32 in [0, 1], channels first, with a leading environment axis.

    ``image`` is uint8, or floating point in [0, 1]; (H,W,3) as Gymnasium has it or (3,H,W) as SB3's
    ``VecTransposeImage`` makes it, of V views with 3V channels, with or without environments in front.

    Raises:
        ValueError: for any other dtype, shape or range.
    """
    array = np.asarray(image.detach().cpu() if isinstance(image, Tensor) else image)
    is_float = np.issubdtype(array.dtype, np.floating)
    axis = channel_axis(array.shape)
    shaped = array.ndim in (3, 4) and array.size > 0 and axis is not None
    in_range = not is_float or (array.size > 0 and array.min() >= 0 and array.max() <= 1)
    if not (shaped and in_range and (is_float or array.dtype == np.uint8)):
        wanted = "uint8 (or float in [0,1]) image (H,W,3) or (3,H,W)"
        raise ValueError(f"{what}: expected {wanted}, got {_described(array)}")
    batch = array if array.ndim == 4 else array[None]
    frames = torch.from_numpy(np.array(batch, dtype=np.float32))  # a copy: environments reuse their buffers
    frames = frames if axis == -3 else frames.permute(0, 3, 1, 2).contiguous()
    return frames if is_float else frames / 255


def to_goal(goal: Any) -> Goal:
    """Return a goal image or a batch of them, one for each environment, as a Goal of float32; a Goal's device stays.

    Raises:
        ValueError: when an image is not one, or a Goal's frames are not floating point (B,G,C,h,w) in [0, 1].
    """
    if not isinstance(goal, Goal):
        return Goal(to_frames(goal, "goal")[:, None])
    frames = goal.frames
    shaped = frames.is_floating_point() and frames.ndim == 5 and frames.numel() > 0
    # NaN is in no range; where channels come in fours, the fourth may be metres.
    colours = frames.unflatten(2, (-1, 4))[:, :, :, :3] if shaped and frames.shape[2] % 4 == 0 else frames
    if not shaped or not bool((frames >= 0).all()) or not bool((colours <= 1).all()):
        got = f"{str(frames.dtype).removeprefix('torch.')} ({','.join(map(str, frames.shape))})"
        span = f" from {frames.min():g} to {frames.max():g}" if frames.numel() else ""
        raise ValueError(f"goal: expected floating point frames (B,G,C,h,w) in [0,1], got {got}{span}")
    return goal if frames.dtype == torch.float32 else Goal(frames.float())  # costs know a goal by identity


def read(obs: Observation, goal: Goal | None) -> tuple[Float[Tensor, "B C h w"], Goal, bool]:
    """Return frames, goal and whether ``obs`` was a single one; a ``goal`` given beforehand wins over ``obs``.

    A Dict with ``depth``, and for its goal ``desired_depth``, in metres (H,W,V), becomes images of views with depth.

    Raises:
        ValueError: when an image is not one, when there is no goal, or when it does not fit the observation.
    """
    if isinstance(obs, Mapping) and "observation" not in obs:
        raise ValueError(f"expected the key 'observation', got {sorted(obs)}")
    image = np.asarray(obs["observation"] if isinstance(obs, Mapping) else obs)
    frames = _with_depth(to_frames(image, "observation"), obs, "depth")
    if goal is None:
        if not isinstance(obs, Mapping) or "desired_goal" not in obs:
            raise ValueError("no goal: give VisualMPC a goal= or observe a Dict with the key 'desired_goal'")
        wanted = to_frames(obs["desired_goal"], "desired_goal")
        goal = Goal(_with_depth(wanted, obs, "desired_depth", needed="depth" in obs)[:, None])
    return frames, _fitted(goal, frames), image.ndim == 3


def _with_depth(frames: Tensor, obs: Observation, key: str, *, needed: bool = False) -> Float[Tensor, "B C h w"]:
    """Return the frames with the depths that an observation has under a key, if any."""
    if not isinstance(obs, Mapping) or (key not in obs and not needed):
        return frames
    metres = np.asarray(obs.get(key, ()))
    batch, height, width = len(frames), *frames.shape[-2:]
    shape = (batch, height, width, frames.shape[1] // COLOURS)
    if metres.shape not in (shape, shape[1:]) or not np.issubdtype(metres.dtype, np.floating):
        raise ValueError(f"{key}: expected metres, floats of shape {shape[1:]}, got {metres.dtype} {metres.shape}")
    depths = torch.from_numpy(np.array(metres, dtype=np.float32).reshape(shape)).permute(0, 3, 1, 2)
    return Views(shape[-1], depth=True).stacked(frames, depths)


def check_context(predictor: Predictor | None, context: Context) -> None:
    """Let a predictor with a method ``check(context)`` refuse what it cannot predict from.

    Raises:
        ValueError: raised by the predictor.
    """
    if isinstance(predictor, CheckingPredictor):
        predictor.check(context)


def to_mask(episode_start: Any, batch: int) -> Bool[Tensor, " B"]:
    """Return which environments begin an episode; None means none.

    Raises:
        ValueError: when there is not one value per environment.
    """
    mask = np.zeros(batch, bool) if episode_start is None else np.asarray(episode_start, bool).reshape(-1)
    if len(mask) != batch:
        raise ValueError(f"expected episode_start for {batch} environments, got {len(mask)}")
    return torch.from_numpy(mask.copy())


def to_states(source: Callable[[], np.ndarray] | None, batch: int) -> Float64[np.ndarray, "B S"] | None:
    """Return the simulators' states from ``source``, as a float64 copy.

    Raises:
        ValueError: when there is not one state per environment, or one is not finite.
    """
    if source is None:
        return None
    states = np.array(source(), dtype=np.float64)
    shape = states.shape
    states = states[None] if states.ndim == 1 else states
    if states.ndim != 2 or len(states) != batch:
        raise ValueError(f"expected a state_source of shape ({batch}, S), got {shape}: a state for each environment")
    broken = ~np.isfinite(states).all(axis=1)
    if broken.any():
        row = int(broken.argmax())
        value = states[row][~np.isfinite(states[row])][0]
        raise ValueError(f"expected finite states from state_source, got {value} in environment {row}")
    return states


def _fitted(goal: Goal, frames: Tensor) -> Goal:
    (batch, channels, *size), shape = frames.shape, tuple(goal.frames.shape)
    if len(shape) != 5 or shape[2:] != (channels, *size):
        raise ValueError(f"expected a goal of the observation's (C,H,W) = {(channels, *size)}, got {shape[2:]}")
    if shape[0] not in (1, batch):
        raise ValueError(f"expected 1 goal or {batch}, one per environment, got {shape[0]}")
    return goal if shape[0] == batch else Goal(goal.frames.expand(batch, *shape[1:]))


def _described(array: np.ndarray) -> str:
    shape = f"{array.dtype} ({','.join(map(str, array.shape))})"
    numeric = array.size > 0 and np.issubdtype(array.dtype, np.number)
    return f"{shape} with max {array.max():g}" if numeric else shape
