"""How large a network is, known before any of it is made: a configuration of a few bytes can ask for any memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

__all__ = ["MOST_WEIGHTS", "check_network"]

MOST_WEIGHTS = 10**9  # numbers of a network: 4 GB; the largest that ships as a preset has less than a tenth


def check_network(build: Callable[[], nn.Module], state: Mapping[str, Tensor] | None = None) -> None:
    """Refuse a network that is too large, or another than the weights are of; no memory is taken for it.

    Args:
        build: makes the network; its draws from torch's global generator leave that as it was.
        state: the weights that it is to have.

    Raises:
        ValueError: it has more than ``MOST_WEIGHTS`` numbers, or its names or shapes are not those of the weights.
    """
    with torch.random.fork_rng(devices=[]), torch.device("meta"), _NoNumbers():
        wanted = {name: tuple(value.shape) for name, value in build().state_dict().items()}
    count = sum(torch.Size(shape).numel() for shape in wanted.values())
    if count > MOST_WEIGHTS:
        raise ValueError(f"expected a network of at most {MOST_WEIGHTS} numbers, got {count}")
    if state is None:
        return
    there = {name: tuple(getattr(value, "shape", ())) for name, value in state.items()}
    for name in sorted({*wanted, *map(str, there)}):
        if there.get(name) != wanted.get(name) or not isinstance(state[name], Tensor):
            raise ValueError(f"expected {wanted.get(name, 'nothing')} as {name}, got {there.get(name, 'nothing')}")


class _NoNumbers(TorchFunctionMode):
    """Leave out what fills tensors, and make ranges in memory: on the device "meta" both load half of torch first."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in _FILLS:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **({**(kwargs or {}), "device": "cpu"} if name == "linspace" else kwargs or {}))


_FILLS = {
    *("normal_", "uniform_", "trunc_normal_", "zero_", "fill_", "zeros_", "ones_", "constant_", "orthogonal_"),
    *("kaiming_uniform_", "kaiming_normal_", "xavier_uniform_", "xavier_normal_"),
}
