import math

import pytest
import torch

from corrwise.costs.flow import FLOWS, AllPairsFlow
from corrwise.costs.flow.matching.places import _bundles, differing
from tests.costs.images import bodies, body, generator, texture


@pytest.mark.parametrize("shift", [(1, 0), (5, -3), (-9, 8)])
@pytest.mark.parametrize("patch", [3, 5])
def test_recovers_a_translation(shift, patch):
    x, y = body(0, 0), body(*shift)
    forward, backward = AllPairsFlow(patch=patch).both(x, y)
    inside = (..., slice(12, 16), slice(12, 16))  # patches that hold nothing but body
    moved = (..., slice(12 + shift[1], 16 + shift[1]), slice(12 + shift[0], 16 + shift[0]))
    expected = torch.tensor(shift).float()[None, :, None, None].expand(1, 2, 4, 4)
    assert torch.equal(forward[inside], expected)
    assert torch.equal(backward[moved], -expected)


def test_stays_where_nothing_differs():
    x, y = body(0, 0), body(4, 2)
    flow = AllPairsFlow()(x, y)
    still = ~differing(x, y, threshold=0.0, reach=1)
    assert still.sum() > 500
    assert (flow.permute(0, 2, 3, 1)[still] == 0).all()


@pytest.mark.parametrize("reach", [0, 1, 2, 9])
def test_differing_pixels_reach_as_far_as_pooling_does(reach):
    x = torch.zeros(2, 3, 6, 8)
    y = (torch.rand(x.shape, generator=generator(0)) > 0.98).float()
    y[0, 1, 0, 0], y[1, 2, 5, 7], y[1, 0, 2, 2] = 1, 1, torch.nan
    wanted = torch.nn.functional.max_pool2d((y.nan_to_num(0) > 0).any(1).float(), 2 * reach + 1, 1, reach) > 0
    assert torch.equal(differing(x, y, threshold=0.5, reach=reach), wanted)


def test_agrees_with_the_definition():
    """Row by row from the formula: RMS of the patch difference plus the penalty times the distance."""
    x, y = (torch.randint(0, 256, (1, 3, 9, 7), generator=generator(seed)) / 255 for seed in (0, 1))
    grid = torch.stack(torch.meshgrid(torch.arange(7.0), torch.arange(9.0), indexing="xy"), -1).reshape(-1, 2)
    patches = [
        torch.nn.functional.unfold(torch.nn.functional.pad(i.double(), (1, 1, 1, 1), mode="reflect"), 3)[0].T
        for i in (x, y)
    ]
    rms = (patches[0][:, None] - patches[1]).square().mean(-1).sqrt()
    cost = rms + 0.015 * torch.cdist(grid.double(), grid.double())
    forward, backward = AllPairsFlow(penalty=0.015, threshold=0).both(x, y)
    for flow, best in ((forward, cost.argmin(1)), (backward, cost.argmin(0))):
        assert torch.equal(flow[0].flatten(1).T, grid[best] - grid)


def test_equal_patches_match_the_nearest():
    x, y = torch.zeros(1, 3, 24, 24), torch.zeros(1, 3, 24, 24)
    x[..., 12, 8] = 1
    y[..., 12, 2] = y[..., 12, 11] = y[..., 12, 20] = 1
    flow = AllPairsFlow(penalty=0)(x, y)
    assert flow[0, :, 12, 8].tolist() == [3, 0]


def test_the_penalty_keeps_matches_near():
    x, y = body(0, 0, at=(2, 12)), body(18, 0, at=(2, 12))
    near, far = AllPairsFlow(penalty=0.2)(x, y), AllPairsFlow(penalty=0.01)(x, y)
    assert near.norm(dim=1).max() < 6
    assert far[0, 0, 14:18, 4:8].mean() == 18


@pytest.mark.parametrize("temperature", [None, 0.02])
def test_the_result_does_not_depend_on_batch_or_chunks(temperature):
    x, y = bodies(9)
    x[4], y[4] = texture(), texture(seed=1)  # one pair that differs everywhere
    same = torch.equal if temperature is None else lambda a, b: torch.allclose(a, b, atol=1e-3)
    reference = AllPairsFlow(temperature=temperature).both(x, y)
    for entries in (1, 1000, 50_000, 2**24):
        flow = AllPairsFlow(temperature=temperature, max_entries=entries if temperature is None else max(entries, 1000))
        for one, other in zip(flow.both(x, y), reference, strict=True):
            assert same(one, other)
    alone = torch.cat([AllPairsFlow(temperature=temperature)(a[None], b[None]) for a, b in zip(x, y, strict=True)])
    assert same(alone, reference[0])
    order = torch.randperm(9, generator=generator(3))
    assert same(AllPairsFlow(temperature=temperature)(x[order], y[order]), reference[0][order])


def test_both_directions_swap_with_the_images():
    x, y = bodies(4)
    forward, backward = AllPairsFlow().both(x, y)
    swapped = AllPairsFlow().both(y, x)
    assert torch.equal(forward, swapped[1])
    assert torch.equal(backward, swapped[0])


def test_chunks_keep_within_their_entries():
    counts = torch.randint(0, 60, (50,), generator=generator()).tolist()
    bundles = list(_bundles(counts, 10_000))
    assert sorted(i for b in bundles for i in b) == [i for i, count in enumerate(counts) if count]
    assert all(len(b) == 1 or len(b) * max(counts[i] for i in b) ** 2 <= 10_000 for b in bundles)


def test_a_cold_soft_match_is_the_hard_one():
    x, y = body(0, 0), body(5, -3)
    soft, hard = AllPairsFlow(temperature=1e-4)(x, y), AllPairsFlow()(x, y)
    assert (soft - hard)[..., 12:16, 12:16].abs().max() < 0.05


def test_gradcheck_of_the_soft_match():
    x, y = (torch.rand(1, 1, 4, 4, dtype=torch.float64, generator=generator(seed)) for seed in (0, 1))
    flow = AllPairsFlow(temperature=0.1, threshold=0.001)
    assert flow.differentiable
    assert torch.autograd.gradcheck(flow, (x.requires_grad_(), y.requires_grad_()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch": 4}, "got 4"),
        ({"penalty": -1.0}, "got -1.0"),
        ({"threshold": -0.1}, "got .*-0.1"),
        ({"temperature": 0.0}, "got 0.0"),
        ({"max_entries": 0}, "got 0"),
        ({"penalty": float("nan")}, "got nan"),
        ({"penalty": float("inf")}, "got inf"),
        ({"threshold": float("nan")}, "and nan"),
        ({"threshold": float("inf")}, "and inf"),
        ({"temperature": float("nan")}, "got nan"),
        ({"temperature": float("inf")}, "got inf"),
        ({"rigidity": -0.1}, "got -0.1"),
        ({"rigidity": float("nan")}, "got nan"),
        ({"rigidity": 0.02, "temperature": 0.1}, "got 0.02 and 0.1"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        AllPairsFlow(**options)


@pytest.mark.parametrize("flow", [AllPairsFlow(), AllPairsFlow(temperature=0.02), FLOWS["rigid"]()])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_first_frame_that_is_broken_at_its_corner_changes_no_other_pair(flow, value):
    # Pairs with fewer positions than the largest are padded with the first pair's corner.
    x, y = bodies(3)
    x[2, :, 20:, 20:] = y[2, :, 20:, 20:]  # fewer positions than the others
    clean = flow.both(x, y)
    for broken in (x.clone(), y.clone()):
        broken[0] = value
        pair = (broken, y) if torch.equal(broken[1:], x[1:]) else (x, broken)
        for field, whole in zip(flow.both(*pair), clean, strict=True):
            assert torch.equal(field[1:], whole[1:])
