"""Weights and time laws against those of diffusers: frozen numbers, and the package itself where it is installed.

The numbers were made by ``diffusers.training_utils`` 0.42.1 with torch 2.14.1: by ``compute_loss_weighting_for_sd3``
at noise levels; by ``compute_density_for_timestep_sampling`` with ``Generator().manual_seed(0)`` (mode scale 1.29;
logit mean 0.5 and deviation 0.8), beside the draws of that generator; and by ``compute_snr`` of a schedule of
``alphas_cumprod``. It counts noise time, 1 - t.
"""

import math
from types import SimpleNamespace

import pytest
import torch

from corrwise.predictors.generative import make_path, make_time_law, make_weight, snr, weight_of

COND_OT, VP = make_path("cond-ot"), make_path("vp")
LEVELS = [0.05, 0.2, 0.5, 0.8, 0.99]
SIGMA_SQRT = [400.0, 25.0, 4.0, 1.5625, 1.0203040838241577]
COSMAP = [0.7034472622846203, 0.9362055475993845, 1.2732395447351628, 0.9362055475993842, 0.6494794657902279]
UNIFORM = [0.49625658988952637, 0.7682217955589294, 0.08847743272781372, 0.13203048706054688, 0.30742281675338745]
MODE = [0.5009872913360596, 0.36720338463783264, 0.8221435546875, 0.7523444890975952, 0.5741507411003113]
NORMAL = [1.5409960746765137, -0.293428897857666, -2.1787893772125244, 0.5684312582015991, -1.0845223665237427]
LOGIT = [0.8497698307037354, 0.5659281015396118, 0.22390875220298767, 0.7220684289932251, 0.4091167449951172]
ALPHAS_CUMPROD = [0.0001, 0.05, 0.4, 0.9, 0.999]
SNR = [0.0001000099946395494, 0.05263158306479454, 0.6666666269302368, 8.999999046325684, 999.012939453125]


def tensor(values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def time_at(alphas_cumprod: torch.Tensor) -> torch.Tensor:
    """Return the t of the path VP at which alpha^2 is the given number."""
    exponent = -torch.log(alphas_cumprod)
    wide, low = VP.high - VP.low, VP.low
    return 1 - (torch.sqrt(low**2 + 2 * wide * exponent) - low) / wide


def check(sigma_sqrt, cosmap, uniform, mode, normal, logit, ratio) -> None:
    t = 1 - tensor(LEVELS)
    torch.testing.assert_close(make_weight("sigma-sqrt")(COND_OT, t), sigma_sqrt, rtol=1e-6, atol=0)
    # diffusers multiplies a uniform law by this; it is the density of the time law
    torch.testing.assert_close(make_time_law("cosmap").density(t), cosmap, rtol=1e-6, atol=0)
    torch.testing.assert_close(make_time_law("mode:scale=1.29").quantile(1 - uniform), mode, rtol=0, atol=1e-6)
    probability = torch.special.ndtr(-normal)  # noise time of mean 0.5 is time of mean -0.5
    law = make_time_law("logit-normal:mean=-0.5,std=0.8")
    torch.testing.assert_close(1 - law.quantile(probability), logit, rtol=0, atol=1e-6)
    t = time_at(tensor(ALPHAS_CUMPROD))
    torch.testing.assert_close(snr(VP, t), ratio, rtol=2e-5, atol=0)  # single precision there
    # the min-SNR weights of its training scripts: on the noise, and on the v of diffusion (error of the data / sigma)
    weight = make_weight("min-snr:gamma=5")
    torch.testing.assert_close(weight_of(weight, VP, t, "noise"), ratio.clamp(max=5) / ratio, rtol=2e-5, atol=0)
    on_v = weight(VP, t) * VP.sigma(t) ** 2
    torch.testing.assert_close(on_v, ratio.clamp(max=5) / (ratio + 1), rtol=2e-5, atol=0)


def test_numbers_that_diffusers_made() -> None:
    check(*map(tensor, (SIGMA_SQRT, COSMAP, UNIFORM, MODE, NORMAL, LOGIT, SNR)))


def test_diffusers_itself() -> None:
    utils = pytest.importorskip("diffusers.training_utils")
    levels = tensor(LEVELS)
    weights = [utils.compute_loss_weighting_for_sd3(name, levels).double() for name in ("sigma_sqrt", "cosmap")]
    sampled = utils.compute_density_for_timestep_sampling
    ratio = utils.compute_snr(SimpleNamespace(alphas_cumprod=tensor(ALPHAS_CUMPROD).float()), torch.arange(5))
    check(
        *weights,
        torch.rand(5, generator=seeded()).double(),
        sampled("mode", 5, mode_scale=1.29, generator=seeded()).double(),
        torch.randn(5, generator=seeded()).double(),
        sampled("logit_normal", 5, logit_mean=0.5, logit_std=0.8, generator=seeded()).double(),
        ratio.double(),
    )


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_cosmap_carries_uniform_times_of_the_cosine_path_to_equal_ratios() -> None:
    u = torch.linspace(0.05, 0.95, 10, dtype=torch.float64)
    t = make_time_law("cosmap").quantile(u)
    torch.testing.assert_close(snr(COND_OT, t), torch.tan(math.pi / 2 * u) ** 2)
    torch.testing.assert_close(snr(COND_OT, t), snr(make_path("cosine"), u))
