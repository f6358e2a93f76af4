"""Matching and comparing in single precision at least: patches of whole levels are exact there, and in no half type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

__all__ = ["in_full_precision", "like_weights", "ordinary_defaults"]

_HALF_TYPES = (torch.float16, torch.bfloat16)

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def in_full_precision(function: FunctionT) -> FunctionT:
    """Run a function without autocast; tensors that are all of one half type go in as float32, and it comes out."""

    @wraps(function)
    def run(*args: Any, **named: Any) -> Any:
        tensors = [each for each in (*args, *named.values()) if isinstance(each, Tensor)]
        if not tensors:
            return function(*args, **named)  # which names what is wrong with that
        (dtype, *others) = {each.dtype for each in tensors}
        with torch.autocast(tensors[0].device.type, enabled=False):
            if dtype not in _HALF_TYPES or others:
                return function(*args, **named)
            wide = [_as(each, torch.float32) for each in args]
            return _as(function(*wide, **{name: _as(each, torch.float32) for name, each in named.items()}), dtype)

    return run  # type: ignore[return-value]


def like_weights(images: Tensor, network: nn.Module) -> Tensor:
    """Return images in the type of a network's weights, where it has any."""
    weights = next(network.parameters(), None)
    return images if weights is None else images.to(weights.dtype)


@contextmanager
def ordinary_defaults() -> Iterator[None]:
    """Make float32 tensors on the CPU where nothing else is asked for, whatever the user's own defaults are.

    For networks of other packages, whose calls name neither type nor device, and for weights that are float32.
    """
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    if dtype == torch.float32 and device.type == "cpu":
        yield
        return
    torch.set_default_dtype(torch.float32)
    try:
        with torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(dtype)


def _as(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, tuple):
        return tuple(_as(each, dtype) for each in value)
    return value.to(dtype) if isinstance(value, Tensor) else value
