"""``corrwise table time-weights``: its rows, a run that goes on, minimising images, and what is refused."""

import json
from dataclasses import replace

import pytest
import torch

from corrwise.costs import CorrespondenceWise, l1, mse
from corrwise.costs.flow import ZeroFlow
from corrwise.experiments.cli import main
from corrwise.experiments.cli.table_time_weights import CASE_NAMES, CONTROL_CASES, TimeWeightTableConfig
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.studies.time_weights.cases import CASES
from corrwise.experiments.studies.time_weights.controls import CONTROLS, LOG_ONLY, SOFTENED
from corrwise.experiments.studies.time_weights.images import minimising_image, posterior, scenes_of
from corrwise.experiments.studies.time_weights.table import KEY, run_time_weight_table, time_weight_tables
from corrwise.predictors.generative.time_laws import TIME_LAWS
from corrwise.predictors.generative.weights import WEIGHTS
from tests.snippets import ROOT

RESULTS = ROOT / "docs/results/time-weights"
TINY = TimeWeightTableConfig(
    cases=("flow-matching/cond-ot", "kl/data", "absolute-error/data"), weights=("velocity", "min-snr:gamma=3"),
    times=2, hidden=4, costs=("mse", "l1"), image_times=(0.3,), draws=1, steps=3, height=16, width=32,
)  # fmt: skip
pytestmark = pytest.mark.usefixtures("undrawn")  # but in the fixture of the module


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("time-weights") / "run"
    assert run_time_weight_table(replace(TINY, out=out)) == out / "table.md"
    return out


def test_names_of_the_command_are_those_of_the_cases():
    assert tuple(CASES) == CASE_NAMES
    assert tuple(CONTROLS) == CONTROL_CASES


def test_rows_have_each_case_with_each_weight_and_all_laws(run):
    rows = read_rows(run / "rows.jsonl", KEY)
    assert [(row["kind"], row["case"], row["arm"]) for row in rows[:6]] == [
        (kind, case, weight)
        for kind, case in (("case", "flow-matching/cond-ot"), ("case", "kl/data"), ("control", "absolute-error/data"))
        for weight in TINY.weights
    ]
    assert all(len(row["gradient_difference"]) == len(row["laws"]) == len(TIME_LAWS) for row in rows[:6])
    for row in rows[:4]:
        assert max(row["gradient_difference"]) <= 1e-10
        assert max(row["minimiser_difference"]) <= 1e-8
    for row in rows[4:6]:
        assert min(row["gradient_difference"]) > 1e-4
    page = (run / "table.md").read_text()
    assert "| `kl/data` | 2 x 6 |" in page
    assert not page.startswith(">"), "no warnings"
    for name in ("weights", "minimisers", "moved", "images"):
        assert (run / f"{name}.png").stat().st_size > 1000


def test_the_same_command_makes_nothing_anew_and_other_laws_make_their_rows(run):
    before = (run / "rows.jsonl").read_bytes()
    run_time_weight_table(replace(TINY, out=run))
    assert (run / "rows.jsonl").read_bytes() == before
    run_time_weight_table(replace(TINY, out=run, cases=("kl/data",), laws=("cosmap",), costs=()))
    added = [json.loads(line) for line in (run / "rows.jsonl").read_bytes()[len(before) :].splitlines()]
    assert [(row["case"], row["laws"]) for row in added] == [("kl/data", ["cosmap"])] * 2


def test_tables_warn_where_the_claim_fails_and_where_a_control_passes(run, capsys):
    rows = read_rows(run / "rows.jsonl", KEY)
    wrong = [
        {**row, "minimiser_difference": [1e-3 if row["kind"] == "case" else 0.0] * len(row["laws"])}
        for row in rows
        if row["kind"] != "image"
    ]
    text = time_weight_tables(wrong)
    assert text.count("| no |") == 2
    broken = run.with_name("broken")
    broken.mkdir()
    (broken / "config.json").write_bytes((run / "config.json").read_bytes())
    (broken / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in wrong))
    page = run_time_weight_table(replace(TINY, out=broken, cases=("kl/data",), costs=(), laws=("cosmap",))).read_text()
    assert "the claim does not hold" in page
    assert "absolute-error/data: the control passes" in page


def test_the_weight_on_the_logarithm_alone_has_a_row_of_the_softened_hazard(tmp_path):
    config = replace(TINY, out=tmp_path / "run", cases=(LOG_ONLY,), weights=("data",), laws=("uniform",), costs=())
    run_time_weight_table(config)
    same, softened = read_rows(tmp_path / "run" / "rows.jsonl", KEY)
    assert (same["arm"], softened["arm"]) == ("data", SOFTENED)
    assert same["total_variation"] < 1e-4
    assert softened["total_variation"] > 0.1
    assert softened["predicted_difference"][0] < 1e-8 < 0.1 < softened["minimiser_difference"][0]
    assert 0 < softened["rate_factor"][0] < softened["rate_factor"][1] < 1


def test_a_posterior_is_that_of_bayes_and_knows_the_scene_late():
    scenes = scenes_of(TINY).all
    early, late = posterior(scenes, 0.01, 0), posterior(scenes, 0.95, 0)
    assert early.chance.sum() == pytest.approx(1)
    assert early.chance.max() < 0.2
    assert late.chance.max() == pytest.approx(1)
    assert late.spread < 1e-6 < early.spread
    assert torch.allclose(early.mean, (early.chance[:, None, None, None] * scenes).sum(dim=0))


def test_the_minimiser_is_the_mean_of_the_squared_error_the_median_of_the_absolute_and_none_of_either_with_flow():
    scenes = scenes_of(TINY).all
    given = posterior(scenes, 0.2, 0)
    best, loss, loss_mean = minimising_image(scenes, given, mse, 60)
    assert torch.allclose(best.double(), given.mean, atol=1e-6)
    assert loss == pytest.approx(loss_mean)
    best, loss, loss_mean = minimising_image(scenes, given, l1, 200)
    order = scenes.sort(dim=0)
    passed = given.chance[order.indices].cumsum(dim=0) >= 0.5
    median = order.values.gather(0, passed.int().argmax(dim=0, keepdim=True))[0]
    exact = float((given.chance.float() * l1(median.expand_as(scenes), scenes)).sum())
    assert exact <= loss <= 1.01 * exact < loss_mean
    same = minimising_image(scenes, given, CorrespondenceWise(mse, ZeroFlow()), 60)[0]
    assert torch.allclose(same.double(), given.mean, atol=1e-3), "without motion it is the base distance"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--weights", "min-snrr"], "unknown weight 'min-snrr' (did you mean min-snr?)"),
        (["--weights", "min-snr:gama=5"], "unknown option of min-snr 'gama' (did you mean gamma?)"),
        (["--weights", "flowfusion:epsilon=x"], "epsilon"),
        (["--laws", "uniforn"], "unknown time law 'uniforn' (did you mean uniform?)"),
        (["--cases", "circel"], "unknown case 'circel' (did you mean circle?)"),
        (["--cases", "circle", "circle"], "cases must be different from each other"),
        (["--weights", "data", "data"], "weights must be different from each other, got data data"),
        (["--cases", "--costs"], "cases must be at least one, or --costs with one, got none"),
        (["--image-times", "1"], "image_time must be in (0, 1), got 1"),
        (["--height", "20"], "height must be a multiple of 8 pixels, got 20"),
        (["--times", "1"], "times must be at least 2, got 1"),
        (["--costs", "l3"], "unknown cost"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence_before_anything_is_written(options, sentence, tmp_path, capsys):
    assert main(["table", "time-weights", "--out", str(tmp_path / "run"), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line, line
    assert not (tmp_path / "run").exists()


def test_all_weights_are_the_default(tmp_path):
    config = replace(TINY, out=tmp_path / "run", weights=(), cases=("jump/rates",), laws=("uniform",), costs=())
    run_time_weight_table(config)
    rows = read_rows(tmp_path / "run" / "rows.jsonl", KEY)
    assert {row["arm"] for row in rows} == set(WEIGHTS)


def test_the_page_has_the_tables_of_the_published_rows():
    rows = {KEY.of(row): row for row in read_rows(RESULTS / "rows.jsonl", KEY)}.values()
    page = (ROOT / "docs/time_weights.md").read_text()
    tables = [part for part in time_weight_tables(rows).split("\n\n") if part.startswith("|")]
    assert len(tables) == 4
    assert (RESULTS / "table.md").read_text() == time_weight_tables(rows)
    for table in tables:
        assert table.strip().partition("\n# ")[0].strip() in page


def test_the_published_rows_are_of_all_cases_weights_and_laws_and_support_the_claim():
    rows = read_rows(RESULTS / "rows.jsonl", KEY)
    cases = [row for row in rows if row["kind"] == "case"]
    assert {(row["case"], row["arm"]) for row in cases} == {(case, weight) for case in CASES for weight in WEIGHTS}
    for row in cases:
        assert row["laws"] == list(TIME_LAWS)
        assert max(row["gradient_difference"]) <= 1e-10
        assert max(row["minimiser_difference"]) <= 1e-8
    for control in CONTROLS:
        worst = [max(row["minimiser_difference"]) for row in rows if row["case"] == control]
        assert max(worst) > 1e-2
