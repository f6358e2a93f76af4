"""Plans over sampled futures on the command line: options, rows, the report, and agents from a folder."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from corrwise.experiments import load_agent
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.report.page import write_report
from corrwise.experiments.runs.mpc import mpc_settings, run_mpc
from corrwise.experiments.runs.rows import read_rows, row_key
from corrwise.experiments.runs.settings import differences
from corrwise.predictors.models.registry import make_model
from corrwise.validation import ConfigError

TINY = MPCConfig(
    costs=("l1",), episodes=3, seed=5, steps=3, horizon=3, candidates=4, iterations=2, size=16, lockstep=3,
    futures=3, risk="cvar", plan_every=2, videos=False,
)  # fmt: skip


@pytest.fixture(scope="module")
def stochastic(tmp_path_factory):
    """The folder of an untrained model whose frames depend on its latents."""
    torch.manual_seed(0)
    model = make_model("svg-prime", action_dim=1, context=1, width=2, features=4, latent=2, hidden=4)
    with torch.no_grad():
        model.prior.log_variance.bias.fill_(10)
        for layer in (model.decoder.last, model.decoder.first[0], model.predictor.out):
            layer.weight.mul_(30)
    folder = tmp_path_factory.mktemp("svg")
    model.save_pretrained(folder / "model")
    return folder


def rows_of(config, out):
    run_mpc(replace(config, out=out))
    rows = [{k: v for k, v in row.items() if not k.startswith("seconds")} for row in read_rows(out / "rows.jsonl")]
    return {row_key(row): row for row in rows}


def test_rows_state_the_futures_and_do_not_depend_on_what_runs_together(stochastic, tmp_path):
    config = replace(TINY, predictor=str(stochastic))
    rows = rows_of(config, tmp_path / "one")
    assert all((row["futures"], row["risk"], row["risk_level"]) == (3, "cvar", 0.5) for row in rows.values())
    assert all(row["scored"] == 2 * 2 * 4 for row in rows.values()), "two plans in three steps"
    others = rows_of(replace(config, lockstep=1), tmp_path / "two")
    assert {key: row["distances"] for key, row in others.items()} == {
        key: row["distances"] for key, row in rows.items()
    }
    alone = rows_of(replace(config, futures=1, risk="mean"), tmp_path / "alone")
    assert {key: row["distances"] for key, row in alone.items()} != {key: row["distances"] for key, row in rows.items()}
    assert not any("futures" in row or "risk" in row for row in alone.values())
    page, other = ((tmp_path / name / "report.html").read_text("utf-8") for name in ("one", "alone"))
    assert "risk level" in page
    assert "risk" not in write_report(tmp_path / "alone").read_text("utf-8").split("<pre", 1)[0], other[:200]


def test_a_deterministic_predictor_plans_as_with_one_future(tmp_path):
    many, one = rows_of(TINY, tmp_path / "many"), rows_of(replace(TINY, futures=1, risk="mean"), tmp_path / "one")
    assert [row["distances"] for row in many.values()] == [row["distances"] for row in one.values()]


def test_new_options_are_no_settings_of_old_rows():
    assert (
        differences(mpc_settings(MPCConfig(task="cartpole")))
        .keys()
        .isdisjoint({"futures", "risk", "risk_level", "plan_every"})
    )
    assert {"futures": 3, "plan_every": 2, "risk": "cvar"}.items() <= differences(mpc_settings(TINY)).items()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"futures": 0}, "futures must be at least 1, got 0"),
        ({"risk": "median"}, "risk.*median.*mean, cvar"),
        ({"risk_level": 0.0}, r"risk_level must be in \(0, 1\], got 0.0"),
        ({"plan_every": 4}, "plan-every must be at most the horizon of 3, got 4"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        replace(TINY, **options)


def test_an_agent_from_a_folder_plans_over_futures(stochastic):
    agent = load_agent(stochastic, futures=4, risk="worst")
    assert (agent.config.futures, agent.risk.name) == (4, "worst")
    with pytest.raises(ValueError, match="futures must be at least 1, got 0"):
        load_agent(stochastic, futures=0)
