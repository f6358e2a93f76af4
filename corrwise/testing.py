"""Contracts: what each distance, cost, flow, planner, predictor, interpolator, task and renderer owes its users.

They are checked on your own parts. Each function returns None, or raises an ``AssertionError`` whose message says what to change. None of them needs a
test framework: call them in a test of your own, or from a prompt. Images are small; each takes a few seconds at most.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

# Neither torch nor MuJoCo is loaded before a check is called, and a check loads what it needs.
__all__ = [
    "check_cost",
    "check_distance",
    "check_flow",
    "check_interpolator",
    "check_planner",
    "check_predictor",
    "check_renderer",
    "check_task",
]

_SIZE = 32  # pixels
_ADVICE = "raise a ValueError or a TypeError that has both values in its message"


def _expect(holds: Any, message: str) -> None:
    """Raise where a promise is broken; ``python -O``, which drops ``assert`` statements, changes nothing here."""
    if not bool(holds):
        raise AssertionError(message)


def _refuses(call: Callable[[], Any], what: str) -> None:
    """Bad input is refused at the border: with a ValueError or a TypeError."""
    try:
        call()
    except (TypeError, ValueError):
        return
    except Exception as error:
        raise AssertionError(f"{what}, and failed with a {type(error).__name__}: {_ADVICE}") from error
    raise AssertionError(f"{what}: {_ADVICE}")


def _images(count: int, *, seed: int, channels: int = 3) -> Any:
    """Return smooth random images, (count, channels, 32, 32) in [0, 1]."""
    import torch

    generator = torch.Generator("cpu").manual_seed(seed)
    coarse = torch.rand(count, channels, 8, 8, generator=generator, dtype=torch.float32, device="cpu")
    return torch.nn.functional.interpolate(coarse, size=(_SIZE, _SIZE), mode="bilinear")


def _with_nan(images: Any, *, pixel: bool) -> Any:
    """Return the images with NaN in the third one: in all of it, or in a single pixel."""
    images = images.clone()
    where = images[2, 1, 9, 11:12] if pixel else images[2]
    where[:] = math.nan
    return images


def check_distance(distance: Callable[[Any, Any], Any], *, channels: int = 3) -> None:
    """Check an image distance (``corrwise.types.Distance``) at 32 pixels, float32, on the CPU.

    It returns one finite value per pair, whatever is beside the pair; zero for equal images and more for others; NaN
    for a pair with NaN, and for no other. Its gradient reaches the first image. Nothing is changed in place, and images
    of two sizes, batches or types are refused.

    Args:
        distance: ``distance(x (*batch, C, h, w), y) -> (*batch)``.
        channels: of the images, C: 3 or 4 to a view (``corrwise.types.Views``).

    Raises:
        AssertionError: a promise is broken; the message says which.
    """
    import torch

    x, y = (_images(6, seed=seed, channels=channels) for seed in (1, 2))
    before = x.clone(), y.clone()
    values = distance(x, y)
    _expect(values.shape == (6,), f"reduce C, h and w and nothing else: expected (6,), got {tuple(values.shape)}")
    unchanged = torch.equal(x, before[0]) and torch.equal(y, before[1])
    _expect(unchanged, "an image was changed in place: work on a copy")
    _expect(values.isfinite().all(), f"return finite values for finite images, got {values.tolist()}")
    _expect((values > 0).all(), f"return more than 0 for images that differ, got {values.tolist()}")
    same = distance(x, x)
    _expect((same.abs() < 1e-5).all(), f"return 0 for equal images, got {same.tolist()}")

    grid = distance(x.reshape(2, 3, *x.shape[1:]), y.reshape(2, 3, *y.shape[1:]))
    _expect(torch.allclose(grid, values.reshape(2, 3), rtol=1e-4), "leading axes change the values: keep *batch apart")
    _expect(distance(x[0], y[0]).shape == (), "return a scalar tensor for images without leading axes")
    alone = torch.stack([distance(a, b) for a, b in zip(x, y, strict=True)])
    _expect(torch.allclose(alone, values, rtol=1e-4), "a value depends on the pairs beside it: reduce each alone")
    flipped = distance(x.flip(0), y.flip(0))
    _expect(torch.allclose(flipped, values.flip(0), rtol=1e-4), "a pair's value depends on its place in the batch")

    for broken in (_with_nan(x, pixel=False), _with_nan(x, pixel=True)):
        for first, second in ((broken, y), (y, broken)):
            nan = distance(first, second).isnan().tolist()
            _expect(nan == [i == 2 for i in range(6)], f"NaN in image 2 must give NaN for pair 2 alone, got {nan}")

    inputs = x.clone().requires_grad_()
    distance(inputs, y).sum().backward()
    if inputs.grad is None:
        raise AssertionError("no gradient reaches the first image: do not detach it")
    _expect(inputs.grad.isfinite().all(), "the gradient of the first image is not finite")
    reached = inputs.grad.abs().sum(dim=(1, 2, 3)) > 0
    _expect(reached.all(), f"no gradient reaches some of the images: {reached.tolist()}")
    _refuses_pairs(distance, channels)


def _refuses_pairs(function: Callable[[Any, Any], Any], channels: int = 3) -> None:
    x = _images(2, seed=0, channels=channels)
    for wrong in (x[..., :16], x[:1], (255 * x).byte(), x.numpy(), x[0, 0]):
        what = f"{tuple(wrong.shape)} of {wrong.dtype} was accepted beside {tuple(x.shape)} of {x.dtype}"
        _refuses(lambda wrong=wrong: function(x, wrong), what)  # type: ignore[misc]


def check_cost(cost: Callable[[Any, Any], Any]) -> None:
    """Check a cost of trajectories (``corrwise.types.Cost``) at 32 pixels, float32, on the CPU.

    It returns one finite value per predicted frame, zero where the frame is the goal, lowest there, and NaN for a frame
    with NaN alone. A value depends on its frame and its environment's goal and on nothing else, neither on the
    candidates beside it nor on what was asked before.

    Args:
        cost: ``cost(frames (B, N, T, C, h, w), Goal (B, G, C, h, w)) -> (B, N, T)``, lower is better.

    Raises:
        AssertionError: a promise is broken; the message says which.
    """
    import torch

    from corrwise.types import Goal

    frames, goals = _images(12, seed=1).reshape(2, 3, 2, 3, _SIZE, _SIZE), _images(2, seed=2)[:, None]
    frames[1, 2, 0] = goals[1, 0]
    before, goal = (frames.clone(), goals.clone()), Goal(goals)
    costs = cost(frames, goal)
    _expect(costs.shape == (2, 3, 2), f"return one value per frame: expected (2, 3, 2), got {tuple(costs.shape)}")
    _expect(costs.isfinite().all(), f"return finite costs for finite frames, got {costs.tolist()}")
    _expect(costs[1, 2, 0].abs() < 1e-5, f"a frame that shows the goal must cost 0, got {float(costs[1, 2, 0])}")
    _expect((costs[1].flatten() > 1e-5).sum() == 5, "a frame that differs from the goal must cost more than 0")
    unchanged = torch.equal(frames, before[0]) and torch.equal(goals, before[1])
    _expect(unchanged, "frames or goal were changed in place: work on a copy")

    def near(one: Any, two: Any) -> bool:
        return bool(torch.allclose(one, two, rtol=1e-4, atol=1e-6))

    _expect(near(cost(frames[:, 1:2], goal), costs[:, 1:2]), "a candidate's cost depends on the candidates beside it")
    _expect(near(cost(frames.flip(1), goal), costs.flip(1)), "a candidate's cost depends on its place")
    for row in range(2):
        alone = cost(frames[row : row + 1], Goal(goals[row : row + 1]))
        _expect(near(alone, costs[row : row + 1]), "an environment's costs depend on the environments beside it")
    other = cost(frames, Goal(goals.flip(0)))
    _expect(not near(other, costs), "another goal gives the same costs: a remembered goal must be known by identity")
    _expect(near(cost(frames, goal), costs), "the same frames and goal cost something else when asked again")

    broken = frames.clone()
    broken[0, 1, 1, 1, 9, 11] = math.nan
    nan = cost(broken, goal).isnan()
    _expect(nan[0, 1, 1] and nan.sum() == 1, "NaN in one frame must give NaN for that frame alone")
    _refuses(lambda: cost(frames, Goal(goals[..., :16])), "a goal of another size than the frames was accepted")
    _refuses(lambda: cost(frames, Goal(torch.cat([goals, goals[:1]]))), "goals of 3 environments were accepted for 2")


def check_flow(flow: Callable[[Any, Any], Any], *, still: bool = True, exact: bool = True) -> None:
    """Check an optical flow (``corrwise.types.Flow``) at 32 pixels, float32, on the CPU.

    It returns one finite field per pair, whatever is beside the pair, none for no pairs, and no motion for equal
    images. NaN in a pair disturbs no other. A method ``both`` agrees with two calls. Images of two sizes, batches or
    types are refused.

    Args:
        flow: ``flow(target (B, C, h, w), source) -> (B, 2, h, w)``, pixels.
        still: whether equal images must not move; random weights see motion everywhere.
        exact: whether a pair's field must be the same to the bit whatever is beside it, instead of to a hundredth of a
            pixel.

    Raises:
        AssertionError: a promise is broken; the message says which.
    """
    import torch

    from corrwise.types import BidirectionalFlow

    x, y = _images(4, seed=1), _images(4, seed=2)
    reference, shape = flow(x, y), (4, 2, _SIZE, _SIZE)
    _expect(reference.shape == shape, f"return (B, 2, h, w): expected {shape}, got {tuple(reference.shape)}")
    _expect(reference.dtype == x.dtype, f"return the images' type {x.dtype}, got {reference.dtype}")
    _expect(reference.isfinite().all(), "return a finite field for finite images")
    if still:
        moved = float(flow(x, x).abs().max())
        _expect(moved < 1e-3, f"equal images must not move, got {moved} px; for random weights pass still=False")

    def same(one: Any, two: Any) -> bool:
        return torch.equal(one, two) if exact else torch.allclose(one, two, atol=1e-2)

    hint = "" if not exact else "; if only in the last bits, pass exact=False"
    _expect(same(flow(x.flip(0), y.flip(0)), reference.flip(0)), f"a pair's field depends on its place{hint}")
    alone = torch.cat([flow(a[None], b[None]) for a, b in zip(x, y, strict=True)])
    _expect(same(alone, reference), f"a pair's field depends on the pairs beside it{hint}")
    none = flow(x[:0], y[:0])
    _expect(none.shape == (0, *shape[1:]), f"no pairs must give {(0, *shape[1:])}, got {tuple(none.shape)}")
    if isinstance(flow, BidirectionalFlow):
        forward, backward = flow.both(x, y)
        _expect(same(forward, reference), f"both(x, y)[0] must be flow(x, y){hint}")
        _expect(same(backward, flow(y, x)), f"both(x, y)[1] must be flow(y, x){hint}")
    broken = _with_nan(x, pixel=False)
    for pair, clean in (((broken, y), reference), ((y, broken), flow(y, x))):
        others = [0, 1, 3]
        _expect(same(flow(*pair)[others], clean[others]), "NaN in one pair disturbs another")
    _refuses_pairs(flow)


def check_planner(make: Callable[..., Any]) -> None:
    """Check a planner (``corrwise.types.Planner``) on a quadratic cost whose optimum is known.

    The plan is better than a random candidate, the same generators give the same plan, and two environments plan to the
    last bit as each would alone. Candidates and executed actions stay in [-1, 1]. A candidate whose cost is not finite
    never wins, and a plan in which nothing could be scored leaves the proposal as it was. Nothing is changed in place.

    Args:
        make: builds one: ``make(action_dim, horizon=, candidates=, iterations=)``.

    Raises:
        AssertionError: a promise is broken; the message says which.
    """
    import torch

    from corrwise.mpc import first_action, generator, planned_actions, shift
    from corrwise.mpc.optimize import optimize
    from corrwise.types import Planner

    batch, horizon, action_dim = 2, 5, 3
    planner = make(action_dim, horizon=horizon, candidates=16, iterations=4)
    _expect(isinstance(planner, Planner), "a planner has iterations, init(), sample() and refit()")
    optimum = torch.tensor([0.9, -0.9, 0.1], dtype=torch.float32, device="cpu")
    start = planner.init(batch)
    before = _copy(start)

    def score(actions: Any) -> Any:
        return (actions - optimum).square().mean(dim=(-2, -1))

    def generators() -> list[Any]:
        return [generator(7, instance) for instance in range(batch)]

    proposal, trace = optimize(planner, score, start, generators())
    _expect(_same(start, before), "the proposal that went in was changed in place: return a new one")
    better = score(planned_actions(planner, proposal)[:, None])[:, 0] < trace.mean_cost[0]
    _expect(better.all(), "the plan is no better than the first candidates' mean: refit must learn from the costs")
    _expect(trace.best_cost.shape == (4, batch), f"expected 4 iterations, got {len(trace.best_cost)}")
    again, _ = optimize(planner, score, planner.init(batch), generators())
    _expect(_same(proposal, again), "the same generators gave another plan: draw from them and from nothing else")
    _check_samples(planner, proposal, generators())

    for row, alone in enumerate(generators()):
        single, _ = optimize(planner, score, planner.init(1), [alone])
        message = "an environment's plan depends on the environments beside it: draw and rank each from its own row"
        _expect(_same(_row(proposal, row), single), message)

    kept, trace = optimize(planner, lambda actions: score(actions) * math.nan, shift(proposal), generators())
    unlearned = replace(shift(proposal), iteration=kept.iteration)
    _expect(_same(kept, unlearned), "a plan in which nothing could be scored changed the proposal")
    _expect(trace.rejected.tolist() == [trace.candidates] * batch, "candidates that cost NaN were not rejected")

    for value in (math.nan, math.inf, -math.inf):

        def poisoned(actions: Any, value: float = value) -> Any:
            """Let every candidate whose first action is positive cost the value, though the optimum lies there."""
            return score(actions).where(actions[:, :, 0, 0] <= 0, value)

        proposal, _ = optimize(planner, poisoned, planner.init(batch), generators())
        _expect((proposal.best[:, 0, 0] <= 0).all(), f"a candidate that costs {value} is the best: it must never win")
        acted = first_action(planner, proposal)[:, 0]
        _expect((acted <= 0).all(), f"a candidate that costs {value} moved the action: give it no weight in refit")
        _expect(proposal.mean.isfinite().all(), f"a candidate that costs {value} made the mean not finite")
        _expect(proposal.best_cost.isfinite().all(), f"a candidate that costs {value} made best_cost not finite")


def _check_samples(planner: Any, proposal: Any, generators: list[Any]) -> None:
    """Check that samples keep the shape and the bounds, even around a mean on the bound with a wide std."""
    import torch

    from corrwise.mpc import planned_actions, shift

    extreme = replace(shift(proposal), mean=torch.ones_like(proposal.mean), std=torch.full_like(proposal.std, 3.0))
    actions = planner.sample(extreme, generators)
    wanted = (len(generators), actions.shape[1], *proposal.mean.shape[1:])
    _expect(actions.shape == wanted, f"sample must return (B, N, H, A): expected {wanted}, got {tuple(actions.shape)}")
    _expect(actions.abs().max() <= 1, f"samples must lie in [-1, 1], got {float(actions.abs().max())}: clip them")
    refitted = planner.refit(extreme, actions, actions.square().mean(dim=(-2, -1)))
    most = float(planned_actions(planner, refitted).abs().max())
    _expect(most <= 1, f"executed actions must lie in [-1, 1], got {most}: clip what refit returns")


def _copy(proposal: Any) -> Any:
    return type(proposal)(*(value.clone() if hasattr(value, "clone") else value for value in _values(proposal)))


def _row(proposal: Any, row: int) -> Any:
    parts = (value[row : row + 1] if hasattr(value, "shape") else value for value in _values(proposal))
    return type(proposal)(*parts)


def _same(one: Any, two: Any) -> bool:
    import torch

    pairs = zip(_values(one), _values(two), strict=True)
    return all(torch.equal(a, b) if hasattr(a, "shape") else a == b for a, b in pairs)


def _values(proposal: Any) -> list[Any]:
    return [getattr(proposal, each.name) for each in fields(proposal)]


def check_predictor(
    predictor: Callable[..., Any], context: Any, actions: Any, *, needs_state: bool = False, exact: bool = True
) -> None:
    """Check a predictor (``corrwise.types.Predictor``).

    ``steps`` in any order give the same frames of the whole prediction, and one outside the horizon is refused. The
    same generators give the same frames. An environment's frames do not depend on the environments beside it. Nothing
    is changed in place, and nobody but an oracle reads the simulator's state.

    Args:
        predictor: ``predictor(context, actions, *, steps=None, generators=None) -> frames (B, N, T, C, h, w)``.
        context: a ``Context`` of at least two environments, with a state.
        actions: (B, N, H, A) of at least two candidates and three steps, in [-1, 1].
        needs_state: whether it is an oracle, which alone may read the state.
        exact: whether frames must be the same to the bit whatever is beside them, instead of to 1e-4.

    Raises:
        AssertionError: a promise is broken; the message says which.
        ValueError: too few environments, candidates or steps to tell, or no state.
    """
    import torch

    (b, n, h, _), image, device = actions.shape, context.frames.shape[2:], context.frames.device
    if min(b, n, h - 1) < 2 or context.state is None:
        raise ValueError(f"expected actions (B >= 2, N >= 2, H >= 3, A) and a state, got {tuple(actions.shape)}")
    before = context.frames.clone(), actions.clone(), np.copy(context.state)
    hint = "" if not exact else "; if only in the last bits, pass exact=False"

    def same(one: Any, two: Any) -> bool:
        return torch.equal(one, two) if exact else torch.allclose(one, two, atol=1e-4)

    def predicted(context: Any = context, actions: Any = actions, rows: slice = slice(None), **options: Any) -> Any:
        generators = [torch.Generator(device).manual_seed(row) for row in range(b)]
        return predictor(context, actions, generators=generators[rows], **options)

    frames, shape = predicted(), (b, n, h, *image)
    _expect(frames.shape == shape, f"steps=None means all H: expected frames {shape}, got {tuple(frames.shape)}")
    _expect(frames.dtype == torch.float32, f"return float32 frames, got {frames.dtype}")
    _expect(frames.device == actions.device, f"return frames on {actions.device} with the actions, got {frames.device}")
    _expect(frames.isfinite().all(), "return finite frames for finite input")
    _expect(same(predicted(), frames), f"the same generators gave other frames: draw from them alone{hint}")
    for wanted in ([h - 1], [0, 2], [2, 0, 2], range(h), []):
        some = predicted(steps=wanted)
        _expect(same(some, frames[:, :, list(wanted)]), f"steps={wanted} must be those of all frames{hint}")
    for step in (-1, h):
        _refuses(lambda step=step: predictor(context, actions, steps=[step]), f"step {step} of {h} was accepted")  # type: ignore[misc]
    _refuses(lambda: predictor(context, actions[:1], steps=[0]), f"actions for 1 of {b} environments were accepted")

    for row in range(b):
        part = slice(row, row + 1)
        alone = replace(
            context, frames=context.frames[part], actions=context.actions[part], state=context.state[part]
        )  # fmt: skip
        single = predicted(alone, actions[part], part)
        _expect(same(single[0], frames[row]), f"an environment's frames depend on the environments beside it{hint}")
    if needs_state:
        _refuses(lambda: predictor(replace(context, state=None), actions), "an oracle predicted without a state")
        first = predicted(actions=actions[:, :1])
        _expect(same(first, frames[:, :1]), f"a candidate's frames depend on the candidates beside it{hint}")
    else:
        for state in (None, context.state + 1):
            blind = predicted(replace(context, state=state))
            _expect(same(blind, frames), "a learned predictor reads the simulator's state: only an oracle may")
    _expect(torch.equal(context.frames, before[0]), "the context's frames were changed in place: work on a copy")
    _expect(torch.equal(actions, before[1]), "the actions were changed in place: work on a copy")
    _expect(np.array_equal(context.state, before[2]), "the context's state was changed in place: work on a copy")


def check_interpolator(interpolator: Callable[..., Any], frames: Any, *, exact: bool = True) -> None:
    """Check an interpolator (``corrwise.types.Interpolator``; with fixed times ``FixedTimes``).

    Wanted times in any order give the same frames, none give none, and only the ratios of times matter. A known time
    has its own frame. An environment's frames do not depend on the environments beside it. Nothing is changed in
    place. Times that do not increase, are not one for each frame, or lie outside are refused, and so is a single frame.

    Args:
        interpolator: ``interpolator(frames (B, K, C, h, w), times, wanted) -> (B, T, C, h, w)``.
        frames: (B, K, C, h, w) in [0, 1] of at least two environments, as many as it takes.
        exact: whether frames must be the same to the bit whatever is beside them, instead of to 1e-4.

    Raises:
        AssertionError: a promise is broken; the message states which.
        ValueError: too few environments or frames to check it with.
    """
    import torch

    from corrwise.types import FixedTimes

    batch, known, *image = frames.shape
    if min(batch, known) < 2:
        raise ValueError(f"expected frames (B >= 2, K >= 2, C, h, w), got {tuple(frames.shape)}")
    fixed, before = isinstance(interpolator, FixedTimes), frames.clone()
    times = list(getattr(interpolator, "known", range(known)))
    between = list(getattr(interpolator, "between", (0.25, 0.5, known - 1.3)))
    hint = "" if not exact else "; if only in the last bits, pass exact=False"

    def same(one: Any, two: Any) -> bool:
        return torch.equal(one, two) if exact else torch.allclose(one, two, atol=1e-4)

    made, shape = interpolator(frames, times, between), (batch, len(between), *image)
    _expect(made.shape == shape, f"return one frame for each wanted time: expected {shape}, got {tuple(made.shape)}")
    _expect(made.dtype == torch.float32, f"return float32 frames, got {made.dtype}")
    _expect(made.isfinite().all(), "return finite frames for finite input")
    low, high = float(made.min()), float(made.max())
    _expect(low >= 0 and high <= 1 + 1e-6, f"frames must lie in [0, 1], got {low} to {high}")
    _expect(torch.equal(frames, before), "the frames were changed in place: work on a copy")
    for order in ([*range(len(between))][::-1], [0, 0], []):
        some = interpolator(frames, times, [between[i] for i in order])
        _expect(same(some, made[:, order]), f"wanted times in the order {order} must give those frames{hint}")
    moved = interpolator(frames, [10 + 3 * time for time in times], [10 + 3 * time for time in between])
    _expect(torch.allclose(moved, made, atol=1e-3), "only the ratios of times matter: 10 + 3 t gave other frames")
    for row in range(batch):
        alone = interpolator(frames[row : row + 1], times, between)[0]
        _expect(same(alone, made[row]), f"an environment's frames depend on the environments beside it{hint}")
    if not fixed:
        own = interpolator(frames, times, times)
        _expect(torch.allclose(own, frames, atol=1e-6), "a known time must have its own frame")
    _refuses(lambda: interpolator(frames[:, :1], times[:1], times[:1]), "a single frame was accepted")
    _refuses(lambda: interpolator(frames, times[:-1], between[:1]), f"{known - 1} times of {known} frames were accepted")
    _refuses(lambda: interpolator(frames, times[::-1], between[:1]), "times that decrease were accepted")
    _refuses(lambda: interpolator(frames, times, [times[-1] + 1]), "a time after the last frame was accepted")
    _refuses(lambda: interpolator(frames, times, [times[0] - 1]), "a time before the first frame was accepted")


def check_task(task: Any, *, size: int = _SIZE, out_of_view: float = 0.0) -> None:
    """Check a task (``corrwise.envs.Task``) on eight seeds.

    The camera is fixed. A goal lies exactly where the hidden actions lead a plain MuJoCo loop within an episode, at
    least ``min_distance`` away, and its image differs from the start's. The same seed draws the same episode, another
    seed another. Something that moves is in each image, and no part of it lies outside.

    Args:
        task: the task.
        size: pixels to a side of the images.
        out_of_view: the share of starts, and of goals, that may have a part outside the image.

    Raises:
        AssertionError: a promise is broken; the message says which.
    """
    import mujoco

    from corrwise.envs import MujocoSimulator
    from corrwise.envs.tasks.goals import sample_episode
    from corrwise.envs.tasks.task import CAMERA_NAME

    camera = task.compile().camera(CAMERA_NAME)
    fixed = int(camera.bodyid[0]) == 0 and int(camera.mode[0]) == int(mujoco.mjtCamLight.mjCAMLIGHT_FIXED)
    _expect(fixed, "the camera must be fixed in the world; it moves with a body")
    simulator = MujocoSimulator(task, size=size)

    def episode(seed: int) -> tuple[np.ndarray, np.ndarray]:
        return sample_episode(task, simulator.physics, np.random.default_rng(seed))

    pairs = [_check_episode(task, simulator, seed) for seed in range(4)]
    _expect(np.array_equal(episode(0), pairs[0]), "the same seed drew another episode: draw from rng alone")
    for which, several in zip(("starts", "goals"), zip(*pairs, strict=True), strict=True):
        distinct = len(np.unique(several, axis=0)) == len(pairs)
        _expect(distinct, f"two seeds drew the same of their {which}: draw starts from rng")
    _check_view(simulator, np.array(pairs + [episode(seed) for seed in range(4, 8)]), out_of_view)
    images = simulator.render(np.array(pairs))
    differ = (images[:, 0] != images[:, 1]).sum(dim=(1, 2, 3)) > 0
    _expect(differ.all(), "a goal's image equals its start's: use another camera, larger images or goals farther away")


def _check_episode(task: Any, simulator: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Check that the goal is far enough, inside the image, and where plain MuJoCo leads by the hidden actions."""
    from corrwise.envs.physics import Physics
    from corrwise.envs.tasks.goals import sample_episode

    class Spy(Physics):
        """Physics that remembers the last hidden actions and where they led."""

        def states(self, state: np.ndarray, actions: Any, steps: Sequence[int]) -> np.ndarray:
            self.actions, self.reached = actions[0], super().states(state, actions, steps)
            return self.reached

    model = simulator.model
    spy = Spy(model, task.frame_skip)
    start, goal = sample_episode(task, spy, np.random.default_rng(seed))
    steps = round((goal[0] - start[0]) / (model.opt.timestep * task.frame_skip))
    most = task.episode_steps
    _expect(1 <= steps <= most, f"a goal lies {steps} steps away: an episode has {most}")
    near = float(simulator.state_distance(start, goal))
    _expect(near >= task.goal.min_distance, f"a goal lies {near} from its start: at least {task.goal.min_distance}")
    candidate = int(np.argmax((spy.reached[0] == goal).all(axis=-1).any(axis=-1)))
    controls = spy.controls(spy.actions[candidate, :steps].numpy())
    replayed = plain_steps(model, start, controls, task.frame_skip)[-1]
    _expect(np.array_equal(replayed, goal), "the hidden actions do not lead to the goal in a plain loop of mj_step")
    for which, state in (("start", start), ("goal", goal)):
        _expect(np.isfinite(state).all(), f"a {which} is not finite")
        shown = moving_mask(model, state, height=_SIZE, width=_SIZE).any()
        _expect(shown, f"nothing that moves is in the image of a {which}: move the camera")
    return start, goal


def _check_view(simulator: Any, pairs: np.ndarray, allowed: float) -> None:
    """Check that no more starts, and goals, than allowed have a part outside the image; ``pairs`` (seeds, 2, S)."""
    view = simulator.physics.extents
    for which, states in zip(("starts", "goals"), pairs.swapaxes(0, 1), strict=True):
        names = ", ".join(view.names[geom] for geom in np.flatnonzero(view.extents(states).cut.any(axis=0)))
        share = float((simulator.out_of_view(states) > 0).mean())
        advice = "move the camera, set in_view=True, or allow it with out_of_view="
        _expect(share <= allowed, f"{share:.0%} of the {which} have a part outside the image: {names}; {advice}")


def plain_steps(model: Any, state: np.ndarray, controls: np.ndarray, frame_skip: int) -> np.ndarray:
    """Return the states after each control (H, A) as a plain loop of ``mj_step`` gives them, (H, S)."""
    import mujoco

    full, data, out = int(mujoco.mjtState.mjSTATE_INTEGRATION), mujoco.MjData(model), []
    mujoco.mj_setState(model, data, state, full)
    for control in controls:
        data.ctrl[:] = control
        for _ in range(frame_skip):
            mujoco.mj_step(model, data)
        out.append(np.empty(len(state)))
        mujoco.mj_getState(model, data, out[-1], full)
    return np.array(out).reshape(len(controls), len(state))


def moving_mask(model: Any, state: np.ndarray, *, height: int, width: int) -> np.ndarray:
    """Return where the nearest thing in the image is a moving body, (h, w), by one plain call of MuJoCo's rays."""
    import mujoco

    from corrwise.envs.renderers.view import PinholeView
    from corrwise.envs.tasks.task import CAMERA_NAME

    data = mujoco.MjData(model)
    mujoco.mj_setState(model, data, state, int(mujoco.mjtState.mjSTATE_INTEGRATION))
    mujoco.mj_forward(model, data)
    view = PinholeView.of_camera(model, CAMERA_NAME)
    rays = view.directions(height, width)
    geoms, distances = np.full(len(rays), -1, dtype=np.int32), np.empty(len(rays))
    shown = np.array([1, 1, 1, 0, 0, 0], dtype=np.uint8)
    mujoco.mj_multiRay(
        model, data, view.position, rays.ravel(), shown, True, -1, geoms, distances, None, len(rays), 1e10
    )  # fmt: skip
    moves = model.body_weldid[model.geom_bodyid[np.maximum(geoms, 0)]] != 0
    return np.asarray(((geoms >= 0) & moves).reshape(height, width))


def check_renderer(renderer: Any, states: np.ndarray) -> None:
    """Check a renderer (``corrwise.envs.renderers.Renderer``).

    It returns one image per state, colours in [0, 1], each a multiple of 1/255, and depths above zero, the same
    whatever is beside the state. A state that MuJoCo would refuse gives NaN and disturbs no other; states of another
    size are refused.

    Args:
        renderer: has ``height``, ``width`` and ``render(states (n, S)) -> (n, C, h, w)``; ``views`` where there are
            several or depth.
        states: (n, S), at least three, which differ in the image.

    Raises:
        AssertionError: a promise is broken; the message says which.
    """
    import torch

    from corrwise.types import ONE_VIEW

    n, size = states.shape
    views = getattr(renderer, "views", ONE_VIEW)
    frames, shape = renderer.render(states), (n, views.channels, renderer.height, renderer.width)
    _expect(frames.shape == shape, f"expected images {shape}, got {tuple(frames.shape)}")
    _expect(frames.dtype == torch.float32, f"return float32 images, got {frames.dtype}")
    colours = views.colour(frames)
    low, high = float(colours.min()), float(colours.max())
    _expect(low >= 0 and high <= 1, f"images must lie in [0, 1], got {low} to {high}")
    steps = torch.equal(colours, (colours * 255).round() / 255)
    _expect(steps, "a pixel does not survive the way through uint8: round values to multiples of 1/255")
    if views.depth:
        metres = views.metres(frames)
        _expect((metres > 0).all() and metres.isfinite().all(), "a depth is not finite or not above zero")
    _expect(len(torch.unique(frames, dim=0)) == n, "states that differ have the same image")
    _expect(torch.equal(renderer.render(states), frames), "the same states gave other images")
    flipped = renderer.render(states[::-1].copy())
    _expect(torch.equal(flipped, frames.flip(0)), "an image depends on its place among the states")
    for i in range(n):
        alone = renderer.render(states[i : i + 1])[0]
        _expect(torch.equal(alone, frames[i]), "an image depends on the states beside its own")
    for broken in (math.nan, math.inf, 1e12):
        poisoned = states.copy()
        poisoned[1, 1] = broken
        shown, others = renderer.render(poisoned), [0, *range(2, n)]
        _expect(shown[1].isnan().all(), f"a state with {broken} in it must have an image of NaN")
        _expect(torch.equal(shown[others], frames[others]), "a state that cannot be drawn disturbs another's image")
    none = renderer.render(states[:0])
    _expect(none.shape == (0, *shape[1:]), f"no states must give {(0, *shape[1:])}, got {tuple(none.shape)}")
    for wrong in (states[:, :-1], states[0], states[None]):
        _refuses(lambda wrong=wrong: renderer.render(wrong), f"states {wrong.shape} were drawn, not ({n}, {size})")  # type: ignore[misc]
