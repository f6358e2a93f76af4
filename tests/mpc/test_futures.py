"""Risks by hand; futures that candidates share; plans over several of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from corrwise.mpc import CEM, AgentConfig, Aggregate, Risk, VisualMPC, generator
from corrwise.mpc.futures import split_futures
from corrwise.mpc.score import score
from corrwise.predictors import CopyLast
from corrwise.predictors.models.registry import make_model
from corrwise.types import Context, Goal, copied
from tests.fakes import FakeCost, FakePredictor

FUTURES = torch.tensor([[[4.0, 1.0, 2.0, 9.0], [3.0, 3.0, 3.0, 3.0]]])


@pytest.mark.parametrize(
    ("risk", "expected"),
    [
        (Risk(), 4.0),
        (Risk("worst"), 9.0),
        (Risk("cvar", level=0.5), (9 + 4) / 2),
        (Risk("cvar", level=0.25), 9.0),
        (Risk("cvar", level=0.01), 9.0),
        (Risk("cvar", level=0.375), (9 + 4 / 2) / 1.5),
        (Risk("cvar", level=1.0), 4.0),
    ],
)
def test_risks_by_hand(risk, expected):
    torch.testing.assert_close(risk(FUTURES), torch.tensor([[expected, 3.0]]))
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(risk(FUTURES[..., order]), risk(FUTURES))


@pytest.mark.parametrize("name", ["mean", "cvar", "worst"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_one_future_that_is_not_finite_loses(name, value):
    costs = FUTURES.clone()
    costs[0, 0, 1] = value
    risk = Risk(name)(costs)
    assert risk[0, 0] == math.inf
    assert risk[0, 1] == 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "median"}, "unknown risk 'median'.*there are mean, cvar, worst"),
        ({"level": 0.0}, r"level must be in \(0, 1\], got 0.0"),
        ({"level": 1.5}, r"level must be in \(0, 1\], got 1.5"),
    ],
)
def test_bad_risks_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Risk(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"futures": 0}, "futures must be at least 1, got 0"),
        ({"risk": "var"}, "unknown risk 'var'"),
        ({"risk_level": 2.0}, r"risk_level must be in \(0, 1\], got 2.0"),
    ],
)
def test_bad_configurations_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        AgentConfig(**values)


def drawn(generators: Sequence[Generator]) -> list[float]:
    return [float(torch.rand((), generator=copied(each), dtype=torch.float64)) for each in generators]


def test_futures_differ_and_are_the_same_for_any_number_of_futures_and_environments():
    given = [generator(0, row) for row in range(2)]
    before = drawn(given)
    two, four = (split_futures(given, count) for count in (2, 4))
    assert len({value for row in four for value in drawn(row)}) == 8
    assert [drawn(row[:2]) for row in four] == [drawn(row) for row in two]
    assert drawn(split_futures(given[1:], 4)[0]) == drawn(four[1])
    assert drawn(given) == before, "the environments' own generators do not advance"
    torch.rand((), generator=given[0], dtype=torch.float64)
    assert not set(drawn(split_futures(given, 4)[0])) & set(drawn(four[0])), "another plan has other futures"


class Noisy(FakePredictor):
    """Brightens or darkens the frames of a world at random, all candidates by the same amount times their action.

    ``draws`` holds the noise of each call, and ``alive`` the number of frames of each.
    """

    def __init__(self) -> None:
        super().__init__()
        self.draws: list[list[float]] = []
        self.alive: list[int] = []

    def __call__(self, context, actions, *, steps=None, generators=None) -> Tensor:
        frames = super().__call__(context, actions, steps=steps)
        assert len(generators) == len(actions)
        self.draws.append(drawn(generators))
        self.alive.append(frames.shape[:3].numel())
        noise = torch.tensor(self.draws[-1], dtype=torch.float32)[:, None, None, None, None, None] - 0.5
        return frames + noise * actions[:, :, :1, :1, None, None]


def world(batch=2, candidates=13, horizon=5):
    pixels = generator(0, 0)
    context = Context(torch.rand(batch, 1, 3, 8, 8, generator=pixels), torch.zeros(batch, 0, 2))
    goal = Goal(torch.rand(batch, 1, 3, 8, 8, generator=pixels))
    return context, goal, torch.rand(batch, candidates, horizon, 2, generator=pixels) * 2 - 1


def scored(predictor, rows=slice(None), *, futures=4, risk="cvar", aggregate="last", **options) -> Tensor:
    context, goal, actions = world()
    context, goal = Context(context.frames[rows], context.actions[rows]), Goal(goal.frames[rows])
    options = {"aggregate": Aggregate(aggregate), "generators": [generator(7, 0), generator(7, 1)][rows], **options}
    return score(predictor, FakeCost(), context, goal, actions[rows], futures=futures, risk=Risk(risk), **options)


@pytest.mark.parametrize("aggregate", ["last", "sum"])
@pytest.mark.parametrize("reproducible", [True, False])
def test_a_candidate_costs_the_risk_of_its_futures(aggregate, reproducible):
    together = scored(Noisy(), aggregate=aggregate, reproducible=reproducible)
    drawn_futures = zip(*split_futures([generator(7, 0), generator(7, 1)], 4), strict=True)
    each = [scored(Noisy(), futures=1, aggregate=aggregate, generators=list(noise)) for noise in drawn_futures]
    torch.testing.assert_close(together, Risk("cvar")(torch.stack(each, dim=-1)))


@pytest.mark.parametrize("max_frames", [1, 7, 13, 30, 100])
def test_chunks_change_nothing_and_memory_does_not_grow_with_futures(max_frames):
    whole, chunked = scored(Noisy(), max_frames=10_000), Noisy()
    assert torch.equal(scored(chunked, max_frames=max_frames), whole)
    assert max(chunked.alive) <= max_frames
    assert sum(chunked.alive) == 2 * 13 * 4


def test_candidates_share_futures_and_environments_do_not():
    noisy = Noisy()
    whole = scored(noisy, max_frames=5)  # 3 chunks of candidates
    first = {tuple(draws) for draws in noisy.draws}
    assert len(first) == 2 * 4, "a chunk of candidates sees the same futures as the other chunks"
    assert len({draws[0] for draws in first}) == 2 * 4
    for row in (slice(0, 1), slice(1, 2)):
        assert torch.equal(scored(Noisy(), row), whole[row])


def test_a_future_that_is_not_finite_loses_whatever_the_risk():
    class Broken(Noisy):
        def __call__(self, context, actions, *, steps=None, generators=None):
            frames = super().__call__(context, actions, steps=steps, generators=generators)
            unlucky = torch.tensor(self.draws[-1]) == max(max(draws) for draws in self.draws)
            frames[unlucky.nonzero()[:, 0], 3] = math.nan
            return frames

    assert scored(Broken(), risk="mean").isfinite().sum(dim=1).tolist() in ([12, 13], [13, 12])


def test_one_future_is_what_was_there_before():
    class Asked(FakePredictor):
        def __call__(self, context, actions, *, steps=None, generators=None):
            assert generators[0] is own[0]
            return super().__call__(context, actions, steps=steps)

    own = [generator(7, 0), generator(7, 1)]
    assert torch.equal(scored(Asked(), futures=1, generators=own, risk="worst"), scored(FakePredictor(), futures=1))


@pytest.mark.parametrize("generators", ["none", "deterministic"])
def test_equal_futures_are_predicted_once(generators):
    predictor = FakePredictor()
    if generators == "deterministic":
        predictor.deterministic = True
        costs = scored(predictor)
    else:
        costs = scored(predictor, generators=None)
    assert sum(shape[0] * shape[1] for shape, _ in predictor.asked) == 2 * 13
    assert torch.equal(costs, scored(FakePredictor(), futures=1))
    assert CopyLast.deterministic


def agent(predictor, **options) -> VisualMPC:
    planner = CEM(action_dim=2, horizon=3, candidates=8, iterations=3)
    goal = np.full((8, 8, 3), 250, np.uint8)
    return VisualMPC(predictor, FakeCost(), planner, goal=goal, config=AgentConfig(**options))


def acted(agent, batch=1, steps=2):
    image, state, actions = np.full((batch, 8, 8, 3), 100, np.uint8), None, []
    for _ in range(steps):
        action, state = agent.predict(image, state)
        actions.append(action)
    return np.stack(actions, axis=1)


def test_all_iterations_of_a_plan_see_the_same_futures_and_another_plan_sees_others():
    noisy = Noisy()
    acted(agent(noisy, futures=4, risk="cvar"))
    calls = [tuple(draws) for draws in noisy.draws]
    assert len(calls) == 2 * 3
    assert len(set(calls[:3])) == len(set(calls[3:])) == 1
    assert not set(calls[0]) & set(calls[3])
    once = Noisy()
    acted(agent(once), steps=1)
    assert len({tuple(draws) for draws in once.draws}) == 3, "a single future is drawn for each iteration"


def test_an_environment_plans_over_the_same_futures_alone_and_beside_others():
    together = acted(agent(Noisy(), futures=3, risk="worst", seed=(5, 9)), batch=2)
    for row, seed in enumerate((5, 9)):
        assert np.array_equal(together[row : row + 1], acted(agent(Noisy(), futures=3, risk="worst", seed=(seed,))))


def test_equal_futures_give_the_plan_of_one():
    one, four = acted(agent(FakePredictor())), acted(agent(FakePredictor(), futures=4, risk="worst"))
    assert np.array_equal(one, four)


def test_a_score_is_called_once_for_each_future():
    calls = []

    def own(context, goal, actions, generators):
        calls.append(drawn(generators)[0])
        return actions.sum(dim=(-2, -1)) + calls[-1]

    planner = CEM(action_dim=2, horizon=3, candidates=8, iterations=2)
    goal = np.zeros((8, 8, 3), np.uint8)
    config = AgentConfig(futures=3, risk="cvar")
    VisualMPC(None, None, planner, goal=goal, score=own, config=config).predict(goal)
    assert calls[:3] == calls[3:]
    assert len(set(calls)) == 3


def test_a_stochastic_model_imagines_futures_that_its_candidates_share():
    torch.manual_seed(0)
    model = make_model("svg-prime", action_dim=2, context=1, width=2, latent=2, hidden=4).eval().requires_grad_(False)
    model.prior.log_variance.bias.fill_(10)  # an untrained model barely reacts to its latents
    for layer in (model.decoder.last, model.decoder.first[0], model.predictor.out):
        layer.weight.mul_(30)
    context = Context(torch.rand(1, 1, 3, 16, 16, generator=generator(0, 0)), torch.zeros(1, 0, 2))
    goal, same = Goal(torch.zeros(1, 1, 3, 16, 16)), torch.zeros(1, 3, 2, 2)
    options = {"aggregate": Aggregate("last"), "generators": [generator(1, 0)]}
    each = score(model, FakeCost(), context, goal, same, futures=1, **options)
    worst, mean = (score(model, FakeCost(), context, goal, same, futures=4, risk=Risk(name), **options)
                   for name in ("worst", "mean"))  # fmt: skip
    assert torch.unique(each).numel() == torch.unique(worst).numel() == 1, "equal candidates have equal futures"
    assert (worst > mean + 1e-5).all(), "futures differ"
    chunked = score(model, FakeCost(), context, goal, same, futures=4, risk=Risk("worst"), max_frames=2, **options)
    torch.testing.assert_close(chunked, worst)
