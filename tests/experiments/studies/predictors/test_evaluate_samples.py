"""Evaluating several futures: rows, tables and images, residuals of other clips, and one sentence for bad input."""

from dataclasses import replace

import pytest
import torch

from corrwise.experiments import cli
from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.cli.evaluate import EvaluateConfig
from corrwise.experiments.runs.collect import run_collect
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.runs.settings import ConfigMismatch
from corrwise.experiments.studies.predictors.evaluate import KEY, run_evaluate
from corrwise.experiments.studies.predictors.sampled_tables import sampled_tables
from corrwise.experiments.studies.predictors.sampling import futures_of, sampled, window_generators
from corrwise.experiments.studies.predictors.subjects import subjects_of
from corrwise.predictors import CopyLast
from corrwise.predictors.data import Batch
from corrwise.predictors.models.registry import make_model
from corrwise.predictors.models.residuals import WithResiduals
from corrwise.predictors.sample_metrics import SAMPLED
from tests.predictors.tiny_models import awake


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    run_collect(CollectConfig(out=folder / "scored", episodes=3, steps=7, size=16))
    run_collect(CollectConfig(out=folder / "others", episodes=3, steps=7, size=16, seed=100))
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    small = {"context": 2, "action_dim": 1, "width": 2}
    point = make_model("resnet3d", **small, downs=2, blocks3d=1, blocks2d=1)
    drawn = make_model("svg-prime", **small, features=4, latent=2, hidden=4)
    for name, model in (("point", point), ("drawn", awake(drawn))):
        model.save_pretrained(folder / name / "model")
    return folder / "drawn", folder / "point"


pytestmark = pytest.mark.usefixtures("undrawn")  # but in the fixture of the module
ARMS = ["drawn", "point", "point+residuals", "copy-last", "copy-last+residuals"]


@pytest.fixture(scope="module")
def evaluated(clips, models, tmp_path_factory):
    config = EvaluateConfig(
        models=models, data=clips / "scored", residuals=clips / "others", samples=3, horizon=3, windows=4, videos=1,
        out=tmp_path_factory.mktemp("ev") / "ev",
    )  # fmt: skip
    return config, run_evaluate(config).read_text()


def test_students_sample_at_their_own_times_beside_a_teacher_that_does_not(clips, tmp_path, capsys):
    small = {"context": 2, "action_dim": 1, "width": 2, "blocks": 1}
    students = ("student-a", "student-b")
    for name in ("teacher", *students):
        own = {"sample_at": (0.5, 1.0), "evaluations": 2} if name in students else {}
        torch.manual_seed(0)
        make_model("denoiser", **small, **own).save_pretrained(tmp_path / name)
    config = EvaluateConfig(
        models=tuple(tmp_path / name for name in ("teacher", *students)), data=clips / "scored", samples=2, horizon=2,
        windows=2, videos=0, sampling=("time_grid=shifted:shift=4", "temperature=0.5"), out=tmp_path / "ev",
    )  # fmt: skip
    taken = {name: model.config for name, (_, model) in subjects_of(config).models.items() if name != "copy-last"}
    assert {name: each.temperature for name, each in taken.items()} == dict.fromkeys(taken, 0.5)
    assert [each.time_grid for each in taken.values()] == ["shifted:shift=4", "uniform", "uniform"]
    run_evaluate(config)
    sentence = "student-a and student-b: a few-step student takes no time_grid=shifted:shift=4"
    assert f"corrwise: warning: {sentence}\n" in capsys.readouterr().err
    alone = replace(config, models=config.models[1:], out=tmp_path / "alone")
    for pair in ("time_grid=shifted:shift=4", "correlation=0.5", "solver=heun"):
        with pytest.raises(ValueError, match=f"expected a denoiser that takes {pair}, got few-step students, which"):
            run_evaluate(replace(alone, sampling=("temperature=0.5", pair)))
    assert not alone.out.exists()


def test_rows_have_every_metric_of_the_futures_of_every_arm(evaluated):
    config, _ = evaluated
    rows = read_rows(config.out / "rows.jsonl", KEY)
    assert [(row["model"], row["window"]) for row in rows] == [(arm, k) for arm in ARMS for k in range(4)]
    assert all(len(row[name]) == 3 for row in rows for name in SAMPLED)
    assert {(row["samples"], row["broken_samples"]) for row in rows} == {(3, 0)}
    by_arm = {arm: [row for row in rows if row["model"] == arm] for arm in ARMS}
    for arm in ("point", "copy-last"):
        for row, noisy in zip(by_arm[arm], by_arm[f"{arm}+residuals"], strict=True):
            assert row["spread"] == [0, 0, 0], "a deterministic model has one future"
            assert row["best_psnr"] == pytest.approx(row["psnr"], rel=1e-4)
            assert row["weights"] == noisy["weights"]
            assert row["psnr"] == noisy["psnr"], "the prediction that draws nothing has no residuals"
    for arm in ("drawn", "point+residuals", "copy-last+residuals"):
        assert any(min(row["spread"]) > 0 for row in by_arm[arm]), arm


def test_tables_and_page_show_the_futures(evaluated):
    config, page = evaluated
    table = (config.out / "table.md").read_text()
    first, energy, futures = table.split("\n### ")
    assert "+residuals" not in first
    assert energy.startswith("Energy score")
    assert all(f"| {arm} |" in part for arm in ARMS for part in (energy, futures))
    assert "| model | step 1 | step 2 | step 3 | mean | more than drawn |" in energy
    assert page.count("data:image/png;base64,") == 3, "curves, strips and futures"
    assert "Energy score" in page
    assert (config.out / "futures.png").stat().st_size > 1000


def test_a_run_goes_on_and_another_number_of_futures_is_another_run(evaluated):
    config, _ = evaluated
    rows = read_rows(config.out / "rows.jsonl", KEY)
    run_evaluate(config)
    assert read_rows(config.out / "rows.jsonl", KEY) == rows, "nothing is measured twice"
    with pytest.raises(ConfigMismatch, match="samples is 3 there and 4 here"):
        run_evaluate(replace(config, samples=4))


def test_numbers_do_not_depend_on_how_many_are_predicted_at_a_time(evaluated, tmp_path):
    config, _ = evaluated
    run_evaluate(replace(config, out=tmp_path / "ev", batch=2, videos=0))
    for one, two in zip(*(read_rows(out / "rows.jsonl", KEY) for out in (config.out, tmp_path / "ev")), strict=True):
        for name in SAMPLED:
            assert one[name] == pytest.approx(two[name], rel=1e-3, abs=1e-6), name


def _window(count=2):
    generator = torch.Generator().manual_seed(3)
    return Batch(torch.rand(count, 5, 3, 16, 16, generator=generator), torch.zeros(count, 4, 1))


def test_memory_is_bounded_by_the_futures_predicted_at_a_time():
    asked = []

    class Counted(CopyLast):
        deterministic = False

        def __call__(self, context, actions, **options):
            asked.append(len(context.frames))
            assert len(options["generators"]) == len(context.frames)
            return super().__call__(context, actions, **options)

    metrics = sampled(Counted(), _window(), 2, [window_generators(0, k, 70) for k in range(2)], 16)
    assert max(asked) == 16
    assert sum(asked) == 140
    assert metrics.result()["spread"].abs().max() == 0


def test_futures_depend_on_seed_window_and_number_alone():
    residuals = torch.rand(50, 3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) - 0.5
    model, batch = WithResiduals(CopyLast(), lambda: residuals), _window()
    generators = [window_generators(0, k, 4) for k in range(2)]
    futures = futures_of(model, batch, 2, generators, 3)
    alone = Batch(batch.frames[1:], batch.actions[1:])
    assert torch.equal(futures[1:], futures_of(model, alone, 2, generators[1:], 8))
    assert torch.equal(futures[:, :2], futures_of(model, batch, 2, [each[:2] for each in generators], 8))
    other = futures_of(model, batch, 2, [window_generators(1, k, 4) for k in range(2)], 8)
    assert not torch.equal(futures, other)


def test_a_calibrated_spread_is_one_and_differences_are_paired_by_clip():
    def row(model, clip, energy, spread):
        values = {"energy": [energy], "spread": [spread], "mean_mse": [1.25]}
        return {"model": model, "clip": clip, "samples": 4, **{name: [1.0] for name in SAMPLED}, **values}

    rows = [row("a", k, k, 1.0) for k in range(8)] + [row("b", k, k + 0.5, 0.25) for k in range(8)]
    energy, futures = sampled_tables(rows)
    assert [line[-1] for line in energy.lines] == ["", "+0.500 (+0.500 to +0.500)"]
    assert [line[-1] for line in futures.lines] == ["1.00 (1.00 to 1.00)", "0.50 (0.50 to 0.50)"]
    assert sampled_tables([{"model": "a", "clip": 0}]) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--samples": "1"}, "samples must be 0, or 2 or more, got 1"),
        ({"--samples": "0"}, "--residuals are added to futures: give --samples, too"),
        ({"--residuals": "nowhere"}, "there is no folder of clips at nowhere"),
        ({"--residuals": "scored"}, "residuals of clips that are not scored, but clip 0 of them is clip 0 of --data"),
        ({"--residuals": "wide"}, "clips for residuals of the size (16, 16) of --data, got (24, 24)"),
        ({"--residuals": "short"}, "short, for residuals: expected clips of at least 5 frames"),
        ({"--models": "copy-last"}, "expected folders of trained models, got copy-last, which is always evaluated"),
    ],
)
def test_bad_input_is_one_sentence(clips, models, tmp_path, capsys, change, message):
    if not (clips / "wide").exists():
        run_collect(CollectConfig(out=clips / "wide", episodes=1, steps=7, size=24, seed=100))
        run_collect(CollectConfig(out=clips / "short", episodes=1, steps=1, size=16, seed=100))
    plain = {"--models": str(models[0]), "--data": str(clips / "scored"), "--out": str(tmp_path / "ev")}
    options = {**plain, "--horizon": "3", "--samples": "3", "--residuals": "others", **change}
    if options["--residuals"] != "nowhere":
        options["--residuals"] = str(clips / options["--residuals"])
    assert cli.main(["evaluate", *(word for pair in options.items() for word in pair)]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "ev").exists()
