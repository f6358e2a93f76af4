"""Held-out loss against motion: rank correlations with known answers, and models that are matched by their weights."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from scipy.stats import spearmanr

from corrwise._writing import RunFolderError
from corrwise.costs.motion.score import LEVELS
from corrwise.experiments.cli.evaluate import EvaluateConfig
from corrwise.experiments.studies.motion.losses import (
    draw_losses,
    held_losses,
    loss_table,
    motion_measures,
    rank_correlation,
)
from corrwise.experiments.studies.motion.measure import ACCELERATIONS, LENGTHS, REAL


def row(model, length, **values):
    few = [length] * LEVELS
    rest = {"smoothness": 0.9, "dynamic": 0.0, "energy": [1.0], "weights": f"hash of {model}", "clip": 0, "window": 0}
    return {"model": model, LENGTHS: few, ACCELERATIONS: few, **rest, **values}


@pytest.fixture
def rows():
    """Return rows of models whose lengths are 1, 2, 3 and 4 px too long."""
    return [row(REAL, 1.0), *(row(f"arm-{k}", 2.0 + k, dynamic=float(k > 1)) for k in range(4)), row("copy-last", 0.0)]


def test_a_rank_correlation_is_spearmans_and_its_p_value_counts_permutations():
    assert rank_correlation([1, 2, 3, 4], [10, 20, 30, 400]) == pytest.approx((1, 2 / 24))
    draw = np.random.default_rng(0)
    x, y = draw.random(12), draw.random(12)
    rho, p = rank_correlation(x.tolist(), y.tolist())
    assert rho == pytest.approx(spearmanr(x, y).statistic)
    assert p == pytest.approx(spearmanr(x, y).pvalue, abs=0.05)
    assert np.isnan(rank_correlation([1, 2, 3], [5, 5, 5])).all()


def test_measures_are_distances_from_the_true_frames_and_means(rows):
    measures = motion_measures(rows)
    assert list(measures) == [f"arm-{k}" for k in range(4)]
    assert [mine[LENGTHS] for mine in measures.values()] == pytest.approx([1, 2, 3, 4])
    assert [mine["score"] for mine in measures.values()] == pytest.approx([0.45, 0.45, 0.95, 0.95])


def test_losses_belong_to_weights(rows, tmp_path):
    lines = [
        {
            "model": f"renamed-{k}",
            "weights": f"hash of arm-{k}",
            "window": w,
            "clip": w,
            "velocity": [4.0 - k, 2.0 - k / 2],
        }
        for k in range(4)
        for w in range(2)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    losses = held_losses(tmp_path)
    assert losses["hash of arm-2"] == pytest.approx(1.5)
    table = {line[0]: line[1:] for line in loss_table(rows, losses).lines}
    assert table["distance of lengths, px"] == ["4", "\N{MINUS SIGN}1.00", "0.083"], (
        "here a lower loss means worse motion"
    )
    assert table["smoothness"][1:] == ["\N{EN DASH}", "\N{EN DASH}"], "the same of all models"
    draw_losses(tmp_path / "losses.png", rows, losses)
    assert (tmp_path / "losses.png").stat().st_size > 1000
    with pytest.raises(ValueError, match="at least 3 models with a held-out loss in --losses, got 0"):
        loss_table(rows, {"other": 1.0})
    with pytest.raises(ValueError, match="expected rows of corrwise table flow-matching"):
        held_losses(tmp_path / "none")
    other = EvaluateConfig(models=(tmp_path,), data=tmp_path, motion=True, samples=2)
    (tmp_path / "config.json").write_text(json.dumps(asdict(other), default=str))
    with pytest.raises(RunFolderError, match=r"is the folder of corrwise evaluate; --losses takes one of corrwise tab"):
        held_losses(tmp_path)
