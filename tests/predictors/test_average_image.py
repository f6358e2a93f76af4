"""Average images: closed forms of L1 and MSE, crispness under exact flow, and what a network can be asked for."""

import pytest
import torch

from corrwise.costs import CorrespondenceWise, l1, mse
from corrwise.predictors.average_image import NetworkImage, PixelImages, average_image

SIZE = 16


def shifted(reach):
    """A bar with stripes at each offset in turn on a grey gradient."""
    generator = torch.Generator("cpu").manual_seed(0)
    bar = torch.rand(3, 6, 4, generator=generator)
    scenes = torch.linspace(0.3, 0.5, SIZE).expand(2 * reach + 1, 3, SIZE, SIZE).clone()
    for i in range(2 * reach + 1):
        left = 6 - reach + i
        scenes[i, :, 5:11, left : left + 4] = bar
    return scenes


def all_of(scenes):
    return lambda step: scenes[:, None]


class Exact:
    """The flow of a bar that was moved along the horizontal; each scene is recognised by its pixels."""

    def __init__(self, scenes, reach):
        self.scenes, self.reach = scenes, reach

    def place(self, image):
        return (self.scenes - image).abs().mean(dim=(1, 2, 3)).argmin() - self.reach

    def __call__(self, target, source):
        flow = torch.zeros(len(target), 2, SIZE, SIZE)
        for i, (a, b) in enumerate(zip(target, source, strict=True)):
            start, end = self.place(a), self.place(b)
            flow[i, 0, 5:11, 6 + start : 10 + start] = float(end - start)
        return flow


@pytest.mark.parametrize(
    ("distance", "closed"),
    [(l1, lambda scenes: scenes.median(dim=0).values), (mse, lambda scenes: scenes.mean(dim=0))],
    ids=["l1", "mse"],
)
def test_the_average_image_of_a_pixel_distance_is_its_closed_form(distance, closed):
    scenes = torch.rand(5, 3, 8, 8, generator=torch.Generator("cpu").manual_seed(1))
    image = PixelImages(torch.full((1, 3, 8, 8), 0.5))
    for lr in (0.05, 0.005, 0.0005):
        made = average_image(image, all_of(scenes), distance, steps=120, lr=lr)
    assert (made[0] - closed(scenes)).abs().max() < 2e-3
    assert distance(made.expand_as(scenes), scenes).mean() <= distance(scenes[:1].expand_as(scenes), scenes).mean()


def test_under_exact_flow_the_correspondence_wise_average_keeps_the_detail_that_l1_loses():
    reach = 3
    scenes = shifted(reach)
    flow = Exact(scenes, reach)
    start = scenes[reach][None] * 0.6 + scenes.mean(dim=0) * 0.4

    def error(distance):
        made = average_image(PixelImages(start), all_of(scenes), distance, steps=150, lr=0.01)[0]
        return (made - scenes).abs().mean(dim=(1, 2, 3)).min()

    assert error(CorrespondenceWise(l1, flow, scaling=0.0)) < 0.2 * error(l1)


def test_images_are_optimised_apart_and_stay_in_their_range():
    one, two = (torch.rand(3, 8, 8, generator=torch.Generator("cpu").manual_seed(seed)) for seed in (1, 2))
    targets = torch.stack([one, two])[None].expand(2, 2, 3, 8, 8)
    together = average_image(PixelImages(torch.zeros(2, 3, 8, 8)), lambda step: targets, mse, steps=30, lr=0.1)
    alone = average_image(PixelImages(torch.zeros(1, 3, 8, 8)), lambda step: targets[:, 1:], mse, steps=30, lr=0.1)
    assert torch.allclose(together[1], alone[0], atol=1e-6)
    white = torch.full((1, 1, 3, 8, 8), 2.0)
    made = average_image(PixelImages(torch.zeros(1, 3, 8, 8)), lambda step: white, mse, steps=60, lr=0.1)
    assert made.min() >= 0
    assert made.max() == 1


def test_a_network_image_depends_on_its_seed_alone_and_learns_the_closed_form():
    torch.manual_seed(5)
    first, other = NetworkImage((16, 24), width=4, seed=0), NetworkImage((16, 24), width=4, seed=1)
    torch.manual_seed(6)
    again = NetworkImage((16, 24), width=4, seed=0)
    assert first().shape == (1, 3, 16, 24)
    assert torch.equal(first(), again())
    assert not torch.equal(first(), other())
    assert 0 <= first().min() <= first().max() <= 1
    scenes = torch.stack([torch.full((3, 16, 24), value) for value in (0.2, 0.3, 0.9)])
    made = average_image(first, all_of(scenes), l1, steps=60, lr=5e-3)
    assert (made - 0.3).abs().mean() < 0.05, "the median, far from the mean"


def test_progress_is_called_after_each_step_and_a_distance_without_gradients_is_refused():
    calls = []
    image = PixelImages(torch.zeros(1, 3, 8, 8))
    average_image(image, lambda step: torch.zeros(1, 1, 3, 8, 8), l1, steps=3, lr=0.1, progress=lambda: calls.append(1))
    assert len(calls) == 3
    with pytest.raises(ValueError, match="expected a distance with gradients, got one without"):
        average_image(image, lambda step: torch.zeros(1, 1, 3, 8, 8), lambda x, y: l1(x, y).detach(), steps=1, lr=0.1)
