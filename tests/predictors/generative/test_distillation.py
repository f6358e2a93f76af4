"""A student is taught by the difference of two predictions, on its own samples, with gradients where they belong."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from corrwise.costs.motion import MotionDiscriminator, MotionDiscriminatorConfig
from corrwise.predictors.data import Batch
from corrwise.predictors.generative import make_time_law
from corrwise.predictors.generative.denoiser import Denoiser, DenoiserConfig, sampling_times
from corrwise.predictors.generative.distillation import match_distribution, rollout, score_difference, student_of
from corrwise.predictors.training import Adversary, Collapse, Distillation
from corrwise.predictors.training import distillation as training
from corrwise.predictors.training.objective import named_phases, phase_at
from tests.predictors.tiny_models import awake

SIDE = 8


def _teacher(**options):
    torch.manual_seed(0)
    return awake(
        Denoiser(DenoiserConfig(**{"width": 4, "blocks": 1, "context": 2, "action_dim": 1, "scale": 0.05, **options})),
        SIDE,
    )


def _batch(clips=3, frames=5):
    drawn = torch.Generator().manual_seed(1)
    return Batch(
        0.3 + 0.4 * torch.rand(clips, frames, 3, SIDE, SIDE, generator=drawn),
        2 * torch.rand(clips, frames - 1, 1, generator=drawn) - 1,
    )


def _drawn(seed=0):
    return torch.Generator().manual_seed(seed)


class _Mean(nn.Module):
    """A discriminator that adds up the length of motion."""

    def __init__(self, factor=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(factor))

    def forward(self, maps):
        return self.weight * maps.flatten(1).sum(dim=1)


def _differences(frames):
    change = frames.diff(dim=1)
    return torch.cat([change, change[:, -1:]], dim=1)


def _adversary(**options):
    return Adversary(_Mean(), _differences, **{"least": -1e9, "most": 1e9, **options})


# the gradient


def test_the_gradient_is_the_normalised_difference_of_two_predictions():
    x, real, fake = (torch.randn(2, 3, 4, generator=_drawn(i)).requires_grad_(i == 0) for i in range(3))
    match_distribution(x, real, fake).backward()
    size = (x - real).abs().mean(dim=(1, 2), keepdim=True)
    torch.testing.assert_close(x.grad, ((fake - real) / size / x.numel()).detach())


def test_descent_moves_a_sample_towards_the_teacher():
    x, real = torch.zeros(1, 4), torch.ones(1, 4)
    assert (score_difference(x, real, fake=torch.zeros(1, 4)) < 0).all()


def test_a_sample_where_the_teacher_wants_it_stays():
    x = torch.ones(2, 3)
    assert torch.equal(score_difference(x, x, x), torch.zeros(2, 3, dtype=torch.float64))
    assert torch.equal(score_difference(x, x, 2 * x), torch.zeros(2, 3, dtype=torch.float64))


@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_prediction_that_is_not_finite_makes_a_loss_that_is_not(broken, which):
    each = [torch.randn(2, 4, generator=_drawn(i)) for i in range(3)]
    each[which][0, 0] = broken
    assert not match_distribution(*each).isfinite()


def test_the_gradient_is_that_which_fastgen_gave():
    """Numbers of ``vsd_loss`` of nvidia-modelopt 0.47, whose normaliser has 1e-6 added."""
    x, real, fake = (
        torch.tensor(each).view(2, 1, 2, 2)
        for each in (
            [0.5, -1.25, 2.0, 0.25, -0.75, 1.5, 0.125, -2.0],
            [0.25, -1.0, 1.0, 0.5, -0.5, 1.0, 0.5, -1.5],
            [0.75, -0.5, 1.5, -0.25, 0.25, 0.75, 1.0, -1.75],
        )
    )
    loss = match_distribution(x.requires_grad_(), real, fake)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.7835973, rel=1e-5)
    wanted = [0.1428568] * 3 + [-0.2142852, 0.2307687, -0.0769229, 0.1538458, -0.0769229]
    torch.testing.assert_close(x.grad.flatten(), torch.tensor(wanted), rtol=1e-5, atol=1e-6)


def test_the_gradient_is_that_of_fastgen():
    losses = pytest.importorskip("modelopt.torch.fastgen.losses", reason="nvidia-modelopt is not installed")
    x, real, fake = (torch.randn(4, 3, 8, 8, generator=_drawn(i)) for i in range(3))
    mine, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    loss, wanted = match_distribution(mine, real, fake), losses.vsd_loss(other, real, fake)
    torch.testing.assert_close(loss.float(), wanted, rtol=1e-5, atol=1e-7)
    loss.backward()
    wanted.backward()
    torch.testing.assert_close(mine.grad, other.grad, rtol=1e-4, atol=1e-7)  # its normaliser has 1e-6 added


# the student's samples


def test_a_student_samples_at_its_times_with_fresh_noise():
    student, seen = student_of(_teacher(), (0.25, 0.5, 0.75)), []
    assert sampling_times(student.config) == (0.25, 0.5, 0.75)
    assert sampling_times(replace(student.config, evaluations=1)) == (0.25,)
    assert not student.deterministic
    student.data_at = lambda condition, x, t: seen.append((x, t)) or torch.full_like(x, 2.0)
    noise = [torch.full((1, 3, SIDE, SIDE), float(i)) for i in range(3)]
    draws = iter(noise)
    condition = student.condition(_batch(1).frames[:, :2], _batch(1).actions[:, :2])
    student.sample(condition, lambda: next(draws))
    assert [t for _, t in seen] == [0.25, 0.5, 0.75]
    for (x, _), wanted in zip(seen, (noise[0], 0.5 * 2 + 0.5 * noise[1], 0.75 * 2 + 0.25 * noise[2]), strict=True):
        torch.testing.assert_close(x, wanted)


def test_a_rollout_is_what_the_model_predicts():
    """Context, actions, data and frames belong together, and the frames are those of a plan."""
    student, batch = student_of(_teacher(), (0.25, 0.75)), _batch()
    made = rollout(student, batch, _drawn(), evaluations=2)
    context, actions, data = made.flat()
    frames = student.frame(student.condition(context, actions), data)
    torch.testing.assert_close(frames, made.frames.flatten(0, 1))
    assert torch.equal(made.context[:, 0], batch.frames[:, :2])
    torch.testing.assert_close(made.context[:, 2], made.frames[:, :2])
    assert torch.equal(made.actions[:, 1], batch.actions[:, 1:3])


def test_gradients_reach_the_learned_frames_alone():
    student, batch = student_of(_teacher(), (0.25, 0.75)), _batch(frames=6)
    made = rollout(student, batch, _drawn(), evaluations=2, learned=slice(1, 3))
    assert made.frames.shape[1] == 3, "a rollout ends with its window"
    for frame, learned in enumerate((False, True, True)):
        (gradient,) = torch.autograd.grad(made.frames[:, frame].sum(), student.network.leave.weight, retain_graph=True)
        assert bool(gradient.any()) == learned


def test_no_gradient_passes_from_frame_to_frame():
    """The gradient of two frames is the sum of those of each, given its context."""
    student, batch = student_of(_teacher(), (0.5,)), _batch(frames=4)
    weight = student.network.leave.weight
    made = rollout(student, batch, _drawn(), evaluations=1, learned=slice(0, 2))
    both = torch.autograd.grad(made.data[:, 1].sum(), weight)[0]
    drawn = _drawn()
    noise = [torch.randn(batch.frames[:, 0].shape, generator=drawn) for _ in range(2)]
    condition = student.condition(made.context[:, 1], made.actions[:, 1])
    alone = torch.autograd.grad(student.data_at(condition, noise[1], 0.5).sum(), weight)[0]
    torch.testing.assert_close(both, alone)


# the objective


def test_phases_are_those_of_the_algorithm():
    teacher = _teacher()
    objective = Distillation(
        student_of(teacher, (0.5,)), teacher, make_time_law("shifted"), _adversary(), warm_up=2, total=24
    )
    names = [phase_at(objective.phases, step).name for step in range(24)]
    warm = ["warm-up distribution", *["warm-up fake score"] * 4]
    assert names[:10] == 2 * warm
    assert names[10:] == 2 * ["distribution", *["fake score"] * 4, "motion", "discriminator"]
    learns = {phase.name: phase.learns for phase in named_phases(objective.phases)}
    assert learns["fake score"] == ("fake score",)
    assert learns["motion"] == learns["warm-up distribution"] == ("model",)


def test_a_student_without_matching_never_warms_up_again():
    teacher, total = _teacher(), 60
    objective = Distillation(
        student_of(teacher, (0.5,)), teacher, make_time_law("shifted"), _adversary(), warm_up=2, total=total,
        matching=False,
    )  # fmt: skip
    names = [phase_at(objective.phases, step).name for step in range(total)]
    assert names[10:] == ["motion", "discriminator"] * 25


@pytest.mark.parametrize("phase", ["distribution", "fake score", "motion", "discriminator"])
def test_each_phase_has_gradients_for_what_learns_alone(phase):
    teacher = _teacher()
    objective = Distillation(
        student_of(teacher, (0.25, 0.75)), teacher, make_time_law("shifted"), _adversary(window=2), total=10
    )
    learns = {each.name: each.learns for each in named_phases(objective.phases)}[phase]
    networks = objective.networks
    nn.init.normal_(objective.fake.network.leave.bias)  # a fake score that is the teacher's teaches nothing
    for name, network in networks.items():
        network.requires_grad_(name in learns)
    loss = objective.loss(_batch(), _drawn(), phase)
    loss.total.backward()
    assert all(value.isfinite() and not value.requires_grad for value in loss.parts.values())
    for name, network in networks.items():
        assert any(each.grad is not None and each.grad.any() for each in network.parameters()) == (name in learns), name


def test_all_frames_of_a_window_share_a_normaliser(monkeypatch):
    seen = []
    monkeypatch.setattr(training, "match_distribution", lambda *each: seen.extend(each) or each[0].mean())
    teacher, batch = _teacher(), _batch(clips=3, frames=6)
    Distillation(student_of(teacher, (0.5,)), teacher, make_time_law("uniform"), total=5).loss(
        batch, _drawn(), "distribution"
    )
    assert [tuple(each.shape) for each in seen] == [(3, 4, 3, SIDE, SIDE)] * 3


def test_a_student_comes_closer_to_what_its_teacher_samples():
    """The teacher's data is 1 everywhere, the student begins at 0; the fake score network follows the student."""
    teacher = Denoiser(DenoiserConfig(width=4, blocks=1, context=1, scale=0.1))
    student = student_of(teacher, (0.5,))
    objective = Distillation(student, teacher, make_time_law("uniform"), total=100)
    teacher.data = lambda condition, x_t, t: torch.ones_like(x_t)
    batch = Batch(torch.full((4, 2, 3, SIDE, SIDE), 0.5), torch.zeros(4, 1, 0))
    optimizers = {
        name: torch.optim.Adam(objective.networks[name].parameters(), lr=0.01) for name in ("model", "fake score")
    }
    drawn = _drawn()
    for step in range(100):
        phase = phase_at(objective.phases, step)
        optimizer = optimizers[phase.learns[0]]
        optimizer.zero_grad()
        objective.loss(batch, drawn, phase.name).total.backward()
        optimizer.step()
    data = rollout(student, batch, drawn, evaluations=1).data
    assert 0.5 < float(data.mean()) < 1.5


def test_penalties_are_not_lost_in_the_rounding_of_bfloat16():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = MotionDiscriminator(MotionDiscriminatorConfig())
    teacher = _teacher()
    parts = []
    for mixed in (False, True):
        adversary = Adversary(network, _differences, sigma=1e-3, divide=True, least=None)
        made = Distillation(
            student_of(teacher, (0.5,)), teacher, make_time_law("uniform"), adversary, warm_up=0, total=9
        )
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
            parts.append(made.loss(_batch(), _drawn(), "discriminator").parts)
    for name in ("r1", "r2"):
        assert float(parts[0][name]) > 0
        assert float(parts[1][name]) == pytest.approx(float(parts[0][name]), rel=0.1)


def test_motion_is_not_rounded_to_bfloat16():
    network, frames = torch.nn.Conv2d(3, 3, 3, padding=1), torch.rand(2, 4, 3, 8, 8)
    adversary = Adversary(_Mean(), lambda clips: network(clips.flatten(0, 1)).view_as(clips))
    whole = adversary.seen(frames)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(adversary.seen(frames), whole)
        assert torch.equal(adversary.seen(frames.bfloat16()), adversary.seen(frames.bfloat16().float()))


def test_a_collapse_is_named():
    teacher = _teacher()

    def loss(**options):
        adversary = Adversary(_Mean(), _differences, **options)
        objective = Distillation(student_of(teacher, (0.5,)), teacher, make_time_law("shifted"), adversary, total=10)
        return objective.loss(_batch(), _drawn(), "discriminator")

    with pytest.raises(Collapse, match=r"the mean logit of real clips is .* beyond 1e-09"):
        loss(most=1e-9, least=-1e9)
    with pytest.raises(Collapse, match="of the motion of real ones, less than 1e\\+09"):
        loss(most=1e9, least=1e9)


def test_clips_that_all_stand_still_are_no_collapse():
    teacher, adversary = _teacher(), Adversary(_Mean(), torch.zeros_like, least=0.5)
    objective = Distillation(student_of(teacher, (0.5,)), teacher, make_time_law("shifted"), adversary, total=10)
    assert objective.loss(_batch(), _drawn(), "discriminator").parts["motion"] == 1


def test_bad_input_is_refused_in_a_sentence():
    teacher = _teacher()
    for times, sentence in (((), "expected the times"), ((0.5, 0.25), "rising times"), ((0.0,), "sample_at")):
        with pytest.raises(ValueError, match=sentence):
            student_of(teacher, times)
    with pytest.raises(ValueError, match=r"at most an evaluation for each of the times 0\.5, got 2"):
        DenoiserConfig(sample_at=(0.5,), evaluations=2)
    law = make_time_law("shifted")
    with pytest.raises(ValueError, match="samples at times of its own"):
        Distillation(teacher, teacher, law, total=1)
    other = student_of(_teacher(action_dim=2), (0.5,))
    with pytest.raises(ValueError, match="the teacher's action_dim, 1, got 2"):
        Distillation(other, teacher, law, total=1)
    with pytest.raises(ValueError, match="neither"):
        Distillation(student_of(teacher, (0.5,)), teacher, law, total=1, matching=False)
    long = Distillation(student_of(teacher, (0.5,)), teacher, law, _adversary(window=4), total=1)
    with pytest.raises(ValueError, match="window of 1 to 3 frames"):
        long.loss(_batch(), _drawn(), "motion")
