"""What config.json says of a run."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

__all__ = ["settings_of"]


def settings_of(config: Any) -> dict[str, Any]:
    """Return a configuration's fields but for ``out``: a folder stays the same run wherever it is moved.

    The device is among them where it is not the CPU, on which rows were made before there was a choice.
    """
    return {
        name: value for name, value in asdict(config).items() if name != "out" and (name, value) != ("device", "cpu")
    }
