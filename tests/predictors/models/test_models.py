"""Learned models: their contexts, their chains, their files."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from corrwise._network_size import check_network
from corrwise.costs import l1, mse
from corrwise.predictors import SVG, ResNet3D
from corrwise.predictors.data import Batch
from corrwise.predictors.models.registry import MODELS, load_model, make_model
from corrwise.predictors.models.stochastic import kl_divergence
from corrwise.predictors.training import FramePrediction
from corrwise.testing import check_predictor
from corrwise.types import Context
from tests.predictors.tiny_models import awake

TINY = {
    "resnet3d": {"width": 2, "downs": 2, "blocks3d": 1, "blocks2d": 1},
    "svg": {"width": 2, "size": 16, "features": 4, "latent": 2, "hidden": 4},
    "svg-prime": {"width": 2, "features": 4, "latent": 2, "hidden": 4},
    "denoiser": {"width": 2, "blocks": 1},
}


def _model(name, seed=0, **options):
    torch.manual_seed(seed)
    return make_model(name, **{**TINY[name], "context": 2, "action_dim": 3, **options})


def _batch(frames=5, actions=3, clips=2):
    drawn = torch.Generator().manual_seed(1)
    return Batch(
        torch.rand(clips, frames, 3, 16, 16, generator=drawn),
        2 * torch.rand(clips, frames - 1, actions, generator=drawn) - 1,
    )


def _context(batch, k=2):
    return Context(batch.frames[:, :k], batch.actions[:, : k - 1], None)


def test_every_model_is_tested_here():
    assert TINY.keys() == MODELS.keys()


SHARED = {"context": 2, "action_dim": 3, "width": 2, "features": 4, "latent": 2, "hidden": 4, "channels": 3}
STOCHASTIC = {**SHARED, "layers": 2, "beta": 1e-4, "recursive": False}


@pytest.mark.parametrize(("name", "config"), [("svg", {**STOCHASTIC, "size": 16}), ("svg-prime", STOCHASTIC)])
def test_config_json_holds_every_field(name, config, tmp_path):
    _model(name).save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["config"] == config


@pytest.mark.parametrize("name", MODELS)
def test_the_loss_is_the_sum_of_all_steps_and_reaches_every_weight(name):
    model = _model(name)
    loss = FramePrediction(model, l1).loss(_batch(), torch.Generator().manual_seed(0))
    steps = 4 if name.startswith("svg") else 3  # SVG predicts its context, too
    assert loss.parts.keys() == {"penalty", *(f"step {t + 1}" for t in range(steps))}
    torch.testing.assert_close(loss.total.detach(), sum(loss.parts.values()))
    loss.total.backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())


def test_gradients_come_from_every_step_and_pass_through_the_chain():
    """The public code back-propagates the last step's loss alone."""
    model = _model("resnet3d").eval()

    def gradient(steps):
        model.zero_grad()
        learned = model.learn(_batch())
        l1(learned.frames, learned.targets)[:, steps].sum().backward()
        return model.leave[1].weight.grad.clone()

    total = gradient([0]) + gradient([1]) + gradient([2])
    torch.testing.assert_close(gradient([0, 1, 2]), total)
    assert not torch.allclose(gradient([2]), total)
    batch = _batch()
    batch.frames.requires_grad_(True)
    model.learn(batch).frames[:, 2].sum().backward()
    assert batch.frames.grad[:, 0].abs().sum() > 0, "the third prediction saw the context through the first alone"


@pytest.mark.parametrize("name", MODELS)
def test_actions_steer_what_is_imagined(name):
    model, batch = awake(_model(name)), _batch()
    with torch.no_grad():
        frames = model(_context(batch), torch.stack([torch.ones(2, 3, 3), -torch.ones(2, 3, 3)], dim=1))
    assert (frames[:, 0] - frames[:, 1]).abs().max() > 1e-2
    assert frames.min() >= 0
    assert frames.max() <= 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda frames, done, actions: (frames.double(), done, actions), "frames of torch.float32, .* torch.float64"),
        (lambda frames, done, actions: (frames, done, actions.double()), "actions of torch.float32, .* torch.float64"),
        (lambda frames, done, actions: (frames, done.double(), actions), "actions of torch.float32, .* torch.float64"),
        (lambda frames, done, actions: (frames[:, :0], done[:, :0], actions), r"at least 1, got \(2, 0, 3, 16, 16\)"),
        (lambda frames, done, actions: (frames[..., :0], done, actions), r"at least 1, got \(2, 2, 3, 16, 0\)"),
    ],
)
@pytest.mark.parametrize("name", MODELS)
def test_frames_and_actions_of_another_type_and_no_frames_are_refused(name, change, sentence, unhooked):
    model, batch = _model(name), _batch()
    context = _context(batch)
    frames, done, actions = change(context.frames, context.actions, batch.actions[:, None, 1:])
    with pytest.raises(ValueError, match=sentence):
        model(Context(frames, done, None), actions)


@pytest.mark.parametrize("name", MODELS)
def test_no_candidates_have_no_frames(name):
    batch = _batch()
    assert _model(name)(_context(batch), batch.actions[:, None, 1:][:, :0]).shape[:3] == (2, 0, 3)


@pytest.mark.parametrize("name", MODELS)
def test_half_precision_inside_gives_whole_frames(name):
    model, batch = awake(_model(name)), _batch()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        loss = FramePrediction(model, l1).loss(batch, torch.Generator().manual_seed(0))
        frames = model(_context(batch), batch.actions[:, None, 1:])
    assert frames.dtype == loss.total.dtype == torch.float32
    with torch.no_grad():
        whole = model(_context(batch), batch.actions[:, None, 1:])
        answer = whole - model(_context(batch), -batch.actions[:, None, 1:])
    assert (frames - whole).abs().max() < 0.3 * answer.abs().max(), "rounding is less than what actions change"


def test_training_and_imagining_are_the_same_chain():
    model, batch = awake(_model("resnet3d")), _batch()
    with torch.no_grad():
        imagined = model(_context(batch), batch.actions[:, None, 1:])[:, 0]
        torch.testing.assert_close(imagined, model.learn(batch).frames)


@pytest.mark.parametrize("name", MODELS)
def test_a_short_context_is_filled_up_and_of_a_long_one_the_newest_counts(name):
    model, batch = awake(_model(name, context=3)), _batch()
    actions = batch.actions[:, None, :2]
    first = batch.frames[:, :1]
    with torch.no_grad():
        short = model(Context(first, batch.actions[:, :0], None), actions)
        filled = Context(first.expand(-1, 3, -1, -1, -1), torch.zeros(2, 2, 3), None)
        torch.testing.assert_close(short, model(filled, actions))
        moved = Context(first.expand(-1, 3, -1, -1, -1), torch.ones(2, 2, 3), None)
        assert (short - model(moved, actions)).abs().max() > 1e-4, "past actions do not matter"
        long = model(Context(batch.frames, batch.actions, None), actions)
        newest = Context(batch.frames[:, 2:], batch.actions[:, 2:], None)
        torch.testing.assert_close(long, model(newest, actions))
        oldest = Context(batch.frames[:, :3], batch.actions[:, :2], None)
        assert (long - model(oldest, actions)).abs().max() > 1e-3, "the context does not matter"


@pytest.mark.parametrize("name", ["svg", "svg-prime", "denoiser"])
def test_draws_are_shared_by_candidates_and_drawn_from_copies(name):
    model, batch = awake(_model(name)), _batch()
    actions = batch.actions[:1, None, :3].expand(-1, 4, -1, -1)
    context = _context(Batch(batch.frames[:1], batch.actions[:1]))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        frames = model(context, actions, generators=[generator])
        torch.testing.assert_close(frames, frames[:, :1].expand_as(frames))
        torch.testing.assert_close(model(context, actions, generators=[generator]), frames)
        other = model(context, actions, generators=[torch.Generator().manual_seed(4)])
    assert (other - frames).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["svg", "svg-prime"])
@pytest.mark.parametrize(("recursive", "length"), [(False, 3), (True, 5)])
def test_training_and_imagining_agree_where_the_posterior_knows_no_more_than_the_prior(name, recursive, length):
    """Over one frame more than the context, or over all where training, too, continues from its own frames."""
    model, batch = awake(_model(name, recursive=recursive)), _batch(length)

    class Blind(torch.nn.Module):
        states = model.posterior.states
        begin = staticmethod(model.posterior.begin)

        def forward(self, features, states):
            (mean, log_variance), states = posterior(features, states)
            return (0 * mean + 0.3, 0 * log_variance - 60), states

    posterior = model.posterior.forward
    model.posterior = Blind()
    prior = model.prior.forward
    model.prior.forward = lambda features, states: (lambda made: ((0 * made[0][0] + 0.3, made[0][1]), made[1]))(
        prior(features, states)
    )
    with torch.no_grad():
        learned = model.learn(batch, torch.Generator().manual_seed(0)).frames[:, 1:]
        imagined = model(_context(batch), batch.actions[:, None, 1:])[:, 0]
        torch.testing.assert_close(learned, imagined, rtol=1e-3, atol=1e-4)
        shifted = Batch(batch.frames, batch.actions.flip(1))
        assert (model.learn(shifted, torch.Generator().manual_seed(0)).frames[:, 1:] - learned).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["svg", "svg-prime"])
def test_recursive_training_sees_its_own_frames_after_the_context(name):
    model, batch = awake(_model(name)), _batch(5)
    frames = {}
    for recursive in (False, True):
        model.config = replace(model.config, recursive=recursive)
        with torch.no_grad():
            frames[recursive] = model.learn(batch, torch.Generator().manual_seed(0)).frames
    true, own = frames[False], frames[True]
    torch.testing.assert_close(true[:, :2], own[:, :2])
    assert (true[:, 2:] - own[:, 2:]).abs().max() > 1e-3, "its own frames after the context are not the true ones"


def test_the_papers_network_has_as_many_numbers_as_its_table():
    """Table A1 with 64 channels: weights and biases of each row, and two numbers a channel of every batch norm."""

    def conv(a, b, *kernel):
        return a * b * int(np.prod(kernel)) + b

    rows = [conv(3, 64, 3, 7, 7) + 2 * 64]
    rows += [conv(c, 2 * c, 3, 3, 3) + 4 * c for c in (64, 128, 256)]
    rows += [2 * (conv(512, 512, 3, 3, 3) + 1024)] * 2 + [2 * (conv(512, 512, 3, 3) + 1024)] * 4
    rows += [conv(2 * c, c, 3, 3) + 2 * c for c in (256, 128, 64)] + [conv(64, 3, 7, 7)]
    assert sum(weight.numel() for weight in make_model("resnet3d").parameters()) == sum(rows) == 53_439_363


def test_divergence_is_that_of_torch():
    mean, log_variance, prior_mean, prior_log_variance = torch.randn(
        4, 3, 5, generator=torch.Generator().manual_seed(0)
    )
    one = torch.distributions.Normal(mean, (log_variance / 2).exp())
    two = torch.distributions.Normal(prior_mean, (prior_log_variance / 2).exp())
    wanted = torch.distributions.kl_divergence(one, two).sum(dim=1).mean()
    torch.testing.assert_close(kl_divergence(mean, log_variance, prior_mean, prior_log_variance), wanted)


def test_a_residual_network_learns_what_an_action_does():
    """The image turns by the action's sign: bright or dark."""
    model = _model("resnet3d", action_dim=1, keep=True)
    frames, actions = torch.full((8, 3, 3, 16, 16), 0.5), torch.tensor([-1.0, 1.0] * 4).reshape(8, 1, 1).repeat(1, 2, 1)
    frames[:, 2] = 0.5 + 0.3 * actions[:, 1, :, None, None]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    first = last = None
    for _ in range(150):
        loss = FramePrediction(model, mse).loss(Batch(frames, actions))
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        first, last = first or float(loss.total.detach()), float(loss.total.detach())
    assert last < 0.1 * first


def test_next_to_no_paint_leaves_a_frame_as_it_was():
    model, batch = _model("resnet3d", keep=True).eval(), _batch()
    with torch.no_grad():
        assert not torch.allclose(model(_context(batch), batch.actions[:, None])[:, 0, 0], batch.frames[:, 1])
        model.leave[1].weight.zero_()
        model.leave[1].bias.zero_()
        frames = model(_context(batch), batch.actions[:, None])[:, 0]
    assert torch.allclose(frames, batch.frames[:, 1:2].expand_as(frames), atol=0.5 / 255 + 1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_survives_the_disk(name, tmp_path):
    model, batch = _model(name).eval(), _batch()
    model.save_pretrained(tmp_path / "m", {"task": "cartpole"})
    for again in (load_model(tmp_path / "m"), MODELS[name].from_pretrained(tmp_path / "m")):
        assert again.config == model.config
        assert not again.training
        with torch.no_grad():
            assert torch.equal(
                again(_context(batch), batch.actions[:, None]), model(_context(batch), batch.actions[:, None])
            )
    assert json.loads((tmp_path / "m" / "config.json").read_text())["about"] == {"task": "cartpole"}


def test_bad_files_are_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no model in"):
        load_model(tmp_path)
    _model("resnet3d").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"expected a model 'svg' in .*, got 'resnet3d'"):
        SVG.from_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"model\.safetensors holds no weights of resnet3d"):
        load_model(tmp_path)
    _model("resnet3d", width=3).save_pretrained(tmp_path / "other")
    weights.write_bytes((tmp_path / "other" / "model.safetensors").read_bytes())
    with pytest.raises(ValueError, match=r"model\.safetensors holds no weights of resnet3d"):
        ResNet3D.from_pretrained(tmp_path)
    weights.unlink()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text('{"model": "resnet3d", "steps": 3}')  # of a training
    with pytest.raises(
        FileNotFoundError, match=r"there is no model in .*: expected config.json and model.safetensors$"
    ):
        load_model(tmp_path / "run")
    with pytest.raises(FileNotFoundError, match="there are no weights at"):
        load_model(tmp_path)
    for name, use in (("restoration", "corrwise restore"), ("flavr", "corrwise interpolate")):
        (tmp_path / "config.json").write_text(json.dumps({"model": name, "config": {}}))
        with pytest.raises(ValueError, match=f"holds a model '{name}', which predicts no frames; {use}"):
            load_model(tmp_path)
    (tmp_path / "config.json").write_text('{"model": "gan"')
    with pytest.raises(ValueError, match=r"config\.json is not JSON"):
        load_model(tmp_path)
    (tmp_path / "config.json").write_text('{"model": "gan", "config": {}}')
    with pytest.raises(ValueError, match="unknown model 'gan'; there are resnet3d, svg, svg-prime"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 10**9}, "width must be at most 65536, got 1000000000"),
        ({"width": "4"}, "width must be a whole number, got 4"),
        ({"width": True}, "width must be a whole number, got True"),
        ({"width": "4" * 1000}, r"width must be a whole number, got '4{50,300}\.\.\.$"),
        ({"keep": 1}, "keep must be true or false, got 1"),
        ({"width": None}, "width must be a whole number, got None"),
        ({"width": 4096, "downs": 3}, "expected a network of at most 1000000000 numbers, got "),
        ({"downs": 10**6}, "downs must be at most 16, got 1000000"),
        ({"blocks3d": 10**6}, "blocks3d must be at most 200, got 1000000"),
        ({"context": 10**9}, "context must be at most 1000, got 1000000000"),
        ({"colour": 1}, "resnet3d has no such options"),
    ],
)
def test_a_configuration_that_is_too_large_is_refused_before_memory_is_allocated(options, message, tmp_path):
    _model("resnet3d").save_pretrained(tmp_path)
    contents = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**contents, "config": {**contents["config"], **options}}))
    with pytest.raises(ValueError, match=rf"config\.json describes no resnet3d that can be made: {message}"):
        load_model(tmp_path)


def test_no_more_is_made_than_the_weights_hold(tmp_path, monkeypatch):
    _model("resnet3d").save_pretrained(tmp_path)
    contents = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**contents, "config": {**contents["config"], "width": 256}}))
    made, build = [], ResNet3D.__init__

    def counted(self, config):
        made.append(str(torch.empty(0).device))
        build(self, config)

    monkeypatch.setattr(ResNet3D, "__init__", counted)
    with pytest.raises(ValueError, match=r"model\.safetensors holds no weights of resnet3d .*: expected \("):
        load_model(tmp_path)
    assert set(made) == {"meta"}


@pytest.mark.parametrize(
    "about", [[], 7, {"clips": []}, {"clips": {"size": 16}}, {"clips": {"size": ["16", 16]}}, {"clips": {"task": 1}}]
)
def test_what_a_model_says_of_its_clips_has_types(about, tmp_path):
    _model("resnet3d").save_pretrained(tmp_path)
    contents = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**contents, "about": about}))
    with pytest.raises(ValueError, match=r"config\.json does not describe a model: expected "):
        load_model(tmp_path)


def test_the_largest_published_model_can_be_made():
    kind = MODELS["svg-prime"]
    check_network(lambda: kind(kind.config_type(width=128, features=512, latent=128, hidden=1024)))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gan", {}, "unknown model 'gan'"),
        ("svg", {"layers": 10**6}, "layers must be at most 100, got 1000000"),
        ("svg-prime", {"hidden": 60_000}, "expected a network of at most 1000000000 numbers, got "),
        ("resnet3d", {"colour": 1}, "resnet3d has no such options"),
        ("resnet3d", {"width": 0}, "width must be at least 1, got 0"),
        ("svg", {"size": 36}, "that can be halved 3 times, got 36"),
        ("svg", {"hidden": 0}, "hidden must be at least 1"),
        ("svg-prime", {"beta": -1.0}, "beta must be zero or above, got -1.0"),
    ],
)
def test_bad_options_are_one_sentence(name, options, message):
    with pytest.raises(ValueError, match=message):
        make_model(name, **options)


@pytest.mark.parametrize("name", MODELS)
def test_clips_that_do_not_fit_are_one_sentence(name):
    model = _model(name)
    with pytest.raises(ValueError, match="expected windows of more than 2 frames, got 2"):
        FramePrediction(model, l1).loss(_batch(2))
    with pytest.raises(ValueError, match="expected clips with 3 actions a step, got 2"):
        FramePrediction(model, l1).loss(_batch(actions=2))
    with pytest.raises(ValueError, match="expected actions of 3 numbers, got 2"):
        model(_context(_batch()), torch.zeros(2, 1, 4, 2))
    odd = Batch(torch.rand(2, 4, 3, 18, 18), torch.zeros(2, 3, 3))
    with pytest.raises(ValueError, match="expected images"):
        FramePrediction(model, l1).loss(odd)


@pytest.mark.parametrize("name", MODELS)
def test_channels_are_an_option_and_older_files_have_three(name, tmp_path):
    model = awake(_model(name, channels=6))
    views = Context(torch.rand(2, 2, 6, 16, 16, generator=torch.Generator().manual_seed(1)), torch.zeros(2, 1, 3), None)
    actions = torch.zeros(2, 2, 3, 3)
    with torch.no_grad():
        check_predictor(model, replace(views, state=np.zeros((2, 4))), actions, exact=False)
    with pytest.raises(ValueError, match="expected images of 6 channels, got 3"):
        model(_context(_batch()), actions)
    with pytest.raises(ValueError, match="expected images of 6 channels, got 3"):
        FramePrediction(model, l1).loss(_batch())
    older = awake(_model(name))
    older.save_pretrained(tmp_path)
    contents = json.loads((tmp_path / "config.json").read_text())
    assert contents["config"].pop("channels") == 3
    (tmp_path / "config.json").write_text(json.dumps(contents))
    with torch.no_grad():
        assert torch.equal(load_model(tmp_path)(_context(_batch()), actions), older(_context(_batch()), actions))
