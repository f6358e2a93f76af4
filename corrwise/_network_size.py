"""The size of a network before it is made: a configuration of a few bytes can request any amount of memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

__all__ = ["MOST_WEIGHTS", "check_network"]

MOST_WEIGHTS = 10**9  # numbers in a network, 4 GB: more than ten times those of the largest preset


def check_network(build: Callable[[], nn.Module], state: Mapping[str, Tensor] | None = None) -> None:
    """Refuse a network that is too large or does not match its weights, without allocating memory for it.

    Args:
        build: makes the network. Its draws do not change the state of torch's global generator.
        state: the weights of the network.

    Raises:
        ValueError: more than ``MOST_WEIGHTS`` numbers, or names or shapes that differ from those of the weights.
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
    """Skip functions that fill tensors, and make ranges on the CPU: on "meta", both would first load much of torch."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in _FILLS:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **({**(kwargs or {}), "device": "cpu"} if name == "linspace" else kwargs or {}))


_FILLS = {
    *("normal_", "uniform_", "trunc_normal_", "zero_", "fill_", "zeros_", "ones_", "constant_", "orthogonal_"),
    *("kaiming_uniform_", "kaiming_normal_", "xavier_uniform_", "xavier_normal_"),
}
