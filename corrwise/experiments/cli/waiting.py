"""Threads of torch that sleep while they wait: those that spin take the time of every process beside them."""

from __future__ import annotations

import os
import sys

__all__ = ["POLICIES", "wait_passively", "waits"]

POLICIES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")  # any of them is the user's own choice


def wait_passively() -> bool:
    """Let OpenMP threads sleep while they wait, in this process and those it starts, and return whether that was new.

    It is left as it is where the environment says something about it, and where torch, whose threads it is about, has
    been loaded.
    """
    if "torch" in sys.modules or any(name in os.environ for name in POLICIES):
        return False
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    return True


def waits() -> tuple[bool, str]:
    """Return whether threads sleep while they wait, and the variable that says so."""
    said = {name: os.environ[name] for name in POLICIES if name in os.environ}
    # libgomp, which torch ships, counts spins; the count wins over the policy.
    spins = said.get("GOMP_SPINCOUNT")
    passive = (
        spins.strip() == "0" if spins is not None else said.get("OMP_WAIT_POLICY", "").strip().upper() == "PASSIVE"
    )
    return passive, " ".join(f"{name}={value}" for name, value in said.items())
