"""Under test, every jaxtyping shape in a signature is checked at run time, and waiting threads sleep."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import jaxtyping
import pytest
from hypothesis import HealthCheck, settings

# As the command line does, before torch is loaded: with threads that spin, one busy process beside the tests makes
# them many times slower.
if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & os.environ.keys():
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def _modules_with_shapes() -> list[str]:
    # The checks of a module without shapes, such as that of the rows, cost minutes and check no array.
    root = Path(__file__).resolve().parents[1]
    files = (path for path in (root / "corrwise").rglob("*.py") if "jaxtyping" in path.read_text())
    return [".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__") for path in files]


jaxtyping.install_import_hook(_modules_with_shapes(), "beartype.beartype")
# A busy machine is no failure.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture
def unhooked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch the run-time shape checks off: what is raised is what a user meets."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PIXEL = b"\x89PNG\r\n\x1a\n" + b"".join(
    _chunk(*each)
    for each in (
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0\0\0\0")),
        (b"IEND", b""),
    )
)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save figures as one pixel, for tests of other things: drawing is what takes longest."""
    from matplotlib.figure import Figure

    def save(figure: Figure, to: Any, **options: Any) -> None:
        del figure, options
        to.write(PIXEL) if hasattr(to, "write") else Path(to).write_bytes(PIXEL)

    monkeypatch.setattr(Figure, "savefig", save)
