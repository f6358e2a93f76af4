"""What an option may say of itself in its field's metadata: a run's rows depend on all others."""

from __future__ import annotations

from typing import Any

__all__ = ["CHOOSES_ROWS", "SPEED_ONLY"]

SPEED_ONLY: dict[str, Any] = {"speed_only": True}
"""Metadata of an option that changes the speed, or files beside the rows, and never a number in a row."""

CHOOSES_ROWS: dict[str, Any] = {"chooses_rows": True}
"""Metadata of an option that says which rows there are, and changes none of them."""
