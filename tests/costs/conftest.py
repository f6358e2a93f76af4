import jaxtyping
import pytest


@pytest.fixture
def own_errors(monkeypatch):
    """Switch the run-time shape checks off: what remains are the messages that users see."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
