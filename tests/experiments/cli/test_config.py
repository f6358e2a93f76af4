"""Options: the names match the registries, and what makes no run is refused in one sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from corrwise.envs import TASKS
from corrwise.envs.renderers import RENDERERS
from corrwise.experiments.cli import mpc as options
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.cli.options import CONTROL_NAMES, TASK_NAMES
from corrwise.experiments.report.summary import CONTROLS
from corrwise.experiments.runs.parts import PREDICTORS
from corrwise.validation import ConfigError


def test_every_name_on_the_command_line_is_in_its_packages_registry():
    assert tuple(TASKS) == TASK_NAMES
    assert {name: task.name for name, task in TASKS.items()} == {name: name for name in TASK_NAMES}
    assert [make.__name__ for make in RENDERERS.values()] == ["RaycastRenderer", "GLRenderer"]
    assert tuple(PREDICTORS) == options.PREDICTOR_NAMES
    assert set(CONTROLS) == set(CONTROL_NAMES)


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


def test_unknown_and_repeated_costs_are_refused():
    with pytest.raises(ConfigError, match="unknown cost 'l2'; there are l1, mse, ssim, perceptual, st-lpips, corr-l1"):
        MPCConfig(costs=("l1", "l2"))
    with pytest.raises(ConfigError, match="costs must be different from each other, got l1 l1"):
        MPCConfig(costs=("l1", "l1"))
    with pytest.raises(ConfigError, match="costs must be different from each other, got corr-l1 corr-l1"):
        MPCConfig(costs=("corr-l1", "corr-l1:flow=learned"))
    with pytest.raises(
        ConfigError, match=r"'zero-acton' \(did you mean zero-action\?\); .* or your own as file.py:NAME"
    ):
        MPCConfig(costs=("zero-acton",))
    with pytest.raises(ConfigError, match="unknown flow 'pwc'; there are all-pairs, rigid, dis, tv-l1, raft, zero"):
        MPCConfig(flow="pwc")
    with pytest.raises(ConfigError, match="costs must be at least one, got none"):
        MPCConfig(costs=())


def test_the_flow_is_that_of_costs_whose_name_says_none():
    asked = MPCConfig(costs=("l1", "corr-l1", "corr-l1:flow=zero", "recommended", "state"), flow="dis")
    assert asked.costs == ("l1", "corr-l1:flow=dis", "corr-l1:flow=zero", "recommended", "state")
    assert replace(asked, seed=1).costs == asked.costs
