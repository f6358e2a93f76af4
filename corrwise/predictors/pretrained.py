"""Models on disk: a folder with config.json, which names the model and its configuration, and model.safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from torch import nn

__all__ = ["CONFIG", "WEIGHTS", "Pretrained", "about_model"]

ModelT = TypeVar("ModelT", bound="Pretrained")

CONFIG, WEIGHTS = "config.json", "model.safetensors"


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

        folder = Path(folder).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        state = {name: value.contiguous().cpu() for name, value in self.state_dict().items()}
        told = {"model": self.name, "config": asdict(self.config), "about": dict(about or {})}
        for name, data in ((WEIGHTS, save(state)), (CONFIG, (json.dumps(told, indent=2) + "\n").encode())):
            aside = folder / f"{name}.part"
            aside.write_bytes(data)
            aside.replace(folder / name)  # a file is there as a whole or as it was

    @classmethod
    def from_pretrained(cls: type[ModelT], folder: str | PathLike[str]) -> ModelT:
        """Return a saved model in evaluation mode.

        Raises:
            FileNotFoundError: there is no model.
            ValueError: another model, or files that are damaged or do not fit each other.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load

        told, path = about_model(folder), Path(folder).expanduser() / WEIGHTS
        if told["model"] != cls.name:
            raise ValueError(f"expected a model {cls.name!r} in {folder}, got {told['model']!r}")
        if not path.is_file():
            raise FileNotFoundError(f"there are no weights at {path}")
        try:
            with torch.device("cpu"):  # and below in float32, whatever torch's defaults are
                model = cls(cls.config_type(**told["config"]))
            model.load_state_dict(load(path.read_bytes()))
        except (SafetensorError, RuntimeError, TypeError) as error:
            raise ValueError(f"expected weights of {cls.name} {told['config']} in {path}") from error
        return model.float().eval()


def about_model(folder: str | PathLike[str]) -> dict[str, Any]:
    """Return what config.json says: ``model``, ``config`` and ``about``.

    Raises:
        FileNotFoundError: there is no model.
        ValueError: config.json describes none.
    """
    path = Path(folder).expanduser() / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"there is no model in {folder}: expected {CONFIG} and {WEIGHTS}")
    try:
        told = dict(json.loads(path.read_bytes()))
        return {"model": str(told["model"]), "config": dict(told["config"]), "about": dict(told.get("about", {}))}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} does not describe a model") from error
