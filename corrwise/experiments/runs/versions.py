"""The versions that results depend on, and rows that must not be mixed."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from corrwise.experiments.runs.config_match import ConfigMismatch

__all__ = ["check_versions", "versions"]

_PACKAGES = ("mujoco", "torch", "torchvision", "numpy", "opencv-python-headless", "gymnasium", "dm-control")

Row = dict[str, Any]


def check_versions(out: Path, rows: list[Row]) -> None:
    """Refuse to add rows to those of another simulator or another torch: they could not be compared."""
    here = versions()
    for package in ("mujoco", "torch"):
        for there in ((row.get("versions") or {}).get(package, here[package]) for row in rows):
            if there != here[package]:
                raise ConfigMismatch(
                    f"{out} holds rows made with {package} {there}, and here is {here[package]}; choose another folder"
                )


@cache
def versions() -> dict[str, str]:
    """Return the versions that results depend on."""
    return {"corrwise": version("corrwise"), "python": platform.python_version()} | {
        package: version(package) for package in _PACKAGES
    }
