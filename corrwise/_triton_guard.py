"""Prevent the crash of triton and Mesa's software OpenGL in one process.

Each contains a copy of LLVM. Loaded before OpenGL draws, triton is safe; loaded afterwards, it ends the process with a
segmentation fault. torch loads it as soon as an optimizer is made. Therefore OpenGL renderers of this package load
triton first (``load_triton``). If other code has drawn already, every later ``import triton`` fails like that of a
package that is not installed, which torch handles.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["install", "load_triton", "mapped_llvm"]

_TRITON = "triton"
# File names of Mesa's drivers and the LLVM that they share. OpenGL's dispatchers (libGL, libEGL), NVIDIA's driver and
# packages that contain their own LLVM, such as numba, are harmless.
_LLVM = ("libLLVM", "swrast_dri", "libgallium", "libOSMesa")
_LOST = (
    "OpenGL has drawn in this process before triton was loaded, and the two crash in that order, so triton stays "
    "unloaded: torch.compile makes no GPU kernels in this process. To have both, import triton before anything draws."
)


def load_triton() -> None:
    """Load triton if it is installed and OpenGL has not drawn yet."""
    with contextlib.suppress(ImportError):
        import triton  # noqa: F401


def install() -> None:
    """Guard all later imports of triton; further calls have no effect."""
    if not any(isinstance(finder, _Guard) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Guard())


def mapped_llvm(maps: Path = Path("/proc/self/maps")) -> str | None:
    """Return the file name of a Mesa driver or its LLVM that this process has mapped; None if there is none."""
    try:
        lines = maps.read_text(errors="replace").splitlines()
    except OSError:
        return None
    files = (line.rsplit("/", 1)[1] for line in lines if "/" in line)
    return next((file for file in files if file.startswith(_LLVM)), None)


class _Guard(MetaPathFinder, Loader):
    """Finds triton only if it must not be loaded, and then refuses to load it."""

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != _TRITON or mapped_llvm() is None:
            return None
        return ModuleSpec(name, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        sys.modules[_TRITON] = None  # type: ignore[assignment]  # Python's mark for a module that cannot be imported
        warnings.warn(_LOST, RuntimeWarning, stacklevel=2)
        raise ModuleNotFoundError(_LOST, name=_TRITON)

    def exec_module(self, module: ModuleType) -> None:
        """Never reached: no module is created."""
