"""Shift-tolerant LPIPS from files in the package's layout: small enough to be drawn here, or the package's own."""

import importlib.metadata

import pytest
import torch

from corrwise.costs import CostSpec, Perceptual, ShiftTolerantLPIPS
from corrwise.costs.presets import SHIFT_TOLERANT
from corrwise.testing import check_distance
from tests.costs.images import texture


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Return files with the names, shapes and filters of the package's, and other numbers."""
    folder, drawn = tmp_path_factory.mktemp("weights"), torch.Generator().manual_seed(0)
    taps = torch.tensor([0.25, 0.5, 0.25])
    for network, layers in LAYERS.items():
        state = {
            "scaling_layer.shift": torch.full((1, 3, 1, 1), -0.1),
            "scaling_layer.scale": torch.full((1, 3, 1, 1), 0.45),
        }
        for name, shape in layers.items():
            state[f"{name}.weight"] = torch.randn(shape, generator=drawn) / (shape[1] * shape[2] * shape[3]) ** 0.5
            state[f"{name}.bias"] = torch.zeros(shape[0])
        for name, channels in BLURS[network].items():
            state[f"{name}.filt"] = torch.outer(taps, taps).expand(channels, 1, 3, 3).clone()
        for i, channels in enumerate(HEADS[network]):
            state[f"lin{i}.model.1.weight"] = torch.rand(1, channels, 1, 1, generator=drawn)
        torch.save(state, folder / f"{network.removeprefix('st-')}_shift_tolerant.pth")
    return folder


# As the package's files have them.
LAYERS = {
    "st-alex": {
        "net.slice1.0": (64, 3, 11, 11),
        "net.slice2.5": (192, 64, 5, 5),
        "net.slice3.9": (384, 192, 3, 3),
        "net.slice4.11": (256, 384, 3, 3),
        "net.slice5.13": (256, 256, 3, 3),
    },
    "st-vgg": {
        "net.slice1.0": (64, 3, 3, 3),
        "net.slice1.2": (64, 64, 3, 3),
        "net.slice2.6": (128, 64, 3, 3),
        "net.slice2.8": (128, 128, 3, 3),
        "net.slice3.12": (256, 128, 3, 3),
        **{f"net.slice3.{i}": (256, 256, 3, 3) for i in (14, 16)},
        "net.slice4.20": (512, 256, 3, 3),
        **{f"net.slice4.{i}": (512, 512, 3, 3) for i in (22, 24)},
        **{f"net.slice5.{i}": (512, 512, 3, 3) for i in (28, 30, 32)},
    },
}
BLURS = {
    "st-alex": {"net.slice1.1": 64, "net.slice2.4": 64, "net.slice3.8": 192},
    "st-vgg": {"net.slice2.5": 64, "net.slice3.11": 128, "net.slice4.19": 256, "net.slice5.27": 512},
}
HEADS = {"st-alex": (64, 192, 384, 256, 256), "st-vgg": (64, 128, 256, 512, 512)}


class Listed:
    """A file in an installed distribution's record."""

    def __init__(self, path):
        self.name, self._path = path.name, path

    def locate(self):
        return self._path


@pytest.fixture
def installed(package, monkeypatch):
    """Let the package seem installed, with those files."""
    listed = [Listed(path) for path in sorted(package.iterdir())]
    monkeypatch.setattr("corrwise.costs.st_lpips.files", lambda name: listed)


@pytest.mark.parametrize("network", SHIFT_TOLERANT)
def test_keeps_the_contract_and_needs_so_many_pixels(network, package, unhooked):
    distance = ShiftTolerantLPIPS(network, package / f"{network.removeprefix('st-')}_shift_tolerant.pth")
    if network == "st-alex":  # the other one is the same code, and slow
        check_distance(distance)
    least = SHIFT_TOLERANT[network]
    x, y = torch.rand(1, 3, least, least), torch.rand(1, 3, least, least)
    assert float(distance(x, y)) > 0
    assert float(distance(x, x)) == 0
    with pytest.raises(ValueError, match=rf"at least {least} px, got \(1, 3, {least - 1}, {least}\)"):
        distance(x[:, :, 1:], y[:, :, 1:])


def test_the_installed_package_is_read(installed):
    x, y = texture(2), texture(2, seed=1)
    lpips = CostSpec.parse("st-lpips").build()
    assert isinstance(lpips, ShiftTolerantLPIPS)
    assert CostSpec.parse("st-lpips").smallest == CostSpec.parse("l1:vgg=st-alex").smallest == 21
    assert (lpips(x, y) > 0).all()
    both, parts = CostSpec.parse("l1:vgg=st-alex").build(), [CostSpec("l1").build(), Perceptual("st-alex")]
    torch.testing.assert_close(both(x, y), sum(part(x, y) for part in parts))
    matched = CostSpec.parse("corr-l1:vgg=st-alex,flow=zero,epsilon=1").build()
    torch.testing.assert_close(matched(x, y), 2 * both(x, y))
    assert "VGG-19" not in CostSpec.parse("st-lpips").describe()


def test_gradients_reach_the_images_and_not_the_weights(installed):
    x = texture(1).requires_grad_()
    distance = Perceptual("st-alex")
    distance(x, texture(1, seed=1)).sum().backward()
    assert x.grad.abs().sum() > 0
    assert not any(weight.requires_grad for weight in distance.parameters())
    assert not distance.train().features.training


def test_weights_that_cannot_be_had(package, tmp_path, monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("corrwise.costs.st_lpips.files", absent)
    with pytest.raises(RuntimeError, match=r"st-alex needs the weights of stlpips-pytorch: pip install"):
        ShiftTolerantLPIPS()
    with pytest.raises(RuntimeError, match="st-vgg needs the weights"):
        Perceptual("st-vgg")
    with pytest.raises(ValueError, match="one of st-alex, st-vgg, got 'vgg'"):
        ShiftTolerantLPIPS("vgg")
    with pytest.raises(ValueError, match="expected the weights of st-alex, got 37 tensors of another network"):
        ShiftTolerantLPIPS("st-alex", package / "vgg_shift_tolerant.pth")
    with pytest.raises(FileNotFoundError, match=r"none\.pth"):
        ShiftTolerantLPIPS("st-alex", tmp_path / "none.pth")


def test_the_real_weights_rank_shifts():
    pytest.importorskip("stlpips_pytorch", reason="stlpips-pytorch, which ships the weights, is not installed")
    image = texture(1, size=64)
    distance = ShiftTolerantLPIPS()
    values = [float(distance(image, image.roll(shift, -1))) for shift in (1, 4, 16)]
    assert values == sorted(values)
