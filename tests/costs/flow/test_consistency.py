import pytest
import torch

from corrwise.costs import CorrespondenceWise, l1
from corrwise.costs.flow import AllPairsFlow, DISFlow, ZeroFlow
from corrwise.costs.flow.consistency import TrustedFlow, occluded
from corrwise.testing import check_flow
from tests.costs.images import ConstantFlow, body, generator, texture


def _field(dx=0.0, dy=0.0, *, size=16):
    field = torch.zeros(1, 2, size, size)
    field[:, 0], field[:, 1] = dx, dy
    return field


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (3, 0), (-2, 5), (0.3, -1.7)])
def test_a_shift_and_its_inverse_agree_wherever_they_stay_inside(dx, dy):
    marked = occluded(_field(dx, dy), _field(-dx, -dy))
    places = torch.arange(16.0)
    inside = [(places + d >= -0.5) & (places + d <= 15.5) for d in (dx, dy)]
    assert torch.equal(marked[0], ~(inside[1][:, None] & inside[0]))


def test_a_smooth_motion_and_its_inverse_agree():
    # x -> 1.1 x + 1 and back, about the middle, so that everything stays inside.
    offset = torch.arange(16.0) - 7.5
    outward, inward = 0.1 * offset, offset / 1.1 - offset
    marked = occluded(_field(inward, inward[:, None]), _field(outward, outward[:, None]))
    assert not marked.any()


def test_what_a_body_hides_is_marked_and_nothing_else():
    # A body of 4 x 4 px stands at columns 4-7 of x and 10-13 of y; the floor stays where it is.
    forward, backward = _field(), _field()
    forward[:, 0, 4:8, 4:8], backward[:, 0, 4:8, 10:14] = 6, -6
    hidden = torch.zeros(1, 16, 16, dtype=torch.bool)
    hidden[:, 4:8, 10:14] = True  # floor of x that y's body covers
    assert torch.equal(occluded(forward, backward), hidden)
    assert torch.equal(occluded(backward, forward), hidden.roll(-6, -1))


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf")])
def test_a_flow_that_is_not_finite_is_marked(broken):
    forward, clean = _field(), _field()
    forward[0, 1, 3, 5] = broken
    expected = torch.zeros(1, 16, 16, dtype=torch.bool)
    expected[0, 3, 5] = True
    assert torch.equal(occluded(forward, clean), expected)
    backward = occluded(clean, forward)
    assert backward[0, 3, 5]
    assert backward.sum() <= 9, "only beside it, where the sampling takes it in"
    assert occluded(torch.full_like(clean, broken), torch.full_like(clean, -broken)).all()


def test_a_thin_limb_that_lands_between_pixels_is_not_marked():
    # Two columns that move by 6.5 px: each lands half on the limb and half on the floor beside it, or on both columns.
    forward, backward = _field(), _field()
    forward[:, 0, 4:8, 3:5] = 6.5
    backward[:, 0, 4:8, 10:11] = -6.5  # of the limb's place only one whole column is in the other image
    marked = occluded(forward, backward)[0, 4:8, 3:5]
    assert not marked.any()
    backward.zero_()
    assert occluded(forward, backward)[0, 4:8, 3:5].all()


def test_the_thresholds_are_those_of_the_papers():
    for error, length, marked in ((0.70, 0, False), (0.72, 0, True), (1.0, 6, False), (1.0, 4, True)):
        result = occluded(_field(length), _field(error - length))
        assert bool(result[0, 8, 8]) == marked, (error, length)  # bound: 0.01 (6^2 + 5^2) + 0.5 = 1.11, and 0.75
    assert occluded(_field(0.1), _field(), relative=0, absolute=0)[:, :, :-1].all()
    assert not occluded(_field(), _field(), relative=0, absolute=0).any()


def test_a_pair_does_not_depend_on_what_is_beside_it():
    forward, backward = 3 * torch.randn(2, 6, 2, 16, 16, generator=generator())
    together = occluded(forward, backward)
    assert 0.1 < together.float().mean() < 1
    alone = [occluded(forward[i : i + 1], backward[i : i + 1]) for i in range(6)]
    assert torch.equal(torch.cat(alone), together)
    assert occluded(forward[:0], backward[:0]).shape == (0, 16, 16)


def test_errors_name_what_was_given(unhooked):
    with pytest.raises(ValueError, match=r"\(1, 2, 16, 16\).*got \(1, 2, 8, 8\)"):
        occluded(_field(), _field(size=8))
    with pytest.raises(ValueError, match=r"flows \(B, 2, h, w\), got \(1, 3, 8, 8\)"):
        occluded(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match=r"at least 0, got -1 and 0\.5"):
        occluded(_field(), _field(), relative=-1)


def test_the_terms_hold_the_share_over_both_directions():
    x, y = texture(2, 2), texture(2, 2, seed=1)
    # Right by 8 of 32 px and back: a quarter of each image lands outside.
    terms = CorrespondenceWise(l1, ConstantFlow((8, 0), (-8, 0))).terms(x, y)
    assert torch.allclose(terms.occluded, torch.full((2, 2), 8 / 32))
    one_sided = CorrespondenceWise(l1, ConstantFlow((8, 0), (0, 0))).terms(x, y)
    assert torch.equal(one_sided.occluded, torch.ones(2, 2))
    assert torch.equal(CorrespondenceWise(l1, ZeroFlow()).terms(x, y).occluded, torch.zeros(2, 2))


def test_one_direction_cannot_know_what_is_occluded():
    terms = CorrespondenceWise(l1, ZeroFlow(), symmetric=False).terms(texture(2), texture(2, seed=1))
    assert terms.occluded.isnan().all()
    assert terms.total.isfinite().all()


@pytest.mark.parametrize(  # DIS finds next to no motion where nothing matches, and its flows agree on that
    ("flow", "least"), [(AllPairsFlow(penalty=0.001), 0.02), (DISFlow(), 0.001)], ids=["all-pairs", "dis"]
)
def test_equal_images_hide_nothing_and_a_new_body_is_marked(flow, least):
    x = texture(1, size=64)
    y = x.clone()
    y[..., 20:36, 20:36] = texture(1, size=16, seed=5)  # it covers 1/16 of the floor, and has no match itself
    distance = CorrespondenceWise(l1, flow)
    assert distance.terms(x, x).occluded == 0
    assert least < distance.terms(x, y).occluded < 0.125


def test_single_images_have_terms_too():
    terms = CorrespondenceWise(l1, AllPairsFlow()).terms(body(0, 0)[0], body(5, 0)[0])
    assert terms.occluded.shape == terms.total.shape == ()
    assert 0 <= terms.occluded <= 1


def test_a_cost_without_an_occlusion_penalty_checks_nothing(monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("nobody asked for the forward-backward check")

    monkeypatch.setattr("corrwise.costs.flow.consistency.occluded", never)
    x, y = body(0, 0), body(5, 0)
    assert CorrespondenceWise(l1, AllPairsFlow())(x, y) > 0
    with pytest.raises(AssertionError, match="nobody asked"):
        CorrespondenceWise(l1, AllPairsFlow(), occlusion=1.0)(x, y)


@pytest.mark.parametrize("flow", [AllPairsFlow(), DISFlow(), ZeroFlow()], ids=["all-pairs", "dis", "zero"])
def test_a_trusted_flow_keeps_the_contract_and_says_whether_it_differentiates(flow):
    check_flow(TrustedFlow(flow))
    assert TrustedFlow(flow).differentiable == getattr(flow, "differentiable", True)


def test_a_trusted_flow_stays_where_the_wrapped_one_does_not_lead_back():
    class Moved:
        def __call__(self, target, source):
            field = torch.zeros(1, 2, 16, 16)
            first = target.mean() < source.mean()
            field[:, 0, 4:8, 4:8] = 6 if first else 0
            field[:, 0, 4:8, 10:14] = 0 if first else -6
            return field

    flow, x, y = Moved(), torch.zeros(1, 3, 16, 16), torch.ones(1, 3, 16, 16)
    assert torch.equal(TrustedFlow(flow)(x, y), flow(x, y)), "the body leads back, and the floor it hides has no motion"
    broken = TrustedFlow(lambda target, source: flow(target, source) if target is x else _field())
    assert torch.equal(broken(x, y), _field()), "nothing leads back any more"
    assert torch.equal(TrustedFlow(lambda target, source: _field(float("nan")))(x, y), _field())
