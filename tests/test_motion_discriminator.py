"""Maps of motion that are turned show the motion that turned images have."""

from itertools import product

import pytest
import torch

from tools.motion_discriminator import turned


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
