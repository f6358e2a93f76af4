"""Flow from a small net trained on a simulator's exact correspondence: it matches far, small, jointed bodies."""

from __future__ import annotations

from os import PathLike

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from corrwise.costs._checks import check_batch_pair
from corrwise.costs.flow.learned.net import CELL, FlowNet
from corrwise.costs.flow.learned.net_file import load_net
from corrwise.costs.flow.matching.places import REACH, THRESHOLD, differing

__all__ = ["LearnedFlow"]

SMALLEST = 16  # pixels; four cells to a side


class LearnedFlow:
    """Match cells all against all, then refine every pixel, by a net that ships with its weights (``FlowNet``).

    Pixels where the images do not differ stay where they are. A pair with a pixel that is not finite has a flow of NaN,
    which no distance lets win, and leaves the others alone.

    Args:
        weights: the name of shipped weights, a file that ``corrwise train-flow`` wrote, or a net that is at hand.
        threshold: pixels whose channels differ by no more than this count as equal.
        refinements: how often pixels are refined. The shipped weights gain next to nothing from a second time
            (docs/train_a_flow.md).
        chunk: the most pairs computed at a time, which bounds memory.

    Raises:
        FileNotFoundError: the weights file does not exist.
        ValueError: an unknown name, a file that holds no such net, a threshold outside [0, 1), or refinements or chunk
            below 1.
    """

    differentiable = True

    def __init__(
        self,
        weights: str | PathLike[str] | FlowNet = "small",
        *,
        threshold: float | int = THRESHOLD,
        refinements: int = 1,
        chunk: int = 48,
    ) -> None:
        if not 0 <= threshold < 1:
            raise ValueError(f"expected threshold in [0, 1), got {threshold}")
        for name, value in (("refinements", refinements), ("chunk", chunk)):
            if value < 1:
                raise ValueError(f"expected {name} of at least 1, got {value}")
        self.net = weights if isinstance(weights, FlowNet) else load_net(weights)
        self.threshold, self.refinements, self.chunk = threshold, refinements, chunk

    def __call__(self, target: Float[Tensor, "B C h w"], source: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 2 h w"]:
        """Return where to sample ``source`` so that it matches ``target``, in pixels.

        Raises:
            TypeError, ValueError: not two float RGB images (B, 3, h, w) of one shape, at least 16 px to a side.
        """
        return self.both(target, source)[0]

    def both(
        self, x: Float[Tensor, "B C h w"], y: Float[Tensor, "B C h w"]
    ) -> tuple[Float[Tensor, "B 2 h w"], Float[Tensor, "B 2 h w"]]:
        """Return ``flow(x, y)`` and ``flow(y, x)``; the net computes both at once."""
        check_batch_pair(x, y)
        if x.shape[1] != 3 or min(x.shape[2:]) < SMALLEST:
            raise ValueError(f"expected RGB images of at least {SMALLEST} px to a side, got {tuple(x.shape)}")
        if not len(x):
            return x.new_zeros(0, 2, *x.shape[2:]), x.new_zeros(0, 2, *x.shape[2:])
        net = self.net.to(x.device)
        parts = [self._pair(net, *part) for part in zip(x.split(self.chunk), y.split(self.chunk), strict=True)]
        return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])

    def _pair(self, net: FlowNet, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        finite = torch.isfinite(x).flatten(1).all(dim=1) & torch.isfinite(y).flatten(1).all(dim=1)
        height, width = x.shape[2:]
        x, y = (_padded(torch.where(finite[:, None, None, None], image, 0.0)) for image in (x, y))
        moved = differing(x, y, threshold=self.threshold, reach=REACH)
        flows = net(x.float(), y.float(), moved, refinements=self.refinements).flows[-1][..., :height, :width]
        flows = flows.where(torch.cat((finite, finite))[:, None, None, None], torch.nan).to(x.dtype)
        return flows[: len(x)], flows[len(x) :]


def _padded(images: Tensor) -> Tensor:
    """Return images whose sides are multiples of a cell; the border is repeated."""
    height, width = images.shape[2:]
    return F.pad(images, (0, -width % CELL, 0, -height % CELL), mode="replicate")
