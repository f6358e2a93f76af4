"""Names of costs in rows made before ``CostSpec``: migrated once, by what the rows were made with."""

import json

import pytest

from corrwise.costs import CostSpec
from corrwise.envs.tasks.manifest import frozen_manifest
from corrwise.experiments.cli.options import CONTROL_NAMES
from corrwise.experiments.runs.grid import Cell
from corrwise.experiments.runs.rows import Key, read_rows
from corrwise.experiments.studies.planning import method_config
from tools.migrate_cost_names import migrate, new_arm, new_name, print_of
from tools.results_table import RESULTS, row_files

NUMBERS = {
    **{
        "flow": "learned",
        "scaling": 0.1,
        "magnitude": 4.5,
        "gradient": 2.25,
        "edge_magnitude": 3.25,
        "smoothness": 3.25,
    },
    **{"price": 0.1, "power": 2.0, "occlusion": 6.0, "displacement": None, "patch": 3, "dis_preset": "ultrafast"},
    **{"dis_finest_scale": 1, "raft_weights": "Raft_Small_Weights.C_T_V2", "learned_weights": "small"},
}
FAR = {**NUMBERS, "flow": "all-pairs", "price": 0.07, "power": 1.0, "occlusion": 0.0}


@pytest.mark.parametrize(
    ("old", "numbers", "new"),
    [
        ("l1", NUMBERS, "l1"),
        ("state", {}, "state"),
        ("corr-l1", NUMBERS, "corr-l1"),
        ("corr-l1", FAR, "corr-l1:flow=all-pairs"),
        ("corr-l1-reg", FAR, "corr-l1:flow=all-pairs,form=reg"),
        ("corr-l1-disp", NUMBERS, "recommended"),
        ("corr-l1-disp", FAR, "corr-l1:flow=all-pairs,form=disp"),
        ("corr-mse-both", {**FAR, "scaling": 0.2}, "corr-mse:flow=all-pairs,form=both,epsilon=0.2"),
        ("corr-l1", {**FAR, "displacement": 0.5}, "corr-l1:flow=all-pairs,penalty=0.5"),
        ("corr-ssim-edge", {**FAR, "edge_magnitude": 1.0}, "corr-ssim:flow=all-pairs,form=edge,magnitude=1"),
        ("corr-l1", {**FAR, "flow": "dis", "dis_preset": "medium"}, "corr-l1:flow=dis,preset=medium"),
        ("corr-l1-disp", {**NUMBERS, "price": 1.0, "power": 1.0}, "corr-l1:form=disp,displacement=1,power=1"),
        ("corr-l1", {**NUMBERS, "learned_weights": "my net.pt"}, "corr-l1:weights=my%20net.pt"),
    ],
)  # fmt: skip
def test_an_old_name_is_what_its_numbers_say(old, numbers, new):
    assert new_name(old, numbers) == new


def test_the_loss_of_a_model_had_flow_dis_unless_it_said_another():
    arms = {
        "resnet3d-l1": "resnet3d-l1",
        "svg-prime-corr-mse": "svg-prime-corr-mse:flow=dis",
        "resnet3d-corr-l1-learned": "resnet3d-corr-l1",
        "resnet3d-corr-l1-reg": "resnet3d-corr-l1:form=reg",
    }
    assert {old: new_arm(old) for old in arms} == arms


def _old_folder(folder):
    """Rows of ``table mpc`` as they were: two cells, and a row of settings that no cell has now."""
    settings = {"cost_name": "corr-l1-reg", "planner": "cem", "cost": FAR, "network": None}
    plain = {"cost_name": "l1", "planner": "cem", "network": None}
    cells = {"ant/corr-l1-reg": settings, "ant/l1": plain}
    prints = {name: print_of(each) for name, each in cells.items()}
    row = {"task": "ant", "seed": 3, "min_distance": 0.1234567890123}
    rows = [
        {**row, "method": "corr-l1-reg", "cost": "corr-l1-reg", "settings": prints["ant/corr-l1-reg"]},
        {**row, "method": "corr-l1-reg", "cost": "corr-l1-reg", "settings": "others"},
        {**row, "method": "l1", "cost": "l1", "settings": prints["ant/l1"]},
    ]
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"manifests": {}, "cells": cells}))
    (folder / "rows.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))


def test_a_folder_is_renamed_once_and_its_numbers_stay(tmp_path):
    _old_folder(tmp_path / "run")
    migrate(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "run" / "rows.jsonl").read_text().splitlines()]
    name = "corr-l1:flow=all-pairs,form=reg"
    assert [(row["method"], row["cost"]) for row in rows] == [(name, name), (name, name), ("l1", "l1")]
    assert [row["min_distance"] for row in rows] == [0.1234567890123] * 3
    cells = json.loads((tmp_path / "run" / "config.json").read_text())["cells"]
    new = {key: print_of(each) for key, each in cells.items()}
    assert [row["settings"] for row in rows] == [new[f"ant/{name}"], "others", new["ant/l1"]]
    assert cells[f"ant/{name}"]["made_of"] == CostSpec.parse(name).settings()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json*")}
    migrate(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json*")} == before


def test_all_committed_rows_have_the_names_of_today():
    found = set()
    for path in row_files():
        found |= {row.get("cost", "l1") for row in read_rows(path, Key({}, {}))}
    assert len(found) > 20
    assert [cost for cost in found if cost not in CONTROL_NAMES and str(CostSpec.parse(cost)) != cost] == []


def test_the_settings_of_committed_rows_are_those_of_their_methods_now():
    cells = json.loads((RESULTS / "table-mpc" / "config.json").read_text())["cells"]
    for key, settings in cells.items():
        task, method = key.split("/")
        assert print_of(settings) == Cell(method, method_config(method, task), frozen_manifest(task)).fingerprint, key
