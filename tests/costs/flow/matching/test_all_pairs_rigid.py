import math

import pytest
import torch

from corrwise.costs.flow import AllPairsFlow
from corrwise.costs.flow.matching.rigid import alike, foreground, noise
from corrwise.testing import check_flow
from tests.costs.images import bodies, body, generator, texture

RIGID = AllPairsFlow(patch=5, penalty=0.001, rigidity=0.015)
PLAIN = AllPairsFlow(penalty=0.001)


def checkers(size=64):
    cells = torch.arange(size) // 8 % 2
    return (0.2 + 0.6 * (cells[:, None] ^ cells)).expand(1, 3, size, size).clone()


def sticks(x, y, bend, *, size=64):
    """Two jointed sticks on a checker floor; and where on the body a pixel is.

    They are 4 px wide, 14 px long and darker to one end. The first points to the right from (x, y), the second from its
    end at an angle of ``bend``. Places on the body are (along, across) in pixels, the second stick's ``along`` counted
    from 100; NaN beside the body.
    """
    rows, columns = torch.meshgrid(torch.arange(size) + 0.0, torch.arange(size) + 0.0, indexing="ij")
    image, place = checkers(size), torch.full((2, size, size), math.nan)
    colour = torch.tensor([0.8, 0.45, 0.1])
    for stick, (left, top, angle) in enumerate([(x, y, 0.0), (x + 14, y, bend)]):
        along = (columns - left) * math.cos(angle) + (rows - top) * math.sin(angle)
        across = (rows - top) * math.cos(angle) - (columns - left) * math.sin(angle)
        inside = (along >= 0) & (along <= 14) & (across.abs() <= 2)
        shade = 1 - 0.02 * (along + 14 * stick)[inside]
        image[0, :, inside] = colour[:, None] * shade
        place[:, inside] = torch.stack((along + 100 * stick, across))[:, inside]
    return image, place


def errors_on_sticks(flow, first, second):
    """Return each body pixel's distance to where its point of the body went, in pixels."""
    (x, where), (y, there) = sticks(*first), sticks(*second)
    result, errors = flow(x, y)[0], []
    targets = (~there[0].isnan()).nonzero()
    for row, column in (~where[0].isnan()).nonzero().tolist():
        gap = (there[:, targets[:, 0], targets[:, 1]] - where[:, row, column, None]).norm(dim=0)
        if gap.min() < 1:  # else no pixel of the other picture shows it
            truth = targets[gap.argmin()].flip(0) - torch.tensor([column, row])
            errors.append((result[:, row, column] - truth).norm())
    assert len(errors) > 80
    return torch.stack(errors)


@pytest.mark.parametrize("second", [(18, 34, 1.0), (31, 37, 0.5), (24, 20, 1.4)])
def test_jointed_sticks_are_told_apart(second):
    rigid, plain = (errors_on_sticks(flow, (12, 28, 0.9), second) for flow in (RIGID, PLAIN))
    assert rigid.mean() < 2.2
    assert rigid.mean() < 0.7 * plain.mean()


def test_keeps_the_contract():
    check_flow(RIGID)


def test_the_result_does_not_depend_on_batch_or_chunks():
    x, y = bodies(9)
    x[4], y[4] = texture(), texture(seed=1)  # one pair that differs everywhere
    y[5] = (0.93 * y[5] + 0.03).clamp(0, 1)
    x[6], y[6] = texture(), texture()  # one that does not differ
    reference = RIGID.both(x, y)
    for entries in (1, 50_000, 2**24):
        flow = AllPairsFlow(patch=5, penalty=0.001, rigidity=0.015, max_entries=entries)
        assert all(torch.equal(*pair) for pair in zip(flow.both(x, y), reference, strict=True))
    assert torch.equal(torch.cat([RIGID(a[None], b[None]) for a, b in zip(x, y, strict=True)]), reference[0])
    order = torch.randperm(9, generator=generator(3))
    assert torch.equal(RIGID(x[order], y[order]), reference[0][order])
    assert all(torch.equal(*pair) for pair in zip(RIGID.both(y, x), reference[::-1], strict=True))


def test_what_the_body_hides_and_uncovers_stays():
    x, y = body(0, 0), body(12, 0)
    forward, backward = RIGID.both(x, y)
    assert (forward[0, 0, 10:18, 10:18] - 12).abs().max() < 0.5
    assert (backward[0, 0, 10:18, 22:30] + 12).abs().max() < 0.5
    for flow, left in ((forward, 10), (backward, 22)):
        flow[..., 10:18, left : left + 8] = 0
        assert torch.equal(flow, torch.zeros_like(flow))


def test_brightness_and_noise_are_not_motion():
    x, _ = sticks(12, 28, 0.9)
    y, _ = sticks(24, 30, 0.9)
    clean = RIGID(x, y)
    dimmed = 0.93 * y + 0.03
    noisy = dimmed + 0.01 * torch.randn(y.shape, generator=generator(1))
    on_body = clean.norm(dim=1) > 0
    for picture in (dimmed, noisy):
        flow = RIGID(x, picture)
        assert (flow - clean).norm(dim=1)[on_body].mean() < 1
        assert (flow[:, 0][~on_body] != 0).float().mean() < 0.02
    assert (PLAIN(x, noisy) != 0).any(dim=1)[~on_body].float().mean() > 0.5  # which is what it is good for


def test_matches_that_do_not_come_back_are_not_trusted():
    """A square moves behind a pillar; where the hidden half went no match says, but the other half does."""
    x, y = body(0, 0, side=10, at=(6, 10)), body(9, 0, side=10, at=(6, 10))
    for image in (x, y):
        image[..., 20:] = 0.9
    truth = torch.tensor([9.0, 0.0])[:, None, None]
    rigid, alone = ((flow(x, y)[0, :, 10:20, 6:16] - truth).norm(dim=0) for flow in (RIGID, PLAIN))
    assert rigid[:, :4].max() < 1
    assert rigid[:, 4:].mean() < 0.65 * alone[:, 4:].mean()


def test_alike_images_keep_their_levels():
    x = (255 * texture(2)).round() / 255
    for image in alike(x, x.clone()):
        assert torch.allclose(image, x, atol=1e-6)
    first, second = alike(x, 0.9 * x + 0.05)
    assert (first - second).abs().max() <= 1.01 / 255
    assert noise(x, x).eq(0).all()
    other = texture(2, seed=5)  # nothing in common: only rounded
    assert torch.allclose(alike(x, other)[0], x, atol=1e-6)


def test_the_foreground_is_what_has_the_bodys_colours():
    x, y = sticks(12, 28, 0.9)[0], sticks(24, 40, 0.2)[0]
    differs = (x != y).any(dim=1)
    for image, pose in ((x, (12, 28, 0.9)), (y, (24, 40, 0.2))):
        shows = ~sticks(*pose)[1][0].isnan()
        assert torch.equal(foreground(image, differs)[0], shows & differs[0])


def test_a_body_in_the_backgrounds_colours_is_found():
    x = texture(1, size=64)
    y = x.clone()
    y[..., 10:22, 8:20] = x[..., 40:52, 44:56]
    y[..., 16:28, 17:29] = x[..., 10:22, 8:20]
    flow = RIGID(x, y)[0, :, 13:19, 11:17].flatten(1)
    assert flow.median(dim=1).values.tolist() == [9.0, 6.0]


@pytest.mark.parametrize("channels", [1, 2])
def test_other_channels_sizes_and_types(channels):
    x, y = (torch.cat([body(*shift)] * 2, dim=1)[:, :channels, :24].double() for shift in ((0, 0), (5, -3)))
    flow = RIGID(x, y)
    assert flow.dtype == torch.float64
    assert (flow[..., 12:16, 12:16] - torch.tensor([5.0, -3.0])[:, None, None]).abs().max() < 0.3
