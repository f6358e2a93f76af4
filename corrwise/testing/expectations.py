"""Helpers of all contracts: assertions and test images."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

SIZE = 32  # pixels
ADVICE = "raise a ValueError or a TypeError that has both values in its message"


def expect(holds: Any, message: str) -> None:
    """Raise an ``AssertionError`` unless a requirement holds, also under ``python -O``, which drops ``assert``."""
    if not bool(holds):
        raise AssertionError(message)


def refuses(call: Callable[[], Any], what: str) -> None:
    """Check that a call refuses its input with a ValueError or a TypeError."""
    try:
        call()
    except (TypeError, ValueError):
        return
    except Exception as error:
        raise AssertionError(f"{what}, and failed with a {type(error).__name__}: {ADVICE}") from error
    raise AssertionError(f"{what}: {ADVICE}")


def random_images(count: int, *, seed: int, channels: int = 3) -> Any:
    """Return smooth random images, (count, channels, 32, 32) in [0, 1]."""
    import torch

    generator = torch.Generator("cpu").manual_seed(seed)
    coarse = torch.rand(count, channels, 8, 8, generator=generator, dtype=torch.float32, device="cpu")
    return torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear")


def with_nan(images: Any, *, pixel: bool) -> Any:
    """Return the images with NaN in the third one: everywhere, or in a single pixel."""
    images = images.clone()
    where = images[2, 1, 9, 11:12] if pixel else images[2]
    where[:] = math.nan
    return images
