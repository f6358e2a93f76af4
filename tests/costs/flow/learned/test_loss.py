"""The loss of a flow net: zero for the ground truth, higher for short estimates, blind to unknown pixels."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from corrwise.costs.flow.learned.loss import endpoint_errors, flow_loss
from corrwise.costs.flow.learned.net import Estimate, FlowNet, FlowNetConfig

NET = FlowNetConfig(fine=4, coarse=8, width=16, heads=2, hidden=4, updates=2, refinements=1)
EVERYWHERE = torch.ones(2, 32, 32, dtype=torch.bool)
TRUTH = torch.full((4, 2, 32, 32), 3.0)


@pytest.fixture(scope="module")
def estimate() -> Estimate:
    """What a new net estimates of two pairs."""
    return FlowNet(NET)(torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32), EVERYWHERE)


def constant(estimate: Estimate, x: float, y: float) -> Estimate:
    """Return an estimate of one flow everywhere."""
    flow = torch.tensor([x, y])[:, None, None]

    def filled(flows: Tensor) -> Tensor:
        return flow.expand_as(flows)

    return replace(estimate, flows=filled(estimate.flows), coarse=filled(estimate.coarse))


def test_the_loss_of_the_ground_truth_is_zero(estimate):
    assert flow_loss(constant(estimate, 3.0, 3.0), TRUTH, EVERYWHERE) == pytest.approx(0, abs=1e-5)
    assert flow_loss(estimate, TRUTH, EVERYWHERE) > 1


def test_an_estimate_that_is_too_short_has_a_higher_loss(estimate, monkeypatch):
    short, aside = constant(estimate, 1.0, 3.0), constant(estimate, 5.0, 3.0)
    with_length = [float(flow_loss(each, TRUTH, EVERYWHERE)) for each in (short, aside)]
    monkeypatch.setattr("corrwise.costs.flow.learned.loss.LENGTH", 0.0)
    without = [float(flow_loss(each, TRUTH, EVERYWHERE)) for each in (short, aside)]
    assert without[0] == pytest.approx(without[1], rel=1e-4), "both are 2 px off"
    assert with_length[0] > without[0] + 0.1


def test_unknown_pixels_have_no_weight(estimate):
    hole = TRUTH.clone()
    hole[0, :, 4:9, 4:9] = float("nan")
    assert flow_loss(constant(estimate, 3.0, 3.0), hole, EVERYWHERE) == pytest.approx(0, abs=1e-5)
    error, length = endpoint_errors(TRUTH + 1, hole, EVERYWHERE.repeat(2, 1, 1))
    assert len(error) == 4 * 32 * 32 - 25
    assert torch.allclose(error, torch.tensor(2.0).sqrt())
    assert torch.allclose(length, torch.tensor(18.0).sqrt())
