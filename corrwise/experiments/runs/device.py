"""Where a command computes: a GPU when there is one, unless another is asked for."""

from __future__ import annotations

import torch

__all__ = ["device_named"]


def device_named(name: str, *, option: str) -> str:
    """Return "cuda" or "cpu" for "auto", "cuda" or "cpu".

    Args:
        name: what is asked for.
        option: the option by which it is, for the message.

    Raises:
        RuntimeError: a GPU is asked for, and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise RuntimeError(f"{option} cuda is asked for, and torch finds no GPU here; leave --{option} auto or say cpu")
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"
