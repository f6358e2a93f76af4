"""A GPU that is none: tensors on it are kept apart from those of the CPU, and mixing them fails as CUDA's would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

GPU = torch.device("cuda", 0)


class There(Tensor):
    """A tensor on the fake GPU."""


class FakeGPU(TorchFunctionMode):
    """Computes on the CPU what is asked of the GPU.

    Attributes:
        computed: the names of the functions that were computed there.
        modules: the classes of the modules that were moved there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.computed: set[str] = set()
        self.modules: set[str] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        tensors = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, Tensor)]
        there = any(isinstance(each, There) for each in tensors)
        if name == "__get__" and func.__self__ in (Tensor.device, Tensor.is_cuda):
            return (GPU if there else torch.device("cpu")) if func.__self__ is Tensor.device else there
        if name in ("to", "cpu") and tensors:
            return self._moved(name, args, kwargs)
        if name in ("numpy", "__array__") and there:
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        wanted = kwargs.get("device")
        if wanted is not None:
            there = torch.device(wanted).type == "cuda"
            kwargs["device"] = "cpu"
            if there and kwargs.get("generator") is not None:
                raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
        here = [t for t in tensors if not isinstance(t, There) and t.ndim]
        if there and here and name not in ("__getitem__", "__setitem__", "index_select") and wanted is None:
            raise RuntimeError(f"Expected all tensors to be on the same device in {name}")
        result = func(*tree_map(_plain, args), **tree_map(_plain, kwargs))
        if there:
            self.computed.add(name)
            return result if isinstance(result, torch.Size) else tree_map(_there, result)
        return result

    def _moved(self, name: str, args: Any, kwargs: dict[str, Any]) -> Tensor:
        given = _plain(args[0])
        there, dtype = isinstance(args[0], There) and name == "to", given.dtype
        for each in (*args[1:], kwargs.get("device"), kwargs.get("dtype")):
            if isinstance(each, Tensor):
                there, dtype = isinstance(each, There), _plain(each).dtype
            elif isinstance(each, (str, torch.device)):
                there = torch.device(each).type == "cuda"
            elif isinstance(each, torch.dtype):
                dtype = each
        if there == isinstance(args[0], There) and dtype == given.dtype and "memory_format" not in kwargs:
            return args[0]
        result = given.to(dtype=dtype, memory_format=kwargs.get("memory_format", torch.preserve_format))
        return _there(result) if there else result


def _plain(value: Any) -> Any:
    if not isinstance(value, There):
        return value
    with torch._C.DisableTorchFunctionSubclass():
        return value.as_subclass(Tensor)


def _there(value: Any) -> Any:
    if not isinstance(value, Tensor) or isinstance(value, There):
        return value
    with torch._C.DisableTorchFunctionSubclass():
        return value.as_subclass(There)


@contextmanager
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGPU]:
    """Make torch find a GPU inside the block."""
    gpu, to = FakeGPU(), nn.Module.to

    def follow(module: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
        devices = [each for each in (*args, *kwargs.values()) if isinstance(each, (str, torch.device))]
        if any(torch.device(each).type == "cuda" for each in devices):
            gpu.modules.add(type(module).__name__)
            for part in module.modules():
                for tensors in (part._parameters, part._buffers):
                    tensors |= {name: None if each is None else _there(each.detach()) for name, each in tensors.items()}
            return module
        return to(module, *args, **kwargs)

    monkeypatch.setattr(nn.Module, "to", follow)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with gpu:
        yield gpu
