import pytest
import torch

from corrwise.costs import warp
from tests.costs.images import generator, texture


def test_samples_where_the_flow_points():
    image = torch.arange(12.0).reshape(1, 1, 3, 4)
    flow = torch.zeros(1, 2, 3, 4)
    flow[:, 0], flow[:, 1] = 1, -1
    # Rows move up by one and reflect about the first; columns move right by one and reflect about the last.
    expected = torch.tensor([[[[5, 6, 7, 6], [1, 2, 3, 2], [5, 6, 7, 6]]]]).float()
    assert torch.allclose(warp(image, flow), expected, atol=1e-5)


@pytest.mark.parametrize("padding", ["reflection", "border", "zeros"])
@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf")])
def test_a_flow_that_is_not_finite_shows_nothing_and_leaves_the_rest_alone(padding, broken):
    image, flow = torch.rand(2, 3, 8, 8), torch.zeros(2, 2, 8, 8)
    whole = warp(image, flow, padding)
    flow[1, 0, 2, 3] = broken
    shown = warp(image, flow, padding)
    assert shown[1, :, 2, 3].isnan().all()
    shown[1, :, 2, 3] = whole[1, :, 2, 3]
    assert torch.equal(shown, whole)


def test_half_a_pixel_is_the_mean_of_two():
    image = torch.tensor([[[[0.0, 1.0, 0.0, 0.5]]]])
    flow = torch.zeros(1, 2, 1, 4)
    flow[:, 0] = 0.5
    assert torch.allclose(warp(image, flow), torch.tensor([[[[0.5, 0.5, 0.25, 0.25]]]]), atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 7), (7, 1), (1, 1)])
def test_an_axis_of_one_pixel_stays(shape):
    image = torch.rand(2, 3, *shape)
    flow = torch.zeros(2, 2, *shape)
    assert torch.allclose(warp(image, flow), image, atol=1e-6)
    flow[:, 0 if shape[1] == 1 else 1] = 3.7
    assert torch.allclose(warp(image, flow), image, atol=1e-6)


def test_paddings_differ_outside_only():
    image, flow = 0.1 + texture(1), torch.zeros(1, 2, 32, 32)
    flow[:, 0] = 4
    reflected, border, zeros = (warp(image, flow, padding) for padding in ("reflection", "border", "zeros"))
    assert torch.allclose(reflected[..., :28], border[..., :28], atol=1e-5)
    assert torch.allclose(border[..., 28:], image[..., -1:].expand(1, 3, 32, 4), atol=1e-5)
    assert (zeros[..., 28:].abs() < 1e-3).all()
    assert torch.allclose(reflected[..., 28], image[..., 30], atol=1e-5)


def test_gradients_reach_the_image_and_the_flow():
    image = torch.rand(1, 2, 5, 6, dtype=torch.float64, generator=generator(), requires_grad=True)
    # Off the pixel centres, where the bilinear surface has a kink.
    flow = torch.rand(1, 2, 5, 6, dtype=torch.float64, generator=generator(1)) * 0.8 + 0.1
    assert torch.autograd.gradcheck(warp, (image, flow.requires_grad_()))


def test_errors_name_both_values(unhooked):
    with pytest.raises(ValueError, match=r"got \(2, 3, 8, 8\) and \(2, 2, 8, 9\)"):
        warp(torch.zeros(2, 3, 8, 8), torch.zeros(2, 2, 8, 9))
    with pytest.raises(ValueError, match=r"reflection, border, zeros, got 'wrap'"):
        warp(torch.zeros(1, 3, 8, 8), torch.zeros(1, 2, 8, 8), "wrap")
    with pytest.raises(TypeError, match="flow"):
        warp(torch.zeros(1, 3, 8, 8), None)
