"""Models on disk: a folder with config.json, which names the model and its configuration, and model.safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_type_hints

import torch
from torch import nn

from corrwise._files import local_path, read_json, reading, shown
from corrwise._network_size import check_network

__all__ = [
    "CONFIG",
    "WEIGHTS",
    "Pretrained",
    "about_model",
    "check_most",
    "model_folder",
    "typed_config",
    "weights_hash",
]

ModelT = TypeVar("ModelT", bound="Pretrained")

CONFIG, WEIGHTS = "config.json", "model.safetensors"
MOST = {  # of the sizes that configurations have
    **{
        "context": 1000,
        "action_dim": 100_000,
        "size": 8192,
        "downs": 16,
        "layers": 100,
        "blocks3d": 200,
        "blocks2d": 200,
    },
    **dict.fromkeys(("width", "features", "latent", "hidden", "channels"), 65_536),
}
_CLIPS = {"task": str, "frame_skip": int, "size": list, "supersample": int, "action_dim": int}  # that it learned from


class Pretrained(nn.Module):
    """A module made of a frozen dataclass, which a folder can hold.

    Attributes:
        name: what config.json calls the model.
        config_type: the dataclass.
        config: what this one was made of.
    """

    name: ClassVar[str]
    config_type: ClassVar[type[Any]]
    config: Any

    def save_pretrained(self, folder: str | PathLike[str], about: Mapping[str, Any] | None = None) -> None:
        """Write configuration and weights, and what else is known: what it was trained on, for one.

        Raises:
            OSError: the folder cannot be written.
        """
        from safetensors.torch import save

        folder = local_path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        state = {name: value.contiguous().cpu() for name, value in self.state_dict().items()}
        told = {"model": self.name, "config": asdict(self.config), "about": dict(about or {})}
        for name, data in ((WEIGHTS, save(state)), (CONFIG, (json.dumps(told, indent=2) + "\n").encode())):
            aside = folder / f"{name}.part"
            aside.unlink(missing_ok=True)  # a leftover, or a link that would be written through
            with aside.open("xb") as file:
                file.write(data)
            aside.replace(folder / name)  # a file is there as a whole or as it was

    @classmethod
    def from_pretrained(cls: type[ModelT], folder: str | PathLike[str]) -> ModelT:
        """Return a saved model in evaluation mode.

        Raises:
            FileNotFoundError: there is no model.
            ValueError: another model, or files that are damaged or do not fit each other.
        """
        from safetensors.torch import load

        told, path = about_model(folder), local_path(folder) / WEIGHTS
        if told["model"] != cls.name:
            raise ValueError(f"expected a model {cls.name!r} in {folder}, got {told['model']!r}")
        if not path.is_file():
            raise FileNotFoundError(f"there are no weights at {path}")
        with reading(Path(folder) / CONFIG, f"describes no {cls.name} that can be made"):
            config = typed_config(cls.config_type, cls.name, told["config"])
            check_network(lambda: cls(config))
        with reading(path, f"holds no weights of {cls.name} {told['config']}"):
            state = load(path.read_bytes())
            check_network(lambda: cls(config), state)  # nothing is made that the file does not hold
            with torch.device("cpu"):  # and below in float32, whatever torch's defaults are
                model = cls(config)
            model.load_state_dict(state)
        return model.float().eval()


def typed_config(kind: type[Any], name: str, options: Mapping[str, Any]) -> Any:
    """Return a model's configuration.

    Args:
        kind: the dataclass.
        name: the model's, for messages.
        options: its fields; the others keep their defaults.

    Raises:
        ValueError: options that the model does not have, or values of another type than theirs.
    """
    for option, wanted in get_type_hints(kind).items():
        value = options.get(option)
        if option in options and (type(value) is not wanted) and not (wanted is float and type(value) is int):
            raise ValueError(f"expected {option} of {name} to be {wanted.__name__}, got {shown(value)}")
    try:
        return kind(**options)
    except TypeError as error:
        raise ValueError(f"{name} has no such options: {error}") from error


def check_most(config: Any) -> None:
    """Raise a ValueError for a size of a configuration that no network has (``MOST``)."""
    for name, value in vars(config).items():
        if name in MOST and value > MOST[name]:
            raise ValueError(f"expected {name} of at most {MOST[name]}, got {value}")


def model_folder(path: str | PathLike[str]) -> Path:
    """Return the folder of a trained model: the one given, or ``model`` inside it where it is a training run's."""
    folder = local_path(path)
    return folder / "model" if (folder / "model" / CONFIG).is_file() else folder


def weights_hash(folder: Path) -> str:
    """Return a hash of the weights in a model's folder."""
    return sha256((folder / WEIGHTS).read_bytes()).hexdigest()[:12]


def about_model(folder: str | PathLike[str]) -> dict[str, Any]:
    """Return what config.json says: ``model``, ``config`` and ``about``.

    Raises:
        FileNotFoundError: there is no model.
        ValueError: config.json describes none.
    """
    path = local_path(folder) / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"there is no model in {folder}: expected {CONFIG} and {WEIGHTS}")
    with reading(path, "does not describe a model"):
        told = read_json(path)
        about = {name: _part(told, name, kind) for name, kind in (("model", str), ("config", dict), ("about", dict))}
        clips = _part(about["about"], "clips", dict)
        for name, kind in _CLIPS.items():
            if name in clips and type(clips[name]) is not kind:
                raise ValueError(f"expected {kind.__name__} as {name} of its clips, got {shown(clips[name])}")
        size = clips.get("size", [1, 1])
        if [type(side) for side in size] != [int, int]:
            raise ValueError(f"expected (H, W) as size of its clips, got {shown(size)}")
        return about


def _part(told: Any, name: str, kind: type[Any]) -> Any:
    """Return a field of an object; of one that may be left out, nothing."""
    if not isinstance(told, dict):
        raise ValueError(f"expected an object with {name}, got {shown(told)}")
    value = told.get(name, {}) if name in ("about", "clips") else told.get(name)
    if type(value) is not kind:
        raise ValueError(f"expected {kind.__name__} as {name}, got {shown(value)}")
    return value
