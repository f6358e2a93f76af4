"""What a run's rows depend on: the settings that differ from a frozen schema's defaults, and versions.

``defaults.json`` has the defaults that every option had when it was new. A setting that is not named there, or in an
older ``config.json``, has its option's default: a new option changes no run that was made before it. A default that is
changed later changes no old run either, because the frozen one stays. ``tools/freeze_defaults.py`` adds new options.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import MISSING, Field, asdict, fields, is_dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, get_type_hints

from corrwise._files import local_path, named, parse_json
from corrwise._writing import RunFolderError, jsonable

Row = dict[str, Any]
_ABSENT = object()
_FREE = {"speed_only", "chooses_rows"}  # see cli.options
_LONGEST = 300  # characters of a value in a sentence
_PACKAGES = ("mujoco", "torch", "torchvision", "numpy", "opencv-python-headless", "gymnasium", "dm-control")


class ConfigMismatch(RunFolderError):
    """The folder holds rows of another configuration."""


class Settings(Row):
    """The content of a run's config.json, and which of its settings the rows depend on.

    Args:
        values: anything JSON can hold, nested; a value inside has a dotted name (``planner.samples``).
        defaults: by dotted name, the value of a setting that is not stated.
        free: names of settings, or of whole subtrees, that never change a row.
        evidence: names of settings that are compared only where both sides have them.
        normal: by dotted name, a function that maps all spellings of a value to one.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        *,
        defaults: Mapping[str, Any] | None = None,
        free: Collection[str] = (),
        evidence: Collection[str] = (),
        normal: Mapping[str, Callable[[Any], Any]] | None = None,
    ) -> None:
        super().__init__(values)
        self.defaults, self.free, self.evidence = dict(defaults or {}), frozenset(free), frozenset(evidence)
        self.normal = dict(normal or {})

    def with_values(
        self,
        values: Mapping[str, Any],
        *,
        defaults: Mapping[str, Any] | None = None,
        free: Collection[str] = (),
        counted: Collection[str] = (),
        evidence: Collection[str] = (),
        normal: Mapping[str, Callable[[Any], Any]] | None = None,
    ) -> Settings:
        """Return the same settings with more values, and more defaults, free, counted after all, evidence or normal."""
        return Settings(
            {**self, **values},
            defaults={**self.defaults, **(defaults or {})},
            free=(self.free | set(free)) - set(counted),
            evidence=self.evidence | set(evidence),
            normal={**self.normal, **(normal or {})},
        )


def settings_of(config: Any, command: str = "") -> Settings:
    """Return the settings of a dataclass of options, without ``out``: a folder that was moved is the same run.

    Fields with ``speed_only`` or ``chooses_rows`` in their metadata are free; paths are resolved before comparison.

    Args:
        config: the options.
        command: the frozen defaults of this command apply; "" for none.
    """
    frozen = frozen_defaults().get(command, {})
    hints = get_type_hints(type(config))
    marked = [each for each in fields(config) if each.metadata.keys() & _FREE]
    excluded = {"out", *(each.name for each in marked if _is_group(config, each))}
    values = {name: value for name, value in asdict(config).items() if name not in excluded}
    paths = [each.name for each in fields(config) if hints[each.name] in (Path, tuple[Path, ...])]
    free = [name for name, each in _all_fields(config) if each.metadata.keys() & _FREE]
    return Settings(
        values,
        defaults={**_flatten(jsonable(_defaults(type(config)))), **frozen.get("defaults", {})},
        free=[*free, *frozen.get("free", ())],
        normal=dict.fromkeys(paths, place),
    )


def differences(settings: Settings) -> Row:
    """Return, by dotted name, the settings that differ from their defaults: rows depend on these.

    Free settings are left out, and so is evidence, which rows of older versions lack.
    """
    values = {name: _normal(settings, name, value) for name, value in _flatten(jsonable(settings)).items()}
    usual = {name: _normal(settings, name, value) for name, value in settings.defaults.items()}
    return {
        name: value
        for name, value in sorted(values.items())
        if not _under(name, settings.free | settings.evidence) and usual.get(name, _ABSENT) != value
    }


def fingerprint(settings: Settings) -> str:
    """Return a hash of the settings that rows depend on; 3 and 3.0 are the same setting."""
    text = json.dumps({name: _whole(value) for name, value in differences(settings).items()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def compare_settings(out: Path, old: Any, new: Mapping[str, Any]) -> None:
    """Raise ``ConfigMismatch`` for the first setting that rows depend on and that differs in ``old``, a config.json."""
    new = new if isinstance(new, Settings) else Settings(new)
    before, after = _flatten(old), _flatten(jsonable(new))
    for name in [*after, *(name for name in before if name not in after)]:
        if _under(name, new.free) or (_under(name, new.evidence) and not (name in before and name in after)):
            continue
        was, now = (_normal(new, name, each.get(name, new.defaults.get(name, _ABSENT))) for each in (before, after))
        if was != now:
            raise ConfigMismatch(
                f"{out} holds rows of another configuration: {named(name)} is {_shown(was)} there and {_shown(now)} "
                "here; choose another output folder"
            )


def place(path: Any) -> Any:
    """Return the resolved path of a folder, or of a dataset such as ``kitti:FOLDER``."""
    if isinstance(path, list | tuple):
        return [place(each) for each in path]
    if not isinstance(path, str | os.PathLike):
        return path
    kind, colon, rest = os.fspath(path).rpartition(":")
    return f"{kind}{colon}{local_path(rest).resolve()}"


@cache
def frozen_defaults() -> dict[str, dict[str, Any]]:
    """Return the frozen schema: for each command its ``defaults`` by dotted name, and the names that are ``free``."""
    data: dict[str, dict[str, Any]] = parse_json((files("corrwise.experiments.runs") / "defaults.json").read_bytes())
    return data


@cache
def versions() -> dict[str, str]:
    """Return the versions that results depend on."""
    return {"corrwise": version("corrwise"), "python": platform.python_version()} | {
        package: version(package) for package in _PACKAGES
    }


def _defaults(kind: type) -> Row:
    """Return the default options of a dataclass."""
    made: Row = {}
    for each in fields(kind):
        value = each.default if each.default_factory is MISSING else each.default_factory()
        if value is not MISSING:
            made[each.name] = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    made.pop("out", None)
    return made


def _all_fields(config: Any, prefix: str = "") -> Iterable[tuple[str, Field[Any]]]:
    """Yield the fields of a dataclass and of those inside it, by dotted name."""
    for each in fields(config):
        yield prefix + each.name, each
        if _is_group(config, each):
            yield from _all_fields(getattr(config, each.name), f"{prefix}{each.name}.")


def _is_group(config: Any, each: Field[Any]) -> bool:
    """Whether a field holds options of its own."""
    return is_dataclass(getattr(config, each.name))


def _normal(settings: Settings, name: str, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_normal(settings, name, each) for each in value]
    spelled = isinstance(value, str | os.PathLike)  # an edited file may hold any other type
    return settings.normal[name](value) if spelled and name in settings.normal else value


def _whole(value: Any) -> Any:
    """Return a value with whole numbers as such."""
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _under(name: str, names: Collection[str]) -> bool:
    """Whether a dotted name is one of these or inside one."""
    return any(name == each or name.startswith(f"{each}.") for each in names)


def _flatten(obj: Any, prefix: str = "") -> Row:
    if not isinstance(obj, dict) or (prefix and not obj):
        return {prefix: obj}
    return {
        name: leaf
        for key, value in obj.items()
        for name, leaf in _flatten(value, f"{prefix}.{key}" if prefix else key).items()
    }


def _shown(value: Any) -> str:
    text = "missing" if value is _ABSENT else json.dumps(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
