"""The definition of a task: model, cameras, control step, starts and goals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import mujoco
import numpy as np

from corrwise.envs.tasks.gusts import Gusts
from corrwise.validation import Range, validate, validated

CAMERA_NAME = "corrwise"  # of the main camera in the compiled model; the others append their own name
MAIN = "main"
Positive = Annotated[float, Range(0, open="low")]
FrameSkip = Annotated[int, Range(1, 2**31 - 1)]  # MuJoCo counts steps in 32 bits


@dataclass(frozen=True)
class Camera:
    """A camera fixed in the world, the same for observation, goal and prediction; it never follows a body.

    Attributes:
        position: the camera's position, metres.
        target: the point in the middle of the image, metres.
        fovy: vertical field of view, degrees.
        up: the world direction that points up in the image.
    """

    position: tuple[float, float, float]
    target: tuple[float, float, float]
    fovy: float = 45.0
    up: tuple[float, float, float] = (0.0, 0.0, 1.0)

    def axes(self) -> np.ndarray:
        """Return the rotation whose columns are the camera's right, up and backward axes, (3, 3).

        Raises:
            ValueError: if the camera points along its ``up`` direction.
        """
        back = np.subtract(self.position, self.target)
        right = np.cross(self.up, back)
        if np.linalg.norm(right) < 1e-9:
            raise ValueError(f"the camera points along its up direction: position {self.position}, up {self.up}")
        columns = [right, np.cross(back, right), back]
        return np.stack([column / np.linalg.norm(column) for column in columns], axis=1)


@validated(error=ValueError)
class GoalSampling:
    """How goals are drawn: states that a hidden, time-correlated action sequence reaches within an episode.

    Attributes:
        min_steps, max_steps: control steps of the hidden sequence, both ends included.
        correlation: AR(1) coefficient of the hidden actions from one step to the next, in [0, 1).
        std: their standard deviation before they are clipped to [-1, 1]; above 0.
        min_distance: the smallest state distance between start and goal, above 0.
        accept: a further condition on (start qpos, goal qpos), both (nq,).
        in_view: whether to refuse starts and goals with a part of the body outside the image.

    Raises:
        ValueError: if a number is out of its range.
    """

    min_steps: int
    max_steps: int
    correlation: Annotated[float, Range(0, 1, open="high")] = 0.9
    std: Positive = 1.0
    min_distance: Positive = 0.5
    accept: Callable[[np.ndarray, np.ndarray], bool] | None = None
    in_view: bool = False


@dataclass(frozen=True)
class Task:
    """A MuJoCo model with cameras, starts and goals: the agent must reach the state that an image shows.

    Attributes:
        name: the name on the command line and in rows.
        model: returns the model's specification, to which the cameras are added.
        camera: the fixed camera, called "main".
        frame_skip: physics steps in one control step.
        episode_steps: control steps in one episode.
        start: draws the initial state of an episode, ``(model, rng) -> (qpos (nq,), qvel (nv,))``.
        goal: how goals are drawn.
        velocity_weight: the weight of velocity differences in the full state distance, seconds.
        textures: whether the ray caster draws the textures of moving shapes, as OpenGL does, instead of their mean
            colours.
        gusts: forces that act on environments and that no image shows; None for a task without.
        cameras: further fixed cameras by name, drawn only if requested (``cameras=`` of simulator and environments).
            Starts and goals never depend on them.

    Raises:
        ValueError: if a further camera is named "main", ``frame_skip`` is not an integer from 1 to 2^31 - 1, goals take
            longer than an episode, or the velocity weight is negative or not finite.
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
    gusts: Gusts | None = None

    def __post_init__(self) -> None:
        """Refuse names and numbers out of range, and goals that take longer than an episode."""
        if MAIN in self.cameras:
            raise ValueError(f"{self.name}: {MAIN!r} is the name of Task.camera, got cameras {', '.join(self.cameras)}")
        for name, kind in (("frame_skip", FrameSkip), ("velocity_weight", Annotated[float, Range(0)])):
            validate(f"{self.name}: {name}", kind, getattr(self, name))
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
        """Return the compiled model with the task's main camera and the requested further cameras.

        Raises:
            TypeError: if ``model`` does not return a specification.
            ValueError: if a camera is unknown or points along its ``up`` direction, the model has a camera named
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
    """Return the name of one of a task's cameras in the compiled model."""
    return CAMERA_NAME if view == MAIN else f"{CAMERA_NAME}-{view}"
