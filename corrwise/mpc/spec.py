"""Planners by name, with their options as text; free of torch, so that the command line's help answers at once."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, is_dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from corrwise.registry import PLANNER_PATHS, Registry
from corrwise.validation import did_you_mean

if TYPE_CHECKING:
    from corrwise.types import Planner

PLANNERS: Registry[Callable[..., Planner]] = Registry(PLANNER_PATHS)

_SIZES = ("action_dim", "horizon", "candidates", "iterations")
_KNOTS = ("knots", "interpolation")
Value = int | float | bool | str


def _registered(name: str) -> Callable[..., Planner]:
    if name not in PLANNERS:
        raise ValueError(f"unknown planner {name!r}{did_you_mean(name, PLANNERS)}; there are {', '.join(PLANNERS)}")
    return PLANNERS[name]


@dataclass(frozen=True)
class PlannerSpec:
    """Which planner, with which options: ``PlannerSpec.parse("icem:momentum=0.2,knots=4").build(6, horizon=12)``.

    Attributes:
        name: of a planner in ``PLANNERS``, or of user code.
        options: those that differ from the planner's defaults, and for any planner ``knots``, the number of control
            points between which actions are interpolated, and ``interpolation`` (zero, linear or cubic).
    """

    name: str
    options: Mapping[str, Value] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, *, find: Callable[[str], Callable[..., Planner]] = _registered) -> PlannerSpec:
        """Parse ``NAME`` or ``NAME:option=value,...``; dashes in options count as underscores.

        The planner is imported only where there are options to check.

        Args:
            text: a name, and options.
            find: returns the planner behind a name.

        Raises:
            ValueError: for an unknown planner, or an option that it does not have, that is given twice or whose value
                does not fit.
        """
        name, given = split(text)
        if not given:
            return cls(name)
        known = options_of(find(name))
        options: dict[str, Value] = {}
        for part in given.split(","):
            key, equals, value = part.partition("=")
            option = key.strip().replace("-", "_")
            if not equals:
                raise ValueError(
                    f"expected options of planner {name} as option=value, separated by commas, got {part!r}"
                )
            if option not in known:
                raise ValueError(f"planner {name} has no option {key.strip()!r}; its options are {', '.join(known)}")
            if option in options:
                raise ValueError(f"option {option} of planner {name} is given twice, as {options[option]} and {value}")
            options[option] = _value(option, value.strip(), known[option].annotation)
        different = {
            option: value for option, value in sorted(options.items()) if not _same(value, known[option].default)
        }
        spec = cls(name, different)
        sizes: dict[str, Any] = {"horizon": different.get("knots", 1), "candidates": 1, "iterations": 1}
        spec.build(1, find=find, **sizes)  # which checks the ranges
        return spec

    def __str__(self) -> str:
        """Return the text that ``parse`` reads: one text for one planner."""
        options = ",".join(f"{option}={value}" for option, value in sorted(self.options.items()))
        return f"{self.name}:{options}" if options else self.name

    def build(
        self, action_dim: int, *, find: Callable[[str], Callable[..., Planner]] = _registered, **sizes: int
    ) -> Planner:
        """Return the planner.

        Args:
            action_dim: numbers in an action.
            find: returns the planner behind a name.
            sizes: ``horizon``, ``candidates`` and ``iterations``; its defaults without them.

        Raises:
            ValueError: for an unknown planner, an option that is out of its range, or code that takes other
                arguments than a planner's.
        """
        make = find(self.name)
        options: dict[str, Any] = {option: value for option, value in self.options.items() if option not in _KNOTS}
        knots: Any = self.options.get("knots")
        if knots is None:
            if "interpolation" in self.options:
                raise ValueError(f"interpolation={self.options['interpolation']} needs a number of knots, got none")
            return _made(self.name, make, action_dim, **sizes, **options)
        from corrwise.mpc.knots import Knots

        if knots < 1:
            raise ValueError(f"knots must be at least 1, got {knots}")
        horizon = sizes.pop("horizon", None)
        if horizon is None:
            horizon = inspect.signature(make).parameters["horizon"].default
        spline: dict[str, Any] = {
            option: self.options[option] for option in ("interpolation",) if option in self.options
        }
        return Knots(_made(self.name, make, action_dim, horizon=knots, **sizes, **options), horizon, **spline)


def _made(name: str, make: Callable[..., Planner], action_dim: int, **arguments: Any) -> Planner:
    try:
        inspect.signature(make).bind(action_dim, **arguments)
    except TypeError as error:
        raise ValueError(
            f"planner {name} must take the number of actions and the keywords {', '.join(arguments)}: {error}"
        ) from error
    made = make(action_dim, **arguments)
    if missing := [method for method in ("init", "sample", "refit") if not hasattr(made, method)]:
        got = f"one of type {type(made).__name__} without {', '.join(missing)}"
        raise ValueError(f"{name} must make a planner with init, sample and refit, got {got}")
    return made


def split(text: str) -> tuple[str, str]:
    """Return name and options of ``NAME:option=value,...``; a name may have a colon of its own, as ``file.py:NAME``."""
    first, _, rest = text.partition(":")
    if first in PLANNERS:
        return first, rest
    name, colon, given = text.rpartition(":")
    return (name, given) if colon and "=" in given else (text, "")


def options_of(make: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the options of a planner by name, from the arguments that make it, and those that every planner has."""
    from corrwise.mpc.knots import Interpolation

    described = make.__init__ if isinstance(make, type) and not is_dataclass(make) else make  # type: ignore[misc]
    hints = get_type_hints(described)
    named = {
        name: each.replace(annotation=hints.get(name, type(each.default)))
        for name, each in inspect.signature(make).parameters.items()
        if name not in _SIZES and each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)
    }
    kind = inspect.Parameter.KEYWORD_ONLY
    return {
        **named,
        "knots": inspect.Parameter("knots", kind, default=None, annotation=int),
        "interpolation": inspect.Parameter("interpolation", kind, default="linear", annotation=Interpolation),
    }


def _same(value: Value, default: object) -> bool:
    return type(value) is type(default) and value == default


def _value(option: str, text: str, kind: Any) -> Value:
    """Return the value of a text, of the type in an annotation.

    Raises:
        ValueError: the text is no value of that type.
    """
    kinds = [each for each in get_args(kind) if each is not NoneType] if get_origin(kind) is not Literal else [kind]
    kind = kinds[0] if len(kinds) == 1 else kind
    wanted = {int: "a whole number", float: "a finite number", bool: "true or false"}.get(kind, "a word")
    try:
        if get_origin(kind) is Literal:
            wanted = " or ".join(map(str, get_args(kind)))
            return {str(name): name for name in get_args(kind)}[text]
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        if kind is int:
            return int(text)
        if kind is float and math.isfinite(float(text)):
            return float(text)
    except (KeyError, ValueError):
        pass
    else:
        if kind is not float:
            return text
    raise ValueError(f"option {option} must be {wanted}, got {text!r}")
