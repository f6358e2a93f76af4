"""``corrwise toy``: scenes, crispness and curves by their properties; a run that goes on; what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from corrwise.costs import CorrespondenceWise, l1
from corrwise.experiments.cli import main
from corrwise.experiments.cli.toy import ToyConfig
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.studies.toy import measure
from corrwise.experiments.studies.toy.drawings import BACKGROUNDS, OBJECTS
from corrwise.experiments.studies.toy.measure import closed_form, crispness, curve_losses
from corrwise.experiments.studies.toy.scenes import curve_scenes, make_scenes, read_background, read_object
from corrwise.experiments.studies.toy.table import KEY, run_toy

TINY = ToyConfig(
    costs=("l1", "corr-l1:flow=dis", "mse"), curves=("l1", "corr-l1:flow=dis,epsilon=0"), height=16, width=32,
    channels=1, steps=3, curve_backgrounds=2, curve_reach=4, offset_range=0.25,
)  # fmt: skip
SMALL = replace(TINY, height=32, width=64, curve_reach=10)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("toy") / "run"
    assert run_toy(replace(TINY, out=out)) == out / "table.md"
    return out


def save(path, rgba):
    Image.fromarray(np.asarray(rgba, dtype=np.uint8)).save(path)
    return str(path)


def square(side=20, margin=4, alpha=255):
    rgba = np.zeros((side, side, 4))
    rgba[margin:-margin, margin:-margin] = (255, 0, 0, alpha)
    return rgba


def test_pixels_find_the_closed_forms_and_the_warm_start_is_the_pixel_wise_cost(tmp_path):
    pixels = replace(TINY, image="pixels", curves=(), steps=120, lr=0.005)
    run_toy(replace(pixels, out=tmp_path / "cold", costs=("l1", "mse")))
    rows = {row["cost"]: row for row in read_rows(tmp_path / "cold" / "rows.jsonl", KEY)}
    assert rows["l1"]["optimum_error"] < 0.01
    assert rows["mse"]["optimum_error"] < 0.01
    assert rows["l1"]["loss"] <= rows["l1"]["loss_centre"] + 1e-6
    warm = replace(pixels, out=tmp_path / "warm", costs=("corr-mse:flow=dis",), warm_start=119, steps=120)
    run_toy(warm)
    (row,) = read_rows(tmp_path / "warm" / "rows.jsonl", KEY)
    mean = closed_form("mse", make_scenes(warm))
    image = np.asarray(Image.open(tmp_path / "warm" / row["image"]), dtype=float) / 255
    assert np.abs(image - mean.permute(1, 2, 0).numpy()).mean() < 0.015


def test_a_regulariser_is_minimised_too_and_refused_over_a_flow_without_gradients(tmp_path, monkeypatch, capsys):
    detached = {}

    def note(made, draw, distance, **options):
        detached[getattr(distance, "regularizer", None) is not None] = getattr(distance, "detach_flow", None)
        return made().detach()

    monkeypatch.setattr(measure, "average_image", note)
    pixels = replace(TINY, image="pixels", curves=(), height=32, width=64)
    for cost in ("corr-l1:flow=tv-l1,form=reg", "corr-l1:flow=dis"):
        run_toy(replace(pixels, out=tmp_path / cost, costs=(cost,)))
    assert detached == {True: False, False: True}
    words = ["toy", "--image", "pixels", "--costs", "corr-l1:flow=dis,form=reg", "--out", str(tmp_path / "dis")]
    assert main(words) == 2
    assert "needs a flow with gradients, got" in capsys.readouterr().err
    assert not (tmp_path / "dis").exists()


@pytest.mark.parametrize("name", OBJECTS)
def test_built_in_objects_are_cut_to_where_they_are_opaque(name):
    alpha = read_object(name)[..., 3]
    assert alpha.max() == 255
    assert all(edge.any() for edge in (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]))


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_backgrounds_have_detail_and_depend_on_their_generator_alone(name):
    first, again, other = (read_background(name, (32, 64), np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert first.shape == (32, 64, 3)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.std() > 10


def test_a_scene_is_the_object_over_the_background_at_its_offset(tmp_path):
    object_file = save(tmp_path / "square.png", square(alpha=102))
    background = save(tmp_path / "wall.png", np.full((50, 100, 3), 51))
    scenes = make_scenes(replace(SMALL, object=object_file, background=background, object_height=0.25, vertical=0.5))
    assert len(scenes.offsets) % 2 == 1
    assert scenes.reach == 8
    assert scenes.alpha.shape == (1, 8, 8), "the transparent margin is cut off"
    for offset, image in zip(scenes.offsets, scenes.all, strict=True):
        inside = torch.zeros(32, 64, dtype=torch.bool)
        inside[12:20, 28 + offset : 36 + offset] = True
        assert torch.equal(scenes.mask(offset) > 0, inside)
        assert torch.allclose(image[:, inside], torch.tensor([[0.52], [0.12], [0.12]]), atol=1e-3), "0.4 opaque"
        assert torch.allclose(image[:, ~inside], torch.tensor(0.2), atol=1e-3)
    assert scenes.region.sum() == 8 * (8 + 16)


def test_a_files_middle_becomes_the_background(tmp_path):
    image = np.zeros((40, 200, 3))
    image[:, 60:140] = 200
    file = save(tmp_path / "wide.png", image)
    assert (read_background(file, (16, 32), np.random.default_rng(0)) == 200).all()


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_crispness_is_one_for_a_scene_and_none_for_the_background_and_less_for_a_blur(background):
    scenes = make_scenes(replace(SMALL, background=background))
    for offset in (-8, 0, 5):
        row = crispness(scenes.at([offset])[0], scenes)
        assert row == {"crispness": pytest.approx(1), "distance": 0, "offset": offset, "shift": [0, 0]}
    assert crispness(scenes.background, scenes)["crispness"] == 0
    faded = crispness((scenes.at([3])[0] + scenes.background) / 2, scenes)
    assert faded["crispness"] == pytest.approx(0.5, abs=1e-5)
    for cost in ("l1", "mse"):
        blurred = crispness(closed_form(cost, scenes), scenes)
        assert blurred["crispness"] < 0.7
        assert blurred["distance"] > 0.02
    noisy = scenes.at([0])[0] + 0.05 * torch.randn(3, 32, 64, generator=torch.Generator("cpu").manual_seed(0))
    assert crispness(noisy, scenes)["crispness"] == pytest.approx(1, abs=0.1)
    assert closed_form("corr-l1", scenes) is None


def test_a_shift_of_the_whole_image_is_reported_and_takes_no_crispness():
    scenes = make_scenes(SMALL)
    moved = torch.roll(scenes.at([4])[0], (-1, 2), dims=(1, 2))
    row = crispness(moved, scenes)
    assert row["shift"] == [2, -1], "to the right and up"
    assert row["offset"] == 4
    assert row["crispness"] > 0.95


@pytest.mark.parametrize("scaling", [0.0, 0.1])
def test_under_exact_flow_the_cost_rises_with_each_pixel_of_offset(scaling):
    reach = SMALL.curve_reach

    class Exact:
        def __init__(self, scenes):
            offsets = torch.arange(reach + 1.0)[:, None, None]
            moved = (torch.stack([scenes.mask(d) for d in range(reach + 1)]) > 0) * offsets
            home = ((scenes.mask(0) > 0) * offsets).float()
            self.fields = [torch.stack([dx, torch.zeros_like(dx)], dim=1) for dx in (-moved, home)]

        def __call__(self, target, source):
            return self.fields[0]

        def both(self, x, y):
            return self.fields

    many = [
        curve_losses(each, CorrespondenceWise(l1, Exact(each), scaling=scaling), reach) for each in curve_scenes(SMALL)
    ]
    mean = torch.stack(many).mean(dim=0)
    assert mean[0] == pytest.approx(0, abs=1e-6)
    assert (mean.diff() > 0).all()
    pixels = torch.stack([curve_losses(each, l1, reach) for each in curve_scenes(SMALL)]).mean(dim=0)
    half = reach // 2
    assert mean[half] / mean[-1] < pixels[half] / pixels[-1], "nearer to proportional than the pixels' L1"


def test_a_row_for_each_average_and_each_curve(run):
    rows = read_rows(run / "rows.jsonl", KEY)
    assert {KEY.of(row) for row in rows} == {
        *((("average", cost, 0)) for cost in TINY.costs),
        *((("curve", cost, 0)) for cost in TINY.curves),
    }
    for row in rows:
        if row["kind"] == "curve":
            assert row["offsets"] == list(range(5))
            assert row["loss"][0] == pytest.approx(0, abs=1e-6)
            assert row["pictures"] == 2
        else:
            assert np.asarray(Image.open(run / row["image"])).shape == (16, 32, 3)
            assert (row["optimum_error"] is None) == (row["cost"] not in ("l1", "mse"))
            assert row["loss"] > 0
            assert row["loss_centre"] > 0
    table = (run / "table.md").read_text()
    assert "| `corr-l1:flow=dis` | 1 | " in table
    assert "| *background alone* |" in table
    assert "| `corr-l1:flow=dis,epsilon=0` | 2 | " in table
    for name in ("averages.png", "curves.png"):
        assert Image.open(run / name).width > 300


def test_a_stopped_run_goes_on_and_ends_with_the_same_rows_and_images(run, tmp_path):
    for name in ("rows.jsonl", "config.json"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    lines = (run / "rows.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "rows.jsonl").write_text("".join(lines[1:]) + '{"kind": "aver')
    run_toy(replace(TINY, out=tmp_path))
    untimed = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in read_rows(folder / "rows.jsonl", KEY)]
        for folder in (run, tmp_path)
    ]
    assert sorted(untimed[0], key=str) == sorted(untimed[1], key=str)
    name = json.loads(lines[0])["image"]
    assert (tmp_path / name).read_bytes() == (run / name).read_bytes()
    before = (tmp_path / "rows.jsonl").read_bytes()
    run_toy(replace(TINY, out=tmp_path))
    assert (tmp_path / "rows.jsonl").read_bytes() == before


def options(config, tmp_path):
    names = ("height", "width", "channels", "steps", "curve_backgrounds", "curve_reach", "offset_range")
    said = [word for name in names for word in (f"--{name.replace('_', '-')}", str(getattr(config, name)))]
    return ["toy", "--out", str(tmp_path / "run"), *said]


def test_an_object_and_backgrounds_of_ones_own_and_curves_alone(tmp_path, capsys):
    object_file = save(tmp_path / "square.png", square())
    (tmp_path / "walls").mkdir()
    for i in range(3):
        save(tmp_path / "walls" / f"{i}.png", np.full((16, 32, 3), 40 + 50 * i))
    words = ["--object", object_file, "--curve-folder", str(tmp_path / "walls"), "--costs", "--curves", "l1"]
    assert main([*options(TINY, tmp_path), *words]) == 0
    (row,) = read_rows(tmp_path / "run" / "rows.jsonl", KEY)
    assert row["kind"] == "curve"
    assert row["pictures"] == 2
    assert row["loss"][1] > 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["object"].startswith("square.png "), "its content, not its path"
    save(tmp_path / "square.png", square(margin=2))
    assert main([*options(TINY, tmp_path), *words]) == 2
    assert "object is" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("make", "words", "sentence"),
    [
        (lambda p: save(p, square()[..., :3]), [], "expected an object with an alpha channel in"),
        (lambda p: save(p, square(alpha=0)), [], "somewhere opaque"),
        (lambda p: p.write_bytes(b"no image"), [], "is no image that can be read"),
        (lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40), [], "is no image that can be read"),
        (lambda p: None, [], "there is no object at"),
        (
            lambda p: save(p, np.full((4, 60, 4), 255)),
            [],
            "expected an object that fits into its background of 16 x 32",
        ),
        (lambda p: save(p, np.full((10, 60, 4), 255)), [], "expected an object that stays in its background of 32"),
        (lambda p: save(p, square()), ["--background", "no.png"], "there is no background at no.png"),
        (lambda p: save(p, square()), ["--background", "street.jpg"], "is no image that can be read"),
        (lambda p: save(p, square()), ["--curves", "l1", "--curve-folder", "."], "expected 2 images in ., got 1"),
        (lambda p: save(p, square()), ["--curves", "l1", "--curve-reach", "30"], "a --curve-reach of at most"),
        (lambda p: save(p, square()), ["--costs"], "costs must be at least one"),
        (lambda p: save(p, square()), ["--costs", "l1", "l1"], "costs must be different from each other"),
        (lambda p: save(p, square()), ["--costs", "corr-l3"], "unknown cost"),
        (lambda p: save(p, square()), ["--warm-start", "3"], "warm_start must be below the 3 steps"),
        (lambda p: save(p, square()), ["--height", "20"], "height must be a multiple of 8"),
        (lambda p: save(p, square()), ["--costs", "corr-l1:flow=raft"], "height must be at least 32 pixels for cost"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_and_writes_nothing(make, words, sentence, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "street.jpg").write_bytes(b"not an image")
    make(tmp_path / "object.png")
    base = ["--object", "object.png"]
    if "--curve-folder" in words:
        (tmp_path / "street.jpg").unlink()
    assert main([*options(TINY, tmp_path), *base, *words]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_cost_of_ones_own_is_averaged_and_one_without_gradients_is_refused(tmp_path, capsys):
    code = tmp_path / "mine.py"
    code.write_text("def smooth(x, y):\n    return (x - y).square().mean((-3, -2, -1))\n\n\n"
                    "def blind(x, y):\n    return smooth(x, y).detach()\n")  # fmt: skip
    assert main([*options(TINY, tmp_path), "--costs", f"{code}:smooth"]) == 0
    (row,) = read_rows(tmp_path / "run" / "rows.jsonl", KEY)
    assert row["cost"] == "smooth"
    assert main([*options(TINY, tmp_path), "--costs", f"{code}:blind"]) == 2
    assert "expected a distance with gradients" in capsys.readouterr().err
