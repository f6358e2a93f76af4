"""Distribution matching distillation of a denoiser into few evaluations: a student's rollout, and the gradient on it.

Source: Yin et al., Improved Distribution Matching Distillation (2024), and Huang et al., Self Forcing (2025).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.predictors.data.windows import Batch
from corrwise.predictors.generative.chain import chain, random_like
from corrwise.predictors.generative.denoiser import Denoiser, DenoiserConfig
from corrwise.predictors.generative.paths import interpolate

__all__ = ["Rollout", "few_steps", "match_distribution", "predicted", "rollout", "score_difference", "student_of"]


def few_steps(teacher: DenoiserConfig, times: Sequence[float]) -> DenoiserConfig:
    """Return the configuration of a denoiser that samples at these times, from fresh noise for each frame.

    Raises:
        ValueError: no times, or times that do not rise from above 0 to at most 1.
    """
    if not times:
        raise ValueError("expected the times that the student samples at, got none")
    return replace(teacher, sample_at=tuple(times), evaluations=len(times), correlation=0.0)


def student_of(teacher: Denoiser, times: Sequence[float]) -> Denoiser:
    """Return a denoiser that samples at these times, with the teacher's weights.

    Raises:
        ValueError: see ``few_steps``.
    """
    student = Denoiser(few_steps(teacher.config, times))
    student.load_state_dict(teacher.state_dict())
    return student


@dataclass(frozen=True)
class Rollout:
    """Frames that a student samples one after the other, and what each was sampled from.

    Attributes:
        context: the K frames before each, without gradients.
        actions: between those, and the one that leads to the frame.
        data: each frame as x1, the change of the last frame.
        frames: the same in [0, 1]; data and frames have gradients where the rollout was asked for them.
    """

    context: Float[Tensor, "n T K C h w"]
    actions: Float[Tensor, "n T K A"]
    data: Float[Tensor, "n T C h w"]
    frames: Float[Tensor, "n T C h w"]

    def flat(self) -> tuple[Float[Tensor, "m K C h w"], Float[Tensor, "m K A"], Float[Tensor, "m C h w"]]:
        """Return contexts, actions and data frame by frame."""
        return self.context.flatten(0, 1), self.actions.flatten(0, 1), self.data.flatten(0, 1)


def rollout(
    student: Denoiser, batch: Batch, generator: Generator, *, evaluations: int, learned: slice | None = None
) -> Rollout:
    """Sample the frames after the context of each window with this number of evaluations, each from those before.

    This is backward simulation (DMD2, Sec. 4.5) along a video (Self Forcing): the student's inputs are its own samples,
    both inside a frame and from frame to frame. Gradients pass through the last evaluation of each learned frame alone,
    not through the evaluations or the frames before it.

    Args:
        student: a denoiser that samples at times of its own.
        batch: windows of context and horizon.
        generator: of the noise.
        evaluations: for each frame; a random number of them is a random step of the student's times.
        learned: frames after the context that have gradients, the last of which ends the rollout; None for a whole
            rollout without gradients.
    """
    context, horizon = student.config.context, batch.frames.shape[1] - student.config.context
    first, end, _ = (learned or slice(horizon, horizon)).indices(horizon)
    made: list[tuple[Tensor, ...]] = []

    def predict(k: int, frames: Tensor, actions: Tensor) -> Tensor:
        with torch.no_grad():
            x, time = student.approach(
                student.condition(frames, actions), lambda: random_like(batch.frames[:, 0], generator), evaluations
            )
        with torch.set_grad_enabled(torch.is_grad_enabled() and k >= first):
            condition = student.condition(frames, actions)
            data = student.data_at(condition, x, time)
            frame = student.frame(condition, data)
        made.append((frames, actions, data, frame))
        return frame.detach()

    chain(batch, context, predict, frames=end)
    return Rollout(*(torch.stack(each, dim=1) for each in zip(*made, strict=True)))


def score_difference(
    x: Float[Tensor, "n *rest"], real: Float[Tensor, "n *rest"], fake: Float[Tensor, "n *rest"]
) -> Float[Tensor, "n *rest"]:
    """Return the direction in which a student's sample leaves the teacher's distribution (DMD2, Eq. 2).

    It is ``(fake - real) / mean |x - real|``, in double precision. The mean is over all but the first dimension: over
    the frames of a video, too. A sample that equals ``real`` has no such direction, and gets 0.

    Args:
        x: samples of the student.
        real: the data that the teacher predicts from a mixture of x and noise.
        fake: the data that the fake score network predicts from the same mixture.
    """
    x, real, fake = (each.double() for each in (x, real, fake))
    size = (x - real).abs().flatten(1).mean(dim=1).reshape(-1, *([1] * (x.ndim - 1)))
    return ((fake - real) / size).where(size != 0, 0.0)  # what is not finite stays so, and stops a training


def match_distribution(
    x: Float[Tensor, "n *rest"], real: Float[Tensor, "n *rest"], fake: Float[Tensor, "n *rest"]
) -> Float[Tensor, ""]:
    """Return a loss whose gradient on x is ``score_difference`` over the number of elements of x.

    Args:
        x: samples of the student, with gradients.
        real: as in ``score_difference``; no gradient reaches it.
        fake: likewise.
    """
    with torch.no_grad():
        target = x.double() - score_difference(x, real, fake)
    return 0.5 * (x.double() - target).square().mean()


def predicted(
    model: Denoiser, made: Rollout, times: Float[Tensor, "m"], noise: Float[Tensor, "m C h w"]
) -> Float[Tensor, "m C h w"]:
    """Return the data that another denoiser predicts from mixtures of a rollout's data and noise, without gradients."""
    context, actions, data = made.flat()
    with torch.no_grad():
        x_t = interpolate(model.path, data, noise, times)
        return model.data(model.condition(context, actions), x_t, times)
