"""The optical flow networks of the optional package ``ptlflow``, by name: PWC-Net, SEA-RAFT, GMFlow and many more."""

from __future__ import annotations

from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from os import PathLike
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from corrwise._files import shown
from corrwise.costs._checks import check_batch_pair
from corrwise.costs._precision import like_weights, ordinary_defaults
from corrwise.costs._weights import is_file, read_file
from corrwise.costs.flow._resize import resized, restored, working_size

__all__ = ["PtlFlow"]

SMALLEST = 32  # px in
WORKING = 128  # px: enough for the correlation pyramids of the RAFT family
CELLS = 2  # features to a side at least: PWC-Net at one divides by zero and returns NaN
Weights = str | PathLike[str]
REMEMBERED = {"train_size", "train_avg_length"}  # what some models read from their checkpoint, besides weights


class PtlFlow(nn.Module):
    """Optical flow by a model of ptlflow (Morimitsu, 2021), without gradients for its own weights.

    Images in [0, 1] go in; the models take BGR and scale the range themselves. Images under ``size`` px are enlarged a
    whole number of times, all of them to multiples of the model's stride; the flow comes back in pixels of the images
    that were given. It differentiates as far as the model does. Models for two frames only: those for videos raise.

    Args:
        name: of the model: "pwcnet" (the paper's Table 5), "sea_raft_s", "raft_small", ...
        weights: the name of one of the model's checkpoints ("things", "sintel", ...; downloaded on first use), a local
            file with such a checkpoint or a state dict, or None for random weights (tests and timings only).
        size: the least height and width that the model sees, in px; None is 128, or two features to a side if more.
        iterations: recurrent refinements, for models that have one number of them; None leaves the model's own.

    Raises:
        ImportError: ptlflow is not installed.
        FileNotFoundError: the weights file does not exist.
        ValueError: an unknown model or checkpoint, a size or iterations below one or for a model without iterations,
            or a file that holds another network.
        RuntimeError: the download failed, or ptlflow cannot build the model (some need further packages).
    """

    differentiable = True

    def __init__(
        self, name: str, weights: Weights | None = "things", *, size: int | None = None, iterations: int | None = None
    ) -> None:
        super().__init__()
        for what, value in (("size", size), ("iterations", iterations)):
            if value is not None and value < 1:
                raise ValueError(f"expected {what} of at least 1, got {value}")
        with ordinary_defaults():
            self.name, self.model = name, _model(name)
        if iterations is not None:
            _set_iterations(self.model, name, iterations)
        if weights is not None:
            _restore(self.model, name, _checkpoint(self.model, name, weights))
        self.stride = int(self.model.output_stride)
        self.size = size or max(WORKING, CELLS * self.stride)
        self.requires_grad_(False)
        self.train(False)

    def forward(self, target: Float[Tensor, "B C h w"], source: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 2 h w"]:
        """Return where to sample ``source`` so that it matches ``target``, in pixels.

        Raises:
            TypeError, ValueError: not two float RGB images (B, 3, h, w) of one shape, smaller than 32 px, or a model
                that does not return one flow per pair.
        """
        check_batch_pair(target, source)
        batch, channels, height, width = target.shape
        if channels != 3 or min(height, width) < SMALLEST:
            wanted = f"RGB images of at least {SMALLEST} px for {self.name}"
            raise ValueError(f"expected {wanted}, got {tuple(target.shape[1:])}")
        if batch == 0:
            return target.new_zeros(0, 2, height, width)
        self.model.to(target.device)  # follow the images; free when it is there already
        size = working_size(height, width, least=self.size, stride=self.stride)
        pair = torch.stack([resized(like_weights(images, self.model), size) for images in (target, source)], dim=1)
        with ordinary_defaults():
            flows = self.model({"images": pair.flip(2)})["flows"]  # RGB -> BGR
        if tuple(flows.shape) != (batch, 1, 2, *size):
            raise ValueError(f"expected {self.name} to return {(batch, 1, 2, *size)}, got {tuple(flows.shape)}")
        return restored(flows[:, 0], (height, width)).to(target.dtype)

    def train(self, mode: bool = True) -> PtlFlow:
        """Stay in evaluation mode, whatever the training loop around asks for (the models then return only a flow)."""
        return super().train(False)


def _model(name: str) -> Any:
    try:
        with redirect_stdout(StringIO()):  # importing and building print what is missing and how they are set
            ptlflow = import_module("ptlflow")
    except ModuleNotFoundError as error:
        if error.name != "ptlflow":
            raise
        raise ImportError("PtlFlow needs the package ptlflow: pip install 'corrwise[flow]'") from error
    known = ptlflow.get_model_names()
    if name not in known:
        raise ValueError(f"expected name to be a model of ptlflow, one of {', '.join(known)}, got {name!r}")
    try:
        with redirect_stdout(StringIO()):
            return ptlflow.get_model(name)
    except Exception as error:  # whatever a model's further packages and downloads raise
        raise RuntimeError(f"ptlflow could not build {name!r}: {' '.join(str(error).split())}") from error


def _set_iterations(model: Any, name: str, iterations: int) -> None:
    if not isinstance(getattr(model, "iters", None), int):
        raise ValueError(
            f"expected iterations to be None for {name}, which has no one number of them, got {iterations}"
        )
    model.iters = iterations


def _checkpoint(model: Any, name: str, weights: Weights) -> dict[str, Any]:
    if is_file(weights):
        return read_file(weights)
    known = getattr(model, "pretrained_checkpoints", {})
    if weights not in known:
        names = ", ".join(known) or "(it has no checkpoints)"
        raise ValueError(f"expected weights of {name} to be a file, None or one of {names}, got {weights!r}")
    try:
        return torch.hub.load_state_dict_from_url(
            known[weights], map_location="cpu", progress=False, check_hash=True, weights_only=True
        )
    except OSError as error:  # URLError is one
        raise RuntimeError(
            f"the weights {weights!r} of {name} are not on this machine and could not be downloaded: where there is a "
            f"network, torch.save(ptlflow.load_checkpoint({weights!r}, ptlflow.get_model_reference({name!r})), "
            "'weights.pth'), then give that file in place of the name: weights='weights.pth'"
        ) from error


def _restore(model: Any, name: str, checkpoint: dict[str, Any]) -> None:
    state, settings = checkpoint.get("state_dict", checkpoint), checkpoint.get("hyper_parameters", {})
    further = settings.get("extra_params", {}) if isinstance(settings, dict) else None
    if not isinstance(state, dict) or not isinstance(further, dict) or not all(isinstance(key, str) for key in state):
        raise ValueError(f"expected the weights of {name} and its settings, got {shown(state)} and {shown(settings)}")
    for remembered in settings.keys() & REMEMBERED:
        setattr(model, remembered, settings[remembered])
    for key, value in further.items():
        model.add_extra_param(key, value)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"expected the weights of {name}, got {len(state)} tensors of another network") from error
