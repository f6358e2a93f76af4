"""Planners as text: one text for one planner, options from the planner's own signature, and clear refusals."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from corrwise.mpc import CEM, ICEM, PLANNERS, Knots, PlannerSpec


@pytest.mark.parametrize(
    ("text", "planner"),
    [
        ("cem", CEM(3)),
        ("icem:momentum=0.2,keep_fraction=0.5", ICEM(3, momentum=0.2, keep_fraction=0.5)),
        ("icem:keep-fraction=0.5, momentum = 2e-1", ICEM(3, momentum=0.2, keep_fraction=0.5)),
        ("cem:executes=best", CEM(3, executes="best")),
        ("cem:knots=4", Knots(CEM(3, horizon=4), 12)),
        ("cem:interpolation=cubic,knots=4", Knots(CEM(3, horizon=4), 12, "cubic")),
    ],
)
def test_a_text_makes_its_planner_and_comes_back_in_one_spelling(text, planner):
    spec = PlannerSpec.parse(text)
    assert spec.build(3) == planner
    assert PlannerSpec.parse(str(spec)) == spec
    assert str(PlannerSpec.parse(str(spec))) == str(spec)


def test_options_at_their_defaults_are_not_said():
    assert str(PlannerSpec.parse("icem:momentum=0.1,decay=1.25")) == "icem"
    assert str(PlannerSpec.parse("icem:momentum=0.3,decay=1.25")) == "icem:momentum=0.3"


def test_sizes_reach_the_planner():
    planner = PlannerSpec.parse("mppi").build(2, horizon=9, candidates=7, iterations=5)
    assert (planner.horizon, planner.candidates, planner.iterations) == (9, 7, 5)
    with_knots = PlannerSpec.parse("mppi:knots=3").build(2, horizon=9, candidates=7, iterations=5)
    assert (with_knots.horizon, with_knots.planner.horizon, with_knots.iterations) == (9, 3, 5)
    assert PlannerSpec.parse("mppi:knots=40").build(2, horizon=50).horizon == 50


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("icem:momentun=0.2", r"planner icem has no option 'momentun'; its options are initial_std, .* interpolation"),
        ("icem:horizon=3", "planner icem has no option 'horizon'"),
        ("icen:momentum=0.2", r"unknown planner 'icen' \(did you mean icem\?\); there are random, cem, icem, mppi"),
        ("icem:momentum", "expected options of planner icem as option=value, separated by commas, got 'momentum'"),
        ("icem:momentum=1.5", r"momentum must be in \[0, 1\), got 1.5"),
        ("icem:momentum=nan", "option momentum must be a finite number, got 'nan'"),
        ("icem:momentum=much", "option momentum must be a finite number, got 'much'"),
        ("icem:momentum=0.1,momentum=0.2", "option momentum of planner icem is given twice, as 0.1 and 0.2"),
        ("random:hold=1.5", "option hold must be a whole number, got '1.5'"),
        ("random:hold=0", "hold must be at least 1, got 0"),
        ("cem:executes=worst", "option executes must be mean or best, got 'worst'"),
        ("cem:knots=0", "knots must be at least 1, got 0"),
        ("cem:interpolation=linear,knots=two", "option knots must be a whole number, got 'two'"),
        ("cem:interpolation=quartic,knots=2", "option interpolation must be zero or linear or cubic, got 'quartic'"),
        ("cem:interpolation=cubic", "interpolation=cubic needs a number of knots, got none"),
    ],
)
def test_options_that_do_not_fit_are_refused(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        PlannerSpec.parse(text)


@dataclass(frozen=True)
class Own(CEM):
    """A planner by a user, with options of every kind."""

    greedy: bool = False
    levels: int | None = None


def test_an_unknown_planner_without_options_is_refused_where_it_is_made():
    with pytest.raises(ValueError, match="unknown planner 'local'; there are random, cem, icem, mppi"):
        PlannerSpec.parse("local").build(2)


def test_a_users_planner_has_the_options_of_its_signature():
    find = {"my.py:Own": Own}.__getitem__
    spec = PlannerSpec.parse("my.py:Own:greedy=true,levels=3,momentum=0.5", find=find)
    assert spec.build(2, find=find) == Own(2, greedy=True, levels=3, momentum=0.5)
    assert str(spec) == "my.py:Own:greedy=True,levels=3,momentum=0.5"
    assert PlannerSpec.parse(str(spec), find=find) == spec
    with pytest.raises(ValueError, match="option greedy must be true or false, got 'perhaps'"):
        PlannerSpec.parse("my.py:Own:greedy=perhaps", find=find)
    assert PlannerSpec.parse("my.py:Own", find=find).build(2, find=find) == Own(2)


def test_a_planner_that_takes_other_arguments_is_refused_in_one_sentence():
    spec = PlannerSpec("mine.py:NoArguments", {})
    with pytest.raises(ValueError, match=r"planner mine\.py:NoArguments must take .* keywords horizon: too many"):
        spec.build(1, find=lambda name: type("NoArguments", (), {}), horizon=3)
    with pytest.raises(
        ValueError, match=r"NoArguments must make a planner with .*, got one of type int without init, sample, refit"
    ):
        spec.build(1, find=lambda name: lambda action_dim, horizon: 5, horizon=3)


def test_every_registered_planner_is_made_by_its_name_and_the_sizes_alone():
    for name in PLANNERS:
        assert type(PlannerSpec.parse(name).build(2, horizon=3)) is PLANNERS[name]
