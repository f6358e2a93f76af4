"""A conditional denoiser: the next frame is sampled by a flow from noise, given the frames before it and the action.

The data of the flow is the change of the last frame in units of the noise, ``x1 = (next - last) / scale``. The noise is
standard normal, so in a frame its standard deviation is ``scale``, around the last frame. The network's output corrects
a copy of the last frame, whichever quantity it predicts; a new network returns that copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import sqrt
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.costs.option_text import check_known
from corrwise.predictors.generative.inputs import TIME_NUMBERS, linear_estimate, time_numbers
from corrwise.predictors.generative.paths import Path, convert, interpolate
from corrwise.predictors.generative.schedules import make_path
from corrwise.predictors.generative.solvers import SOLVERS, solve, time_grid
from corrwise.predictors.generative.unet import UNet
from corrwise.predictors.generative.weights import END
from corrwise.predictors.models.base import Memory, VideoPredictor
from corrwise.predictors.models.pretrained import ActionDim, ContextFrames, Width
from corrwise.validation import Range, validated

__all__ = ["Condition", "Denoiser", "DenoiserConfig", "first_time", "sampling_times"]

_LEVELS = (1, 2, 4)  # widths at half the resolution, a quarter and an eighth


@validated(error=ValueError)
class DenoiserConfig:
    """How wide the network is, what it predicts, and how frames are sampled.

    Attributes:
        context: frames that the model sees, K.
        action_dim: numbers of an action, A; 0 for plain video.
        width: channels at half the resolution; at a quarter there are twice as many, at an eighth four times.
        blocks: residual blocks of each level, on the way down and again on the way up.
        scale: standard deviation of the noise in a frame in [0, 1].
        path: from noise to data, as text (``corrwise.predictors.generative.paths``).
        predicts: in which quantity's unit the network corrects the copy: data, velocity or noise.
        evaluations: largest number of evaluations of the network for a frame (NFE). With 1 the frame is the mean of
            all futures; draws do not matter.
        solver: euler, midpoint or heun; or dopri5 or bosh3, which choose their evaluations.
        time_grid: law of the evaluations' times, as text (``corrwise.predictors.generative.time_laws``).
        temperature: factor of the noise that a frame is sampled from. Few evaluations spread less than the data does,
            which a factor above 1 makes up for.
        correlation: of the noise of successive frames (the progressive noise of Ge et al., 2023, arXiv 2305.10474).
            What makes a future unlike others then lasts. A distilled model, which draws fresh noise, has none.
        sample_at: rising times of a distilled model, which has no solver and no time grid: at each one the data is
            predicted, and mixed with fresh noise for the next one. The first mixture is noise alone, whatever the time,
            which is above 0 for the network to see it. Fewer evaluations use the first times.
        channels: of an image, 3 for each view.

    Raises:
        ValueError: a number outside its range, or an unknown path, solver or time law.
    """

    context: ContextFrames = 2
    action_dim: ActionDim = 0
    width: Width = 64
    blocks: Annotated[int, Range(1, 100)] = 2
    scale: Annotated[float, Range(0, 100, open="low")] = 0.25
    path: str = "cond-ot"
    predicts: Literal["data", "velocity", "noise"] = "data"
    evaluations: Annotated[int, Range(1, 10_000)] = 2
    solver: str = "euler"
    time_grid: str = "uniform"
    temperature: Annotated[float, Range(0, 10, open="low")] = 1.0
    correlation: Annotated[float, Range(0, 1)] = 0.0
    sample_at: tuple[Annotated[float, Range(0, 1, open="low")], ...] = ()
    channels: Width = 3

    def __post_init__(self) -> None:
        make_path(self.path)
        object.__setattr__(self, "sample_at", tuple(self.sample_at))  # a list in config.json
        if sorted(set(self.sample_at)) != list(self.sample_at):
            raise ValueError(f"expected rising times to sample at, got {self.sample_at}")
        if self.sample_at and self.correlation:
            raise ValueError(
                f"expected correlation 0 of a model that samples at times of its own, got {self.correlation:g}"
            )
        if self.sample_at and self.evaluations > len(self.sample_at):
            times = ", ".join(f"{t:g}" for t in self.sample_at)
            raise ValueError(f"expected at most an evaluation for each of the times {times}, got {self.evaluations}")
        sampling_times(self)


@cache  # every frame of every plan asks for them
def sampling_times(config: DenoiserConfig) -> tuple[float, ...]:
    """Return the times of a sample: a solver steps on all but the last, and at the last one the data is predicted.

    That prediction replaces the solver's step into t = 1, so a frame is never what noise an integration leaves.

    Raises:
        ValueError: an unknown solver or time law, or no evaluations.
    """
    check_known("solver", config.solver, SOLVERS)
    if config.sample_at:
        return config.sample_at[: config.evaluations]
    solver, start = SOLVERS[config.solver], first_time(config)
    if solver.adaptive:
        return (start, 1 - END)
    steps = (config.evaluations - 1) // solver.evaluations + 1  # the last one takes one evaluation
    return time_grid(config.time_grid, steps, "euler", start=start)[:-1]


def first_time(config: DenoiserConfig) -> float:
    """Return the first time at which what the network predicts determines the data: 0, or shortly after it."""
    one = torch.ones(1, dtype=torch.float32, device="cpu")
    try:
        convert(make_path(config.path), one, one, 0.0, config.predicts, "data")
    except ValueError:
        return END
    return 0.0


@dataclass(frozen=True)
class Condition:
    """What a frame is predicted from, for each of M candidates.

    Attributes:
        last: the last frame, in [0, 1].
        entered: the network's first features of the frames.
        actions: the actions between the frames and the one that follows, side by side.
    """

    last: Float[Tensor, "M C h w"]
    entered: Float[Tensor, "M d h2 w2"]
    actions: Float[Tensor, "M n"]


class Denoiser(VideoPredictor):
    """Samples the next frame given K frames; later frames are sampled given earlier ones.

    Without generators the flow starts at the mean of the noise. The sides of images are multiples of 8.
    """

    name, config_type = "denoiser", DenoiserConfig

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        self.path: Path = make_path(config.path)
        widths = [config.width * each for each in _LEVELS]
        numbers = TIME_NUMBERS + config.context * config.action_dim
        self.network = UNet(
            (config.context * config.channels, config.channels), config.channels, numbers, widths, config.blocks
        )

    @property
    def deterministic(self) -> bool:
        """Whether draws do not matter: with one evaluation at t = 0 a frame is the mean of all futures."""
        return self.config.evaluations == 1 and not self.config.sample_at

    def start(self, frames: Tensor, actions: Tensor, noise: Sequence[Generator] | None) -> Memory:
        """Return the context and its first features, and the noise before the first frame's where it matters."""
        memory = self.remembered(frames, actions)
        return (*memory, self._drawn(frames[:, -1], noise)) if self.config.correlation else memory

    def remembered(self, frames: Float[Tensor, "M K C h w"], actions: Float[Tensor, "M K-1 A"]) -> Memory:
        """Return the context and its first features.

        Raises:
            ValueError: images with sides that are no multiples of 8.
        """
        if frames.shape[-1] % self.network.side or frames.shape[-2] % self.network.side:
            side, got = self.network.side, tuple(frames.shape[-2:])
            raise ValueError(f"expected images with sides that are multiples of {side}, got {got}")
        return frames, actions, self._entered(frames)

    def step(self, memory: Memory, action: Tensor, noise: Sequence[Generator] | None) -> tuple[Tensor, Memory]:
        """Return the next frame, and the context that ends with it."""
        last, share = memory[0][:, -1], self.config.correlation
        if not share:
            return self.advance(memory, action, lambda: self._drawn(last, noise))
        kept = share * memory[-1] + sqrt(1 - share**2) * self._drawn(last, noise)
        frame, context = self.advance(memory[:-1], action, lambda: kept)
        return frame, (*context, kept)

    @staticmethod
    def _drawn(last: Float[Tensor, "M C h w"], noise: Sequence[Generator] | None) -> Float[Tensor, "M C h w"]:
        """Return noise of the last frame's shape, the same for all candidates of a clip; 0 without generators."""
        if noise is None:
            return torch.zeros_like(last)
        drawn = [torch.randn(last.shape[1:], generator=g, dtype=torch.float32, device=g.device) for g in noise]
        return torch.stack([each.to(last) for each in drawn]).repeat_interleave(len(last) // len(drawn), dim=0)

    def advance(
        self,
        memory: Memory,
        action: Float[Tensor, "M A"],
        noise: Callable[[], Float[Tensor, "M C h w"]],
    ) -> tuple[Float[Tensor, "M C h w"], Memory]:
        """Return the next frame, and the context that ends with it.

        Args:
            memory: the context before.
            action: that leads to the frame.
            noise: returns new noise.
        """
        frames, actions, *entered = memory
        actions = torch.cat([actions, action[:, None]], dim=1)
        condition = self.condition(frames, actions, *entered)
        frame = self.frame(condition, self.sample(condition, noise))
        return frame, (torch.cat([frames[:, 1:], frame[:, None]], dim=1), actions[:, 1:])

    def condition(
        self, frames: Float[Tensor, "M K C h w"], actions: Float[Tensor, "M K A"], entered: Tensor | None = None
    ) -> Condition:
        """Return what the frame after these frames is predicted from.

        Args:
            frames: the context.
            actions: between the frames, and the one that follows.
            entered: the network's first features of the frames, where they are known.
        """
        return Condition(frames[:, -1], self._entered(frames) if entered is None else entered, actions.flatten(1))

    def data(
        self, condition: Condition, x_t: Float[Tensor, "M C h w"], t: Float[Tensor, "*M"]
    ) -> Float[Tensor, "M C h w"]:
        """Return the predicted x1: the expected change of the last frame, given x_t.

        The network sees x_t as a linear estimate of the data (``linear_estimate``). No output contains x_t itself, so
        noise reaches a frame through the network alone, which learns to remove it where nothing moves.

        Args:
            condition: the context and the action.
            x_t: between noise and data.
            t: one time for each candidate, or one for all.
        """
        times = t.to(torch.float32).reshape(-1, 1).expand(len(x_t), 1)
        output = self.network(*self.inputs(condition, x_t, times)).float()
        one = torch.ones_like(times[..., None, None])
        unit = convert(self.path, one, torch.zeros_like(one), times[:, 0], self.config.predicts, "data")
        return unit * output

    def inputs(
        self, condition: Condition, x_t: Float[Tensor, "M C h w"], times: Float[Tensor, "M 1"]
    ) -> tuple[Float[Tensor, "M d h2 w2"], Float[Tensor, "M k"]]:
        """Return what the network takes: first features of the images, and the numbers that modulate its blocks.

        Args:
            condition: the context and the action.
            x_t: between noise and data.
            times: of each candidate.
        """
        estimate = linear_estimate(self.path, x_t, times)
        numbers = torch.cat([time_numbers(times), condition.actions], dim=1)
        return condition.entered + self.network.entered(1, estimate), numbers

    def frame(self, condition: Condition, data: Float[Tensor, "M C h w"]) -> Float[Tensor, "M C h w"]:
        """Return the frame in [0, 1] that x1 stands for; gradients are those of a frame without bounds."""
        frame = condition.last + self.config.scale * data
        return frame.detach().clamp(0, 1) + (frame - frame.detach())

    def sample(self, condition: Condition, noise: Callable[[], Float[Tensor, "M C h w"]]) -> Float[Tensor, "M C h w"]:
        """Return x1 sampled from noise; the last evaluation's prediction of the data is the sample.

        Args:
            condition: the context and the action.
            noise: returns new noise.
        """
        return self.data_at(condition, *self.approach(condition, noise))

    def approach(
        self, condition: Condition, noise: Callable[[], Float[Tensor, "M C h w"]], evaluations: int | None = None
    ) -> tuple[Float[Tensor, "M C h w"], float]:
        """Return the mixture of data and noise at which a sample's last evaluation predicts the data, and its time.

        Args:
            condition: the context and the action.
            noise: returns new noise.
            evaluations: of a distilled model's sample, that last one included; None is the configuration's.
        """
        times, temperature = sampling_times(self.config)[:evaluations], self.config.temperature
        x = temperature * noise()
        if self.config.sample_at:
            for t, following in pairwise(times):
                at = torch.full((1,), following, dtype=torch.float32, device=x.device)
                x = interpolate(self.path, self.data_at(condition, x, t), temperature * noise(), at)
            return x, times[-1]

        def velocity(x: Tensor, t: float) -> Tensor:
            return convert(self.path, self.data_at(condition, x, t), x, t, "data", "velocity")

        return (solve(velocity, x, times, self.config.solver) if len(times) > 1 else x), times[-1]

    def data_at(self, condition: Condition, x: Float[Tensor, "M C h w"], t: float) -> Float[Tensor, "M C h w"]:
        """Return the predicted x1 given x at one time for all candidates (``data``)."""
        return self.data(condition, x, torch.full((1,), t, dtype=torch.float32, device=x.device))

    def _entered(self, frames: Float[Tensor, "M K C h w"]) -> Float[Tensor, "M d h2 w2"]:
        return self.network.entered(0, 2 * frames.flatten(1, 2) - 1)
