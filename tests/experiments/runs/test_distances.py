"""A user's distance by its name: its values are checked, and a flow in its place is named."""

import pytest
import torch

from corrwise.costs import CorrespondenceWise
from corrwise.experiments import cli
from corrwise.experiments.cli.options import file_label
from corrwise.experiments.runs.distances import make_distance

OWN = """
import torch
from corrwise.costs import CorrespondenceWise, l1
from corrwise.costs.flow import FLOWS


def flow(target, source):
    return torch.zeros(*target.shape[:-3], 2, *target.shape[-2:])


def one_number(x, y):
    return (x - y).abs().mean()


def nothing(x, y):
    pass


def failing(x, y):
    raise RuntimeError("in the user's own line")


def mine(x, y):
    return (x - y).abs().mean((-3, -2, -1))


def with_terms():
    return CorrespondenceWise(l1, FLOWS["zero"]())


both, zero = FLOWS["all-pairs"](), FLOWS["zero"]()
"""


@pytest.fixture
def own(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    return lambda name: f"{tmp_path}/own.py:{name}"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("flow", r"got values of shape \(2, 1, 2, 8, 8\); CorrespondenceWise\(l1, flow\) makes a distance of a flow"),
        (
            "one_number",
            r"to return one value for each pair of images, of shape \(2, 1\) for images of shape",
        ),
        ("nothing", "got None"),
        ("zero", r"own.py:zero fails where a distance is called, with images of shape \(2, 1, 3, 8, 8\): "),
    ],
)
def test_what_returns_no_distance_is_named_with_what_it_returned(own, name, sentence):
    distance = make_distance(own(name))
    with pytest.raises(ValueError, match=sentence) as raised:
        distance(torch.zeros(2, 1, 3, 8, 8), torch.ones(2, 1, 3, 8, 8))
    assert "\n" not in str(raised.value)


def test_a_flow_of_both_directions_is_refused_before_it_is_called(own):
    with pytest.raises(ValueError, match=r"expected a distance of two images as .*own\.py:both, got a flow; "):
        make_distance(own("both"))


def test_a_distance_is_called_as_it_is_and_keeps_its_terms(own):
    x, y = torch.rand(2, 3, 3, 8, 8), torch.rand(2, 3, 3, 8, 8)
    assert torch.equal(make_distance(own("mine"))(x, y), (x - y).abs().mean((-3, -2, -1)))
    assert isinstance(make_distance(own("with_terms")), CorrespondenceWise)


def test_an_error_of_the_users_own_line_stays_what_it_is(own):
    with pytest.raises(RuntimeError, match="in the user's own line"):
        make_distance(own("failing"))(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8))


def test_a_flow_as_a_cost_is_one_sentence_of_the_command(own, tmp_path, capsys):
    words = ["mpc", "--episodes", "1", "--steps", "1", "--size", "16", "--candidates", "2", "--horizon", "1"]
    assert cli.main([*words, "--costs", own("flow"), "--out", str(tmp_path / "run")]) == 2
    assert "makes a distance of a flow\n" in capsys.readouterr().err


def test_the_file_names_of_costs_differ_and_hold_no_folder():
    labels = ["l1", "corr-l1:flow=dis", f"corr-l1:weights=/a/{'b' * 90}", f"corr-l1:weights=/a/{'b' * 90}c"]
    names = [file_label(label) for label in labels]
    assert names[:2] == ["l1", "corr-l1-flow=dis"]
    assert len(set(names)) == len(names)
    assert not any(set("/:") & set(name) or len(name) > 80 for name in names)
