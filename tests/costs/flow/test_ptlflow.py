import subprocess
import sys
import types
from urllib.error import URLError

import pytest
import torch
from torch import nn

from corrwise.costs.flow.ptlflow import PtlFlow
from corrwise.testing import check_flow
from tests.costs.images import texture


class Model(nn.Module):
    """Stands in for a model of ptlflow: keeps what it is shown and reports that everything moved by (8, 4) pixels."""

    output_stride = 8
    pretrained_checkpoints = {"things": "somewhere/things.ckpt"}  # noqa: RUF012

    def __init__(self, iters=12):
        super().__init__()
        self.iters, self.train_size, self.extra = iters, None, {}
        self.flow = nn.Parameter(torch.tensor([8.0, 4.0]))

    def add_extra_param(self, name, value):
        self.extra[name] = value

    def forward(self, inputs):
        self.seen = inputs["images"]
        batch, _, _, height, width = self.seen.shape
        return {"flows": self.flow[:, None, None].expand(batch, 1, 2, height, width)}


class Coarse(Model):
    output_stride = 100


class Film(Model):
    pretrained_checkpoints = {}  # noqa: RUF012

    def __init__(self):
        super().__init__(iters=[4, 8])

    def forward(self, inputs):
        return {"flows": super().forward(inputs)["flows"].repeat(1, 2, 1, 1, 1)}


class Unbuildable(Model):
    def __init__(self):
        raise OSError("its backbone is far away")


@pytest.fixture
def fake(monkeypatch):
    """A package that goes by the name of ptlflow."""
    models = {"some_net": Model, "coarse": Coarse, "film": Film, "unbuildable": Unbuildable}
    module = types.ModuleType("ptlflow")
    module.get_model_names = lambda: sorted(models)
    module.get_model = lambda name: print("how chatty") or models[name]()
    module.get_model_reference = models.__getitem__
    monkeypatch.setitem(sys.modules, "ptlflow", module)
    return module


@pytest.mark.parametrize(
    ("shape", "size", "working"),
    [
        ((32, 32), None, (128, 128)),
        ((64, 96), None, (128, 192)),
        ((128, 130), None, (128, 136)),
        ((50, 60), None, (152, 184)),
        ((64, 64), 64, (64, 64)),
        ((64, 64), 256, (256, 256)),
        ((300, 140), None, (304, 144)),
    ],
)
def test_shows_the_model_bgr_at_its_own_size(fake, shape, size, working):
    flow = PtlFlow("some_net", None, size=size)
    target, source = torch.rand(2, 3, 1, 1).expand(2, 3, *shape), torch.rand(2, 3, 1, 1).expand(2, 3, *shape)
    result = flow(target, source)
    seen = flow.model.seen
    assert seen.shape == (2, 2, 3, *working)
    for place, images in enumerate((target, source)):
        assert torch.allclose(seen[:, place, :, 0, 0], images[:, [2, 1, 0], 0, 0])
    assert result.shape == (2, 2, *shape)
    assert torch.allclose(result[:, 0], torch.tensor(8.0 * shape[1] / working[1]))
    assert torch.allclose(result[:, 1], torch.tensor(4.0 * shape[0] / working[0]))


def test_a_coarse_model_sees_two_features_to_a_side(fake):
    flow = PtlFlow("coarse", None)
    flow(texture(1), texture(1))
    assert flow.model.seen.shape[-2:] == (300, 300)  # 7 x 32 = 224 px, and up to a multiple of 100


def test_keeps_the_contract(fake):
    check_flow(PtlFlow("some_net", None), still=False)


def test_builds_quietly_frozen_and_in_evaluation_mode(fake, capsys):
    flow = PtlFlow("some_net", None, iterations=3).train()
    assert capsys.readouterr().out == ""
    assert flow.model.iters == 3
    assert not any(module.training for module in flow.modules())
    assert not any(parameter.requires_grad for parameter in flow.parameters())


@pytest.mark.parametrize("wrapped", [False, True])
def test_weights_from_a_file(fake, tmp_path, wrapped):
    state = {"flow": torch.tensor([2.0, 1.0])}
    settings = {"train_size": (64, 96), "extra_params": {"mean": 0.5}, "lr": 1e-4}
    torch.save({"state_dict": state, "hyper_parameters": settings} if wrapped else state, tmp_path / "net.ckpt")
    model = PtlFlow("some_net", tmp_path / "net.ckpt").model
    assert model.flow.tolist() == [2, 1]
    assert (model.train_size, model.extra) == (((64, 96), {"mean": 0.5}) if wrapped else (None, {}))
    torch.save({"other": torch.zeros(1)}, tmp_path / "other.pth")
    for odd in ({"state_dict": [1]}, {"state_dict": {}, "hyper_parameters": 7}, {"state_dict": {1: torch.ones(2)}}):
        torch.save(odd, tmp_path / "odd.ckpt")
        with pytest.raises(ValueError, match="expected the weights of some_net and its settings, got "):
            PtlFlow("some_net", weights=tmp_path / "odd.ckpt")
    with pytest.raises(ValueError, match="weights of some_net, got 1 tensors of another network"):
        PtlFlow("some_net", tmp_path / "other.pth")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth"):
        PtlFlow("some_net", tmp_path / "nowhere.pth")


def test_the_advice_for_missing_weights_works(fake, tmp_path, monkeypatch):
    def offline(*args, **kwargs):
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    with pytest.raises(RuntimeError, match="could not be downloaded") as caught:
        PtlFlow("some_net")
    message = str(caught.value)
    fake.load_checkpoint = lambda name, model: {"state_dict": {"flow": torch.tensor([2.0, 1.0])}}
    monkeypatch.chdir(tmp_path)
    exec(message[message.index("torch.save") : message.index(", then")], {"torch": torch, "ptlflow": fake})
    assert PtlFlow("some_net", "weights.pth").model.flow.tolist() == [2, 1]


def test_weights_by_name_are_checked_by_their_hash(fake, monkeypatch):
    def download(url, **options):
        assert url == "somewhere/things.ckpt"
        assert options["check_hash"]
        assert options["weights_only"]
        return {"state_dict": {"flow": torch.tensor([2.0, 1.0])}}

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", download)
    assert PtlFlow("some_net", "things").model.flow.tolist() == [2, 1]


def test_errors(fake, unhooked):
    with pytest.raises(ValueError, match="one of coarse, film, some_net, unbuildable, got 'nothing'"):
        PtlFlow("nothing")
    with pytest.raises(ValueError, match="None or one of things, got 'sintel'"):
        PtlFlow("some_net", "sintel")
    with pytest.raises(ValueError, match=r"it has no checkpoints.*got 'things'"):
        PtlFlow("film")
    with pytest.raises(ValueError, match="size of at least 1, got 0"):
        PtlFlow("some_net", None, size=0)
    with pytest.raises(ValueError, match="iterations of at least 1, got 0"):
        PtlFlow("some_net", None, iterations=0)
    with pytest.raises(ValueError, match="None for film, which has no one number of them, got 2"):
        PtlFlow("film", None, iterations=2)
    with pytest.raises(RuntimeError, match="could not build 'unbuildable': its backbone is far away"):
        PtlFlow("unbuildable", None)
    with pytest.raises(ValueError, match=r"film to return \(1, 1, 2, 128, 128\), got \(1, 2, 2, 128, 128\)"):
        PtlFlow("film", None)(texture(1), texture(1))
    with pytest.raises(ValueError, match=r"at least 32 px for some_net, got \(3, 16, 64\)"):
        PtlFlow("some_net", None)(torch.zeros(1, 3, 16, 64), torch.zeros(1, 3, 16, 64))


def test_a_missing_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ptlflow", None)  # import then fails as if it were not installed
    with pytest.raises(ImportError, match=r"pip install 'corrwise\[flow\]'"):
        PtlFlow("pwcnet", None)


def test_importing_the_adapter_does_not_import_the_package():
    code = "import sys, corrwise.costs.flow.ptlflow; print('ptlflow' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


@pytest.mark.parametrize("name", ["pwcnet", "sea_raft_s", "raft_small"])
def test_the_real_package(name):
    pytest.importorskip("ptlflow")
    flow = PtlFlow(name, None, iterations=None if name == "pwcnet" else 2)
    check_flow(flow, still=False, exact=False)
    y = texture(1, size=64).requires_grad_()
    result = flow(texture(1, size=64, seed=1), y)
    assert result.shape == (1, 2, 64, 64)
    result.sum().backward()
    assert y.grad.isfinite().all()
    assert y.grad.abs().sum() > 0
