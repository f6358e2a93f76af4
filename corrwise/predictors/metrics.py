"""How good predicted frames are: PSNR, SSIM, errors of the gradient, LPIPS and ST-LPIPS with their weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from corrwise.costs import mse, ssim
from corrwise.costs.st_lpips import ShiftTolerantLPIPS

METRICS = ("psnr", "ssim", "sharpness")  # which all rows have
GRADIENT_ERROR = "gradient_error"  # which is always measured, too; older rows lack it
PERCEPTUAL = ("lpips", "st_lpips")  # which need weights
_LEAST = 1e-10  # mean squared error of a frame that is right to the bit, 100 dB
_MOVED = 0.04  # difference of a channel from which on a pixel counts as moved
_AROUND = 5  # pixels to a side around what moved
_TOGETHER = 32  # images that a network compares at a time
_LPIPS = "alexnet-owt-7be5be79.pth"  # torchvision's weights, where torch keeps downloads


def frame_metrics(
    predicted: Float[Tensor, "n T 3 h w"], true: Float[Tensor, "n T 3 h w"], last: Float[Tensor, "n 3 h w"]
) -> dict[str, Float[Tensor, "n T"]]:
    """Return each metric of every predicted frame.

    ``psnr`` in dB, of [0, 1]; ``ssim`` with a Gaussian window of 11 px, data range 1; ``sharpness``: the mean length of
    the brightness gradient around what has moved since the last frame of the context, and the true frame's, the smaller
    as a share of the larger (1 is as sharp; NaN where nothing has moved). It does not tell detail from noise: noise on
    a blurred frame raises it. ``gradient_error`` does: the mean over all pixels of the length of the difference between
    the two brightness gradients, in levels of 255 per pixel. Detail at its place lowers it, blur raises it, and so does
    noise. ``lpips`` and ``st_lpips``, lower is better,
    only where their weights are at hand (``lpips_if_present``, ``st_lpips``).

    Args:
        predicted: frames in [0, 1]; one that is not finite counts as black.
        true: the frames that followed.
        last: the last frame of the context.
    """
    predicted = predicted.where(predicted.isfinite().flatten(2).all(2)[..., None, None, None], 0.0)
    metrics = {
        "psnr": psnr(predicted, true),
        "ssim": 1 - 2 * ssim(predicted, true),
        "sharpness": _sharpness(predicted, true, last),
        GRADIENT_ERROR: gradient_error(predicted, true),
    }
    lpips, shift_tolerant = lpips_if_present(), st_lpips(predicted, true)
    if lpips is not None:
        metrics["lpips"] = lpips(predicted, true)
    return metrics if shift_tolerant is None else {**metrics, "st_lpips": shift_tolerant}


@cache
def lpips_if_present() -> Callable[[Tensor, Tensor], Tensor] | None:
    """Return LPIPS (AlexNet, version 0.1) if torchmetrics is installed and torch's downloads hold the weights.

    Nothing is downloaded.
    """
    if not (Path(torch.hub.get_dir()) / "checkpoints" / _LPIPS).is_file():
        return None
    try:
        from torchmetrics.functional.image.lpips import _NoTrainLpips
    except ImportError:
        return None
    network = _NoTrainLpips(net="alex").eval()

    def distance(predicted: Tensor, true: Tensor) -> Tensor:
        with torch.no_grad():
            values = network(2 * predicted.flatten(0, 1) - 1, 2 * true.flatten(0, 1) - 1)
        return values.reshape(predicted.shape[:2])

    return distance


def moved_psnr(
    made: Float[Tensor, "n 3 h w"], true: Float[Tensor, "n 3 h w"], known: Float[Tensor, "n K 3 h w"]
) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
    """Return the PSNR in dB over the pixels that moved, NaN where none has, and the share of these pixels.

    A pixel has moved if a channel differs by more than 0.04 between the true frame and any known one, or between two
    known ones.

    Args:
        made: frames in [0, 1]; one that is not finite counts as black.
        true: what they should be.
        known: the frames around them.
    """
    made = made.where(made.isfinite().flatten(1).all(1)[:, None, None, None], 0.0)
    every = torch.cat([known, true[:, None]], dim=1)
    moved = ((every.amax(dim=1) - every.amin(dim=1)) > _MOVED).any(dim=1)
    error = (made - true).square().mean(dim=1)
    count = moved.sum(dim=(1, 2))
    mean = torch.where(moved, error, 0).sum(dim=(1, 2)) / count  # NaN where none has
    return -10 * torch.log10(mean.clamp_min(_LEAST)), count / moved[0].numel()


@cache
def st_lpips_if_present() -> ShiftTolerantLPIPS | None:
    """Return shift-tolerant LPIPS (AlexNet) if the package that ships its weights is installed."""
    try:
        return ShiftTolerantLPIPS()
    except RuntimeError:
        return None


def st_lpips(made: Float[Tensor, "*n 3 h w"], true: Float[Tensor, "*n 3 h w"]) -> Float[Tensor, "*n"] | None:
    """Return shift-tolerant LPIPS, lower is better; None without its weights and for images that are too small.

    Args:
        made: frames in [0, 1], all of them finite.
        true: what they should be.
    """
    network = st_lpips_if_present()
    if network is None or min(true.shape[-2:]) < network.smallest:
        return None
    parts = zip(made.flatten(0, -4).split(_TOGETHER), true.flatten(0, -4).split(_TOGETHER), strict=True)
    with torch.no_grad():
        return torch.cat([network(one, two) for one, two in parts]).reshape(true.shape[:-3])


def psnr(made: Float[Tensor, "*n 3 h w"], true: Float[Tensor, "*n 3 h w"]) -> Float[Tensor, "*n"]:
    """Return the peak signal-to-noise ratio of images in [0, 1], in dB; 100 for equal images."""
    return -10 * torch.log10(mse(made, true).clamp_min(_LEAST))


def gradient_error(made: Float[Tensor, "*n 3 h w"], true: Float[Tensor, "*n 3 h w"]) -> Float[Tensor, "*n"]:
    """Return the mean length of the difference between two images' brightness gradients, in levels of 255 per pixel.

    Independent noise of mean zero, added to an image, raises it on average: a norm is convex.
    """
    (dx, dy), (true_dx, true_dy) = _slopes(made), _slopes(true)
    return 255 * ((dx - true_dx).square() + (dy - true_dy).square()).sqrt().mean(dim=(-2, -1))


def _sharpness(predicted: Tensor, true: Tensor, last: Tensor) -> Tensor:
    moved = ((true - last[:, None]).abs() > _MOVED).any(dim=2).float()
    around = F.max_pool2d(moved, _AROUND, stride=1, padding=_AROUND // 2)
    mine, wanted = ((_gradient(frames) * around).sum(dim=(-2, -1)) for frames in (predicted, true))
    return torch.where(wanted > 0, torch.minimum(mine, wanted) / torch.maximum(mine, wanted), torch.nan)


def _gradient(frames: Tensor) -> Tensor:
    """Return the length of the gradient of the brightness, (n, T, h, w)."""
    dx, dy = _slopes(frames)
    return (dx.square() + dy.square()).sqrt()


def _slopes(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Return the derivatives of the brightness along x and y, by central differences, (*n, h, w)."""
    mean = frames.mean(dim=-3)
    brightness = F.pad(mean.reshape(-1, 1, *mean.shape[-2:]), (1, 1, 1, 1), mode="replicate")[:, 0]
    dx = (brightness[..., 1:-1, 2:] - brightness[..., 1:-1, :-2]) / 2
    dy = (brightness[..., 2:, 1:-1] - brightness[..., :-2, 1:-1]) / 2
    return dx.reshape(mean.shape), dy.reshape(mean.shape)
