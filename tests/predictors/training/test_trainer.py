"""One trainer: networks that learn in turn resume to the bit after a stop at any step, and average what is asked."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from corrwise.predictors.training import Learning, Loss, Phase, Trainer, TrainerConfig
from corrwise.predictors.training.objective import check_objective, phase_at

PHASES = (Phase("generator", ("generator",), 2), Phase("discriminator", ("discriminator",), 1))


@dataclass(frozen=True)
class Points:
    values: Tensor

    def to(self, device):
        return Points(self.values.to(device))


class Circle:
    """Points on a circle; the batch of a step does not depend on earlier calls."""

    def batch(self, step):
        angles = 2 * torch.pi * torch.rand(32, generator=torch.Generator().manual_seed(step))
        return Points(torch.stack([angles.cos(), angles.sin()], dim=1))


class Adversarial:
    """A generative adversarial loss of points: non-saturating, with batch normalisation in the generator."""

    phases = PHASES

    def __init__(self, seed=0):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            generator = nn.Sequential(nn.Linear(4, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 2))
            discriminator = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
        self.networks = {"generator": generator, "discriminator": discriminator}

    def loss(self, batch, generator, phase):
        made = self.networks["generator"](torch.randn(len(batch.values), 4, generator=generator))
        score = self.networks["discriminator"]
        if phase == "generator":
            return Loss(F.softplus(-score(made)).mean(), {}, {"points": made})
        real, fake = F.softplus(-score(batch.values)).mean(), F.softplus(score(made.detach())).mean()
        return Loss(real + fake, {"real": real, "fake": fake})


def _config(out, **changes):
    learning = {
        "generator": Learning(1e-3, betas=(0.5, 0.999), ema=0.9),
        "discriminator": Learning(4e-3, "rmsprop", max_grad_norm=0.5),
    }
    return replace(TrainerConfig(out, 7, learning, checkpoint_every=1), **changes)


def _state(out):
    return torch.load(out / "checkpoint.pt", weights_only=True)


def _same(one, two):
    """Whether two states are equal to the bit, but for the time that they took."""
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(_same(one[key], two[key]) for key in one if key != "seconds")
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(_same, one, two))
    return torch.equal(one, two) if isinstance(one, Tensor) else one == two


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The state of a run that was never stopped."""
    out = tmp_path_factory.mktemp("whole")
    for _ in Trainer(Adversarial(), _config(out)).run(Circle()):
        pass
    return _state(out)


@pytest.mark.parametrize("stop", range(1, 7))
@pytest.mark.parametrize("every", [1, 4])
def test_a_run_that_stops_at_any_step_ends_to_the_bit_like_one_that_does_not(whole, tmp_path, stop, every):
    config = _config(tmp_path, checkpoint_every=every)
    for taken in Trainer(Adversarial(), config).run(Circle()):
        if taken.step == stop:
            break  # before its checkpoint
    trainer = Trainer(Adversarial(seed=9), config)  # other weights, to be replaced
    if trainer.resume():
        assert trainer.step == (stop - 1) // every * every
    else:
        trainer = Trainer(Adversarial(), config)
    for _ in trainer.run(Circle()):
        pass
    assert _same(_state(tmp_path), whole)
    assert len(whole["losses"]) == len(set(whole["losses"])) == 7


def test_kill_9_in_the_middle_of_a_cycle_changes_nothing(whole, tmp_path):
    script = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from tests.predictors.training.test_trainer import Adversarial, Circle, Trainer, _config\n"
        "for taken in Trainer(Adversarial(), _config(Path(sys.argv[1]))).run(Circle()):\n"
        "    if taken.step == 5: os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[3]
    run, environment = [sys.executable, "-c", script, str(tmp_path)], {**os.environ, "PYTHONPATH": str(root)}
    assert subprocess.run(run, cwd=root, env=environment, check=False, timeout=600).returncode == -signal.SIGKILL
    assert len(_state(tmp_path)["losses"]) == 4
    trainer = Trainer(Adversarial(seed=9), _config(tmp_path))
    assert trainer.resume()
    for _ in trainer.run(Circle()):
        pass
    assert _same(_state(tmp_path), whole)


def test_networks_learn_in_turn_each_by_its_own_optimiser(tmp_path):
    trainer = Trainer(Adversarial(), _config(tmp_path))
    names, changed = [], []
    before = {name: nn.utils.parameters_to_vector(net.parameters()) for name, net in trainer.objective.networks.items()}
    for taken in trainer.run(Circle()):
        after = {name: nn.utils.parameters_to_vector(n.parameters()) for name, n in trainer.objective.networks.items()}
        changed.append([name for name in after if not torch.equal(before[name], after[name])])
        names.append(taken.phase)
        before = after
    assert names == ["generator", "generator", "discriminator"] * 2 + ["generator"]
    assert changed == [[name] for name in names]
    optimizers = _state(tmp_path)["optimizers"]
    assert [optimizers[name]["param_groups"][0]["lr"] for name in ("generator", "discriminator")] == [1e-3, 4e-3]
    assert {int(each["step"]) for each in optimizers["generator"]["state"].values()} == {5}
    assert {int(each["step"]) for each in optimizers["discriminator"]["state"].values()} == {2}


def test_a_phase_costs_no_gradient_of_networks_that_do_not_learn(tmp_path):
    trainer = Trainer(Adversarial(), _config(tmp_path))
    trainer.learn(Circle().batch(0))
    assert all(weight.grad is None for weight in trainer.objective.networks["discriminator"].parameters())
    assert all(weight.grad is not None for weight in trainer.objective.networks["generator"].parameters())


def test_only_the_chosen_network_is_averaged_over_the_steps_in_which_it_learns(tmp_path):
    trainer = Trainer(Adversarial(), _config(tmp_path, steps=6))
    assert trainer.kept("discriminator") is trainer.objective.networks["discriminator"]
    weights, mean, count = trainer.objective.networks["generator"][0].weight, None, 0
    for taken in trainer.run(Circle()):
        if taken.phase != "generator":
            continue
        decay = min(0.9, (1 + count) / (10 + count))
        mean = weights.detach().clone() if mean is None else decay * mean + (1 - decay) * weights.detach()
        count += 1
    torch.testing.assert_close(trainer.kept("generator")[0].weight, mean)
    assert not torch.equal(trainer.kept("generator")[0].weight, weights)


def test_each_phase_has_its_own_curves(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for _ in Trainer(Adversarial(), _config(tmp_path)).run(Circle()):
        pass
    events = EventAccumulator(str(tmp_path / "logs"))
    events.Reload()
    steps = {tag: [event.step for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert steps == {
        "generator/loss": [1, 2, 4, 5, 7],
        **{f"discriminator/{part}": [3, 6] for part in ("loss", "real", "fake")},
    }


def test_it_learns_the_circle(tmp_path):
    config = _config(tmp_path, steps=300, checkpoint_every=300)
    trainer = Trainer(Adversarial(), config)
    for _ in trainer.run(Circle()):
        pass
    noise = torch.randn(512, 4, generator=torch.Generator().manual_seed(1))
    first, last = (
        net.eval()(noise).norm(dim=1).mean().item()
        for net in (Adversarial().networks["generator"], trainer.kept("generator"))
    )
    assert abs(last - 1) < 0.3 < abs(first - 1)


class Distilled:
    """A student that learns from a frozen teacher in two phases, the second one with a critic beside it."""

    phases = (Phase("match", ("student",)), Phase("both", ("student", "critic")))

    def __init__(self):
        self.networks = {name: nn.Linear(2, 2) for name in ("teacher", "student", "critic")}

    def loss(self, batch, generator, phase):
        wanted, got = (self.networks[name](batch.values) for name in ("teacher", "student"))
        return Loss((wanted - got).square().mean() + self.networks["critic"](got).square().mean())


def test_a_teacher_stays_frozen_and_two_phases_share_a_students_optimiser(tmp_path):
    objective = Distilled()
    teacher = {name: value.clone() for name, value in objective.networks["teacher"].state_dict().items()}
    config = TrainerConfig(tmp_path, 4, Learning(1e-2, schedule="one-cycle"), checkpoint_every=4)
    for _ in Trainer(objective, config).run(Circle()):
        pass
    assert all(torch.equal(value, teacher[name]) for name, value in objective.networks["teacher"].state_dict().items())
    assert not objective.networks["teacher"].training
    state = _state(tmp_path)
    assert state["networks"].keys() == state["optimizers"].keys() == {"student", "critic"}
    counts = {name: int(state["optimizers"][name]["state"][0]["step"]) for name in ("student", "critic")}
    assert counts == {"student": 4, "critic": 2}
    assert {name: each["total_steps"] for name, each in state["schedules"].items()} == {"student": 5, "critic": 3}


@pytest.mark.parametrize("part", ["loss", "gradient"])
def test_what_is_not_finite_changes_no_network_and_saves_the_batch(tmp_path, part):
    class Broken(Adversarial):
        def loss(self, batch, generator, phase):
            loss = super().loss(batch, generator, phase)
            bad = loss.total * torch.nan if part == "loss" else (loss.total - loss.total.detach()).abs().sqrt()
            return Loss(bad if phase == "discriminator" else loss.total)

    trainer = Trainer(Broken(), _config(tmp_path))
    for _ in range(2):
        trainer.learn(Circle().batch(trainer.step))
    before = {name: nn.utils.parameters_to_vector(net.parameters()) for name, net in trainer.objective.networks.items()}
    with pytest.raises(FloatingPointError, match=rf"the {part} is (nan|inf) at step 2; the batch is in .*batch-2.npz"):
        trainer.learn(Circle().batch(2))
    np.testing.assert_array_equal(np.load(tmp_path / "batch-2.npz")["values"], Circle().batch(2).values)
    for name, net in trainer.objective.networks.items():
        assert torch.equal(nn.utils.parameters_to_vector(net.parameters()), before[name])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("networks", lambda each: {"generator": each["generator"]}),
        ("optimizers", lambda each: {**each, "generator": each["discriminator"]}),
        ("averages", lambda each: {}),
    ],
)
def test_a_checkpoint_of_other_networks_is_one_sentence(whole, tmp_path, kind, value):
    torch.save({**whole, kind: value(whole[kind])}, tmp_path / "checkpoint.pt")
    with pytest.raises(
        ValueError, match=r"of other networks than generator \(Sequential\), discriminator \(Sequential\): expected"
    ):
        Trainer(Adversarial(), _config(tmp_path)).resume()


def test_phases_follow_each_other_over_and_over():
    assert [phase_at(PHASES, step).name[0] for step in range(7)] == list("ggdggdg")


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ((), r"expected phases with different names, at least one, got \[\]"),
        ((PHASES[0], PHASES[0]), "expected phases with different names"),
        ((Phase("a", ("generator",), 0),), "expected at least one step of phase 'a', got 0"),
        ((Phase("a", ()),), r"expected some of \['discriminator', 'generator'\] to learn in phase 'a', got \[\]"),
        ((Phase("a", ("critic",)),), r"to learn in phase 'a', got \['critic'\]"),
    ],
)
def test_phases_that_make_no_run_are_refused(phases, message):
    objective = Adversarial()
    objective.phases = phases
    with pytest.raises(ValueError, match=message):
        check_objective(objective)


def test_how_each_network_learns_must_be_said(tmp_path):
    with pytest.raises(ValueError, match=r"expected how 'discriminator' learns, got that of \['generator'\]"):
        Trainer(Adversarial(), _config(tmp_path, learning={"generator": Learning()}))
