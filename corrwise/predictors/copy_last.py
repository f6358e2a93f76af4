"""The floor that every learned predictor must beat: nothing ever moves."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float

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
        _, n, h, _ = actions.shape
        times = h if steps is None else len(steps)
        return context.frames[:, -1, None, None].expand(-1, n, times, -1, -1, -1)
