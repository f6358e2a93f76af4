"""Checks of shape, type and device at the package's border; they read metadata only, so nothing waits for a device."""

from __future__ import annotations

from typing import Any

from torch import Tensor

__all__ = [
    "check_batch_pair",
    "check_colour_images",
    "check_colours",
    "check_images",
    "check_one_view",
    "check_pair",
    "check_per_sample",
]


def check_images(name: str, images: Any) -> None:
    """Raise unless ``images`` is a floating tensor with at least the three axes C, h, w.

    Raises:
        TypeError: not a tensor, or a tensor of integers (uint8 images are converted by adapters).
        ValueError: fewer than three axes.
    """
    if not isinstance(images, Tensor):
        raise TypeError(f"expected {name} to be a float tensor (..., C, h, w) in [0, 1], got {type(images).__name__}")
    if not images.is_floating_point():
        raise TypeError(f"expected {name} to hold floats in [0, 1], got {images.dtype}: divide bytes by 255")
    if images.ndim < 3:
        raise ValueError(f"expected {name} of shape (..., C, h, w), got {tuple(images.shape)}")


def check_pair(x: Any, y: Any) -> None:
    """Raise unless ``x`` and ``y`` are images of one shape, type and device; nothing broadcasts, converts or moves.

    Raises:
        TypeError: see ``check_images``, or two different floating types.
        ValueError: fewer than three axes, two different shapes, or two different devices.
    """
    check_images("x", x)
    check_images("y", y)
    if x.shape != y.shape:
        raise ValueError(f"expected y of shape {tuple(x.shape)} like x, got {tuple(y.shape)}")
    _check_alike("x", x, "y", y)


def check_colours(images: Tensor) -> None:
    """Raise unless all channels of these images may be colours: up to 3, or 3 to each of several views.

    Twelve channels pass, though three views with depth have as many: that is for the caller to know.

    Raises:
        ValueError: any other number of channels, such as the 4 of a view with depth in metres.
    """
    channels = images.shape[-3]
    if channels > 3 and channels % 3:
        raise ValueError(f"expected colours, 3 channels to a view, got {channels}: PerView weights depth in metres")


def check_colour_images(images: Any, smallest: int) -> Tensor:
    """Return images with their leading axes flattened, (n, 3, h, w).

    Raises:
        TypeError: see ``check_images``.
        ValueError: not RGB images of at least so many pixels to a side.
    """
    check_images("images", images)
    check_one_view(images)
    if images.shape[-3] != 3 or min(images.shape[-2:]) < smallest:
        raise ValueError(f"expected RGB images (..., 3, h, w) of at least {smallest} px, got {tuple(images.shape)}")
    flat: Tensor = images.reshape(-1, *images.shape[-3:])
    return flat


def check_batch_pair(target: Any, source: Any) -> None:
    """Raise unless both are (B, C, h, w) images of one shape, type and device: what every flow estimator takes.

    Raises:
        TypeError: see ``check_images``, or two different floating types.
        ValueError: not four axes, more channels than the 3 of one view, two different shapes, or two different devices.
    """
    check_images("target", target)
    check_images("source", source)
    if target.ndim != 4:
        raise ValueError(f"expected target of shape (B, C, h, w), got {tuple(target.shape)}")
    check_one_view(target)
    if target.shape != source.shape:
        raise ValueError(f"expected source of shape {tuple(target.shape)} like target, got {tuple(source.shape)}")
    _check_alike("target", target, "source", source)


def check_one_view(images: Tensor) -> None:
    """Raise a ValueError for images of more channels than the 3 of one view."""
    if images.shape[-3] > 3:
        raise ValueError(f"expected one view of 3 channels, got {images.shape[-3]}: PerView compares view by view")


def check_per_sample(name: str, values: Any, batch: int) -> None:
    """Raise unless ``name`` returned one value per sample.

    Raises:
        ValueError: not a tensor, or a tensor of another shape than (batch,), e.g. one number for the whole batch.
    """
    got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
    if got != (batch,):
        raise ValueError(f"expected {name} to return one value per sample, of shape {(batch,)}, got {got}")


def _check_alike(first: str, x: Tensor, second: str, y: Tensor) -> None:
    if x.dtype != y.dtype:
        raise TypeError(f"expected {second} of {x.dtype} like {first}, got {y.dtype}")
    if x.device != y.device:
        raise ValueError(f"expected {second} on {x.device} like {first}, got {y.device}")
