"""Where the pictures are: rendered, or in the observation; and where the goal comes from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch

from corrwise._files import local_path
from corrwise.envs.arrays import to_numpy
from corrwise.types import ONE_VIEW, Views

__all__ = ["PICTURE", "RENDER", "GoalPicture", "View", "check_sizes", "goal_picture", "views_of"]

GoalPicture = np.ndarray | torch.Tensor | str | os.PathLike[str] | None

PICTURE = "picture"  # what is rendered, in info
RENDER = "render"  # the source that is no part of the observation
WHOLE = "observation"  # the name of an observation that is no Dict


class View:
    """The picture and the goal that an environment shows.

    Args:
        space: of a single environment's observations.
        goal: a picture or an image file, the goal of all episodes; or None.
        goal_key: the entry of the observation that shows the goal; or None.
        source: "render", "observation" or the entry of the observation that is the picture.
        views: what the distance compares; several are read from the observation, not rendered.

    Raises:
        FileNotFoundError, ValueError: neither or both goals are given, there is no such picture, the goal is of
            another size than the observation's pictures, or the views are not there to be read.
    """

    def __init__(
        self,
        space: gymnasium.Space,
        goal: GoalPicture,
        goal_key: str | None,
        source: str,
        views: Views = ONE_VIEW,
    ) -> None:
        if (goal is None) == (goal_key is None):
            raise ValueError("expected either a goal picture, or goal_key where the observation shows it")
        if goal_key is not None and goal_key == source:
            raise ValueError(f"expected goal_key to be another entry than the source {source!r}")
        self.renders = source == RENDER
        if views.depth:
            raise ValueError(f"expected a distance of colours, got one of {views}: VisualTask(distance=) rewards depth")
        if views.count > 1 and (self.renders or goal_key is None):
            raise ValueError(f"expected source and goal_key, entries of the observation, for {views.count} views")
        self._pixels = None if self.renders else Pixels.of(space, source, "source", views)
        self._asked = None if goal_key is None else Pixels.of(space, goal_key, "goal_key", views)
        self._goal = None if goal is None else goal_picture(goal)
        wanted = self._asked.size if self._asked is not None else np.asarray(self._goal).shape[:2]
        if self._pixels is not None:
            check_sizes(wanted, self._pixels.size)

    def __call__(
        self, observation: Any, info: Mapping[str, Any], row: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return picture and goal of an observation, or of a row of many.

        Raises:
            ValueError: nothing was rendered into the info.
        """
        if self._pixels is None and info.get(PICTURE) is None:
            raise ValueError(
                "the copies of the environment render nothing into their infos: put RenderToInfo around each in the "
                "function that makes it (wrapper_class of make_vec_env), or name a picture of the observation as source"
            )
        picture = info[PICTURE] if self._pixels is None else self._pixels.newest(observation, row)
        goal = self._goal if self._asked is None else self._asked.newest(observation, row)
        return to_numpy(picture), to_numpy(goal)


@dataclass(frozen=True)
class Pixels:
    """The picture in an observation: the newest, if frames are stacked.

    Frames may be stacked along the channels, (H, W, 3k) or (3k, H, W), or along an axis of their own before them.

    Attributes:
        key: of a Dict observation, or "observation" for one that is a picture itself.
        stacked: whether frames have an axis of their own.
        last: whether channels lie last.
        size: (height, width).
        channels: of one picture, 3 for each of its views.
    """

    key: str | None
    stacked: bool
    last: bool
    size: tuple[int, ...]
    channels: int = 3

    @classmethod
    def of(cls, space: gymnasium.Space, name: str, what: str, views: Views = ONE_VIEW) -> Pixels:
        """Return where in observations of this space the picture called ``name`` is.

        Raises:
            ValueError: there is none, or it is no picture of bytes.
        """
        key = name if isinstance(space, gymnasium.spaces.Dict) else None
        if isinstance(space, gymnasium.spaces.Dict):
            if name not in space.spaces:
                raise ValueError(f"the observation has no {what} {name!r}; there are {', '.join(space.spaces)}")
            space = space[name]
        elif what != "source":
            raise ValueError(f"expected a Dict observation for {what} {name!r}, got {space}")
        elif name != WHOLE:
            raise ValueError(f"expected source {RENDER!r} or {WHOLE!r} where the observation is no Dict, got {name!r}")
        shape: tuple[int, ...] = tuple(space.shape or ())
        sides = sorted(shape[-3:])
        thin = (
            len(shape) in (3, 4) and sides[0] % views.channels == 0 and sides[0] < sides[1]
        )  # the axis of the channels
        last = thin and shape[-1] == sides[0]
        if space.dtype != np.uint8 or not (last or (thin and shape[-3] == sides[0])):
            raise ValueError(
                f"expected {what} {name!r} to be a uint8 picture (H, W, {views.channels}) or "
                f"({views.channels}, H, W), or a stack of them, "
                f"got {space.dtype} {shape}"
            )
        return cls(key, len(shape) == 4, last, shape[-3:-1] if last else shape[-2:], views.channels)

    def newest(self, observation: Any, row: int | None = None) -> np.ndarray:
        """Return the newest picture of one observation, or of a row of many."""
        found = observation if self.key is None else observation[self.key]
        array = to_numpy(found if row is None else found[row])
        if self.stacked:
            array = array[..., -1, :, :, :]
        return array[..., -self.channels :] if self.last else array[..., -self.channels :, :, :]


def views_of(distance: Any) -> Views:
    """Return the layout of the images that a distance compares: a ``PerView`` says it, others compare one view."""
    views = getattr(distance, "views", None)
    return views if isinstance(views, Views) else ONE_VIEW


def check_sizes(goal: tuple[int, ...], pictures: tuple[int, ...]) -> None:
    """Raise a ValueError unless goal and pictures have the same (height, width)."""
    if goal != pictures:
        goals, shown = (" x ".join(map(str, size)) for size in (goal, pictures))
        raise ValueError(f"the goal is {goals} pixels, the pictures are {shown}")


def goal_picture(goal: np.ndarray | torch.Tensor | str | os.PathLike[str]) -> np.ndarray:
    """Return the goal as uint8 (H, W, 3), from an array or from an image file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no picture, or the array is no uint8 picture.
    """
    if isinstance(goal, (str, os.PathLike)):
        import cv2

        path = local_path(goal)
        if not path.is_file():
            raise FileNotFoundError(f"there is no goal picture at {path}")
        read = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if read is None:
            raise ValueError(f"{path} is no picture that can be read")
        return np.ascontiguousarray(read[..., ::-1])
    array = to_numpy(goal)
    if array.dtype != np.uint8 or array.ndim != 3 or 3 not in (array.shape[0], array.shape[2]):
        raise ValueError(f"expected a goal picture uint8 (H, W, 3) or (3, H, W), got {array.dtype} {array.shape}")
    return np.array(array if array.shape[2] == 3 else np.moveaxis(array, 0, -1))  # a renderer may reuse its buffer
