"""Matching and comparing in single precision at least: patches of whole levels are exact there, and in no half type."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

__all__ = ["HALF_TYPES", "in_full_precision", "like_weights"]

HALF_TYPES = (torch.float16, torch.bfloat16)

MethodT = TypeVar("MethodT", bound=Callable[..., Any])


def in_full_precision(method: MethodT) -> MethodT:
    """Run a method of two images without autocast; images of a half type go in as float32, and their type comes out."""

    @wraps(method)
    def run(self: Any, x: Any, y: Any) -> Any:
        if not isinstance(x, Tensor) or not isinstance(y, Tensor):
            return method(self, x, y)  # which says what is wrong with them
        half = x.dtype in HALF_TYPES and y.dtype == x.dtype
        with torch.autocast(x.device.type, enabled=False):
            return _as(method(self, x.float(), y.float()), x.dtype) if half else method(self, x, y)

    return run  # type: ignore[return-value]


def like_weights(images: Tensor, network: nn.Module) -> Tensor:
    """Return images in the type of a network's weights, where it has any."""
    weights = next(network.parameters(), None)
    return images if weights is None else images.to(weights.dtype)


def _as(found: Any, dtype: torch.dtype) -> Any:
    if isinstance(found, tuple):
        return tuple(_as(each, dtype) for each in found)
    return found.to(dtype) if isinstance(found, Tensor) else found
