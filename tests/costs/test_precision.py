"""Mixed precision around a distance, and images of other float types, change nothing but their own rounding."""

import pytest
import torch

from corrwise.costs import CorrespondenceWise, Perceptual, l1, recommended, warp
from corrwise.costs.flow import AffineFit, AllPairsFlow, DISFlow, ZeroFlow
from tests.costs.flow.test_flows import SMALL
from tests.costs.images import bodies, texture

HALF = (torch.bfloat16, torch.float16)


@pytest.mark.parametrize("flow", ["all-pairs", "rigid", "affine", "learned"])
@pytest.mark.parametrize("half", HALF, ids=str)
def test_a_distance_under_autocast_is_the_same(flow, half):
    x, y = bodies(3)
    distance = recommended(l1, flow)
    with torch.autocast("cpu", half):
        result, parts = distance(x, y), distance.terms(x, y)
    assert torch.equal(result, distance(x, y))
    assert torch.equal(parts.total, distance.terms(x, y).total)


@pytest.mark.parametrize("half", HALF, ids=str)
def test_matches_under_autocast_are_the_same(half):
    x, y = bodies(3)
    for flow in (AllPairsFlow(), AllPairsFlow(temperature=0.02)):
        with torch.autocast("cpu", half):
            result = flow(x, y)
        assert torch.equal(result, flow(x, y))


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("dtype", [*HALF, torch.float64], ids=str)
def test_every_flow_takes_every_float_type(name, dtype):
    x, y = bodies(2)
    x, y = x.to(dtype), y.to(dtype)
    result = SMALL[name](x, y)
    assert result.dtype == dtype
    assert (result.float() - SMALL[name](x.float(), y.float())).abs().max() < (0.3 if name == "rigid" else 0.1)


@pytest.mark.parametrize("half", HALF, ids=str)
def test_large_images_of_half_types_keep_their_place(half):
    x = texture(2, size=256).to(half)
    flow = torch.zeros(2, 2, 256, 256, dtype=half)
    assert (warp(x, flow).float() - x.float()).abs().max() < 0.01
    result = CorrespondenceWise(l1, ZeroFlow())(x, x)
    assert result.dtype == half
    assert result.abs().max() < 1e-3
    moved = x.roll(3, dims=-1)
    assert (DISFlow()(x, moved).float() - DISFlow()(x.float(), moved.float())).abs().max() < 0.1


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_perceptual_takes_every_float_type(dtype):
    distance, x, y = Perceptual(None), texture(2), texture(2, seed=1)
    result = distance(x.to(dtype), y.to(dtype))
    assert result.dtype == dtype
    torch.testing.assert_close(result.float(), distance(x, y), rtol=0.05, atol=0.01)


def test_images_of_two_float_types_are_refused():
    x, y = bodies(1)
    for flow in (AllPairsFlow(), CorrespondenceWise(l1, AllPairsFlow())):
        with pytest.raises(TypeError, match=r"of torch\.bfloat16 like"):
            flow(x.bfloat16(), y)


def test_images_may_be_named():
    x, y = bodies(1)
    for flow in (AffineFit(), DISFlow()):
        assert torch.equal(flow(target=x.bfloat16(), source=y.bfloat16()), flow(x.bfloat16(), y.bfloat16()))
