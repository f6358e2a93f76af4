"""Nothing follows torch's global defaults: another default type or device changes no number."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from corrwise.costs import DISTANCES, FORMS, GoalCost, Perceptual, l1, recommended
from corrwise.costs.flow import FLOWS
from corrwise.envs import TASKS, Fleet, MujocoSimulator, VisualTask
from corrwise.envs.arrays import to_uint8
from corrwise.mpc import PLANNERS, AgentConfig, VisualMPC, generator
from corrwise.predictors import OraclePredictor
from corrwise.predictors.data import Batch
from corrwise.predictors.models.registry import MODELS, load_model, make_model
from corrwise.types import Context

ROOT = Path(__file__).parents[1]
PLAIN: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}
SIZE = 16


@pytest.fixture(params=["float64", "meta"])
def other_defaults(request: pytest.FixtureRequest) -> Iterator[Callable[[], None]]:
    """Return what switches the defaults: what is then made without a device has no numbers at all."""
    switches = {
        "float64": lambda: torch.set_default_dtype(torch.float64),
        "meta": lambda: torch.set_default_device("meta"),
    }
    yield switches[request.param]
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)


def images(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator("cpu").manual_seed(0), **PLAIN)


def pair() -> tuple[Tensor, Tensor]:
    """Two images of a body that moved, on a still background."""
    first = images(2, 3, SIZE, SIZE) / 2
    second = first.clone()
    first[..., 3:7, 3:7], second[..., 6:10, 8:12] = 0.9, 0.9
    return first, second


def parts(value: Any) -> list[np.ndarray]:
    if isinstance(value, (tuple, list)):
        return [part for each in value for part in parts(each)]
    return [value.detach().numpy() if isinstance(value, Tensor) else np.asarray(value)]


def unchanged(work: Callable[[], Any], switch: Callable[[], None]) -> None:
    """Require the same types and numbers of ``work`` before and after the switch."""
    before = parts(work())
    switch()
    after = parts(work())
    assert [each.dtype for each in after] == [each.dtype for each in before]
    assert all(map(np.array_equal, after, before))


@pytest.mark.parametrize("name", DISTANCES)
def test_distances(name, other_defaults):
    unchanged(lambda: DISTANCES[name](*pair()), other_defaults)


@pytest.mark.parametrize("name", [name for name in FLOWS if name != "raft"])
def test_flows_and_what_is_made_of_them(name, other_defaults):
    def work() -> Any:
        terms = recommended(l1, name).terms(*pair())
        return terms.total, terms.flow, terms.displacement, terms.occluded

    unchanged(work, other_defaults)


def test_every_way_to_count_displacement(other_defaults):
    unchanged(lambda: [recommended(l1, "zero", form=form)(*pair()) for form in FORMS], other_defaults)


def test_networks_of_other_packages(other_defaults):
    large = torch.nn.functional.interpolate(images(1, 3, 8, 8), size=32)

    def work() -> Any:
        torch.manual_seed(0)
        return FLOWS["raft"](weights=None, size="small", updates=1)(large, large.flip(3)), Perceptual(None)(
            large, large.flip(3)
        )

    unchanged(work, other_defaults)


def test_environments(other_defaults):
    def work() -> Any:
        env = VisualTask("cartpole", size=SIZE, distance=recommended(l1, "dis"))
        first, _ = env.reset(seed=0)
        then, reward, *_ = env.step(np.ones(1, np.float32))
        fleet = Fleet(MujocoSimulator(TASKS["ant"], size=SIZE), context_frames=2)
        context, goal = fleet.reset([0])
        exact = fleet.simulator.renderer.correspondence(fleet.snapshot(), fleet.goal_states)
        return first["desired_goal"], then["observation"], reward, context.actions, goal.frames, exact

    unchanged(work, other_defaults)


@pytest.mark.parametrize("name", PLANNERS)
def test_plans(name, other_defaults):
    fleet = Fleet(MujocoSimulator(TASKS["cartpole"], size=SIZE), context_frames=2)
    context, goal = fleet.reset([0, 1])
    seen = to_uint8(context.frames[:, -1])

    def work() -> Any:
        planner = PLANNERS[name](1, horizon=4, candidates=6, **({} if name == "random" else {"iterations": 2}))
        agent = VisualMPC(
            OraclePredictor(fleet.simulator), GoalCost(l1), planner,
            goal=to_uint8(goal.frames[:, 0]), state_source=fleet.snapshot, config=AgentConfig(context_frames=2),
        )  # fmt: skip
        action, state = agent.predict(seen)
        return action, agent.predict(seen, state)[0]

    unchanged(work, other_defaults)


@pytest.mark.parametrize("name", MODELS)
def test_predictors_from_files(name, tmp_path, other_defaults):
    torch.manual_seed(0)
    small = {"width": 2, "features": 4, "latent": 2, "hidden": 4}
    options = {
        "resnet3d": {"width": 2, "downs": 1, "blocks2d": 1},
        "svg": {**small, "size": SIZE},
        "denoiser": {"width": 2, "blocks": 1},
    }.get(name, small)
    make_model(name, action_dim=1, context=2, **options).save_pretrained(tmp_path)
    context, actions = Context(images(1, 2, 3, SIZE, SIZE), images(1, 1, 1)), images(1, 2, 2, 1)

    def work() -> Any:
        model = load_model(tmp_path)
        learned = model.learn(Batch(images(2, 4, 3, SIZE, SIZE), images(2, 3, 1)), torch.Generator("cpu"))
        return model(context, actions, generators=[generator(0, 0)]), learned.frames, learned.penalty

    unchanged(work, other_defaults)


def checker() -> Any:
    spec = importlib.util.spec_from_file_location("check_factories", ROOT / "tools/check_factories.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_factory_call_names_its_type_and_device(capsys):
    assert checker().main([str(ROOT / "corrwise")]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("call", "missing"),
    [
        ("torch.zeros(3)", "names no dtype and no device"),
        ("torch.zeros(3, dtype=torch.float32)", "names no device"),
        ("torch.nn.Parameter(torch.full((3,), 1.0, device='cpu'))", "torch.full names no dtype"),
        ("t.fft.rfftfreq(3)", "torch.fft.rfftfreq names no dtype and no device"),
        ("fft.rfftfreq(3)", "torch.fft.rfftfreq names no dtype and no device"),
        ("eye(3)", "torch.eye names no dtype and no device"),
        ("torch.Generator()", "torch.Generator names no device"),
        ("torch.where(mask, 0.0, -1.0)", "torch.where of two numbers has the default dtype"),
        ("torch.Tensor([1])", "torch.Tensor names no dtype and no device"),
        ("torch.zeros(3, dtype=torch.float32, device='cpu')", ""),
        ("torch.zeros(3, **options)", ""),
        ("torch.Generator('cpu')", ""),
        ("torch.zeros_like(x)", ""),
        ("x.new_zeros(3)", ""),
        ("torch.where(mask, x, 0.0)", ""),
        ("np.zeros(3)", ""),
        ("isinstance(x, torch.Tensor)", ""),
    ],
)
def test_the_check_finds_what_is_planted(call, missing):
    source = f"import numpy as np\nimport torch\nimport torch as t\nfrom torch import eye, fft\n\n{call}\n"
    lines = checker().findings(source, "file.py")
    assert len(lines) == bool(missing)
    assert all(line.startswith("file.py:6: ") and missing in line for line in lines)
