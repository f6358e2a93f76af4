"""What is said of an option that cannot be used."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["FIRST_TEST_SEED", "ConfigError", "check", "check_name", "check_names", "check_that", "check_tuning_seeds"]

FIRST_TEST_SEED = 10_000  # of the planning table's frozen episodes; what is chosen or learned uses those below


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


def check_tuning_seeds(option: str, first: int, episodes: int) -> None:
    """Raise a ConfigError if episodes that something is chosen by or learned from reach into those of the tests."""
    wanted = f"zero or above, its last below {FIRST_TEST_SEED}"
    check(first >= 0 and first + episodes <= FIRST_TEST_SEED, option, wanted, first)


def check_name(option: str, name: str, names: Iterable[str], *, or_else: str = "") -> None:
    """Raise a ConfigError that lists the names there are, and what else may stand there, unless ``name`` is one."""
    known = list(names)
    if name not in known:
        other = f", or {or_else}" if or_else else ""
        raise ConfigError(f"unknown {option} {name!r}; there are {', '.join(known)}{other}")


def check_names(option: str, names: tuple[str, ...], known: Iterable[str]) -> None:
    """Raise a ConfigError unless these are different names, at least one, all of them known."""
    check(len(names) > 0, option, "at least one name", "none")
    for name in names:
        check_name(option, name, known)
    check(len(set(names)) == len(names), option, "different from each other", " ".join(names))
