"""A denoiser as the trunk of the motion discriminator: the teacher's own features, which learn on."""

from __future__ import annotations

import pytest
import torch

from corrwise.costs.motion import MotionDiscriminator, MotionDiscriminatorConfig, Trunk
from corrwise.predictors.generative.denoiser import Denoiser, DenoiserConfig
from corrwise.predictors.generative.denoiser_trunk import DenoiserTrunk
from corrwise.testing import check_discriminator
from tests.predictors.tiny_models import awake

BRANCHES = MotionDiscriminatorConfig(heads=2, branch_width=8)


def teacher(**options) -> Denoiser:
    torch.manual_seed(0)
    return awake(Denoiser(DenoiserConfig(**({"width": 4, "blocks": 1, "context": 2, "action_dim": 1} | options))))


def maps(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def test_it_keeps_the_contract_and_the_protocol():
    trunk = DenoiserTrunk(teacher())
    assert isinstance(trunk, Trunk)
    torch.manual_seed(0)
    check_discriminator(MotionDiscriminator(BRANCHES, trunk))


def test_tokens_are_the_features_from_which_the_teacher_predicts_the_map_that_follows():
    model, trunk = teacher(action_dim=0), DenoiserTrunk(teacher(action_dim=0), time=0.75)
    seen = maps(1, 4, 3, 16, 16)
    fine = trunk(seen)[-1].unflatten(1, (4, 8, 8)).movedim(-1, 2)[:, 3]
    images = 0.5 + seen / 8
    condition = model.condition(images[:, 1:3], torch.zeros(1, 2, 0))
    x_t = 0.75 * (images[:, 3] - images[:, 2]) / model.config.scale  # without noise
    expected = torch.nn.functional.pixel_shuffle(model.network.leave(fine), 2)
    torch.testing.assert_close(model.data(condition, x_t, torch.tensor([0.75])), expected)


def test_the_weights_begin_as_the_teacher_s_and_all_of_them_learn_while_it_stays():
    model = teacher()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(0)
    network = MotionDiscriminator(BRANCHES, DenoiserTrunk(model))
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    network(maps(2, 4, 3, 16, 16)).sum().backward()
    without = [name for name, each in network.named_parameters() if each.grad is None]
    assert without == []
    optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_map_is_seen_with_those_before_it():
    trunk, seen = DenoiserTrunk(teacher()), maps(1, 6, 3, 16, 16)
    tokens = trunk(seen)[0].unflatten(1, (6, 2, 2))
    seen[:, 1] += 1
    changed = (trunk(seen)[0].unflatten(1, (6, 2, 2)) != tokens).flatten(2).any(dim=2)
    assert changed.tolist() == [[False, True, True, True, False, False]]


def test_computing_again_in_the_backward_pass_gives_the_same_gradients():
    grads = []
    for recompute in (False, True):
        torch.manual_seed(0)
        network = MotionDiscriminator(BRANCHES, DenoiserTrunk(teacher(), recompute=recompute))
        seen = maps(2, 4, 3, 16, 16).requires_grad_()
        network(seen).sum().backward()
        grads.append([seen.grad, *(each.grad for each in network.parameters())])
    for one, two in zip(*grads, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-6)


def test_what_cannot_be_a_trunk_is_refused(unhooked):
    with pytest.raises(ValueError, match="images of 3 channels, as maps have, got 6"):
        DenoiserTrunk(teacher(channels=6))
    for time in (0, 1.5):
        with pytest.raises(ValueError, match=f"noise alone, to 1, got {time}"):
            DenoiserTrunk(teacher(), time=time)
    with pytest.raises(ValueError, match="reach above 0, got 0"):
        DenoiserTrunk(teacher(), reach=0)
    with pytest.raises(ValueError, match=r"multiples of 8, got \(12, 16\)"):
        DenoiserTrunk(teacher())(maps(1, 2, 3, 12, 16))
