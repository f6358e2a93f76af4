import pytest
import torch

from corrwise.costs import (
    FORMS,
    PRESETS,
    CorrespondenceWise,
    Displacement,
    EdgeAwareSmoothness,
    FlowGradient,
    FlowMagnitude,
    Regularizers,
    l1,
    mse,
    recommended,
)
from corrwise.costs.flow import FLOWS, AllPairsFlow, DISFlow, LearnedFlow
from corrwise.costs.presets import Preset
from tests.costs.images import bodies, texture

# The side of a body and how far it moves in an image of 64 px. Random RAFT weights and no motion promise nothing, and
# squares of noise are not what the learned flow is for (see test_learned_flow.py).
REACH = {
    "all-pairs": (8, 32),
    "rigid": (8, 32),
    "affine": (8, 32),
    "homography": (8, 32),
    "dis": (24, 8),
    "tv-l1": (24, 8),
}


def _shift(target, source):
    """The true flow between ramps that rise by 1/64 per pixel to the right."""
    shift = 64 * (target - source)[:, 0, :, 32:33].mean(dim=(1, 2))
    return torch.stack([shift, 0 * shift], dim=1)[..., None, None].expand(-1, 2, *target.shape[-2:])


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("form", FORMS)
def test_scaling_leaves_a_tenth_of_the_motion_as_residual_and_the_other_forms_leave_none(name, form):
    ramp = (torch.arange(64) / 64).expand(1, 3, 64, 64)
    distance = PRESETS[name].apply(lambda x, y: (x - y)[..., 16:-16].abs().mean(dim=(-3, -2, -1)), _shift, form)
    terms = distance.terms(ramp, ramp - 5 / 64)  # moved by 5 px
    left = 2 * 0.1 * 5 / 64 if form in ("scaled", "both") else 0.0
    assert terms.residual.item() == pytest.approx(left, abs=1e-5), "in both directions together"
    assert (terms.penalty.item() > 0) == (form != "scaled"), "what is carried out is penalised instead"
    assert (distance(ramp, ramp) < 1e-6).all()


def test_the_forms_are_those_of_the_paper_and_a_price():
    x, y = bodies(4)
    near, far = AllPairsFlow(penalty=0.01), AllPairsFlow(penalty=0.001)
    paper = Regularizers(FlowMagnitude(4.5), FlowGradient(2.25))
    expected = {
        "scaled": CorrespondenceWise(l1, near, scaling=0.1),
        "reg": CorrespondenceWise(l1, far, scaling=0, regularizer=paper),
        "edge": CorrespondenceWise(
            l1, far, scaling=0, regularizer=Regularizers(FlowMagnitude(3.25), EdgeAwareSmoothness(3.25))
        ),
        "both": CorrespondenceWise(l1, far, scaling=0.1, regularizer=paper),
        "disp": CorrespondenceWise(l1, far, scaling=0, regularizer=Displacement(0.07), penalized="y"),
    }
    for form in FORMS:
        assert torch.equal(recommended(l1, "all-pairs", form=form)(x, y), expected[form](x, y)), form
    assert torch.equal(recommended(l1, "all-pairs")(x, y), expected[PRESETS["all-pairs"].form](x, y))


def test_the_defaults_prices_are_those_of_the_guide():
    learned = PRESETS["learned"]
    assert (learned.form, learned.displacement, learned.power, learned.occlusion) == ("disp", 0.1, 2.0, 6.0)
    distance = recommended(l1)
    assert (distance.penalized, distance.occlusion, distance.regularizer) == ("y", 6.0, Displacement(0.1, 2.0))


def test_what_the_learned_flow_cannot_match_is_priced():
    x, y = bodies(4)
    free, penalized = (
        Preset(displacement=1.0, occlusion=weight).apply(l1, LearnedFlow(), "disp") for weight in (0.0, 4.0)
    )
    assert torch.allclose(penalized(x, y), free(x, y) + 4 * free.terms(x, y).occluded)


def test_options_reach_the_flow_and_the_base_distance_is_the_one_given():
    x, y = texture(2), texture(2, seed=1)
    first = recommended(mse, "dis", form="scaled", preset="medium", finest_scale=0)
    second = CorrespondenceWise(mse, DISFlow(preset="medium", finest_scale=0), scaling=0.1)
    assert torch.equal(first(x, y), second(x, y))
    assert recommended(l1, "all-pairs", form="reg", penalty=0.005).flow.penalty == 0.005


@pytest.mark.parametrize("name", REACH)
@pytest.mark.parametrize("seed", range(3))
def test_the_recommended_cost_grows_with_displacement_within_the_flows_reach(name, seed):
    side, way = REACH[name]
    floor, thing = 0.3 + 0.1 * texture(1, size=64, seed=seed), texture(1, size=side, seed=seed + 10)

    def at(column):
        image = floor.clone()
        image[..., 20 : 20 + side, column : column + side] = thing
        return image

    costs = torch.cat([recommended(l1, name)(at(8 + step), at(8)) for step in range(0, way + 1, way // 8)])
    assert costs[0] < 1e-6
    assert (costs.diff() > 0).all(), costs


def test_what_makes_no_sense_is_refused_with_its_value():
    with pytest.raises(ValueError, match=r"one of all-pairs, rigid, .*, got 'pwc'"):
        recommended(l1, "pwc")
    with pytest.raises(ValueError, match="scaled, reg, edge, both, disp, got 'best'"):
        recommended(l1, form="best")
    with pytest.raises(ValueError, match=r"\[0, 1\], got 2"):
        Preset(scaling=2.0).apply(l1, FLOWS["zero"](), "scaled")


@pytest.mark.parametrize(("flow", "options"), [("learned", {"colour": 1}), ("zero", {"weights": "x"})])
def test_options_that_a_flow_does_not_have_are_refused(flow, options):
    with pytest.raises(ValueError, match=f"flow '{flow}' has no such options"):
        recommended(l1, flow, **options)
