"""Training a video predictor: the same losses however often it is killed, and one sentence where it cannot be."""

import json
import signal
import subprocess
import sys
from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from corrwise.costs import l1, mse
from corrwise.experiments import cli
from corrwise.experiments.cli import commands
from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.cli.evaluate import EvaluateConfig
from corrwise.experiments.cli.parse import RENAMED
from corrwise.experiments.cli.train import INTERPOLATING, MODEL_NAMES, RESTORING, TrainConfig
from corrwise.experiments.runs import train
from corrwise.experiments.runs.collect import run_collect
from corrwise.experiments.runs.distances import make_distance
from corrwise.experiments.runs.settings import ConfigMismatch
from corrwise.experiments.runs.train import batches_of, run_train
from corrwise.experiments.runs.trainers import make_loss, make_trainer
from corrwise.experiments.studies.predictors.evaluate import run_evaluate
from corrwise.predictors.data import Clip, ClipFolder, ClipWindows, write_shard
from corrwise.predictors.data.sources import Part
from corrwise.predictors.models.registry import MODELS, load_model, make_model
from corrwise.predictors.training import FramePrediction, Phase, WarmStart
from corrwise.predictors.training.frame_prediction import held_out_loss, strips
from corrwise.predictors.training.learning import averaged
from corrwise.types import EvaluatingObjective

OPTIONS = ("width=2", "downs=2", "blocks3d=1", "blocks2d=1")
DENOISER = ("--model", "denoiser", "--objective", "flow-matching")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    run_collect(CollectConfig(out=folder, episodes=4, steps=8, size=16))
    return folder


@pytest.fixture
def tiny(clips, tmp_path):
    return TrainConfig(
        data=(clips,),
        out=tmp_path / "run",
        steps=4,
        batch=3,
        horizon=2,
        options=OPTIONS,
        checkpoint_every=2,
        val_fraction=0.25,
        loss="l1",
    )


def test_without_actions_a_model_learns_from_the_frames_alone(tiny, tmp_path):
    config = replace(tiny, actions=False)
    model = load_model(run_train(config))
    assert model.config.action_dim == 0
    shown = {"data": tiny.data[0], "out": tmp_path / "frames", "horizon": 2, "windows": 2, "videos": 0}
    assert run_evaluate(EvaluateConfig(models=(config.out,), **shown)).exists(), "on clips with actions"
    with pytest.raises(ConfigMismatch, match="actions is false there and true here"):
        run_train(tiny)


def _checkpoint(config):
    return torch.load(config.out / "checkpoint.pt", weights_only=True)


def test_models_are_those_of_the_options():
    assert (*MODELS, *INTERPOLATING, *RESTORING) == MODEL_NAMES


@pytest.mark.parametrize(
    ("model", "options", "more"),
    [
        ("resnet3d", OPTIONS, {}),
        ("svg", ("width=2", "hidden=4"), {}),
        ("svg-prime", ("width=2", "hidden=4", "features=4"), {}),
        ("denoiser", ("width=2", "blocks=1"), {}),
        (
            "denoiser",
            ("width=2", "blocks=1", "evaluations=2"),
            {"objective": "flow-matching", "loss": "", "time_weight": "flowfusion", "own_frames_after": 2},
        ),
    ],
)
def test_a_run_that_stops_ends_like_one_that_does_not(tiny, model, options, more, tmp_path):
    whole = replace(tiny, model=model, options=options, **more)
    parts = replace(whole, out=tmp_path / "parts")
    folder = run_train(whole)
    run_train(replace(parts, steps=3))
    assert len(_checkpoint(parts)["losses"]) == 3
    run_train(parts)
    assert _checkpoint(parts)["losses"] == _checkpoint(whole)["losses"]
    assert len(set(_checkpoint(whole)["losses"])) == 4
    weights = [load_model(each).state_dict() for each in (folder, parts.out / "model")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    about = json.loads((folder / "config.json").read_text())["about"]
    assert (about["clips"]["task"], about["steps"], about["loss"]) == ("cartpole", 4, more.get("objective", "l1"))
    assert any((whole.out / "logs").iterdir())


def test_a_loss_whose_flow_moves_nothing_trains_the_weights_of_its_base_distance(tiny, tmp_path):
    """With epsilon 1 there is no warp, and not a bit differs; a warp by zero rounds coordinates."""
    losses = ("l1", "corr-l1:flow=zero,epsilon=1", "corr-l1:flow=zero", "corr-l1:flow=dis")
    runs = [replace(tiny, loss=loss, out=tmp_path / loss) for loss in losses]
    plain, still, *_ = (load_model(run_train(run)).state_dict() for run in runs)
    assert all(still[name].equal(weights) for name, weights in plain.items())
    plain, _, zero, matched = (torch.tensor(_checkpoint(run)["losses"], dtype=torch.float64) for run in runs)
    assert (zero - plain).abs().max() < 1e-4 < 1e-3 < (matched - plain).abs().max()


def test_kill_9_changes_nothing(tiny, tmp_path):
    def words(out):
        return [
            *(
                "train",
                "--data",
                str(tiny.data[0]),
                "--out",
                str(out),
                "--steps",
                "12",
                "--batch",
                "3",
                "--horizon",
                "2",
            ),
            *("--options", *OPTIONS, "--checkpoint-every", "5", "--loss", "corr-l1:flow=dis", "--device", "cpu"),
        ]

    killed = tmp_path / "killed"
    script = (
        "import os, signal, sys\nfrom corrwise.predictors.training import trainer\nlearn = trainer.Trainer.learn\n"
        "def killed(self, batch):\n"
        "    if self.step == 7: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return learn(self, batch)\n"
        "trainer.Trainer.learn = killed\nfrom corrwise.experiments.cli import main\nmain(sys.argv[1:])"
    )
    done = subprocess.run([sys.executable, "-c", script, *words(killed)], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(torch.load(killed / "checkpoint.pt", weights_only=True)["losses"]) == 5, "two steps were lost"
    assert not (killed / "model").exists()
    assert cli.main(words(killed)) == 0
    assert cli.main(words(tmp_path / "whole")) == 0
    losses = [
        torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)["losses"] for name in ("killed", "whole")
    ]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 12


def test_two_processes_share_a_batch(tiny, tmp_path):
    words = ["train", "--data", str(tiny.data[0]), "--steps", "3", "--batch", "4", "--horizon", "2", "--loss", "mse"]
    words += ["--options", *OPTIONS, "--device", "cpu", "--out"]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    run = [*launcher, "-m", "corrwise", *words, str(tmp_path / "two")]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert cli.main([*words, str(tmp_path / "one")]) == 0
    losses = [torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)["losses"] for name in ("two", "one")]
    assert losses[0] == pytest.approx(losses[1], rel=0.05), "batch norm sees a half of the batch each"
    assert load_model(tmp_path / "two" / "model").config.width == 2


@pytest.mark.parametrize("crop", [0, 8])
def test_every_process_has_its_own_part_of_a_batch(tiny, crop):
    clips = ClipFolder(tiny.data[0])
    config = replace(tiny, batch=6)
    trainer = make_trainer(config, clips.action_dim, clips.size, l1)
    windows, parts = ClipWindows(clips, 4, crop=crop), []
    whole = windows.batch(0, 6)
    for rank in range(2):
        trainer.fabric = SimpleNamespace(global_rank=rank, world_size=2)
        with batches_of(trainer, config, windows) as batches:
            parts.append(batches.batch(0))
    assert torch.equal(torch.stack([part.frames for part in parts], dim=1).flatten(0, 1), whole.frames)
    assert torch.equal(torch.stack([part.actions for part in parts], dim=1).flatten(0, 1), whole.actions)


def test_the_average_follows_the_weights_at_first():
    kept, steps = [torch.zeros(1)], 0
    for steps in range(50):
        averaged(kept, [torch.full((1,), float(steps))], torch.tensor(steps), most=0.999)
    assert kept[0] > 30, "with 0.999 from the start it would be near 1"
    before = float(kept[0])
    averaged(kept, [torch.full((1,), 100.0)], torch.tensor(10**6), most=0.999)
    assert float(kept[0]) == pytest.approx(before + 0.001 * (100 - before))


@pytest.mark.parametrize("folder_of", [lambda run: run, lambda run: run / "model"])
def test_a_warm_start_begins_with_the_weights(tiny, tmp_path, folder_of):
    folder = run_train(replace(tiny, ema=0.0))
    start = folder_of(tiny.out)
    again = replace(tiny, out=tmp_path / "again", init_from=str(start), steps=1, lr=1e-9, ema=0.0)
    run_train(again)
    before, after = (load_model(each).parameters() for each in (folder, again.out / "model"))
    assert all(torch.allclose(one, two, atol=1e-6) for one, two in zip(before, after, strict=True))
    with pytest.raises(ValueError, match=r"expected a model of width 3 in .* to start from, got width 2"):
        run_train(replace(again, out=tmp_path / "wide", options=("width=3", *OPTIONS[1:])))


def test_a_loss_that_is_not_finite_saves_its_batch_and_keeps_the_checkpoint(tiny, monkeypatch):
    run_train(replace(tiny, steps=2))
    before = (tiny.out / "checkpoint.pt").read_bytes()
    monkeypatch.setattr(train, "make_loss", lambda config: lambda x, y: (x - y).mean((-3, -2, -1)) * np.nan)
    with pytest.raises(
        FloatingPointError,
        match=r"the loss \(step 1, step 2\) is nan at step 2; the batch is in .*batch-2.npz, and the checkpoint before "
        r"it is kept; "
        r"--init-from .*last-good with another --lr and --out goes on from its weights, those of step 2",
    ):
        run_train(tiny)
    assert np.load(tiny.out / "batch-2.npz")["frames"].shape == (3, 4, 3, 16, 16)
    assert (tiny.out / "checkpoint.pt").read_bytes() == before
    good, kept = (load_model(tiny.out / name).state_dict() for name in ("last-good", "model"))
    assert all(torch.equal(good[name], kept[name]) for name in kept), "the weights of step 2"


@pytest.mark.parametrize("data", [b"", b"no checkpoint"])
def test_a_damaged_checkpoint_is_one_sentence(tiny, data):
    run_train(replace(tiny, steps=2))
    (tiny.out / "checkpoint.pt").write_bytes(data)
    with pytest.raises(ValueError, match=r"checkpoint.pt is no checkpoint that can be read: remove it to start over"):
        run_train(tiny)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("step", "2", "expected a whole number from 0 as step, got '2'"),
        ("step", 3, "expected a loss for each of 3 steps, got "),
        ("losses", ["x", "y"], "expected a loss for each of 2 steps, got "),
        ("seconds", None, "expected seconds from 0, got None"),
        ("way", 7, "was trained with 7, and here it is 32-true in 1 processes"),
        ("networks", {}, r"is a checkpoint of other networks than model \(ResNet3D\): expected model as networks"),
        ("networks", {"model": 7}, "is a checkpoint of other networks than .*: expected .* in model, got 7"),
        ("optimizers", {"model": {"state": {}, "param_groups": []}}, "is a checkpoint of other networks than"),
        ("averages", [], "is a checkpoint of other networks than .*: expected model as averages"),
        ("record", 7, "is no checkpoint of a training: remove it to start over: expected a record by name, got 7"),
    ],
)
def test_an_edited_checkpoint_is_one_sentence(tiny, field, value, message):
    run_train(replace(tiny, steps=2))
    torch.save({**_checkpoint(tiny), field: value}, tiny.out / "checkpoint.pt")
    with pytest.raises(ValueError, match=rf"checkpoint\.pt .*{message}"):
        run_train(tiny)


def test_a_broken_shard_is_left_out_of_a_new_run_and_stops_one_that_goes_on(tiny, clips, tmp_path, capsys):
    data = tmp_path / "clips"
    data.mkdir()
    whole = ClipFolder(clips)
    for i in range(2):
        made = [Clip(*whole.read(clip, 0, whole.lengths[clip])) for clip in (2 * i, 2 * i + 1)]
        write_shard(data / f"shard-{i:05d}.h5", made, {"task": "cartpole"})
    run_train(replace(tiny, data=(data,), steps=2))
    (data / "shard-00001.h5").write_bytes(b"no shard")
    with pytest.warns(UserWarning, match=r"shard-00001\.h5 is no shard of clips that can be read"):
        run_train(replace(tiny, data=(data,), steps=2, out=tmp_path / "new"))
    with (
        pytest.warns(UserWarning, match=r"shard-00001\.h5 is no shard"),
        pytest.raises(ValueError, match="frames is 36 there and 18 here"),
    ):
        run_train(replace(tiny, data=(data,)))


def test_losses_by_name(tiny):
    x, y = torch.rand(2, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    x.requires_grad_(True)
    for name in ("mse", "corr-l1:flow=dis", "corr-mse:form=reg", "recommended"):
        (gradient,) = torch.autograd.grad(make_loss(replace(tiny, loss=name))(x, y).sum(), x)
        assert gradient.abs().sum() > 0
    still = make_loss(replace(tiny, loss="corr-l1:flow=zero"))
    torch.testing.assert_close(still(x, y), 2 * l1(x, y))
    matched = make_loss(replace(tiny, loss="corr-l1:form=reg"))
    assert not matched.detach_flow, "a regulariser without gradients would teach nothing"
    with pytest.raises(ValueError, match="detach_flow=False needs a flow with gradients, got DISFlow"):
        make_loss(replace(tiny, loss="corr-l1:form=reg", flow="dis"))


def test_a_loss_is_the_cost_of_the_same_name_and_counts_half_where_it_sums_two_directions(tiny):
    x, y = torch.rand(2, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    scales = {"corr-l1": 0.5, "corr-mse:form=reg": 0.5, "recommended": 0.5, "corr-l1:directions=1": 1, "mse": 1}
    for name, scale in scales.items():
        config = replace(tiny, loss=name)
        loss = make_loss(config)
        assert torch.equal(loss(x, y), make_distance(name)(x, y)), name
        assert make_trainer(config, 1, (16, 16), loss).objective.scale == scale


def test_user_code_as_a_loss_belongs_to_the_run(tiny, tmp_path):
    own = tmp_path / "own.py"
    own.write_text("def twice(x, y):\n    return 2 * (x - y).abs().mean(dim=(-3, -2, -1))\n")
    config = replace(tiny, loss=f"{own}:twice", steps=1)
    run_train(config)
    run_train(replace(config, loss=f"{tmp_path}/./own.py:twice"))
    own.write_text(own.read_text().replace("2", "3"))
    with pytest.raises(ValueError, match=r"made_of\.twice\.source is .* there and .* here"):
        run_train(replace(config, steps=2))


def test_a_loss_between_matched_pixels_is_the_mean_of_its_two_directions(tiny):
    clips = ClipFolder(tiny.data[0])
    batch = ClipWindows(clips, 4).batch(0, 2)
    losses = [
        make_trainer(config, clips.action_dim, clips.size, make_loss(config)).objective.loss(batch).total
        for config in (tiny, replace(tiny, loss="corr-l1:flow=zero"))
    ]
    torch.testing.assert_close(losses[1], losses[0])


def test_a_run_of_a_version_with_other_names_goes_on(tiny, tmp_path):
    """A checkpoint of one network."""
    whole = replace(tiny, out=tmp_path / "whole")
    run_train(whole)
    run_train(replace(tiny, steps=2))
    state = _checkpoint(tiny)
    parts = {"model": "networks", "optimizer": "optimizers", "average": "averages"}
    older = {name: state[kind]["model"] for name, kind in parts.items()}
    torch.save(older | {each: state[each] for each in ("step", "seconds", "losses", "way")}, tiny.out / "checkpoint.pt")
    with pytest.raises(ValueError, match=r"lr is 0.0002 there and 0.5 here"):
        run_train(replace(tiny, lr=0.5))
    run_train(tiny)
    assert _checkpoint(tiny)["losses"] == _checkpoint(whole)["losses"]


def test_a_run_of_a_version_without_a_group_of_options_goes_on(tiny):
    run_train(replace(tiny, steps=2))
    path = tiny.out / "config.json"
    config = json.loads(path.read_text())
    del config["adversary"], config["fake_steps"]
    path.write_text(json.dumps(config))
    assert run_train(tiny).is_dir()


def test_a_folder_with_earlier_names_of_options_is_refused(tiny):
    run_train(replace(tiny, steps=2))
    path = tiny.out / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({"rate" if name == "lr" else name: value for name, value in config.items()}))
    with pytest.raises(ConfigMismatch, match=r"rate is 0\.0002 there and missing here; choose another output folder"):
        run_train(tiny)


@pytest.mark.parametrize("command", ["train", "train-flow"])
def test_an_earlier_name_of_an_option_names_the_one_of_today(command, capsys):
    options = {f"--{each.name.replace('_', '-')}" for each in fields(commands()[command].config)}
    renamed = {old: new for old, new in RENAMED.items() if new in options}
    assert len(renamed) >= 5
    for old, new in renamed.items():
        assert cli.main([command, f"{old}=1"]) == 2
        assert capsys.readouterr().err == f"corrwise: {old} of {command} is called {new} now\n"


def test_the_last_clips_are_held_out(clips):
    folder = ClipFolder(clips)
    seen, held = Part.split(folder, 0.5)
    assert (seen.lengths, held.lengths) == ([9, 9], [9, 9])
    np.testing.assert_array_equal(held.read(0, 1, 4)[0], folder.read(2, 1, 4)[0])
    assert len(Part.split(folder, 0.99)[0].lengths) == 1


def test_strips_put_predictions_under_what_came():
    frames, shown = torch.zeros(2, 5, 3, 4, 4), torch.ones(2, 2, 3, 4, 4)
    image = strips(frames, shown)
    assert image.shape == (3, 16, 20)
    assert image[:, 4:8, 12:].eq(1).all()
    assert image.sum() == shown.sum()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "gan"], "unknown model 'gan'; there are auto, resnet3d, svg, svg-prime"),
        (["--loss", "l3"], "unknown cost 'l3'"),
        (["--data", "nowhere"], "there is no folder of clips at nowhere"),
        (["--horizon", "9"], "expected clips of at least 11 frames, context and horizon together"),
        (["--options", "width"], "options must be small, or pairs such as width=8, got width"),
        (["--options", "colour=1"], "resnet3d has no such options"),
        (["--options", "keep=no"], "keep must be true or false, got no"),
        (["--options", "width=true"], "width must be a whole number, got True"),
        (["--options", "downs=2.0"], "downs must be a whole number, got 2.0"),
        (
            ["--options", "widht=3", "--init-from", "nowhere"],
            "resnet3d has no such options: 'widht' (did you mean width?)",
        ),
        (["--num-workers", "-1"], "num_workers must be zero or above, got -1"),
        (["--options", "context=3"], "options must be without what clips and flags state, got context=3"),
        (["--init-from", "nowhere"], "there is no model in nowhere"),
        (["--loss", "corr-l1:flow=dis,form=reg"], "needs a flow with gradients"),
        (["--lr", "0"], "lr must be in (0, 1e+06], got 0.0"),
        (["--loss", "l1:vgg=none.pth"], "none.pth"),
        (["--time-weight", "velocity"], "time_weight must be left out with --objective predict, got velocity"),
        (["--objective", "flow-matching", "--model", "svg"], "model must be denoiser with --objective flow-matching"),
        ([*DENOISER, "--loss", "l1"], "loss must be left out with --objective flow-matching, got l1"),
        ([*DENOISER, "--time-weight", "heavy"], "unknown weight 'heavy'"),
        ([*DENOISER, "--time-law", "late"], "unknown time law 'late'"),
        ([*DENOISER, "--options", "evaluations=0"], "evaluations must be at least 1, got 0"),
        (["--model", "denoiser", "--options", "evaluations=4"], "evaluations=1 with --objective predict"),
        (["--crop", "8"], "crop must be 0 or at least 16, got 8"),
        (["--crop", "24"], "expected crops no larger than images of 16 x 16, got 24"),
        (["--options", "width=1", "downs=5"], "sides that are multiples of 32 and at least 64, got (16, 16)"),
    ],
)
def test_bad_input_is_one_sentence(tiny, capsys, arguments, message):
    words = ["train", "--data", str(tiny.data[0]), "--out", str(tiny.out), "--steps", "1", *arguments]
    assert cli.main(words) == 2
    assert message in capsys.readouterr().err
    assert not tiny.out.exists()


def test_clips_that_are_no_clips_are_one_sentence(tiny, tmp_path, capsys):
    folder = tmp_path / "mixed"
    folder.mkdir()
    words = ["train", "--data", str(folder), "--out", str(tiny.out), "--steps", "1"]
    assert cli.main(words) == 2
    assert "holds no clips: expected shard-*.h5" in capsys.readouterr().err
    (folder / "shard-00000.h5").write_text("no HDF5")
    with pytest.warns(UserWarning, match="no shard of clips that can be read"):
        assert cli.main(words) == 2
    assert f"{folder} holds no clips: {folder / 'shard-00000.h5'} " in capsys.readouterr().err
    for i, size in enumerate((16, 24)):
        clip = Clip(np.zeros((9, size, size, 3), np.uint8), np.zeros((8, 1), np.float32))
        write_shard(folder / f"shard-{i:05d}.h5", [clip], {})
    assert cli.main(words) == 2
    assert "mixes clips" in capsys.readouterr().err


def test_a_folder_of_another_run_is_refused(tiny, capsys):
    run_train(replace(tiny, steps=1))
    words = ["train", "--data", str(tiny.data[0]), "--out", str(tiny.out), "--steps", "1", "--batch", "2"]
    assert cli.main(words) == 2
    assert "holds rows of another configuration" in capsys.readouterr().err


def test_small_stands_for_options_that_others_change():
    small = replace(TrainConfig(), options=("small", "width=4")).model_options
    assert small == {"width": 4, "keep": True, "downs": 2, "blocks3d": 1, "blocks2d": 3}
    assert all(make_model(name, **TrainConfig(model=name, options=("small",)).model_options) for name in MODELS)


def test_crops_of_images_that_do_not_fit_the_model_are_refused_at_once(tmp_path):
    run_collect(CollectConfig(out=tmp_path / "clips", episodes=4, steps=8, size=20))
    config = TrainConfig(
        data=(tmp_path / "clips",), out=tmp_path / "run", steps=4, batch=3, crop=16, options=("width=2", "downs=3")
    )
    for fraction in (0.0, 0.25):
        with pytest.raises(ValueError, match="multiples of 8"):
            run_train(replace(config, val_fraction=fraction))
    assert not config.out.exists()


def test_what_fails_on_held_out_clips_does_not_cost_the_checkpoint(tiny, monkeypatch):
    def fails(trainer, batch, **options):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(train, "held_out_loss", fails)
    with pytest.raises(RuntimeError, match="out of memory"):
        run_train(tiny)
    assert len(_checkpoint(tiny)["losses"]) == 2


def test_a_held_out_loss_is_the_mean_over_its_parts(tiny):
    clips = ClipFolder(tiny.data[0])
    batch = ClipWindows(clips, 4).batch(0, 8)
    parts, whole = (
        held_out_loss(
            make_trainer(config, clips.action_dim, clips.size, l1), batch, size=config.batch, seed=config.seed
        )
        for config in (replace(tiny, batch=3), replace(tiny, batch=8))
    )
    torch.testing.assert_close(parts.total, whole.total)
    torch.testing.assert_close(dict(parts.parts), dict(whole.parts))
    torch.testing.assert_close(parts.outputs["frames"], whole.outputs["frames"])


def test_a_finished_run_keeps_what_it_says_of_itself(tiny, monkeypatch):
    folder = run_train(tiny)
    before = (folder / "config.json").read_bytes()
    logs = sorted((tiny.out / "logs").iterdir())
    monkeypatch.setattr(train, "versions", lambda: {"corrwise": "later"})
    assert run_train(tiny) == folder
    assert (folder / "config.json").read_bytes() == before
    assert sorted((tiny.out / "logs").iterdir()) == logs
    run_train(replace(tiny, steps=5))
    assert json.loads((folder / "config.json").read_text())["about"]["versions"] == {"corrwise": "later"}
    with pytest.warns(UserWarning, match="has 5 steps already, and --steps 4 trains no more of them"):
        assert run_train(replace(tiny, steps=4)) == folder


@pytest.mark.parametrize("readers", [0, 1, 5])
def test_readers_change_no_loss(tiny, tmp_path, readers):
    run_train(tiny)
    run_train(replace(tiny, out=tmp_path / "other", num_workers=readers))
    assert _checkpoint(replace(tiny, out=tmp_path / "other"))["losses"] == _checkpoint(tiny)["losses"]


class _Silent:
    """An objective that cannot evaluate batches."""

    phases = (Phase("train", ("model",)),)

    def __init__(self, model):
        self.networks = {"model": model}

    def loss(self, batch, generator, phase):
        raise AssertionError


def test_an_objective_states_that_it_evaluates_held_out_batches(tiny):
    clips = ClipFolder(tiny.data[0])
    trainer = make_trainer(tiny, clips.action_dim, clips.size, l1)
    model, batch = trainer.objective.model, ClipWindows(clips, 4).batch(0, 2)
    assert isinstance(trainer.objective, EvaluatingObjective)
    assert not isinstance(_Silent(model), EvaluatingObjective)
    late = WarmStart(FramePrediction(model, mse), trainer.objective, steps=1, total=2)
    generator = torch.Generator("cpu")
    losses = [
        objective.evaluate(batch, {"model": model.eval()}, generator.manual_seed(0)).total
        for objective in (trainer.objective, late)
    ]
    assert losses[0] == losses[1], "that of what follows the warm start"
    trainer.objective = _Silent(model)
    with pytest.raises(TypeError, match="expected an objective with a method evaluate, got _Silent"):
        held_out_loss(trainer, batch, size=2, seed=0)
