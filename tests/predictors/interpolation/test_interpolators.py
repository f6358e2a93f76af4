"""Every interpolator keeps the contract, takes hidden pixels from the frame that shows them, and refuses bad input."""

import numpy as np
import pytest
import torch

import corrwise.predictors.interpolation
from corrwise.envs import Fleet
from corrwise.predictors.interpolation import INTERPOLATORS, Blend, HalfFlow, as_frames, make_interpolator
from corrwise.predictors.interpolation.half_flow import splat
from corrwise.testing import check_interpolator
from corrwise.types import FixedTimes, Interpolator
from tests.costs.images import ConstantFlow, body, texture
from tests.envs.worlds import simulator

OPTIONS = {  # how each registered one is made, and how many frames it takes
    "blend": ({}, 3),
    "half-flow": ({"flow": "dis"}, 3),
    "average": ({"flow": "dis", "steps": 2}, 2),
    "flavr": ({"width": 4, "context": 4, "outputs": 3}, 4),
}


def _made(name):
    torch.manual_seed(0)
    return make_interpolator(name, **OPTIONS[name][0])


@pytest.mark.parametrize("name", INTERPOLATORS)
def test_keeps_the_contract(name):
    frames = torch.stack([texture(2, seed=i) for i in range(OPTIONS[name][1])], dim=1)
    interpolator = _made(name)
    assert isinstance(interpolator, Interpolator)
    with torch.no_grad():
        check_interpolator(interpolator, frames, exact=name not in ("flavr", "average"))


def test_every_public_interpolator_is_registered():
    module = corrwise.predictors.interpolation
    assert all(getattr(module, INTERPOLATORS[name].__name__) is INTERPOLATORS[name] for name in INTERPOLATORS)
    assert set(OPTIONS) == set(INTERPOLATORS)


@pytest.mark.parametrize("name", INTERPOLATORS)
def test_bad_input_is_one_sentence(name, unhooked):
    interpolator, count = _made(name), OPTIONS[name][1]
    frames, times = texture(1, count, size=16), list(range(count))
    wanted = [interpolator.between[0]] if isinstance(interpolator, FixedTimes) else [0.5]
    for given, message in (
        ((frames[:, :1], [0], [0]), r"at least K = 2 times, got \(1, 1, 3, 16, 16\)"),
        ((frames[0], times, wanted), r"expected frames \(B, K, C, h, w\)"),
        ((frames, times[:-1], wanted), rf"a time for each of {count} frames, got {count - 1}"),
        ((frames, times[::-1], wanted), "expected times that increase, got"),
        ((frames, [0, *[float("nan")] * (count - 1)], wanted), "expected times that increase, got"),
        ((frames, times, [count - 0.5]), rf"within 0 to {count - 1}, which the frames span, got \[{count - 0.5}\]"),
    ):
        with pytest.raises(ValueError, match=message):
            interpolator(*given)
    with pytest.raises(TypeError, match=r"float tensor \(B, K, C, h, w\) in \[0, 1\], got torch.uint8"):
        interpolator((255 * frames).byte(), times, wanted)
    with pytest.raises(TypeError, match="got list"):
        interpolator(list(frames), times, wanted)


def test_images_of_two_sizes_are_no_clip():
    assert as_frames([torch.zeros(3, 8, 8)] * 2).shape == (1, 2, 3, 8, 8)
    with pytest.raises(ValueError, match=r"one size, got \(3, 8, 8\) and \(3, 8, 9\)"):
        as_frames([torch.zeros(3, 8, 8), torch.zeros(3, 8, 9)])
    with pytest.raises(ValueError, match="one size, got none"):
        as_frames([])


@pytest.mark.parametrize("name", ["average", "flavr"])
def test_fixed_times_are_named_when_others_are_wanted(name):
    frames = texture(1, OPTIONS[name][1], size=16)
    with pytest.raises(
        ValueError, match=r"makes the frames of times \(.*[01]\.5.*\) from those of \(0, 1.*\), shifted"
    ):
        _made(name)(frames, range(OPTIONS[name][1]), [0.1])
    with pytest.raises(ValueError, match="shifted and scaled, got"):  # three frames of a two-frame model, for one
        _made(name)(texture(1, 3, size=16), [0, 1, 2], [1.5])


def test_names_and_options_that_are_unknown():
    with pytest.raises(ValueError, match="unknown interpolator 'rife'; there are blend, half-flow, average, flavr"):
        make_interpolator("rife")
    with pytest.raises(ValueError, match=r"flow to be one of .*, got 'none'"):
        make_interpolator("half-flow", flow="none")
    with pytest.raises(ValueError, match=r"half-flow has no such options: .*'width'"):
        make_interpolator("half-flow", width=3)
    with pytest.raises(ValueError, match=r"flavr has no such options: .*'flow'"):
        make_interpolator("flavr", flow="dis")


def test_a_share_of_the_flow_moves_the_image_by_that_share():
    image = texture(1, size=32)
    frames = torch.stack([image, image.roll(8, -1)], dim=1)  # flow(first, second) is 8 px to the right
    for share, dx in ((0.25, 2), (0.5, 4), (0.75, 6)):
        made = HalfFlow(ConstantFlow((8.0, 0.0), (-8.0, 0.0)))(frames, [0, 1], [share])[:, 0]
        torch.testing.assert_close(made[..., 8:], image.roll(dx, -1)[..., 8:], atol=1e-5, rtol=0)


def test_several_views_are_interpolated_each_by_its_own_flow():
    one, other = (torch.stack([body(0, 0, seed=s), body(dx, 0, seed=s)], dim=1) for s, dx in ((0, 6), (1, 0)))
    flow = ConstantFlow((2.0, 0.0), (-2.0, 0.0))
    both = HalfFlow("dis")(torch.cat([one, other], dim=2), [0, 1], [0.5])
    apart = [HalfFlow("dis")(each, [0, 1], [0.5]) for each in (one, other)]
    torch.testing.assert_close(both, torch.cat(apart, dim=2))
    with pytest.raises(ValueError, match="3 channels to a view, without depth, got 4"):
        HalfFlow(flow)(torch.rand(1, 2, 4, 16, 16), [0, 1], [0.5])


def test_pixels_that_land_outside_or_nowhere_are_dropped():
    image = torch.ones(1, 3, 4, 4)
    flow = torch.zeros(1, 2, 4, 4)
    flow[:, 0, :, 0], flow[:, 0, :, 1] = -1.0, torch.nan
    colour, weight = splat(image, flow, torch.ones(1, 1, 4, 4))
    assert weight[0, 0, 0].tolist() == [0, 0, 1, 1]
    assert torch.equal(colour, weight.expand_as(colour))


class Exact:
    """Ground-truth flow between two states, as only a simulator knows it."""

    def __init__(self, forward, backward):
        self._fields = forward, backward

    def __call__(self, target, source):
        return self._fields[0]

    def both(self, x, y):
        return self._fields


@pytest.fixture(scope="module", params=["ant", "humanoid", "cartpole"])
def hidden_scene(request):
    """Frames before, between and after, the exact flows, and which pixels between one of the two frames alone shows."""
    world = simulator(request.param)
    fleet, drawn, states = Fleet(world, context_frames=2), torch.Generator().manual_seed(0), []
    fleet.reset(range(12))
    for _ in range(7):
        states.append(fleet.snapshot())
        fleet.step(2 * torch.rand(12, world.physics.action_dim, generator=drawn) - 1)
    before, between, after = (np.concatenate([states[i] for i in pair]) for pair in ((0, 2), (2, 4), (4, 6)))
    flows = Exact(*(world.renderer.correspondence(*pair)[0] for pair in ((before, after), (after, before))))
    shown = [world.renderer.correspondence(between, each)[1] for each in (before, after)]
    images = [world.render(each) for each in (before, between, after)]
    return images, flows, shown[0] ^ shown[1]


def _psnr(made, true, where):
    return float(-10 * torch.log10((made - true).square().mean(dim=1)[where].mean()))


def test_hidden_pixels_are_taken_from_the_frame_that_shows_them(hidden_scene):
    (before, between, after), flows, hidden = hidden_scene
    assert hidden.sum() > 30
    made = HalfFlow(flows)(torch.stack([before, after], dim=1), [0, 1], [0.5])[:, 0]
    moved = []
    for image, flow in ((before, flows(0, 0)), (after, flows.both(0, 0)[1])):  # each frame for itself
        colour, weight = splat(image, 0.5 * flow, torch.ones_like(image[:, :1]))
        moved.append(torch.where(weight > 1e-6, colour / weight.clamp(min=1e-6), image))
    averages = {"moved frames": (moved[0] + moved[1]) / 2, "frames": (before + after) / 2}
    gains = {name: _psnr(made, between, hidden) - _psnr(average, between, hidden) for name, average in averages.items()}
    print({name: round(gain, 2) for name, gain in gains.items()})
    assert min(gains.values()) >= 1.0, gains


def test_an_average_lowers_the_summed_distance_to_both_frames():
    frames = torch.stack([body(0, 0), body(4, 0)], dim=1)
    first, average = Blend(), make_interpolator("average", flow="dis", start=Blend(), steps=30, lr=0.01)
    sums = [
        sum(float(average.distance(each(frames, [0, 1], [0.5])[:, 0], frames[:, i])) for i in range(2))
        for each in (first, average)
    ]
    assert sums[1] < 0.8 * sums[0]
    for name, wrong in (("steps", -1), ("steps", 1e9), ("lr", 0.0), ("lr", float("nan")), ("start", "blend")):
        with pytest.raises(ValueError, match=name):
            make_interpolator("average", **{name: wrong})


def test_an_average_of_half_precision_is_that_of_single_precision():
    frames = torch.stack([body(0, 0), body(4, 0)], dim=1).half()
    average = make_interpolator("average", flow="dis", steps=3)
    made = average(frames, [0, 1], [0.5])
    assert made.dtype == torch.float16
    assert torch.allclose(made.float(), average(frames.float(), [0, 1], [0.5]), atol=1e-3)


def test_the_regulariser_of_an_average_needs_a_flow_with_gradients():
    assert not make_interpolator("average", distance="corr-l1:flow=tv-l1,form=reg").distance.detach_flow
    with pytest.raises(ValueError, match="needs a flow with gradients"):
        make_interpolator("average", distance="corr-l1:flow=dis,form=reg")


def test_an_average_is_the_same_where_gradients_are_off():
    frames = torch.stack([body(0, 0), body(4, 0)], dim=1)
    average = make_interpolator("average", flow="dis", steps=3)
    expected = average(frames, [0, 1], [0.5])
    with torch.inference_mode():
        made = average(frames * 1, [0, 1], [0.5])
    assert torch.equal(made, expected)


class Lazy(Blend):
    """A blend that breaks one promise."""

    def __init__(self, change):
        self._change = change

    def __call__(self, frames, times, wanted):
        return self._change(super().__call__, frames, times, wanted)


def _in_place(blend, frames, times, wanted):
    frames[0, 0] *= 0.5
    return blend(frames, times, wanted)


BROKEN = {
    "must lie in": lambda blend, frames, times, wanted: 2 * blend(frames, times, wanted),
    "one frame for each wanted time": lambda blend, frames, times, wanted: blend(frames, times, [*wanted, times[0]]),
    "changed in place": _in_place,
    "in the order": lambda blend, frames, times, wanted: blend(frames, times, sorted(wanted)),
    "only the ratios of times": lambda blend, frames, times, wanted: (
        blend(frames, times, wanted) + times[0] / 20
    ).clamp(0, 1),
    "depend on the environments beside it": lambda blend, frames, times, wanted: (
        blend(frames, times, wanted) * frames.amax() * (1 - 0.01 * len(frames))
    ),
    "a known time must have": lambda blend, frames, times, wanted: 0.9 * blend(frames, times, wanted),
    "before the first frame was accepted": lambda blend, frames, times, wanted: blend(
        frames, times, [max(time, times[0]) for time in wanted]
    ),
    "after the last frame was accepted": lambda blend, frames, times, wanted: blend(
        frames, times, [min(time, times[-1]) for time in wanted]
    ),
}


@pytest.mark.parametrize("message", BROKEN)
def test_a_broken_interpolator_is_caught(message):
    frames = torch.stack([texture(2, seed=i) for i in range(3)], dim=1)
    with pytest.raises(AssertionError, match=message):
        check_interpolator(Lazy(BROKEN[message]), frames)
