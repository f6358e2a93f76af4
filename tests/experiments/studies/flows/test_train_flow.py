"""Training a flow net: it learns, it resumes to the bit after being stopped, and it refuses what it cannot do."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from corrwise._writing import jsonable
from corrwise.costs.flow.learned.estimator import LearnedFlow
from corrwise.costs.flow.learned.net import FlowNet, FlowNetConfig
from corrwise.costs.flow.learned.net_file import facts_of, load_net, save_net
from corrwise.envs import TASKS, Fleet, MujocoSimulator
from corrwise.envs.flow_data import Pairs, PlannedPairs
from corrwise.envs.flow_data import pairs as flow_pairs
from corrwise.envs.tasks.goals import start_state
from corrwise.envs.tasks.metric import integration_size
from corrwise.experiments import cli
from corrwise.experiments.cli.train_flow import FIRST_PLANNED_SEED, TrainFlowConfig
from corrwise.experiments.runs.settings import settings_of
from corrwise.experiments.studies.flows import plans as flow_plans
from corrwise.experiments.studies.flows import train as flow_train
from corrwise.experiments.studies.flows.plans import planned_states
from corrwise.experiments.studies.flows.train import command, make_flow_trainer, run_train_flow
from corrwise.predictors.training import Trainer

SMALL_NET = {"fine": 4, "coarse": 8, "width": 16, "heads": 2, "hidden": 4, "updates": 2, "refinements": 1}
TINY = TrainFlowConfig(
    steps=4, batch=3, size=32, episodes=2, checkpoint_every=2, eval_pairs=3, device="cpu", **SMALL_NET
)


@pytest.fixture
def few_bodies(monkeypatch):
    """Train on Cartpole and a pendulum, and evaluate on Cartpole."""
    monkeypatch.setattr(flow_pairs, "TASK_BODIES", ("cartpole",))
    monkeypatch.setattr(flow_pairs, "OTHER_BODIES", ("pendulum",))
    monkeypatch.setattr(flow_pairs, "CAMERAS", 1)
    for module, name in ((flow_train, "BODY_NAMES"), (flow_train, "BODIES"), (flow_plans, "BODY_NAMES")):
        monkeypatch.setattr(module, name, ("cartpole",))


def test_a_stopped_run_ends_as_if_it_had_not_been(tmp_path, few_bodies, monkeypatch):
    whole = run_train_flow(replace(TINY, out=tmp_path / "whole"))
    stopped = replace(TINY, out=tmp_path / "stopped")
    learn, calls = Trainer.learn, []

    def dies(self, pairs):
        calls.append(1)
        if len(calls) == 4:  # one step after the checkpoint
            raise KeyboardInterrupt
        return learn(self, pairs)

    monkeypatch.setattr(Trainer, "learn", dies)
    with pytest.raises(KeyboardInterrupt):
        run_train_flow(stopped)
    monkeypatch.setattr(Trainer, "learn", learn)
    resumed = run_train_flow(stopped)
    one, two = (torch.load(path.parent / "checkpoint.pt", weights_only=True) for path in (whole, resumed))
    assert one["losses"] == two["losses"]
    assert len(one["losses"]) == TINY.steps
    assert all(
        torch.equal(one["networks"]["net"][name], two["networks"]["net"][name]) for name in one["networks"]["net"]
    )
    monkeypatch.setattr(Trainer, "learn", dies)
    assert run_train_flow(stopped) == resumed, "a finished run went on"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("step", -1, "expected a whole number from 0 as step, got -1"),
        ("networks", {"net": {}}, r"is a checkpoint of other networks than net \(FlowNet\)"),
        ("schedules", {"net": {"total_steps": "many"}}, "is a checkpoint of other networks"),
        ("record", {"errors": [{"step": 1, "bodies": {"ant": {"epe_0_8": 7}}}], "begun_with": {}}, "holds no record"),
        ("record", {"errors": 7, "begun_with": {}}, "holds no record of a training"),
        ("record", {}, "holds no record of a training"),
        (
            "record",
            {"errors": [], "begun_with": {"steps": 7}},
            "expected texts by name as begun_with, got {'steps': 7}",
        ),
    ],
)
def test_an_edited_checkpoint_is_one_sentence(tmp_path, field, value, message):
    config = replace(TINY, out=tmp_path)
    make_flow_trainer(config).save()
    assert make_flow_trainer(config).resume()
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    torch.save({**state, field: value}, tmp_path / "checkpoint.pt")
    (tmp_path / "config.json").write_text(json.dumps(jsonable(settings_of(config))))
    with pytest.raises(ValueError, match=rf"checkpoint\.pt .*{message}"):
        run_train_flow(config)


def test_the_folder_holds_weights_that_load_and_a_card_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(flow_pairs, "OTHER_BODIES", ("pendulum",))
    weights = run_train_flow(replace(TINY, out=tmp_path / "run"))
    flow = LearnedFlow(weights)(torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32))
    assert flow.isfinite().all()
    card = (tmp_path / "run" / "card.md").read_text()
    assert "corrwise train-flow --steps 4 --batch 3" in card
    for body in ("cartpole", "ant", "humanoid", "walker", "cheetah", "textures"):
        assert f"| {body} |" in card
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert [row["step"] for row in history["errors"]] == [2, 4]
    assert (tmp_path / "run" / "curves.png").stat().st_size > 1000


def test_it_learns():
    trainer = make_flow_trainer(replace(TINY, steps=60, lr=3e-3, fine=8, coarse=16, width=32, hidden=8))
    x = torch.zeros(4, 3, 32, 32)
    x[:, :, 8:16, 4:12] = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    y = x.roll(5, dims=-1)
    body = (x > 0).any(dim=1, keepdim=True)
    flow = torch.cat((5.0 * body, 0.0 * body), dim=1)
    everywhere = torch.ones(4, 32, 32, dtype=torch.bool)
    pairs = Pairs(x, y, flow, -flow.roll(5, dims=-1), everywhere, everywhere)
    losses = [float(trainer.learn(pairs).total) for _ in range(60)]
    assert losses[-1] < 0.35 * losses[0]


def test_a_loss_that_is_not_finite_stops_and_changes_nothing(tmp_path):
    trainer = make_flow_trainer(replace(TINY, out=tmp_path))
    net = trainer.kept("net")
    with torch.no_grad():
        next(net.parameters()).fill_(float("nan"))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    pairs = Pairs(*(torch.rand(1, 3, 32, 32) for _ in range(2)), *(torch.ones(1, 2, 32, 32) for _ in range(2)),
                  *(torch.ones(1, 32, 32, dtype=torch.bool) for _ in range(2)))  # fmt: skip
    with pytest.raises(FloatingPointError, match="the loss is nan at step 0"):
        trainer.learn(pairs)
    after = net.state_dict()
    assert all(torch.equal(before[name].nan_to_num(7), after[name].nan_to_num(7)) for name in before)


def test_plans_are_learned_from():
    states = planned_states("cartpole", "small", size=16, episodes=1, candidates=4)
    simulator = MujocoSimulator(TASKS["cartpole"], size=16)
    steps, iterations = TASKS["cartpole"].episode_steps, 3
    assert states.shape == (steps * iterations * 4, 2, integration_size(simulator.model))
    assert (states[:, 1] == states[0, 1]).all(), "one episode has one goal"
    _, goal = Fleet(MujocoSimulator(TASKS["cartpole"], size=16)).reset([FIRST_PLANNED_SEED])
    pairs = PlannedPairs(simulator, states).sample(5, np.random.default_rng(0))
    assert torch.equal(pairs.x[0], goal.frames[0, 0]), "x is the goal, y the candidate"
    assert pairs.flow_xy.nan_to_num(0).abs().amax() > 1, "candidates are elsewhere"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--width", "10", "--heads", "3"], "width must be a multiple of 3 heads, got 10"),
        (["--size", "30"], "size must be a multiple of 4 and at least 16, got 30"),
        (["--steps", "0"], "steps must be at least 1, got 0"),
        (["--lr", "nan"], "lr must be in (0, 1e+06], got nan"),
        (["--plans", "-1"], "plans must be from 0 to 5000: further ones test, got -1"),
        (["--plans", "6000", "--init-from", "small"], "plans must be from 0 to 5000: further ones test, got 6000"),
        (["--plans", "2"], "init_from must be weights to plan with, for --plans, got none"),
        (["--tasks", "1.5"], "tasks must be in [0, 1], got 1.5"),
        (["--device", "tpu"], "unknown device 'tpu' (did you mean cpu?); there are auto, cpu, cuda"),
    ],
)
def test_bad_options_are_one_sentence(flags, message, tmp_path, capsys):
    assert cli.main(["train-flow", "--out", str(tmp_path / "run"), *flags]) == 2
    assert capsys.readouterr().err == f"corrwise: {message}\n"
    assert not (tmp_path / "run").exists()


def test_the_average_of_the_weights_is_what_is_kept(tmp_path, few_bodies):
    last, kept = (
        run_train_flow(replace(TINY, out=tmp_path / name, steps=2, ema=ema))
        for name, ema in (("last", 0.0), ("kept", 0.9))
    )
    state = torch.load(kept.parent / "checkpoint.pt", weights_only=True)
    average = {name.removeprefix("module."): value for name, value in state["averages"]["net"].items()}
    nets = load_net(last).state_dict(), load_net(kept).state_dict()
    assert all(torch.equal(value, average[name]) for name, value in nets[1].items())
    assert any(not torch.equal(nets[0][name], nets[1][name]) for name in nets[0])


def test_another_configuration_does_not_continue_a_run(tmp_path, few_bodies, capsys):
    run_train_flow(replace(TINY, out=tmp_path / "run", steps=2))
    with pytest.raises(ValueError, match="batch"):
        run_train_flow(replace(TINY, out=tmp_path / "run", steps=2, batch=5))


def test_training_goes_on_from_weights_that_are_there(tmp_path):
    net = FlowNet(FlowNetConfig(**SMALL_NET))
    save_net(net, tmp_path / "net.safetensors")
    trainer = make_flow_trainer(replace(TINY, updates=1, init_from=str(tmp_path / "net.safetensors")))
    assert trainer.kept("net").config.updates == 1
    there = net.state_dict()
    assert all(torch.equal(value, there[name]) for name, value in trainer.kept("net").state_dict().items())


def test_a_second_stage_says_what_it_went_on_from_and_resumes_without_it(tmp_path, few_bodies):
    first = run_train_flow(replace(TINY, out=tmp_path / "first", steps=2))
    second = replace(TINY, out=tmp_path / "second", steps=2, init_from=str(first), updates=1)
    weights = run_train_flow(second)
    first.unlink()
    assert run_train_flow(second) == weights
    facts = facts_of(weights)
    assert (facts["steps"], facts["before_steps"]) == ("2", "2")
    assert "--updates 2" in facts["before_command"]
    card = (tmp_path / "second" / "card.md").read_text()
    assert f"| went on from | network {facts['before_network']}: 2 steps, `corrwise train-flow --steps 2" in card


def test_a_stage_on_plans_makes_them_once(tmp_path, few_bodies, monkeypatch):
    planned = []

    def plan(task, weights, *, size, episodes):
        planned.append((task, weights, size, episodes))
        simulator = MujocoSimulator(TASKS[task], size=size)
        states = np.stack([start_state(TASKS[task], simulator.model, np.random.default_rng(i)) for i in range(4)])
        return states.reshape(2, 2, -1).astype(np.float32)

    monkeypatch.setattr(flow_plans, "planned_states", plan)
    first = run_train_flow(replace(TINY, out=tmp_path / "first", steps=2))
    second = replace(TINY, out=tmp_path / "second", steps=2, tasks=0.9, init_from=str(first), plans=3)
    weights = run_train_flow(second)
    assert planned == [("cartpole", str(first), 32, 3)]
    (tmp_path / "second" / "checkpoint.pt").unlink()
    run_train_flow(second)
    assert len(planned) == 1, "what was planned is kept"
    assert "half of them as 3 planned episodes of each" in (weights.parent / "card.md").read_text()


@pytest.mark.parametrize(
    ("weights", "message"), [("nowhere", "'nowhere' which is no file"), ("small", r"as wide as .*width=16.*'small'")]
)
def test_weights_that_cannot_be_gone_on_from_are_named_and_nothing_is_written(tmp_path, weights, message):
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        run_train_flow(replace(TINY, out=tmp_path / "run", init_from=weights))
    assert not (tmp_path / "run").exists()


def test_the_command_names_what_differs_from_the_defaults():
    assert command(TrainFlowConfig()) == "corrwise train-flow"
    assert command(TrainFlowConfig(steps=9, width=64)) == "corrwise train-flow --steps 9 --width 64"


def test_the_net_that_is_trained_by_default_is_the_default_net():
    plain = TrainFlowConfig()
    assert FlowNetConfig(**{name: getattr(plain, name) for name in vars(FlowNetConfig())}) == FlowNetConfig()


def test_cuda_is_refused_where_there_is_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match="finds no GPU here"):
        make_flow_trainer(replace(TINY, device="cuda"))
