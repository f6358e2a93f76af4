import pytest
import torch

from corrwise.costs import CorrespondenceWise, Displacement, FlowMagnitude, Perceptual, l1, mse, ssim, warp
from corrwise.costs.flow import AllPairsFlow, DISFlow, ZeroFlow
from tests.costs.images import ConstantFlow, bodies, body, texture

X = torch.tensor([0.0, 0.0, 1.0, 0.0]).reshape(1, 1, 1, 4)
Y = torch.tensor([0.0, 1.0, 0.0, 0.0]).reshape(1, 1, 1, 4)


def _true_flow():
    return ConstantFlow((-1, 0), (1, 0))  # Y shows at p - 1 what X shows at p


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [
        (0.0, 0.5),  # carried all the way the dots coincide, but the border reflects each once more: 2 * 1 / 4
        (0.5, 0.75),  # Y at -.5 .5 1.5 2.5 is .5 .5 .5 0, three halves from X; and the mirror image: 2 * 1.5 / 4
        (1.0, 1.0),  # not carried: two dots apart in each direction, 2 * 2 / 4
    ],
)
def test_golden_values(scaling, expected):
    distance = CorrespondenceWise(l1, _true_flow(), scaling=scaling)
    assert torch.allclose(distance(X, Y), torch.tensor([expected]), atol=1e-6)


def test_one_direction_carries_y_onto_x():
    y = torch.tensor([0.0, 1.0, 0.0, 0.5]).reshape(1, 1, 1, 4)
    distance = CorrespondenceWise(l1, _true_flow(), scaling=0, symmetric=False)
    # Y at p - 1, reflected: 1 0 1 0 against 0 0 1 0.
    assert torch.allclose(distance(X, y), torch.tensor([0.25]), atol=1e-6)


@pytest.mark.parametrize("base", [l1, mse, ssim, Perceptual(None)], ids=["l1", "mse", "ssim", "perceptual"])
def test_epsilon_one_is_exactly_twice_the_base(base):
    x, y = texture(2, 2), texture(2, 2, seed=1)
    assert torch.equal(CorrespondenceWise(base, AllPairsFlow(), scaling=1)(x, y), 2 * base(x, y))


def test_directions_are_summed_not_averaged():
    x, y = texture(2), texture(2, seed=1)
    assert torch.allclose(CorrespondenceWise(l1, ZeroFlow())(x, y), 2 * l1(x, y), atol=1e-6)


@pytest.mark.parametrize("flow", [AllPairsFlow(), DISFlow()], ids=["all-pairs", "dis"])
def test_swapping_the_images_changes_nothing(flow):
    x, y = bodies(4)
    distance = CorrespondenceWise(l1, flow, regularizer=FlowMagnitude(1.0))
    assert torch.allclose(distance(x, y), distance(y, x), rtol=1e-5)


@pytest.mark.parametrize("shift", [1, 3, 6])
@pytest.mark.parametrize("scaling", [0.0, 0.1, 0.4])
def test_the_true_flow_leaves_epsilon_times_the_shift(shift, scaling):
    slope, margin = 0.02, 8
    x = (slope * torch.arange(32.0)).expand(1, 3, 32, 32)
    y = x - slope * shift
    inner = CorrespondenceWise(
        lambda a, b: l1(a[..., margin:-margin], b[..., margin:-margin]),
        ConstantFlow((shift, 0), (-shift, 0)),
        scaling=scaling,
    )
    assert torch.allclose(inner(x, y), torch.tensor([2 * slope * scaling * shift]), atol=1e-5)


def test_terms_add_up_to_the_distance():
    x, y = bodies(4)
    x, y = x.reshape(2, 2, 3, 32, 32), y.reshape(2, 2, 3, 32, 32)
    distance = CorrespondenceWise(l1, AllPairsFlow(), regularizer=FlowMagnitude(4.5))
    terms = distance.terms(x, y)
    assert torch.equal(terms.total, distance(x, y))
    assert terms.residual.shape == terms.penalty.shape == terms.displacement.shape == (2, 2)
    assert (terms.penalty > 0).all()
    true = CorrespondenceWise(l1, ConstantFlow((3, 4), (-3, -4))).terms(x, y)
    assert torch.allclose(true.displacement, torch.full((2, 2), 5.0))
    assert torch.equal(true.flow[..., 0, 0], torch.tensor([3.0, 4.0]).expand(2, 2, 2)), (
        "the first direction's, unscaled"
    )
    assert torch.equal(true.penalty, torch.zeros(2, 2))


def test_the_penalty_takes_the_unscaled_flow_and_averages_the_directions():
    x, y = texture(1), texture(1, seed=1)
    distance = CorrespondenceWise(l1, ConstantFlow((3.1, 0), (0, 6.2)), scaling=0.5, regularizer=FlowMagnitude(1.0))
    assert torch.allclose(distance.terms(x, y).penalty, torch.tensor([(3.1 / 31 + 6.2 / 31) / 2]))


class _Learned:
    """A flow with a parameter, to see whether gradients come by."""

    differentiable = True

    def __init__(self):
        self.step = torch.tensor(0.3, requires_grad=True)

    def __call__(self, target, source):
        return self.step * torch.ones(target.shape[0], 2, *target.shape[2:])


def test_by_default_gradients_skip_the_coordinates():
    x, y, flow = texture(2), texture(2, seed=1).requires_grad_(), _Learned()
    CorrespondenceWise(l1, flow, scaling=0).__call__(x, y).sum().backward()
    assert flow.step.grad is None
    constant = torch.full((2, 2, 32, 32), 0.3)
    (expected,) = torch.autograd.grad((l1(x, warp(y, constant)) + l1(y, warp(x, constant))).sum(), y)
    assert torch.allclose(y.grad, expected, atol=1e-7)
    assert expected.abs().sum() > 0


def test_gradients_reach_the_flow_on_request():
    x, y, flow = texture(2), texture(2, seed=1), _Learned()
    CorrespondenceWise(l1, flow, detach_flow=False, regularizer=FlowMagnitude(1.0))(x, y).sum().backward()
    assert flow.step.grad.abs() > 0


def test_soft_all_pairs_lets_gradients_into_the_images():
    x, y = bodies(2)
    y.requires_grad_()
    soft = CorrespondenceWise(l1, AllPairsFlow(temperature=0.02), detach_flow=False, regularizer=FlowMagnitude(1.0))
    soft.terms(x, y).penalty.sum().backward()
    assert y.grad.isfinite().all()
    assert y.grad.abs().sum() > 0


@pytest.mark.parametrize("flow", [DISFlow(), AllPairsFlow()], ids=["dis", "all-pairs"])
def test_a_flow_without_gradients_says_so(flow):
    with pytest.raises(ValueError, match=f"got {type(flow).__name__}"):
        CorrespondenceWise(l1, flow, detach_flow=False)


@pytest.mark.parametrize("flow", [AllPairsFlow(), DISFlow()], ids=["all-pairs", "dis"])
def test_permuting_and_rechunking_the_candidates_changes_nothing(flow):
    x, y = bodies(12)
    distance = CorrespondenceWise(l1, flow)
    together, order = distance(x, y), torch.randperm(12, generator=torch.Generator().manual_seed(1))
    assert torch.equal(distance(x[order], y[order]), together[order])
    for chunk in (1, 5):
        parts = [distance(a, b) for a, b in zip(x.split(chunk), y.split(chunk), strict=True)]
        assert torch.equal(torch.cat(parts), together)


def test_farther_is_never_nearer_where_pixels_see_no_difference():
    goal, moved = body(0, 0, at=(2, 10)), [body(d, 0, at=(2, 10)) for d in (9, 13, 17, 21)]
    distance = CorrespondenceWise(l1, AllPairsFlow(penalty=0.001), regularizer=FlowMagnitude(4.5))
    costs = torch.cat([distance(m, goal) for m in moved])
    assert (costs.diff() > 0).all()
    assert torch.allclose(l1(moved[0], goal), l1(moved[-1], goal))


@pytest.mark.parametrize("scaling", [-0.1, 1.5, float("nan")])
def test_scaling_outside_zero_to_one_is_refused(scaling):
    with pytest.raises(ValueError, match=rf"\[0, 1\], got {scaling}"):
        CorrespondenceWise(l1, ZeroFlow(), scaling=scaling)


def test_a_flow_of_the_wrong_shape_is_named(unhooked):
    distance = CorrespondenceWise(l1, lambda target, source: torch.zeros(1, 2, 8, 8))
    with pytest.raises(ValueError, match=r"to return \(1, 2, 32, 32\), got \(1, 2, 8, 8\)"):
        distance(texture(1), texture(1))


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_flow_that_returns_nothing_is_named(symmetric):
    distance = CorrespondenceWise(l1, lambda target, source: None, symmetric=symmetric)
    with pytest.raises(ValueError, match=r"expected function to return \(1, 2, 32, 32\), got NoneType"):
        distance(texture(1), texture(1))


class _Both:
    def __init__(self, flows):
        self.flows = flows

    def __call__(self, target, source):
        raise AssertionError("both directions were asked for")

    def both(self, x, y):
        return self.flows


@pytest.mark.parametrize(
    ("flows", "got"),
    [(None, "NoneType"), (torch.zeros(1, 2, 32, 32), "Tensor"), ((torch.zeros(1, 2, 32, 32),), "1")],
)
def test_both_that_does_not_return_two_fields_is_named(flows, got):
    with pytest.raises(ValueError, match=rf"expected _Both\.both to return two flow fields, got {got}"):
        CorrespondenceWise(l1, _Both(flows))(texture(1), texture(1))


def test_two_fields_of_the_wrong_kind_are_named():
    with pytest.raises(ValueError, match=r"expected _Both to return \(1, 2, 32, 32\), got NoneType"):
        CorrespondenceWise(l1, _Both((torch.zeros(1, 2, 32, 32), None)))(texture(1), texture(1))


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("scaling", [0.1, 1])
def test_a_distance_that_reduces_the_batch_is_named(symmetric, scaling):
    distance = CorrespondenceWise(torch.nn.L1Loss(), ZeroFlow(), symmetric=symmetric, scaling=scaling)
    for call in (distance, distance.terms):
        with pytest.raises(ValueError, match=r"distance L1Loss .* of shape \(2,\), got \(\)"):
            call(texture(2), texture(2, seed=1))


def test_a_regularizer_that_reduces_the_batch_is_named():
    distance = CorrespondenceWise(l1, ZeroFlow(), regularizer=lambda flow, image: flow.abs().mean())
    for call in (distance, distance.terms):
        with pytest.raises(ValueError, match=r"regularizer <lambda> .* of shape \(2,\), got \(\)"):
            call(texture(2), texture(2, seed=1))


@pytest.mark.parametrize("distance", [l1, mse, ssim, CorrespondenceWise(l1, ZeroFlow()), AllPairsFlow(), ZeroFlow()])
def test_images_of_two_types_or_devices_are_named(distance, unhooked):
    x = texture(1)
    with pytest.raises(TypeError, match=r"torch\.float32 like .*got torch\.float64"):
        distance(x, x.double())
    with pytest.raises(ValueError, match=r"on cpu like .*got meta"):
        distance(x, x.to("meta"))


def test_mismatched_images_are_named(unhooked):
    with pytest.raises(ValueError, match=r"\(1, 3, 32, 32\).*got \(2, 3, 32, 32\)"):
        CorrespondenceWise(l1, ZeroFlow())(texture(1), texture(2))
    with pytest.raises(ValueError, match="got 'wrap'"):
        CorrespondenceWise(l1, ZeroFlow(), padding="wrap")


def test_what_has_no_match_costs_the_occlusion_penalty():
    x, y = texture(2), texture(2, seed=1)
    free, penalized = (
        CorrespondenceWise(l1, ConstantFlow((9.0, 0.0), (0.0, 0.0)), scaling=0, occlusion=weight) for weight in (0, 3.0)
    )
    terms = free.terms(x, y)
    assert terms.occluded.tolist() == pytest.approx([1, 1]), "neither direction leads back"
    assert torch.allclose(penalized(x, y), free(x, y) + 3)
    assert torch.allclose(penalized.terms(x, y).total, penalized(x, y))
    assert torch.equal(penalized.terms(x, y).penalty, terms.penalty + 3)
    mutual = CorrespondenceWise(l1, ConstantFlow((0.0, 0.0), (0.0, 0.0)), scaling=0, occlusion=3.0)
    assert (mutual(x, x) < 1e-6).all()


@pytest.mark.parametrize(
    ("weight", "symmetric"), [(-1.0, True), (float("inf"), True), (float("nan"), True), (1, False)]
)
def test_an_occlusion_penalty_that_makes_no_sense_is_refused(weight, symmetric):
    with pytest.raises(ValueError, match=f"expected occlusion of 0 or above, and 0 unless symmetric, got {weight}"):
        CorrespondenceWise(l1, ZeroFlow(), occlusion=weight, symmetric=symmetric)


def test_the_penalty_can_look_at_the_second_image_alone():
    x, y = texture(2), texture(2, seed=1)
    flow = ConstantFlow((3.0, 0.0), (0.0, 5.0))
    both, goal = (
        CorrespondenceWise(l1, flow, scaling=0, regularizer=Displacement(1), penalized=side).terms(x, y)
        for side in ("both", "y")
    )
    assert torch.equal(both.residual, goal.residual)
    assert both.penalty.tolist() == pytest.approx([4, 4])
    assert goal.penalty.tolist() == pytest.approx([5, 5])
    for options in ({"penalized": "x"}, {"penalized": "y", "symmetric": False}):
        with pytest.raises(ValueError, match="expected penalized to be 'both', or 'y' of a symmetric distance"):
            CorrespondenceWise(l1, flow, **options)
