"""Costs by name: one value, one text and one meaning, and what names no cost is refused in one sentence."""

import importlib
import subprocess
import sys
from dataclasses import fields
from inspect import signature

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from corrwise import costs
from corrwise.costs import (
    DISTANCES,
    FORMS,
    PRESETS,
    CorrespondenceWise,
    CostSpec,
    Perceptual,
    Preset,
    as_distance,
    l1,
    mse,
    recommended,
)
from corrwise.costs.flow import FLOWS, AllPairsFlow, DISFlow, LearnedFlow
from corrwise.costs.presets import BASES, NAMED_FLOWS, NUMBERS
from corrwise.costs.spec import BASE_NAMES, RECOMMENDED
from tests.costs.images import bodies, texture

BUILT = [name for name in FLOWS if name != "raft"]  # its weights are a download


def _value(option):
    if option.choices:
        return st.sampled_from(option.choices)
    if option.kind is str:
        return st.text(min_size=1, max_size=8)
    high = min(option.high, 1e6)
    return st.integers(int(option.low), int(high)) if option.kind is int else st.floats(option.low, high)


@st.composite
def specs(draw):
    base, vgg = draw(st.sampled_from(BASE_NAMES)), draw(st.sampled_from(["", "a b,c%.pth", "é=:/x.pt"]))
    if draw(st.booleans()):
        return CostSpec(base, vgg=vgg)
    form, flow = draw(st.sampled_from(FORMS)), draw(st.sampled_from(list(NAMED_FLOWS)))
    directions = draw(st.sampled_from([1, 2])) if form != "disp" else 2
    known = CostSpec(base, flow, form).known_options()
    chosen = draw(st.lists(st.sampled_from(sorted(known)), unique=True))
    return CostSpec(base, flow, form, directions, vgg, tuple((name, draw(_value(known[name]))) for name in chosen))


@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # beartype does
@given(specs())
def test_the_text_of_a_cost_is_read_as_the_same_cost(spec):
    assert CostSpec.parse(str(spec)) == spec
    assert spec.flow == "learned" or CostSpec.parse(str(spec), flow="zero") == spec
    assert str(CostSpec.parse(str(spec))) == str(spec)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("l1", "l1"),
        ("corr-l1", "corr-l1"),
        ("corr-l1:flow=learned,form=scaled,epsilon=0.1", "corr-l1"),
        ("corr-l1:form=reg,flow=all-pairs", "corr-l1:flow=all-pairs,form=reg"),
        ("corr-l1:form=disp", "recommended"),
        ("corr-l1:occlusion=6.0,form=disp,power=2", "recommended"),
        ("corr-l1:flow=rigid,form=disp,displacement=.070", "corr-l1:flow=rigid,form=disp"),
        ("corr-l1:flow=all-pairs,form=reg,penalty=0.001", "corr-l1:flow=all-pairs,form=reg"),
        ("corr-l1:flow=all-pairs,penalty=1e-3", "corr-l1:flow=all-pairs,penalty=0.001"),
        ("corr-mse:weights=my%20net.safetensors", "corr-mse:weights=my%20net.safetensors"),
        ("corr-ssim:directions=1", "corr-ssim:directions=1"),
        ("perceptual:vgg=IMAGENET1K_V1", "perceptual"),
        ("corr-l1:vgg=vgg.pth,flow=dis", "corr-l1:flow=dis,vgg=vgg.pth"),
    ],
)
def test_what_is_the_default_is_left_out(text, canonical):
    assert str(CostSpec.parse(text)) == canonical


def test_the_default_flow_is_that_of_names_that_say_none():
    assert CostSpec.parse("corr-l1", flow="dis") == CostSpec.parse("corr-l1:flow=dis")
    assert CostSpec.parse("corr-l1:flow=zero", flow="dis").flow == "zero"
    assert CostSpec.parse("recommended", flow="dis") == CostSpec.parse("recommended")
    assert CostSpec.parse("l1", flow="dis") == CostSpec.parse("l1")


def test_corr_l1_is_the_papers_loss_over_the_learned_flow():
    x, y = bodies(4)
    paper = CorrespondenceWise(l1, LearnedFlow(), scaling=0.1)
    assert torch.equal(CostSpec.parse("corr-l1").build()(x, y), paper(x, y))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", BUILT)
def test_a_name_means_what_the_flows_preset_says(name, form):
    x, y = bodies(2)
    assert torch.equal(CostSpec("mse", name, form).build()(x, y), recommended(mse, name, form=form)(x, y))


def test_recommended_is_the_function_of_that_name():
    x, y = bodies(4)
    assert torch.equal(CostSpec.parse(RECOMMENDED).build()(x, y), recommended(l1)(x, y))


def test_numbers_and_options_reach_the_distance():
    x, y = texture(2), texture(2, seed=1)
    ours = CostSpec.parse("corr-mse:flow=dis,preset=medium,finest-scale=0,epsilon=0.3,directions=1").build()
    flow = DISFlow(preset="medium", finest_scale=0)
    assert torch.equal(ours(x, y), CorrespondenceWise(mse, flow, scaling=0.3, symmetric=False)(x, y))
    far = CostSpec.parse("corr-l1:flow=all-pairs,form=edge,magnitude=2,smoothness=0,patch=5").build()
    preset = Preset(edge_magnitude=2.0, smoothness=0.0)
    assert torch.equal(far(x, y), preset.apply(l1, AllPairsFlow(patch=5, penalty=0.001), "edge")(x, y))


def test_every_number_of_a_form_changes_its_distance():
    x, y = bodies(4)
    for form, numbers in NUMBERS.items():
        plain = CostSpec("l1", "learned", form)
        for name in numbers:
            other = CostSpec("l1", "learned", form, options=((name, 1.0 if name != "power" else 3.0),))
            assert not torch.equal(plain.build()(x, y), other.build()(x, y)), (form, name)
            assert plain.settings()[name] != other.settings()[name]
            assert other.describe() != plain.describe()


def test_the_perceptual_distance_is_added_where_weights_are_named(tmp_path):
    x, y = torch.rand(2, 2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    weights = tmp_path / "vgg 19,.pth"
    net = Perceptual(None)
    torch.save({f"features.{name}": value for name, value in net.features.state_dict().items()}, weights)
    both = CostSpec("l1", vgg=str(weights))
    assert torch.allclose(both.build()(x, y), l1(x, y) + net(x, y))
    assert torch.allclose(CostSpec("perceptual", vgg=str(weights)).build(device="cpu")(x, y), net(x, y))
    assert CostSpec.parse(str(both)) == both


def test_a_distance_or_its_text_or_its_value():
    x, y = texture(2), texture(2, seed=1)
    for each in (mse, "mse", CostSpec("mse")):
        assert torch.equal(as_distance(each)(x, y), mse(x, y))


def test_a_name_is_registered_once_and_every_name_can_be_described():
    assert list(FLOWS) == list(PRESETS) == list(NAMED_FLOWS)
    assert list(DISTANCES) == list(BASES)
    sentences = {CostSpec(base, flow).describe() for base in BASE_NAMES for flow in ("", *NAMED_FLOWS)}
    assert len(sentences) == len(BASE_NAMES) * (1 + len(NAMED_FLOWS))
    assert "0.1 x the goal's mean displacement in pixels to the power 2" in CostSpec.parse(RECOMMENDED).describe()
    assert {field for numbers in NUMBERS.values() for field in numbers.values()} <= {
        each.name for each in fields(Preset)
    }


@pytest.mark.parametrize("name", NAMED_FLOWS)
def test_the_defaults_of_a_flow_are_those_of_what_makes_it(name):
    flow, made = NAMED_FLOWS[name], FLOWS[name]
    arguments = signature(made).parameters
    for option, each in flow.options.items():
        assert arguments[option.replace("-", "_")].default == each.default, option


def test_names_are_known_before_torch_is_loaded():
    script = "import sys; from corrwise.costs import CostSpec; CostSpec.parse('corr-l1:flow=dis').describe(); "
    done = subprocess.run([sys.executable, "-c", f"{script}sys.exit('torch' in sys.modules)"], check=False)
    assert done.returncode == 0


def test_warp_is_the_function_also_where_its_module_is_imported():
    module = importlib.import_module("corrwise.costs.warp")
    costs.warp = module  # as the import of a submodule does
    assert costs.warp is module.warp


BAD = [
    ("", "expected the name of a cost, such as corr-l1:flow=dis, got ''"),
    ("l2", "unknown cost 'l2'; there are l1, mse, ssim, perceptual, st-lpips, corr-l1, corr-mse"),
    ("CORR-L1", r"unknown cost 'CORR-L1' \(did you mean corr-l1\?\)"),
    ("corr-l1-reg", "corr-l1-reg is written corr-l1:form=reg, got 'corr-l1-reg'"),
    ("corr-l1:flow=pwc", "unknown flow 'pwc'; there are all-pairs, rigid, dis, tv-l1, raft, zero"),
    ("corr-l1:flow=lerned", r"unknown flow 'lerned' \(did you mean learned\?\)"),
    ("corr-l1:form=best", "unknown form 'best'; there are scaled, reg, edge, both, disp"),
    ("corr-l1:epsilno=0.1", r"unknown option 'epsilno' \(did you mean epsilon\?\); the options here are flow, form"),
    ("corr-l1:epsilon=2", r"expected a number in \[0, 1\] as epsilon, got 2"),
    ("corr-l1:epsilon=nan", r"expected a number in \[0, 1\] as epsilon, got 'nan'"),
    ("corr-l1:epsilon=1e999", r"expected a number in \[0, 1\] as epsilon, got inf"),
    ("corr-l1:form=disp,power=0.5", "expected a number of at least 1 as power, got 0.5"),
    ("corr-l1:flow=dis,flow=zero", "expected each option once, got flow twice"),
    ("corr-l1:displacement=1", "displacement belongs to form disp, and this is form scaled"),
    ("corr-l1:flow=dis,patch=3", "patch belongs to flow all-pairs or rigid, and this is flow dis"),
    ("corr-l1:flow=all-pairs,patch=4", "expected one of 1, 3, 5, 7 as patch, got 4"),
    ("corr-l1:flow=dis,preset=slow", "expected one of ultrafast, fast, medium as preset, got slow"),
    ("corr-l1:flow=raft,updates=2.5", "expected a whole number of at least 1 as updates, got 2.5"),
    ("corr-l1:form=disp,directions=1", "form=disp compares both directions, got directions=1"),
    ("corr-l1:directions=3", "expected one of 1, 2 as directions, got 3"),
    ("l1:flow=dis", "flow needs a cost between matched pixels, corr-l1, got 'l1:flow=dis'"),
    ("recommended:flow=dis", "recommended takes no options; write them behind corr-l1:form=disp"),
    ("corr-l1:", "expected options as name=value with commas between them, got ''"),
    ("corr-l1:flow", "expected options as name=value with commas between them, got 'flow'"),
    ("corr-l1: flow=dis", "expected a cost without spaces, which a value writes as %20, got 'corr-l1: flow=dis'"),
    (" l1", "expected a cost without spaces"),
    (
        "my.py:NAME",
        r"expected the name of a cost, got 'my.py:NAME': code of your own is named so on the command line and in "
        r"plan\(\); in Python import it, and use the distance itself$",
    ),
    ("pack.my:NAME", "expected the name of a cost, got 'pack.my:NAME': code of your own"),
    ("my.py", "unknown cost 'my.py'"),
]


@pytest.mark.parametrize(("text", "sentence"), BAD)
def test_what_names_no_cost_is_refused_in_one_sentence(text, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}") as raised:
        CostSpec.parse(text)
    assert "\n" not in str(raised.value)


def test_what_makes_no_value_is_refused():
    with pytest.raises(ValueError, match="form needs a cost between matched pixels, corr-l1, got l1"):
        CostSpec("l1", form="reg")
    with pytest.raises(ValueError, match="expected each option once, got epsilon epsilon"):
        CostSpec("l1", "dis", options=(("epsilon", 0.1), ("epsilon", 0.2)))
    with pytest.raises(ValueError, match="expected a number of at least 0 as magnitude, got 'much'"):
        CostSpec("l1", "dis", "reg", options=(("magnitude", "much"),))
