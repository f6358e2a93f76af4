"""Read the image and the goal of an environment: the image is rendered or in the observation."""

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

__all__ = ["RENDER", "GoalImage", "Pair", "View", "check_sizes", "views_of"]

GoalImage = np.ndarray | torch.Tensor | str | os.PathLike[str] | None
Pair = tuple[np.ndarray, np.ndarray]  # an image and its goal

RENDER = "render"  # the source that is not part of the observation, and the key of the rendered image in info
WHOLE = "observation"  # the source that is an observation without entries


class View:
    """Reads the image and the goal of an environment.

    Args:
        space: the observation space of a single environment.
        goal: an image or an image file, the goal of all episodes; or None.
        goal_key: the entry of the observation that holds the goal; or None.
        source: "render", "observation" or the entry of the observation that holds the image.
        views: the views that the distance compares; several views must be in the observation.

    Raises:
        FileNotFoundError: if the goal's file does not exist.
        ValueError: if neither or both goals are given, an image is missing, the goal's size differs from the
            observation's images, or the observation does not hold the views.
    """

    def __init__(
        self,
        space: gymnasium.Space,
        goal: GoalImage,
        goal_key: str | None,
        source: str,
        views: Views = ONE_VIEW,
    ) -> None:
        if (goal is None) == (goal_key is None):
            raise ValueError("expected a goal image, or goal_key if the observation holds the goal, and not both")
        if goal_key is not None and goal_key == source:
            raise ValueError(f"expected goal_key and source to name different entries, got {source!r} for both")
        self.renders = source == RENDER
        if views.depth:
            raise ValueError(
                f"expected a distance of colour images, got one of {views}; for depth use VisualTask(distance=...)"
            )
        if views.count > 1 and (self.renders or goal_key is None):
            raise ValueError(f"expected source and goal_key, entries of the observation, for {views.count} views")
        self._pixels = None if self.renders else Pixels.of(space, source, "source", views)
        self._asked = None if goal_key is None else Pixels.of(space, goal_key, "goal_key", views)
        self._goal = None if goal is None else goal_image(goal)
        wanted = self._asked.size if self._asked is not None else np.asarray(self._goal).shape[:2]
        if self._pixels is not None:
            check_sizes(wanted, self._pixels.size)

    def __call__(self, observation: Any, info: Mapping[str, Any], row: int | None = None) -> Pair:
        """Return the image and the goal of an observation, or of one row of a batch.

        Raises:
            ValueError: if no image was rendered into the info.
        """
        if self._pixels is None and info.get(RENDER) is None:
            raise ValueError(
                "the copies of the environment have no rendered image in their infos: wrap each copy in RenderToInfo "
                "(wrapper_class of make_vec_env), or name an image of the observation as source"
            )
        image = info[RENDER] if self._pixels is None else self._pixels.newest(observation, row)
        goal = self._goal if self._asked is None else self._asked.newest(observation, row)
        return to_numpy(image), to_numpy(goal)


@dataclass(frozen=True)
class Pixels:
    """Where an observation holds an image: the newest one if frames are stacked.

    Frames may be stacked along the channels, (H, W, 3k) or (3k, H, W), or along a leading axis.

    Attributes:
        key: the entry of a Dict observation; None if the observation is the image.
        stacked: whether frames have a leading axis.
        last: whether channels are the last axis.
        size: (height, width).
        channels: the number of channels of one image, 3 for each view.
    """

    key: str | None
    stacked: bool
    last: bool
    size: tuple[int, ...]
    channels: int = 3

    @classmethod
    def of(cls, space: gymnasium.Space, name: str, what: str, views: Views = ONE_VIEW) -> Pixels:
        """Return where observations of this space hold the image ``name``.

        Raises:
            ValueError: if there is no such entry, or it is not a uint8 image.
        """
        key = name if isinstance(space, gymnasium.spaces.Dict) else None
        if isinstance(space, gymnasium.spaces.Dict):
            if name not in space.spaces:
                raise ValueError(f"the observation has no {what} {name!r}; there are {', '.join(space.spaces)}")
            space = space[name]
        elif what != "source":
            raise ValueError(f"expected a Dict observation for {what} {name!r}, got {space}")
        elif name != WHOLE:
            raise ValueError(
                f"expected source {RENDER!r} or {WHOLE!r} for an observation that is not a Dict, got {name!r}"
            )
        shape: tuple[int, ...] = tuple(space.shape or ())
        sides = sorted(shape[-3:])
        # The axis of the channels is shorter than the image's sides.
        thin = len(shape) in (3, 4) and sides[0] % views.channels == 0 and sides[0] < sides[1]
        last = thin and shape[-1] == sides[0]
        if space.dtype != np.uint8 or not (last or (thin and shape[-3] == sides[0])):
            raise ValueError(
                f"expected {what} {name!r} to be a uint8 image (H, W, {views.channels}) or "
                f"({views.channels}, H, W), or a stack of them, "
                f"got {space.dtype} {shape}"
            )
        return cls(key, len(shape) == 4, last, shape[-3:-1] if last else shape[-2:], views.channels)

    def newest(self, observation: Any, row: int | None = None) -> np.ndarray:
        """Return the newest image of one observation, or of one row of a batch."""
        entry = observation if self.key is None else observation[self.key]
        array = to_numpy(entry if row is None else entry[row])
        if self.stacked:
            array = array[..., -1, :, :, :]
        return array[..., -self.channels :] if self.last else array[..., -self.channels :, :, :]


def views_of(distance: Any) -> Views:
    """Return the layout of the images that a distance compares: that of a ``PerView``, else a single view."""
    views = getattr(distance, "views", None)
    return views if isinstance(views, Views) else ONE_VIEW


def check_sizes(goal: tuple[int, ...], images: tuple[int, ...]) -> None:
    """Raise a ValueError unless goal and images have the same (height, width)."""
    if goal != images:
        goals, shown = (" x ".join(map(str, size)) for size in (goal, images))
        raise ValueError(f"the goal is {goals} pixels, the images are {shown}; resize the goal")


def goal_image(goal: np.ndarray | torch.Tensor | str | os.PathLike[str]) -> np.ndarray:
    """Return the goal as uint8 (H, W, 3), from an array or from an image file.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if the file is not an image, or the array is not a uint8 image.
    """
    if isinstance(goal, (str, os.PathLike)):
        import cv2

        path = local_path(goal)
        if not path.is_file():
            raise FileNotFoundError(f"there is no goal image at {path}")
        read = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if read is None:
            raise ValueError(f"{path} is not an image that can be read")
        return np.ascontiguousarray(read[..., ::-1])
    array = to_numpy(goal)
    if array.dtype != np.uint8 or array.ndim != 3 or 3 not in (array.shape[0], array.shape[2]):
        raise ValueError(f"expected a goal image, uint8 (H, W, 3) or (3, H, W), got {array.dtype} {array.shape}")
    return np.array(array if array.shape[2] == 3 else np.moveaxis(array, 0, -1))  # a renderer may reuse its buffer
