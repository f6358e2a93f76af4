import math

import pytest
import torch
import torch.nn.functional as F

from corrwise.costs import CorrespondenceWise, l1
from corrwise.costs.flow import AllPairsFlow, DISFlow, RAFTFlow, ZeroFlow
from corrwise.costs.flow.parametric import AffineFit, HomographyFit
from corrwise.testing import check_flow
from tests.costs.images import bodies, body, generator, texture

FITS = [AffineFit, HomographyFit]


class Given:
    """A flow that says the same whatever it is shown, the other way round by ``back``."""

    def __init__(self, flow, back=None):
        self.flow, self.back = flow, -flow if back is None else back

    def __call__(self, target, source):
        return self.both(target, source)[0]

    def both(self, x, y):
        return self.flow, self.back


def field(matrices, size=48):
    """The flow of maps (B, 3, 3) of pixel coordinates."""
    at = torch.arange(size, dtype=torch.float64)
    points = torch.stack((at.expand(size, size), at[:, None].expand(size, size), torch.ones(size, size)))
    to = torch.einsum("bij,jhw->bihw", matrices, points)
    return (to[:, :2] / to[:, 2:] - points[:2]).float()


def matrices(count, *, perspective, seed=0):
    """Maps that turn, shear and shift by up to 10 px, and tilt by up to ``perspective``."""
    maps = torch.eye(3, dtype=torch.float64).repeat(count, 1, 1)
    maps[:, :2, :2] += 0.3 * torch.rand(count, 2, 2, generator=generator(seed), dtype=torch.float64) - 0.15
    maps[:, :2, 2] = 20 * torch.rand(count, 2, generator=generator(seed + 1), dtype=torch.float64) - 10
    tilt = torch.rand(count, 2, generator=generator(seed + 2), dtype=torch.float64)
    maps[:, 2, :2] = perspective * (2 * tilt - 1)
    return maps


def differ(count, size=48):
    """Two images that differ everywhere, to show to ``Given``."""
    return torch.zeros(count, 3, size, size), torch.ones(count, 3, size, size)


def fit_given(fit, flow, **options):
    x, y = differ(flow.shape[0], flow.shape[-1])
    return fit(Given(flow), support="all", **options)(x, y)


@pytest.mark.parametrize("outliers", ["scattered", "together"])
@pytest.mark.parametrize(("fit", "perspective"), [(AffineFit, 0), (HomographyFit, 0), (HomographyFit, 0.004)])
def test_recovers_a_map_under_30_percent_of_outliers(fit, perspective, outliers):
    true = field(matrices(16, perspective=perspective))
    hit = torch.rand(16, 1, 48, 48, generator=generator(5)) < 0.3
    wrong = 20 * torch.randn(true.shape, generator=generator(6))
    if outliers == "together":
        wrong = true + torch.tensor([12.0, -9.0])[:, None, None]
    result = fit_given(fit, torch.where(hit, wrong, true))
    assert (result - true).abs().max() < 0.02


def test_a_homography_is_more_than_an_affine_map():
    true = field(matrices(8, perspective=0.004))
    assert (fit_given(AffineFit, true) - true).abs().amax(dim=(1, 2, 3)).max() > 1
    assert (fit_given(HomographyFit, true) - true).abs().max() < 0.01


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("flow", [DISFlow(), AllPairsFlow(), AllPairsFlow(temperature=0.02), ZeroFlow()])
@pytest.mark.parametrize("support", ["moving", "all"])
def test_keeps_the_contract(fit, flow, support):
    soft = getattr(flow, "temperature", None) is not None
    check_flow(fit(flow, support=support), exact=not soft)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("wrapped", [AllPairsFlow(), DISFlow(), RAFTFlow(None, "small", updates=1)])
def test_equal_images_do_not_move(fit, wrapped):
    x = texture(2, seed=3)
    assert torch.equal(fit(wrapped)(x, x), torch.zeros(2, 2, 32, 32))


@pytest.mark.parametrize("fit", FITS)
def test_a_body_moves_and_the_floor_stays(fit):
    x, y = body(6, 3, side=10), body(0, 0, side=10)
    flow = fit()(x, y)
    assert (flow[0, :, 13:23, 16:26] - torch.tensor([-6.0, -3.0])[:, None, None]).abs().max() < 0.1
    assert (flow[..., 24:, :] == 0).all()
    # Only a fourteenth of the image moves: the fit to all of it is the floor's.
    assert fit(support="all")(x, y).abs().max() < 0.1


@pytest.mark.parametrize("fit", FITS)
def test_the_floor_that_a_body_uncovers_is_not_its_motion(fit, monkeypatch):
    x, y = body(24, 9, size=64, side=12), body(0, 0, size=64, side=12)
    true = torch.tensor([-24.0, -9.0])[:, None, None]

    def error():
        return (fit()(x, y)[0, :, 19:31, 34:46] - true).norm(dim=0).max()

    assert error() < 0.2
    monkeypatch.setattr("corrwise.costs.flow.parametric._consistency", lambda flow, back: torch.ones_like(flow[:, 0]))
    assert error() > 1


def turned(degrees, *, size=48, reach=9):
    """A textured disc on a plain floor after and before it turned, the true flow, and where it is."""
    at = torch.linspace(-1, 1, size) * (size - 1) / 2
    here = torch.stack((at.expand(size, size), at[:, None].expand(size, size)), dim=-1)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    there = here @ torch.tensor([[cos, -sin], [sin, cos]])
    skin, inside = 0.4 + 0.6 * texture(1, size=size), here.norm(dim=-1) < reach
    after, before = (
        torch.where(inside, F.grid_sample(skin, 2 * grid[None] / size, align_corners=False), 0.2)
        for grid in (there, here)
    )
    return after, before, (there - here).permute(2, 0, 1)[None], inside


@pytest.mark.parametrize("fit", FITS)
def test_a_fit_is_finer_than_whole_pixel_matches(fit):
    target, source, true, inside = turned(20)
    differs = (target != source).any(dim=1)[0] & inside

    def error(flow):
        return (flow(target, source) - true).norm(dim=1)[0][differs].mean()

    assert error(fit()) < error(AllPairsFlow()) / 2


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("support", ["moving", "all"])
def test_pairs_do_not_influence_each_other(fit, support):
    x, y = bodies(6)
    flow = fit(support=support)
    alone = torch.cat([flow(a[None], b[None]) for a, b in zip(x, y, strict=True)])
    assert torch.equal(flow(x, y), alone)
    broken = x.clone()
    broken[2] = math.nan
    together = flow(broken, y)
    assert torch.equal(together[[0, 1, 3, 4, 5]], alone[[0, 1, 3, 4, 5]])
    assert together.isfinite().all()


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(
    "shape", [[(20, 20)], [(20, 20), (20, 21)], [(20, i) for i in range(9)], [(i, i) for i in range(9)]]
)
def test_too_few_pixels_or_a_line_of_them_are_a_translation(fit, shape):
    x, flow = torch.zeros(1, 3, 48, 48), torch.zeros(1, 2, 48, 48)
    y = x.clone()
    for row, column in shape:
        y[..., row, column], flow[0, :, row, column] = 1, torch.tensor([4.0, -2.0])
    result = fit(Given(flow, torch.tensor([-4.0, 2.0])[:, None, None].expand_as(flow)))(x, y)
    moved = [result[0, :, row, column] for row, column in shape]
    assert torch.allclose(torch.stack(moved), torch.tensor([4.0, -2.0]), atol=0.1)
    assert result.isfinite().all()
    assert result.norm(dim=1).max() < 6


@pytest.mark.parametrize("fit", FITS)
def test_a_flow_that_turns_the_image_inside_out_is_a_translation(fit):
    mirror = torch.eye(3, dtype=torch.float64)[None].clone()
    mirror[:, 0] = torch.tensor([-1.0, 0.0, 47.0])
    result = fit_given(fit, field(mirror))
    assert (result - result.mean(dim=(2, 3), keepdim=True)).abs().max() < 1e-4


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
def test_pixels_that_say_nothing_useful_are_left_out(fit, value):
    true = field(matrices(3, perspective=0))
    flow = true.clone()
    flow[1, :, 10:20] = value
    assert (fit_given(fit, flow) - true).abs().max() < 0.01
    flow[1] = value
    result = fit_given(fit, flow)
    assert (result[[0, 2]] - true[[0, 2]]).abs().max() < 0.01
    assert result.isfinite().all()
    assert value == 1e30 or (result[1] == 0).all()


@pytest.mark.parametrize("fit", FITS)
def test_directions_that_contradict_each_other_give_something_finite(fit):
    flow = 10 * torch.randn(2, 2, 48, 48, generator=generator())
    for back in (flow, flow + 100, torch.full_like(flow, math.nan)):
        assert fit(Given(flow, back))(*differ(2)).isfinite().all()


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("support", ["moving", "all"])
def test_gradients_pass_where_the_wrapped_flow_has_them(fit, support):
    assert not fit(DISFlow(), support=support).differentiable
    assert not fit(support=support).differentiable
    flow = fit(AllPairsFlow(temperature=0.02), support=support)
    assert flow.differentiable
    x, y = bodies(2)
    y.requires_grad_()
    flow(x, y).square().sum().backward()
    assert y.grad.isfinite().all()
    assert y.grad.abs().sum() > 0


@pytest.mark.parametrize("fit", FITS)
def test_the_gradient_is_that_of_the_fit(fit):
    """Moving every vector alike moves the map alike; still samples and samples that fell back have finite gradients."""
    flow = field(matrices(3, perspective=0.002))
    flow[1], flow[2] = 0, math.nan
    flow.requires_grad_()
    x, y = differ(3)
    result = fit(Given(flow), support="all")(x, y)
    result[:, 0].sum().backward()
    assert flow.grad.isfinite().all()
    pixels = flow.shape[2] * flow.shape[3]
    assert flow.grad[:2, 0].sum(dim=(1, 2)).sub(pixels).abs().max() < 0.01 * pixels
    assert flow.grad[2].abs().max() == 0


@pytest.mark.parametrize("fit", FITS)
def test_serves_a_correspondence_wise_cost(fit):
    goal = body(0, 0, side=10)
    costs = [CorrespondenceWise(l1, fit(), scaling=0)(body(d, 0, side=10), goal).item() for d in (0, 3, 6)]
    assert costs[0] < 1e-6  # what a warp by zero rounds
    assert max(costs) < 0.2 * 2 * l1(body(6, 0, side=10), goal).item()


@pytest.mark.parametrize("fit", FITS)
def test_errors(fit, unhooked):
    with pytest.raises(ValueError, match="moving, all, got 'body'"):
        fit(support="body")
    with pytest.raises(ValueError, match="at least 1, got 0"):
        fit(iterations=0)
    with pytest.raises(ValueError, match="got 'raft'"):
        fit("raft")
    with pytest.raises(ValueError, match=r"\(B, C, h, w\), got \(3, 32, 32\)"):
        fit()(texture(), texture())
