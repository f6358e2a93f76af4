"""``corrwise train --objective distill`` and ``mogan``: a teacher's few-step student, exactly resumed."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from shutil import copytree

import pytest
import torch

from corrwise.experiments import cli
from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.cli.distilling import AdversaryOptions
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.cli.train import TrainConfig
from corrwise.experiments.runs import students
from corrwise.experiments.runs.collect import run_collect
from corrwise.experiments.runs.parts import load_trained
from corrwise.experiments.runs.settings import ConfigMismatch
from corrwise.experiments.runs.shown_motion import ShownMotion
from corrwise.experiments.runs.train import GOOD, MODEL, run_train
from corrwise.predictors.generative.distillation import student_of
from corrwise.predictors.models.pretrained import about_model, weights_hash
from corrwise.predictors.models.registry import load_model
from corrwise.predictors.training import distillation
from corrwise.types import Context
from corrwise.validation import ConfigError

SIDE = 16
FREE = AdversaryOptions(flow="pixels", trunk="conv", warm_up=1, window=2, least=0.0, most=1e9)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    out = tmp_path_factory.mktemp("students") / "clips"
    run_collect(CollectConfig(out=out, episodes=3, steps=8, size=SIDE))
    return out


@pytest.fixture(scope="module")
def teacher(clips):
    config = TrainConfig(
        data=(clips,), objective="flow-matching", model="denoiser", loss="", options=("width=4", "blocks=1"),
        steps=3, own_frames_after=1, batch=2, horizon=2, lr=1e-2, device="cpu", out=clips.parent / "teacher",
    )  # fmt: skip
    run_train(config)
    return config


@pytest.fixture
def mogan(teacher, tmp_path):
    return replace(
        teacher, objective="mogan", teacher=str(teacher.out), options=(), own_frames_after=1000, steps=8, horizon=3,
        sample_at=(0.25, 0.75), fake_steps=2, adversary=FREE, checkpoint_every=4, out=tmp_path / "mogan",
    )  # fmt: skip


def _losses(config):
    return torch.load(config.out / "checkpoint.pt", weights_only=True)["losses"]


@pytest.mark.parametrize("trunk", ["conv", "teacher"])
def test_a_run_that_stops_ends_like_one_that_does_not(mogan, trunk, tmp_path):
    whole = replace(mogan, adversary=replace(FREE, trunk=trunk, flow="tv-l1" if trunk == "conv" else "pixels"))
    parts = replace(whole, out=tmp_path / "parts")
    folder = run_train(whole)
    run_train(replace(parts, steps=5))
    run_train(parts)
    assert _losses(parts) == _losses(whole)
    weights = [load_model(each).state_dict() for each in (folder, parts.out / "model")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_student_differs_from_its_teacher_and_samples_with_few_evaluations(mogan, teacher):
    distilled = replace(mogan, objective="distill", adversary=AdversaryOptions(), steps=4)
    student, other = load_model(run_train(distilled)), load_model(teacher.out / "model")
    assert student.config == replace(other.config, sample_at=(0.25, 0.75), evaluations=2)
    assert not all(torch.equal(a, b) for a, b in zip(student.parameters(), other.parameters(), strict=True))
    frames = student(
        Context(torch.rand(1, 2, 3, SIDE, SIDE), torch.zeros(1, 1, 1), None), torch.zeros(1, 3, 2, 1),
        generators=[torch.Generator().manual_seed(0)],
    )  # fmt: skip
    assert frames.shape == (1, 3, 2, 3, SIDE, SIDE)
    started = replace(mogan, init_from=str(distilled.out), steps=1, out=mogan.out.parent / "started")
    assert run_train(started).is_dir()


def test_a_student_draws_fresh_noise_whatever_its_teachers_correlation(mogan, teacher, tmp_path):
    correlated = replace(teacher, options=(*teacher.options, "correlation=0.5"), out=tmp_path / "correlated")
    run_train(correlated)
    distilled = replace(mogan, objective="distill", adversary=AdversaryOptions(), steps=1, teacher=str(correlated.out))
    assert load_model(run_train(distilled)).config.correlation == 0


def test_a_run_of_before_the_students_own_times_goes_on_with_its_teachers_alone(mogan):
    before = replace(mogan, student_time_law="shifted", steps=4)
    run_train(before)
    file = before.out / "config.json"
    config = json.loads(file.read_text())
    del config["student_time_law"]
    file.write_text(json.dumps(config))
    with pytest.raises(ConfigMismatch, match=r"student_time_law is .shifted. there and .shifted:shift=20. here"):
        run_train(replace(mogan, steps=5))
    run_train(replace(before, steps=5))


def test_a_warm_up_that_leaves_no_step_for_the_adversary_is_named(mogan):
    sentence = "the adversary begins after step 9, and training ends with step 8"
    with pytest.warns(UserWarning, match=sentence):
        run_train(replace(mogan, adversary=replace(FREE, warm_up=3)))
    with warnings.catch_warnings(action="error"):
        run_train(replace(mogan, adversary=replace(FREE, warm_up=2), out=mogan.out.parent / "other"))


def test_a_run_reads_its_teacher_once(mogan, teacher, monkeypatch):
    read = []
    monkeypatch.setattr(students, "load_model", lambda folder: read.append(folder) or load_model(folder))
    run_train(replace(mogan, steps=1))
    assert read == [teacher.out / "model"]


def test_a_run_goes_on_where_its_teacher_was_moved_and_not_with_another_one(mogan, teacher, tmp_path):
    short = replace(mogan, objective="distill", adversary=AdversaryOptions(), steps=2)
    run_train(short)
    moved = copytree(teacher.out, tmp_path / "moved")
    run_train(replace(short, teacher=str(moved), steps=3))
    other = load_model(moved / "model")
    with torch.no_grad():
        next(other.parameters()).mul_(2)
    other.save_pretrained(moved / "model", about_model(moved / "model")["about"])
    with pytest.raises(ConfigMismatch, match="teacher_weights is "):
        run_train(replace(short, teacher=str(moved), steps=4))


def test_the_log_shows_motion_at_each_validation(mogan):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run_train(replace(mogan, adversary=replace(FREE, flow="tv-l1"), val_fraction=0.4))
    events = EventAccumulator(str(mogan.out / "logs"), size_guidance={"histograms": 0, "images": 0})
    events.Reload()
    assert {name: [e.step for e in events.Histograms(name)] for name in events.Tags()["histograms"]} == {
        "flow length/real": [4, 8],
        "flow length/generated": [4, 8],
    }
    assert [event.step for event in events.Images("flow")] == [4, 8]
    image = events.Images("flow")[-1]
    frames = mogan.horizon + 1  # from the last one that is seen
    assert (image.height % (4 * SIDE), image.width) == (0, frames * SIDE)
    real = events.Histograms("flow length/real")[-1].histogram_value
    assert real.max > 0.1
    assert real.num % ((frames - 1) * SIDE**2) == 0


def test_samples_that_are_not_finite_have_no_motion(mogan):
    frames = torch.rand(2, 5, 3, SIDE, SIDE)
    motion = ShownMotion(replace(mogan, adversary=replace(FREE, flow="zero")))
    image, flow_lengths = motion.of(frames, frames[:, 2:], shown=1)
    assert image.shape == (3, 4 * SIDE, 4 * SIDE)
    assert torch.equal(image[:, :SIDE], image[:, 2 * SIDE : 3 * SIDE])
    assert flow_lengths["real"].shape == (2, 3, SIDE, SIDE)
    assert motion.of(frames, frames[:, 2:] * torch.nan, shown=1) is None


def test_a_collapse_keeps_the_last_good_model_and_is_one_sentence(mogan, capsys):
    sentence = (
        r"collapse: the mean logit .* at step 7; the batch is in .*, and the checkpoint before it is kept; --init.*"
        " with another --adversary.weight or --adversary.flow and --out"
    )
    with pytest.raises(FloatingPointError, match=sentence):
        run_train(replace(mogan, adversary=replace(FREE, most=1e-9)))
    assert load_model(mogan.out / GOOD).config.sample_at == (0.25, 0.75)
    assert list(mogan.out.glob("batch-*.npz"))
    with pytest.raises(FileNotFoundError, match=r"the training in it has not ended; the weights of its .*last-good$"):
        load_model(mogan.out)
    run_train(mogan)  # with other bounds the same training goes on
    whole = replace(mogan, out=mogan.out.with_name("whole"))
    run_train(whole)
    assert weights_hash(mogan.out / MODEL) == weights_hash(whole.out / MODEL)


def test_a_collapse_before_the_first_checkpoint_names_none(mogan):
    with pytest.raises(FloatingPointError, match="collapse: the mean logit") as caught:
        run_train(replace(mogan, adversary=replace(FREE, most=1e-9), checkpoint_every=100))
    (batch,) = mogan.out.glob("batch-*.npz")
    assert f"the batch is in {batch}; there is no checkpoint before it: a longer --adv" in str(caught.value)
    assert "--adversary.least and --adversary.most set the bounds" in str(caught.value)
    assert not (mogan.out / GOOD).exists()


@pytest.mark.parametrize(
    ("part", "named"),
    [
        ("match_distribution", "distribution"),
        ("data_error", "fake score"),
        ("generator_loss", "generator"),
        ("discriminator_loss", "discriminator"),
        ("noise_penalty", "r[12]"),
    ],
)
def test_a_loss_that_is_not_finite_is_named_and_its_batch_is_kept(mogan, part, named, monkeypatch):
    real = getattr(distillation, part)

    def broken(*args, **options):
        made = real(*args, **options)
        return (made[0] * torch.nan, *made[1:]) if isinstance(made, tuple) else made * torch.nan

    monkeypatch.setattr(distillation, part, broken)
    with pytest.raises(FloatingPointError, match=rf"the loss \(.*{named}.*\) is nan at step \d+; the batch is in"):
        run_train(mogan)
    assert list(mogan.out.glob("batch-*.npz"))


def test_the_progress_line_has_all_losses(mogan, capfd):
    run_train(mogan)
    line = capfd.readouterr().err.rpartition("\r")[2]
    for name in ("distribution", "fake score", "generator", "discriminator", "r1", "r2", "real", "generated"):
        assert f"{name}=" in line, line


def test_a_student_plans_with_one_evaluation_and_with_two(mogan, tmp_path):
    run_train(mogan)
    words = ["mpc", "--task", "cartpole", "--predictor", str(mogan.out), "--size", str(SIDE), "--episodes", "1"]
    words += ["--steps", "2", "--candidates", "2", "--iterations", "1", "--horizon", "2", "--costs", "l1"]
    rows = []
    for evaluations in ("1", "2"):
        out = tmp_path / evaluations
        assert cli.main([*words, "--no-videos", "--nfe", evaluations, "--out", str(out)]) == 0
        rows += [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]
    one, two = (row for row in rows if row["cost"] == "l1")
    assert one["predictor_weights"] == two["predictor_weights"] == weights_hash(mogan.out / MODEL)
    for evaluations in (1, 2):
        trained = load_trained(MPCConfig(predictor=str(mogan.out), nfe=evaluations, size=SIDE))
        assert trained.model.config.evaluations == evaluations


def test_the_discriminator_has_the_size_that_is_asked_for(mogan):
    wide = replace(mogan, adversary=replace(FREE, width=32, depth=2, recompute=True))
    network = students.distillation(wide, 1, (SIDE, SIDE)).networks["discriminator"]
    assert (network.config.width, network.config.depth, network.config.recompute) == (32, 2, True)
    assert replace(mogan, model="auto").model == "denoiser"
    with pytest.raises(ValueError, match="expected width in multiples of 4 heads, got 30"):
        run_train(replace(mogan, adversary=replace(FREE, width=30)))
    run_train(mogan)
    config = json.loads((mogan.out / "config.json").read_text())
    for name in ("width", "depth", "recompute"):  # as it was written before they were options
        del config["adversary"][name]
    (mogan.out / "config.json").write_text(json.dumps(config))
    run_train(mogan)
    run_train(replace(mogan, adversary=replace(FREE, recompute=True)))
    with pytest.raises(ConfigMismatch, match=r"adversary.width is 64 there and 32 here"):
        run_train(replace(mogan, adversary=replace(FREE, width=32)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"context": 3}, "expected --context 2, as of the teacher, got 3"),
        ({"actions": False}, "the teacher's 1 actions a step, got 0 with --no-actions$"),
        ({"stride": 2}, "expected --stride 1, as of the teacher, got 2"),
        ({"adversary": replace(FREE, flow="dis")}, "a flow with gradients, .* got dis"),
        ({"adversary": replace(FREE, flow="zero")}, "a flow with gradients, .* got zero"),
        ({"sample_at": (0.75, 0.25)}, "rising times"),
        ({"horizon": 20}, "frames"),
    ],
)
def test_what_does_not_fit_the_teacher_is_one_sentence(mogan, change, message):
    with pytest.raises(ValueError, match=message):
        run_train(replace(mogan, **change))
    assert not mogan.out.exists()


def test_other_models_and_sizes_are_no_teachers(mogan, teacher, tmp_path):
    regression = replace(
        teacher, objective="predict", loss="mse", own_frames_after=1000, steps=1, out=tmp_path / "regression"
    )
    run_train(regression)
    with pytest.raises(ValueError, match="expected a teacher trained by --objective flow-matching"):
        run_train(replace(mogan, teacher=str(regression.out)))
    broken = replace(teacher, out=copytree(teacher.out, tmp_path / "broken"))
    model = load_model(broken.out / "model")
    next(model.parameters()).data.fill_(float("nan"))
    model.save_pretrained(broken.out / "model", about_model(broken.out / "model")["about"])
    with pytest.raises(ValueError, match=r"expected a teacher with finite weights, got .*broken"):
        run_train(replace(mogan, teacher=str(broken.out)))
    begun = student_of(load_model(teacher.out / MODEL), mogan.sample_at)
    next(begun.parameters()).data.fill_(float("nan"))
    begun.save_pretrained(tmp_path / "begun", {})
    with pytest.raises(ValueError, match=r"expected a student with finite weights, got .*begun"):
        run_train(replace(mogan, init_from=str(tmp_path / "begun")))
    assert not mogan.out.exists()
    run_collect(CollectConfig(out=tmp_path / "large", episodes=1, steps=8, size=24))
    with pytest.raises(ValueError, match=r"clips of \(height, width\) = \(16, 16\), as the teacher's, got \(24, 24\)"):
        run_train(replace(mogan, data=(tmp_path / "large",)))


def test_the_options_in_which_another_student_differs_are_named(mogan):
    run_train(replace(mogan, steps=1))
    other = replace(mogan, sample_at=(0.5,), init_from=str(mogan.out), out=mogan.out.parent / "other")
    wanted = r"expected a model of evaluations 1, sample_at \(0.5,\) in .* got evaluations 2, sample_at \(0.25, 0.75\)"
    with pytest.raises(ValueError, match=wanted):
        run_train(other)


@pytest.mark.parametrize("name", ["lr", "weight", "sigma"])
def test_the_adversarys_options_are_refused_by_their_whole_names(name):
    with pytest.raises(ConfigError, match=rf"adversary\.{name} must be .*, got nan"):
        AdversaryOptions(**{name: float("nan")})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"teacher": ""}, "with --objective mogan, a run of corrwise train --objective flow-matching, got none"),
        ({"adversary": replace(FREE, window=4)}, "adversary.window must be at most the horizon, 3"),
        ({"options": ("width=8",)}, "options must be left out with --objective mogan"),
        ({"objective": "distill"}, "adversary must be left out with --objective distill, got flow pixels, trunk conv"),
        ({"objective": "flow-matching"}, "teacher must be left out with --objective flow-matching"),
    ],
)
def test_options_that_do_not_fit_are_refused(mogan, change, message):
    with pytest.raises(ConfigError, match=message):
        replace(mogan, **change)
