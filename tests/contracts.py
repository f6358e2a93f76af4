"""What every implementation of a room's protocol owes its users, as checks to run on one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from corrwise.mpc import first_action, generator, planned_actions, shift
from corrwise.mpc.optimize import optimize
from corrwise.types import Planner, Proposal
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


def check_distance(distance: Callable[[Tensor, Tensor], Tensor]) -> None:
    """What every image distance owes its users: one value per pair, whatever is beside it; at 32 px, float32."""
    x, y = _pictures(6, seed=1), _pictures(6, seed=2)
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
    _refuses(distance)


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


def _refuses(function: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Two sizes, two batches, bytes and arrays are refused; under the run-time shape checks, with a TypeError."""
    x = _pictures(2)
    for wrong in (x[..., :16], x[:1], (255 * x).byte(), x.numpy(), x[0, 0]):
        try:
            function(x, wrong)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            continue
        raise AssertionError(f"{getattr(wrong, 'shape', wrong)} of {wrong.dtype} was accepted beside {x.shape}")


def _pictures(count: int, *, seed: int = 0) -> Tensor:
    """Smooth random RGB pictures of 32 px in [0, 1]."""
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bilinear")


def _dotted(images: Tensor, value: float) -> Tensor:
    """Put ``value`` into one pixel of the third image."""
    images = images.clone()
    images[2, 1, 9, 11] = value
    return images
