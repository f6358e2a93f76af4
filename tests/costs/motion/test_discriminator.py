"""The motion discriminator: its contract, sizes, branches and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from corrwise.costs.motion import MotionDiscriminator, MotionDiscriminatorConfig
from corrwise.costs.motion.trunks import Place
from corrwise.testing import check_discriminator

TRUNKS = ("transformer", "conv")
SMALL = {"width": 16, "depth": 2, "heads": 2, "branch_width": 8}


def made(**options) -> MotionDiscriminator:
    torch.manual_seed(0)
    return MotionDiscriminator(MotionDiscriminatorConfig(**(SMALL | options)))


@pytest.mark.parametrize("trunk", TRUNKS)
def test_it_keeps_the_contract(trunk):
    check_discriminator(made(trunk=trunk))


@pytest.mark.parametrize("trunk", TRUNKS)
def test_another_size_and_length_of_whole_patches_is_taken(trunk):
    network = made(trunk=trunk)
    assert network(torch.rand(2, 3, 3, 16, 40)).shape == (2,)
    with pytest.raises(ValueError, match=r"multiples of 8, got \(12, 16\)"):
        network(torch.rand(2, 3, 3, 12, 16))


def test_places_are_those_of_the_image_at_every_size():
    torch.manual_seed(0)
    place = Place(8)
    coarse, fine = place(torch.zeros(1, 3, 4, 4, 1)), place(torch.zeros(1, 3, 12, 12, 1))
    torch.testing.assert_close(coarse, fine[:, 1::3, 1::3])  # the middle of each cell is that of nine smaller ones


@pytest.mark.parametrize("trunk", TRUNKS)
def test_computing_again_in_the_backward_pass_gives_the_same_gradients(trunk):
    plain, again = made(trunk=trunk), made(trunk=trunk, recompute=True)
    again.load_state_dict(plain.state_dict())
    grads = []
    for network in (plain, again):
        maps = torch.rand(2, 4, 3, 16, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
        network(maps).sum().backward()
        grads.append([maps.grad, *(each.grad for each in network.parameters())])
    for one, two in zip(*grads, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-6)


def test_computing_again_stores_less():
    def stored(network) -> int:
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.numel()) or x, lambda x: x):
            network(torch.rand(2, 4, 3, 16, 16))
        return sum(sizes)

    assert stored(made(depth=6, recompute=True)) < stored(made(depth=6)) / 2


def test_branches_are_spaced_evenly_and_each_one_counts():
    assert [MotionDiscriminatorConfig(depth=depth).taps for depth in (1, 2, 4, 16)] == [
        (1,),
        (1, 2),
        (1, 3, 4),
        (5, 11, 16),
    ]
    network, maps = made(depth=3, branches=(1, 3)), torch.rand(2, 3, 3, 16, 16)
    assert len(network.branches) == 2
    logits = network(maps)
    for branch in network.branches:
        changed = branch.token.data.clone()
        branch.token.data += 1
        assert not torch.equal(network(maps), logits)
        branch.token.data = changed


def test_another_trunk_is_taken():
    class PerMap(nn.Module):
        widths = (3,)

        def forward(self, maps):
            return (maps.movedim(2, -1).flatten(1, 3),)

    network = MotionDiscriminator(MotionDiscriminatorConfig(), PerMap())
    assert network(torch.rand(2, 3, 3, 8, 8)).shape == (2,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trunk": "unet"}, "unknown trunk 'unet'"),
        ({"width": 10, "heads": 4}, "width in multiples of 4 heads, got 10"),
        ({"branch_width": 10}, "branch_width in multiples of 4 heads, got 10"),
        ({"depth": 2, "branches": (1, 3)}, r"after blocks 1 to 2, in order, got \(1, 3\)"),
        ({"branches": (2, 1)}, "in order"),
        ({"span": 2}, "an odd span, .* got 2"),
        ({"depth": 0}, "depth must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_made_is_refused(options, message, unhooked):
    with pytest.raises(ValueError, match=message):
        MotionDiscriminatorConfig(**options)


def broken(change):
    network = made()
    return lambda maps: change(network, maps)


BROKEN = {
    "one logit per clip": lambda d, x: d(x)[:, None],
    "finite logits for": lambda d, x: d(x) / 0,
    "depends on the clips beside it": lambda d, x: d(x) - d(x).mean(),
    "order of the maps": lambda d, x: d(x) + d(x.flip(1)),
    "do not detach": lambda d, x: d(x.detach()),
    "reaches some of the maps": lambda d, x: d(torch.cat([x[:, :-1], x[:, -2:-1]], dim=1)),
    "NaN in clip 2": lambda d, x: d(x.nan_to_num()),
    "in place": lambda d, x: d(x.mul_(2) if not x.requires_grad else x),
}


@pytest.mark.parametrize("message", BROKEN)
def test_the_contract_names_what_is_wrong(message):
    with pytest.raises(AssertionError, match=message):
        check_discriminator(broken(BROKEN[message]))


def test_a_token_knows_the_maps_beside_its_own():
    trunk, seen = made(depth=1, span=3).trunk, torch.rand(1, 6, 3, 16, 16)
    entered = []
    trunk.enter.register_forward_hook(lambda module, inputs, output: entered.append(output))
    trunk(seen)
    seen[:, 2] += 1
    trunk(seen)
    changed = (entered[0] != entered[1]).flatten(2).any(dim=2)
    assert changed.tolist() == [[False, True, True, True, False, False]]
