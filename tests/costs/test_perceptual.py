from urllib.error import URLError

import pytest
import torch

from corrwise.costs import Perceptual
from corrwise.costs.flow import RAFTFlow
from tests.costs.images import texture


@pytest.fixture(scope="module")
def random():
    torch.manual_seed(0)
    return Perceptual(None)


def test_the_layers_are_torchvisions(random):
    from torchvision.models import vgg19

    with torch.device("meta"):
        reference = vgg19(weights=None).features[:30]
    assert {k: v.shape for k, v in random.features.state_dict().items()} == {
        k: v.shape for k, v in reference.state_dict().items()
    }
    assert [type(a) for a in random.features] == [type(b) for b in reference]


def test_is_the_weighted_l1_of_the_five_activations(random):
    x, y = texture(2), texture(2, seed=1)
    expected = torch.zeros(2)
    for end, weight in zip((2, 7, 12, 21, 30), (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1), strict=True):
        a, b = random.features[:end](2 * x - 1), random.features[:end](2 * y - 1)  # [-1, 1], no ImageNet statistics
        expected += weight * (a - b).abs().flatten(1).mean(1)
    assert torch.allclose(random(x, y), expected, rtol=1e-4)


def test_gradients_reach_the_images_and_not_the_weights(random):
    x = texture(1).requires_grad_()
    random(x, texture(1, seed=1)).sum().backward()
    assert x.grad.abs().sum() > 0
    assert all(p.grad is None for p in random.parameters())


@pytest.mark.parametrize("prefix", ["features.", ""])
def test_weights_from_a_local_file(random, tmp_path, prefix):
    state = {prefix + name: value for name, value in random.features.state_dict().items()}
    torch.save({**state, "classifier.0.bias": torch.zeros(1)}, tmp_path / "vgg.pth")
    x, y = texture(1), texture(1, seed=1)
    assert torch.equal(Perceptual(tmp_path / "vgg.pth")(x, y), random(x, y))


@pytest.mark.parametrize("make", [Perceptual, RAFTFlow], ids=["perceptual", "raft"])
def test_weights_that_cannot_be_had(make, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"none\.pth"):
        make(str(tmp_path / "none.pth"))
    with pytest.raises(ValueError, match=r"_Weights\..*got 'BEST'"):
        make("BEST")
    torch.save({"w": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="1 tensors of another network"):
        make(tmp_path / "other.pth")

    def offline(*args, **kwargs):
        raise URLError("no network")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(RuntimeError, match=r"could not be downloaded.*then give that file") as caught:
        make()
    assert "http" not in str(caught.value)


def test_images_too_small(random, unhooked):
    with pytest.raises(ValueError, match=r"at least 16 px, got \(1, 3, 8, 8\)"):
        random(texture(1, size=8), texture(1, size=8))
    with pytest.raises(ValueError, match=r"got \(1, 1, 32, 32\)"):
        random(texture(1)[:, :1], texture(1)[:, :1])
