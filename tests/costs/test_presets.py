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

# The side of a body and how far it moves in a picture of 64 px. Random RAFT weights and no motion promise nothing, and
# squares of noise are not what the learned flow is for (see test_learned_flow.py).
REACH = {"all-pairs": (8, 32), "rigid": (8, 32), "affine": (8, 32), "homography": (8, 32), "dis": (24, 8)}


@pytest.mark.parametrize("name", PRESETS)
def test_its_numbers_make_sense(name):
    preset = PRESETS[name]
    assert preset.form in FORMS
    for form in FORMS:
        distance = preset.apply(l1, lambda target, source: target[:, :2] * 0, form)
        assert distance.scaling == (preset.scaling if form in ("scaled", "both") else 0)
        assert (distance(texture(2), texture(2)) < 1e-6).all()


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
    free, priced = (
        Preset(displacement=1.0, occlusion=weight).apply(l1, LearnedFlow(), "disp") for weight in (0.0, 4.0)
    )
    assert torch.allclose(priced(x, y), free(x, y) + 4 * free.terms(x, y).occluded)


def test_options_reach_the_flow_and_the_base_distance_is_the_one_given():
    x, y = texture(2), texture(2, seed=1)
    ours = recommended(mse, "dis", form="scaled", preset="medium", finest_scale=0)
    theirs = CorrespondenceWise(mse, DISFlow(preset="medium", finest_scale=0), scaling=0.1)
    assert torch.equal(ours(x, y), theirs(x, y))
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
