"""RAFT (Teed & Deng, ECCV 2020) by torchvision: the paper's flow, learned and differentiable."""

from __future__ import annotations

from os import PathLike

from jaxtyping import Float
from torch import Tensor, nn

from corrwise.costs._checks import check_batch_pair
from corrwise.costs._precision import like_weights, ordinary_defaults
from corrwise.costs._weights import fits, is_file, load_weights
from corrwise.costs.flow._resize import resized, restored, working_size

__all__ = ["RAFTFlow"]

SMALLEST = 32  # px in
WORKING = 128  # px that RAFT needs: its correlation pyramid wants 16 x 16 features
STRIDE = 8
ENUMS = {"small": "Raft_Small_Weights", "large": "Raft_Large_Weights"}


class RAFTFlow(nn.Module):
    """Optical flow by torchvision's ``raft_small`` or ``raft_large``, without gradients for its own weights.

    Images in [0, 1] go in and the network sees [-1, 1]. Images under 128 px are enlarged, twice to four times, and all
    of them to multiples of 8 px; the flow comes back in pixels of the images that were given.

    Args:
        weights: a torchvision name ("Raft_Small_Weights.C_T_V2", or "C_T_V2" of the given size; downloaded on first
            use), a local file with a state dict, or None for random weights (tests and timings only).
        size: "small" or "large"; None takes it from the name or the file, and is "large" where a name has none.
        updates: recurrent refinements; the paper's code uses 5.

    Raises:
        FileNotFoundError: the weights file does not exist.
        ValueError: an unknown name or size, fewer than one update, or a file that holds another network.
        RuntimeError: the download failed.
    """

    differentiable = True

    def __init__(
        self, weights: str | PathLike[str] | None = "C_T_V2", size: str | None = None, *, updates: int = 5
    ) -> None:
        super().__init__()
        if updates < 1:
            raise ValueError(f"expected updates of at least 1, got {updates}")
        self.updates = updates
        with ordinary_defaults():
            self.size, self.model = _model(_sizes(weights, size), weights)
        self.requires_grad_(False)
        self.train(False)

    def forward(self, target: Float[Tensor, "B C h w"], source: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 2 h w"]:
        """Return where to sample ``source`` so that it matches ``target``, in pixels.

        Raises:
            TypeError, ValueError: not two float RGB images (B, 3, h, w) of one shape, or smaller than 32 px.
        """
        check_batch_pair(target, source)
        batch, channels, height, width = target.shape
        if channels != 3 or min(height, width) < SMALLEST:
            raise ValueError(f"expected RGB images of at least {SMALLEST} px for RAFT, got {tuple(target.shape[1:])}")
        if batch == 0:
            return target.new_zeros(0, 2, height, width)
        self.model.to(target.device)  # follow the images; free when it is there already
        size = working_size(height, width, least=WORKING, stride=STRIDE)
        # [0, 1] -> [-1, 1], what torchvision's RAFT was trained on
        pair = [resized(2 * like_weights(images, self.model) - 1, size) for images in (target, source)]
        with ordinary_defaults():
            flows = self.model(*pair, num_flow_updates=self.updates)
        return restored(flows[-1], (height, width)).to(target.dtype)

    def train(self, mode: bool = True) -> RAFTFlow:
        """Stay in evaluation mode, whatever the training loop around asks for (RAFT-large has batch norms)."""
        return super().train(False)


def _sizes(weights: str | PathLike[str] | None, size: str | None) -> tuple[str, ...]:
    """Return the size that is asked for, or both where only the shapes in a file decide."""
    if size is not None and size not in ENUMS:
        raise ValueError(f"expected size to be one of {', '.join(ENUMS)}, got {size!r}")
    if weights is not None and is_file(weights):
        return (size,) if size else tuple(ENUMS)
    named = next((name for name, enum in ENUMS.items() if str(weights).startswith(f"{enum}.")), None)
    if size and named and size != named:
        raise ValueError(f"expected weights of RAFT-{size}, got {weights!r}")
    return (size or named or "large",)


def _model(sizes: tuple[str, ...], weights: str | PathLike[str] | None) -> tuple[str, nn.Module]:
    """Return the first of the sizes that the weights fit, and its network."""
    from torchvision.models import optical_flow  # takes seconds to import

    builders = {"small": optical_flow.raft_small, "large": optical_flow.raft_large}
    if weights is None:
        return sizes[0], builders[sizes[0]](weights=None)
    state = load_weights(weights, ENUMS[sizes[0]])
    for size in sizes:
        model = builders[size](weights=None)
        wanted = model.state_dict()
        if state.keys() == wanted.keys() and fits(state, wanted):
            model.load_state_dict(state)
            return size, model
    names = " or ".join(f"RAFT-{size}" for size in sizes)
    raise ValueError(f"expected the weights of {names}, got {len(state)} tensors of another network")
