"""Checkpoints of training runs. Their contents are checked before a run resumes from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from corrwise._files import load_checkpoint, reading, shown

__all__ = ["KINDS", "restore", "training_state"]

KINDS = ("networks", "optimizers", "schedules", "averages")  # parts of a run that have a state for each network
_SINGLE = {  # names of the parts in checkpoints of version 0, which have a single network
    "model": "networks",
    "net": "networks",
    "optimizer": "optimizers",
    "schedule": "schedules",
    "average": "averages",
}
_MOST = 1e12  # largest magnitude of an optimiser's and a schedule's numbers: products fit single precision


def training_state(path: Path, *, networks: Mapping[str, Any], device: Any) -> dict[str, Any]:
    """Return a checkpoint's ``step``, ``seconds``, the ``losses`` of all steps, ``KINDS`` and ``record``.

    Args:
        path: the file.
        networks: of the run, by name. A checkpoint of version 0 belongs to the first of them.
        device: of the tensors.

    Raises:
        ValueError: it cannot be read, or has other contents.
    """
    state = load_checkpoint(path, device=device, problem="is no checkpoint that can be read: remove it to start over")
    with reading(path, "is no checkpoint of a training: remove it to start over"):
        step, seconds, losses = state["step"], state["seconds"], state["losses"]
        if type(step) is not int or step < 0:
            raise ValueError(f"expected a whole number from 0 as step, got {shown(step)}")
        if not isinstance(seconds, float | int) or not 0 <= seconds < math.inf:
            raise ValueError(f"expected seconds from 0, got {shown(seconds)}")
        if not isinstance(losses, list) or len(losses) != step or not all(isinstance(each, float) for each in losses):
            raise ValueError(f"expected a loss for each of {step} steps, got {shown(losses)}")
        state = dict(state) if "networks" in state else _of_single(state, next(iter(networks)))
        if not isinstance(state["record"], dict):
            raise ValueError(f"expected a record by name, got {shown(state['record'])}")
    return state


def _of_single(state: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a checkpoint of version 0 in the current form."""
    parts: dict[str, Any] = {kind: {} for kind in KINDS}
    parts |= {_SINGLE[key]: {name: value} for key, value in state.items() if key in _SINGLE}
    known = {"step", "seconds", "losses"}
    record = {key: value for key, value in state.items() if key not in {*_SINGLE, *known, "way"}}
    way = {"way": state.get("way", "32-true in 1 processes")}
    return {**parts, **{key: state[key] for key in known}, **way, "record": record}


def restore(path: Path, state: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any]], problem: str) -> None:
    """Load the states of networks, optimisers, schedules and averages from a checkpoint.

    Args:
        path: of the checkpoint, for messages.
        state: see ``training_state``.
        parts: by kind (``KINDS``) and name of the network.
        problem: the message after the path.

    Raises:
        ValueError: the checkpoint has no such states, or those of other networks.
    """
    with reading(path, problem):
        for kind, by_name in parts.items():
            there = state[kind]
            if not isinstance(there, Mapping) or there.keys() != by_name.keys():
                raise ValueError(f"expected {', '.join(by_name) or 'none'} as {kind}, got {shown(there)}")
            for name, part in by_name.items():
                _restore(name, part, there[name])


def _restore(name: str, part: Any, there: Any) -> None:
    here = part.state_dict()
    _check(name, here, there)
    if hasattr(part, "param_groups"):
        _check_switches(here["param_groups"], there["param_groups"])
    part.load_state_dict(there)
    if hasattr(part, "param_groups"):
        _check_moments(part)


def _check(name: str, here: Any, there: Any) -> None:
    """Refuse a state whose values have other types than those that it replaces; torch checks tensors."""
    if isinstance(here, Mapping):
        if not isinstance(there, Mapping) or (name not in ("state", "_schedulers") and here.keys() - there.keys()):
            raise ValueError(f"expected {', '.join(map(str, here))[:80]} in {name}, got {shown(there)}")
        for key in here.keys() & there.keys():
            _check(str(key), here[key], there[key])
    elif isinstance(here, list | tuple):
        if not isinstance(there, list | tuple) or len(there) != len(here):
            raise ValueError(f"expected {len(here)} of {name}, got {shown(there)}")
        for current, other in zip(here, there, strict=True):
            _check(name, current, other)
    elif isinstance(here, bool | str) or here is None:
        if type(there) is not type(here):
            raise ValueError(f"expected {name} as {shown(here)}, got {shown(there)}")
    elif isinstance(here, int | float):
        number = isinstance(there, int | float) and not isinstance(there, bool)
        if not number or not abs(there) <= _MOST:
            raise ValueError(f"expected a number of at most {_MOST:g} as {name}, got {shown(there)}")


def _check_switches(here: Any, there: Any) -> None:
    """Refuse an optimiser with other boolean settings, which no option of a run changes."""
    for current, other in zip(here, there, strict=True):
        for name, value in current.items():
            if isinstance(value, bool) and other[name] is not value:
                raise ValueError(f"expected {name} as {value}, got {shown(other[name])}")


def _check_moments(optimizer: Any) -> None:
    """Refuse moments that are missing or have other shapes than their weights."""
    moments = ("step", "square_avg") if "alpha" in optimizer.defaults else ("step", "exp_avg", "exp_avg_sq")
    for group in optimizer.param_groups:
        for weights in group["params"]:
            state = optimizer.state.get(weights, {})
            if not isinstance(state, dict):
                raise ValueError(f"expected {', '.join(moments)} of each weight, got {shown(state)}")
            for name in moments if state else ():
                value: Any = state.get(name)
                wanted = () if name == "step" else tuple(weights.shape)
                if not hasattr(value, "shape") or tuple(value.shape) != wanted:
                    raise ValueError(f"expected {name} {wanted}, got {shown(value)}")
