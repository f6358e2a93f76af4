"""The restoring image model: its samples, its noise, the step's sign, and that it learns."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from corrwise.predictors.data import Batch
from corrwise.predictors.generative import PATHS, make_path, make_time_law, make_weight
from corrwise.predictors.restoration import (
    Affine,
    GaussianProcessConfig,
    Guidance,
    affine_maps,
    grid_covariance,
    make_carrier,
    restored_frames,
)
from corrwise.predictors.restoration.damage import Downscaling, make_damage
from corrwise.predictors.restoration.model import RestorationConfig, RestorationModel
from corrwise.predictors.restoration.sampling import backward_step, flow_step, preconditioned_score, sample_images
from corrwise.predictors.training.objective import check_objective
from corrwise.predictors.training.restoration import Restoration

TINY = RestorationConfig(damages=("random:share=0.5", "downscale:factor=2"), width=8, blocks=1, evaluations=4)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator("cpu").manual_seed(seed)


def made(config: RestorationConfig = TINY) -> RestorationModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return RestorationModel(config)


def images(count: int = 4, side: int = 16) -> torch.Tensor:
    """Horizontal ramps between random colours: two rows of pixels determine the rest."""
    ends = torch.rand(2, count, 3, 1, 1, generator=generator(1))
    return torch.lerp(ends[0], ends[1], torch.linspace(0, 1, side)).expand(-1, -1, side, -1).clone()


@pytest.mark.parametrize("damage", TINY.damages)
def test_a_new_network_returns_its_first_guess(damage):
    operator = make_damage(damage).draw(4, 16, 16, generator())
    observed = operator.apply(images())
    model = made()
    restored = sample_images(model, model.observe(operator, observed), torch.randn(4, 3, 16, 16))
    torch.testing.assert_close(restored, operator.filled(observed), atol=1e-5, rtol=0)


def test_samples_depend_on_noise_and_on_no_other_image():
    model = made()
    torch.nn.init.normal_(model.network.leave.weight, std=0.1, generator=generator())
    operator = Downscaling(2)
    observed, noise = operator.apply(images()), torch.randn(4, 3, 16, 16, generator=generator(2))
    all_of_them = sample_images(model, model.observe(operator, observed), noise)
    alone = sample_images(model, model.observe(operator, observed[1:2]), noise[1:2])
    torch.testing.assert_close(all_of_them[1:2], alone, atol=1e-5, rtol=0)
    assert not torch.allclose(sample_images(model, model.observe(operator, observed), -noise), all_of_them, atol=1e-3)
    assert 0 <= float(all_of_them.min()) <= float(all_of_them.max()) <= 1


@pytest.mark.parametrize("noise", ["gp", "white"])
def test_the_objective_learns_what_is_missing(noise):
    model = made(RestorationConfig(damages=("random:share=0.5",), noise=noise, width=8, blocks=1, evaluations=3))
    objective = Restoration(model, make_weight("data"), make_time_law("uniform"))
    check_objective(objective)
    batch = Batch(images(16).unflatten(0, (8, 2)), torch.zeros(8, 1, 0))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    with torch.no_grad():
        before = objective.evaluate(batch, objective.networks, generator(9))
    for step in range(60):
        optimizer.zero_grad()
        objective.loss(batch, generator(step), "train").total.backward()
        optimizer.step()
    with torch.no_grad():
        after = objective.evaluate(batch, objective.networks, generator(9))
    assert after.parts["sampled missing"] < 0.3 * before.parts["sampled missing"]
    assert after.total < before.total
    assert after.outputs["frames"].shape == batch.frames.shape


def test_a_step_depends_on_its_generator_alone():
    objective = Restoration(made(), make_weight("data"), make_time_law("uniform"))
    batch = Batch(images(4)[:, None], torch.zeros(4, 0, 0))
    one, two, other = (objective.loss(batch, generator(seed), "train").total.item() for seed in (0, 0, 1))
    assert one == two != other


@pytest.mark.parametrize("noise", ["gp", "white"])
def test_training_noise_has_the_models_law(noise):
    config = RestorationConfig(noise=noise, width=8, length_scale=None)
    objective = Restoration(made(config), make_weight("data"), make_time_law("uniform"))
    drawn = objective._noise(torch.zeros(400, 3, 8, 8), generator())
    neighbours = float((drawn[..., 1:] * drawn[..., :-1]).mean())
    assert float(drawn.square().mean()) == pytest.approx(1, abs=0.03)
    assert neighbours == pytest.approx(0.341 if noise == "gp" else 0, abs=0.02)


class Folded:
    """An autoencoder without loss: squares of 2 x 2 pixels become channels."""

    def encode(self, images):
        return F.pixel_unshuffle(images - 0.5, 2)

    def decode(self, latents):
        return F.pixel_shuffle(latents, 2) + 0.5


def test_the_latents_of_an_autoencoder_are_learned_and_restored_like_pixels():
    model = made(RestorationConfig(damages=("box",), width=4, blocks=1, channels=12, evaluations=2))
    model.use_autoencoder(Folded())
    objective = Restoration(model, make_weight("data"), make_time_law("uniform"))
    whole = images(2)
    batch = Batch(whole[:, None], torch.zeros(2, 0, 0))
    assert objective.loss(batch, generator(), "train").total > 0
    assert objective.evaluate(batch, {"model": model}, generator()).outputs["frames"].shape == batch.frames.shape
    operator = make_damage("box").draw(1, *whole.shape[-2:], generator())
    observed = [(operator, operator.apply(frame[None])[0]) for frame in whole]
    height, width = (side // 2 for side in whole.shape[-2:])
    steps = affine_maps([Affine.shift(1, 0)], height, width)
    carrier = make_carrier("gp", config=model.config.kernel)
    frames = list(restored_frames(model, observed, steps, carrier, generator(), guidance=Guidance()))
    known = operator.mask[0].expand(3, -1, -1) > 0
    for frame, (_, given) in zip(frames, observed, strict=True):
        torch.testing.assert_close(frame[known], given[known])
        assert not torch.equal(frame, given)
    assert set(model.state_dict()) == set(made(model.config).state_dict()), "the autoencoder is not saved"


def test_tweedies_formula_with_a_covariance_gives_the_gradient_of_the_density():
    """For Gaussian data of covariance S everything is linear: E[x1 | x_t] = a S (a^2 S + s^2 Q)^-1 x_t."""
    covariance = grid_covariance(GaussianProcessConfig(), 2, 4, dtype=torch.float64)
    q = torch.kron(covariance.rows, covariance.columns)
    root = torch.randn(8, 8, generator=generator(), dtype=torch.float64)
    s = root @ root.T
    x_t = torch.randn(1, 8, generator=generator(1), dtype=torch.float64)
    path, t = make_path("cond-ot"), 0.4
    alpha, sigma = t, 1 - t
    total = alpha**2 * s + sigma**2 * q
    data = alpha * x_t @ torch.linalg.inv(total) @ s
    score = -x_t @ torch.linalg.inv(total)
    torch.testing.assert_close(preconditioned_score(path, data, x_t, t), score @ q)
    product = covariance.multiply(score.view(1, 2, 4)).flatten(1)
    torch.testing.assert_close(preconditioned_score(path, data, x_t, t), product)


def ends_at(sign: float) -> float:
    """The spread after the flow to noise level 0.01, for data of unit variance with its exact posterior mean."""
    levels = torch.logspace(1, -2, 200, dtype=torch.float64).tolist()
    u = torch.randn(1, 4000, generator=generator(), dtype=torch.float64) * (1 + levels[0] ** 2) ** 0.5
    for sigma, following in pairwise(levels):
        mean = u / (1 + sigma**2)
        u = u + sign * (backward_step(u, mean, sigma, following) - u)
    return float(u.std())


def test_the_backward_step_ends_at_the_data_and_with_the_printed_sign_it_does_not():
    assert ends_at(1.0) == pytest.approx(1, abs=0.05)
    assert ends_at(-1.0) > 50


@pytest.mark.parametrize("name", PATHS)
def test_the_step_of_a_path_is_the_backward_step_of_data_that_is_not_scaled(name):
    path, (t, following) = make_path(name), (0.3, 0.5)
    x, data = torch.randn(2, 1, 6, generator=generator(), dtype=torch.float64)
    times = torch.tensor([t, following], dtype=torch.float64)
    (a, b), (s, z) = path.alpha(times).tolist(), path.sigma(times).tolist()
    expected = b * backward_step(x / a, data, s / a, z / b)
    torch.testing.assert_close(flow_step(path, x, data, t, following), expected)


def test_a_carrier_of_another_law_is_refused():
    made().check_carrier(make_carrier("gp"))
    made().check_carrier(make_carrier("resample", config=GaussianProcessConfig()))
    with pytest.raises(ValueError, match=r"0.637 px, and the carrier has white noise: expected the carrier gp, or"):
        made().check_carrier(make_carrier("discrete"))
    with pytest.raises(ValueError, match=r"the carrier has Gaussian-process .*: expected the carrier discrete"):
        made(RestorationConfig(noise="white", width=8)).check_carrier(make_carrier("gp"))
    with pytest.raises(ValueError, match="of length scale 1 px"):
        made().check_carrier(make_carrier("gp", config=GaussianProcessConfig(length_scale=1.0)))


def test_a_model_is_saved_and_read_again(tmp_path):
    model = made()
    model.save_pretrained(tmp_path / "model")
    again = RestorationModel.from_pretrained(tmp_path / "model")
    assert again.config == TINY
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"damages": ()}, "at least one damage"),
        ({"damages": ("blur",)}, "unknown damage 'blur'"),
        ({"noise": "pink"}, "noise"),
        ({"noise": "white", "length_scale": 1.0}, "white noise has no length scale"),
        ({"length_scale": -1.0}, "length_scale must be above zero"),
        ({"path": "none"}, "unknown path"),
    ],
)
def test_configurations_that_make_no_model_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        RestorationConfig(**options)


def test_images_and_levels_that_cannot_be_used_are_refused():
    model = made()
    with pytest.raises(ValueError, match=r"multiples of 8, got \(12, 16\)"):
        model.observe(Downscaling(2), torch.zeros(1, 3, 6, 8))
    with pytest.raises(ValueError, match="3 channels, got 1"):
        model.observe(Downscaling(2), torch.zeros(1, 1, 8, 8))
    with pytest.raises(ValueError, match="noise levels that fall, got 1 and 2"):
        backward_step(torch.zeros(1, 2), torch.zeros(1, 2), 1.0, 2.0)
    with pytest.raises(ValueError, match="times that rise"):
        flow_step(make_path("cond-ot"), torch.zeros(1, 2), torch.zeros(1, 2), 0.5, 0.5)
    with pytest.raises(ValueError, match="below 1"):
        preconditioned_score(make_path("cond-ot"), torch.zeros(1, 2), torch.zeros(1, 2), 1.0)
