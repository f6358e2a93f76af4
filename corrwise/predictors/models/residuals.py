"""A predictor with residuals added: the baseline of every predictor of several futures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from corrwise.predictors.models.base import wanted_steps
from corrwise.types import Context, Predictor, copied

__all__ = ["WithResiduals"]


class WithResiduals:
    """Predicts as another predictor does, and adds one of its earlier errors to each future.

    Noise alone can beat a point forecast in a proper score: a predictor of several futures has to be better than this.
    Without generators the frames are those of the other predictor.

    Args:
        predictor: the other predictor.
        residuals: called at the first draw; returns true frames minus predicted ones, (R, T, C, h, w), of R windows
            that are drawn from with equal probability.

    Attributes:
        predictor: as given.
    """

    deterministic = False

    def __init__(self, predictor: Predictor, residuals: Callable[[], Float[Tensor, "R T C h w"]]) -> None:
        self.predictor, self._residuals = predictor, residuals

    def __call__(
        self,
        context: Context,
        actions: Float[Tensor, "B N H A"],
        *,
        steps: Sequence[int] | None = None,
        generators: Sequence[Generator] | None = None,
    ) -> Float[Tensor, "B N T C h w"]:
        """Return the frames after the given steps, in [0, 1]; the candidates of an environment share a residual.

        Raises:
            ValueError: steps beyond the residuals, or images of another size than the residuals.
        """
        frames = self.predictor(context, actions, steps=steps, generators=generators)
        if generators is None:
            return frames
        residuals, wanted = self._residuals(), wanted_steps(context, actions, steps)
        if residuals.shape[2:] != frames.shape[3:] or max(wanted, default=0) >= residuals.shape[1]:
            raise ValueError(
                f"expected residuals of {max(wanted, default=0) + 1} frames {tuple(frames.shape[3:])}, got "
                f"{residuals.shape[1]} of {tuple(residuals.shape[2:])}"
            )
        chosen = [
            int(torch.randint(len(residuals), (), generator=copied(each), dtype=torch.int64, device=each.device))
            for each in generators
        ]
        drawn = residuals[chosen][:, wanted].to(frames)
        return (frames + drawn[:, None]).clamp(0, 1)

    def parameters(self) -> list[Tensor]:
        """Return the weights of the other predictor, if any: images are predicted on their device."""
        inner = getattr(self.predictor, "parameters", None)
        return [] if inner is None else list(inner())
