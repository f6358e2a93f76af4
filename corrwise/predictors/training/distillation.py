"""The objective of a few-step student: distribution matching distillation, and after a warm-up an adversary of motion.

Phases follow MoGAN's Algorithm 1 (2025, arXiv 2511.21592): the student by distribution matching, the fake score
network by flow matching of the student's frames (four steps), the student against the discriminator, and the
discriminator. Every network but the teacher learns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from corrwise.costs.motion.adversarial import discriminator_loss, generator_loss, noise_penalty, window_start
from corrwise.predictors.data.windows import Batch
from corrwise.predictors.generative.chain import random_like
from corrwise.predictors.generative.denoiser import Denoiser
from corrwise.predictors.generative.distillation import Rollout, match_distribution, predicted, rollout
from corrwise.predictors.generative.time_laws import TimeLaw
from corrwise.predictors.models.base import check_batch
from corrwise.predictors.training.flow_matching import data_error
from corrwise.predictors.training.objective import Cycle, Loss, Phase

__all__ = ["Adversary", "Collapse", "Distillation", "Maps"]

MATCH, FAKE, MOTION, DISCRIMINATE = "distribution", "fake score", "motion", "discriminator"  # phases of a cycle
_WARM = "warm-up "  # before the name of a phase
_RANGE = 0.02, 0.98  # of the times at which distributions are compared (DMD2)

Maps = Callable[[Tensor], Tensor]  # frames (n, T, 3, h, w) to what the discriminator sees, of the same shape


class Collapse(FloatingPointError):
    """An adversarial training has left the range in which it can come back; the last checkpoint is kept."""


@dataclass(frozen=True)
class Adversary:
    """A discriminator, and how it counts.

    Attributes:
        network: maps (n, T, 3, h, w) to logits (n,).
        maps: of frames, with gradients; of motion (``corrwise.costs.motion.flow_maps``) or of the frames themselves.
        generator_weight: of the student's logistic loss, lambda_1.
        discriminator_weight: of the discriminator's, lambda_2.
        r1: weight of the penalty on real maps.
        r2: weight of the penalty on generated maps.
        sigma: standard deviation of the penalties' noise.
        divide: whether the penalties divide by sigma.
        window: frames after the context that are compared in a step; the rollout ends with them. 0 compares all.
        most: a mean logit beyond it, of either sign, is a collapse.
        least: a mean length of motion below this share of the real one's is a collapse; None where the maps have no
            lengths.
    """

    network: nn.Module
    maps: Maps
    generator_weight: float = 0.5
    discriminator_weight: float = 0.5
    r1: float = 0.3
    r2: float = 0.3
    sigma: float = 0.01
    divide: bool = False
    window: int = 0
    most: float = 50.0
    least: float | None = 0.05

    def seen(self, frames: Float[Tensor, "n T 3 h w"]) -> Float[Tensor, "n T2 3 h w"]:
        """Return the maps of frames, in full precision: rounding in bfloat16 moves them more than ``sigma`` does."""
        with torch.autocast(frames.device.type, enabled=False):
            return self.maps(frames.float())

    def logits(self, maps: Float[Tensor, "n T 3 h w"]) -> Float[Tensor, " n"]:
        """Return the logits of maps, in full precision: in bfloat16 noise of ``sigma`` is lost in rounding."""
        with torch.autocast(maps.device.type, enabled=False):
            return self.network(maps.float())


class Distillation:
    """Teaches a student, a few-step denoiser, to sample what its teacher samples with many evaluations.

    In each step of the student its frames after the context are rolled out with a random number of evaluations, and
    the last evaluation of each frame learns (``corrwise.predictors.generative.distillation.rollout``).

    The parts of the loss are named by what they are: ``distribution``, ``fake score``, ``generator``,
    ``discriminator``, ``r1``, ``r2``, the mean logits ``real`` and ``generated``, and ``motion``, the mean length of
    the generated maps as a share of the real ones'.

    Args:
        student: that learns; ``corrwise.predictors.generative.distillation.student_of`` makes one.
        teacher: a denoiser trained by flow matching; it stays frozen.
        time_law: of the times at which distributions are compared, and the fake score network learns.
        adversary: None for distillation alone.
        fake_steps: steps of the fake score network for each of the student's.
        warm_up: cycles without the adversary that come first.
        total: number of steps; a longer run begins alike.
        matching: whether the student learns by distribution matching after the warm-up; without, by the adversary
            alone.

    Raises:
        ValueError: a student of another configuration than the teacher's, or nothing to learn from.
    """

    def __init__(
        self,
        student: Denoiser,
        teacher: Denoiser,
        time_law: TimeLaw,
        adversary: Adversary | None = None,
        *,
        fake_steps: int = 4,
        warm_up: int = 0,
        total: int,
        matching: bool = True,
    ) -> None:
        check_same(student, teacher)
        if adversary is None and not matching:
            raise ValueError("expected distribution matching or an adversary to learn from, got neither")
        self.student, self.teacher, self.time_law, self.adversary = student, teacher, time_law, adversary
        self.fake = Denoiser(teacher.config)
        self.fake.load_state_dict(teacher.state_dict())
        match = (Phase(MATCH, ("model",)), Phase(FAKE, ("fake score",), fake_steps))
        deceive = (Phase(MOTION, ("model",)), Phase(DISCRIMINATE, ("discriminator",)))
        cycle = (*(match if matching else ()), *(deceive if adversary is not None else ()))
        warm = tuple(Phase(_WARM + each.name, each.learns, each.steps) for each in match)
        warm_most, most = (total // sum(phase.steps for phase in each) + 1 for each in (warm, cycle))
        first = [Cycle(warm, min(warm_up, warm_most))] if warm_up and adversary is not None else []
        self._phases = (*first, Cycle(cycle, most))

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The student as ``model``, ``teacher``, ``fake score`` and, where there is one, ``discriminator``."""
        networks: dict[str, nn.Module] = {"model": self.student, "teacher": self.teacher, "fake score": self.fake}
        return networks if self.adversary is None else {**networks, "discriminator": self.adversary.network}

    @property
    def phases(self) -> tuple[Cycle, ...]:
        """The warm-up, and the cycle of Algorithm 1, in the order of App. B: the student before the discriminator."""
        return self._phases

    def loss(self, batch: Batch, generator: Generator, phase: str) -> Loss:
        """Return the loss of windows of context and horizon.

        Raises:
            ValueError: see ``corrwise.predictors.models.base.check_batch``; or a horizon below the adversary's window.
            Collapse: see ``Adversary``.
        """
        check_batch(batch, self.student.config)
        name = phase.removeprefix(_WARM)
        made, start = self._rollout(batch, generator, learns=name in (MATCH, MOTION))
        if name == MATCH:
            return self._match(made, generator)
        if name == FAKE:
            return self._follow(made, generator)
        assert self.adversary is not None
        first, count = self.student.config.context + start, made.frames.shape[1]
        generated = self.adversary.seen(torch.cat([made.context[:, :1, -1], made.frames], dim=1))
        if name == MOTION:
            return _deceive(self.adversary, generated)
        real = self.adversary.seen(batch.frames[:, first - 1 : first + count])
        return _discriminate(self.adversary, real, generated, generator)

    def evaluate(self, batch: Batch, networks: Mapping[str, nn.Module], generator: Generator) -> Loss:
        """Return the squared error of a student's samples (``corrwise.types.EvaluatingObjective``)."""
        student = cast("Denoiser", networks["model"])
        with torch.no_grad():
            frames = rollout(student, batch, generator, evaluations=student.config.evaluations).frames
        each = (frames - batch.frames[:, student.config.context :]).square().flatten(2).mean(dim=(0, 2))
        return Loss(each.mean(), {f"step {t + 1}": value for t, value in enumerate(each)}, {"frames": frames})

    def _rollout(self, batch: Batch, generator: Generator, *, learns: bool) -> tuple[Rollout, int]:
        """Return the rollout of a window of frames after the context, and where the window begins."""
        horizon = batch.frames.shape[1] - self.student.config.context
        length = (self.adversary.window if self.adversary is not None else 0) or horizon
        start = window_start(horizon, length, generator)
        count = torch.randint(self.student.config.evaluations, (), generator=generator, dtype=torch.int64, device="cpu")
        with torch.set_grad_enabled(learns):
            whole = rollout(
                self.student, batch, generator, evaluations=int(count) + 1, learned=slice(start, start + length)
            )
        learned = Rollout(*(each[:, start:] for each in (whole.context, whole.actions, whole.data, whole.frames)))
        return learned, start

    def _times(self, count: int, generator: Generator, device: torch.device) -> Tensor:
        return self.time_law.sample(count, generator, *_RANGE).to(device)

    def _match(self, made: Rollout, generator: Generator) -> Loss:
        data = made.data.flatten(0, 1)
        times, noise = self._times(len(data), generator, data.device), random_like(data, generator)
        real, fake = (predicted(each, made, times, noise) for each in (self.teacher, self.fake))
        windows = (each.unflatten(0, made.data.shape[:2]) for each in (data, real, fake))
        loss = match_distribution(*windows)
        return Loss(loss, {"distribution": loss.detach(), "fake - real": (fake - real).abs().mean()})

    def _follow(self, made: Rollout, generator: Generator) -> Loss:
        context, actions, data = made.flat()
        times = self._times(len(data), generator, data.device)
        loss = data_error(self.fake, self.fake.condition(context, actions), data, times, generator)[0].mean()
        return Loss(loss, {"fake score": loss.detach()})


def check_same(student: Denoiser, teacher: Denoiser) -> None:
    """Refuse a student that its teacher cannot teach.

    Raises:
        ValueError: a teacher that is a student itself, a student without times of its own, or one that has another
            number of context frames, actions or channels, another scale or another path than the teacher.
    """
    if teacher.config.sample_at:
        raise ValueError("expected a teacher that samples by a solver, got a student (sample_at)")
    if not student.config.sample_at:
        raise ValueError("expected a student that samples at times of its own (sample_at), got none")
    for name in ("context", "action_dim", "scale", "path", "channels"):
        here, there = getattr(student.config, name), getattr(teacher.config, name)
        if here != there:
            raise ValueError(f"expected a student with the teacher's {name}, {there}, got {here}")


def _deceive(adversary: Adversary, generated: Float[Tensor, "n T 3 h w"]) -> Loss:
    logits = adversary.logits(generated)
    loss = generator_loss(logits)
    parts = {"generator": loss.detach(), "generated": logits.mean().detach()}
    return Loss(adversary.generator_weight * loss, parts)


def _discriminate(
    adversary: Adversary,
    real: Float[Tensor, "n T 3 h w"],
    generated: Float[Tensor, "n T 3 h w"],
    generator: Generator,
) -> Loss:
    real, generated = real.float(), generated.float()
    given, made = adversary.logits(real), adversary.logits(generated)
    loss = discriminator_loss(given, made)
    parts = {"discriminator": loss, "real": given.mean(), "generated": made.mean()}
    total = adversary.discriminator_weight * loss
    for name, weight, maps, logits in (("r1", adversary.r1, real, given), ("r2", adversary.r2, generated, made)):
        if weight:
            parts[name] = noise_penalty(
                adversary.logits, maps, adversary.sigma, generator, divide=adversary.divide, logits=logits
            )
            total = total + weight * parts[name]
    if adversary.least is not None:
        parts["motion"] = _share(generated[:, :, 2].mean(), real[:, :, 2].mean())
    parts = {name: value.detach() for name, value in parts.items()}
    _check_collapse(adversary, {name: float(value) for name, value in parts.items()})
    return Loss(total, parts)


def _share(made: Tensor, real: Tensor) -> Tensor:
    """Return the motion of generated clips as a share of that of real ones: all of it where neither moves."""
    return (made / real.clamp(min=1e-12)).where((made != 0) | (real != 0), 1.0)


def _check_collapse(adversary: Adversary, parts: Mapping[str, float]) -> None:
    for name in ("real", "generated"):
        if not abs(parts[name]) <= adversary.most:
            raise Collapse(f"collapse: the mean logit of {name} clips is {parts[name]:.3g}, beyond {adversary.most:g}")
    if adversary.least is not None and not parts["motion"] >= adversary.least:
        raise Collapse(
            f"collapse: generated clips have {parts['motion']:.3g} of the motion of real ones, less than "
            f"{adversary.least:g}"
        )
