"""FLAVR: the published network, windows with a gap, and how they are varied."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from corrwise.costs import l1, mse
from corrwise.predictors.data import Batch
from corrwise.predictors.interpolation import FLAVR, FLAVRConfig, load_interpolator, make_interpolator
from corrwise.predictors.interpolation.flavr import window_places
from corrwise.predictors.training import Augmentation, FrameInterpolation, FramePrediction, WarmStart
from corrwise.predictors.training.frame_interpolation import augmented

SMALL = FLAVRConfig(width=4)


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return FLAVR(SMALL).eval()


def _batch(length=3, size=16, seed=0):
    drawn = torch.Generator().manual_seed(seed)
    return Batch(torch.rand(4, length, 3, size, size, generator=drawn), torch.zeros(4, length - 1, 0))


def test_the_four_frame_network_has_the_published_42_million_weights():
    with torch.device("meta"):
        sizes = {k: sum(each.numel() for each in FLAVR(FLAVRConfig(context=k)).parameters()) for k in (2, 4)}
    assert sizes == {2: 42_053_443, 4: 42_061_635}  # 42.06 million in the paper's Table 2


def test_layers_are_those_of_the_public_code():
    with torch.device("meta"):
        one, several = FLAVR(FLAVRConfig()), FLAVR(FLAVRConfig(outputs=3))
    assert not any(isinstance(each, nn.BatchNorm3d) for each in one.modules())
    assert [level[0].first.weight.shape[:2] for level in one.levels] == [(64, 64), (128, 64), (256, 128), (512, 256)]
    assert [level[0].first.stride for level in one.levels] == [(1, 1, 1), (1, 2, 2), (1, 2, 2), (1, 1, 1)]
    assert one.stem.bias is None
    assert one.levels[0][0].first.bias is None
    assert one.up[0].convolution.bias is not None
    assert one.levels[3][1].gate.weigh.weight.shape == (512, 512, 1, 1, 1)  # no bottleneck
    assert several.stem.bias is not None
    assert several.last.weight.shape[0] == 9


@pytest.mark.parametrize("size", [(16, 16), (13, 22), (8, 9)])
def test_any_size_is_padded(small, size):
    frames = torch.rand(2, 2, 3, *size)
    made = small(frames, [0, 1], [0.5])
    assert made.shape == (2, 1, 3, *size)
    assert made.min() >= 0


def test_the_mean_of_a_clip_is_added_back(small):
    frames = 0.2 + 0.2 * torch.rand(1, 2, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(small.interpolate(frames + 0.3), small.interpolate(frames) + 0.3, atol=1e-5, rtol=0)


def test_a_residual_network_begins_as_a_blend():
    frames = torch.rand(2, 4, 3, 16, 16)
    made = FLAVR(replace(SMALL, context=4, residual=True)).interpolate(frames)
    torch.testing.assert_close(made[:, 0], (frames[:, 1] + frames[:, 2]) / 2)


def test_each_step_draws_its_gap_and_its_place(small, monkeypatch):
    seen, learn = [], small.learn

    def recorded(batch, noise=None):
        seen.append(batch.frames[0, :, 0, 0, 0].tolist())
        return learn(batch, noise)

    monkeypatch.setattr(small, "learn", recorded)
    objective = FrameInterpolation(small, l1, gaps=(2, 6))
    times = torch.arange(7.0).expand(1, 3, 8, 8, 7).movedim(-1, 1)
    for seed in range(40):
        objective.loss(Batch(times, torch.zeros(1, 6, 0)), torch.Generator().manual_seed(seed))
    starts = {times[0] for times in seen if len(times) == 3}
    assert {len(times) for times in seen} == {3, 7}
    assert starts == {0, 1, 2, 3, 4}
    assert all(times[-1] - times[0] == len(times) - 1 for times in seen)
    with pytest.raises(ValueError, match="multiple of 2 frames"):
        FrameInterpolation(small, l1, gaps=(2, 5))


def test_weights_survive_the_disk(small, tmp_path):
    small.save_pretrained(tmp_path, {"loss": "l1"})
    again = load_interpolator(tmp_path)
    frames = torch.rand(1, 2, 3, 16, 16)
    assert torch.equal(again(frames, [0, 1], [0.5]), small(frames, [0, 1], [0.5]))
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"flavr"', '"resnet3d"'))
    with pytest.raises(ValueError, match="expected an interpolating network, flavr, got 'resnet3d'"):
        load_interpolator(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context": 3}, "context must be an even number, got 3"),
        ({"width": 0}, "width must be at least 1"),
        ({"outputs": 0}, "outputs must be at least 1"),
        ({"context": 2000}, "context must be at most 1000"),
        ({"width": 4000}, "a network of at most"),
    ],
)
def test_configurations_that_make_no_network(options, message):
    with pytest.raises(ValueError, match=message):
        make_interpolator("flavr", **options)


@pytest.mark.parametrize(
    ("length", "context", "outputs", "known", "between"),
    [
        (3, 2, 1, [0, 2], [1]),  # frames 3 and 5 of a septuplet, Table 6
        (7, 2, 1, [0, 6], [3]),  # 1 and 7, Table A2
        (7, 4, 1, [0, 2, 4, 6], [3]),  # FLAVR's own
        (13, 4, 3, [0, 4, 8, 12], [5, 6, 7]),
    ],
)
def test_windows_give_the_frames_of_the_papers(length, context, outputs, known, between):
    assert window_places(length, FLAVRConfig(context=context, outputs=outputs)) == (known, between)


@pytest.mark.parametrize(("length", "got"), [(1, "a window of 1 frames"), (2, "a gap of 1"), (4, "a gap of 3")])
def test_a_window_shorter_than_the_gap_is_refused(small, length, got):
    with pytest.raises(ValueError, match=rf"expected a gap of a multiple of 2 frames between .* got {got}$"):
        small.learn(_batch(length))


def test_a_window_is_varied_as_a_whole_and_by_draws_of_its_own():
    batch = _batch(length=3)
    ramp = Batch(torch.arange(3.0)[None, :, None, None, None].expand(64, 3, 3, 8, 8) / 4, torch.zeros(64, 2, 0))
    flipped = augmented(ramp, Augmentation(0, 0.5, 0), torch.Generator().manual_seed(0)).frames[:, :, 0, 0, 0]
    assert {tuple(each) for each in flipped.tolist()} == {(0.0, 0.25, 0.5), (0.5, 0.25, 0.0)}
    same = Batch(batch.frames[:, :1].expand(-1, 3, -1, -1, -1), batch.actions)
    varied = augmented(same, Augmentation(), torch.Generator().manual_seed(1)).frames
    torch.testing.assert_close(varied, varied[:, :1].expand_as(varied))  # no frame has draws of its own
    assert not torch.allclose(varied[0], varied[1], atol=1e-3)
    assert torch.equal(augmented(batch, Augmentation(0, 0, 0), torch.Generator()).frames, batch.frames)


def test_colours_change_as_torchvision_changes_them():
    from torchvision.transforms.v2 import functional as tv

    from corrwise.predictors.training.frame_interpolation import _recoloured

    image = 0.2 + 0.6 * torch.rand(1, 1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for column, adjust in enumerate((tv.adjust_brightness, tv.adjust_contrast, tv.adjust_saturation)):
        changes = torch.zeros(1, 4)
        changes[0, column] = 0.05
        wanted = adjust(image[0, 0], 1.05)
        torch.testing.assert_close(_recoloured(image, changes)[0, 0], wanted, atol=2e-3, rtol=0)
    turned = _recoloured(image, torch.tensor([[0.0, 0.0, 0.0, 0.05]]))
    grey = torch.tensor([0.299, 0.587, 0.114])
    luma = [torch.einsum("c,ntchw->nthw", grey, each) for each in (image, turned)]
    torch.testing.assert_close(*luma, atol=1e-3, rtol=0)  # a hue is turned at the same brightness
    assert (turned - image).abs().mean() > 0.01


def test_the_objective_is_the_distance_to_the_frame_between(small):
    batch = _batch(length=5)
    loss = FrameInterpolation(small, l1, scale=0.5, augmentation=Augmentation()).loss(batch)
    wanted = 0.5 * l1(small.interpolate(batch.frames[:, ::4])[:, 0], batch.frames[:, 2]).mean()
    torch.testing.assert_close(loss.total, wanted)
    assert loss.outputs["frames"].shape == (4, 1, 3, 16, 16)
    varied = FrameInterpolation(small, l1, augmentation=Augmentation()).loss(batch, torch.Generator().manual_seed(0))
    assert not torch.equal(varied.total, loss.total)


def test_it_learns_where_a_body_is_between():
    torch.manual_seed(0)
    model = FLAVR(replace(SMALL, width=8, blocks=1))
    objective, adam = FrameInterpolation(model, mse), torch.optim.Adam(model.parameters(), 4e-3)
    clips = torch.zeros(4, 3, 3, 16, 16)
    for row in range(4):
        for t in range(3):
            clips[row, t, :, 2 * row : 2 * row + 4, 2 + 3 * t : 6 + 3 * t] = 1.0
    batch = Batch(clips, torch.zeros(4, 2, 0))
    for _ in range(25):
        adam.zero_grad()
        objective.loss(batch).total.backward()
        adam.step()
    with torch.no_grad():
        learned = objective.loss(batch).total
    blend = mse(clips[:, ::2].mean(dim=1), clips[:, 1]).mean()
    assert learned < 0.25 * blend


def test_a_warm_start_begins_with_the_base_distance_and_then_changes(small):
    first, then = FramePrediction(small, l1), FramePrediction(small, lambda x, y: 3 * l1(x, y))
    warm = WarmStart(first, then, steps=2, total=5)
    assert [(phase.name, phase.steps) for phase in warm.phases] == [("warm start", 2), ("train", 3)]
    batch = _batch()
    values = [float(warm.loss(batch, torch.Generator(), phase.name).total.detach()) for phase in warm.phases]
    assert values[1] == pytest.approx(3 * values[0])
    assert warm.networks == {"model": small}
    with pytest.raises(ValueError, match=r"1 to 4 steps, fewer than the 5 of all, got 5"):
        WarmStart(first, then, steps=5, total=5)
    with pytest.raises(ValueError, match="warm start of the same networks"):
        WarmStart(FramePrediction(FLAVR(SMALL), l1), then, steps=1, total=2)
