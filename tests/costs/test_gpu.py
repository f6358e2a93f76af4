"""The GPU gives what the CPU gives; the flow in whole pixels to the bit."""

import pytest
import torch

from corrwise.costs import CorrespondenceWise, Perceptual, l1, mse, ssim, warp
from corrwise.costs.flow import FLOWS, AllPairsFlow, CoarseToFine, LearnedFlow, RAFTFlow
from tests.costs.pictures import bodies, texture

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


@pytest.mark.parametrize(
    "flow",
    [*(FLOWS[name]() for name in ("all-pairs", "rigid", "dis", "zero", "affine", "homography")), CoarseToFine()],
    ids=["all-pairs", "rigid", "dis", "zero", "affine", "homography", "coarse-to-fine"],
)
def test_flows(flow):
    x, y = bodies(8)
    on_gpu = flow(x.cuda(), y.cuda())
    assert on_gpu.device.type == "cuda"
    assert torch.allclose(on_gpu.cpu(), flow(x, y), atol=1e-4)


def test_the_learned_flow_follows_its_images():
    x, y = bodies(8)
    on_cpu = LearnedFlow()(x, y)
    assert torch.allclose(LearnedFlow()(x.cuda(), y.cuda()).cpu(), on_cpu, atol=5e-2)


def test_raft_follows_its_images():
    flow, x, y = RAFTFlow(None, "small", updates=2), texture(2), texture(2, seed=1)
    on_cpu = flow(x, y)
    assert torch.allclose(flow(x.cuda(), y.cuda()).cpu(), on_cpu, atol=5e-2)


@pytest.mark.parametrize("base", [l1, mse, ssim], ids=lambda f: f.__name__)
def test_distances(base):
    x, y = bodies(8)
    for distance in (base, CorrespondenceWise(base, AllPairsFlow())):
        assert torch.allclose(distance(x.cuda(), y.cuda()).cpu(), distance(x, y), atol=1e-5)


def test_perceptual():
    distance, x, y = Perceptual(None), texture(2), texture(2, seed=1)
    on_cpu = distance(x, y)
    assert torch.allclose(distance.cuda()(x.cuda(), y.cuda()).cpu(), on_cpu, rtol=1e-2)


def test_warp():
    image, flow = texture(2), torch.randn(2, 2, 32, 32) * 5
    assert torch.allclose(warp(image.cuda(), flow.cuda()).cpu(), warp(image, flow), atol=1e-4)
