"""Convolutions computed another way give what the plain ones give, values and gradients."""

import pytest
import torch
import torch.nn.functional as F

from corrwise.predictors.models.resnet3d import FewFramesConv3d, UpConv2d


def _replicated(x, weight, bias):
    return F.conv3d(F.pad(x, (3, 3, 2, 2, 1, 1), mode="replicate"), weight, bias)


def _strided(x, weight, bias):
    return F.conv3d(x, weight, bias, stride=(1, 2, 2), padding=1)


@pytest.mark.parametrize(
    ("layer", "shape", "plain"),
    [
        (UpConv2d(3, 4), (2, 3, 5, 6), lambda x, w, b: F.conv2d(F.interpolate(x, scale_factor=2), w, b, padding=1)),
        (FewFramesConv3d(3, 4, (3, 5, 7), padding_mode="replicate"), (2, 3, 1, 8, 9), _replicated),
        (FewFramesConv3d(3, 4, (3, 5, 7), padding_mode="replicate"), (2, 3, 2, 8, 9), _replicated),
        (FewFramesConv3d(3, 4, (3, 5, 7), padding_mode="replicate"), (2, 3, 3, 8, 9), _replicated),
        (FewFramesConv3d(3, 4, (3, 5, 7), padding_mode="replicate"), (2, 3, 5, 8, 9), _replicated),
        (FewFramesConv3d(3, 4, (3, 3, 3), stride=2, padding_mode="zeros"), (2, 3, 2, 8, 9), _strided),
        (FewFramesConv3d(3, 4, (3, 3, 3), stride=2, padding_mode="zeros"), (2, 3, 4, 8, 9), _strided),
    ],
)
def test_they_are_what_they_stand_for(layer, shape, plain):
    torch.manual_seed(0)
    x = torch.randn(shape, requires_grad=True)
    weights = (x, layer.weight, layer.bias)
    actual, expected = layer(x), plain(*weights)
    torch.testing.assert_close(actual, expected)
    gradients = [torch.autograd.grad(y.square().sum(), weights) for y in (actual, expected)]
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)
