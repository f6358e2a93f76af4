"""``corrwise preview``: the sheet marks what of a body the images do not show, and its summary counts it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from corrwise.envs import VisualTask
from corrwise.experiments.cli import main
from corrwise.experiments.report.sheet import Shot, contact_sheet

RED = (206, 32, 41)
OWN = '''
import mujoco
import numpy as np
from corrwise.envs import Camera, GoalSampling, Task

XML = """<mujoco><worldbody><light pos="0 -3 3"/><body><joint name="x" type="slide" axis="1 0 0" damping="1"/>
  <geom name="shell" size=".3" mass="1"/><geom name="core" size=".1"/>
  <geom name="wire" type="capsule" fromto="0 0 .2 0 0 .8" size=".002"/></body></worldbody>
  <actuator><motor joint="x" gear="100"/></actuator></mujoco>"""
TASK = Task(
    name="wired", model=lambda: mujoco.MjSpec.from_string(XML),
    camera=Camera(position=(0.0, -4.0, 0.0), target=(0.0, 0.0, 0.0)), frame_skip=10, episode_steps=10,
    start=lambda model, rng: (np.zeros(1), np.zeros(1)), goal=GoalSampling(min_steps=2, max_steps=10, min_distance=0.1),
)
'''


def _colors(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_goals_that_are_cut_off_are_counted_and_marked(tmp_path, capsys):
    assert main(["preview", "cartpole-short", "--count", "4", "--size", "32", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    cut = [VisualTask("cartpole-short", size=16).reset(seed=seed)[1] for seed in range(4)]
    goals, starts = (sum(info[name] > 0 for info in cut) for name in ("goal_out_of_view", "out_of_view"))
    assert f"goals: {goals} of 4 cut off: pole_1 in {goals} (by up to 3.8 px)" in out
    assert f"starts: {starts} of 4 cut off: pole_1 in {starts}" in out
    assert "images: 8 of 8 with a part thinner than a pixel: pole_1 in 8 (0.6 px)" in out
    assert out.splitlines()[-1] == str(tmp_path / "cartpole-short.png")
    assert (_colors(tmp_path / "cartpole-short.png") == RED).all(axis=-1).sum() > 100


def test_what_is_hidden_or_thin_is_named_and_nothing_is_red_where_all_is_inside(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("wired.py").write_text(OWN)
    assert main(["preview", "wired.py:TASK", "--count", "1", "--size", "32", "--out", "sheet.png"]) == 0
    out = capsys.readouterr().out
    assert "wired: 1 episode from seed 0, 32 x 32 pixels" in out
    assert "goals: none of 1 cut off" in out
    assert "images: 2 of 2 with a part thinner than a pixel: wire in 2 (0.0 px)" in out
    assert "images: 2 of 2 with a hidden part: core in 2" in out
    assert not (_colors(Path("sheet.png")) == RED).all(axis=-1).any()


@pytest.mark.parametrize(
    ("attributes", "line"),
    [
        ('group="3"', "images: nothing that moves is drawn: what moves is 1 geom of a hidden group (3 to 5); show it"),
        ('rgba="1 0 0 .5"', 'images: left out the transparency of 1 shape; renderer="gl" draws it all'),
        ('pos="0 -40 0"', "goals: 1 of 1 with the same image as their start"),
    ],
)
def test_what_no_image_shows_is_in_the_summary(tmp_path, capsys, monkeypatch, attributes, line):
    monkeypatch.chdir(tmp_path)
    before, after = OWN.index('  <geom name="shell"'), OWN.index("</body>")
    Path("unseen.py").write_text(f'{OWN[:before]}<geom size=".3" mass="1" {attributes}/>{OWN[after:]}')
    assert main(["preview", "unseen.py:TASK", "--count", "1", "--size", "32", "--out", "sheet.png"]) == 0
    assert line in capsys.readouterr().out


def test_what_is_thinner_than_a_pixel_does_not_read_as_a_whole_one(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("wired.py").write_text(OWN.replace('size=".002"', 'size=".0505"'))
    assert main(["preview", "wired.py:TASK", "--count", "1", "--size", "32", "--out", "sheet.png"]) == 0
    assert "wire in 2 (0.9 px)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["cartpole", "--count", "0"], "count must be at least 1, got 0"),
        (["cartpole", "--size", "2"], "size must be at least 16 pixels, got 2"),
        (["cartpole", "--size", "100000"], "size must be at most 512 pixels, got 100000"),
        (["cartpole", "--seed", "-1"], "seed must be zero or above and below 2^32, got -1"),
        (["cartpool"], "unknown task 'cartpool' (did you mean cartpole?); there are cartpole, ant"),
        (["nowhere.py:TASK"], "expected a Python file with a task, got 'nowhere.py' which is no file"),
        (["cartpole", "--out", "sheet.jpg"], "out must be a .png file or a folder, got sheet.jpg"),
        (["cartpole", "--out", "folder.png"], "out must be a file if it ends in .png, got the folder folder.png"),
        (["cartpole", "--count", "1", "--out", "/proc/nowhere"], "cannot write /proc/nowhere/cartpole.png"),
        ([], "preview needs TASK"),
    ],
)
def test_bad_input_is_one_sentence_and_status_two(argv, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("folder.png").mkdir()
    assert main(["preview", *argv]) == 2
    message = capsys.readouterr().err
    assert sentence in message
    assert len(message.strip().splitlines()) == 1
    assert sorted(path.name for path in Path().iterdir()) == ["folder.png"], "a refused preview leaves nothing behind"


@pytest.mark.parametrize(("size", "many"), [(16, 2), (64, 8), (300, 2)])
def test_a_sheet_keeps_its_width_whatever_is_written_on_it(size, many):
    blank, wide = np.zeros((size, size, 3), np.uint8), np.zeros((size + 8, size + 8, 3), np.uint8)
    long = {f"a_very_long_name_of_a_geom_{i}": 1.0 for i in range(9)}
    shot = Shot("seed 1, goal", True, blank, wide, wide[..., 0] > 0, np.ones(4, bool), long, long, {})
    plain = Shot("seed 1, start", False, blank, wide, wide[..., 0] > 0, np.zeros(4, bool), {}, {}, {})
    full, empty = contact_sheet("t" * 300, ["words " * 80], [shot] * many), contact_sheet("t", [], [plain] * many)
    assert full.shape[1] == empty.shape[1] <= 2000
    assert full.shape[0] > empty.shape[0]
    assert (full[:, -10:] == 255).all(), "something runs over the edge of the sheet"
