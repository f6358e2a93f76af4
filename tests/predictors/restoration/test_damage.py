"""Damages: text, masks, lower resolutions, and their linear maps."""

import pytest
import torch

from corrwise.predictors.restoration.damage import DAMAGES, Downscaling, Masking, Operator, make_damage

SIZE = (16, 24)
TEXTS = (
    "random",
    "random:share=0.7",
    "box:share=0.1",
    "free-form:strokes=2,thickness=0.2",
    "downscale",
    "downscale:factor=8",
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator("cpu").manual_seed(seed)


@pytest.mark.parametrize("text", TEXTS)
def test_text_makes_a_damage_and_is_what_it_is_written_as(text):
    damage = make_damage(text)
    assert str(damage) == text
    assert make_damage(str(damage)) == damage


@pytest.mark.parametrize("text", TEXTS)
def test_an_operator_is_linear_with_its_transpose_and_projects_onto_what_is_observed(text):
    operator = make_damage(text).draw(3, *SIZE, generator())
    assert isinstance(operator, Operator)
    x = torch.rand(3, 2, *SIZE, generator=generator(1))
    observed = operator.apply(x)
    y = torch.rand(observed.shape, generator=generator(2))
    torch.testing.assert_close((observed * y).sum(), (x * operator.transpose(y)).sum(), atol=1e-3, rtol=1e-5)
    torch.testing.assert_close(operator.apply(2 * x), 2 * observed)
    guess = torch.rand(x.shape, generator=generator(3))
    nearest = operator.project(guess, observed)
    torch.testing.assert_close(operator.apply(nearest), observed, atol=1e-6, rtol=0)
    torch.testing.assert_close(operator.project(nearest, observed), nearest, atol=1e-6, rtol=0)
    torch.testing.assert_close(operator.project(x, observed), x, atol=1e-6, rtol=0)
    # What is added to a guess lies in the range of the transpose: no nearer image is consistent.
    noise = torch.rand(x.shape, generator=generator(4))
    unseen = noise - operator.project(torch.zeros_like(noise), operator.apply(noise))
    assert abs(float(((nearest - guess) * unseen).sum())) < 1e-3
    assert operator.filled(observed).shape == x.shape
    known = operator.known(observed)
    assert known.shape == (3, 1, *SIZE)
    assert 0 <= float(known.min()) <= float(known.max()) <= 1


@pytest.mark.parametrize(
    ("text", "share"), [("random:share=0.4", 0.4), ("box:share=0.25", 0.25), ("random:share=0", 0)]
)
def test_masks_miss_the_share_of_pixels_that_was_asked_for(text, share):
    operator = make_damage(text).draw(50, 32, 32, generator())
    missing = 1 - operator.mask.mean()
    assert float(missing) == pytest.approx(share, abs=0.02)
    assert operator.mask.unique().tolist() in ([0, 1], [1])


def test_a_box_is_one_rectangle_and_strokes_are_connected_lines():
    box = make_damage("box:share=0.1").draw(1, 32, 32, generator()).mask[0, 0] == 0
    rows, columns = box.any(dim=1), box.any(dim=0)
    assert int(box.sum()) == int(rows.sum()) * int(columns.sum())
    thin, thick = (
        1 - make_damage(f"free-form:strokes=1,thickness={size}").draw(20, 64, 64, generator()).mask.mean()
        for size in (0.05, 0.1)
    )
    assert 0.01 < float(thin) < float(thick) < 0.25


def test_a_seed_draws_the_same_masks_and_others_for_each_image():
    for name in ("random", "box", "free-form"):
        one, two = (make_damage(name).draw(2, *SIZE, generator(5)).mask for _ in range(2))
        assert torch.equal(one, two)
        assert not torch.equal(one[0], one[1])


def test_nan_in_missing_pixels_does_not_matter():
    mask = torch.ones(1, 1, 4, 4)
    mask[..., 2] = 0
    observed = torch.full((1, 3, 4, 4), 0.25)
    observed[..., 2] = torch.nan
    assert Masking(mask).filled(observed).isfinite().all()
    assert Masking(mask).project(torch.zeros(1, 3, 4, 4), observed).isfinite().all()


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"a mask of the images' size, got \(1, 4, 4\) for \(2, 3, 4, 5\)"):
        Masking(torch.ones(1, 1, 4, 4)).apply(torch.zeros(2, 3, 4, 5))
    with pytest.raises(ValueError, match=r"multiples of 4, got \(6, 8\)"):
        Downscaling(4).apply(torch.zeros(1, 3, 6, 8))
    with pytest.raises(ValueError, match="unknown damage 'blur'"):
        make_damage("blur")
    with pytest.raises(ValueError, match="share"):
        make_damage("random:share=2")
    assert set(DAMAGES) == {"random", "box", "free-form", "downscale"}


def test_a_factor_below_one_is_refused():
    with pytest.raises(ValueError, match="expected a factor of at least 1, got 0"):
        Downscaling(0)
