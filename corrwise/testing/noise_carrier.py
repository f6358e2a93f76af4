"""The contract of a noise carrier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corrwise.testing.expectations import expect, refuses

if TYPE_CHECKING:
    from corrwise.predictors.restoration import NoiseCarrier

_CHANNELS, _SIDE, _WARPS = 48, 24, 10


def check_noise_carrier(carrier: NoiseCarrier) -> None:
    """Check a noise carrier (``corrwise.predictors.restoration.NoiseCarrier``) along ten frames of moving planes.

    The first frame's noise has unit variance, and the covariance of its ``config``. A generator of one seed gives the
    same noise again. Nothing is changed in place, and a map of another size is refused. If it ``follows``, a scene that
    moves by whole pixels keeps its noise where it is visible; if it ``keeps_law``, variance and covariance are still
    those of the first frame after ten turns and shifts by parts of pixels.

    Raises:
        AssertionError: a promise is broken; the message names it.
    """
    import torch

    from corrwise.predictors.restoration import Affine, affine_maps, carried_noise

    size, center = (_SIDE, _SIDE), ((_SIDE - 1) / 2, (_SIDE - 1) / 2)

    def noise_of(step: Affine, seed: int = 0) -> list[Any]:
        generator = torch.Generator("cpu").manual_seed(seed)
        maps = affine_maps([step] * _WARPS, *size)
        return [each.clone() for each in carried_noise(carrier, maps, _CHANNELS, generator)]

    shift, turn = Affine.shift(2, -1), Affine.turn(4, center).after(Affine.shift(0.3, 0.4))
    shifted = noise_of(shift)
    for number, each in enumerate(shifted):
        kind = f"{tuple(each.shape)} of {each.dtype}"
        expect(kind == f"{(_CHANNELS, *size)} of torch.float32", f"return float32 noise (C, h, w), got {kind}")
        expect(each.isfinite().all(), f"the noise of frame {number} is not finite")
    _check_law(carrier, shifted[0], "of the first frame")
    for one, two in zip(shifted, noise_of(shift), strict=True):
        expect(torch.equal(one, two), "a generator of one seed must give the same noise: draw from it alone")
    expect(not torch.allclose(shifted[0], noise_of(shift, 1)[0], atol=0.1), "another seed must give other noise")

    first, *others = affine_maps([shift], *size)
    generator = torch.Generator("cpu").manual_seed(0)
    start = carrier.start(first, _CHANNELS, generator)
    before = start.values.clone()
    carrier.carry(start, others[0], generator)
    expect(torch.equal(start.values, before), "the last frame's noise was changed in place: work on a copy")
    small = next(affine_maps([], _SIDE - 1, _SIDE))
    refuses(lambda: carrier.carry(start, small, generator), "a map of another size than the noise was accepted")

    if carrier.follows:
        for number in range(1, _WARPS + 1):
            right, down = 2 * number, number  # it moves by (2, -1) a frame
            moved, was = shifted[number][:, : _SIDE - down, right:], shifted[0][:, down:, : _SIDE - right]
            error = float((moved - was).abs().max())
            expect(error < 1e-3, f"a scene that moved by ({right}, {-down}) px has other noise, by {error:.2g}")
    if carrier.keeps_law:
        _check_law(carrier, noise_of(turn)[-1], f"after {_WARPS} turns and shifts")


def _check_law(carrier: NoiseCarrier, noise: Any, when: str) -> None:
    """Check variance, and the correlation of neighbours along both axes, to six deviations of their estimates."""
    import torch

    from corrwise.predictors.restoration import kernel

    allowed = 6 * (2 / noise.numel()) ** 0.5 * (1 if carrier.config is None else 2.5)  # features are finitely many
    variance = float(noise.square().mean())
    expect(abs(variance - 1) < allowed, f"noise {when} must have unit variance, got {variance:.3f}")
    for x, y in ((1, 0), (0, 1)):
        step = torch.tensor([float(x), float(y)], dtype=torch.float32, device="cpu")
        wanted = 0.0 if carrier.config is None else float(kernel(step, carrier.config))
        got = float((noise[:, y:, x:] * noise[:, : _SIDE - y, : _SIDE - x]).mean())
        name = "0: it is white" if carrier.config is None else f"{wanted:.3f} of its kernel"
        expect(
            abs(got - wanted) < allowed, f"the covariance of pixels side by side {when} must be {name}, got {got:.3f}"
        )
