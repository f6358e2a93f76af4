"""Stochastic video generation with a learned prior (SVG-LP, Denton and Fergus, ICML 2018), for any kind of layers.

Frame i is predicted from the features h of frame i - 1, the action a and a latent z: ``dec(pred([h, a, z]), skips)``.
In training, z is drawn from a posterior that sees frame i, and a KL divergence pulls the prior, which sees frame i - 1,
towards the posterior. In planning, z is drawn from the prior. The skips are those of the last true frame.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from corrwise.predictors.data.windows import Batch
from corrwise.predictors.models.base import Learned, Memory, VideoPredictor, check_batch
from corrwise.predictors.models.pretrained import ActionDim, ContextFrames, Width
from corrwise.validation import Range, validated

__all__ = ["Recurrent", "States", "Stochastic", "StochasticConfig", "kl_divergence"]

States = tuple[Tensor, ...]


@validated(error=ValueError)
class StochasticConfig:
    """The sizes that all models of this kind have.

    Attributes:
        context: frames that the model sees, K.
        action_dim: numbers of an action, A; 0 for plain video.
        width: channels of the first convolution.
        features: of an image.
        latent: what is drawn for each frame.
        hidden: of each LSTM layer.
        layers: of the LSTM that predicts; prior and posterior have one.
        beta: weight of the KL divergence.
        recursive: whether frames after the context are predicted from the model's own frames in training, as they are
            in planning. As published, they are predicted from the true ones.
        channels: of an image, 3 for each view.

    Raises:
        ValueError: a number that makes no model.
    """

    context: ContextFrames = 2
    action_dim: ActionDim = 0
    width: Width = 64
    features: Width = 128
    latent: Width = 64
    hidden: Width = 256
    layers: Annotated[int, Range(1, 100)] = 2
    beta: Annotated[float, Range(0)] = 1e-4
    recursive: bool = False
    channels: Width = 3


class Recurrent(nn.Module):
    """A recurrent part. Its state is a tuple of ``states`` tensors."""

    states: int

    @abstractmethod
    def begin(self, features: Tensor) -> States:
        """Return the initial state, for as many clips as there are features."""


class Stochastic(VideoPredictor):
    """SVG-LP with given parts. The first axis of features, states and latents is that of the clips.

    Attributes:
        encoder: images to (features, list of skips).
        decoder: (features, skips) to images in [0, 1].
        predictor: (features, action and latent), states to (features, states).
        prior, posterior: features, states to ((mean, log variance), states).
    """

    encoder: nn.Module
    decoder: nn.Module
    predictor: Recurrent
    prior: Recurrent
    posterior: Recurrent

    def joined(self, features: Tensor, action: Float[Tensor, "M A"], latent: Tensor) -> Tensor:
        """Return the predictor's input; actions are broadcast over features that form a map."""
        spread = action[(..., *[None] * (features.ndim - 2))].expand(-1, -1, *features.shape[2:])
        return torch.cat([features, spread, latent], dim=1)

    def start(self, frames: Tensor, actions: Tensor, noise: Sequence[Generator] | None) -> Memory:
        """Return the state after the context, whose latents come from the posterior."""
        clips, length = frames.shape[:2]
        features, skips = self.encoder(frames.flatten(0, 1))
        features = features.unflatten(0, (clips, length))
        predictor_state, prior_state, posterior_state = (
            part.begin(features[:, 0]) for part in (self.predictor, self.prior, self.posterior)
        )
        for t in range(length - 1):
            (mean, log_variance), posterior_state = self.posterior(features[:, t + 1], posterior_state)
            _, prior_state = self.prior(features[:, t], prior_state)
            latent = _drawn(mean, log_variance, noise)
            _, predictor_state = self.predictor(self.joined(features[:, t], actions[:, t], latent), predictor_state)
        last = [skip.unflatten(0, (clips, length))[:, -1] for skip in skips]
        return (features[:, -1], *last, *predictor_state, *prior_state)

    def step(self, memory: Memory, action: Tensor, noise: Sequence[Generator] | None) -> tuple[Tensor, Memory]:
        """Return the next frame, and the state after it."""
        features, skips, predictor_state, prior_state = self._unpacked(memory)
        (mean, log_variance), prior_state = self.prior(features, prior_state)
        latent = _drawn(mean, log_variance, noise)
        predicted, predictor_state = self.predictor(self.joined(features, action, latent), predictor_state)
        frame = self.decoder(predicted, skips).float()  # also where layers are in half precision
        return frame, (self.encoder(frame)[0], *skips, *predictor_state, *prior_state)

    def learn(self, batch: Batch, noise: Generator | None = None) -> Learned:
        """Predict each frame from the one before it; the penalty is beta times the KL divergence of all frames.

        As in the paper, every frame but the first is predicted, also those of the context. After the context, the frame
        before is the model's own if the configuration has ``recursive``, else the true one.

        Raises:
            ValueError: see ``VideoPredictor.learn``.
        """
        check_batch(batch, self.config)
        clips, length = batch.frames.shape[:2]
        features, skips = self.encoder(batch.frames.flatten(0, 1))
        features = features.unflatten(0, (clips, length))
        skips = [skip.unflatten(0, (clips, length)) for skip in skips]
        predictor_state, prior_state, posterior_state = (
            part.begin(features[:, 0]) for part in (self.predictor, self.prior, self.posterior)
        )
        frames: list[Tensor] = []
        divergence = batch.frames.new_zeros(())
        for t in range(length - 1):
            own = self.config.recursive and t >= self.config.context
            before = self.encoder(frames[-1])[0] if own else features[:, t]
            posterior, posterior_state = self.posterior(features[:, t + 1], posterior_state)
            prior, prior_state = self.prior(before, prior_state)
            mean, log_variance = posterior
            device = "cpu" if noise is None else noise.device
            drawn = torch.randn(mean.shape, generator=noise, dtype=torch.float32, device=device).to(mean)
            latent = mean + drawn * torch.exp(0.5 * log_variance)
            predicted, predictor_state = self.predictor(
                self.joined(before, batch.actions[:, t], latent), predictor_state
            )
            true = min(t, self.config.context - 1)
            frames.append(self.decoder(predicted, [skip[:, true] for skip in skips]).float())
            divergence = divergence + kl_divergence(*posterior, *prior)
        return Learned(torch.stack(frames, dim=1), batch.frames[:, 1:], self.config.beta * divergence)

    def _unpacked(self, memory: Memory) -> tuple[Tensor, list[Tensor], States, States]:
        prior = len(memory) - self.prior.states  # index of its first tensor
        predictor = prior - self.predictor.states
        return memory[0], list(memory[1:predictor]), memory[predictor:prior], memory[prior:]


def kl_divergence(mean: Tensor, log_variance: Tensor, prior_mean: Tensor, prior_log_variance: Tensor) -> Tensor:
    """Return KL(posterior || prior) of diagonal Gaussians: summed over the latent, averaged over the clips."""
    ratio = (log_variance.exp() + (mean - prior_mean).square()) / prior_log_variance.exp()
    return 0.5 * (prior_log_variance - log_variance + ratio - 1).sum() / len(mean)


def _drawn(mean: Tensor, log_variance: Tensor, noise: Sequence[Generator] | None) -> Tensor:
    """Return a latent for each row; the candidates of a clip share its draw."""
    if noise is None:
        return mean
    draws = [
        torch.randn(mean.shape[1:], generator=each, dtype=torch.float32, device=each.device).to(mean) for each in noise
    ]
    drawn = torch.stack(draws).repeat_interleave(len(mean) // len(draws), dim=0)
    return mean + drawn * torch.exp(0.5 * log_variance)
