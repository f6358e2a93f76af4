"""What every implementation of a room's protocol owes its users, as checks to run on one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import mujoco
import numpy as np
import torch
from torch import Tensor

from corrwise.envs import MujocoSimulator, Task
from corrwise.envs.physics import Physics
from corrwise.envs.renderers import Renderer
from corrwise.envs.tasks.goals import sample_episode
from corrwise.envs.tasks.task import CAMERA_NAME
from corrwise.mpc import first_action, generator, planned_actions, shift
from corrwise.mpc.optimize import optimize
from corrwise.types import ONE_VIEW, Context, Planner, Predictor, Proposal, Views
from tests.envs.worlds import moving_mask, plain_steps
from tests.fakes import quadratic


def check_planner(make: Callable[..., Planner]) -> None:
    """What every planner owes the loop; ``make(action_dim, horizon=, candidates=, iterations=)`` builds one."""
    batch, horizon, action_dim = 2, 5, 3
    planner = make(action_dim, horizon=horizon, candidates=16, iterations=4)
    assert isinstance(planner, Planner)
    score = quadratic(torch.tensor([0.9, -0.9, 0.1]))
    start = planner.init(batch)
    before = _copy(start)

    proposal, trace = optimize(planner, score, start, _generators(batch))
    assert _same(start, before), "the proposal that went in was changed in place"
    assert (score(planned_actions(planner, proposal)[:, None])[:, 0] < trace.mean_cost[0]).all(), "nothing was learned"
    assert trace.best_cost.shape == (4, batch)
    again, _ = optimize(planner, score, planner.init(batch), _generators(batch))
    assert _same(proposal, again), "the same generators gave another plan"
    _check_samples(planner, proposal, batch=batch)

    for row, alone in enumerate(_generators(batch)):
        single, _ = optimize(planner, score, planner.init(1), [alone])
        assert _same(_row(proposal, row), single), "an environment's plan depends on what is beside it"

    kept, trace = optimize(planner, lambda actions: score(actions) * math.nan, shift(proposal), _generators(batch))
    unlearned = replace(shift(proposal), iteration=kept.iteration)
    assert _same(kept, unlearned), "a plan in which nothing could be scored changed the proposal"
    assert trace.rejected.tolist() == [trace.candidates] * batch

    for value in (math.nan, math.inf, -math.inf):
        proposal, _ = optimize(planner, _poisoned(score, value), planner.init(batch), _generators(batch))
        assert (proposal.best[:, 0, 0] <= 0).all(), f"a candidate that costs {value} won"
        assert (first_action(planner, proposal)[:, 0] <= 0).all(), f"a candidate that costs {value} had a say"
        assert proposal.mean.isfinite().all()
        assert proposal.best_cost.isfinite().all()


def _check_samples(planner: Planner, proposal: Proposal, *, batch: int) -> None:
    """Samples keep the shape and the bounds, even around a mean on the bound with a wide std."""
    extreme = replace(shift(proposal), mean=torch.ones_like(proposal.mean), std=torch.full_like(proposal.std, 3.0))
    actions = planner.sample(extreme, _generators(batch))
    assert actions.shape[0] == batch
    assert actions.shape[2:] == proposal.mean.shape[1:]
    assert actions.abs().max() <= 1
    refitted = planner.refit(extreme, actions, actions.square().mean(dim=(-2, -1)))
    assert planned_actions(planner, refitted).abs().max() <= 1


def _poisoned(score: Callable[[Tensor], Tensor], value: float) -> Callable[[Tensor], Tensor]:
    """Every candidate whose first action is positive costs ``value``, though the optimum lies there."""
    return lambda actions: score(actions).where(actions[:, :, 0, 0] <= 0, value)


def _generators(batch: int) -> list[torch.Generator]:
    return [generator(7, instance) for instance in range(batch)]


def _copy(proposal: Proposal) -> Proposal:
    return Proposal(*(v.clone() if isinstance(v, Tensor) else v for v in _values(proposal)))


def _row(proposal: Proposal, row: int) -> Proposal:
    return Proposal(*(v[row : row + 1] if isinstance(v, Tensor) else v for v in _values(proposal)))


def _same(one: Proposal, two: Proposal) -> bool:
    pairs = zip(_values(one), _values(two), strict=True)
    return all(torch.equal(a, b) if isinstance(a, Tensor) else a == b for a, b in pairs)


def _values(proposal: Proposal) -> list[Any]:
    return [getattr(proposal, each.name) for each in fields(Proposal)]


def check_distance(distance: Callable[[Tensor, Tensor], Tensor], *, views: Views = ONE_VIEW) -> None:
    """What every image distance owes its users: one value per pair, whatever is beside it; at 32 px, float32."""
    x, y = _pictures(6, seed=1, views=views), _pictures(6, seed=2, views=views)
    before = x.clone(), y.clone()
    values = distance(x, y)
    assert values.shape == (6,), "a distance reduces C, h, w and nothing else"
    assert torch.equal(x, before[0]), "the first image was changed in place"
    assert torch.equal(y, before[1]), "the second image was changed in place"
    assert values.isfinite().all()
    assert (values > 0).all()
    assert (distance(x, x).abs() < 1e-5).all(), "equal images are at a distance"

    grid = distance(x.reshape(2, 3, *x.shape[1:]), y.reshape(2, 3, *y.shape[1:]))
    assert torch.allclose(grid, values.reshape(2, 3), rtol=1e-4), "leading axes change the values"
    assert distance(x[0], y[0]).shape == ()
    assert torch.allclose(torch.stack([distance(a, b) for a, b in zip(x, y, strict=True)]), values, rtol=1e-4)
    assert torch.allclose(distance(x.flip(0), y.flip(0)), values.flip(0), rtol=1e-4), "a pair depends on its place"

    for broken in (torch.where(torch.arange(6)[:, None, None, None] == 2, math.nan, x), _dotted(x, math.nan)):
        for first, second in ((broken, y), (y, broken)):
            assert distance(first, second).isnan().tolist() == [i == 2 for i in range(6)], "NaN was lost, or spread"

    inputs = x.clone().requires_grad_()
    distance(inputs, y).sum().backward()
    assert inputs.grad is not None
    assert inputs.grad.isfinite().all()
    assert (inputs.grad.abs().sum(dim=(1, 2, 3)) > 0).all(), "no gradient reaches the image"
    _refuses(distance, views)


def check_flow(flow: Callable[[Tensor, Tensor], Tensor], *, still: bool = True, exact: bool = True) -> None:
    """What every flow owes its users, at 32 px.

    ``still``: equal images do not move (random weights see motion everywhere). ``exact``: to the bit whatever is beside
    a pair, instead of to a hundredth of a pixel.
    """
    x, y = _pictures(4, seed=1), _pictures(4, seed=2)
    reference = flow(x, y)
    assert reference.shape == (4, 2, 32, 32)
    assert reference.dtype == x.dtype
    assert reference.isfinite().all()
    if still:
        assert flow(x, x).abs().max() < 1e-3

    def same(one: Tensor, two: Tensor) -> bool:
        return torch.equal(one, two) if exact else torch.allclose(one, two, atol=1e-2)

    assert same(flow(x.flip(0), y.flip(0)), reference.flip(0)), "a pair depends on its place"
    assert same(torch.cat([flow(a[None], b[None]) for a, b in zip(x, y, strict=True)]), reference)
    assert flow(x[:0], y[:0]).shape == (0, 2, 32, 32)
    if hasattr(flow, "both"):
        forward, backward = flow.both(x, y)
        assert same(forward, reference)
        assert same(backward, flow(y, x))
    broken = torch.where(torch.arange(4)[:, None, None, None] == 2, math.nan, x)
    for pair in ((broken, y), (y, broken)):
        others = [0, 1, 3]
        clean = reference if pair[1] is y else flow(y, x)
        assert same(flow(*pair)[others], clean[others]), "NaN spread to another pair"
    _refuses(flow)


def _refuses(function: Callable[[Tensor, Tensor], Tensor], views: Views = ONE_VIEW) -> None:
    """Two sizes, two batches, bytes and arrays are refused; under the run-time shape checks, with a TypeError."""
    x = _pictures(2, views=views)
    for wrong in (x[..., :16], x[:1], (255 * x).byte(), x.numpy(), x[0, 0]):
        try:
            function(x, wrong)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            continue
        raise AssertionError(f"{getattr(wrong, 'shape', wrong)} of {wrong.dtype} was accepted beside {x.shape}")


def _pictures(count: int, *, seed: int = 0, views: Views = ONE_VIEW) -> Tensor:
    """Smooth random images of 32 px in [0, 1]; with depth, within a metre."""
    coarse = torch.rand(count, views.channels, 8, 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bilinear")


def _dotted(images: Tensor, value: float) -> Tensor:
    """Put ``value`` into one pixel of the third image."""
    images = images.clone()
    images[2, 1, 9, 11] = value
    return images


def check_task(task: Task, *, size: int = 32, out_of_view: float = 0.0) -> None:
    """What every task owes an experiment: a fixed camera, and goals that can be reached, differ and can be seen.

    ``out_of_view``: the share of starts, and of goals, that may have a part outside the image, of eight seeds.
    """
    model = task.compile()
    camera = model.camera(CAMERA_NAME)
    assert int(camera.bodyid[0]) == 0, "the camera moves with a body"
    assert int(camera.mode[0]) == int(mujoco.mjtCamLight.mjCAMLIGHT_FIXED), "the camera tracks"
    simulator = MujocoSimulator(task, size=size)
    pairs = [_check_episode(task, simulator, seed) for seed in range(4)]
    again = sample_episode(task, simulator.physics, np.random.default_rng(0))
    assert np.array_equal(again, pairs[0]), "the same seed drew another episode"
    for which, several in zip(("starts", "goals"), zip(*pairs, strict=True), strict=True):
        assert len(np.unique(several, axis=0)) == len(pairs), f"two seeds drew the same of their {which}"
    more = [sample_episode(task, simulator.physics, np.random.default_rng(seed)) for seed in range(4, 8)]
    _check_view(simulator, np.array(pairs + more), out_of_view)
    pictures = simulator.render(np.array(pairs))
    assert ((pictures[:, 0] != pictures[:, 1]).sum(dim=(1, 2, 3)) > 0).all(), "start and goal look the same"


def _check_episode(task: Task, simulator: MujocoSimulator, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The goal is far enough, inside the picture, and where plain MuJoCo leads by the hidden actions."""
    model, spy = simulator.model, _Spy(simulator.model, task.frame_skip)
    start, goal = sample_episode(task, spy, np.random.default_rng(seed))
    steps = round((goal[0] - start[0]) / (model.opt.timestep * task.frame_skip))
    assert 1 <= steps <= task.episode_steps, f"the goal lies {steps} steps away, an episode has {task.episode_steps}"
    assert simulator.state_distance(start, goal) >= task.goal.min_distance, "the start already meets the goal"
    candidate = int(np.argmax((spy.result == goal).all(axis=-1).any(axis=-1)))
    controls = simulator.physics.controls(spy.actions[0, candidate, :steps].numpy())
    replayed = plain_steps(model, start, controls, task.frame_skip)[-1]
    assert np.array_equal(replayed, goal), "the hidden actions do not lead to the goal"
    for state in (start, goal):
        assert np.isfinite(state).all()
        assert moving_mask(model, state, height=32, width=32).any(), "nothing that moves is in the picture"
    return start, goal


def _check_view(simulator: MujocoSimulator, pairs: np.ndarray, allowed: float) -> None:
    """No more starts, and no more goals, than allowed have a part outside the image; ``pairs`` (seeds, 2, S)."""
    view = simulator.physics.extents
    for which, states in zip(("starts", "goals"), pairs.swapaxes(0, 1), strict=True):
        extents = view.extents(states)
        names = [view.names[geom] for geom in np.flatnonzero(extents.cut.any(axis=0))]
        share = (simulator.out_of_view(states) > 0).mean()
        assert share <= allowed, f"{share:.0%} of the {which} have a part outside the image: {', '.join(names)}"


class _Spy(Physics):
    """Physics that remembers the last hidden actions and where they led."""

    def states(self, state: np.ndarray, actions: Tensor, steps: Sequence[int]) -> np.ndarray:
        self.actions, result = actions, super().states(state, actions, steps)
        self.result = result[0]
        return result


def check_renderer(renderer: Renderer, states: np.ndarray) -> None:
    """What every renderer owes its users; ``states`` (n, S), at least three that look different."""
    n, size = states.shape
    frames, views = renderer.render(states), getattr(renderer, "views", ONE_VIEW)
    assert frames.shape == (n, views.channels, renderer.height, renderer.width)
    assert frames.dtype == torch.float32
    colours = views.colour(frames)
    assert colours.min() >= 0
    assert colours.max() <= 1
    assert torch.equal(colours, (colours * 255).round() / 255), "a pixel does not survive the way through uint8"
    assert not views.depth or ((views.metres(frames) > 0) & views.metres(frames).isfinite()).all(), (
        "a depth is not finite"
    )
    assert len(torch.unique(frames, dim=0)) == n, "different states look the same"
    assert torch.equal(renderer.render(states), frames), "the same states gave other pictures"
    assert torch.equal(renderer.render(states[::-1].copy()), frames.flip(0)), "a picture depends on its place"
    for i in range(n):
        assert torch.equal(renderer.render(states[i : i + 1])[0], frames[i]), "a picture depends on what is beside it"
    for broken in (math.nan, math.inf, 1e12):
        poisoned = states.copy()
        poisoned[1, 1] = broken
        shown = renderer.render(poisoned)
        assert shown[1].isnan().all(), f"a state with {broken} in it has a picture"
        assert torch.equal(shown[[0, *range(2, n)]], frames[[0, *range(2, n)]]), "a broken state disturbs another"
    assert renderer.render(states[:0]).shape == (0, *frames.shape[1:])
    for wrong in (states[:, :-1], states[0], states[None]):
        _raises(lambda wrong=wrong: renderer.render(wrong), f"states {wrong.shape} were drawn instead of ({n}, {size})")


def check_predictor(
    predictor: Predictor, context: Context, actions: Tensor, *, needs_state: bool = False, exact: bool = True
) -> None:
    """What every predictor owes a planner; ``context`` with a state, B >= 2, and ``actions`` with N >= 2, H >= 3.

    ``needs_state``: only an oracle may. ``exact``: to the bit whatever is beside a candidate, instead of to 1e-4.
    """
    assert isinstance(predictor, Predictor)
    (b, n, h, _), (image, device) = actions.shape, (context.frames.shape[2:], context.frames.device)
    before = context.frames.clone(), actions.clone(), np.copy(context.state)

    def same(one: Tensor, two: Tensor) -> bool:
        return torch.equal(one, two) if exact else torch.allclose(one, two, atol=1e-4)

    def generators() -> list[torch.Generator]:
        return [torch.Generator(device).manual_seed(row) for row in range(b)]

    frames = predictor(context, actions, generators=generators())
    assert frames.shape == (b, n, h, *image), "steps=None means all of them"
    assert frames.dtype == torch.float32
    assert frames.device == actions.device
    assert frames.isfinite().all()
    assert same(predictor(context, actions, generators=generators()), frames), "the same generators gave other frames"
    for wanted in ([h - 1], [0, 2], [2, 0, 2], range(h), []):
        some = predictor(context, actions, steps=wanted, generators=generators())
        assert same(some, frames[:, :, list(wanted)]), f"steps={wanted} changed the frames"
    for step in (-1, h):
        _raises(lambda step=step: predictor(context, actions, steps=[step]), f"step {step} of {h} was accepted")
    _raises(lambda: predictor(context, actions[:1], steps=[0]), f"actions for 1 of {b} environments were accepted")

    for row in range(b):
        alone = replace(
            context, frames=context.frames[row : row + 1], actions=context.actions[row : row + 1],
            state=context.state[row : row + 1],
        )  # fmt: skip
        single = predictor(alone, actions[row : row + 1], generators=generators()[row : row + 1])
        assert same(single[0], frames[row]), "an environment's prediction depends on what is beside it"
    if needs_state:
        _raises(lambda: predictor(replace(context, state=None), actions), "no state, and yet an oracle")
        first = predictor(context, actions[:, :1], generators=generators())
        assert same(first, frames[:, :1]), "a candidate depends on what is beside it"
    else:
        blind = predictor(replace(context, state=None), actions, generators=generators())
        lied = predictor(replace(context, state=context.state + 1), actions, generators=generators())
        assert same(blind, frames), "a learned predictor reads the simulator's state"
        assert same(lied, frames), "a learned predictor reads the simulator's state"
    after = context.frames, actions, context.state
    assert torch.equal(after[0], before[0]), "the context's frames were changed in place"
    assert torch.equal(after[1], before[1]), "the actions were changed in place"
    assert np.array_equal(after[2], before[2]), "the context's state was changed in place"


def _raises(call: Callable[[], Any], message: str) -> None:
    """Bad input is refused; under the run-time shape checks possibly with their TypeError."""
    try:
        call()
    except (TypeError, ValueError):
        return
    raise AssertionError(message)
