"""Models that are evaluated on clips which they learned from are named."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.cli.evaluate import EvaluateConfig
from corrwise.experiments.runs.collect import run_collect
from corrwise.experiments.studies.motion.run import run_motion
from corrwise.experiments.studies.predictors.apart import check_held, learned_from, shared_clips
from corrwise.experiments.studies.predictors.evaluate import run_evaluate
from corrwise.predictors.data import ClipFolder
from corrwise.predictors.data.clip import Clip
from corrwise.predictors.data.formats.shard_writer import write_shard
from corrwise.predictors.data.sources import open_clips
from corrwise.predictors.models.registry import make_model


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    out = tmp_path_factory.mktemp("clips")
    for name, seed, episodes in (("clips", 0, 4), ("held", 100, 2)):
        run_collect(CollectConfig(out=out / name, episodes=episodes, steps=7, size=16, seed=seed))
    shutil.copytree(out / "clips", out / "copy")
    both = ClipFolder(out / "clips"), ClipFolder(out / "held")
    for name, some in (("last", [(0, 2), (0, 3)]), ("mixed", [(1, 0), (0, 1)])):
        (out / name).mkdir()
        write_shard(out / name / "shard-00000.h5", [Clip(*both[which].read(i, 0, 8)) for which, i in some], {})
    return out


@pytest.fixture
def run(clips, tmp_path):
    """Return a function that writes a run with a model, and returns its folder."""

    def written(name, data, **options):
        torch.manual_seed(0)
        model = make_model("resnet3d", context=2, action_dim=1, width=2, downs=1, blocks3d=1, blocks2d=1)
        model.save_pretrained(tmp_path / name / "model", {"data": str(data)})
        config = {"data": str(data), "val_fraction": 0.0, **options}
        (tmp_path / name / "config.json").write_text(json.dumps(config))
        return tmp_path / name

    return written


def sentences(folder, path, frames=5):
    return shared_clips({folder.name: learned_from(folder / "model")}, path, open_clips(path), frames)


def test_the_same_folder_a_copy_and_a_part_of_it_are_not_held_out(run, clips):
    folder = run("model-x", clips / "clips")
    for name in ("clips", "copy"):
        where = clips / name
        expected = [f"model-x learned from 4 of the 4 clips of {where}, on which models are evaluated"]
        assert sentences(folder, where) == expected
    assert "model-x learned from 1 of the 2 clips" in sentences(folder, clips / "mixed")[0]
    assert sentences(folder, clips / "held") == []


def test_clips_that_a_run_held_out_are_new(run, clips):
    folder = run("model-x", clips / "clips", val_fraction=0.5)
    assert "learned from 2 of the 4 clips" in sentences(folder, clips / "copy")[0]
    assert sentences(folder, clips / "last") == []
    assert "2 of the 2" in sentences(run("whole", clips / "clips"), clips / "last")[0]


def test_a_student_learned_from_the_clips_of_its_teacher(run, clips):
    teacher = run("teacher", clips / "clips")
    student = run("student", clips / "held", teacher=str(teacher), init_from="")
    later = run("later", clips / "held", init_from=str(student / "model"), teacher=str(clips / "none"))
    assert "later learned from 4 of the 4 clips" in sentences(later, clips / "copy")[0]
    turned = run("teacher", clips / "clips", teacher=str(student))  # each the other's teacher
    assert "teacher learned from 2 of the 2 clips" in sentences(turned, clips / "held")[0]


def test_a_model_by_itself_states_its_clips_and_what_cannot_be_read_is_not_compared(run, clips, tmp_path):
    folder = run("model-x", clips / "clips")
    alone = shutil.copytree(folder / "model", tmp_path / "alone")
    assert learned_from(alone) == {(str(clips / "clips"), 0.05)}
    for data in (3, [], [None, str(tmp_path / "gone")], {"a": 1}):
        (folder / "config.json").write_text(json.dumps({"data": data, "val_fraction": "most", "teacher": 1}))
        assert sentences(folder, clips / "clips") == []
    for text in ("{", "[]"):
        (folder / "config.json").write_text(text)
        assert "learned from 4 of the 4" in sentences(folder, clips / "clips")[0], "the model's metadata"
    broken = run("broken", clips / "clips")
    for file in (broken / "config.json", broken / "model" / "config.json"):
        file.write_text("{")
    assert sentences(run("student", clips / "held", teacher=str(broken)), clips / "clips") == []


def test_many_models_are_one_sentence(clips):
    learned = {f"m-{k}": {(str(clips / "clips"), 0.0)} for k in range(5)}
    learned["other"] = {(str(clips / "held"), 0.0)}
    (sentence,) = shared_clips(learned, clips / "clips", open_clips(clips / "clips"), 5)
    assert sentence.startswith("m-0, m-1, m-2 and 2 more learned from 4 of")


@pytest.mark.usefixtures("undrawn")
def test_tables_and_pages_carry_the_warning(run, clips, tmp_path, capsys):
    config = EvaluateConfig(
        models=(run("model-x", clips / "clips"),), data=clips / "copy", out=tmp_path / "frames", horizon=3, windows=3,
        videos=0,
    )  # fmt: skip
    motion = replace(
        config, out=tmp_path / "motion", motion=True, samples=2, motion_flow="dis", motion_interpolator="blend"
    )
    sentence = "model-x learned from 4 of the 4 clips"
    for command, options in ((run_evaluate, config), (run_motion, motion)):
        page = command(options)
        assert f"corrwise: warning: {sentence}" in capsys.readouterr().err
        assert f"> **Warning:** {sentence}" in (page.parent / "table.md").read_text()
        assert sentence in page.read_text()


def test_one_folder_for_learning_and_evaluation_is_refused(clips, tmp_path, capsys):
    (tmp_path / "link").symlink_to(clips / "clips")
    for other in (clips / "clips", tmp_path / "link", clips / "held" / ".." / "clips"):
        with pytest.raises(ValueError, match=r"expected other clips as --held than as --data, .* for both"):
            check_held(clips / "clips", other, 5, actions=True)
    assert check_held(clips / "clips", clips / "held", 5, actions=True) == []
    (sentence,) = check_held(clips / "clips", clips / "copy", 5, actions=True)
    assert sentence.startswith("each model learned from 4 of the 4 clips")
    assert sentence in capsys.readouterr().err


def test_held_out_clips_of_another_kind_are_refused_before_any_training(clips, tmp_path):
    for name, options in (("size", {"size": 24}), ("task", {"task": "ant"})):
        run_collect(CollectConfig(**{"out": tmp_path / name, "episodes": 1, "steps": 7, "size": 16, **options}))
        with pytest.raises(ValueError, match=f"expected clips of {name} .* in {tmp_path / name}, as in {clips}"):
            check_held(clips / "clips", tmp_path / name, 5, actions=False)
    (tmp_path / "plain").mkdir()
    frames, actions = ClipFolder(clips / "held").read(0, 0, 8)
    write_shard(tmp_path / "plain" / "shard-00000.h5", [Clip(frames, actions[:, :0])], {})
    with pytest.raises(ValueError, match=r"expected clips of actions 1 in .*, got 0"):
        check_held(clips / "clips", tmp_path / "plain", 5, actions=True)
    assert check_held(clips / "clips", tmp_path / "plain", 5, actions=False) == []
