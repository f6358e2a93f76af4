"""Convolutions computed another way give what the plain ones give, values and gradients."""

import pytest
import torch
import torch.nn.functional as F

from corrwise.predictors.convolutions import FlatConv3d, UpConv2d


@pytest.mark.parametrize(
    ("layer", "shape", "plain"),
    [
        (UpConv2d(3, 4), (2, 3, 5, 6), lambda x, w, b: F.conv2d(F.interpolate(x, scale_factor=2), w, b, padding=1)),
        (FlatConv3d(3, 4, (3, 5, 5)), (2, 3, 5, 8, 9), F.conv3d),
        (FlatConv3d(3, 4, (3, 5, 5)), (2, 3, 3, 5, 5), F.conv3d),
    ],
)
def test_they_are_what_they_stand_for(layer, shape, plain):
    torch.manual_seed(0)
    x = torch.randn(shape, requires_grad=True)
    weights = (x, layer.weight, layer.bias)
    found, expected = layer(x), plain(*weights)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(y.square().sum(), weights) for y in (found, expected)]
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)
