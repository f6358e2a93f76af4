"""The command line's help must answer before torch is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

import corrwise.mpc


def test_configurations_do_not_import_torch():
    code = (
        "import sys, corrwise.mpc.config; from corrwise.mpc import AgentConfig, PLANNERS, PlannerSpec; "
        "PlannerSpec.parse('cem'), list(PLANNERS), 'cem' in PLANNERS; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_can_be_imported():
    for name in corrwise.mpc.__all__:
        assert getattr(corrwise.mpc, name).__name__ == name if name != "PLANNERS" else corrwise.mpc.PLANNERS
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = corrwise.mpc.Nothing
