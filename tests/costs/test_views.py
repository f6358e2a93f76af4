"""Several views are compared one by one, depth is weighed in metres, and one plain view costs what it did."""

import copy
import math
import pickle

import pytest
import torch

from corrwise.costs import CorrespondenceWise, FlowMagnitude, GoalCost, Perceptual, PerView, l1, mse, recommended, ssim
from corrwise.costs.flow import FLOWS, AllPairsFlow, DISFlow, ZeroFlow
from corrwise.testing import check_distance
from corrwise.types import Goal, Views, channel_axis
from tests.costs.images import bodies, body, generator, texture

TWO, RGBD, BOTH = Views(2), Views(1, depth=True), Views(2, depth=True)


def with_depth(images, metres):
    """One view with the same depth everywhere, or a map (..., h, w)."""
    metres = torch.as_tensor(metres, dtype=images.dtype).expand(*images.shape[:-3], *images.shape[-2:])
    return RGBD.stacked(images, metres[..., None, :, :])


MATCHED = CorrespondenceWise(l1, DISFlow())


@pytest.mark.parametrize(("base", "views"), [(l1, TWO), (l1, RGBD), (ssim, BOTH), (MATCHED, RGBD), (MATCHED, BOTH)])
def test_keeps_the_contract_of_distances(base, views):
    check_distance(PerView(base, views), channels=views.channels)


@pytest.mark.parametrize("distance", [l1, ssim, recommended(l1, "dis"), Perceptual(None)])
def test_one_plain_view_is_the_distance_itself(distance):
    x, y = texture(4), texture(4, seed=1)
    assert torch.equal(PerView(distance, Views())(x, y), distance(x, y))
    frames, goal = x[:, None, None], Goal(y[:, None])
    assert torch.equal(GoalCost(PerView(distance, Views()))(frames, goal), GoalCost(distance)(frames, goal))


@pytest.mark.parametrize("flow", ["all-pairs", "learned"])
def test_views_are_matched_one_by_one(flow):
    distance = recommended(l1, flow)
    (a, b), (c, d) = bodies(3), bodies(3, seed=5)
    both = PerView(distance, TWO)(torch.cat([a, c], dim=1), torch.cat([b, d], dim=1))
    assert torch.allclose(both, (distance(a, b) + distance(c, d)) / 2, rtol=1e-4)


def test_order_of_channels():
    colour, metres = torch.rand(2, 6, 4, 5, generator=generator()), torch.rand(2, 2, 4, 5, generator=generator(1))
    images = BOTH.stacked(colour, metres)
    assert images.shape == (2, BOTH.channels, 4, 5)
    assert torch.equal(images[:, 3], metres[:, 0])
    assert torch.equal(images[:, 4:7], colour[:, 3:])
    assert torch.equal(BOTH.colour(images), colour)
    assert torch.equal(BOTH.metres(images), metres)
    assert torch.equal(TWO.colour(colour), colour)


def test_depth_counts_in_its_scale_and_no_further():
    x = with_depth(texture(4), 2.0)
    y = with_depth(texture(4), torch.tensor([2.0, 2.25, 2.5, 99.0])[:, None, None])
    for weight, scale, expected in ((1, 1, [0, 0.25, 0.5, 1]), (2, 0.5, [0, 1, 2, 2])):
        cost = PerView(l1, RGBD, depth_weight=weight, depth_scale=scale)(x, y)
        assert torch.allclose(cost, torch.tensor(expected, dtype=torch.float32), atol=1e-6)
    moved = PerView(CorrespondenceWise(l1, ZeroFlow(), scaling=0), RGBD)(x, y)
    assert torch.allclose(moved, 2 * torch.tensor([0, 0.25, 0.5, 1]), atol=1e-5), "once in each direction"


@pytest.mark.parametrize("nothing", [0.0, -1.0, math.inf])
@pytest.mark.parametrize("make", [lambda: l1, lambda: CorrespondenceWise(l1, ZeroFlow(), scaling=0.0)])
def test_pixels_without_depth_do_not_count(nothing, make):
    image, metres = texture(2), torch.full((2, 32, 32), 2.0)
    holed = metres.clone()
    holed[:, 4:20, 4:20] = nothing
    distance = PerView(make(), RGBD)
    assert distance(with_depth(image, holed), with_depth(image, metres)).abs().max() < 1e-6
    off = distance(with_depth(image, holed), with_depth(image, metres + 0.5))
    assert torch.allclose(off, distance(with_depth(image, metres), with_depth(image, metres + 0.5)), rtol=1e-5)
    assert distance(with_depth(image, nothing), with_depth(image, metres)).abs().max() < 1e-6


def test_depth_is_carried_along_with_the_pixels():
    x, y = body(0, 0), body(6, 0)
    near, far = 2.0, 5.0
    depth_x, depth_y = (torch.where((each > 0.25).any(dim=1), near, far) for each in (x, y))
    here, there = with_depth(x, depth_x), with_depth(y, depth_y)
    matched = CorrespondenceWise(l1, AllPairsFlow(penalty=0.0001), scaling=0.0)
    assert PerView(l1, RGBD)(here, there) > 0.1
    assert PerView(matched, RGBD)(here, there) < 0.02, "the body's depth went along with it"
    nearer = with_depth(y, torch.where((y > 0.25).any(dim=1), near - 0.8, far))
    assert PerView(matched, RGBD)(here, nearer) > PerView(matched, RGBD)(here, there) + 0.05, "it came nearer"


def test_depth_that_is_nan_is_not_lost():
    x, y = with_depth(texture(3), 2.0), with_depth(texture(3, seed=1), 2.0)
    x[1, 3, 5, 5] = math.nan
    for distance in (l1, CorrespondenceWise(l1, AllPairsFlow())):
        assert PerView(distance, RGBD)(x, y).isnan().tolist() == [False, True, False]
        assert PerView(distance, RGBD)(y, x).isnan().tolist() == [False, True, False]


def test_terms_are_means_over_views_and_fields_side_by_side():
    base = CorrespondenceWise(l1, AllPairsFlow(), scaling=0.0, regularizer=FlowMagnitude(1.0), occlusion=0.5)
    (a, b), (c, d) = bodies(3), bodies(3, seed=5)
    x, y = torch.cat([a, c], dim=1), torch.cat([b, d], dim=1)
    terms, one, two = PerView(base, TWO).terms(x, y), base.terms(a, b), base.terms(c, d)
    for name in ("residual", "penalty", "displacement", "occluded", "total"):
        assert torch.allclose(getattr(terms, name), (getattr(one, name) + getattr(two, name)) / 2, rtol=1e-4), name
    assert torch.equal(terms.flow, torch.cat([one.flow, two.flow], dim=-1))
    assert torch.equal(terms.backward, torch.cat([one.backward, two.backward], dim=-1))
    distance = PerView(base, RGBD)
    shifted = distance.terms(with_depth(a, 2.0), with_depth(b, 2.5))
    assert torch.allclose(shifted.total, distance(with_depth(a, 2.0), with_depth(b, 2.5)))
    assert torch.allclose(shifted.residual, one.residual + 1.0, rtol=1e-3)
    assert torch.allclose(shifted.penalty, one.penalty)
    assert not hasattr(PerView(l1, TWO), "terms")


def test_features_of_a_goal_are_remembered_and_depth_is_among_them():
    network = Perceptual(None)
    frames, goal = texture(2, 3, 1, 2).flatten(-4, -3), texture(2, 1, 2, seed=3).flatten(-4, -3)
    cost = GoalCost(PerView(network, TWO))(frames, Goal(goal))
    assert torch.allclose(cost, PerView(network, TWO)(frames, goal[:, None].expand_as(frames)), rtol=1e-4)
    deep = with_depth(frames[..., :3, :, :], 2.0), with_depth(goal[..., :3, :, :], 2.5)
    with_metres = GoalCost(PerView(network, RGBD))(deep[0], Goal(deep[1]))
    plain = GoalCost(network)(frames[..., :3, :, :], Goal(goal[..., :3, :, :]))
    assert torch.allclose(with_metres, plain + 0.5, rtol=1e-4)


def test_gradients_reach_colours_and_depths():
    x, y = with_depth(texture(2), 2.0).requires_grad_(), with_depth(texture(2, seed=1), 2.5)
    for distance in (l1, CorrespondenceWise(l1, AllPairsFlow())):
        (gradient,) = torch.autograd.grad(PerView(distance, RGBD)(x, y).sum(), x)
        assert (gradient[:, :3].abs().sum(dim=(1, 2, 3)) > 0).all()
        assert (gradient[:, 3].abs().sum(dim=(1, 2)) > 0).all()


def test_copies_and_pickles_compare_the_same():
    distance = PerView(recommended(l1, "dis"), RGBD)
    x, y = with_depth(texture(2), 2.0), with_depth(texture(2, seed=1), 2.5)
    for other in (copy.deepcopy(distance), pickle.loads(pickle.dumps(distance))):
        assert torch.equal(other(x, y), distance(x, y))


@pytest.mark.parametrize("name", sorted(FLOWS.keys() - {"raft"}))
def test_a_flow_of_two_views_at_once_is_refused(name, unhooked):
    images = texture(1, 2).flatten(1, 2)
    with pytest.raises(ValueError, match="expected one view of 3 channels, got 6: PerView compares view by view"):
        FLOWS[name]()(images, images)


def test_what_is_refused_says_what_to_do(unhooked):
    two, deep = texture(1, 2).flatten(1, 2), with_depth(texture(1), 2.0)
    with pytest.raises(ValueError, match="got 6: PerView compares view by view"):
        Perceptual(None)(two, two)
    for distance in (l1, mse, ssim):
        distance(two, two)
        with pytest.raises(ValueError, match="3 channels to a view, got 4: PerView weights depth in metres"):
            distance(deep, deep)
    with pytest.raises(
        ValueError, match=r"expected images \(..., 6, h, w\) of Views\(count=2, depth=False\), got \(1, 4"
    ):
        PerView(l1, TWO)(deep, deep)
    for numbers in ({"depth_weight": -1}, {"depth_weight": math.inf}, {"depth_scale": 0}, {"depth_scale": math.nan}):
        with pytest.raises(ValueError, match=next(iter(numbers))):
            PerView(l1, RGBD, **numbers)
    with pytest.raises(TypeError, match="expected a distance"):
        PerView("l1", RGBD)
    with pytest.raises(ValueError, match="expected at least one view, got 0"):
        Views(0)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((8, 8, 3), -1), ((3, 8, 8), -3), ((5, 16, 16, 6), -1), ((6, 16, 12), -3), ((16, 16, 4), None), ((16, 16), None),
     ((2, 3, 16, 16), -3), ((6, 6, 6), None)],
)  # fmt: skip
def test_where_the_channels_of_bytes_are(shape, axis):
    assert channel_axis(shape) == axis
