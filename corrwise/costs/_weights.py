"""Pretrained weights by torchvision name or from a local file, with one clear sentence when they are missing."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from torch import Tensor

from corrwise._files import load_checkpoint, local_path, reading

__all__ = ["fits", "is_file", "load_weights", "read_file"]


def is_file(weights: str | PathLike[str]) -> bool:
    """Distinguish a path from a torchvision name: a path has a folder or a known suffix, or simply exists."""
    if not isinstance(weights, str):
        return True
    path = local_path(weights)
    return len(path.parts) > 1 or path.suffix in {".pth", ".pt", ".safetensors"} or path.is_file()


def load_weights(weights: str | PathLike[str], enum: str) -> dict[str, Tensor]:
    """Return a state dict from a local file, or from torchvision's ``enum`` by the name of a member.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: an unknown name, or a file that holds no state dict.
        RuntimeError: the download failed.
    """
    return read_file(weights) if is_file(weights) else _from_hub(fspath(weights), enum)


def read_file(file: str | PathLike[str]) -> dict[str, Any]:
    """Return the dictionary in a local file: a state dict, or a checkpoint that holds one beside other things.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it cannot be read as weights, or holds no dictionary.
    """
    path = local_path(file)
    if not path.is_file():
        raise FileNotFoundError(f"expected a weights file, got {str(path)!r} which does not exist")
    state = _read(path)
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise ValueError(f"expected a state dict in {str(path)!r}, got {type(state).__name__}")
    return state


def fits(state: Mapping[str, Any], wanted: Mapping[str, Tensor]) -> bool:
    """Return whether a state dict holds tensors of these shapes, with their numbers."""
    return all(
        isinstance(state[name], Tensor) and state[name].shape == value.shape and state[name].device == value.device
        for name, value in wanted.items()
    )


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        with reading(path, "cannot be read as weights"):
            return load_file(path)
    return load_checkpoint(path, problem="cannot be read as weights")


def _from_hub(name: str, enum: str) -> dict[str, Tensor]:
    import torchvision  # takes seconds to import

    scope = torchvision.models.optical_flow if enum.startswith("Raft") else torchvision.models
    members = getattr(scope, enum).__members__
    prefix, _, member = name.rpartition(".")
    if prefix not in ("", enum) or member not in members:
        known = ", ".join(f"{enum}.{known}" for known in members)
        raise ValueError(f"expected weights to be a file, None or one of {known}, got {name!r}")
    try:
        return members[member].get_state_dict(progress=False)
    except OSError as error:  # URLError is one
        usage = "weights='weights.pth'" + (
            ", or flow=raft,weights=weights.pth in the name of a cost" if enum.startswith("Raft") else ""
        )
        raise RuntimeError(
            f"the weights {enum}.{member} are not on this machine and could not be downloaded: where there is a "
            f"network, torch.save(torchvision.models.get_weight('{enum}.{member}').get_state_dict(), 'weights.pth'), "
            f"then give that file in place of the name: {usage}"
        ) from error
