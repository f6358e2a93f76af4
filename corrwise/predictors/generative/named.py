"""Parts with a name and options, written as text: ``min-snr:gamma=5``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import inf
from typing import Any, ClassVar, TypeVar

from corrwise.costs.option_text import check_known, option_pairs, read_value, written
from corrwise.costs.presets import Option

__all__ = ["Named", "make_named", "option"]

PartT = TypeVar("PartT", bound="Named")


def option(default: float | int | str, low: float = -inf, high: float = inf, choices: tuple[Any, ...] = ()) -> Any:
    """Return a dataclass field that the text of a part can set, with its range (both ends included) or its choices."""
    return field(default=default, metadata={"option": Option(type(default), default, low, high, choices)})


@dataclass(frozen=True)
class Named:
    """A part with a name and options; ``str(part)`` is the text that makes it again.

    Attributes:
        name: the name in its registry.
    """

    name: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for name, each in _options(type(self)).items():
            each.check(name, getattr(self, name))

    def __str__(self) -> str:
        changed = [
            f"{name}={written(getattr(self, name))}"
            for name, each in _options(type(self)).items()
            if getattr(self, name) != each.default
        ]
        return self.name + (":" + ",".join(changed) if changed else "")


def make_named(what: str, registry: Mapping[str, type[PartT]], text: str) -> PartT:
    """Return the part that a text describes.

    Args:
        what: the kind of part, for the error's sentence.
        registry: the classes by name.
        text: ``name`` or ``name:option=value,option=value``.

    Raises:
        ValueError: an unknown name or option, or a value outside the option's range.
    """
    name, colon, rest = text.partition(":")
    check_known(what, name, registry)
    kind = registry[name]
    options = _options(kind)
    given = option_pairs(text, rest) if colon else {}
    for each in given:
        if not options:
            raise ValueError(f"{what} {name} has no options, got {each!r}")
        check_known(f"option of {name}", each, options)
    return kind(**{each: read_value(each, value, options[each]) for each, value in given.items()})


def _options(kind: type[Named]) -> dict[str, Option]:
    return {each.name: each.metadata["option"] for each in fields(kind) if "option" in each.metadata}
