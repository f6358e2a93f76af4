"""Windows about what is marked: they hold it, they fit, and what is cut out goes back to its place."""

import pytest
import torch

from corrwise.costs.flow.learned.refiner import Windows


def _marked(*pixels, size=(12, 10)):
    marked = torch.zeros(len(pixels), *size, dtype=torch.bool)
    for image, places in enumerate(pixels):
        for row, column in places:
            marked[image, row, column] = True
    return marked


def test_a_window_holds_what_is_marked_and_the_margin_but_ends_at_the_border():
    windows = Windows(_marked([(5, 4), (6, 4)], [(0, 9)]), margin=2)
    field = torch.arange(240.0).reshape(2, 1, 12, 10)
    shown = windows.cut(field)
    assert shown.shape == (2, 1, 6, 5)
    assert torch.equal(shown[0], field[0, :, 3:9, 2:7])
    assert torch.equal(shown[1], field[1, :, :6, 5:])
    assert windows.corners[:, :, 0, 0].tolist() == [[2, 3], [5, 0]]


@pytest.mark.parametrize("scale", [1, 2])
def test_what_is_cut_goes_back_and_the_rest_is_zero(scale):
    windows = Windows(_marked([(5, 4)], [(11, 0), (9, 1)]), margin=1)
    field = torch.rand(2, 3, 12 * scale, 10 * scale) + 1
    back = windows.place(windows.cut(field, scale=scale), scale=scale)
    assert torch.equal(back, torch.where(back == 0, 0, field))
    assert (back[1, :, 9 * scale :, : 2 * scale] > 0).all()
    assert (back != 0).float().mean() < 0.5


def test_cells_are_shown_as_their_pixels():
    windows = Windows(_marked([(5, 4)]), margin=1)
    cells = torch.rand(1, 2, 6, 5)
    pixels = cells.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    assert torch.equal(windows.cut(cells, scale=2, cell=4), windows.cut(pixels, scale=2))


def test_nothing_marked_and_all_marked_are_windows_too():
    field = torch.rand(2, 1, 12, 10)
    assert Windows(_marked([], []), margin=0).cut(field).shape == (2, 1, 1, 1)
    everything = Windows(torch.ones(2, 12, 10, dtype=torch.bool), margin=3)
    assert torch.equal(everything.cut(field), field)
