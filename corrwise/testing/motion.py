"""The contract of discriminators of motion."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from corrwise.testing.expectations import SIZE, expect, refuses


def check_discriminator(discriminator: Callable[[Any], Any], *, frames: int = 6, other: int = 9) -> None:
    """Check a discriminator of maps of motion (``corrwise.costs.motion``) at 32 pixels, float32, on the CPU.

    A discriminator returns one finite logit per clip, independent of the other clips. It sees every map and the order
    of the maps, takes clips of another length, and changes nothing in place. Its gradient reaches every map and is
    finite, also where nothing moves. NaN in a clip gives NaN for that clip alone. Other shapes are refused.

    Args:
        discriminator: ``discriminator(maps (n, T, 3, h, w)) -> (n,)``, higher for real motion.
        frames: maps of a clip.
        other: maps of the clips of another length; the same number where there is one length alone.

    Raises:
        AssertionError: a requirement is not met; the message names it.
    """
    import torch

    maps = _random_maps(4, frames)
    before = maps.clone()
    logits = discriminator(maps)
    expect(logits.shape == (4,), f"return one logit per clip: expected (4,), got {tuple(logits.shape)}")
    expect(torch.equal(maps, before), "the maps were changed in place: work on a copy")
    expect(logits.isfinite().all(), f"return finite logits for finite maps, got {logits.tolist()}")
    expect(discriminator(torch.zeros_like(maps)).isfinite().all(), "return finite logits where nothing moves")

    def near(one: Any, two: Any) -> bool:
        return bool(torch.allclose(one, two, rtol=1e-4, atol=1e-5))

    alone = torch.cat([discriminator(each[None]) for each in maps])
    expect(near(alone, logits), "a logit depends on the clips beside it: normalise within a clip")
    turned = discriminator(maps.flip(1))
    expect(not near(turned, logits), "the order of the maps changes no logit: give maps a place in time")
    longer = discriminator(_random_maps(2, other))
    expect(longer.shape == (2,), f"expected (2,) for clips of {other} maps, got {tuple(longer.shape)}")

    for inputs in (maps.clone().requires_grad_(), torch.zeros_like(maps).requires_grad_()):
        discriminator(inputs).sum().backward()
        if inputs.grad is None:
            raise AssertionError("no gradient reaches the maps: do not detach them")
        expect(inputs.grad.isfinite().all(), "the gradient of the maps is not finite")
        reached = inputs.grad.abs().amax(dim=(2, 3, 4)) > 0
        expect(reached.all(), f"no gradient reaches some of the maps: {reached.tolist()}")

    broken = maps.clone()
    broken[2, 1, 0, 9, 11] = math.nan
    nan = discriminator(broken).isnan().tolist()
    expect(nan == [i == 2 for i in range(4)], f"NaN in clip 2 must give NaN for clip 2 alone, got {nan}")
    refuses(lambda: discriminator(maps[0]), "maps without an axis of clips were accepted")
    refuses(lambda: discriminator(maps[:, :, :2]), "maps of two channels were accepted")


def _random_maps(clips: int, frames: int) -> Any:
    import torch

    generator = torch.Generator("cpu").manual_seed(frames)
    coarse = torch.randn(clips * frames, 2, 8, 8, generator=generator, dtype=torch.float32, device="cpu")
    field = torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear")
    return torch.cat([field, field.norm(dim=1, keepdim=True)], dim=1).reshape(clips, frames, 3, SIZE, SIZE)
