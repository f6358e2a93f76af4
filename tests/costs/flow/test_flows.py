import subprocess
import sys

import cv2
import pytest
import torch
import torchvision
from torch import nn

from corrwise.costs.flow import (
    FLOWS,
    AffineFit,
    AllPairsFlow,
    CoarseToFine,
    DISFlow,
    HomographyFit,
    LearnedFlow,
    Polished,
    RAFTFlow,
    TVL1Flow,
    ZeroFlow,
)
from corrwise.testing import check_flow
from tests.costs.images import texture

SMALL = {
    "all-pairs": AllPairsFlow(),
    "all-pairs soft": AllPairsFlow(temperature=0.02),
    "rigid": FLOWS["rigid"](),
    "dis": DISFlow(),
    "zero": ZeroFlow(),
    "raft": RAFTFlow(None, "small", updates=1),
    "affine": AffineFit(),
    "homography": HomographyFit(),
    "learned": LearnedFlow(),
    "tv-l1": TVL1Flow(),
    "coarse to fine": CoarseToFine(),
    "polished": Polished(AllPairsFlow(), DISFlow()),
}


def test_every_registered_flow_is_checked_here():
    assert set(FLOWS) <= set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_keeps_the_contract(name):
    # Random weights see motion where there is none.
    check_flow(SMALL[name], still=name != "raft", exact=name not in ("raft", "all-pairs soft", "learned"))


@pytest.mark.parametrize("preset", ["ultrafast", "fast", "medium"])
@pytest.mark.parametrize("shift", [2, -3])
def test_dis_recovers_a_translation(preset, shift):
    x = texture(3, size=64)
    flow = DISFlow(preset=preset)(x, torch.roll(x, shift, dims=-1))[..., 16:48, 16:48]
    assert (flow[:, 0] - shift).abs().mean() < 0.3
    assert flow[:, 1].abs().mean() < 0.3


@pytest.mark.parametrize("shape", [(16, 16), (16, 64), (17, 40), (64, 16), (24, 100)])
@pytest.mark.parametrize("scale", [0, 1, 5])
def test_dis_survives_narrow_images(shape, scale):
    x = torch.rand(1, 3, *shape)
    assert DISFlow(finest_scale=scale)(x, x.flip(-1)).isfinite().all()


def test_dis_leaves_opencvs_threads_alone():
    before = cv2.getNumThreads()
    x = texture(4)
    results = [DISFlow(threads=threads)(x, x.flip(-1)) for threads in (1, 2, 4)]
    assert cv2.getNumThreads() == before
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_dis_errors(unhooked):
    with pytest.raises(ValueError, match="ultrafast, fast, medium, got 'slow'"):
        DISFlow(preset="slow")
    with pytest.raises(ValueError, match="got -1"):
        DISFlow(finest_scale=-1)
    with pytest.raises(ValueError, match="got 0"):
        DISFlow(threads=0)
    with pytest.raises(ValueError, match=r"at least 16 px for DIS, got \(3, 8, 64\)"):
        DISFlow()(torch.zeros(1, 3, 8, 64), torch.zeros(1, 3, 8, 64))


class _Spy(nn.Module):
    """Stands in for RAFT: keeps what it is shown and reports that everything moved by (8, 4) of its pixels."""

    def forward(self, image1, image2, num_flow_updates):
        self.seen = image1, image2, num_flow_updates
        flow = torch.zeros(image1.shape[0], 2, *image1.shape[2:])
        flow[:, 0], flow[:, 1] = 8, 4
        return [flow * 0, flow]


@pytest.mark.parametrize(
    ("shape", "working"),
    [((32, 32), (128, 128)), ((64, 96), (128, 192)), ((128, 130), (128, 136)), ((50, 60), (152, 184))],
)
def test_raft_sees_minus_one_to_one_at_its_own_size(shape, working):
    flow = RAFTFlow(None, "small")
    flow.model = spy = _Spy()
    target, source = torch.zeros(2, 3, *shape), torch.ones(2, 3, *shape)
    result = flow(target, source)
    assert spy.seen[0].shape[2:] == spy.seen[1].shape[2:] == working
    assert torch.allclose(spy.seen[0], torch.tensor(-1.0))
    assert torch.allclose(spy.seen[1], torch.tensor(1.0))
    assert spy.seen[2] == 5
    assert torch.allclose(result[:, 0], torch.tensor(8.0 * shape[1] / working[1]))
    assert torch.allclose(result[:, 1], torch.tensor(4.0 * shape[0] / working[0]))


def test_raft_is_differentiable_and_stays_in_evaluation_mode():
    flow = RAFTFlow(None, "small", updates=1).train()
    assert not any(module.training for module in flow.modules())
    y = texture(1).requires_grad_()
    flow(texture(1, seed=1), y).sum().backward()
    assert y.grad.abs().sum() > 0
    assert all(p.grad is None for p in flow.parameters())


def test_raft_weights_from_a_file_and_sizes_from_names(tmp_path):
    first = RAFTFlow(None, "small", updates=1)
    torch.save(first.model.state_dict(), tmp_path / "raft.pth")
    second = RAFTFlow(tmp_path / "raft.pth", "small", updates=1)
    x, y = texture(1), texture(1, seed=1)
    assert torch.equal(first(x, y), second(x, y))
    with pytest.raises(ValueError, match="RAFT-large"):
        RAFTFlow(tmp_path / "raft.pth", "large")
    with pytest.raises(ValueError, match=r"RAFT-large, got 'Raft_Small_Weights\.C_T_V2'"):
        RAFTFlow("Raft_Small_Weights.C_T_V2", "large")
    with pytest.raises(ValueError, match="small, large, got 'tiny'"):
        RAFTFlow(None, "tiny")
    with pytest.raises(ValueError, match="got 0"):
        RAFTFlow(None, "small", updates=0)


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_raft_file_tells_its_size(tmp_path, size):
    path, saved = tmp_path / "raft.pth", RAFTFlow(None, size).model.state_dict()
    torch.save(saved, path)
    for weights in (path, str(path)):
        loaded = RAFTFlow(weights)
        assert loaded.size == size
        assert all(torch.equal(value, saved[name]) for name, value in loaded.model.state_dict().items())
    torch.save(dict(list(saved.items())[1:]), path)
    with pytest.raises(ValueError, match=r"RAFT-small or RAFT-large, got .* another network"):
        RAFTFlow(path)


@pytest.mark.parametrize("size", ["small", "large"])
def test_the_advice_for_missing_raft_weights_works(tmp_path, monkeypatch, size):
    from torchvision.models import get_weight, optical_flow

    name = f"Raft_{size.capitalize()}_Weights.C_T_V2"
    saved = RAFTFlow(None, size).model.state_dict()

    def offline(*args, **kwargs):
        raise OSError("no network")

    enum = type(get_weight(name))
    assert enum is getattr(optical_flow, name.partition(".")[0])
    monkeypatch.setattr(enum, "get_state_dict", offline)
    with pytest.raises(RuntimeError, match="then give that file") as caught:
        RAFTFlow(name)
    message = str(caught.value)
    assert "weights='weights.pth', or flow=raft,weights=weights.pth in the name of a cost" in message
    monkeypatch.setattr(enum, "get_state_dict", lambda self: saved)
    monkeypatch.chdir(tmp_path)
    exec(message[message.index("torch.save") : message.index(", then")], {"torch": torch, "torchvision": torchvision})
    assert RAFTFlow("weights.pth").size == size


@pytest.mark.parametrize("size", [16, 64, 128])
@pytest.mark.parametrize("batch", [0, 1, 3])
def test_dis_is_the_same_with_and_without_a_pool(monkeypatch, size, batch):
    x, y = texture(batch, size=size), texture(batch, size=size, seed=1)
    results = []
    for worthwhile in (1, 2**40):
        monkeypatch.setattr("corrwise.costs.flow.dis.WORTHWHILE", worthwhile)
        results.append(DISFlow(threads=2).both(x, y))
    for pooled, inline in zip(*results, strict=True):
        assert torch.equal(pooled, inline)


@pytest.mark.parametrize("name", SMALL)
def test_errors_name_both_values(name, unhooked):
    with pytest.raises(ValueError, match=r"\(1, 3, 32, 32\).*got \(1, 3, 64, 64\)"):
        SMALL[name](texture(1), texture(1, size=64))
    with pytest.raises(ValueError, match=r"\(B, C, h, w\), got \(3, 32, 32\)"):
        SMALL[name](texture(), texture())
    with pytest.raises(TypeError, match="got list"):
        SMALL[name]([], texture(1))


def test_importing_the_room_imports_nothing_slow():
    code = "import sys, corrwise.costs, corrwise.costs.flow; print({'cv2', 'torchvision', 'kornia'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
