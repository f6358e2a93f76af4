"""List the calls of torch's factories that name no dtype or no device: their results would follow global defaults.

``python tools/check_factories.py corrwise`` prints one line for each and exits with 1 if there are any.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

_BOTH = ("dtype", "device")
_RANDOM = ("rand", "randn", "randint", "randperm", "normal")
_FILLED = ("zeros", "ones", "empty", "full", "eye", "tensor", "as_tensor", "asarray", "scalar_tensor", "empty_strided")
_OLD = ("Tensor", "FloatTensor")  # constructors that can name neither: they are always reported
_RANGES = ("arange", "range", "linspace", "logspace", "tril_indices", "triu_indices", "fft.fftfreq", "fft.rfftfreq")
_WINDOWS = tuple(f"{name}_window" for name in ("bartlett", "blackman", "hamming", "hann", "kaiser"))
NEEDED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_RANDOM + _FILLED + _OLD + _RANGES + _WINDOWS, _BOTH),
    "Generator": ("device",),  # may be given by position; it has no type
}


def findings(source: str, path: str = "<source>") -> list[str]:
    """Return a line for each call in ``source`` that leaves its dtype or device to torch's defaults."""
    tree = ast.parse(source, path)
    names = _imported(tree)
    calls = sorted((node for node in ast.walk(tree) if isinstance(node, ast.Call)), key=lambda call: call.lineno)
    faults = [(call, fault) for call in calls if (fault := _fault(call, _factory(call.func, names)))]
    return [f"{path}:{call.lineno}: {fault}" for call, fault in faults]


def _imported(tree: ast.Module) -> dict[str, str]:
    """Return what names of a module stand for, such as {"torch": "torch", "zeros": "torch.zeros"}."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {each.asname or "torch": each.name for each in node.names if each.name.split(".")[0] == "torch"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch":
            names |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    return names


def _factory(function: ast.expr, names: dict[str, str]) -> str | None:
    """Return which of torch's factories is called, without ``torch.``, or None."""
    path: list[str] = []
    while isinstance(function, ast.Attribute):
        path.insert(0, function.attr)
        function = function.value
    if not isinstance(function, ast.Name) or function.id not in names:
        return None
    name = ".".join([names[function.id], *path]).removeprefix("torch.")
    return name if name in NEEDED or name == "where" else None


def _fault(call: ast.Call, name: str | None) -> str | None:
    """Return what a call leaves to the defaults, or None."""
    if name == "where":
        numbers = len(call.args) == 3 and all(map(_is_number, call.args[1:]))
        return "torch.where of two numbers has the default dtype; use a tensor's new_tensor or masked_fill" * numbers
    given = {keyword.arg for keyword in call.keywords}
    if name is None or None in given or "out" in given or (name == "Generator" and call.args):  # None is **options
        return None
    missing = [each for each in NEEDED[name] if each not in given]
    return f"torch.{name} names no {' and no '.join(missing)}" if missing else None


def _is_number(node: ast.expr) -> bool:
    return isinstance(node.operand if isinstance(node, ast.UnaryOp) else node, ast.Constant)


def _files(roots: list[str]) -> Iterator[Path]:
    for root in map(Path, roots):
        yield from sorted(root.rglob("*.py")) if root.is_dir() else [root]


def main(roots: list[str]) -> int:
    lines = [line for path in _files(roots) for line in findings(path.read_text(encoding="utf-8"), str(path))]
    print("\n".join(lines) or "every factory call names its dtype and device")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
