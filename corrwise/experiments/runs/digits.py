"""Numbers as short as they need be: thousands of rows must stay a few megabytes."""

from __future__ import annotations

from typing import Any

__all__ = ["six_digits"]


def six_digits(value: Any) -> Any:
    """Return a number with six digits, a list of such numbers, and anything else as it is."""
    if isinstance(value, list):
        return [six_digits(each) for each in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
