import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from corrwise.costs import DISTANCES, CorrespondenceWise, Perceptual, l1, mse, ssim
from corrwise.costs.flow import AllPairsFlow, DISFlow, ZeroFlow
from corrwise.testing import check_distance
from tests.costs.images import texture

ALL = {
    **DISTANCES,
    "perceptual": Perceptual(None),
    "corr-l1": CorrespondenceWise(l1, AllPairsFlow()),
    "corr-ssim-dis": CorrespondenceWise(ssim, DISFlow()),
    "corr-mse-zero": CorrespondenceWise(mse, ZeroFlow()),
    "corr-l1-one-way": CorrespondenceWise(l1, AllPairsFlow(), symmetric=False),
}


@pytest.mark.parametrize("name", ALL)
def test_keeps_the_contract(name):
    check_distance(ALL[name])


def test_golden_values():
    x, y = torch.zeros(2, 3, 2, 2), torch.zeros(2, 3, 2, 2)
    y[0, 0, 0, 0] = 0.6
    y[1] = 0.5
    assert torch.allclose(l1(x, y), torch.tensor([0.05, 0.5]))
    assert torch.allclose(mse(x, y), torch.tensor([0.03, 0.25]))


def test_range_zero_to_one_halves_l1_and_quarters_mse():
    x, y = texture(2), texture(2, seed=1)
    assert torch.allclose(l1(2 * x - 1, 2 * y - 1), 2 * l1(x, y))
    assert torch.allclose(mse(2 * x - 1, 2 * y - 1), 4 * mse(x, y))


@pytest.mark.parametrize("size", [32, 64])
def test_ssim_agrees_with_its_definition(size):
    x, y = texture(2, size=size), texture(2, size=size, seed=1)
    expected = [(1 - _ssim(a.double().numpy(), b.double().numpy())) / 2 for a, b in zip(x, y, strict=True)]
    assert np.allclose(ssim(x, y).numpy(), expected, atol=1e-5)


def _ssim(x, y):
    """Wang et al. 2004 with Gaussian weights, straight from the formula."""
    window = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window /= window.sum()

    def mean(image):
        return correlate1d(correlate1d(image, window, axis=-1, mode="mirror"), window, axis=-2, mode="mirror")

    mx, my, c1, c2 = mean(x), mean(y), 0.01**2, 0.03**2
    vx, vy, vxy = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    return (((2 * mx * my + c1) * (2 * vxy + c2)) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean()


def test_a_large_image_alone_rounds_like_in_a_batch():
    x, y = torch.rand(3, 3, 160, 160), torch.rand(3, 3, 160, 160)
    assert torch.equal(l1(x, y)[:1], l1(x[:1], y[:1]))


@pytest.mark.parametrize("distance", [l1, mse, ssim], ids=lambda f: f.__name__)
def test_errors_name_both_values(distance, unhooked):
    x = texture(2)
    with pytest.raises(ValueError, match=r"\(2, 3, 32, 32\).*got \(2, 3, 16, 16\)"):
        distance(x, texture(2, size=16))
    with pytest.raises(ValueError, match=r"\(2, 3, 32, 32\).*got \(1, 3, 32, 32\)"):
        distance(x, x[:1])
    with pytest.raises(TypeError, match="got ndarray"):
        distance(x.numpy(), x)
    with pytest.raises(TypeError, match=r"got torch\.uint8"):
        distance(x, (255 * x).byte())
    with pytest.raises(ValueError, match=r"got \(32, 32\)"):
        distance(x[0, 0], x[0, 0])


def test_ssim_refuses_images_smaller_than_its_window(unhooked):
    with pytest.raises(ValueError, match=r"at least 6 px.*got \(5, 32\)"):
        ssim(texture(1)[..., :5, :], texture(1)[..., :5, :])
