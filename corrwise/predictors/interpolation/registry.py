"""The interpolators by name, and trained ones by their folder."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from corrwise._files import reading
from corrwise._network_size import check_network
from corrwise.predictors.interpolation.flavr import FLAVR
from corrwise.predictors.models.pretrained import CONFIG, about_model, typed_config
from corrwise.registry import INTERPOLATOR_PATHS, Registry
from corrwise.types import Interpolator

__all__ = [
    "INTERPOLATORS",
    "interpolation_config",
    "load_interpolator",
    "make_interpolation_model",
    "make_interpolator",
]

INTERPOLATORS: Registry[Any] = Registry(INTERPOLATOR_PATHS)


def make_interpolator(name: str, **options: Any) -> Interpolator:
    """Return an interpolator by name; the weights of a network are drawn from torch's global generator.

    Args:
        name: in ``INTERPOLATORS``.
        options: its arguments, such as ``flow="dis"``; of a network, the fields of its configuration.

    Raises:
        ValueError: an unknown name, options that it does not have, or a network that is too large.
    """
    if name not in INTERPOLATORS:
        raise ValueError(f"unknown interpolator {name!r}; there are {', '.join(INTERPOLATORS)}")
    kind = INTERPOLATORS[name]
    if kind is FLAVR:
        return make_interpolation_model(name, **options)
    try:
        made: Interpolator = kind(**options)
    except TypeError as error:
        raise ValueError(f"{name} has no such options: {error}") from error
    return made


def make_interpolation_model(name: str, **options: Any) -> FLAVR:
    """Return a fresh interpolating network by name, its weights drawn from torch's global generator.

    Raises:
        ValueError: see ``interpolation_config``, or one that is too large (``check_network``).
    """
    config = interpolation_config(name, **options)
    check_network(lambda: FLAVR(config))
    return FLAVR(config)


def interpolation_config(name: str, **options: Any) -> Any:
    """Return the configuration of an interpolating network by name.

    Raises:
        ValueError: an unknown name, options that it does not have, or values of another type than theirs.
    """
    if name != FLAVR.name:
        raise ValueError(f"expected an interpolating network, {FLAVR.name}, got {name!r}")
    return typed_config(FLAVR.config_type, name, options)


def load_interpolator(folder: str | PathLike[str]) -> FLAVR:
    """Return the interpolating network that a folder holds, in evaluation mode.

    Raises:
        FileNotFoundError, ValueError: see ``Pretrained.from_pretrained``.
    """
    name = about_model(folder)["model"]
    with reading(Path(folder) / CONFIG, "does not describe an interpolator"):
        interpolation_config(name)
    return FLAVR.from_pretrained(folder)
