"""The table of flows: real rows, a run that continues, and one sentence for what cannot be used."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from corrwise._writing import RunFolderError
from corrwise.costs import PRESETS
from corrwise.costs.flow import FLOWS, ZeroFlow
from corrwise.experiments.cli.table_flows import FlowTableConfig
from corrwise.experiments.runs.folder import ConfigMismatch
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.studies.flows.bench import FlowBench, run_flow_table
from corrwise.experiments.studies.flows.measure import FlowScene
from corrwise.experiments.studies.flows.report import KEY, flow_row_key

TINY = FlowTableConfig(
    flows=("zero", "all-pairs", "exact"), bodies=("cartpole",), size=32, pairs=8, episodes=2, images=2, reach=16,
    timed_pairs=2, repeats=1,
)  # fmt: skip
BANDS = ("0_2", "2_8", "8_32")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return the options of a finished run."""
    config = replace(TINY, out=tmp_path_factory.mktemp("flows"))
    run_flow_table(config)
    return config


def rows_of(config):
    return {flow_row_key(row): row for row in read_rows(config.out / "rows.jsonl", KEY)}


def test_a_run_leaves_a_row_for_each_measure_and_small_images(run):
    curves = {("curve", f, "cartpole", v) for f in ("zero", "all-pairs", "exact") for v in ("scaled", "unscaled")}
    curves |= {("curve", f, "cartpole", "recommended") for f in ("zero", "all-pairs", "exact")}
    errors = {("error", f, "cartpole", v) for f in ("zero", "all-pairs") for v in ("clean", "degraded")}
    speed = {("speed", f, "humanoid", "cpu") for f in ("zero", "all-pairs")}
    expected = {("curve", "none", "cartpole", "l1")} | curves | errors | speed
    assert {key for key in rows_of(run) if key[3] != "cuda"} == expected
    assert all(row["versions"]["torch"] for row in rows_of(run).values())
    for name in ("curves.png", "matches.png"):
        assert 5_000 < (run.out / name).stat().st_size < 300_000
    table = (run.out / "table.md").read_text()
    assert "`all-pairs`" in table
    assert "nan" not in table
    assert "exact" not in table


def test_the_error_of_no_motion_is_the_motion(run):
    for variant in ("clean", "degraded"):
        row = rows_of(run)["error", "zero", "cartpole", variant]
        known = [band for band in BANDS if row[f"pixels_{band}"]]
        assert known
        assert sum(row[f"pixels_{band}"] for band in known) > 50
        for band in known:
            assert row[f"epe_{band}"] == pytest.approx(row[f"displacement_{band}"])
            assert row[f"relative_{band}"] == pytest.approx(1)
            assert row[f"marked_{band}"] == 0
    scene = FlowScene("cartpole", TINY)
    truth = torch.cat((scene.clean.flow_xy, scene.clean.flow_yx)).norm(dim=1)
    moving = truth[torch.cat((scene.clean.seen_xy, scene.clean.seen_yx)) & (truth > 1e-3) & (truth < 2)]
    assert rows_of(run)["error", "zero", "cartpole", "clean"]["epe_0_2"] == pytest.approx(float(moving.mean()))


def test_pixel_l1_flattens_where_a_matching_loss_grows(run):
    rows = rows_of(run)

    def loss(*key):
        return np.array(rows["curve", *key]["loss"])

    l1 = loss("none", "cartpole", "l1")
    assert l1[0] == 0
    assert len(l1) == 17
    assert l1[16] < 1.05 * l1[9], "a pixel loss is constant beyond the body's own width"
    for flow in ("exact", "all-pairs"):
        far = loss(flow, "cartpole", "recommended")
        assert far[0] == pytest.approx(0, abs=1e-6)
        assert far[16] > 1.3 * far[9], flow
    assert np.allclose(loss("zero", "cartpole", "scaled"), 2 * l1, rtol=1e-4, atol=1e-6)
    assert loss("exact", "cartpole", "scaled")[16] > 1.5 * loss("exact", "cartpole", "unscaled")[16], "Fig. A2"


def test_a_run_without_its_last_rows_ends_with_the_same_table(run, tmp_path):
    lines = (run.out / "rows.jsonl").read_bytes().splitlines(keepends=True)
    for name in ("config.json", "rows.jsonl"):
        (tmp_path / name).write_bytes((run.out / name).read_bytes())
    last = [i for i, line in enumerate(lines) if json.loads(line)["kind"] != "speed"][-4]
    kept = lines[:last] + [line for line in lines[last:] if json.loads(line)["kind"] == "speed"]
    (tmp_path / "rows.jsonl").write_bytes(b"".join(kept) + lines[last][:20])
    run_flow_table(replace(run, out=tmp_path))
    assert (tmp_path / "table.md").read_bytes() == (run.out / "table.md").read_bytes()
    again = rows_of(replace(run, out=tmp_path))
    assert again == rows_of(run)
    run_flow_table(replace(run, out=tmp_path, retime=True, measures=("speed",), flows=("zero",)))
    new = read_rows(tmp_path / "rows.jsonl", KEY)[len(again) :]
    assert {row["kind"] for row in new} == {"speed"}, "only the speed is measured anew"


def test_another_configuration_or_a_foreign_row_is_refused(run, tmp_path):
    with pytest.raises(ConfigMismatch, match="pairs"):
        run_flow_table(replace(run, pairs=9))
    (tmp_path / "rows.jsonl").write_text('{"task": "cartpole"}\n{"task": "ant"}\n')
    with pytest.raises(RunFolderError, match="line 1 is not a result row"):
        run_flow_table(replace(run, out=tmp_path))


def test_a_flow_without_weights_is_left_out_with_a_sentence(tmp_path, monkeypatch, capsys):
    def absent(weights):
        raise FileNotFoundError(weights)

    monkeypatch.setitem(FLOWS, "learned", absent)
    config = replace(TINY, out=tmp_path, flows=("learned", "zero"), measures=("speed",))
    run_flow_table(config)
    assert capsys.readouterr().out == "learned: weights not at hand, so it is left out\n"
    row = rows_of(config)["missing", "learned", "", ""]
    assert row["reason"] == "weights not at hand"
    assert row["weights"] == "shipped"
    assert "`learned`: weights not at hand." in (tmp_path / "table.md").read_text()
    with pytest.raises(FileNotFoundError, match="mine"):
        FlowBench(replace(config, learned_weights="mine"))


def test_rows_of_weights_that_changed_are_measured_anew(tmp_path, monkeypatch):
    class Net(ZeroFlow):
        differentiable = True

        def __init__(self, weights):
            self.net = torch.nn.Linear(1, 1)

    monkeypatch.setitem(FLOWS, "learned", Net)
    config = replace(TINY, out=tmp_path, flows=("learned",), measures=("errors",))
    run_flow_table(config)
    run_flow_table(config)
    prints = [row["network"] for row in read_rows(tmp_path / "rows.jsonl", KEY)]
    assert len(prints) == 4
    assert prints[0] == prints[1] != prints[2] == prints[3]


def test_rows_of_other_weights_of_the_penalty_are_measured_anew(tmp_path, monkeypatch):
    config = replace(TINY, out=tmp_path, flows=("zero",), measures=("curves",), bodies=("cartpole",))
    run_flow_table(config)
    before = read_rows(tmp_path / "rows.jsonl", KEY)
    monkeypatch.setitem(PRESETS, "zero", replace(PRESETS["zero"], form="reg", magnitude=9.0))
    run_flow_table(config)
    rows = read_rows(tmp_path / "rows.jsonl", KEY)
    assert [row["flow"] for row in rows[len(before) :]] == ["zero"] * 3
    assert [row["settings"]["magnitude"] for row in rows[-3:]] == [9.0] * 3
