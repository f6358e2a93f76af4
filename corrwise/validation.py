"""Options state in their annotations what they may be; one decorator reads them and refuses what they may not be.

``Literal`` and ``Names`` list names, ``Range`` bounds numbers, ``SEVERAL`` asks for different values, at least one::

    @validated
    class Config:
        planner: Literal["cem", "icem"] = "cem"
        costs: Annotated[tuple[Annotated[str, Names(COSTS)], ...], SEVERAL] = ("l1",)
        horizon: Annotated[int, Range(1, 10_000)] = 12
        gamma: Annotated[float, Range(0, 1, open="low")] = 0.95
        steps: Annotated[int, Range(1, 1_000)] | None = None

        def __post_init__(self) -> None:
            ...  # only what concerns several fields at once

A command's options raise a ``ConfigError``; ``@validated(error=ValueError)`` is for what Python code makes itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from functools import cache, partial
from math import inf
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

from corrwise._files import named

__all__ = [
    "FIRST_TEST_SEED",
    "SEVERAL",
    "ConfigError",
    "Names",
    "Pairs",
    "Range",
    "Several",
    "check",
    "check_name",
    "check_that",
    "check_tuning_seeds",
    "did_you_mean",
    "hints_of",
    "validate",
    "validated",
]

FIRST_TEST_SEED = 10_000  # of the planning table's frozen episodes; what is chosen or learned uses those below
_SINGULAR = {"bodies": "body", "axes": "axis"}


class ConfigError(Exception):
    """An option that cannot be used, in one sentence; no ValueError, which tyro would draw a box around."""


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``.

    Attributes:
        low, high: the ends, included where they are finite.
        unit: what stands behind a bound in the sentence, such as " pixels".
        open: which finite ends are left out.
    """

    low: int | float = -inf
    high: int | float = inf
    unit: str = ""
    open: Literal["", "low", "high", "both"] = ""

    def check(self, option: str, value: Any) -> None:
        """Raise a ConfigError unless the number lies in the range."""
        above = self.low < value if self.open in ("low", "both") or self.low == -inf else self.low <= value
        below = value < self.high if self.open in ("high", "both") or self.high == inf else value <= self.high
        if not (above and below):
            raise ConfigError(f"{option} must be {self._wanted(value)}, got {value}")

    def _wanted(self, value: Any) -> str:
        if isinstance(value, Integral) and not self.open:
            if int(value) > self.high:
                return f"at most {self.high}{self.unit}"
            return "zero or above" if self.low == 0 else f"at least {self.low}{self.unit}"
        if self.low > -inf and self.high < inf:
            ends = "(" if self.open in ("low", "both") else "[", ")" if self.open in ("high", "both") else "]"
            return f"in {ends[0]}{self.low:g}, {self.high:g}{ends[1]}{self.unit}"
        if self.low == -inf:
            return "finite" if self.high == inf else f"finite and at most {self.high:g}{self.unit}"
        if self.open:
            return f"above {self.low:g}{self.unit} and finite" if self.low else "above zero and finite"
        if self.low:
            return f"at least {self.low:g}{self.unit} and finite"
        return "zero or above" if value < 0 else "zero or above and finite"


@dataclass(frozen=True)
class Names:
    """Names that are registered, and perhaps others of a certain form.

    Attributes:
        names: those that are registered.
        or_else: what else may be named, for the sentence.
        also: whether a word is of that other form.
        what: what the sentence calls the option; "" is its name.
    """

    names: tuple[str, ...]
    or_else: str = ""
    also: Callable[[str], bool] = lambda name: False
    what: str = ""

    def check(self, option: str, value: Any) -> None:
        """Raise a ConfigError that lists the names there are, unless the value is one of them or of the other form."""
        if not self.also(value):
            check_name(self.what or option, value, self.names, or_else=self.or_else)


@dataclass(frozen=True)
class Pairs:
    """Text such as ``temperature=1.2``: a name of several, and its value.

    Attributes:
        names: those that there are.
        example: for the sentence.
    """

    names: tuple[str, ...]
    example: str

    def check(self, option: str, value: Any) -> None:
        """Raise a ConfigError unless the value is a pair of one of the names."""
        name, equals, given = value.partition("=")
        wanted = f"pairs such as {self.example}, of {', '.join(self.names)}"
        check(bool(name in self.names and equals and given), option, wanted, value)


@dataclass(frozen=True)
class Several:
    """Values that differ from each other, at least one of them."""

    def check(self, option: str, value: Any) -> None:
        """Raise a ConfigError unless they do."""
        check(len(value) > 0, option, "at least one", "none")
        check(len(set(value)) == len(value), option, "different from each other", " ".join(map(str, value)))


SEVERAL = Several()


ConfigT = TypeVar("ConfigT")


@overload
def validated(config: type[ConfigT]) -> type[ConfigT]: ...
@overload
def validated(*, error: type[Exception]) -> Callable[[type[ConfigT]], type[ConfigT]]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def validated(config: Any = None, *, error: type[Exception] = ConfigError) -> Any:
    """Make a frozen dataclass whose fields are checked against their annotations, in their order, when it is made.

    Its own ``__post_init__`` runs after that. What a field may not be raises ``error``. A class with a ``GROUP`` is a
    group of another one's options, whose names begin with that.
    """
    if config is None:
        return partial(validated, error=error)
    own = getattr(config, "__post_init__", lambda self: None)

    def __post_init__(self: Any) -> None:
        hints, group = hints_of(config), getattr(config, "GROUP", "")
        for each in fields(config):  # those of a class made of this one are its own
            validate(group + each.name, hints[each.name], getattr(self, each.name), error=error)
        own(self)

    config.__post_init__ = __post_init__
    made: Any = dataclass(frozen=True)(config)
    made.__init__.__no_type_check__ = True  # tests' run-time checks would raise before ours do
    return made


def validate(option: str, kind: Any, value: Any, *, error: type[Exception] = ValueError) -> None:
    """Raise an error with one sentence unless the value is what an annotation allows."""
    try:
        _check(option, kind, value)
    except ConfigError as refused:
        raise error(str(refused)) from None


@cache
def hints_of(config: Any) -> dict[str, Any]:
    """Return the annotations of a dataclass, resolved, with what ``Annotated`` adds."""
    return get_type_hints(config, include_extras=True)


def _check(option: str, kind: Any, value: Any) -> None:
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        _check(option, args[0], value)
        for marker in args[1:]:
            if isinstance(marker, (Range, Names, Pairs, Several)):
                marker.check(option, value)
    elif origin in (Union, UnionType):
        kinds = [each for each in args if each is not NoneType and (value is not None or NoneType not in args)]
        for each in kinds:  # one value and several may stand beside each other
            if len(kinds) == 1 or (get_origin(each) is tuple) == isinstance(value, tuple):
                _check(option, each, value)
    elif origin is Literal:
        check_name(option, value, args)
    elif origin is tuple:
        _check_kind(isinstance(value, tuple | list), option, "a list of values", value)
        for each in value:
            _check(_SINGULAR.get(option, option.removesuffix("s")), args[0], each)
    elif kind is str:
        _check_kind(isinstance(value, str), option, "text", value)
    elif kind is int:
        _check_kind(isinstance(value, Integral) and not isinstance(value, bool), option, "a whole number", value)
    elif kind is float:
        _check_kind(isinstance(value, Real) and not isinstance(value, bool), option, "a number", value)
    elif kind is bool:
        _check_kind(isinstance(value, bool), option, "true or false", value)


def _check_kind(ok: bool, option: str, wanted: str, value: Any) -> None:
    check(ok, option, wanted, value if ok else named(str(value)))


def check(ok: bool, option: str, wanted: str, got: object) -> None:
    """Raise a ConfigError that names the option, what it must be and what it was, unless ``ok``."""
    if not ok:
        raise ConfigError(f"{option} must be {wanted}, got {got}")


def check_that(ok: bool, sentence: str) -> None:
    """Raise a ConfigError with this sentence, unless ``ok``."""
    if not ok:
        raise ConfigError(sentence)


def check_tuning_seeds(option: str, first: int, episodes: int) -> None:
    """Raise a ConfigError if episodes that something is chosen by or learned from reach into those of the tests."""
    wanted = f"zero or above, its last below {FIRST_TEST_SEED}"
    check(first >= 0 and first + episodes <= FIRST_TEST_SEED, option, wanted, first)


def check_name(option: str, name: str, names: Iterable[str], *, or_else: str = "") -> None:
    """Raise a ConfigError that lists the names there are, and what else may stand there, unless ``name`` is one."""
    known = list(names)
    if name not in known:
        other = f", or {or_else}" if or_else else ""
        raise ConfigError(f"unknown {option} {name!r}{did_you_mean(name, known)}; there are {', '.join(known)}{other}")


def did_you_mean(name: str, names: Iterable[str], *, before: str = "") -> str:
    """Return `` (did you mean ...?)`` with the nearest of these names; nothing where none is near.

    What stands ``before`` all of them, such as dashes, makes none nearer.
    """
    near = get_close_matches(str(name).removeprefix(before), [each.removeprefix(before) for each in names], n=1)
    return f" (did you mean {before}{near[0]}?)" if near else ""
