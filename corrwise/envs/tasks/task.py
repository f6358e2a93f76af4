"""What makes a task: a model, a camera, bounds, where episodes start, which goals count, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from numbers import Integral

import mujoco
import numpy as np

CAMERA_NAME = "corrwise"  # of the main camera in the compiled model; the others append their own name
MAIN = "main"
_MOST_FRAME_SKIP = 2**31 - 1  # MuJoCo counts steps in 32 bits


@dataclass(frozen=True)
class Camera:
    """A camera fixed in the world, the same for observation, goal and prediction; it never tracks.

    Attributes:
        position: where it stands, metres.
        target: the point in the middle of the picture, metres.
        fovy: vertical field of view, degrees.
        up: the world direction that points up in the picture.
    """

    position: tuple[float, float, float]
    target: tuple[float, float, float]
    fovy: float = 45.0
    up: tuple[float, float, float] = (0.0, 0.0, 1.0)

    def axes(self) -> np.ndarray:
        """Return the rotation whose columns are the camera's right, up and backward axes, (3, 3).

        Raises:
            ValueError: if the camera looks along its ``up`` direction.
        """
        back = np.subtract(self.position, self.target)
        right = np.cross(self.up, back)
        if np.linalg.norm(right) < 1e-9:
            raise ValueError(f"camera looks along its up direction: position {self.position}, up {self.up}")
        columns = [right, np.cross(back, right), back]
        return np.stack([column / np.linalg.norm(column) for column in columns], axis=1)


@dataclass(frozen=True)
class GoalSampling:
    """Which states may be goals: those a hidden, time-correlated action sequence reaches within the episode.

    Attributes:
        min_steps, max_steps: control steps of the hidden sequence, both ends included.
        correlation: AR(1) coefficient of the hidden actions from one step to the next, in [0, 1).
        std: their standard deviation before they are clipped to [-1, 1]; above 0.
        min_distance: the least state distance from the start, above 0, so that no start already meets its goal.
        accept: a further condition on (start qpos, goal qpos), both (nq,).
        in_view: refuse starts and goals in which a part of the body lies outside the image.

    Raises:
        ValueError: if a number is out of its range.
    """

    min_steps: int
    max_steps: int
    correlation: float = 0.9
    std: float = 1.0
    min_distance: float = 0.5
    accept: Callable[[np.ndarray, np.ndarray], bool] | None = None
    in_view: bool = False

    def __post_init__(self) -> None:
        """Refuse hidden actions that are none, and goals that are met at once."""
        if not 0 <= self.correlation < 1:
            raise ValueError(f"expected correlation of at least 0 and below 1, got {self.correlation}")
        for name in ("std", "min_distance"):
            if not 0 < getattr(self, name) < inf:
                raise ValueError(f"expected a finite {name} above 0, got {getattr(self, name)}")


@dataclass(frozen=True)
class Task:
    """A MuJoCo model turned into "reach the state that this picture shows".

    Attributes:
        name: how the command line and the rows call it.
        model: builds the model's specification; the camera is added to it.
        camera: the fixed camera, called "main".
        frame_skip: physics steps in one control step.
        episode_steps: control steps in one episode.
        start: draws the start of an episode, ``(model, rng) -> (qpos (nq,), qvel (nv,))``.
        goal: which states may be goals.
        velocity_weight: seconds; how much a velocity difference counts in the full state distance.
        textures: whether the ray caster lays textures on moving shapes, too, as OpenGL does; without, their mean
            colours stand in.
        cameras: further fixed cameras by name, drawn where they are asked for (``cameras=`` of simulator and
            environments). Starts and goals never depend on them.

    Raises:
        ValueError: a further camera is called "main", ``frame_skip`` is no whole number from 1 to 2^31 - 1, goals lie
            outside the episode, or the velocity weight is negative or not finite.
    """

    name: str
    model: Callable[[], mujoco.MjSpec]
    camera: Camera
    frame_skip: int
    episode_steps: int
    start: Callable[[mujoco.MjModel, np.random.Generator], tuple[np.ndarray, np.ndarray]]
    goal: GoalSampling
    velocity_weight: float = 0.1
    textures: bool = False
    cameras: Mapping[str, Camera] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Refuse goals that an episode has no time to reach."""
        if MAIN in self.cameras:
            raise ValueError(f"{self.name}: {MAIN!r} is the name of Task.camera, got cameras {', '.join(self.cameras)}")
        if not isinstance(self.frame_skip, Integral) or not 1 <= self.frame_skip <= _MOST_FRAME_SKIP:
            wanted = f"a whole number of at least 1 and at most {_MOST_FRAME_SKIP}"
            raise ValueError(f"{self.name}: frame_skip must be {wanted}, got {self.frame_skip}")
        if not 0 <= self.velocity_weight < inf:
            raise ValueError(f"{self.name}: velocity_weight must be finite and at least 0, got {self.velocity_weight}")
        if not 1 <= self.goal.min_steps <= self.goal.max_steps <= self.episode_steps:
            raise ValueError(
                f"{self.name}: goals must lie 1 to {self.episode_steps} control steps (one episode) from the start, "
                f"got {self.goal.min_steps} to {self.goal.max_steps}"
            )

    def check_cameras(self, names: Sequence[str]) -> None:
        """Raise a ValueError unless the task has cameras of these names."""
        for name in names:
            if name != MAIN and name not in self.cameras:
                raise ValueError(f"{self.name} has no camera {name!r}; there are {', '.join((MAIN, *self.cameras))}")

    def compile(self, cameras: Sequence[str] = ()) -> mujoco.MjModel:
        """Return the compiled model with the task's camera in it, and those of its further cameras that are asked for.

        Raises:
            TypeError: if ``model`` returns something else than a specification.
            ValueError: if a camera is unknown or looks along its ``up`` direction, the model has a camera named
                "corrwise" already, or MuJoCo cannot compile the model.
        """
        self.check_cameras(cameras)
        spec = self.model()
        if not isinstance(spec, mujoco.MjSpec):
            raise TypeError(f"{self.name}: model must return a mujoco.MjSpec, got {type(spec).__name__}")
        if spec.camera(CAMERA_NAME) is not None:
            raise ValueError(f"{self.name}: the model has a camera named {CAMERA_NAME!r} already; give it another name")
        spec = spec.copy()  # the task may return the same specification each time
        for name, camera in {
            MAIN: self.camera,
            **{name: self.cameras[name] for name in cameras if name != MAIN},
        }.items():
            added = spec.worldbody.add_camera(name=camera_name(name), pos=camera.position, fovy=camera.fovy)
            mujoco.mju_mat2Quat(added.quat, camera.axes().ravel())
        return spec.compile()


def camera_name(view: str) -> str:
    """Return what the compiled model calls one of a task's cameras."""
    return CAMERA_NAME if view == MAIN else f"{CAMERA_NAME}-{view}"
