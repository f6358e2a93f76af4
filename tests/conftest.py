"""Under test, every jaxtyping shape in a signature is checked at run time."""

from __future__ import annotations

import jaxtyping
import pytest

jaxtyping.install_import_hook("corrwise", "beartype.beartype")


@pytest.fixture
def unhooked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch the run-time shape checks off: what is raised is what a user meets."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
