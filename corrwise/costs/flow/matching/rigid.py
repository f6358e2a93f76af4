"""Matches that move like their neighbours: what sets apart a limb's pixels when all limbs are similar.

A mean-field over the match costs. Matches that both directions agree on vote for the displacement around them, first in
a wide window and then in a narrow one; departing from it costs both ends of a match. Displacements, votes and quarters
of pixels are whole numbers below 2^24, so the result is the same to the bit whatever is matched beside a pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from corrwise.costs.flow.matching.match_costs import cheapest_columns, cheapest_rows, squares, take
from corrwise.costs.flow.matching.places import Chunk, Places, differing, paired_chunks, patches_of

__all__ = ["BodyGroup", "alike", "body_flows", "flattened", "foreground", "noise", "rigid_matches"]

AGREE = 2.25  # px^2; matches that lead back to within 1.5 px of where they came from may vote
QUARTER = 4.0  # steps of a pixel to which votes are rounded


@dataclass(frozen=True)
class Side:
    """One image's positions (x, y) in pixels, which of them are not padding, and their patches in 8-bit levels."""

    patches: Float[Tensor, "P n K"]
    positions: Float[Tensor, "P n 2"]
    valid: Bool[Tensor, "P n"]

    def within(self, window: int) -> Float[Tensor, "P n n"]:
        """Return 1 where two positions are at most ``window`` pixels apart along each axis."""
        xs, ys = self.positions.unbind(2)
        near = (xs[:, :, None] - xs[:, None]).abs_() <= window
        return near.logical_and_((ys[:, :, None] - ys[:, None]).abs_() <= window).float()


@dataclass(frozen=True)
class BodyGroup:
    """Pairs of images whose bodies are matched together.

    Attributes:
        first, second: the two sides.
        weight: what one pixel of displacement costs, in the norm of a patch in levels.
        rigidity: what one pixel of departure from the neighbours costs, in the same unit.
    """

    first: Side
    second: Side
    weight: float
    rigidity: float


def rigid_matches(
    group: BodyGroup, *, windows: tuple[int, ...], fills: tuple[int, ...]
) -> tuple[Float[Tensor, "P n 2"], Float[Tensor, "P m 2"]]:
    """Return the displacements of both sides, in pixels.

    Args:
        group: what to match.
        windows: half the width of the votes' windows, round by round, in pixels.
        fills: half the widths within which a displacement is replaced by the mean of those that both directions agree
            on; the first that has any. A match that does not come back thus is not trusted, and the mean is sub-pixel.
    """
    first, second = group.first, group.second
    left, right = squares(first.patches, second.patches, first.valid, second.valid)
    cost = torch.bmm(left, right).sqrt_()
    cost += _distances(first.positions, second.positions).mul_(group.weight)
    there, back = _cheapest(cost, first, second)
    for window in windows:
        ends, heard = _votes(first, there, _agreed(there, back, second), window)
        starts, answered = _votes(second, back, _agreed(back, there, first), window)
        total = _distances(first.positions + ends, second.positions).mul_(heard)
        total += _distances(first.positions, second.positions + starts).mul_(answered.transpose(1, 2))
        there, back = _cheapest(total.mul_(group.rigidity / 2).add_(cost), first, second)
    return (
        _filled(first, there, _agreed(there, back, second), fills),
        _filled(second, back, _agreed(back, there, first), fills),
    )


@dataclass(frozen=True)
class _Moves:
    index: Int64[Tensor, "P n"]
    by: Float[Tensor, "P n 2"]


def _cheapest(cost: Tensor, first: Side, second: Side) -> tuple[_Moves, _Moves]:
    row, column = cheapest_rows(cost), cheapest_columns(cost)[1]
    there = _Moves(row, take(second.positions, row) - first.positions)
    return there, _Moves(column, take(first.positions, column) - second.positions)


def _agreed(moves: _Moves, returns: _Moves, other: Side) -> Float[Tensor, "P n 1"]:
    """Return 1 where a match leads to one that leads back; padding on the other side never does."""
    error = (moves.by + take(returns.by, moves.index)).square().sum(dim=2)
    return ((error <= AGREE) & other.valid.gather(1, moves.index))[..., None].float()


def _mean(side: Side, moves: _Moves, agreed: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Return the agreed displacements' mean within the window, and how many they are (P, n, 1)."""
    votes = torch.cat((moves.by, torch.ones_like(agreed)), dim=2) * (agreed * side.valid[..., None])
    sums = torch.bmm(side.within(window), votes)
    return sums[..., :2] / sums[..., 2:].clamp_min(1), sums[..., 2:]


def _votes(side: Side, moves: _Moves, agreed: Tensor, window: int) -> tuple[Tensor, Tensor]:
    mean, count = _mean(side, moves, agreed, window)
    return (QUARTER * mean).round_().div_(QUARTER), (count > 0).float()


def _filled(side: Side, moves: _Moves, agreed: Tensor, fills: tuple[int, ...]) -> Tensor:
    result = moves.by
    for window in reversed(fills):
        mean, count = _mean(side, moves, agreed, window)
        result = torch.where(count > 0, mean, result)
    return result


def _distances(first: Tensor, second: Tensor) -> Tensor:
    """Return the distances of positions in quarters of pixels, exact before the root."""
    left, right = squares(QUARTER * first, QUARTER * second)
    return torch.bmm(left, right).sqrt_().div_(QUARTER)


LEVELS = 255
SAMPLES = 32  # to a side are enough to estimate brightness and contrast
TOLERANCES = (64, 32, 16, 12, 12)  # levels; how far apart pixels that show the same may be, round by round
SAME = 0.5  # share of the pixels that must agree: the scene is mostly still, or nothing can be concluded
GAIN = 2.0  # contrasts further apart than this are not one scene's
NOISE = 4.0  # times the median difference; above it, a difference is motion


def alike(x: Float[Tensor, "B C h w"], y: Float[Tensor, "B C h w"]) -> tuple[Tensor, Tensor]:
    """Return both images, in whole 8-bit levels over 255, with each channel's mean and contrast halfway between them.

    Mean and contrast are those of the pixels in which the images agree, estimated in a few rounds, so that the moving
    body does not take part. Where fewer than half of the pixels agree the images only are rounded. All sums are of
    integers in float64, and so are the same to the bit whatever is beside a pair; swapped images give swapped results.
    """
    first, second = (LEVELS * x).round(), (LEVELS * y).round()
    step = max(1, min(x.shape[2:]) // SAMPLES)
    few_first, few_second = (levels[..., ::step, ::step].double() for levels in (first, second))
    near, far = few_first, few_second
    for tolerance in TOLERANCES:
        agree = ((near - far).abs() <= tolerance).all(dim=1, keepdim=True).double()
        one, other = _lines(few_first, few_second, agree)
        near, far = one.of(few_first), other.of(few_second)
    return one.of(first).round_().div_(LEVELS), other.of(second).round_().div_(LEVELS)


def noise(x: Float[Tensor, "B C h w"], y: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 1 1 1"]:
    """Return the difference of a channel, in intensity, above which it is not noise: 0 where most pixels are equal."""
    largest = (x - y).abs().amax(dim=1).flatten(1)
    middle = largest.median(dim=1).values if largest.numel() else largest.new_zeros(len(largest))
    return NOISE * middle[:, None, None, None]


@dataclass(frozen=True)
class _Line:
    """``gain * (level - start) + end``, one of each a channel, (B, C, 1, 1)."""

    gain: Tensor
    start: Tensor
    end: Tensor

    def of(self, levels: Tensor) -> Tensor:
        moved = levels - self.start.to(levels.dtype)
        return moved * self.gain.to(levels.dtype) + self.end.to(levels.dtype)


def _lines(first: Tensor, second: Tensor, agree: Tensor) -> tuple[_Line, _Line]:
    """Return what takes the agreeing pixels' mean and contrast of either image halfway to the other's."""
    count = agree.sum(dim=(2, 3), keepdim=True)
    (mean_a, var_a), (mean_b, var_b) = (_moments(image, agree, count) for image in (first, second))
    # One level added: a plain image has no contrast. Two divisions: swapped images give swapped results to the bit.
    up, down = ((var_b + 1) / (var_a + 1)).sqrt(), ((var_a + 1) / (var_b + 1)).sqrt()
    sane = (count >= SAME * first.shape[2] * first.shape[3]) & (up < GAIN) & (down < GAIN)
    middle = (mean_a + mean_b) / 2
    end = torch.where(sane, middle, 0.0)
    one = _Line(torch.where(sane, up.sqrt(), 1.0), torch.where(sane, mean_a, 0.0), end)
    return one, _Line(torch.where(sane, down.sqrt(), 1.0), torch.where(sane, mean_b, 0.0), end)


def _moments(image: Tensor, agree: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    total = (image * agree).sum(dim=(2, 3), keepdim=True)
    squares = (image.square() * agree).sum(dim=(2, 3), keepdim=True)
    mean = total / count.clamp_min(1)
    return mean, (squares / count.clamp_min(1) - mean.square()).clamp_min(0)


BINS = 16  # shades of a channel
SHARE = 0.3  # of a colour's pixels that must differ. Bodies' colours reach 0.5 and more, the background's some 0.1
FEWEST = 0.03  # share of the differing pixels; a body holds about half of them, less beside noise
OUTLINE = 51.0  # levels by which being body or not sets pixels apart, beside their colours


def foreground(image: Float[Tensor, "B C h w"], differs: Bool[Tensor, "B h w"]) -> Bool[Tensor, "B h w"]:
    """Return where ``image`` differs from another and shows a colour that is mostly seen where they differ.

    What a body uncovers or hides differs too, but most of the background's pixels stay as they are. Where the body has
    the background's own colours, that is all of where the images differ. Counts are whole numbers, so an image's
    result is the same to the bit whatever is beside it. NaN counts as black.
    """
    image = image.detach()
    batch, bins = len(image), BINS ** image.shape[1]
    shades = (image.nan_to_num(0.0) * LEVELS).round().clamp(0, LEVELS).long() // ((LEVELS + 1) // BINS)
    colour = torch.zeros_like(shades[:, 0])
    for channel in shades.unbind(1):
        colour = BINS * colour + channel
    colour = colour.flatten(1)
    moving = torch.zeros(batch, bins, dtype=torch.float32, device=image.device)
    moving = moving.scatter_add(1, colour, differs.flatten(1).float())
    still = torch.zeros_like(moving).scatter_add(1, colour, (~differs).flatten(1).float())
    rare = moving >= SHARE * (moving + still)
    body = differs & rare.gather(1, colour).reshape(differs.shape)
    enough = body.sum(dim=(1, 2), keepdim=True) >= FEWEST * differs.sum(dim=(1, 2), keepdim=True)
    return torch.where(enough, body, differs)


def flattened(image: Float[Tensor, "B C h w"], body: Bool[Tensor, "B h w"]) -> Float[Tensor, "B C+1 h w"]:
    """Return the body's 8-bit levels about zero on a plain ground, and as one more channel its outline.

    Patches at a body's rim are then the same whatever is behind it.
    """
    levels = (LEVELS * image.detach()).float().round() - (LEVELS + 1) // 2
    inside = body[:, None]
    return torch.cat((torch.where(inside, levels, 0.0), OUTLINE * inside.float()), dim=1)


WINDOWS = (4, 16)  # the votes' windows: the image's longer side over 4 to either side of a pixel, then over 16
FILLS = (32, 16)  # the windows of the means in which a displacement ends


def body_flows(
    x: Float[Tensor, "B C h w"],
    y: Float[Tensor, "B C h w"],
    *,
    patch: int,
    penalty: float,
    rigidity: float,
    threshold: float,
    max_entries: int,
) -> tuple[Float[Tensor, "B 2 h w"], Float[Tensor, "B 2 h w"]]:
    """Return the flow of both directions, zero where the image shows no moving body; see ``AllPairsFlow``."""
    first, second = alike(x.detach(), y.detach())
    differs = differing(first, second, threshold=noise(first, second).clamp_min(threshold), reach=0)
    bodies = [foreground(image, differs) for image in (first, second)]
    patches = [patches_of(flattened(i, body), patch) for i, body in zip((first, second), bodies, strict=True)]
    places = Places(bodies[0]), Places(bodies[1])
    moves = [torch.zeros(each.total + 1, 2, dtype=torch.float32, device=x.device) for each in places]
    unit = LEVELS * sqrt(patch**2 * (x.shape[1] + 1))
    longer = max(x.shape[2:])
    windows, fills = (tuple(max(1, longer // part) for part in parts) for parts in (WINDOWS, FILLS))
    for chunks in paired_chunks(*places, max_entries):
        sides = [_side(*each) for each in zip(patches, places, chunks, strict=True)]
        group = BodyGroup(sides[0], sides[1], penalty * unit, rigidity * unit)
        for move, chunk, by in zip(moves, chunks, rigid_matches(group, windows=windows, fills=fills), strict=True):
            move[chunk.index] = by
    return places[0].scatter(moves[0]).to(x.dtype), places[1].scatter(moves[1]).to(x.dtype)


def _side(patches: Tensor, places: Places, chunk: Chunk) -> Side:
    return Side(places.patches_at(patches, chunk), places.positions(chunk), chunk.valid)
