"""Whether two configurations are the same, and a sentence about the first field that is not."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from corrwise._files import named
from corrwise._writing import RunFolderError

__all__ = ["ConfigMismatch", "compare_configs"]

_ABSENT = object()
_LONGEST = 300  # characters of a value in a sentence


class ConfigMismatch(RunFolderError):
    """The folder holds rows of another configuration."""


def compare_configs(out: Path, old: Any, new: Any, *, ignore: Collection[str] = ()) -> None:
    """Raise ``ConfigMismatch`` for the first field, by dotted name, that differs and is not ignored."""
    before, after = _flatten(old), _flatten(new)
    for name in [*after, *(n for n in before if n not in after)]:
        if any(name == skip or name.startswith(f"{skip}.") for skip in ignore):
            continue
        was, now = before.get(name, _ABSENT), after.get(name, _ABSENT)
        if was != now:
            raise ConfigMismatch(
                f"{out} holds rows of another configuration: {named(name)} is {_say(was)} there and {_say(now)} here; "
                "choose another output folder"
            )


def _flatten(obj: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(obj, dict) or (prefix and not obj):
        return {prefix: obj}
    return {name: leaf for key, value in obj.items() for name, leaf in _flatten(value, _join(prefix, key)).items()}


def _join(prefix: str, key: str) -> str:
    return f"{prefix}.{key}" if prefix else key


def _say(value: Any) -> str:
    text = "missing" if value is _ABSENT else json.dumps(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
