"""The report holds what the rows say, escapes what they contain and survives what they lack."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from corrwise._writing import RunFolderError
from corrwise.experiments import cli
from corrwise.experiments.report.page import run_text, write_report
from corrwise.experiments.report.plot import distance_plot, nice_ticks, whisker
from corrwise.experiments.report.statistics import Estimate
from corrwise.experiments.report.strip import StripImage, crop_to_motion
from corrwise.experiments.report.summary import summarize
from corrwise.experiments.report.table import markdown_table, number, result_sentence, signed, terminal_table
from corrwise.experiments.runs.rows import append_row, read_rows
from tests.snippets import ROOT, save_named

VOID = {"meta", "img", "input", "line", "path", "circle", "br", "link", "hr"}


class Outline(HTMLParser):
    """Collects the cells of each table row, and checks that every tag is closed in order."""

    def __init__(self):
        super().__init__()
        self.table, self.open, self.tags = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.table.append([])
        if tag in ("td", "th") and self.table:
            self.table[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "tr" in self.open and self.table[-1]:
            self.table[-1][-1] = " ".join(f"{self.table[-1][-1]} {data}".split())


def outline(path):
    parser = Outline()
    parser.feed(path.read_text("utf-8"))
    assert parser.open == []
    return parser


def test_the_table_has_a_line_per_cost_with_the_numbers_of_the_rows(fake_run):
    run = fake_run(costs=("zero-action", "l1", "corr-l1"), seeds=7, steps=6)
    page = outline(write_report(run))
    body = [row for row in page.table if row and row[0].split()[0] in ("l1", "corr-l1", "zero-action")]
    assert [row[0] for row in body] == ["l1", "corr-l1", "zero-action control"]
    lines = summarize(read_rows(run / "rows.jsonl"))
    for row, line in zip(body, lines, strict=True):
        assert row[1] == "7"
        assert row[2].startswith(number(line.last10, 2))
        assert row[3] == number(line.last10_iqm, 2)
    assert body[0][6] == "the baseline"
    low, high = lines[1].difference[1:]
    assert body[1][6] == f"{signed(lines[1].difference.value)} {signed(low)} to {signed(high)}"
    assert body[1][9] == "100 %"
    classes = [attrs.get("class", "") for tag, attrs in page.tags if tag == "svg"]
    assert "whisker better" in classes
    assert not any("tentative" in name for name in classes), "seven pairs are enough for a filled marker"
    assert [each.name for each in run.iterdir() if each.name.startswith(".")] in ([], [".lock"]), "no half-written file"


def test_what_a_cost_was_made_of_is_shown_with_units_where_rows_say_it(fake_run):
    run = fake_run(costs=("l1", "corr-l1"), seeds=2, steps=4, images=False)
    assert "Parts of the costs" not in write_report(run).read_text("utf-8"), "older rows do not say it"
    for row in read_rows(run / "rows.jsonl"):
        of = row["cost"] == "corr-l1"
        parts = {"residual": 0.02 + 0.02 * row["seed"], "displacement_px": 3.25, "occluded": 0.0315}
        append_row(run / "rows.jsonl", {**row, **{name: value if of else None for name, value in parts.items()}})
    table = outline(write_report(run)).table
    (at,) = [i for i, row in enumerate(table) if row[1:] == ["residual", "displacement (px)", "occluded"]]
    assert table[at + 1 :] == [["corr-l1", "0.0300", "3.25", f"{3.15:.1f} %"]]
    append_row(run / "rows.jsonl", {**row, "seed": 9, "residual": 0.0, "displacement_px": None, "occluded": None})
    assert outline(write_report(run)).table[at + 1][0] == "corr-l1"


def test_every_episode_has_its_strips_and_the_later_ones_are_folded(fake_run):
    page = outline(write_report(fake_run(costs=("l1", "corr-l1"), seeds=8, steps=4)))
    strips = [attrs for tag, attrs in page.tags if attrs.get("class", "").startswith("strip ")]
    assert len(strips) == 16
    assert all(s["data-sprite"].startswith("data:image/png;base64,") for s in strips)
    assert {(s["data-steps"], s["data-side"]) for s in strips} == {("4", "64")}
    assert all(len(json.loads(s["data-distances"])) == 5 for s in strips)
    assert sum(tag == "details" and attrs.get("class") == "more" for tag, attrs in page.tags) == 2
    assert sum(tag == "canvas" for tag, _ in page.tags) == 8 * 3 + 8 * 4, "l1 matches nothing, so it shows no flow"


def test_everything_from_the_rows_is_escaped(fake_run):
    evil = "<script>alert(1)</script>\"'&"
    run = fake_run(costs=("l1", evil.replace("/", "\\")), seeds=1, steps=3, task="<b>ant</b>", images=False)
    (run / "config.json").write_text(json.dumps({"note": evil, "planner": evil}))
    text = write_report(run).read_text("utf-8")
    assert "alert(1)" in text
    assert "<script>alert" not in text
    assert "<b>ant" not in text
    outline(run / "report.html")


def test_nothing_is_fetched_from_anywhere(fake_run):
    run = fake_run(seeds=1, steps=3)
    text = write_report(run).read_text("utf-8")
    assert re.findall(r"https?://(?!www\.w3\.org/)", text) == []
    assert "@import" not in text
    sources = re.findall(r'(?:src|href|data-sprite)="([^"]*)"', text)
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)


def test_images_beyond_the_budget_are_linked_and_said_so(fake_run):
    run = fake_run(costs=("l1",), seeds=3, steps=4)
    size = (run / "episodes" / "cartpole-l1-cem-oracle-0.png").stat().st_size
    text = write_report(run, embed_bytes=int(size * 1.5)).read_text("utf-8")
    assert 'data-sprite="episodes/cartpole-l1-cem-oracle-2.png"' in text
    assert "2 strips are linked" in text


def test_a_name_that_leaves_the_folder_is_not_followed(fake_run):
    run = fake_run(costs=("l1",), seeds=1, steps=3, images=False)
    row = read_rows(run / "rows.jsonl")[0]
    (run.parent / "secret.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    for seed, name in enumerate(("../secret.png", str(run.parent / "secret.png"), "javascript:alert(1)"), start=1):
        append_row(run / "rows.jsonl", {**row, "seed": seed, "strip": name, "video": name})
    text = write_report(run).read_text("utf-8")
    assert text.count("No image was saved") == 4
    assert "secret" not in text
    assert "javascript:" not in text


def test_a_link_that_leaves_the_folder_is_not_followed(fake_run):
    run = fake_run(costs=("l1",), seeds=2, steps=3)
    secret = run.parent / "secret.png"
    (run / "episodes" / "cartpole-l1-cem-oracle-0.png").rename(secret)
    (run / "episodes" / "cartpole-l1-cem-oracle-0.png").symlink_to(secret)
    text = write_report(run).read_text("utf-8")
    assert text.count("No image was saved") == 1
    assert text.count("data-sprite=") == 1
    (run.parent / "link").symlink_to(run)  # the folder itself may be one
    assert write_report(run.parent / "link").read_text("utf-8") == text


def test_an_image_that_declares_more_than_any_strip_is_none(fake_run):
    run = fake_run(costs=("l1",), seeds=1, steps=3)
    strip = run / "episodes" / "cartpole-l1-cem-oracle-0.png"
    data = strip.read_bytes()
    strip.write_bytes(data[:16] + (2**31 - 1).to_bytes(4, "big") + data[20:])
    assert "No image was saved" in write_report(run).read_text("utf-8")


def test_gaps_and_torn_rows_do_not_stop_the_report(fake_run):
    run = fake_run(costs=("l1",), seeds=1, steps=3)
    bare = {"task": "cartpole", "cost": "corr-l1", "planner": "cem", "predictor": "oracle", "seed": 0}
    append_row(run / "rows.jsonl", {**bare, "min_distance": np.nan, "distances": [None, 1.0, None]})
    append_row(run / "rows.jsonl", {**bare, "seed": 1})
    with (run / "rows.jsonl").open("ab") as file:
        file.write(b'{"task": "cart')
    page = outline(write_report(run))
    assert [row[0] for row in page.table[2:]] == ["l1", "corr-l1"]


def test_a_run_without_rows_and_a_folder_without_a_run(fake_run, tmp_path):
    run = fake_run(seeds=0)
    assert "No episode has finished yet" in write_report(run).read_text("utf-8")
    with pytest.raises(RunFolderError, match="is not a run folder"):
        write_report(tmp_path / "nowhere")
    for other in ("[]", "3", '{"a": 1}', "{}", '{"planner": null}'):
        (run / "config.json").write_text(other)
        with pytest.raises(RunFolderError, match=r"config\.json is not a run's configuration"):
            write_report(run)
    (run / "config.json").write_text("{")
    with pytest.raises(RunFolderError, match="is not JSON"):
        write_report(run)


@pytest.mark.parametrize(
    ("steps", "over"),
    [
        ([12, 10], "last 10 steps"),
        ([3, 3], "start and 3 steps"),
        ([1], "start and 1 step"),
        ([3, 20], "last 10 steps or fewer"),
        ([None], "last 10 steps"),
    ],
)
def test_the_result_states_how_many_steps_it_averages(steps, over):
    key = {"task": "ant", "cost": "l1", "planner": "cem", "predictor": "oracle", "last10_distance": 1.0}
    lines = summarize([{**key, "seed": seed, "steps": count} for seed, count in enumerate(steps)])
    assert f"on average over the {over} of {len(steps)} episode" in result_sentence(lines)
    assert f"  {over}  " in terminal_table(lines, {line.method: line.cost for line in lines})


def rows_of(**near):
    base = {"task": "ant", "planner": "cem", "predictor": "oracle", "start_distance": 5.0}
    return [
        {**base, "cost": c, "seed": i, "last10_distance": x} for c, many in near.items() for i, x in enumerate(many)
    ]


@pytest.mark.parametrize(
    ("near", "words"),
    [
        ({"l1": [4.0] * 3, "corr": [1.0, 1.5, 2.0]}, "ends nearer in 3 of 3 episodes; fewer than 6 are too few"),
        ({"l1": np.arange(8) + 4.0, "corr": np.arange(8) * 0.5}, "excludes zero."),
        ({"l1": [4.0, 1] * 5, "corr": [1.0, 3.5] * 5}, "includes zero."),
        ({"l1": [1.0] * 8, "corr": [2.0] * 8}, "No cost beats l1: it is 1.00 from the goal"),
        ({"corr": [1.0]}, "corr is 1.00 from the goal on average over the last 10 steps of 1 episode."),
        ({"state": [0.0]}, "No episode with an image cost has finished yet."),
    ],
)
def test_the_sentence_claims_what_the_numbers_allow(near, words):
    assert words in result_sentence(summarize(rows_of(**near)))


def test_the_plot_keeps_curves_inside_and_labels_apart():
    rng = np.random.default_rng(0)
    plot = distance_plot({(f"m{i}", f"m{i}"): list(rng.uniform(0, 3, (4, 9))) for i in range(6)})
    labels = sorted(curve.label_y for curve in plot.curves)
    assert min(np.diff(labels)) >= 16.9
    assert labels[-1] <= plot.bottom
    for curve in plot.curves:
        numbers = np.array(re.findall(r"[-\d.]+", " ".join(curve.episodes)), dtype=float).reshape(-1, 2)
        assert (numbers[:, 0] >= plot.left).all()
        assert (numbers[:, 0] <= plot.right).all()
        assert (numbers[:, 1] >= plot.top).all()
        assert (numbers[:, 1] <= plot.bottom).all()
    assert distance_plot({("a", "m0"): [[None, None], []]}) is None


def test_ticks_are_round_and_cover():
    assert nice_ticks(4.4) == [0, 1, 2, 3, 4, 5]
    assert nice_ticks(3, whole=True) == [0, 1, 2, 3]
    assert nice_ticks(0) == [0, 1]
    for highest in np.random.default_rng(0).uniform(1e-3, 1e3, 50):
        ticks = nice_ticks(float(highest))
        assert ticks[-1] >= highest
        assert 3 <= len(ticks) <= 8


def test_a_whisker_is_mirrored_about_its_zero_line():
    left = whisker(Estimate(-2.0, -3.0, -1.0), reach=3)
    right = whisker(Estimate(2.0, 1.0, 3.0), reach=3)
    assert left["low"] == 6
    assert left["value"] + right["value"] == pytest.approx(130)
    assert whisker(Estimate(1.0, -9.0, 9.0), reach=3) == {"low": 6, "value": pytest.approx(84.7), "high": 124}
    assert whisker(Estimate(4.0, 3.0, 5.0), reach=3) is None
    assert whisker(Estimate(float("nan"), 0, 0), reach=3) is None


def test_the_report_of_a_body_that_is_partly_not_drawn_says_so(tmp_path, monkeypatch):
    save_named(ROOT / "docs" / "add_an_env.md", tmp_path)
    task = tmp_path / "puck.py"
    task.write_text(task.read_text().replace('rgba="1 .6 .1 1"', 'rgba="1 .6 .1 .5"'))
    monkeypatch.chdir(tmp_path)
    quick = ["--steps", "1", "--horizon", "1", "--candidates", "2", "--iterations", "1", "--size", "16"]
    with pytest.warns(UserWarning, match="the images leave out the transparency of 1 shape"):
        assert (
            cli.main(["mpc", "--task", "puck.py:TASK", "--costs", "l1", "--episodes", "1", *quick, "--out", "o"]) == 0
        )
    (row,) = read_rows(tmp_path / "o" / "rows.jsonl")
    assert row["left_out"] == ["the transparency of 1 shape"]
    page = (tmp_path / "o" / "report.html").read_text()
    assert page.index("The images leave out the transparency of 1 shape") < page.index("<table")


def test_images_are_cropped_to_what_moves_for_all_costs_of_an_episode_alike(fake_run):
    page = outline(write_report(fake_run(costs=("l1", "corr-l1"), seeds=1, steps=6)))
    crops = [attrs["data-crop"] for tag, attrs in page.tags if attrs.get("class", "").startswith("strip ")]
    left, top, width, height = map(int, crops[0].split())
    assert crops == [crops[0]] * 2
    assert width < 64 > height, "a cart on its track takes a part of the image"
    assert top <= 42 - 22 <= 44 + 3 <= top + height <= 64, "the pole and the box are inside"
    assert 0 <= left <= left + width <= 64


def test_a_crop_keeps_small_motion_readable_and_large_motion_whole():
    def strip(*motion, side=64):
        return StripImage("", side, 3, motion or None)

    assert crop_to_motion([strip(0, 0, 64, 64)]) == (0, 0, 64, 64)
    assert crop_to_motion([strip(), strip(3, 3, 5, 5)]) == (0, 0, 64, 64), "of one nobody knows what moves"
    assert crop_to_motion([strip(60, 0, 4, 4)]) == (43, 0, 21, 21)
    assert crop_to_motion([strip(0, 30, 64, 2)]) == (0, 20, 64, 22), "at most three times as wide as high"
    assert crop_to_motion([strip(0, 10, 5, 5), strip(50, 30, 6, 6)])[0] == 0
    assert crop_to_motion([]) == (0, 0, 0, 0)


def test_the_text_of_a_run_is_what_its_report_opens_with(fake_run):
    run = fake_run(costs=("l1", "corr-l1", "zero-action"), seeds=7, steps=6, images=False)
    rows = read_rows(run / "rows.jsonl")
    text, page = run_text(rows), write_report(run).read_text("utf-8")
    sentence, table = text.split("\n\n")
    assert sentence.removeprefix("cartpole: ") in page
    head, *lines = table.splitlines()
    assert [line.split()[0] for line in lines] == ["l1", "corr-l1", "zero-action"]
    assert head.index("episodes") + len("episodes") == lines[0].index(" 7 ") + 2, "columns are aligned"


def test_cells_of_a_markdown_table_are_shown_as_they_are():
    lines = markdown_table(["model"], [["a|b<b>"], ["p < 0.001"]]).splitlines()
    assert lines[2:] == [r"| a\|b&lt;b> |", "| p < 0.001 |"]
