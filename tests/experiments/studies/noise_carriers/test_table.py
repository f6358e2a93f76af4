"""``corrwise table noise-carriers``: its rows, its statistics, and what is refused."""

from dataclasses import replace

import pytest
import torch

from corrwise.experiments.cli import main
from corrwise.experiments.cli.table_noise_carriers import NoiseCarrierTableConfig
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.studies.noise_carriers.measure import KEY, _moran, _moran_deviation
from corrwise.experiments.studies.noise_carriers.motions import maps_of, motion_names, scene
from corrwise.experiments.studies.noise_carriers.table import (
    FOLLOWS,
    KEEPS_COVARIANCE,
    noise_carrier_tables,
    run_noise_carrier_table,
)
from corrwise.predictors.restoration import CARRIERS
from corrwise.predictors.restoration.maps import pixel_grid
from tests.snippets import ROOT

RESULTS = ROOT / "docs/results/restoration/carriers"
TINY = NoiseCarrierTableConfig(
    carriers=("fixed", "bilinear", "discrete", "gp"), motions=("shift", "drift", "scene"), flows=("dis",), seeds=1,
    warps=3, size=24, channels=16,
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("noise-carriers") / "run"
    assert run_noise_carrier_table(replace(TINY, out=out)) == out / "table.md"
    return out


def test_rows_have_each_carrier_along_each_motion(run):
    rows = read_rows(run / "rows.jsonl", KEY)
    assert [(row["motion"], row["carrier"]) for row in rows] == [
        (motion, carrier) for motion in ("shift", "drift", "scene", "scene:flow=dis") for carrier in TINY.carriers
    ]
    by = {(row["motion"], row["carrier"]): row for row in rows}
    assert by["drift", "bilinear"]["variance"] < 0.4
    assert abs(by["drift", "discrete"]["variance"] - 1) < 0.1
    assert by["shift", "discrete"]["follow_error"] == 0
    assert by["shift", "fixed"]["follow_error"] > 1
    assert by["scene", "gp"]["follow_error"] < FOLLOWS
    assert by["scene:flow=dis", "gp"]["follow_error"] is None
    assert by["scene:flow=dis", "gp"]["origin_error"] > 0
    assert "origin_error" not in by["scene", "gp"] or by["scene", "gp"]["origin_error"] is None
    assert by["scene", "discrete"]["hidden"] > 0
    page = (run / "table.md").read_text()
    assert page.count("| `gp` |") == 4
    assert "px from their true origin" in page
    assert (run / "carriers.png").stat().st_size > 10_000


def test_the_same_command_makes_nothing_anew_and_more_seeds_make_their_rows(run):
    before = (run / "rows.jsonl").read_bytes()
    run_noise_carrier_table(replace(TINY, out=run))
    assert (run / "rows.jsonl").read_bytes() == before
    run_noise_carrier_table(replace(TINY, out=run, carriers=("fixed",), motions=("shift",), flows=(), seeds=2))
    assert len(read_rows(run / "rows.jsonl", KEY)) == 17


def test_the_scene_moves_by_its_flow():
    video, fields = scene(TINY, 4)
    grid = pixel_grid(24, 24).long()
    for number, (later, earlier) in enumerate(fields):
        from_x = grid[..., 0] + later[0].long()
        visible = ~list(maps_of("scene", TINY))[number + 1].hidden & (from_x < 24) & (from_x >= 0)
        came = video[number][:, grid[..., 1], from_x.clamp(0, 23)]
        assert torch.equal(came[:, visible], video[number + 1][:, visible])
        assert earlier.abs().max() == later.abs().max() == 1


def test_morans_i_of_independent_values_has_its_expected_mean_and_deviation():
    noise = torch.randn(3000, 1, 7, 9, generator=torch.Generator("cpu").manual_seed(0))
    values = torch.tensor([_moran(each) for each in noise])
    assert float(values.mean()) == pytest.approx(-1 / 62, abs=0.006)
    assert float(values.std()) == pytest.approx(_moran_deviation(7, 9), rel=0.05)
    assert _moran(torch.arange(8.0).expand(1, 8, 8)) > 0.8


@pytest.mark.parametrize(
    "option", ["--carriers warp", "--motions jump", "--flows none-such", "--carriers", "--warps 0"]
)
def test_options_that_cannot_be_used_are_refused(option, tmp_path, capsys):
    assert main(["table", "noise-carriers", *option.split(), "--out", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_nothing_to_measure_is_refused(capsys):
    assert main(["table", "noise-carriers", "--motions", "--flows"]) == 2
    assert "motions must be at least one, or --flows with one, got none" in capsys.readouterr().err


def test_the_published_table_is_made_of_its_rows():
    rows = read_rows(RESULTS / "rows.jsonl", KEY)
    assert noise_carrier_tables(rows) == (RESULTS / "table.md").read_text()
    assert {row["carrier"] for row in rows} == set(CARRIERS)
    assert {row["motion"] for row in rows} == set(motion_names(NoiseCarrierTableConfig()))


def test_published_rows_keep_what_the_carriers_promise_and_baselines_fail():
    rows = read_rows(RESULTS / "rows.jsonl", KEY)
    for row in rows:
        kind = CARRIERS[row["carrier"]]
        if kind.keeps_law:
            assert row["covariance_error"] < KEEPS_COVARIANCE
            assert abs(row["variance"] - 1) < 0.03
            assert row["ks_p"] > 1e-3
        if row["motion"] == "shift":
            assert (row["follow_error"] < FOLLOWS) == kind.follows
    failed = {(row["carrier"], row["motion"]) for row in rows if row["covariance_error"] > KEEPS_COVARIANCE}
    assert {("bilinear", "drift"), ("bilinear", "turn"), ("bilinear", "zoom"), ("nearest", "zoom")} <= failed
    assert all(row["repeated"] > 0.4 for row in rows if (row["carrier"], row["motion"]) == ("nearest", "zoom"))
