"""A predictor of strides as one of control steps, and the clips that it learns from."""

import numpy as np
import pytest
import torch

from corrwise.predictors.interpolation import Blend, HalfFlow
from corrwise.predictors.interpolation.strided import ControlSteps, StridedClips, StridedPredictor
from corrwise.predictors.interpolation.times import check_fixed
from corrwise.predictors.models.registry import make_model
from corrwise.testing import check_predictor
from corrwise.types import Context, Predictor


class Counting:
    """Predicts images whose value is the sum of all actions so far, and notes what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, context, actions, *, steps=None, generators=None):
        steps = range(actions.shape[2]) if steps is None else steps
        self.asked.append((context, actions, list(steps)))
        sums = context.frames[:, None, -1:, :1, :1, :1] + actions.sum(-1).cumsum(2)[..., None, None, None]
        return sums[:, :, list(steps)].expand(-1, -1, -1, 3, 8, 8)


def blend(frames, times, wanted):
    """Interpolate linearly between two frames."""
    shares = [(t - times[0]) / (times[1] - times[0]) for t in wanted]
    return torch.stack([(1 - s) * frames[:, 0] + s * frames[:, 1] for s in shares], dim=1)


def scene(batch=2, candidates=3, horizon=6, context=5):
    """Return a context of increasing frames and constant actions, for which linear interpolation is exact."""
    frames = torch.arange(context, dtype=torch.float32)[None, :, None, None, None].expand(batch, -1, 3, 8, 8) / 100
    actions = torch.full((batch, candidates, horizon, 2), 0.01)
    return Context(frames, torch.full((batch, context - 1, 2), 0.01)), actions


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_constant_actions_give_the_frames_of_single_steps(stride):
    context, actions = scene()
    strided = StridedPredictor(Counting(), blend, stride)
    torch.testing.assert_close(strided(context, actions), Counting()(context, actions))
    assert isinstance(strided, Predictor)


def test_actions_of_a_stride_lie_side_by_side_and_the_last_is_held():
    context, _ = scene()
    actions = torch.arange(10.0).reshape(1, 1, 5, 2).expand(2, 1, -1, -1)
    inner = Counting()
    StridedPredictor(inner, blend, 2)(context, actions)
    assert inner.asked[0][1][0, 0].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 8, 9]]


def test_the_context_is_a_stride_apart_and_ends_with_now():
    context, actions = scene(context=5)
    inner = Counting()
    StridedPredictor(inner, blend, 3)(context, actions)
    seen = inner.asked[0][0]
    assert seen.frames[0, :, 0, 0, 0].tolist() == pytest.approx([0.0, 0.01, 0.04])  # the first is repeated in front
    assert seen.actions.shape == (2, 2, 6)
    assert seen.actions[0, 0, :4].tolist() == [0] * 4
    assert (seen.actions[0, 1] == 0.01).all()


def test_only_strides_around_the_wanted_steps_are_predicted():
    context, actions = scene(horizon=8)
    inner = Counting()
    strided = StridedPredictor(inner, pytest.fail, 2)
    assert strided(context, actions, steps=[7, 3]).shape == (2, 3, 2, 3, 8, 8)
    assert inner.asked[0][2] == [1, 3]


@pytest.mark.parametrize(("stride", "horizon"), [(2, 4), (2, 5), (3, 4)])
def test_a_trained_network_of_strides_keeps_the_contract_of_a_predictor(stride, horizon):
    torch.manual_seed(0)
    model = make_model("resnet3d", context=2, action_dim=stride, width=2, downs=2, blocks3d=1, blocks2d=1)
    strided = StridedPredictor(model.eval().requires_grad_(False), HalfFlow("dis"), stride)
    draw = torch.Generator().manual_seed(0)
    frames, done = torch.rand(2, 4, 3, 16, 16, generator=draw), torch.rand(2, 3, 1, generator=draw)
    actions = 2 * torch.rand(2, 3, horizon, 1, generator=draw) - 1
    check_predictor(strided, Context(frames, done, np.zeros((2, 4))), actions, exact=False)


def test_frames_of_one_stride_are_interpolated_together():
    context, actions = scene(horizon=8)
    calls = []

    def counted(frames, times, wanted):
        calls.append((list(times), list(wanted)))
        return Blend()(frames, times, wanted)

    frames = StridedPredictor(Counting(), counted, 4)(context, actions, steps=[6, 0, 3, 4, 2, 0])
    assert calls == [([0, 4], [1, 3]), ([4, 8], [5, 7])]
    torch.testing.assert_close(frames, Counting()(context, actions, steps=[6, 0, 3, 4, 2, 0]))


def test_a_horizon_without_one_stride_is_refused():
    context, actions = scene(horizon=2)
    with pytest.raises(ValueError, match="at least one stride of 3 control steps, got 2"):
        StridedPredictor(Counting(), blend, 3)(context, actions)


def test_metadata_states_what_a_trained_model_knows_in_control_steps(tmp_path):
    model = make_model("resnet3d", context=2, action_dim=6, width=2, downs=2, blocks3d=1, blocks2d=1)
    model.save_pretrained(tmp_path, {"stride": 3})
    steps = ControlSteps.of(tmp_path)
    assert steps == ControlSteps(stride=3, context=4, action_dim=2)
    assert isinstance(steps.predictor(model, "blend"), StridedPredictor)
    model.save_pretrained(tmp_path)
    assert ControlSteps.of(tmp_path) == ControlSteps(stride=1, context=2, action_dim=6)
    assert ControlSteps.of(tmp_path).predictor(model, "blend") is model


@pytest.mark.parametrize(
    ("stride", "message"),
    [
        (4, "expected actions of a stride of 4 control steps in .*, got 6 numbers"),
        (0, "expected a whole number from 1 as stride, got 0"),
        ("2", "expected a whole number from 1 as stride, got '2'"),
        (True, "expected a whole number from 1 as stride, got True"),
    ],
)
def test_a_stride_in_metadata_that_cannot_be_is_one_sentence(tmp_path, stride, message):
    model = make_model("resnet3d", context=2, action_dim=6, width=2, downs=2, blocks3d=1, blocks2d=1)
    model.save_pretrained(tmp_path, {"stride": stride})
    with pytest.raises(ValueError, match=message):
        ControlSteps.of(tmp_path)


def test_one_context_frame_and_no_steps():
    context, actions = scene(context=1)
    strided = StridedPredictor(Counting(), blend, 2)
    assert strided(context, actions, steps=[]).shape == (2, 3, 0, 3, 8, 8)
    assert strided(context, actions).shape == (2, 3, 6, 3, 8, 8)


@pytest.mark.parametrize("make", [lambda: StridedPredictor(Counting(), blend, 0), lambda: StridedClips(Clips(), 0)])
def test_a_stride_below_one_is_refused(make):
    with pytest.raises(ValueError, match=r"at least 1 (control )?step, got 0"):
        make()


class Middle:
    """An interpolator of the frame in the middle of two."""

    known, between = (0.0, 1.0), (0.5,)

    def __call__(self, frames, times, wanted):
        check_fixed(self, frames, times, wanted)
        return frames.mean(1, keepdim=True)


def test_fixed_times_that_are_not_those_of_the_stride_are_refused_at_once():
    context, actions = scene()
    torch.testing.assert_close(
        StridedPredictor(Counting(), Middle(), 2)(context, actions), Counting()(context, actions)
    )
    sentence = r"stride of 3 control steps: Middle makes .* \(0.5\) from those of \(0, 1\).* got \(1, 2\) from \(0, 3\)"
    with pytest.raises(ValueError, match=sentence):
        StridedPredictor(Counting(), Middle(), 3)
    assert StridedPredictor(Counting(), Middle(), 1).stride == 1


class Clips:
    """Two clips whose frames and actions are their own numbers."""

    size, action_dim, lengths = (8, 8), 1, [7, 2]

    def read(self, clip, start, stop):
        """Return frames with the value of their number."""
        number = np.arange(start, stop, dtype=np.uint8)
        return np.broadcast_to(number[:, None, None, None], (len(number), 8, 8, 3)), number[:-1, None].astype(
            np.float32
        )


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_strided_clips_show_every_frame_of_every_phase_once(stride):
    clips = StridedClips(Clips(), stride)
    assert clips.action_dim == stride
    for clip in range(2):
        seen = []
        for i in range(clip * stride, clip * stride + stride):
            if not clips.lengths[i]:
                continue
            frames, actions = clips.read(i, 0, clips.lengths[i])
            seen += frames[:, 0, 0, 0].tolist()
            for frame, joined in zip(frames[:, 0, 0, 0], actions, strict=False):
                assert joined.tolist() == list(range(frame, frame + stride))
        assert sorted(seen) == list(range(Clips.lengths[clip]))
