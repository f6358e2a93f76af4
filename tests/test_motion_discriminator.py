"""Windows of motion: turned and scaled ones are motion too, as smooth in its order."""

from itertools import product

import numpy as np
import pytest
import torch

from tools.motion_discriminator import scaled, shuffled, turned, unlikeness


def _moved(image, u, v):
    return image.roll((v, u), dims=(-2, -1))


@pytest.mark.parametrize("ways", list(product((False, True), repeat=3)))
def test_turned_maps_are_those_of_turned_images(ways):
    u, v, side = 2, -1, 8
    image = torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(0))
    field = torch.tensor([u, v, (u * u + v * v) ** 0.5]).reshape(1, 3, 1, 1).expand(1, 3, side, side)
    seen = [turned(each.expand(1, 3, side, side), *ways).abs()[:, 2:] for each in (image, _moved(image, u, v))]
    turned_u, turned_v, length = turned(field, *ways)[0, :, 0, 0].tolist()
    torch.testing.assert_close(_moved(seen[0], int(turned_u), int(turned_v)), seen[1])
    assert length == pytest.approx(5**0.5)


def test_maps_of_smooth_motion_are_like_their_neighbours_also_scaled_and_backwards():
    draw = np.random.default_rng(0)
    turn = torch.linspace(0, 3, 8)[None, :, None, None] + torch.rand(6, 1, 4, 4)
    field = torch.stack([turn.cos(), turn.sin(), torch.ones_like(turn)], dim=2)
    smooth = torch.cat([field, field[:, -1:]], dim=1)
    ordered, other = unlikeness(smooth), unlikeness(shuffled(smooth, draw))
    assert float(ordered.max()) < float(other.min())
    made = scaled(smooth, draw)
    torch.testing.assert_close(unlikeness(made), ordered)
    torch.testing.assert_close(made[:, :, :2].norm(dim=2), made[:, :, 2])
    factors = made[:, 0, 2, 0, 0]
    assert float(factors.min()) >= 0.5
    assert float(factors.max()) <= 2
    assert len(set(factors.tolist())) == 6
