"""The GPU gives what the CPU gives; the flow in whole pixels to the bit."""

import pytest
import torch

from corrwise.costs import CorrespondenceWise, Perceptual, l1, mse, recommended, ssim, warp
from corrwise.costs.flow import FLOWS, AllPairsFlow, CoarseToFine, DISFlow, LearnedFlow, Polished, RAFTFlow
from corrwise.costs.flow.consistency import TrustedFlow
from tests.costs.images import bodies, texture

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


@pytest.mark.parametrize(
    "flow",
    [
        *(FLOWS[name]() for name in ("all-pairs", "rigid", "dis", "zero", "affine", "homography")),
        *(CoarseToFine(), AllPairsFlow(temperature=0.02), Polished(AllPairsFlow(), DISFlow())),
        TrustedFlow(AllPairsFlow()),
    ],
    ids=[
        *("all-pairs", "rigid", "dis", "zero", "affine", "homography"),
        *("coarse-to-fine", "soft", "polished", "trusted"),
    ],
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


@pytest.mark.parametrize("flow", ["learned", "all-pairs"])
def test_recommended_distances_and_their_gradient(flow):
    (x, y), distance = bodies(4), recommended(l1, flow)
    on_cpu = distance(x, y)
    seen = x.cuda().requires_grad_()
    result = distance(seen, y.cuda())
    result.sum().backward()
    assert torch.allclose(result.detach().cpu(), on_cpu, rtol=0.05, atol=1e-3)
    assert seen.grad.isfinite().all()


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16], ids=str)
def test_autocast_around_a_distance_changes_nothing(half):
    x, y = (images.cuda() for images in bodies(4))
    distance = recommended(l1, "all-pairs")
    with torch.autocast("cuda", half):
        result = distance(x, y)
    assert torch.equal(result, distance(x, y))
