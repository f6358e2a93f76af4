"""The shipped contracts load nothing when they are imported, and each of their promises is broken by a broken part."""

import ast
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import corrwise.testing
from corrwise.costs import GoalCost, l1
from corrwise.costs.flow import AllPairsFlow
from corrwise.envs import TASKS
from corrwise.mpc import CEM
from corrwise.predictors import CopyLast
from corrwise.testing import (
    check_cost,
    check_distance,
    check_flow,
    check_planner,
    check_predictor,
    check_renderer,
    check_task,
)
from corrwise.types import Context
from tests.envs.worlds import simulator, some_states


def test_the_package_loads_neither_torch_nor_mujoco_nor_pytest():
    code = "import sys, corrwise.testing; print({'torch', 'mujoco', 'pytest', '_pytest'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_nothing_is_left_to_assert_statements_which_python_may_drop():
    files = sorted(Path(corrwise.testing.__file__).parent.glob("*.py"))
    trees = {file.name: ast.parse(file.read_text()) for file in files}
    assert len(trees) > 1
    assert not [
        (name, node.lineno) for name, tree in trees.items() for node in ast.walk(tree) if isinstance(node, ast.Assert)
    ]


def in_place(x, y):
    values = l1(x, y)
    x[0, 0] += 0.01
    return values


def unchecked(x, y):
    return (x - y).abs().mean(dim=(-3, -2, -1))


DISTANCES = {
    "an image was changed in place": in_place,
    "return more than 0": lambda x, y: -l1(x, y),
    "return 0 for equal images": lambda x, y: l1(x, y) + 0.1,
    "depends on the pairs beside it": lambda x, y: l1(x, y) + 0.01 * (x - y).abs().amax(),
    "NaN in image 2 must": lambda x, y: l1(x.nan_to_num(), y.nan_to_num()),
    "no gradient reaches the first image": lambda x, y: l1(x.detach().requires_grad_(x.requires_grad), y),
    r"\(2, 3, 32, 16\) .* was accepted beside .*, and failed with a RuntimeError": unchecked,
}


@pytest.mark.parametrize("message", DISTANCES)
def test_a_broken_distance_is_caught(message):
    with pytest.raises(AssertionError, match=message):
        check_distance(DISTANCES[message])


class Forgetful(GoalCost):
    def __call__(self, frames, goal):
        self.first = getattr(self, "first", goal)
        return super().__call__(frames, self.first if len(self.first.frames) == len(goal.frames) else goal)


def relative(frames, goal):
    costs = GoalCost(l1)(frames, goal)
    return costs / (1 + costs.mean(dim=1, keepdim=True))


COSTS = {
    r"expected \(2, 3, 2\), got \(2, 3\)": lambda frames, goal: GoalCost(l1)(frames, goal).mean(dim=-1),
    "must cost 0": lambda frames, goal: 1 + GoalCost(l1)(frames, goal),
    "candidates beside it": relative,
    "another goal gives the same costs": Forgetful(l1),
    "NaN in one frame": lambda frames, goal: GoalCost(l1)(frames.nan_to_num(), goal),
}


@pytest.mark.parametrize("message", COSTS)
def test_a_broken_cost_is_caught(message):
    with pytest.raises(AssertionError, match=message):
        check_cost(COSTS[message])


class Flow:
    """All-pairs matching, whose result is spoilt."""

    def __init__(self, spoil):
        self.spoil = spoil

    def __call__(self, target, source):
        return self.spoil(AllPairsFlow()(target, source))


class Swapped(Flow):
    def both(self, x, y):
        return self(y, x), self(x, y)


def fragile(target, source):
    return AllPairsFlow()(target, source) + (target + source).isnan().any()


FLOWS = {
    r"return \(B, 2, h, w\)": Flow(lambda field: field.movedim(1, -1)),
    "equal images must not move": Flow(lambda field: field + 1),
    "depends on its place": Flow(lambda field: field * (1 + torch.arange(len(field)))[:, None, None, None]),
    "depends on the pairs beside it": Flow(lambda field: field * len(field)),
    r"both\(x, y\)\[0\] must be": Swapped(lambda field: field),
    "NaN in one pair disturbs": fragile,
}


@pytest.mark.parametrize("message", FLOWS)
def test_a_broken_flow_is_caught(message):
    with pytest.raises(AssertionError, match=message):
        check_flow(FLOWS[message])


def planner(**methods):
    """Return a CEM some of whose methods, which are handed the original, are broken."""

    def override(name, broken):
        return lambda self, *args: broken(getattr(super(made, self), name), *args)

    made = type("Broken", (CEM,), {name: override(name, broken) for name, broken in methods.items()})
    return made


def trusting(refit, proposal, actions, costs):
    return refit(proposal, actions, costs.nan_to_num(0.0, posinf=-1.0, neginf=-1.0))


def in_place_refit(refit, proposal, actions, costs):
    proposal.mean.add_(0.1)
    return refit(proposal, actions, costs)


PLANNERS = {
    "another plan: draw from them": planner(sample=lambda sample, p, rngs: sample(p, rngs) * torch.rand(())),
    r"samples must lie in \[-1, 1\]": planner(sample=lambda sample, p, rngs: 1.5 * sample(p, rngs)),
    "refit must learn": planner(refit=lambda refit, p, actions, costs: refit(p, actions, -costs)),
    "that went in was changed in place": planner(refit=in_place_refit),
    "a candidate that costs nan": planner(refit=trusting),
    "the environments beside it": planner(sample=lambda sample, p, rngs: sample(p, rngs) / len(rngs)),
}


@pytest.mark.parametrize("message", PLANNERS)
def test_a_broken_planner_is_caught(message):
    with pytest.raises(AssertionError, match=message):
        check_planner(PLANNERS[message])


def predicting(change):
    def predictor(context, actions, *, steps=None, generators=None):
        return change(CopyLast()(context, actions, steps=steps, generators=generators), context, steps)

    return predictor


PREDICTORS = {
    "same generators gave other frames": predicting(lambda frames, context, steps: frames + torch.rand(())),
    r"steps=\[4\] must be": predicting(lambda frames, context, steps: frames if steps is None else 0.5 * frames),
    "environments beside it": predicting(lambda frames, context, steps: frames / len(frames)),
    "reads the simulator's state": predicting(
        lambda frames, context, steps: frames if context.state is None else frames + float(context.state.sum())
    ),
    "frames were changed in place": predicting(
        lambda frames, context, steps: (frames, context.frames[0, 0].fill_(0.5))[0]
    ),
}


@pytest.mark.parametrize("message", PREDICTORS)
def test_a_broken_predictor_is_caught(message):
    generator = torch.Generator().manual_seed(0)
    frames, actions = torch.rand(2, 3, 3, 8, 8, generator=generator), torch.rand(2, 4, 5, 2, generator=generator)
    context = Context(frames, torch.zeros(2, 2, 2), np.zeros((2, 7)))
    check_predictor(CopyLast(), context, actions)
    with pytest.raises(AssertionError, match=message):
        check_predictor(PREDICTORS[message], context, actions)


class Renderer:
    """A renderer whose images are spoilt."""

    def __init__(self, spoil):
        self.inner, self.spoil = simulator("cartpole").renderer, spoil
        self.height, self.width = self.inner.height, self.inner.width

    def render(self, states):
        return self.spoil(self.inner.render(states))


RENDERERS = {
    "must lie in": lambda images: 2 * images,
    "way through uint8": lambda images: 0.999 * images,
    "have the same image": lambda images: images.mean(dim=0, keepdim=True).mul(255).round().div(255).expand_as(images),
    "must have an image of NaN": lambda images: images.nan_to_num(),
    "expected images": lambda images: images.movedim(1, -1),
}


@pytest.mark.parametrize("message", RENDERERS)
def test_a_broken_renderer_is_caught(message):
    with pytest.raises(AssertionError, match=message):
        check_renderer(Renderer(RENDERERS[message]), some_states("cartpole"))


def same_start(model, rng):
    return np.array([0.0, 0.1]), np.zeros(2)


def unseeded(model, rng):
    return np.random.default_rng().uniform(-1, 1, 2), np.zeros(2)


TASKS_BROKEN = {"two seeds drew the same of their starts": same_start, "the same seed drew another episode": unseeded}


@pytest.mark.parametrize("message", TASKS_BROKEN)
def test_a_broken_task_is_caught(message):
    with pytest.raises(AssertionError, match=message):
        check_task(replace(TASKS["cartpole"], start=TASKS_BROKEN[message]), out_of_view=1.0)
