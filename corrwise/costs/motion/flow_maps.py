"""Maps of motion: the optical flow from each frame of a clip to the next, with its length as a third channel."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.costs._checks import check_images
from corrwise.types import Flow, has_gradient

__all__ = ["SIDE", "check_clips", "flow_maps"]

SIDE = 64.0  # px of the shorter side at which a length of 1 is one pixel


def flow_maps(
    flow: Flow, frames: Float[Tensor, "n T 3 h w"], *, side: float | int = SIDE
) -> Float[Tensor, "n T 3 h w"]:
    """Return the motion of clips as maps of the same shape, channels (u, v, length).

    Map t leads from each pixel of frame t to its place in frame t + 1, ``flow(frame t, frame t + 1)``: u to the right,
    v down. The last map is repeated, so that there are as many maps as frames. Lengths are in pixels of an
    image with a shorter side of ``side`` pixels, so that maps of one video agree at every size. Gradients reach the
    frames through the flow; the length of a vector of exactly zero has the gradient zero.

    Source: MoGAN, Appendix A, whose units are not stated.

    Args:
        flow: the estimator; real and generated clips need the same one.
        frames: in [0, 1], at least two of each clip.
        side: of the image whose pixels are the unit.

    Raises:
        TypeError: frames that are not floats.
        ValueError: frames of another shape or fewer than two, or a flow without gradients where the frames need one.
        FloatingPointError: a frame or a flow is not finite.
    """
    check_clips("frames", frames)
    clips, length, _, height, width = frames.shape
    if length < 2:
        raise ValueError(f"expected clips of at least 2 frames to have motion, got {length}")
    if not side > 0:
        raise ValueError(f"expected side above 0, got {side}")
    needed = torch.is_grad_enabled() and frames.requires_grad
    if needed and not has_gradient(flow):
        raise ValueError(_without_gradients(flow))
    _check_finite("frames", frames)
    field = flow(frames[:, :-1].flatten(0, 1), frames[:, 1:].flatten(0, 1))
    if needed and not field.requires_grad:  # such as that of a flow which is zero everywhere
        raise ValueError(_without_gradients(flow))
    if field.shape != (clips * (length - 1), 2, height, width):
        wanted = (clips * (length - 1), 2, height, width)
        raise ValueError(f"expected {type(flow).__name__} to return {wanted}, got {tuple(field.shape)}")
    field = field.to(frames.dtype).reshape(clips, length - 1, 2, height, width) * (side / min(height, width))
    _check_finite(f"the flow of {type(flow).__name__}", field)
    maps = torch.cat([field, torch.linalg.vector_norm(field, dim=2, keepdim=True)], dim=2)
    return torch.cat([maps, maps[:, -1:]], dim=1)


def check_clips(name: str, clips: Tensor) -> None:
    """Raise unless these are clips (n, T, 3, h, w) of floats.

    Raises:
        TypeError: not a tensor of floats.
        ValueError: another shape.
    """
    check_images(name, clips)
    if clips.ndim != 5 or clips.shape[2] != 3:
        raise ValueError(f"expected {name} of shape (n, T, 3, h, w), got {tuple(clips.shape)}")


def _without_gradients(flow: Flow) -> str:
    return (
        "expected a flow with gradients, such as tv-l1, learned or raft, because the frames need a gradient; "
        f"got {type(flow).__name__}, which has none"
    )


def _check_finite(name: str, values: Float[Tensor, "n T c h w"]) -> None:
    finite = values.detach().isfinite().flatten(2).all(dim=2)
    if not finite.all():
        clip, time = (int(each) for each in (~finite).nonzero()[0])
        raise FloatingPointError(f"{name} must be finite, but clip {clip} has another value at time {time}")
