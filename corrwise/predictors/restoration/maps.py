"""Maps along a video: where each pixel of a frame was in the frame before it, and in the first one that shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from corrwise.costs.flow import FLOWS
from corrwise.costs.flow.bidirectional import both_ways
from corrwise.costs.flow.consistency import occluded
from corrwise.costs.warp import warp
from corrwise.predictors.restoration.affine import Affine
from corrwise.types import Flow

__all__ = [
    "FrameMap",
    "affine_maps",
    "corners",
    "first_map",
    "flow_fields",
    "flow_maps",
    "pixel_grid",
    "sampled_at",
    "video_maps",
]

NEIGHBOURS = 2.0  # px; pixels side by side whose origins lie farther apart belong to different surfaces


@dataclass(frozen=True)
class FrameMap:
    """Where each pixel of a frame comes from.

    A pixel's origin is its place in the first frame of the video since when it has been visible without a break. A
    pixel that enters at the border continues the motion of the border pixel beside it, so that its origin lies outside
    that frame.

    Attributes:
        number: of the frame, 0 for the first.
        previous: the point (x, y) of the frame before.
        outside: which pixels were outside the frame before.
        hidden: which pixels were hidden in the frame before, though inside it.
        ahead: of each pixel of the frame before, the point (x, y) in this frame.
        kept: which pixels of the frame before this frame shows.
        origin: the number of the frame of the origin.
        points: the origin (x, y) in that frame.
    """

    number: int
    previous: Float[Tensor, "h w 2"]
    outside: Bool[Tensor, "h w"]
    hidden: Bool[Tensor, "h w"]
    ahead: Float[Tensor, "h w 2"]
    kept: Bool[Tensor, "h w"]
    origin: Int[Tensor, "h w"]
    points: Float[Tensor, "h w 2"]

    @property
    def visible(self) -> Bool[Tensor, "h w"]:
        """Which pixels the frame before shows."""
        return ~(self.outside | self.hidden)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.origin.shape[0], self.origin.shape[1]

    @property
    def traced(self) -> Bool[Tensor, "h w"]:
        """Which pixels lead back to a point inside the first frame."""
        return (self.origin == 0) & ~_outside(self.points, self.size)

    def cropped(self, height: int, width: int) -> FrameMap:
        """Return the map between frames without what is below or at the right; pixels that were there were outside."""
        previous, hidden, ahead, kept, origin, points = (
            each[:height, :width]
            for each in (self.previous, self.hidden, self.ahead, self.kept, self.origin, self.points)
        )
        outside, gone = (_outside(each, (height, width)) for each in (previous, ahead))
        return FrameMap(self.number, previous, outside, hidden & ~outside, ahead, kept & ~gone, origin, points)


def pixel_grid(height: int, width: int, *, device: torch.device | str = "cpu") -> Float[Tensor, "h w 2"]:
    """Return the centres (x, y) of all pixels; the first one's is (0, 0)."""
    ys = torch.arange(height, dtype=torch.float32, device=device)
    xs = torch.arange(width, dtype=torch.float32, device=device)
    return torch.stack((xs.expand(height, width), ys[:, None].expand(height, width)), dim=-1)


def first_map(height: int, width: int, *, device: torch.device | str = "cpu") -> FrameMap:
    """Return the map of a video's first frame: each pixel is its own origin.

    Raises:
        ValueError: no pixels.
    """
    if min(height, width) < 1:
        raise ValueError(f"expected a frame of at least 1 x 1 pixels, got {height} x {width}")
    grid = pixel_grid(height, width, device=device)
    no = torch.zeros(height, width, dtype=torch.bool, device=device)
    return FrameMap(0, grid, no, no, grid, ~no, no.long(), grid)


def affine_maps(
    steps: Iterable[Affine], height: int, width: int, *, device: torch.device | str = "cpu"
) -> Iterator[FrameMap]:
    """Return the map of each frame of a moving plane, the first frame included.

    Nothing is ever hidden, and what enters has its exact origin outside the first frame.

    Args:
        steps: the map from the second frame to the first, from the third to the second, and so on.
        height: of the frames in pixels.
        width: of the frames in pixels.
        device: of the maps.
    """
    last = first_map(height, width, device=device)
    grid, whole = last.previous, Affine()
    yield last
    for number, step in enumerate(steps, start=1):
        previous, ahead, whole = step(grid), step.inverse()(grid), whole.after(step)
        outside, gone = (_outside(each, (height, width)) for each in (previous, ahead))
        yield FrameMap(number, previous, outside, last.hidden, ahead, ~gone, last.origin, whole(grid))


def flow_maps(
    fields: Iterable[tuple[Float[Tensor, "2 h w"], Float[Tensor, "2 h w"]]],
    visible: Iterable[tuple[Bool[Tensor, "h w"], Bool[Tensor, "h w"]]] | None = None,
) -> Iterator[FrameMap]:
    """Return the map of each frame of a video from its flows, the first frame included.

    Only the last map is kept, so that a long video needs no more memory than a short one.

    Args:
        fields: of each pair of frames the two flows in pixels, channels (dx, dy): ``flow(later, earlier)`` on the later
            frame's grid, and ``flow(earlier, later)``, by which hidden pixels are detected.
        visible: of each pair which pixels of the later frame the earlier one shows, and the other way round, where that
            is known; without, pixels at which the two flows contradict each other are hidden.

    Raises:
        ValueError: no fields, fields that are not finite or not of one size, or masks for fewer or more pairs.
    """
    last: FrameMap | None = None
    pairs = zip(fields, repeat(None)) if visible is None else zip(fields, visible, strict=True)
    for number, ((later, earlier), seen) in enumerate(pairs, start=1):
        _check_fields(later, earlier, number, None if last is None else last.size)
        if last is None:
            last = first_map(*later.shape[1:], device=later.device)
            yield last
        last = _followed(last, later, earlier, seen)
        yield last
    if last is None:
        raise ValueError("expected a video of at least 2 frames, got flows of none")


def video_maps(frames: Iterable[Float[Tensor, "C h w"]], flow: str | Flow = "dis") -> Iterator[FrameMap]:
    """Return the map of each frame of a video, the first frame included, by an optical flow between neighbours.

    Frames are taken one after the other, so that a video may be streamed.

    Args:
        frames: in [0, 1].
        flow: a name in ``corrwise.costs.flow.FLOWS``, or a flow.

    Raises:
        ValueError: an unknown name, fewer than two frames, frames of different sizes, or a flow that is not finite.
    """
    return flow_maps(flow_fields(frames, flow))


def flow_fields(
    frames: Iterable[Float[Tensor, "C h w"]], flow: str | Flow
) -> Iterator[tuple[Float[Tensor, "2 h w"], Float[Tensor, "2 h w"]]]:
    """Return the flows of each pair of neighbours, as ``flow_maps`` takes them.

    Args:
        frames: in [0, 1].
        flow: a name in ``corrwise.costs.flow.FLOWS``, or a flow.

    Raises:
        ValueError: an unknown name, fewer than two frames, or frames of different sizes.
    """
    if isinstance(flow, str) and flow not in FLOWS:
        raise ValueError(f"expected flow to be one of {', '.join(FLOWS)}, got {flow!r}")
    return _fields(frames, FLOWS[flow]() if isinstance(flow, str) else flow)


@torch.no_grad()
def _fields(frames: Iterable[Tensor], flow: Flow) -> Iterator[tuple[Tensor, Tensor]]:
    before: Tensor | None = None
    count = 0
    for frame in frames:
        count += 1
        if before is not None:
            if frame.shape != before.shape:
                got = f"{tuple(before.shape)} and {tuple(frame.shape)}"
                raise ValueError(f"expected frames of one size, got {got} as frames {count - 2} and {count - 1}")
            later, earlier = both_ways(flow, frame[None], before[None])
            if later.shape[-2:] != frame.shape[-2:]:
                size, other = tuple(frame.shape[-2:]), tuple(later.shape[-2:])
                raise ValueError(f"expected a flow of the frames' size {size}, got one of {other}")
            yield later[0], earlier[0]
        before = frame
    if count < 2:
        raise ValueError(f"expected a video of at least 2 frames, got {count}")


def _check_fields(later: Tensor, earlier: Tensor, number: int, size: tuple[int, int] | None) -> None:
    for field in (later, earlier):
        if field.ndim != 3 or field.shape != later.shape or len(field) != 2 or size not in (None, field.shape[1:]):
            wanted = "flows (2, h, w) of one size" if size is None else f"flows (2, {size[0]}, {size[1]})"
            got = f"{tuple(later.shape)} and {tuple(earlier.shape)}"
            raise ValueError(f"expected {wanted} between frames {number - 1} and {number}, got {got}")
        if broken := int((~field.isfinite()).any(dim=0).sum()):
            raise ValueError(
                f"expected a finite flow between frames {number - 1} and {number}, got {broken} of "
                f"{field[0].numel()} pixels with NaN or infinity"
            )


def _followed(last: FrameMap, later: Tensor, earlier: Tensor, seen: tuple[Tensor, Tensor] | None) -> FrameMap:
    """Return the map of the next frame, composed with the last one where a pixel stays visible."""
    grid = pixel_grid(*last.size, device=later.device)
    previous = grid + later.permute(1, 2, 0)
    outside = _outside(previous, last.size)
    if seen is None:
        seen = ~occluded(later[None], earlier[None])[0], ~occluded(earlier[None], later[None])[0]
    hidden, kept = ~seen[0] & ~outside, seen[1]
    origin, points = _composed(last, previous)
    number = last.number + 1
    ahead = grid + earlier.permute(1, 2, 0)
    origin, points = origin.masked_fill(hidden, number), points.where(~hidden[..., None], grid)
    return FrameMap(number, previous, outside, hidden, ahead, kept, origin, points)


def _composed(last: FrameMap, at: Float[Tensor, "h w 2"]) -> tuple[Int[Tensor, "h w"], Float[Tensor, "h w 2"]]:
    """Return the origins of points of the last frame, between its pixels by their displacement.

    A point lies between four pixels. Those that belong to the nearest one's surface count with their bilinear weights:
    of the same origin frame, and not much farther from its origin than a neighbour is. Beyond the border a point moves
    like the border pixel beside it.
    """
    height, width = last.size
    inner = at.clamp(min=at.new_zeros(2), max=at.new_tensor([width - 1, height - 1]))
    origin, center = _taken(last, inner.round())
    total, weights = torch.zeros_like(at), torch.zeros_like(at[..., :1])
    for pixel, share in corners(inner):
        pixel = pixel.minimum(inner.ceil())  # one beyond the border has no weight
        frame, points = _taken(last, pixel)
        alike = (frame == origin) & ((points - center).norm(dim=-1) <= NEIGHBOURS)
        weight = (share * alike)[..., None]
        total, weights = total + weight * (points - pixel), weights + weight
    return origin, at + total / weights


def sampled_at(image: Float[Tensor, "C h w"], points: Float[Tensor, "h w 2"]) -> Float[Tensor, "C h w"]:
    """Return the values of an image at points (x, y), bilinearly; beyond the border those of the border."""
    moved = points - pixel_grid(*points.shape[:2], device=points.device)
    return warp(image[None], moved.permute(2, 0, 1)[None], padding="border")[0]


def corners(points: Float[Tensor, "*n 2"]) -> Iterator[tuple[Float[Tensor, "*n 2"], Float[Tensor, "*n"]]]:
    """Return the four pixels (x, y) between which points lie, each with its bilinear weight."""
    first = points.floor()
    part = points - first
    for x, y in ((0, 0), (1, 0), (0, 1), (1, 1)):
        across = part[..., 0] if x else 1 - part[..., 0]
        down = part[..., 1] if y else 1 - part[..., 1]
        yield first + first.new_tensor([x, y]), across * down


def _taken(last: FrameMap, pixels: Float[Tensor, "h w 2"]) -> tuple[Int[Tensor, "h w"], Float[Tensor, "h w 2"]]:
    x, y = pixels.long().unbind(-1)
    return last.origin[y, x], last.points[y, x]


def _outside(points: Float[Tensor, "h w 2"], size: tuple[int, int]) -> Bool[Tensor, "h w"]:
    """Return which points lie beyond the outer edges of the border pixels."""
    limits = points.new_tensor([size[1] - 0.5, size[0] - 0.5])
    return ~((points >= -0.5) & (points <= limits)).all(dim=-1)
