import pytest
import torch

from corrwise.costs import CorrespondenceWise, Displacement, FlowMagnitude, l1
from corrwise.costs.flow import AllPairsFlow
from tests.costs.images import ConstantFlow, bodies, body, generator, texture

PLAIN = torch.full((2, 3, 6, 5), 0.5)


def _flow(dx=0.0, dy=0.0):
    flow = torch.zeros(2, 2, 6, 5)
    flow[:, 0], flow[:, 1] = dx, dy
    return flow


def test_it_is_the_mean_length_in_pixels_times_a_price():
    assert torch.allclose(Displacement(0.1)(_flow(3, -4), PLAIN), torch.full((2,), 0.5))
    moved = _flow()
    moved[1, :, 2, 3] = torch.tensor([0.0, 15.0])  # one pixel of 30
    assert torch.allclose(Displacement(2.0)(moved, PLAIN), torch.tensor([0.0, 1.0]))


@pytest.mark.parametrize("power", [2, 3])
def test_a_power_of_the_length_is_what_is_priced(power):
    moved = _flow(3, 4)
    moved[1, :, 2, 3] = torch.tensor([0.0, 15.0])
    expected = torch.tensor([5.0**power, (29 * 5.0**power + 15.0**power) / 30])
    assert torch.allclose(Displacement(0.1, power)(moved, PLAIN), 0.1 * expected)


@pytest.mark.parametrize("power", [1, 2, 2.5])
@pytest.mark.parametrize("factor", [2, 10, 1000])
def test_it_grows_with_its_power_and_is_never_clipped(factor, power):
    flow = torch.randn(2, 2, 6, 5, generator=generator())
    penalty = Displacement(0.07, power)
    assert torch.allclose(penalty(factor * flow, PLAIN), factor**power * penalty(flow, PLAIN))


@pytest.mark.parametrize(("power", "slope"), [(1, [0.6, 0.8]), (2, [6.0, 8.0]), (3, [45.0, 60.0])])
def test_its_gradient_is_finite_and_zero_where_nothing_moves(power, slope):
    flow = _flow()
    flow[0, :, 1, 1] = torch.tensor([3.0, 4.0])
    flow.requires_grad_()
    Displacement(30.0, power)(flow, PLAIN).sum().backward()
    assert torch.allclose(flow.grad[0, :, 1, 1], torch.tensor(slope))
    flow.grad[0, :, 1, 1] = 0
    assert torch.equal(flow.grad, torch.zeros(2, 2, 6, 5))


def test_not_a_number_stays_one():
    flow = _flow(1.0)
    flow[1, 0, 0, 0] = float("nan")
    assert Displacement(1.0)(flow, PLAIN).isnan().tolist() == [False, True]


@pytest.mark.parametrize("side", [32, 64])
def test_the_conversion_from_image_widths(side):
    flow = torch.randn(2, 2, side, side, generator=generator())
    image = torch.zeros(2, 3, side, side)
    assert torch.allclose(Displacement(0.07)(flow, image), FlowMagnitude(0.07 * (side - 1), p=2)(flow, image))


def test_the_distance_adds_the_price_of_what_its_terms_report():
    x, y = bodies(4)
    terms = CorrespondenceWise(l1, AllPairsFlow(), scaling=0, regularizer=Displacement(0.07)).terms(x, y)
    assert torch.allclose(terms.penalty, 0.07 * terms.displacement)
    shifted = CorrespondenceWise(l1, ConstantFlow((6, 0), (0, 2)), scaling=0.5, regularizer=Displacement(0.5))
    assert torch.allclose(shifted.terms(texture(1), texture(1, seed=1)).penalty, torch.tensor([2.0]))


def test_a_body_costs_its_area_times_its_way():
    goal = body(0, 0, at=(2, 10))
    distance = CorrespondenceWise(l1, AllPairsFlow(penalty=0.001), scaling=0, regularizer=Displacement(1.0))
    ways = torch.tensor([9.0, 13.0, 17.0, 21.0])
    costs = torch.cat([distance.terms(body(int(way), 0, at=(2, 10)), goal).penalty for way in ways])
    # The body of 8 x 8 px goes one way, the floor it uncovers is found on the way.
    assert torch.all(costs >= ways * 64 / 32**2)
    assert (costs.diff() > 0).all()


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_weight_that_is_negative_or_not_finite_is_refused(weight):
    with pytest.raises(ValueError, match=f"weight must be zero or above.*, got {weight}"):
        Displacement(weight)
    assert Displacement(0).weight == 0


@pytest.mark.parametrize("power", [0.5, -1.0, float("nan"), float("inf")])
def test_a_power_below_one_or_not_finite_is_refused(power):
    with pytest.raises(ValueError, match=f"power must be at least 1 and finite, got {power}"):
        Displacement(1.0, power)
