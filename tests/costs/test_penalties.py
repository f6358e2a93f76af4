import pytest
import torch

from corrwise.costs import EdgeAwareSmoothness, FlowGradient, FlowMagnitude, Regularizers, l1
from corrwise.costs.penalties import PAPER_L1, PAPER_L1_PERCEPTUAL
from tests.costs.images import texture

PLAIN = torch.full((2, 3, 6, 5), 0.5)


def _flow(dx=0.0, dy=0.0):
    flow = torch.zeros(2, 2, 6, 5)
    flow[:, 0], flow[:, 1] = dx, dy
    return flow


def test_magnitude_is_measured_in_widths_and_heights():
    # 2 px of 4 between the first and the last column, 5 px of 5 between the rows.
    assert torch.allclose(FlowMagnitude(3.0)(_flow(2, -5), PLAIN), torch.full((2,), 3 * (0.5 + 1)))
    assert torch.allclose(FlowMagnitude(1.0, p=2)(_flow(2, -5), PLAIN), torch.full((2,), 1.25**0.5))


def test_gradient_of_a_stretch():
    # u_x = x / 4: the Sobel filter gives 8 / 4 inside and half of it at the two replicated border columns.
    flow = _flow(torch.arange(5.0))
    expected = (2 * 3 + 1 * 2) / 5 / 2
    assert torch.allclose(FlowGradient(10.0)(flow, PLAIN), torch.full((2,), 10 * expected))


@pytest.mark.parametrize("smoothness", [FlowGradient(1.0), EdgeAwareSmoothness(1.0)], ids=["gradient", "edge-aware"])
def test_a_uniform_motion_is_smooth(smoothness):
    assert torch.allclose(smoothness(_flow(3, 2), texture(2, size=8)[..., :6, :5]), torch.zeros(2), atol=1e-6)


def test_edge_aware_forgives_a_break_at_an_edge():
    flow = _flow(torch.tensor([0.0, 0.0, 0.0, 2.0, 2.0]))
    edge = PLAIN.clone()
    edge[1, :, :, 3:] = 0.9
    plain, forgiven = EdgeAwareSmoothness(1.0)(flow, edge)
    robust = ((4 * 0.5) ** 2 + 1e-6) ** 0.5 - 1e-3  # two columns see the step, in one of two components
    assert torch.allclose(plain, torch.tensor(robust * 2 / 5 / 2 / 2), rtol=1e-4)
    assert forgiven < 1e-6


def test_parts_add_up():
    flow, image = torch.randn(2, 2, 6, 5), PLAIN
    parts = FlowMagnitude(4.5), FlowGradient(2.25)
    assert torch.allclose(Regularizers(*parts)(flow, image), parts[0](flow, image) + parts[1](flow, image))
    assert torch.equal(Regularizers()(flow, image), torch.zeros(2))


@pytest.mark.parametrize(
    ("parts", "weights", "printed"),
    [
        ((FlowMagnitude, FlowGradient), PAPER_L1, (9.0, 4.5)),
        ((FlowMagnitude, FlowMagnitude), PAPER_L1_PERCEPTUAL, (6.5, 6.5)),
    ],
)
def test_the_weights_weigh_motion_against_pixels_as_the_paper_s_do_for_images_from_minus_one(parts, weights, printed):
    images, flow = torch.rand(2, 2, 3, 6, 5), torch.randn(2, 2, 6, 5)

    def total(images, weights):
        penalty = Regularizers(*(part(weight) for part, weight in zip(parts, weights, strict=True)))
        return l1(*images) + penalty(flow, images[0])

    assert torch.allclose(total(2 * images - 1, printed), 2 * total(images, weights))


@pytest.mark.parametrize("regularizer", [FlowMagnitude, FlowGradient, EdgeAwareSmoothness])
@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_weight_that_is_negative_or_not_finite_is_refused(regularizer, weight):
    with pytest.raises(ValueError, match=f"weight must be zero or above.*, got {weight}"):
        regularizer(weight)
    assert regularizer(0).weight == 0


@pytest.mark.parametrize("regularizer", [FlowMagnitude, FlowGradient])
@pytest.mark.parametrize("p", [0, -2, float("nan")])
def test_an_order_of_zero_or_below_is_refused(regularizer, p):
    with pytest.raises(ValueError, match=f"p must be above zero, got {p}"):
        regularizer(1.0, p)
    assert regularizer(1.0, float("inf"))(_flow(2, -5), PLAIN).isfinite().all()


def test_a_part_that_reduces_the_batch_is_named():
    parts = Regularizers(FlowMagnitude(1.0), lambda flow, image: flow.mean())
    with pytest.raises(ValueError, match=r"regularizer <lambda> .* of shape \(2,\), got \(\)"):
        parts(_flow(), PLAIN)
