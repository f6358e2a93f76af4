"""The contract of a planner."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from corrwise.testing.expectations import expect


def check_planner(make: Callable[..., Any]) -> None:
    """Check a planner (``corrwise.types.Planner``) on a quadratic cost whose optimum is known.

    The plan is better than the mean of the first candidates. The same generators give the same plan, and the plan of an
    environment does not depend on the others to the last bit. Candidates and executed actions stay in [-1, 1]. A
    candidate whose cost is not finite never wins, and if no candidate has a finite cost, the proposal stays unchanged.
    Nothing is changed in place.

    Args:
        make: builds a planner: ``make(action_dim, horizon=, candidates=, iterations=)``.

    Raises:
        AssertionError: a requirement is not met; the message names it.
    """
    import torch

    from corrwise.mpc import first_action, generator, planned_actions, shift
    from corrwise.mpc.optimize import optimize
    from corrwise.types import Planner

    batch, horizon, action_dim = 2, 5, 3
    planner = make(action_dim, horizon=horizon, candidates=16, iterations=4)
    expect(isinstance(planner, Planner), "a planner has iterations, init(), sample() and refit()")
    optimum = torch.tensor([0.9, -0.9, 0.1], dtype=torch.float32, device="cpu")
    start = planner.init(batch)
    before = _copy(start)

    def score(actions: Any) -> Any:
        return (actions - optimum).square().mean(dim=(-2, -1))

    def generators() -> list[Any]:
        return [generator(7, instance) for instance in range(batch)]

    proposal, trace = optimize(planner, score, start, generators())
    expect(_same(start, before), "the proposal that went in was changed in place: return a new one")
    better = score(planned_actions(planner, proposal)[:, None])[:, 0] < trace.mean_cost[0]
    expect(better.all(), "the plan is no better than the first candidates' mean: refit must learn from the costs")
    expect(trace.best_cost.shape == (4, batch), f"expected 4 iterations, got {len(trace.best_cost)}")
    again, _ = optimize(planner, score, planner.init(batch), generators())
    expect(_same(proposal, again), "the same generators gave another plan: draw from them and from nothing else")
    _check_samples(planner, proposal, generators())

    for row, alone in enumerate(generators()):
        single, _ = optimize(planner, score, planner.init(1), [alone])
        message = "an environment's plan depends on the environments beside it: draw and rank each from its own row"
        expect(_same(_row(proposal, row), single), message)

    kept, trace = optimize(planner, lambda actions: score(actions) * math.nan, shift(proposal), generators())
    unlearned = replace(shift(proposal), iteration=kept.iteration)
    expect(_same(kept, unlearned), "a plan in which nothing could be scored changed the proposal")
    expect(trace.rejected.tolist() == [trace.candidates] * batch, "candidates that cost NaN were not rejected")

    for value in (math.nan, math.inf, -math.inf):

        def poisoned(actions: Any, value: float = value) -> Any:
            """Give every candidate with a positive first action this cost, although the optimum lies there."""
            return score(actions).where(actions[:, :, 0, 0] <= 0, value)

        proposal, _ = optimize(planner, poisoned, planner.init(batch), generators())
        expect((proposal.best[:, 0, 0] <= 0).all(), f"a candidate that costs {value} is the best: it must never win")
        acted = first_action(planner, proposal)[:, 0]
        expect((acted <= 0).all(), f"a candidate that costs {value} moved the action: give it no weight in refit")
        expect(proposal.mean.isfinite().all(), f"a candidate that costs {value} made the mean not finite")
        expect(proposal.best_cost.isfinite().all(), f"a candidate that costs {value} made best_cost not finite")


def _check_samples(planner: Any, proposal: Any, generators: list[Any]) -> None:
    """Check shape and bounds of samples, also around a mean on the bound with a large std."""
    import torch

    from corrwise.mpc import planned_actions, shift

    extreme = replace(shift(proposal), mean=torch.ones_like(proposal.mean), std=torch.full_like(proposal.std, 3.0))
    actions = planner.sample(extreme, generators)
    wanted = (len(generators), actions.shape[1], *proposal.mean.shape[1:])
    expect(actions.shape == wanted, f"sample must return (B, N, H, A): expected {wanted}, got {tuple(actions.shape)}")
    expect(actions.abs().max() <= 1, f"samples must lie in [-1, 1], got {float(actions.abs().max())}: clip them")
    refitted = planner.refit(extreme, actions, actions.square().mean(dim=(-2, -1)))
    most = float(planned_actions(planner, refitted).abs().max())
    expect(most <= 1, f"executed actions must lie in [-1, 1], got {most}: clip what refit returns")


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
