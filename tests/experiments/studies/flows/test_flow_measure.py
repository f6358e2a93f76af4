"""What is measured of flows, what it is measured on, and the tables made of it."""

from __future__ import annotations

import pytest
import torch

from corrwise.envs.tasks.manifest import empty_manifest
from corrwise.experiments.cli import main
from corrwise.experiments.cli.table_flows import FlowTableConfig
from corrwise.experiments.runs.grid import Cell
from corrwise.experiments.studies.ablations import variants
from corrwise.experiments.studies.flows.measure import BANDS, FlowScene, error_numbers
from corrwise.experiments.studies.flows.report import bodies_table, flows_table
from corrwise.experiments.studies.planning import METHODS, gap_closed, method_config
from tools.planning_cells import planning_cells

TINY = FlowTableConfig(size=32, pairs=8, episodes=2, reach=16)


def test_the_ground_truth_has_no_error_and_a_wrong_flow_is_marked():
    pairs = FlowScene("cartpole", TINY).clean

    def exact(target, source):
        return (pairs.flow_xy if target is pairs.x or torch.equal(target, pairs.x) else pairs.flow_yx).nan_to_num(0.0)

    row = error_numbers(exact, pairs)
    assert all(row[f"epe_{band}"] == 0 for band in BANDS if row[f"pixels_{band}"])
    wrong = error_numbers(lambda target, source: exact(target, source) + 5, pairs)
    assert all(wrong[f"epe_{band}"] == pytest.approx(50**0.5, rel=1e-4) for band in BANDS if wrong[f"pixels_{band}"])
    assert all(wrong[f"marked_{band}"] == 1 for band in BANDS if wrong[f"pixels_{band}"])


def test_tables_mean_over_the_bodies_and_leave_gaps_empty():
    rows = [
        {"kind": "error", "flow": "zero", "body": body, "variant": "clean", "epe_0_2": epe, "epe_2_8": None}
        for body, epe in (("cartpole", 1.0), ("ant", 2.0), ("humanoid", 3.0), ("walker", 50.0))
    ]
    assert flows_table(rows[:2], {}).splitlines()[2].startswith("| `zero` |  |"), "a mean of fewer bodies is left empty"
    table = flows_table(rows, {("zero", "ant"): "40%"}).splitlines()
    assert table[0].endswith("| gap closed, cartpole | gap closed, ant | gap closed, humanoid |")
    assert table[2] == "| `zero` | 2.00 |  |  |  |  |  | no |  |  | 40% |  |"
    assert bodies_table(rows, "clean").splitlines()[2] == "| `zero` | 1.00 /  /  | 2.00 /  /  | 3.00 /  /  | 50 /  /  |"


def test_the_gap_closed_is_paired_by_seed():
    floor, bound, ours = (
        [{"seed": seed, "min_distance": near} for seed, near in enumerate(distances)]
        for distances in ([4.0, 6.0, 9.0], [2.0, 2.0], [2.5, 3.0, 0.0])
    )
    gap, n = gap_closed(ours, floor, bound)
    assert n == 2
    assert gap.value == pytest.approx(4.5 / 6)


def test_planning_with_a_flow_is_scored_by_rows_of_its_settings_alone():
    tried = {**{name: method_config(name, "ant") for name in METHODS}, **dict(variants("flow", "ant"))}

    def rows(method, *distances, **changed):
        cell = Cell(method, tried[method], empty_manifest("ant"))
        row = {"task": "ant", "method": method, "settings": cell.fingerprint, **changed}
        return [{**row, "seed": seed, "min_distance": near} for seed, near in enumerate(distances)]

    controls = [*rows("l1", 4.0, 6.0, 9.0), *rows("exact-flow", 2.0, 2.0)]
    name = "all-pairs, regularised"
    ours = rows(f"flow {name}", 2.5, 3.0, 0.0)
    forms = {"all-pairs": "reg"}
    cells = planning_cells([*controls, *ours], forms, {})
    assert list(cells) == [("all-pairs", "ant")]
    assert cells["all-pairs", "ant"].startswith("75%")
    assert planning_cells([], forms, {}) == {}
    assert planning_cells([*controls, *ours], {"all-pairs": "disp"}, {}) == {}, "not the recommended cost"
    assert planning_cells([*controls, *ours], forms, {"all-pairs": "another net's"}) == {}
    learned = rows("recommended", 3.0, 3.0)
    network = Cell("", tried["recommended"], empty_manifest("ant")).settings["network"]
    assert network
    assert (
        planning_cells([*controls, *learned], {"learned": "disp"}, {"learned": network})["learned", "ant"][:3] == "67%"
    )
    medium = rows("flow dis medium, scaled", 4.0, 6.0)
    assert planning_cells([*controls, *medium], {"dis": "scaled"}, {}) == {}, "not the preset that the flow has"
    other = rows(f"flow {name}", 2.5, 3.0, settings="others")
    assert planning_cells([*controls, *other], forms, {}) == {}


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ([], "corrwise: table needs a command; there are mpc, flows, ranking, ablations, predictors, agents"),
        (["nope"], "corrwise: unknown command 'table nope'; there are mpc, flows, ranking"),
        (["flows", "--flows", "foo"], "unknown flow 'foo'; there are all-pairs, rigid"),
        (["flows", "--bodies", "dog"], "unknown body 'dog'; there are cartpole"),
        (["flows", "--flows", "zero", "zero"], "flows must be different from each other, got zero zero"),
        (["flows", "--pairs", "0"], "pairs must be at least 1, got 0"),
        (["flows", "--reach", "64"], "reach must be below the size of 64 pixels, got 64"),
        (["flows", "--flows", "learned", "--learned-weights", "no/such"], "'no/such' which is no file"),
        (["flows", "--flows", "zero", "--out", __file__], "it is a file, not a folder"),
    ],
)
def test_bad_input_is_one_sentence_and_status_two(argv, sentence, capsys):
    assert main(["table", *argv]) == 2
    message = capsys.readouterr().err
    assert sentence in message
    assert message.count("\n") == 1
