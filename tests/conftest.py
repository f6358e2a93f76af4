"""Under test, every jaxtyping shape in a signature is checked at run time, and waiting threads sleep."""

from __future__ import annotations

import os

import jaxtyping
import pytest
from hypothesis import HealthCheck, settings

# As the command line does, before torch is loaded: with threads that spin, one busy process beside the tests makes
# them many times slower.
if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & os.environ.keys():
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
jaxtyping.install_import_hook("corrwise", "beartype.beartype")
# A busy machine is no failure.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture
def unhooked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch the run-time shape checks off: what is raised is what a user meets."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
