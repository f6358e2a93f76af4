"""Maps along a video: where each pixel was in the frame before, and since when it has been visible."""

import math

import pytest
import torch

from corrwise.predictors.restoration import Affine, affine_maps, first_map, flow_maps, video_maps
from corrwise.predictors.restoration.maps import pixel_grid

SIZE = (16, 20)


def field(x: float | int, y: float | int) -> torch.Tensor:
    return torch.tensor([float(x), float(y)])[:, None, None].expand(2, *SIZE).clone()


def fields_of(step: Affine, count: int):
    """Exact flows of a plane that moves."""
    grid = pixel_grid(*SIZE)
    back = step.inverse()
    torch.testing.assert_close(back(step(grid)), grid, atol=1e-4, rtol=0)
    return [((step(grid) - grid).permute(2, 0, 1), (back(grid) - grid).permute(2, 0, 1))] * count


def test_a_shift_is_exact_and_goes_on_outside_the_frame():
    maps = list(affine_maps([Affine.shift(3, -1)] * 4, *SIZE))
    assert [each.number for each in maps] == [0, 1, 2, 3, 4]
    assert torch.equal(maps[4].points, pixel_grid(*SIZE) - torch.tensor([12.0, -4.0]))
    assert torch.equal(maps[4].previous, pixel_grid(*SIZE) - torch.tensor([3.0, -1.0]))
    assert maps[4].outside[:, :3].all()
    assert maps[4].outside[-1].all()
    assert maps[4].visible[:-1, 3:].all()
    assert int(maps[4].traced.sum()) == (SIZE[0] - 4) * (SIZE[1] - 12)


def test_affine_maps_compose_in_the_order_of_the_frames():
    turn, zoom = Affine.turn(30, (4.0, 5.0)), Affine.turn(0, (1.0, 2.0), zoom=1.5)
    maps = list(affine_maps([turn, zoom], *SIZE))
    torch.testing.assert_close(maps[2].points, turn(zoom(pixel_grid(*SIZE))), atol=1e-4, rtol=0)
    # Clockwise in the image, whose y points down: what is right of the center came from above it.
    torch.testing.assert_close(
        Affine.turn(90, (4.0, 5.0))(torch.tensor([6.0, 5.0])), torch.tensor([4.0, 3.0]), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize(
    "step", [Affine.shift(2, 1), Affine.shift(0.3, -0.6), Affine.turn(3, (9.5, 7.5)), Affine.turn(2, (3.0, 9.0), 1.05)]
)
def test_flows_give_the_maps_of_the_plane_that_they_come_from(step):
    exact = list(affine_maps([step] * 5, *SIZE))
    traced = list(flow_maps(fields_of(step, 5)))
    for one, two in zip(exact, traced, strict=True):
        torch.testing.assert_close(two.previous, one.previous, atol=1e-4, rtol=0)
        torch.testing.assert_close(two.ahead, one.ahead, atol=1e-4, rtol=0)
        assert (one.kept == two.kept).float().mean() > 0.96
        assert (one.outside == two.outside).float().mean() > 0.98  # rounding at the very edge
        assert not two.hidden.float().mean() > 0.02
        kept = one.traced & two.traced
        assert kept.float().mean() > 0.3
        error = (two.points - one.points)[kept].norm(dim=-1)
        assert error.median() < 1e-4
        assert error.max() < 0.1  # what entered at the border continued its motion


def test_a_turn_by_half_a_circle_stays_on_one_surface():
    *_, last = flow_maps(fields_of(Affine.turn(15, (9.5, 7.5)), 12))
    *_, exact = affine_maps([Affine.turn(15, (9.5, 7.5))] * 12, *SIZE)
    middle = (pixel_grid(*SIZE) - torch.tensor([9.5, 7.5])).norm(dim=-1) < 6
    assert (last.origin[middle] == 0).all()
    assert (last.points - exact.points)[middle].norm(dim=-1).max() < 0.05


def moving_square(frames: int) -> list[torch.Tensor]:
    """A textured square that moves by 2 px a frame to the right, before a textured background."""
    generator = torch.Generator("cpu").manual_seed(0)
    back = torch.rand(3, *SIZE, generator=generator)
    square = torch.rand(3, 6, 6, generator=generator)
    video = []
    for frame in range(frames):
        image = back.clone()
        image[:, 5:11, 2 + 2 * frame : 8 + 2 * frame] = square
        video.append(image)
    return video


def square_fields(frames: int):
    for frame in range(frames - 1):
        later, earlier = field(0, 0), field(0, 0)
        later[0, 5:11, 4 + 2 * frame : 10 + 2 * frame] = -2
        earlier[0, 5:11, 2 + 2 * frame : 8 + 2 * frame] = 2
        yield later, earlier


def test_what_an_object_uncovers_is_hidden_once_and_then_its_own_origin():
    maps = list(flow_maps(square_fields(5)))
    for number in range(1, 5):
        uncovered = torch.zeros(SIZE, dtype=torch.bool)
        uncovered[5:11, 2 * number : 2 * number + 2] = True
        assert torch.equal(maps[number].hidden, uncovered)
        covered = uncovered.roll(6, dims=1)  # by the square, which is 6 px wide
        assert torch.equal(maps[number].kept, ~covered)
    last = maps[4]
    assert last.origin[5:11, 2:10].tolist() == [[1, 1, 2, 2, 3, 3, 4, 4]] * 6
    assert torch.equal(last.points[5:11, 2:10], pixel_grid(*SIZE)[5:11, 2:10])
    assert torch.equal(last.points[5:11, 10:16], pixel_grid(*SIZE)[5:11, 2:8])  # the square, through all frames
    assert (last.origin[5:11, 10:16] == 0).all()


def test_masks_of_what_is_visible_stand_in_for_the_check_of_the_flows():
    slow = [tuple(each / 4 for each in pair) for pair in square_fields(3)]
    assert not any(each.hidden.any() for each in flow_maps(slow)), "half a pixel contradicts nothing"
    back, on = torch.ones(SIZE, dtype=torch.bool), torch.ones(SIZE, dtype=torch.bool)
    back[5:11, 2], on[5:11, 8] = False, False
    maps = list(flow_maps(slow, [(back, on)] * 2))
    assert torch.equal(maps[1].hidden, ~back)
    assert torch.equal(maps[1].kept, on)
    assert torch.equal(maps[2].origin == 0, back)
    with pytest.raises(ValueError, match="shorter"):
        list(flow_maps(slow, [(back, on)]))


def test_pixels_between_two_surfaces_follow_one_of_them():
    still, moved = field(0, 0), field(0, 0)
    still[0, :, 10:], moved[0, :, 10:] = 0, -6
    half = field(0.5, 0)
    *_, last = flow_maps([(moved, -moved), (half, -half)])
    between = last.points[:, 9] - pixel_grid(*SIZE)[:, 9]
    assert ((between[:, 0] == 0.5) | (between[:, 0] == -5.5)).all()  # not the mean of two motions


def test_a_registered_flow_finds_the_motion_of_a_video():
    generator = torch.Generator("cpu").manual_seed(1)
    coarse = torch.rand(1, 3, 14, 14, generator=generator)
    wide = torch.nn.functional.interpolate(coarse, size=(56, 56), mode="bicubic")[0].clamp(0, 1)
    video = [wide[:, 4:52, 10 - 2 * k : 42 - 2 * k] for k in range(4)]
    maps = list(video_maps(iter(video), "dis"))
    inside = maps[-1].visible & maps[-1].traced
    moved = (maps[-1].points - pixel_grid(48, 32))[inside]
    torch.testing.assert_close(moved.median(dim=0).values, torch.tensor([-6.0, 0.0]), atol=0.2, rtol=0)


def test_videos_and_flows_that_cannot_be_used_are_refused():
    frames = [torch.zeros(3, 16, 16)] * 2
    with pytest.raises(ValueError, match="expected a video of at least 2 frames, got 1"):
        list(video_maps(frames[:1], "zero"))
    with pytest.raises(ValueError, match="expected a video of at least 2 frames, got 0"):
        list(video_maps([], "zero"))
    with pytest.raises(ValueError, match=r"got \(3, 16, 16\) and \(3, 16, 8\) as frames 1 and 2"):
        list(video_maps(iter([*frames, torch.zeros(3, 16, 8)]), "zero"))
    with pytest.raises(ValueError, match="expected flow to be one of"):
        video_maps(frames, "no-such-flow")
    with pytest.raises(ValueError, match="flows of none"):
        list(flow_maps([]))
    broken = field(0, 0)
    broken[1, 3, 4] = math.nan
    with pytest.raises(ValueError, match="a finite flow between frames 1 and 2, got 1 of 320 pixels with NaN"):
        list(flow_maps(iter([(field(0, 0), field(0, 0)), (field(0, 0), broken)])))
    with pytest.raises(ValueError, match=r"expected flows \(2, 16, 20\) between frames 1 and 2, got \(2, 8, 8\)"):
        list(flow_maps(iter([(field(0, 0), field(0, 0)), (torch.zeros(2, 8, 8), torch.zeros(2, 8, 8))])))
    with pytest.raises(ValueError, match="of one size between frames 0 and 1"):
        list(flow_maps(iter([(field(0, 0), torch.zeros(2, 8, 8))])))


def test_maps_of_no_plane_are_refused():
    with pytest.raises(ValueError, match="expected a finite affine map that is invertible"):
        Affine(((1.0, 2.0), (2.0, 4.0)))
    with pytest.raises(ValueError, match="expected a finite affine map"):
        Affine.shift(math.nan, 0)
    with pytest.raises(ValueError, match="expected a zoom above 0, got 0"):
        Affine.turn(0, (0.0, 0.0), 0)
    with pytest.raises(ValueError, match="at least 1 x 1 pixels, got 0 x 4"):
        first_map(0, 4)


def test_a_flow_of_another_size_than_the_frames_is_refused():
    with pytest.raises(ValueError, match=r"expected a flow of the frames' size \(16, 24\), got one of \(8, 8\)"):
        list(video_maps(torch.rand(3, 3, 16, 24), lambda a, b: torch.zeros(len(a), 2, 8, 8)))


def test_what_was_in_the_padding_is_not_seen_in_a_cropped_map():
    _, padded = affine_maps([Affine.shift(-3, 0)], 8, 16)
    _, alone = affine_maps([Affine.shift(-3, 0)], 8, 12)
    assert padded.visible[:, :12].all()
    cropped = padded.cropped(8, 12)
    for name in ("visible", "kept", "traced", "hidden", "outside", "previous", "points"):
        assert torch.equal(getattr(cropped, name), getattr(alone, name)), name
    assert cropped.size == (8, 12)
    assert not cropped.visible[:, 9:].any()
