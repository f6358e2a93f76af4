"""What is said of an option that cannot be used."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["ConfigError", "check", "check_name", "check_names", "check_that"]


class ConfigError(Exception):
    """An option that cannot be used, said in one sentence; no ValueError, which tyro would draw a box around."""


def check(ok: bool, option: str, wanted: str, got: object) -> None:
    """Raise a ConfigError that names the option, what it must be and what it was, unless ``ok``."""
    if not ok:
        raise ConfigError(f"{option} must be {wanted}, got {got}")


def check_that(ok: bool, sentence: str) -> None:
    """Raise a ConfigError with this sentence, unless ``ok``."""
    if not ok:
        raise ConfigError(sentence)


def check_name(option: str, name: str, names: Iterable[str]) -> None:
    """Raise a ConfigError that lists the names there are, unless ``name`` is one of them."""
    known = list(names)
    if name not in known:
        raise ConfigError(f"unknown {option} {name!r}; there are {', '.join(known)}")


def check_names(option: str, names: tuple[str, ...], known: Iterable[str]) -> None:
    """Raise a ConfigError unless these are different names, at least one, all of them known."""
    check(len(names) > 0, option, "at least one name", "none")
    for name in names:
        check_name(option, name, known)
    check(len(set(names)) == len(names), option, "different from each other", " ".join(names))
