"""Options: the names match the rooms' registries, and what makes no run is refused in one sentence."""

from __future__ import annotations

import pytest

from corrwise.costs import DISTANCES
from corrwise.costs.flow import FLOWS
from corrwise.envs import TASKS
from corrwise.envs.renderers import RENDERERS
from corrwise.experiments.cli import cost as cost_options
from corrwise.experiments.cli import mpc as options
from corrwise.experiments.cli.checks import ConfigError
from corrwise.experiments.cli.cost import CostConfig
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.cli.options import TASK_NAMES
from corrwise.experiments.report.summary import CONTROLS
from corrwise.experiments.runs.named_predictors import PREDICTORS


def test_every_name_on_the_command_line_is_in_its_rooms_registry():
    assert tuple(TASKS) == TASK_NAMES
    assert {name: task.name for name, task in TASKS.items()} == {name: name for name in TASK_NAMES}
    assert [make.__name__ for make in RENDERERS.values()] == ["RaycastRenderer", "GLRenderer"]
    assert tuple(FLOWS) == cost_options.FLOW_NAMES
    assert tuple(DISTANCES) == cost_options.BASE_NAMES
    assert tuple(PREDICTORS) == options.PREDICTOR_NAMES
    assert set(CONTROLS) == set(cost_options.CONTROL_NAMES)


@pytest.mark.parametrize("option", ["task", "planner", "predictor", "renderer", "aggregate"])
def test_an_unknown_name_is_answered_with_those_that_exist(option):
    with pytest.raises(ConfigError, match=rf"unknown {option} 'nonsense'; there are \w+"):
        MPCConfig(**{option: "nonsense"})


@pytest.mark.parametrize(
    "option", ["episodes", "horizon", "candidates", "iterations", "lockstep", "max_frames", "steps"]
)
@pytest.mark.parametrize("value", [0, -3])
def test_a_size_below_one_is_refused_with_its_value(option, value):
    with pytest.raises(ConfigError, match=f"{option} must be at least 1, got {value}"):
        MPCConfig(**{option: value})


@pytest.mark.parametrize(
    ("option", "value", "owner"),
    [
        ("displacement", 0.5, "all-pairs"),
        ("patch", 7, "all-pairs"),
        ("dis_preset", "fast", "dis"),
        ("raft_weights", "x.pth", "raft"),
        ("learned_weights", "x.safetensors", "learned"),
    ],
)
def test_an_option_of_another_flow_is_refused_not_ignored(option, value, owner):
    other = "zero"
    with pytest.raises(ConfigError, match=f"{option} must be left out, for it belongs to flow {owner}, got {value}"):
        MPCConfig(cost=CostConfig(flow=other, **{option: value}))
    MPCConfig(cost=CostConfig(flow=owner, **{option: value}))


@pytest.mark.parametrize(
    ("options_", "sentence"),
    [
        ({"scaling": -0.1}, r"scaling must be in \[0, 1\], got -0.1"),
        ({"scaling": 1.5}, r"scaling must be in \[0, 1\], got 1.5"),
        ({"magnitude": -1.0}, "magnitude must be zero or above, got -1.0"),
        ({"patch": 4}, "patch must be 1, 3, 5 or 7, got 4"),
        ({"flow": "pwc"}, "unknown flow 'pwc'; there are all-pairs, rigid, dis, raft, zero"),
        ({"dis_preset": "slow"}, "unknown dis_preset 'slow'; there are ultrafast, fast, medium"),
    ],
)
def test_cost_options_that_make_no_sense_are_refused(options_, sentence):
    with pytest.raises(ConfigError, match=sentence):
        CostConfig(**options_)


def test_unknown_and_repeated_costs_are_refused():
    with pytest.raises(ConfigError, match="unknown cost 'l2'; there are l1, mse, ssim, corr-l1"):
        MPCConfig(costs=("l1", "l2"))
    with pytest.raises(ConfigError, match="costs must be different from each other, got l1 l1"):
        MPCConfig(costs=("l1", "l1"))
    with pytest.raises(ConfigError, match="costs must be at least one, got none"):
        MPCConfig(costs=())
