"""The table of few-step students: every arm is trained as its name states, and measured beside its teacher."""

import json
from dataclasses import replace
from shutil import copytree

import pytest
import torch

from corrwise.costs.motion.score import LEVELS
from corrwise.costs.presets import NAMED_FLOWS
from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.cli.distilling import AdversaryOptions
from corrwise.experiments.cli.table_motion import ARMS, WITHOUT_ADVERSARY, MotionTableConfig
from corrwise.experiments.runs.collect import run_collect
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.runs.sampling import with_sampling
from corrwise.experiments.studies.motion.measure import ACCELERATIONS, LENGTHS
from corrwise.experiments.studies.motion.measure import KEY as MOTION_KEY
from corrwise.experiments.studies.students.run import KEY, _phases, run_motion_table, student_config, teacher_config
from corrwise.experiments.studies.students.table import student_tables
from corrwise.predictors.models.registry import load_model
from corrwise.validation import ConfigError
from tests.experiments.runs.test_row_docs import ROOT, documented


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    out = tmp_path_factory.mktemp("students")
    for name, seed in (("clips", 0), ("held", 100)):
        run_collect(CollectConfig(out=out / name, episodes=3, steps=7, size=16, seed=seed))
    return MotionTableConfig(
        data=out / "clips", held=out / "held", out=out / "table", seeds=2,
        arms=("untrained", "distill", "mogan", "mogan-pixels"), actions=False, batch=2,
        options=("width=4", "blocks=1"), teacher_steps=2, teacher_horizon=2, own_frames_after=1,
        iterations=2, horizon=3, fake_steps=1, sample_at=(0.5,), nfe=3, samples=2, shown=3, windows=4,
        motion_flows=("dis",), motion_interpolator="blend", videos=0, processes=1,
        adversary=AdversaryOptions(flow="tv-l1", trunk="conv", warm_up=1, least=0.0, most=1e9),
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(tiny):
    return run_motion_table(tiny).read_text()


def test_arms_differ_in_what_they_are_named_for():
    config = MotionTableConfig(arms=tuple(ARMS), adversary=AdversaryOptions(flow="tv-l1"))
    arms = {arm: student_config(config, arm, 1) for arm in config.arms}
    assert arms["distill"].objective == "distill"
    assert {each.objective for name, each in arms.items() if name not in WITHOUT_ADVERSARY} == {"mogan"}
    base = arms["mogan"].adversary
    assert base == config.adversary
    assert arms["mogan-no-penalty"].adversary == replace(base, r1=0.0, r2=0.0)
    assert arms["mogan-no-matching"].adversary == replace(base, matching=False)
    assert arms["mogan-pixels"].adversary == replace(base, flow="pixels")
    assert arms["mogan-teacher-trunk"].adversary == replace(base, trunk="teacher")
    assert {each.teacher for each in arms.values()} == {str(config.out / "models" / "teacher-1")}
    assert arms["distill"].steps == 300 * 5
    assert arms["mogan"].steps == 100 * 5 + 200 * 7
    assert arms["mogan-no-matching"].steps == 100 * 5 + 200 * 2


def test_teachers_and_students_are_trained_in_the_precision_that_is_asked_for():
    config = MotionTableConfig(precision="bf16-mixed")
    assert teacher_config(config, 0).precision == student_config(config, "mogan", 0).precision == "bf16-mixed"


def test_teachers_learn_from_true_contexts_unless_own_frames_are_asked_for():
    assert teacher_config(MotionTableConfig(teacher_steps=5), 0).own_frames_after == 5
    assert teacher_config(MotionTableConfig(teacher_steps=5, own_frames_after=2), 0).own_frames_after == 2


def test_students_are_compared_at_times_of_their_own():
    config = MotionTableConfig(time_law="uniform", student_time_law="mode")
    assert student_config(config, "distill", 0).student_time_law == "mode"
    assert teacher_config(config, 0).time_law == "uniform"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arms": ("distill", "morgan")}, "did you mean mogan"),
        ({"arms": ("mogan",)}, "distill and what is compared with it"),
        ({"arms": ("distill", "distill")}, "different from each other"),
        ({"adversary": AdversaryOptions(window=9)}, "at most the horizon, 8"),
        ({"iterations": 100}, "adversary.warm_up must be below the 100 iterations, got 100"),
    ],
)
def test_arms_that_make_no_table_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        MotionTableConfig(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"adversary": AdversaryOptions(flow="dis", warm_up=1)}, "expected a flow with gradients, .* got dis"),
        ({"horizon": 9}, "expected clips of at least 11 frames in .*clips, the longest has 8"),
        ({"shown": 7}, "expected clips of at least 9 frames in .*held, the longest has 8"),
        ({"time_law": "shiftd"}, "did you mean shifted"),
        ({"student_time_law": "shiftd"}, "did you mean shifted"),
        ({"sample_at": (0.5, 0.25)}, r"expected rising times to sample at, got \(0.5, 0.25\)"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_any_training(tiny, change, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        run_motion_table(replace(tiny, out=tmp_path / "table", **change))
    assert not (tmp_path / "table").exists()


def test_clips_that_are_too_small_for_the_discriminators_flow_are_refused_before_any_training(
    tiny, tmp_path, monkeypatch
):
    monkeypatch.setitem(NAMED_FLOWS, "tv-l1", replace(NAMED_FLOWS["tv-l1"], smallest=32))
    with pytest.raises(ValueError, match="expected images of at least 32 px for --adversary"):
        run_motion_table(replace(tiny, out=tmp_path / "table"))
    assert not (tmp_path / "table").exists()


def test_clips_to_learn_from_are_not_held_out(tiny, tmp_path, capsys):
    with pytest.raises(ValueError, match="expected other clips as --held than as --data"):
        run_motion_table(replace(tiny, held=tiny.data, out=tmp_path / "table"))
    assert not (tmp_path / "table").exists()
    copytree(tiny.data, tmp_path / "copy")
    few = replace(tiny, held=tmp_path / "copy", out=tmp_path / "table", arms=("distill",), seeds=1, windows=1)
    page = run_motion_table(few).read_text()
    assert page.startswith("> **Warning:** each model learned from 3 of the 3 clips of ")
    assert capsys.readouterr().err.startswith("corrwise: warning: each model learned from"), "before it trains"


def test_models_rows_and_tables(tiny, made):
    trained = ["teacher-0", "teacher-1", "distill-0", "distill-1", "mogan-0", "mogan-1", "mogan-pixels-0"]
    names = [*trained[:2], "untrained-0", "untrained-1", *trained[2:]]
    rows = read_rows(tiny.out / "motion-dis" / "rows.jsonl", MOTION_KEY)
    assert list(dict.fromkeys(row["model"] for row in rows)) == ["true", *names, "copy-last"]
    students = [load_model(tiny.out / "models" / name / "model").config for name in ("untrained-0", "mogan-1")]
    assert [each.sample_at for each in students] == [(0.5,), (0.5,)]
    teacher, untrained = (load_model(tiny.out / "models" / name / "model") for name in ("teacher-0", "untrained-0"))
    torch.testing.assert_close(untrained.state_dict(), teacher.state_dict(), rtol=0, atol=0)
    times = read_rows(tiny.out / "rows.jsonl", KEY)
    assert list(dict.fromkeys(row["model"] for row in times)) == trained
    steps = {row["phase"]: row["steps"] for row in times if row["model"] == "mogan-0"}
    assert sum(steps.values()) == tiny.steps_of("mogan")
    assert steps["motion"] == steps["discriminator"] == 1
    assert not set(times[0]) - documented((ROOT / "docs" / "rows.md").read_text("utf-8"))
    assert "### Motion of sampled futures (dis)" in made
    assert "| `mogan` | 2 |" in made
    assert "| `mogan-pixels` | 1 |" in made
    assert "### Seconds of training" in made


def test_untrained_students_take_other_numbers_of_evaluations(tiny, made):
    folder = tiny.out / "models" / "untrained-0" / "model"
    assert with_sampling(load_model(folder), folder, 1).config.evaluations == 1


def test_a_second_run_makes_nothing_anew(tiny, made):
    files = [
        tiny.out / "rows.jsonl",
        tiny.out / "motion-dis" / "rows.jsonl",
        tiny.out / "models/mogan-0/checkpoint.pt",
    ]
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in files]
    assert run_motion_table(tiny).read_text() == made
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in files] == before


def test_a_collapsed_student_is_measured_at_its_last_checkpoint_and_named(tiny, made, tmp_path, monkeypatch):
    monkeypatch.setattr("corrwise.experiments.studies.students.run._CHECKPOINT_EVERY", 1)
    config = replace(
        tiny, out=tmp_path / "table", arms=("distill", "mogan"), seeds=1, windows=2,
        adversary=replace(tiny.adversary, most=1e-9),
    )  # fmt: skip
    page = run_motion_table(config).read_text()
    assert "mogan-0: training was stopped: collapse: the mean logit" in page
    assert "| `mogan` | 1 |" in page
    stated = json.loads((config.out / "models" / "mogan-0" / "collapse.json").read_text())
    assert stated["reason"].startswith("collapse")
    assert run_motion_table(config).read_text() == page


def test_a_student_that_collapses_before_its_first_checkpoint_is_named_and_not_measured(tiny, tmp_path):
    adversary = replace(tiny.adversary, most=1e-9)
    config = replace(tiny, out=tmp_path / "t", arms=("distill", "mogan"), seeds=1, windows=1, adversary=adversary)
    page = run_motion_table(config).read_text()
    sentence = "mogan-0: training was stopped before its first checkpoint, and it is not measured: collapse: the mean"
    assert sentence in page
    assert "| `mogan`" not in page
    assert run_motion_table(config).read_text() == page


@pytest.mark.parametrize("name", ["teacher-0", "distill-0", "mogan-0"])
def test_a_damaged_model_is_made_again_from_its_checkpoint(tiny, made, name, tmp_path):
    config = replace(tiny, out=copytree(tiny.out, tmp_path / "table"))
    folder = config.out / "models" / name / "model"
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    assert run_motion_table(config).read_text() == made
    assert weights.read_bytes() == whole
    weights.unlink()
    assert run_motion_table(config).read_text() == made
    assert weights.read_bytes() == whole


def test_a_damaged_model_of_a_training_that_was_stopped_is_made_again(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("corrwise.experiments.studies.students.run._CHECKPOINT_EVERY", 1)
    adversary = replace(tiny.adversary, most=1e-9)
    config = replace(tiny, out=tmp_path / "t", arms=("distill", "mogan"), seeds=1, windows=1, adversary=adversary)
    page = run_motion_table(config).read_text()
    weights = config.out / "models" / "mogan-0" / "model" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:9])
    assert run_motion_table(config).read_text() == page
    assert weights.read_bytes() == whole
    (config.out / "models" / "mogan-0" / "collapse.json").write_text("[]")
    with pytest.raises(ValueError, match=r"collapse\.json states no reason why training was stopped: remove it"):
        run_motion_table(config)


@pytest.mark.parametrize("about", ["{}", '{"phases": {"motion": 3}}', '{"phases": [1]}'])
def test_a_model_without_the_times_of_its_training_names_the_folder(tmp_path, about):
    (tmp_path / "config.json").write_text(f'{{"model": "denoiser", "config": {{}}, "about": {about}}}')
    with pytest.raises(ValueError, match=r"config\.json states no steps and seconds of phases: remove .* to make it"):
        _phases(tmp_path)


def motion_row(model, clip, length):
    levels = [0.0] * (LEVELS // 2) + [length] * (LEVELS - LEVELS // 2)
    return {
        "model": model, "weights": "", "window": clip, "clip": clip, "smoothness": 0.9, "dynamic": min(length, 1.0),
        "largest": length, LENGTHS: levels, ACCELERATIONS: levels, "energy": 2.0 - length / 10,
    }  # fmt: skip


def test_a_model_whose_name_states_no_seed_is_an_arm():
    rows = [motion_row(model, clip, 1.0) for model in ("true", "distill-0", "alone") for clip in range(2)]
    assert "| `alone` | 1 |" in student_tables({"exact": rows}, [])


def test_the_share_of_the_gap_is_that_of_distill():
    lengths = {"true": 1.0, "teacher-0": 0.9, "distill-0": 0.5, "distill-1": 0.5, "mogan-0": 0.9, "mogan-1": 0.8}
    rows = [motion_row(model, clip, scale * (1 + clip)) for model, scale in lengths.items() for clip in range(6)]
    times = [
        {"model": f"mogan-{seed}", "phase": phase, "steps": 10, "seconds": seconds}
        for seed in (0, 1)
        for phase, seconds in (("motion", 2.0), ("warm-up distribution", 1.0), ("distribution", 3.0))
    ]
    page = student_tables({"exact": rows}, times)
    compared = page.partition("### Compared with distill")[2]
    line = next(each for each in compared.splitlines() if each.startswith("| `mogan`"))
    assert "+70.0% (+70.0% to +70.0%) [80 %, 60 %]" in line
    teacher = next(each for each in compared.splitlines() if each.startswith("| `teacher`"))
    assert "| 1 |" in teacher
    assert "+80.0%" in teacher
    assert "| `mogan` | 2 | 6 | 2 (200) | 4 (200) |" in page
