"""The contracts of distances, costs of trajectories and optical flows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from corrwise.testing.expectations import SIZE, expect, random_images, refuses, with_nan


def check_distance(distance: Callable[[Any, Any], Any], *, channels: int = 3) -> None:
    """Check an image distance (``corrwise.types.Distance``) at 32 pixels, float32, on the CPU.

    A distance returns one finite value per pair, independent of the other pairs: zero for equal images, more for
    different ones, and NaN exactly for pairs with NaN. Its gradient reaches the first image. It changes nothing in
    place, and refuses images of two sizes, batches or types.

    Args:
        distance: ``distance(x (*batch, C, h, w), y) -> (*batch)``.
        channels: of the images, C: 3 or 4 per view (``corrwise.types.Views``).

    Raises:
        AssertionError: a requirement is not met; the message names it.
    """
    import torch

    x, y = (random_images(6, seed=seed, channels=channels) for seed in (1, 2))
    before = x.clone(), y.clone()
    values = distance(x, y)
    expect(values.shape == (6,), f"reduce C, h and w and nothing else: expected (6,), got {tuple(values.shape)}")
    unchanged = torch.equal(x, before[0]) and torch.equal(y, before[1])
    expect(unchanged, "an image was changed in place: work on a copy")
    expect(values.isfinite().all(), f"return finite values for finite images, got {values.tolist()}")
    expect((values > 0).all(), f"return more than 0 for images that differ, got {values.tolist()}")
    same = distance(x, x)
    expect((same.abs() < 1e-5).all(), f"return 0 for equal images, got {same.tolist()}")

    grid = distance(x.reshape(2, 3, *x.shape[1:]), y.reshape(2, 3, *y.shape[1:]))
    expect(torch.allclose(grid, values.reshape(2, 3), rtol=1e-4), "leading axes change the values: keep *batch apart")
    expect(distance(x[0], y[0]).shape == (), "return a scalar tensor for images without leading axes")
    alone = torch.stack([distance(a, b) for a, b in zip(x, y, strict=True)])
    expect(torch.allclose(alone, values, rtol=1e-4), "a value depends on the pairs beside it: reduce each alone")
    flipped = distance(x.flip(0), y.flip(0))
    expect(torch.allclose(flipped, values.flip(0), rtol=1e-4), "a pair's value depends on its place in the batch")

    for broken in (with_nan(x, pixel=False), with_nan(x, pixel=True)):
        for first, second in ((broken, y), (y, broken)):
            nan = distance(first, second).isnan().tolist()
            expect(nan == [i == 2 for i in range(6)], f"NaN in image 2 must give NaN for pair 2 alone, got {nan}")

    inputs = x.clone().requires_grad_()
    distance(inputs, y).sum().backward()
    if inputs.grad is None:
        raise AssertionError("no gradient reaches the first image: do not detach it")
    expect(inputs.grad.isfinite().all(), "the gradient of the first image is not finite")
    reached = inputs.grad.abs().sum(dim=(1, 2, 3)) > 0
    expect(reached.all(), f"no gradient reaches some of the images: {reached.tolist()}")
    _refuses_pairs(distance, channels)


def check_cost(cost: Callable[[Any, Any], Any]) -> None:
    """Check a cost of trajectories (``corrwise.types.Cost``) at 32 pixels, float32, on the CPU.

    A cost returns one finite value per predicted frame: zero if the frame is the goal, more otherwise, and NaN exactly
    for frames with NaN. A value depends on its frame and its environment's goal alone, not on other candidates or
    earlier calls.

    Args:
        cost: ``cost(frames (B, N, T, C, h, w), Goal (B, G, C, h, w)) -> (B, N, T)``, lower is better.

    Raises:
        AssertionError: a requirement is not met; the message names it.
    """
    import torch

    from corrwise.types import Goal

    frames, goals = random_images(12, seed=1).reshape(2, 3, 2, 3, SIZE, SIZE), random_images(2, seed=2)[:, None]
    frames[1, 2, 0] = goals[1, 0]
    before, goal = (frames.clone(), goals.clone()), Goal(goals)
    costs = cost(frames, goal)
    expect(costs.shape == (2, 3, 2), f"return one value per frame: expected (2, 3, 2), got {tuple(costs.shape)}")
    expect(costs.isfinite().all(), f"return finite costs for finite frames, got {costs.tolist()}")
    expect(costs[1, 2, 0].abs() < 1e-5, f"a frame that shows the goal must cost 0, got {float(costs[1, 2, 0])}")
    expect((costs[1].flatten() > 1e-5).sum() == 5, "a frame that differs from the goal must cost more than 0")
    unchanged = torch.equal(frames, before[0]) and torch.equal(goals, before[1])
    expect(unchanged, "frames or goal were changed in place: work on a copy")

    def near(one: Any, two: Any) -> bool:
        return bool(torch.allclose(one, two, rtol=1e-4, atol=1e-6))

    expect(near(cost(frames[:, 1:2], goal), costs[:, 1:2]), "a candidate's cost depends on the candidates beside it")
    expect(near(cost(frames.flip(1), goal), costs.flip(1)), "a candidate's cost depends on its place")
    for row in range(2):
        alone = cost(frames[row : row + 1], Goal(goals[row : row + 1]))
        expect(near(alone, costs[row : row + 1]), "an environment's costs depend on the environments beside it")
    other = cost(frames, Goal(goals.flip(0)))
    expect(not near(other, costs), "another goal gives the same costs: a remembered goal must be known by identity")
    expect(near(cost(frames, goal), costs), "the same frames and goal cost something else when asked again")

    broken = frames.clone()
    broken[0, 1, 1, 1, 9, 11] = math.nan
    nan = cost(broken, goal).isnan()
    expect(nan[0, 1, 1] and nan.sum() == 1, "NaN in one frame must give NaN for that frame alone")
    refuses(lambda: cost(frames, Goal(goals[..., :16])), "a goal of another size than the frames was accepted")
    refuses(lambda: cost(frames, Goal(torch.cat([goals, goals[:1]]))), "goals of 3 environments were accepted for 2")


def check_flow(flow: Callable[[Any, Any], Any], *, still: bool = True, exact: bool = True) -> None:
    """Check an optical flow (``corrwise.types.Flow``) at 32 pixels, float32, on the CPU.

    A flow returns one finite field per pair, independent of the other pairs, and no motion for equal images. It accepts
    an empty batch. NaN in a pair changes no other pair. The optional method ``both`` agrees with two calls. Images of
    two sizes, batches or types are refused.

    Args:
        flow: ``flow(target (B, C, h, w), source) -> (B, 2, h, w)``, pixels.
        still: whether equal images must give no motion; False for random weights.
        exact: whether a pair's field must not depend on the other pairs to the last bit, instead of to a hundredth of a
            pixel.

    Raises:
        AssertionError: a requirement is not met; the message names it.
    """
    import torch

    from corrwise.types import BidirectionalFlow

    x, y = random_images(4, seed=1), random_images(4, seed=2)
    reference, shape = flow(x, y), (4, 2, SIZE, SIZE)
    expect(reference.shape == shape, f"return (B, 2, h, w): expected {shape}, got {tuple(reference.shape)}")
    expect(reference.dtype == x.dtype, f"return the images' type {x.dtype}, got {reference.dtype}")
    expect(reference.isfinite().all(), "return a finite field for finite images")
    if still:
        moved = float(flow(x, x).abs().max())
        expect(moved < 1e-3, f"equal images must not move, got {moved} px; for random weights pass still=False")

    def same(one: Any, two: Any) -> bool:
        return torch.equal(one, two) if exact else torch.allclose(one, two, atol=1e-2)

    hint = "" if not exact else "; if only in the last bits, pass exact=False"
    expect(same(flow(x.flip(0), y.flip(0)), reference.flip(0)), f"a pair's field depends on its place{hint}")
    alone = torch.cat([flow(a[None], b[None]) for a, b in zip(x, y, strict=True)])
    expect(same(alone, reference), f"a pair's field depends on the pairs beside it{hint}")
    none = flow(x[:0], y[:0])
    expect(none.shape == (0, *shape[1:]), f"no pairs must give {(0, *shape[1:])}, got {tuple(none.shape)}")
    if isinstance(flow, BidirectionalFlow):
        forward, backward = flow.both(x, y)
        expect(same(forward, reference), f"both(x, y)[0] must be flow(x, y){hint}")
        expect(same(backward, flow(y, x)), f"both(x, y)[1] must be flow(y, x){hint}")
    broken = with_nan(x, pixel=False)
    for pair, clean in (((broken, y), reference), ((y, broken), flow(y, x))):
        others = [0, 1, 3]
        expect(same(flow(*pair)[others], clean[others]), "NaN in one pair disturbs another")
    _refuses_pairs(flow)


def _refuses_pairs(function: Callable[[Any, Any], Any], channels: int = 3) -> None:
    x = random_images(2, seed=0, channels=channels)
    for wrong in (x[..., :16], x[:1], (255 * x).byte(), x.numpy(), x[0, 0]):
        what = f"{tuple(wrong.shape)} of {wrong.dtype} was accepted beside {tuple(x.shape)} of {x.dtype}"
        refuses(lambda wrong=wrong: function(x, wrong), what)  # type: ignore[misc]
