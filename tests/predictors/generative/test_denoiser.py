"""A denoiser begins as a copy, learns what is known in closed form, and refuses what it cannot do."""

from __future__ import annotations

import pytest
import torch

from corrwise.costs import CostSpec
from corrwise.predictors.data import Batch
from corrwise.predictors.generative import PATHS, make_time_law, make_weight
from corrwise.predictors.generative.denoiser import Denoiser, DenoiserConfig, sampling_times
from corrwise.predictors.generative.solvers import SOLVERS
from corrwise.predictors.training import FlowMatching, FramePrediction
from corrwise.predictors.training.flow_matching import TIMES
from corrwise.types import Context
from tests.predictors.tiny_models import awake

SIDE = 8


def _model(**options):
    torch.manual_seed(0)
    return Denoiser(DenoiserConfig(**{"width": 4, "blocks": 1, "context": 2, "action_dim": 1, **options}))


def _batch(clips=3, frames=5, seed=1):
    drawn = torch.Generator().manual_seed(seed)
    return Batch(
        torch.rand(clips, frames, 3, SIDE, SIDE, generator=drawn),
        2 * torch.rand(clips, frames - 1, 1, generator=drawn) - 1,
    )


def _futures(model, batch, seed=0):
    context = Context(batch.frames[:, :2], batch.actions[:, :1], None)
    generators = [torch.Generator().manual_seed(seed + i) for i in range(len(batch.frames))]
    with torch.no_grad():
        return model(context, batch.actions[:, None, 1:], generators=generators)


def _objective(model, weight="data", law="uniform", own_after=0, total=10):
    return FlowMatching(model, make_weight(weight), make_time_law(law), own_after=own_after, total=total)


@pytest.mark.parametrize("predicts", ["data", "velocity", "noise"])
@pytest.mark.parametrize("path", PATHS)
def test_a_new_model_copies_the_last_frame(path, predicts):
    batch = _batch()
    for solver in ("euler", "midpoint", "heun"):
        frames = _futures(_model(path=path, predicts=predicts, solver=solver, evaluations=3), batch)
        assert torch.equal(frames, batch.frames[:, None, 1:2].expand_as(frames))


def test_a_model_with_an_adaptive_solver_copies_the_last_frame():
    batch = _batch(clips=1, frames=3)
    assert torch.equal(_futures(_model(solver="dopri5"), batch)[:, 0, 0], batch.frames[:, 1])


@pytest.mark.parametrize("solver", [name for name, each in SOLVERS.items() if not each.adaptive])
def test_a_frame_takes_at_most_the_stated_evaluations(solver):
    for evaluations in range(1, 6):
        model, calls = _model(solver=solver, evaluations=evaluations), []
        model.network.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        _futures(model, _batch(clips=1, frames=3))
        assert evaluations - SOLVERS[solver].evaluations < len(calls) <= evaluations


def test_draws_matter_with_several_evaluations_alone():
    batch = _batch()
    for evaluations, same in ((1, True), (2, False)):
        model = awake(_model(evaluations=evaluations), SIDE)
        assert torch.equal(_futures(model, batch), _futures(model, batch, seed=9)) == same == model.deterministic


def test_a_crop_gives_what_the_whole_image_gives_inside():
    """No normalisation depends on the size of the image."""
    model = awake(_model(evaluations=1), SIDE)
    frames = _batch(frames=3).frames.repeat_interleave(16, dim=-1).repeat_interleave(16, dim=-2)
    actions = torch.zeros(3, 2, 1)
    whole, crop = (_futures(model, Batch(each, actions)) for each in (frames, frames[..., 16:112, 16:112]))
    difference = (whole[..., 60:68, 60:68] - crop[..., 44:52, 44:52]).abs().max()  # far from all edges
    assert difference < 0.01 * (whole - frames[:, None, 1:2]).abs().max()


def test_the_first_context_can_be_the_models_own():
    """A new model copies, so that its context after the first frame is the last true frame."""
    model, batch = _model(), _batch()
    objective = _objective(model, own_after=4, total=10)
    assert [(phase.name, phase.steps) for phase in objective.phases] == [("true context", 4), ("own frames", 6)]
    true, own = (
        objective.loss(batch, torch.Generator().manual_seed(0), phase.name).parts for phase in objective.phases
    )
    for step in range(3):
        target = batch.frames[:, 2 + step]
        for parts, last in ((true, batch.frames[:, 1 + step]), (own, batch.frames[:, 1])):
            torch.testing.assert_close(parts[f"step {step + 1}"], (target - last).square().mean())


def test_a_chain_predicted_from_noise_alone_is_regression():
    """Same gradients, through all frames, as the squared error of the same network's predictions inside [0, 1]."""
    model, batch, gradients = awake(_model(evaluations=1, scale=0.01), SIDE), _batch(), []
    batch = Batch(0.25 + 0.5 * batch.frames, batch.actions)
    objective = _objective(model, law="shifted:shift=1e12")
    for total in (
        objective.loss(batch, torch.Generator().manual_seed(0), "own frames").total,
        FramePrediction(model, CostSpec.parse("mse").build()).loss(batch).total / 3 / model.config.scale**2,
    ):
        model.zero_grad()
        total.backward()
        gradients.append(torch.cat([each.grad.flatten() for each in model.parameters() if each.grad is not None]))
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-5)


def test_the_chain_follows_the_true_frames_where_times_are_near_the_data():
    """A network that gives back x_t has, at late times, own frames that are nearly the true ones."""
    model, batch = _model(), _batch()
    model.data = lambda condition, x_t, t: x_t
    for law, least, most in (("shifted:shift=1000", 0.02, 10.0), ("shifted:shift=0.001", 0.0, 0.01)):
        loss = _objective(model, law=law).loss(batch, torch.Generator().manual_seed(0), "own frames")
        assert least < float(loss.parts["step 3"]) < most


def test_held_out_windows_have_the_velocity_loss_at_fixed_times():
    """That of a copy is the data over 1 - t, squared."""
    model, batch = _model(scale=0.5), _batch()
    loss = _objective(model).evaluate(batch, {"model": model}, torch.Generator().manual_seed(0))
    x1 = (batch.frames[:, 2:] - batch.frames[:, 1:-1]) / 0.5
    for t in TIMES:
        torch.testing.assert_close(loss.parts[f"velocity {t:g}"], (x1 / (1 - t)).square().mean())
    assert torch.equal(loss.outputs["frames"], batch.frames[:, 1:2].expand(-1, 3, -1, -1, -1))


def test_a_weight_counts_by_its_shape_alone():
    """A constant weight of any size gives the same loss, and a rising one makes late times count more."""
    model, batch = awake(_model(), SIDE), _batch()

    def loss(weight):
        return _objective(model, weight).loss(batch, torch.Generator().manual_seed(0), "own frames").total

    torch.testing.assert_close(loss("flowfusion:power=0"), loss("data"))
    assert not torch.allclose(loss("flowfusion"), loss("data"))


def test_it_learns_the_posterior_mean_of_a_gaussian():
    """Each pixel changes by 0.1 (action + n), n standard normal: x1 is normal, and E[x1 | x_t] is known.

    One evaluation reaches it; later ones, which have to see each pixel's own noise, get most of the way in these steps.
    """
    model, drawn, steps = _model(scale=0.1, width=8, evaluations=1), torch.Generator().manual_seed(0), 150
    objective = _objective(model)
    optimizer = torch.optim.Adam(model.parameters())

    def batch(clips):
        actions = 2 * torch.rand(clips, 2, 1, generator=drawn) - 1
        frames = torch.full((clips, 3, 3, SIDE, SIDE), 0.5)
        change = actions[:, 1, :, None, None] + torch.randn(clips, 3, SIDE, SIDE, generator=drawn)
        return Batch(torch.cat([frames[:, :2], 0.5 + 0.1 * change[:, None]], dim=1), actions)

    losses = []
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / steps)
        optimizer.zero_grad()
        loss = objective.loss(batch(16), drawn, "own frames").total
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-30:]) < 0.8 * sum(losses[:30])
    held = batch(64)
    action = held.actions[:, 1, :, None, None].expand(-1, 3, SIDE, SIDE)
    condition = model.condition(held.frames[:, :2], held.actions[:, :2])
    for t, most in ((0.0, 0.1), (0.5, 0.6), (0.8, 0.6)):
        x_t = t * (held.frames[:, 2] - 0.5) / 0.1 + (1 - t) * torch.randn(action.shape, generator=drawn)
        known = action + t * (x_t - t * action) / (t**2 + (1 - t) ** 2)
        with torch.no_grad():
            error = model.data(condition, x_t, torch.tensor([t])) - known
        assert error.square().mean() < most * (known - known.mean()).square().mean()
    frames = _futures(model, held)[:, 0, 0]
    assert (frames - (0.5 + 0.1 * action)).abs().mean() < 0.02


@pytest.mark.parametrize("sample_at", [(), (0.3, 0.6)])
def test_the_temperature_is_a_factor_of_all_noise(sample_at):
    noise = torch.randn(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
    batch, frames = _batch(), []
    for temperature, drawn in ((1.0, 1.5 * noise), (1.5, noise), (1.0, noise)):
        model = awake(_model(sample_at=sample_at, temperature=temperature, evaluations=2), SIDE)
        condition = model.condition(batch.frames[:, :2], batch.actions[:, :2])
        frames.append(model.sample(condition, lambda drawn=drawn: drawn))
    assert torch.equal(frames[0], frames[1])
    assert not torch.allclose(frames[0], frames[2])


def test_the_noise_of_successive_frames_is_correlated(monkeypatch):
    seen, model, frames = [], _model(correlation=0.6, evaluations=2), 400
    monkeypatch.setattr(
        model, "advance", lambda memory, action, noise: (seen.append(noise()), (seen[-1], memory[:2]))[1]
    )
    batch = _batch(clips=1, frames=2)
    memory = model.start(batch.frames, batch.actions, [torch.Generator().manual_seed(0)])
    memory = tuple(part.repeat_interleave(2, dim=0) for part in memory)  # of two candidates
    drawn = [torch.Generator().manual_seed(1)]
    for _ in range(frames):
        memory = model.step(memory, torch.zeros(2, 1), drawn)[1]
    noise = torch.stack(seen)
    assert torch.equal(noise[:, 0], noise[:, 1]), "candidates share it"
    noise = noise[:, 0].flatten(1).double()
    assert noise.std() == pytest.approx(1, abs=0.01)
    for lag in (1, 2):
        assert (noise[lag:] * noise[:-lag]).mean() == pytest.approx(0.6**lag, abs=0.02)


def test_correlated_noise_reaches_the_frames():
    batch = _batch()
    model = awake(_model(correlation=1.0, evaluations=2), SIDE)
    other = awake(_model(correlation=0.5, evaluations=2), SIDE)
    first, second = (_futures(each, batch) for each in (model, other))
    assert not torch.allclose(first, second)
    with pytest.raises(
        ValueError, match=r"expected correlation 0 of a model that samples at times of its own, got 0\.5"
    ):
        DenoiserConfig(correlation=0.5, sample_at=(0.5,), evaluations=1)


def test_bad_input_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="sides that are multiples of 8, got \\(12, 16\\)"):
        _model().start(torch.zeros(1, 2, 3, 12, 16), torch.zeros(1, 1, 1), None)
    for options, sentence in (
        ({"evaluations": 0}, "evaluations must be at least 1, got 0"),
        ({"predicts": "score"}, "predicts"),
        ({"solver": "rk9"}, "unknown solver 'rk9'"),
        ({"path": "spiral"}, "unknown path 'spiral'"),
        ({"time_grid": "dense"}, "unknown time law 'dense'"),
        ({"temperature": 0.0}, "temperature must be in \\(0, 10\\], got 0.0"),
        ({"scale": 0.0}, "scale must be in \\(0, 100\\], got 0.0"),
    ):
        with pytest.raises(ValueError, match=sentence):
            DenoiserConfig(**options)
    with pytest.raises(ValueError, match="must be positive and finite inside \\(0, 1\\), got inf at t = 0"):
        _objective(_model(), "flowfusion:epsilon=0,power=400")
    assert sampling_times(DenoiserConfig(evaluations=1)) == (0.0,)
