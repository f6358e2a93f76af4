"""The validator of annotated options: names, ranges and kinds, each refused in one sentence with both values."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from math import inf, nan
from typing import Annotated, Literal

import pytest

from corrwise.validation import SEVERAL, ConfigError, Names, Range, validate, validated


@validated
class Options:
    count: Annotated[int, Range(1, 100, " pixels")] = 1
    index: Annotated[int, Range(0, 10)] = 0
    maybe: Annotated[int, Range(1, 5)] | None = None
    share: Annotated[float, Range(0, 1, open="high")] = 0.5
    rate: Annotated[float, Range(0, open="low")] = 0.1
    weight: Annotated[float, Range(0)] = 0.0
    number: Annotated[float, Range()] = 0.0
    plain: float = inf
    switch: bool = False
    seeds: Annotated[int, Range(0)] | tuple[Annotated[int, Range(0)], ...] = 0
    method: Annotated[str, Names(("slow",), what="way")] = "slow"
    kind: Literal["mean", "best"] = "mean"
    axes: Annotated[tuple[Literal["x", "y"], ...], SEVERAL] = ("x",)
    moments: Annotated[tuple[Annotated[int, Range(0, 9)], ...], SEVERAL] = (0,)
    task: Annotated[str, Names(("ant", "cartpole"), "a file", lambda name: ":" in name)] = "ant"

    def __post_init__(self) -> None:
        assert self.count >= 1, "fields are checked first"


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("count", 0, "count must be at least 1 pixels, got 0"),
        ("count", 101, "count must be at most 100 pixels, got 101"),
        ("count", "many", "count must be a whole number, got many"),
        ("count", 1.5, "count must be a whole number, got 1.5"),
        ("count", None, "count must be a whole number, got None"),
        ("count", True, "count must be a whole number, got True"),
        ("task", 5, "task must be text, got 5"),
        ("axes", "x", "axes must be a list of values, got x"),
        ("axes", 3, "axes must be a list of values, got 3"),
        ("index", -1, "index must be zero or above, got -1"),
        ("maybe", 6, "maybe must be at most 5, got 6"),
        ("share", 1.0, "share must be in [0, 1), got 1.0"),
        ("share", nan, "share must be in [0, 1), got nan"),
        ("rate", 0.0, "rate must be above zero and finite, got 0.0"),
        ("rate", inf, "rate must be above zero and finite, got inf"),
        ("weight", -1.0, "weight must be zero or above, got -1.0"),
        ("weight", inf, "weight must be zero or above and finite, got inf"),
        ("weight", True, "weight must be a number, got True"),
        ("switch", 1, "switch must be true or false, got 1"),
        ("seeds", (0, -1), "seed must be zero or above, got -1"),
        ("seeds", 0.5, "seeds must be a whole number, got 0.5"),
        ("method", "fast", "unknown way 'fast'; there are slow"),
        ("number", nan, "number must be finite, got nan"),
        ("plain", "high", "plain must be a number, got high"),
        ("kind", "meen", "unknown kind 'meen' (did you mean mean?); there are mean, best"),
        ("kind", "other", "unknown kind 'other'; there are mean, best"),
        ("axes", ("x", "z"), "unknown axis 'z'; there are x, y"),
        ("axes", ("x", "x"), "axes must be different from each other, got x x"),
        ("axes", (), "axes must be at least one, got none"),
        ("moments", (1, 10), "moment must be at most 9, got 10"),
        ("task", "cartpol", "unknown task 'cartpol' (did you mean cartpole?); there are ant, cartpole, or a file"),
    ],
)
def test_what_an_annotation_does_not_allow_is_refused(option, value, sentence):
    with pytest.raises(ConfigError) as refused:
        Options(**{option: value})
    assert str(refused.value) == sentence


def test_python_code_is_refused_by_the_error_it_asks_for():
    @validated(error=ValueError)
    class Sizes:
        horizon: Annotated[int, Range(1)] = 12

    with pytest.raises(ValueError, match=r"^horizon must be at least 1, got 0$"):
        Sizes(0)
    with pytest.raises(ValueError, match=r"^horizon must be a whole number, got True$"):
        validate("horizon", Annotated[int, Range(1)], True)
    assert repr(Sizes()).endswith("Sizes(horizon=12)")
    assert Options(seeds=(1, 2)).seeds == (1, 2)


def test_what_it_allows_passes_ends_included():
    options = Options(
        count=100, index=10, maybe=5, share=0.0, rate=1e-9, number=-1e300, axes=("y", "x"), task="my.py:T"
    )
    with pytest.raises(FrozenInstanceError):
        options.count = 3
    assert replace(options, maybe=None, share=0.999).maybe is None
