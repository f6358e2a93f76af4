"""The floor that every learned predictor must beat: nothing ever moves."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float

from corrwise.predictors.models.base import wanted_steps
from corrwise.types import Context


class CopyLast:
    """Predicts the last context frame for every candidate and step."""

    def __call__(
        self,
        context: Context,
        actions: Float[torch.Tensor, "B N H A"],
        *,
        steps: Sequence[int] | None = None,
        generators: Sequence[torch.Generator] | None = None,
    ) -> Float[torch.Tensor, "B N T C h w"]:
        """Return views of the last frame; no memory is used for the candidates."""
        times = len(wanted_steps(context, actions, steps))
        return context.frames[:, -1, None, None].expand(-1, actions.shape[1], times, -1, -1, -1)
