"""Checks that need OpenGL: run as ``MUJOCO_GL=egl python -m tests.envs.renderers.gl_worlds``."""

from __future__ import annotations

import copy
import pickle
import sys

import torch

import tests.conftest  # noqa: F401  # the run-time shape checks
from corrwise.envs import TASKS, Fleet, MujocoSimulator
from corrwise.envs.renderers import RENDERERS, GLRenderer, RaycastRenderer
from corrwise.testing import check_renderer
from tests.envs.renderers import gl_drawn
from tests.envs.worlds import some_states

SIZE = 24


def silhouettes_agree(name: str) -> None:
    """The moving bodies' masks of both renderers, against images without bodies, overlap and are not shifted."""
    model, states = MujocoSimulator(TASKS[name], size=SIZE).model, some_states(name)[1::2]
    empty = states.copy()
    empty[:, 1 : 4 if model.nq > 2 else 2] = 1e4  # the body has left the image
    size = 160 if name == "cartpole" else 72  # its pole is thin
    gl = GLRenderer(model, height=size, width=size)
    rays = RaycastRenderer(model, height=size, width=size, supersample=2)  # OpenGL smooths its edges by 4 samples, too
    first, second = (_mask(each.render(states) - each.render(empty)) for each in (gl, rays))
    overlap = (first & second).sum(dim=(1, 2)) / (first | second).sum(dim=(1, 2))
    shift = torch.stack([_centre(one) - _centre(two) for one, two in zip(first, second, strict=True)]).abs().amax()
    assert overlap.min() > 0.85, f"{name}: the renderers' silhouettes overlap by {overlap.tolist()}"
    assert shift < 1, f"{name}: the renderers' silhouettes lie {shift:.2f} pixels apart"


def closing_one_leaves_the_other() -> None:
    """Renderers are made and closed in any order; each keeps its own context."""
    model, states = MujocoSimulator(TASKS["ant"], size=SIZE).model, some_states("ant")[:2]
    kept = GLRenderer(model, height=SIZE, width=SIZE)
    before = kept.render(states)
    other = GLRenderer(model, height=40, width=24)
    other.render(states)
    kept.render(states)
    del other
    assert torch.equal(kept.render(states), before)
    replaced = GLRenderer(model, height=SIZE, width=SIZE)
    replaced.render(states)
    replaced = GLRenderer(model, height=SIZE, width=SIZE)
    assert torch.equal(replaced.render(states), before)
    kept.close()
    kept.close()
    assert torch.equal(replaced.render(states), before)


def _mask(difference: torch.Tensor) -> torch.Tensor:
    return (difference.abs() > 0.08).any(dim=1)


def _centre(mask: torch.Tensor) -> torch.Tensor:
    return mask.nonzero().double().mean(dim=0)


def copies_draw_the_same() -> None:
    """Copies and pickles make a context of their own, with the same effects."""
    renderer = GLRenderer(MujocoSimulator(TASKS["ant"], size=SIZE).model, height=SIZE, width=SIZE, effects=True)
    before = renderer.render(some_states("ant")[:2])
    for other in (copy.deepcopy(renderer), pickle.loads(pickle.dumps(renderer))):
        assert torch.equal(other.render(some_states("ant")[:2]), before)
        other.close()
    assert torch.equal(renderer.render(some_states("ant")[:2]), before)


def large_images_are_drawn() -> None:
    """MuJoCo's default buffer has 640 x 480 pixels; the model stays as it was."""
    model = MujocoSimulator(TASKS["cartpole"], size=SIZE).model
    before = model.vis.global_.offheight, model.vis.global_.offwidth
    assert GLRenderer(model, height=before[0] + 32, width=before[1] + 32).render(some_states("cartpole")[:1]).std() > 0
    assert (model.vis.global_.offheight, model.vis.global_.offwidth) == before


def depths_agree(name: str) -> None:
    """Both renderers give the same metres along the optical axis, except at edges."""
    cameras = ("main", *TASKS[name].cameras)
    model, states = TASKS[name].compile(cameras), some_states(name)[1::2]
    made = {"height": 48, "width": 64, "cameras": cameras, "depth": True}
    gl, rays = GLRenderer(model, **made), RaycastRenderer(model, **made)
    first, second = (gl.views.metres(each.render(states)) for each in (gl, rays))
    off = (first - second).abs() / second
    smooth = _flat(second) & _flat(first)
    assert smooth.float().mean() > 0.5, f"{name}: hardly any pixel lies within a surface"
    assert off[smooth].max() < 2e-3, f"{name}: depths differ by {off[smooth].max():.2%}"
    assert (off < 0.01).float().mean() > 0.995, f"{name}: {(off >= 0.01).float().mean():.2%} of the depths differ"


def _flat(depth: torch.Tensor) -> torch.Tensor:
    """Where the depth changes little to the next pixels."""
    low, high = -torch.nn.functional.max_pool2d(-depth, 3, 1, 1), torch.nn.functional.max_pool2d(depth, 3, 1, 1)
    return high / low < 1.1


def views_are_what_each_camera_draws() -> None:
    """Stacked views equal those drawn alone, and depth does not change the colours."""
    task, states = TASKS["humanoid"], some_states("humanoid")[:3]
    model = task.compile(("side",))
    renderer = GLRenderer(model, height=20, width=24, cameras=("side", "main"), depth=True)
    check_renderer(renderer, states)
    alone = [GLRenderer(model, height=20, width=24, cameras=(name,)).render(states) for name in ("side", "main")]
    assert torch.equal(renderer.views.colour(renderer.render(states)), torch.cat(alone, dim=1))
    assert torch.equal(pickle.loads(pickle.dumps(renderer)).render(states), renderer.render(states))


def main() -> None:
    model, states = MujocoSimulator(TASKS["ant"], size=SIZE).model, some_states("ant")[:3]
    for name, make in RENDERERS.items():
        if name != "raycast":
            check_renderer(make(model, height=20, width=24), states)
    for task in TASKS:
        silhouettes_agree(task)
        depths_agree(task)
    views_are_what_each_camera_draws()
    closing_one_leaves_the_other()
    copies_draw_the_same()
    large_images_are_drawn()
    gl_drawn.main()
    fleet = Fleet(MujocoSimulator(TASKS["cartpole"], size=32, renderer="gl"))
    assert fleet.reset([0])[0].frames.shape == (1, 1, 3, 32, 32)


if __name__ == "__main__":
    sys.exit(main())
