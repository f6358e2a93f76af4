"""Maps of motion: direction, units, gradients and refusals."""

from __future__ import annotations

import pytest
import torch

from corrwise.costs.flow import FLOWS
from corrwise.costs.motion import flow_maps


def moving_square(shift: int, *, size: int = 32, frames: int = 4, clips: int = 1) -> torch.Tensor:
    """Return clips of a textured square that moves to the right by ``shift`` pixels a frame."""
    generator = torch.Generator("cpu").manual_seed(0)
    texture = torch.rand(3, size // 4, size // 4, generator=generator)
    video = torch.full((clips, frames, 3, size, size), 0.1)
    for t in range(frames):
        left = size // 8 + shift * t
        video[:, t, :, size // 4 : size // 2, left : left + size // 4] = texture
    return video


def exact(shift: float):
    """Return a flow of one displacement to the right."""

    def flow(target, source):
        return torch.tensor([shift, 0.0]).reshape(1, 2, 1, 1) + 0 * target[:, :2]

    return flow


def test_a_map_leads_from_each_frame_to_the_next_to_the_right_and_the_last_is_repeated():
    maps = flow_maps(FLOWS["rigid"](), moving_square(2))
    inside = maps[:, :, :, 9:15, 7:11]
    assert maps.shape == (1, 4, 3, 32, 32)
    torch.testing.assert_close(inside[:, 0, 0], torch.full((1, 6, 4), 4.0))  # 2 px at 32 px are 4 px at 64 px
    torch.testing.assert_close(inside[:, 0, 1], torch.zeros(1, 6, 4))
    assert torch.equal(maps[:, -1], maps[:, -2])


def test_units_do_not_depend_on_the_size_but_on_the_side_that_is_asked_for():
    small, large = flow_maps(exact(1), torch.rand(1, 2, 3, 16, 24)), flow_maps(exact(2), torch.rand(1, 2, 3, 32, 48))
    torch.testing.assert_close(small[..., 0, 0], large[..., 0, 0])
    assert float(flow_maps(exact(1), torch.rand(1, 2, 3, 16, 24), side=16)[0, 0, 2, 0, 0]) == 1.0


def test_the_third_channel_is_the_length():
    maps = flow_maps(FLOWS["tv-l1"](), torch.rand(1, 3, 3, 16, 16))
    torch.testing.assert_close(maps[:, :, 2], maps[:, :, :2].norm(dim=2))


@pytest.mark.parametrize("name", ["tv-l1", "learned"])
def test_the_gradient_reaches_every_frame_and_is_finite_where_nothing_moves(name):
    frames = moving_square(2).requires_grad_()
    flow_maps(FLOWS[name](), frames)[:, :, 2].square().sum().backward()
    assert frames.grad.isfinite().all()
    assert (frames.grad.abs().sum(dim=(0, 2, 3, 4)) > 0).all()
    still = moving_square(0).requires_grad_()
    flow_maps(FLOWS[name](), still)[:, :, 2].sum().backward()
    assert still.grad.isfinite().all()


def test_a_flow_without_gradients_is_refused_by_name_only_where_the_frames_need_one():
    frames, flow = moving_square(2), FLOWS["dis"]()
    real = flow_maps(flow, frames)
    with torch.no_grad():
        assert torch.equal(flow_maps(flow, frames.clone().requires_grad_()), real)
    with pytest.raises(ValueError, match=r"a flow with gradients.*got DISFlow, which has none"):
        flow_maps(flow, frames.requires_grad_())
    with pytest.raises(ValueError, match=r"a flow with gradients.*got ZeroFlow, which has none"):
        flow_maps(FLOWS["zero"](), frames)


def test_what_is_not_finite_is_named():
    frames = moving_square(2, clips=3)
    frames[1, 2, 0, 5, 5] = torch.nan
    with pytest.raises(FloatingPointError, match=r"frames must be finite, .*clip 1 has another value at time 2"):
        flow_maps(exact(1), frames)
    with pytest.raises(
        FloatingPointError, match=r"the flow of function must be finite, .*clip 0 has another value at time 0"
    ):
        flow_maps(exact(torch.inf), moving_square(2))


@pytest.mark.parametrize(
    ("shape", "message"),
    [((2, 1, 3, 16, 16), "at least 2 frames"), ((4, 3, 16, 16), "shape"), ((1, 4, 6, 16, 16), "shape")],
)
def test_other_shapes_are_refused(shape, message, unhooked):
    with pytest.raises(ValueError, match=message):
        flow_maps(exact(1), torch.rand(shape))


def test_other_flows_are_refused(unhooked):
    with pytest.raises(ValueError, match="expected function to return"):
        flow_maps(lambda target, source: target, torch.rand(1, 2, 3, 16, 16))
    with pytest.raises(ValueError, match="side above 0"):
        flow_maps(exact(1), torch.rand(1, 2, 3, 16, 16), side=0)
