"""Blind pairs: a page that hides the models, and what the answers of people add up to."""

import json
import re

import pytest
import torch

from corrwise.experiments import cli
from corrwise.experiments.cli.evaluate import EvaluateConfig
from corrwise.experiments.report.statistics import share_interval
from corrwise.experiments.studies.motion.blind import BlindPair, blind_pairs, preferences, write_blind
from tests.experiments.report.test_report_browser import dom  # noqa: F401


@pytest.fixture
def page(tmp_path):
    shown = {name: torch.rand(3, 5, 3, 16, 16) for name in ("true", "student-x", "teacher-y")}
    config = EvaluateConfig(models=(tmp_path,), data=tmp_path, out=tmp_path, motion=True, samples=2, blind=3)
    write_blind(config, shown)
    return tmp_path / "blind.html"


def key_of(page):
    return json.loads((page.parent / "blind-key.json").read_text())


def answer(page, name, person="", **answers):
    path = page.parent / f"{name}.json"
    path.write_text(json.dumps({"page": key_of(page)["page"], "person": person or name, "answers": answers}))
    return path


def test_pairs_compare_the_first_model_with_each_other_on_random_sides():
    pairs = blind_pairs(["a", "b", "true"], 20, seed=0)
    assert len(pairs) == 40
    assert {(pair.first, pair.other) for pair in pairs} == {("a", "b"), ("a", "true")}
    for other in ("b", "true"):
        mine = [pair for pair in pairs if pair.other == other]
        assert sorted(pair.window for pair in mine) == list(range(20))
        assert sum(pair.left == "a" for pair in mine) in (9, 10, 11)
        assert all({pair.left, pair.right} == {"a", other} for pair in mine)
    assert [pair.other for pair in pairs] != sorted(pair.other for pair in pairs)
    assert pairs == blind_pairs(["a", "b", "true"], 20, seed=0)
    assert pairs != blind_pairs(["a", "b", "true"], 20, seed=1)


def test_the_page_holds_all_and_names_no_model(page):
    text = page.read_text()
    assert text.count("data:image/png;base64,") == 12, "two videos of each of six pairs"
    data = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
    assert all(set(pair) == {"left", "right"} for pair in data["pairs"])
    assert not re.search("student|teacher", text)
    assert not re.search(r"https?://", text)
    assert len(key_of(page)["pairs"]) == 6


@pytest.mark.browser
def test_a_browser_plays_both_videos_in_step(page, dom):  # noqa: F811
    text = dom(page, milliseconds=5_000)
    assert "Pair 1 of 6, 0 answered" in text
    assert 'data-step="' in text
    assert re.findall(r'<canvas class="\w+"[^>]* width="(\d+)" height="(\d+)"', text) == [("16", "16")] * 2


@pytest.mark.browser
def test_a_browser_records_the_keys(page, dom):  # noqa: F811
    keys = "".join(
        f'dispatchEvent(new KeyboardEvent("keydown", {{key: "{key}"}}));' for key in ["1", "2", "Backspace", "1"]
    )
    # a real download may stop the browser's virtual clock for good
    caught = "HTMLAnchorElement.prototype.click = function () { document.body.dataset.saved = this.download; };"
    script = f'<script>{caught} {keys} document.querySelector(".save").click();</script>'
    page.write_text(page.read_text().replace("</body>", f"{script}</body>"))
    text = dom(page, milliseconds=2_000)
    assert "Pair 3 of 6, 2 answered" in text
    assert 'data-answered="2"' in text
    assert f'data-saved="blind-answers-{key_of(page)["page"]}.json"' in text


def test_answers_add_up_to_shares_with_wilsons_interval(page, capsys):
    pairs = [BlindPair(**pair) for pair in key_of(page)["pairs"]]
    first = {str(i): "left" if pair.left == pair.first else "right" for i, pair in enumerate(pairs)}
    one, two = answer(page, "one", **first), answer(page, "two", **{"0": "left"})
    table = preferences(page.parent / "blind-key.json", [one])
    assert "| student-x | teacher-y | 3 | 3 | 100% (44% to 100%) |" in table
    assert "| student-x | true | 3 | 3 | 100% (44% to 100%) |" in table
    assert cli.main(["blind", str(one), str(two), "--key", str(page.parent / "blind-key.json")]) == 0
    assert "| 4 |" in capsys.readouterr().out


def test_two_downloads_of_one_person_count_once_and_the_fuller_one_counts(page):
    key = page.parent / "blind-key.json"
    some, all_ = {"0": "left"}, {"0": "left", "1": "right", "2": "left"}
    files = [answer(page, name, person, **mine) for name, person, mine in (("a", "x", some), ("b", "x", all_))]
    assert preferences(key, files) == preferences(key, files[::-1]) == preferences(key, files[1:])
    other = answer(page, "c", "y", **some)
    assert preferences(key, [*files, other]) != preferences(key, files)


def test_wilsons_interval():
    share = share_interval(7, 10)
    assert share == pytest.approx((0.7, 0.3968, 0.8922), abs=1e-4)
    assert share_interval(0, 0).text(".0%") == ""


def test_unusable_answers_are_refused_in_one_sentence(page, tmp_path):
    key = page.parent / "blind-key.json"
    with pytest.raises(ValueError, match="expected answers of the page"):
        preferences(
            tmp_path / "blind-key.json", [write(tmp_path / "a.json", '{"page": "x", "person": "1", "answers": {}}')]
        )
    for text in (
        "[]",
        "3",
        "null",
        '"x"',
        '{"page": 1}',
        '{"page": "x", "answers": {}}',
        '{"page": "x", "person": "1", "answers": [1]}',
    ):
        sentence = r"a\.json holds no answers .*: expected an object with page .*, person .*, answers .*, got "
        with pytest.raises(ValueError, match=sentence + re.escape(repr(json.loads(text)))):
            preferences(key, [write(tmp_path / "a.json", text)])
    with pytest.raises(ValueError, match=r"a\.json is not JSON"):
        preferences(key, [write(tmp_path / "a.json", "{")])
    for number in ("a", "-1", "1.5", "01", "9" * 5000):
        with pytest.raises(ValueError, match=r"expected left or right for pairs 0 to 5 in .*got 'left' for"):
            preferences(key, [answer(page, "odd", **{number: "left"})])
    with pytest.raises(ValueError, match=r"got \['left'\] for 1"):
        preferences(key, [answer(page, "odd", **{"1": ["left"]})])
    twice = answer(page, "twice")
    with pytest.raises(ValueError, match="expected each file of answers once"):
        preferences(key, [twice, twice.parent / ".." / twice.parent.name / twice.name])
    with pytest.raises(ValueError, match=r"expected left or right for pairs 0 to 5 .* got 'both' for 1"):
        preferences(key, [answer(page, "odd", **{"1": "both"})])
    with pytest.raises(ValueError, match="got 'left' for 6"):
        preferences(key, [answer(page, "many", **{"6": "left"})])
    pair = {"first": "a", "other": "b", "left": "a", "window": 0}
    for pairs in (None, {}, [1], [{**pair, "left": "c"}], [{**pair, "window": "0"}], [{"first": "a"}]):
        with pytest.raises(ValueError, match=r"key\.json is no key of a page of corrwise evaluate --blind: expected "):
            preferences(write(tmp_path / "key.json", json.dumps({"page": "1", "pairs": pairs})), [])
    for missing, files in ((tmp_path / "none", []), (key, [tmp_path / "none"])):
        with pytest.raises(
            FileNotFoundError, match=r"there is no file .*none: expected .* of corrwise evaluate --blind"
        ):
            preferences(missing, files)


def write(path, text):
    path.write_text(text)
    return path
