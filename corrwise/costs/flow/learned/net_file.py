"""A flow net as one safetensors file: its weights, its configuration, and facts about how it came about."""

from __future__ import annotations

import json
from dataclasses import asdict
from os import PathLike, fspath
from pathlib import Path

import torch

from corrwise._files import local_path, parse_json, reading, shown
from corrwise._network_size import check_network
from corrwise.costs._precision import ordinary_defaults
from corrwise.costs.flow.learned.net import FlowNet, FlowNetConfig

__all__ = ["FORMAT", "SHIPPED_IN", "facts_of", "load_net", "save_net"]

SHIPPED = ("small",)
SHIPPED_IN = Path(__file__).parent / "weights"
FORMAT = "corrwise flow net 1"


def save_net(net: FlowNet, path: str | PathLike[str], **facts: str) -> None:
    """Write a net's weights with its configuration, and any facts worth keeping, as one safetensors file.

    Raises:
        OSError: the file cannot be written.
    """
    from safetensors.torch import save

    header = {"format": FORMAT, "config": json.dumps(asdict(net.config)), **facts}
    state = {name: value.contiguous().cpu() for name, value in net.state_dict().items()}
    local_path(path).write_bytes(save(state, header))


def load_net(weights: str | PathLike[str]) -> FlowNet:
    """Return the net behind shipped weights' name or a file of ``save_net``, frozen and in evaluation mode.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: a file that holds no such net.
    """
    path, header, state = _read(weights)
    text = header.get("config", "{}")
    with reading(path, f"holds no weights that fit their configuration {shown(text)}"):
        config = FlowNetConfig(**parse_json(text))
        check_network(lambda: FlowNet(config), state)  # nothing is made that the file does not hold
        with ordinary_defaults():
            net = FlowNet(config)
        net.load_state_dict(state)
    return net.requires_grad_(False).eval().to(memory_format=torch.channels_last)


def facts_of(weights: str | PathLike[str]) -> dict[str, str]:
    """Return what ``save_net`` was given to keep beside the weights.

    Raises:
        FileNotFoundError, ValueError: see ``load_net``.
    """
    return {name: fact for name, fact in _read(weights)[1].items() if name not in ("format", "config")}


def _read(weights: str | PathLike[str]) -> tuple[Path, dict[str, str], dict[str, torch.Tensor]]:
    """Return the file's path, its header and its tensors."""
    from safetensors import safe_open

    path = SHIPPED_IN / f"{weights}.safetensors"
    if weights not in SHIPPED:
        path = local_path(weights)
        if not path.is_file():
            raise FileNotFoundError(
                f"expected weights to be one of {', '.join(SHIPPED)} or a file that corrwise train-flow wrote, "
                f"got {fspath(weights)!r} which is no file"
            )
    with reading(path, "cannot be read as a flow net's weights"), safe_open(path, framework="pt") as file:
        header = file.metadata() or {}
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    if header.get("format") != FORMAT:
        raise ValueError(f"expected weights of a {FORMAT!r}, got {str(path)!r} which holds another network's")
    return path, header, state
