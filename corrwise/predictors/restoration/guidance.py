"""Equivariance self-guidance: each frame's predictions agree with those of the frame before, moved with the scene.

Warped Diffusion (Daras et al., NeurIPS 2024), Alg. 1. An image model may answer moved noise and a moved image with
something else than the moved answer. At each step of a frame its prediction is sampled where the pixels of the frame
before have moved to, and the difference from that frame's prediction at the same step pulls the sample.

The paper's samples are ``u = data + sigma noise``; on a path ``x = alpha data + sigma noise`` they are x / alpha. A
pull by p times the gradient of the error in u is one by ``alpha_t alpha_next p`` times its gradient in x.

Two deviations: what is observed of a frame is in its place in the predictions that are compared, where it is known; and
a pull ends where the predictions agree, as far as a prediction moves with its sample.

A prediction can also be pulled itself, which takes no backward pass through the network and is exact at the last step:
the network's derivative is taken for the identity, as in the Decomposed Diffusion Sampler (Chung et al., ICLR 2024).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from corrwise.predictors.generative.paths import Path
from corrwise.predictors.restoration.maps import FrameMap, sampled_at
from corrwise.predictors.restoration.model import Observation, RestorationModel
from corrwise.predictors.restoration.sampling import flow_step
from corrwise.validation import Range, validated

__all__ = ["Guidance", "Sampled", "equivariance_error", "sample_frame"]


@validated(error=ValueError)
class Guidance:
    """How strongly a frame's sample is pulled towards the frame before.

    Attributes:
        strength: lambda; 0 is no guidance.
        normalised: ``root`` divides by the root of the error, as in the paper (and in diffusion posterior sampling),
            so that the length of a pull does not depend on how large the error is, until it is small; ``none`` does
            not.
        pulls: ``sample`` follows the error's gradient through the network, as the paper does; ``prediction`` follows
            that in the prediction, and the next frame is guided by the prediction that was pulled.
    """

    strength: Annotated[float, Range(0, inf)] = 1.0
    normalised: Literal["root", "none"] = "root"
    pulls: Literal["sample", "prediction"] = "sample"


@dataclass(frozen=True)
class Sampled:
    """A restored frame.

    Attributes:
        image: in [0, 1].
        predictions: of the data at each time of the sample, which the next frame is guided by; with what is observed
            in its place, where that is asked for.
    """

    image: Float[Tensor, "C H W"]
    predictions: Sequence[Float[Tensor, "c h w"]]


def equivariance_error(
    data: Float[Tensor, "1 C h w"], before: Float[Tensor, "C h w"], step: FrameMap
) -> Float[Tensor, ""]:
    """Return the sum of squared differences between a prediction and the one of the frame before, where both are seen.

    The new prediction is interpolated, and the old one is not: what is compared with keeps its sharpness.

    Args:
        data: the prediction of a frame.
        before: the prediction of the frame before.
        step: the map of the frame.
    """
    return ((sampled_at(data[0], step.ahead) - before).square() * step.kept).sum()


def sample_frame(
    model: RestorationModel,
    seen: Observation,
    noise: Float[Tensor, "1 C h w"],
    step: FrameMap,
    before: Sampled | None = None,
    guidance: Guidance | None = None,
    times: Sequence[float] = (),
    project: Callable[[Tensor], Tensor] | None = None,
) -> Sampled:
    """Return a frame sampled from noise; a sample that is pulled takes a backward pass of the network at each step.

    Only the graph of one evaluation is in memory at a time.

    Args:
        model: the network.
        seen: what is known of the frame.
        noise: of the frame.
        step: the frame's map.
        before: the frame before, sampled at the same times; None for the first frame, which nothing guides.
        guidance: None samples each frame by itself.
        times: rising, at which the data is predicted; empty for the model's own.
        project: puts what is observed in its place in images (``Operator.project``); None leaves it to the network.

    Raises:
        RuntimeError: guidance in torch.inference_mode().
        ValueError: a frame before that was sampled at another number of times, or has another size.
    """
    times = tuple(times) or model.config.times()
    if guidance is None or guidance.strength == 0:
        before = None
    if before is not None:
        _check_before(before, len(times), noise)
        if torch.is_inference_mode_enabled():
            raise RuntimeError("guidance follows a gradient: restore outside of torch.inference_mode()")
    through = before is not None and guidance is not None and guidance.pulls == "sample"
    x, predictions = noise, list[Tensor]()
    for number, (t, following) in enumerate(pairwise((*times, 1.0))):
        with torch.set_grad_enabled(through):
            x = x.detach().requires_grad_(through)
            data = model.data(seen, x, torch.full((1,), t, dtype=torch.float32, device=x.device))
        pull = torch.zeros_like(x)
        scale = _scale(model.path, t, following) if through else 1.0
        if before is not None and guidance is not None and scale:
            with torch.enable_grad():
                of = x if through else data.requires_grad_(True)
                compared = _placed(data, model, project)
                error = equivariance_error(compared, before.predictions[number], step)
            (gradient,) = torch.autograd.grad(error, of)
            pull = _share(guidance, error) * gradient
        data = data.detach() if through else data.detach() - pull
        predictions.append(_placed(data, model, project)[0])
        x = flow_step(model.path, x.detach(), data, t, following)
        if through:
            x = x - scale * pull
    image = model.images(x)
    return Sampled((image if project is None else project(image).clamp(0, 1))[0], predictions)


def _placed(data: Tensor, model: RestorationModel, project: Callable[[Tensor], Tensor] | None) -> Tensor:
    """Return a prediction with what is observed in its place, where that is asked for."""
    return data if project is None else model.units(project(model.images(data, clamp=False)))


def _share(guidance: Guidance, error: Tensor) -> Tensor:
    """Return what a pull has of the error's gradient, in the paper's units."""
    most = 0.5  # where a prediction moves as what is pulled does, it is then the one that it is compared with
    share = torch.as_tensor(guidance.strength, dtype=torch.float32, device=error.device)
    if guidance.normalised == "root":
        share = (share / error.detach().sqrt().clamp(min=1e-12)).clamp(max=most)
    return share


def _scale(path: Path, t: float, following: float) -> float:
    """Return what a pull of a sample x has of the one of ``u = x / alpha``."""
    alpha, following_alpha = path.alpha(torch.tensor((t, following), dtype=torch.float32, device="cpu")).tolist()
    return alpha * following_alpha


def _check_before(before: Sampled, times: int, noise: Tensor) -> None:
    if len(before.predictions) != times:
        raise ValueError(f"expected a frame before of {times} predictions, got {len(before.predictions)}")
    if (got := before.predictions[0].shape) != noise.shape[1:]:
        raise ValueError(f"expected a frame before of shape {tuple(noise.shape[1:])}, got {tuple(got)}")
