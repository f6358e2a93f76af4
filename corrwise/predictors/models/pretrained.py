"""Models on disk: a folder with config.json, the name and configuration of a model, and model.safetensors."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from dataclasses import asdict, fields
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

import torch
from torch import nn

from corrwise._files import local_path, read_json, reading, shown
from corrwise._network_size import check_network
from corrwise._writing import write_bytes_atomic
from corrwise.validation import Range, did_you_mean

__all__ = [
    "CONFIG",
    "WEIGHTS",
    "Pretrained",
    "about_model",
    "check_start",
    "model_folder",
    "model_hash",
    "model_stride",
    "typed_config",
    "weights_hash",
]

ModelT = TypeVar("ModelT", bound="Pretrained")

CONFIG, WEIGHTS = "config.json", "model.safetensors"
# what sizes of a configuration may be
ContextFrames = Annotated[int, Range(1, 1000)]
ActionDim = Annotated[int, Range(0, 100_000)]
Width = Annotated[int, Range(1, 65_536)]
_CLIPS = {
    "task": str,
    "frame_skip": int,
    "size": list,
    "supersample": int,
    "action_dim": int,
}  # types of the training data's metadata


class Pretrained(nn.Module):
    """A module that is built from a frozen dataclass and can be saved to a folder.

    Attributes:
        name: of the model in config.json.
        config_type: the dataclass.
        config: the configuration of this instance.
    """

    name: ClassVar[str]
    config_type: ClassVar[type[Any]]
    config: Any

    def save_pretrained(self, folder: str | PathLike[str], about: Mapping[str, Any] | None = None) -> None:
        """Write configuration, weights and metadata, such as the training data.

        Raises:
            RunFolderError: a file cannot be written; it is named.
        """
        from safetensors.torch import save

        folder = local_path(folder)
        state = {name: value.contiguous().cpu() for name, value in self.state_dict().items()}
        contents = {"model": self.name, "config": asdict(self.config), "about": dict(about or {})}
        described = json.dumps(contents, indent=2, default=lambda number: number.item())  # numpy's numbers
        for name, data in ((WEIGHTS, save(state)), (CONFIG, f"{described}\n".encode())):
            write_bytes_atomic(folder / name, data)

    @classmethod
    def from_pretrained(cls: type[ModelT], folder: str | PathLike[str]) -> ModelT:
        """Return a saved model in evaluation mode.

        Raises:
            FileNotFoundError: the folder has no model.
            ValueError: another model, or files that are damaged or do not match.
        """
        from safetensors.torch import load

        about, path = about_model(folder), local_path(folder) / WEIGHTS
        if about["model"] != cls.name:
            raise ValueError(f"expected a model {cls.name!r} in {folder}, got {about['model']!r}")
        if not path.is_file():
            raise FileNotFoundError(f"there are no weights at {path}")
        with reading(Path(folder) / CONFIG, f"describes no {cls.name} that can be made"):
            config = typed_config(cls.config_type, cls.name, about["config"])
            check_network(lambda: cls(config))
        with reading(path, f"holds no weights of {cls.name} with the options in {CONFIG}"):
            state = load(path.read_bytes())
            check_network(lambda: cls(config), state)  # no memory is allocated beyond the file's contents
            with torch.device("cpu"):  # in float32, whatever torch's default type is
                model = cls(config)
            model.load_state_dict(state)
        return model.float().eval()


def typed_config(kind: type[Any], name: str, options: Mapping[str, Any]) -> Any:
    """Return a model's configuration.

    Args:
        kind: the dataclass.
        name: of the model, for messages.
        options: values of fields; the other fields keep their defaults.

    Raises:
        ValueError: unknown options, or values that they may not have.
    """
    known = [each.name for each in fields(kind)]
    for each in options:
        if each not in known:
            guess = did_you_mean(each.lower(), known)
            raise ValueError(f"{name} has no such options: {each!r}{guess}; there are {', '.join(known)}")
    try:
        return kind(**options)
    except TypeError as error:
        raise ValueError(f"{name} cannot be made of these options: {error}") from error


def model_folder(path: str | PathLike[str]) -> Path:
    """Return the folder of a trained model: the one given, or ``model`` inside it where it is a training run's."""
    folder = local_path(path)
    return folder / "model" if (folder / "model" / CONFIG).is_file() else folder


def weights_hash(folder: Path) -> str:
    """Return a hash of the weights in a model's folder.

    Raises:
        FileNotFoundError: there are none.
    """
    if not (folder / WEIGHTS).is_file():
        raise _no_model(folder)
    return sha256((folder / WEIGHTS).read_bytes()).hexdigest()[:12]


def model_hash(folder: Path) -> str:
    """Return a hash of the weights and the configuration in a model's folder.

    Raises:
        FileNotFoundError, ValueError: see ``about_model``.
    """
    config = json.dumps(about_model(folder)["config"], sort_keys=True)
    return sha256(f"{weights_hash(folder)} {config}".encode()).hexdigest()[:12]


def about_model(folder: str | PathLike[str]) -> dict[str, Any]:
    """Return the contents of config.json: ``model``, ``config`` and ``about``.

    Raises:
        FileNotFoundError: the folder has no model.
        ValueError: config.json does not describe a model.
    """
    path = local_path(folder) / CONFIG
    if not path.is_file() or _is_a_runs(path):
        raise _no_model(folder)
    with reading(path, "does not describe a model"):
        contents = read_json(path)
        about = {
            name: _part(contents, name, kind) for name, kind in (("model", str), ("config", dict), ("about", dict))
        }
        clips = _part(about["about"], "clips", dict)
        for name, kind in _CLIPS.items():
            if name in clips and type(clips[name]) is not kind:
                raise ValueError(f"expected {kind.__name__} as {name} of its clips, got {shown(clips[name])}")
        size = clips.get("size", [1, 1])
        if [type(side) for side in size] != [int, int]:
            raise ValueError(f"expected (H, W) as size of its clips, got {shown(size)}")
        stride = about["about"].get("stride", 1)
        if type(stride) is not int or stride < 1:
            raise ValueError(f"expected a whole number from 1 as stride, got {shown(stride)}")
        return about


def _is_a_runs(path: Path) -> bool:
    """Return whether a config.json is that of a run, such as a training, and not of a model."""
    if path.with_name(WEIGHTS).is_file():
        return False
    with reading(path, "does not describe a model"):
        contents = read_json(path)
        return isinstance(contents, dict) and len(contents) > 1 and "config" not in contents


def _no_model(folder: str | PathLike[str]) -> FileNotFoundError:
    there = _instead(local_path(folder))
    return FileNotFoundError(f"there is no model in {folder}: expected {CONFIG} and {WEIGHTS}{there}")


def _instead(folder: Path) -> str:
    """Return what a folder without a model has in its place: a training that has not ended, and weights of it."""
    if not (folder / "checkpoint.pt").is_file():
        return ""
    good = folder / "last-good"
    kept = f"; the weights of its last checkpoint are in {good}" if (good / CONFIG).is_file() else ""
    return f"; the training in it has not ended{kept}"


def check_start(model: Any, name: str, wanted: Any, where: object, free: Container[str] = ()) -> None:
    """Raise unless a model that weights are taken from is of this kind and configuration, but for ``free`` options.

    Raises:
        ValueError: another one; the sentence has the options that differ.
    """
    if model.name != name:
        raise ValueError(f"expected a model {name} in {where} to start from, got {model.name}")
    got = model.config
    fixed = [each.name for each in fields(wanted) if each.name not in free]
    differ = [option for option in fixed if getattr(wanted, option) != getattr(got, option)]
    if differ:
        mine, other = (", ".join(f"{name} {getattr(each, name)}" for name in differ) for each in (wanted, got))
        raise ValueError(f"expected a model of {mine} in {where} to start from, got {other}")


def model_stride(folder: str | PathLike[str]) -> int:
    """Return how many steps of its clips one step of a model covers; 1 unless it was trained on strides.

    Raises:
        FileNotFoundError, ValueError: see ``about_model``.
    """
    return int(about_model(folder)["about"].get("stride", 1))


def _part(contents: Any, name: str, kind: type[Any]) -> Any:
    """Return a field of an object; an empty one if it is optional and missing."""
    if not isinstance(contents, dict):
        raise ValueError(f"expected an object with {name}, got {shown(contents)}")
    value = contents.get(name, {}) if name in ("about", "clips") else contents.get(name)
    if type(value) is not kind:
        raise ValueError(f"expected {kind.__name__} as {name}, got {shown(value)}")
    return value
