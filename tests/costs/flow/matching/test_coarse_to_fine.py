"""Flows made of flows: cells first and then pixels, and a match polished by what it leaves over."""

import pytest
import torch

from corrwise.costs.flow import AllPairsFlow, CoarseToFine, DISFlow, Polished, ZeroFlow
from corrwise.costs.flow.matching.places import differing
from tests.costs.images import bodies, body, texture


@pytest.mark.parametrize("shift", [(1, 0), (5, -3), (-9, 8)])
@pytest.mark.parametrize("factor", [2, 3])
def test_coarse_to_fine_recovers_a_translation_also_of_odd_pixels(shift, factor):
    x, y = body(0, 0), body(*shift)
    forward, backward = CoarseToFine(factor=factor).both(x, y)
    inside = (..., slice(12, 16), slice(12, 16))
    moved = (..., slice(12 + shift[1], 16 + shift[1]), slice(12 + shift[0], 16 + shift[0]))
    expected = torch.tensor(shift).float()[None, :, None, None].expand(1, 2, 4, 4)
    assert torch.equal(forward[inside], expected)
    assert torch.equal(backward[moved], -expected)


def test_coarse_to_fine_stays_where_nothing_differs_and_takes_sides_that_are_no_multiple():
    x, y = (image[..., :29, :31] for image in (body(0, 0), body(4, 2)))
    flow = CoarseToFine()(x, y)
    still = ~differing(x, y, threshold=0.0, reach=1)
    assert flow.shape == (1, 2, 29, 31)
    assert (flow.permute(0, 2, 3, 1)[still] == 0).all()


def test_coarse_to_fine_does_not_depend_on_the_batch():
    x, y = bodies(6)
    x[4], y[4] = texture(), texture(seed=1)
    together = CoarseToFine().both(x, y)
    alone = [CoarseToFine().both(a[None], b[None]) for a, b in zip(x, y, strict=True)]
    for side in (0, 1):
        assert torch.equal(together[side], torch.cat([each[side] for each in alone]))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"factor": 1}, "at least 2, got 1"), ({"patch": 4}, "got 4"), ({"penalty": -1.0}, "got -1.0"),
     ({"threshold": float("nan")}, "and nan")],
)  # fmt: skip
def test_coarse_to_fine_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        CoarseToFine(**options)


def test_coarse_to_fine_refuses_images_smaller_than_its_cells_patches():
    with pytest.raises(ValueError, match=r"more than 4 px to a side, got \(4, 9\)"):
        CoarseToFine(factor=4)(torch.rand(1, 3, 4, 9), torch.rand(1, 3, 4, 9))


def test_a_polished_match_comes_nearer_to_a_sub_pixel_motion():
    wide = texture(3, size=96)
    x = torch.nn.functional.avg_pool2d(wide, 2)
    y = torch.nn.functional.avg_pool2d(torch.roll(wide, (0, 13), dims=(-2, -1)), 2)  # 6.5 px
    inside = (..., slice(14, 34), slice(14, 34))
    whole = AllPairsFlow(penalty=0.001)
    polished = Polished(whole, DISFlow(finest_scale=0))
    errors = [float((flow(x, y)[:, 0] - 6.5).abs()[inside].mean()) for flow in (whole, polished)]
    assert errors[0] > 0.45
    assert errors[1] < 0.8 * errors[0]


def test_polishing_by_nothing_changes_nothing_and_gradients_need_both():
    x, y = bodies(2)
    plain, polished = AllPairsFlow(), Polished(AllPairsFlow(), ZeroFlow())
    for one, other in zip(polished.both(x, y), plain.both(x, y), strict=True):
        assert torch.allclose(one, other, atol=1e-4)
    assert torch.equal(polished(x, y), polished.both(x, y)[0])
    assert not polished.differentiable
    assert Polished(AllPairsFlow(temperature=0.1), ZeroFlow()).differentiable
