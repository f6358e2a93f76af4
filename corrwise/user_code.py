"""User code by name: ``file.py:NAME`` or ``package.module:NAME``, for tasks, costs and planners.

Naming a file or module runs it as Python code. A file imports its neighbours as a script does, but privately: each
folder is a separate package. Two folders may both have a ``helper.py``, and neither ``sys.path`` nor the names of other
modules change.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import importlib
import importlib.util
import os
import re
import site
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from corrwise._faults import described
from corrwise._files import local_path, shown

_PREFIX = "corrwise_user_"


def is_user_code(name: str) -> bool:
    """Return whether a name has the form ``file.py:NAME`` or ``package.module:NAME``, which need not exist."""
    place, colon, variable = name.rpartition(":")
    module = place.endswith(".py") or all(part.isidentifier() for part in place.split("."))
    return bool(colon) and module and variable.isidentifier()


def user_object(name: str, kind: type | Callable[[Any], bool], what: str, *, noun: str) -> Any:
    """Return what ``file.py:NAME`` or ``package.module:NAME`` names.

    A file is run once in a process, however often it is named; ``user_source`` runs it again if it has changed.

    Args:
        name: of the file or module, and of the variable in it.
        kind: a type that the object must be of, or a function that accepts it.
        what: what is expected, as error messages word it: "a corrwise.envs.Task".
        noun: the same in a word: "task".

    Raises:
        ValueError: there is no such file, module or variable, it fails when it is run, or the object is of another
            kind.
    """
    place, _, variable = name.rpartition(":")
    module = _module(place, noun)
    accepts = kind if not isinstance(kind, type) else lambda value: isinstance(value, kind)
    value = getattr(module, variable, None)
    if not accepts(value):
        offered = ", ".join(_offered(module, accepts)) or "none"
        raise ValueError(f"expected {what} {variable!r} in {place}, got {shown(value)}; its {noun}s are {offered}")
    return value


def user_source(name: str) -> str:
    """Return a digest of the code behind a name and of the neighbours that it imports, without comments and docstrings.

    A file that has changed since it was run is run again first, so that the digest is that of the code in use: call it
    once, when a run begins.

    Raises:
        ValueError: see ``user_object``; the file or module cannot be run.
    """
    total = hashlib.sha256()
    for file, text in user_sources(name).items():
        total.update(f"{file}\n{_code(text)}\n".encode())
    return total.hexdigest()[:12]


def user_sources(name: str) -> dict[str, str]:
    """Return the source text of the file or module, and of each neighbour that it imports, at once or later.

    The keys are paths relative to the file's folder, or to the module's top-level package's; the file itself is first.
    Those of installed libraries and of this package are no neighbours.

    Raises:
        ValueError: see ``user_object``; the file or module cannot be run.
    """
    place = name.rpartition(":")[0]
    if place.endswith(".py"):
        path = local_path(place).resolve()
        if _stale(_package(path.parent)):
            _drop(_package(path.parent))
        _module(place, "name")
        return _texts(_reached(path, path.parent, ()), path.parent)
    module = _module(place, "name")
    if not (module.__file__ or "").endswith(".py"):
        return {}
    file, parts = Path(str(module.__file__)), place.split(".")
    inside = parts if file.name == "__init__.py" else parts[:-1]
    root = file.parents[len(inside)]
    if parts[0] == "corrwise":
        return _texts([file], root)  # the package's own version covers what it imports
    return _texts(_reached(file, root, inside, only=parts[0] if _installed(root) else None), root)


def _module(place: str, noun: str) -> ModuleType:
    if not place.endswith(".py"):
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            raise ValueError(f"cannot import {place!r}: {error}") from error
        except (Exception, SystemExit) as error:
            raise ValueError(f"cannot import {place!r}: {described(error)}") from error
    path = local_path(place).resolve()
    package, stem = _package(path.parent), path.stem
    if not stem.isidentifier():  # a dot would make two modules of it
        stem = re.sub(r"\W", "_", stem) + "_" + _digest(path)
    known = f"{package}.{stem}"
    if known in sys.modules:
        return sys.modules[known]
    if not path.is_file():
        raise ValueError(f"expected a Python file with a {noun}, got {place!r} which is no file")
    before = set(sys.modules)
    try:
        return _run(known, path)
    except (Exception, SystemExit) as error:
        for name in [each for each in sys.modules if each not in before and each.startswith(f"{package}.")]:
            del sys.modules[name]
        raise ValueError(f"cannot run {described(error, default=place)}") from error


def _run(known: str, path: Path) -> ModuleType:
    """Run a file as a module of its folder's package."""
    package = known.partition(".")[0]
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    importlib.invalidate_caches()  # a neighbour may be newer than the last listing of the folder
    if package not in sys.modules:
        folder = ModuleType(package, f"The modules of {path.parent}.")
        folder.__path__ = [str(path.parent)]
        sys.modules[package] = folder
    spec = importlib.util.spec_from_file_location(known, path, loader=_Loader(known, str(path)))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[known] = module
    assert spec.loader is not None
    spec.loader.exec_module(module)
    return module


class _Finder:
    """Finds the modules of such packages, and gives them a loader that knows their neighbours."""

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if not name.startswith(_PREFIX):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    """Runs a module in which ``import`` tries the files of the same folder first, as in a script."""

    def get_code(self, fullname: str) -> Any:
        # No cached bytecode: two versions of one second and one size could not be told apart.
        self.source = self.get_data(self.path)
        return self.source_to_code(self.source, self.path)

    def exec_module(self, module: ModuleType) -> None:
        package = module.__name__.partition(".")[0]
        folder = Path(sys.modules[package].__path__[0])

        def importing(
            name: str, globals: Mapping[str, Any] | None = None, locals: Mapping[str, Any] | None = None,
            fromlist: Sequence[str] | None = (), level: int = 0,
        ) -> ModuleType:  # fmt: skip
            top = name.partition(".")[0]
            if level or not _is_neighbour(folder, top):
                return builtins.__import__(name, globals, locals, fromlist, level)
            imported = builtins.__import__(f"{package}.{name}", globals, locals, fromlist, 0)
            return imported if fromlist else sys.modules[f"{package}.{top}"]

        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": importing}
        super().exec_module(module)


def _is_neighbour(folder: Path, top: str) -> bool:
    """Whether ``import top`` in a file of this folder means a module beside it, as it does in a script."""
    if top in sys.stdlib_module_names or top == "corrwise":
        return False
    here = PathFinder.find_spec(top, [str(folder)])
    if here is None or here.loader is not None:
        return here is not None
    elsewhere = PathFinder.find_spec(top)  # a folder without an __init__.py gives way to any real module
    return top not in sys.modules and (elsewhere is None or elsewhere.loader is None)


def _reached(file: Path, root: Path, inside: Sequence[str], *, only: str | None = None) -> list[Path]:
    """Return a file and the neighbours that it imports, recursively; ``inside`` are the packages that contain it."""
    files, left = [file], [(file, tuple(inside))]
    while left:
        path, packages = left.pop()
        for dotted in _imports(path, packages):
            top = dotted[0]
            if top != only if only else not _is_neighbour(root, top):
                continue
            for each, within in _along(root, dotted):
                if each not in files:
                    files.append(each)
                    left.append((each, within))
    return [file, *sorted(files[1:])]


def _imports(path: Path, packages: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield the dotted names that a file imports, also within functions; imported names may be modules."""
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        raise ValueError(f"cannot run {described(error, default=str(path))}") from error
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = tuple(packages[: len(packages) - node.level + 1]) if node.level else ()
            module = (*above, *(node.module.split(".") if node.module else ()))
            yield from ((*module, alias.name) for alias in node.names)


def _along(root: Path, dotted: Sequence[str]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Yield the files that importing a dotted name runs, each with the packages that contain it."""
    for length in range(1, len(dotted) + 1):
        path = root.joinpath(*dotted[:length])
        if (path / "__init__.py").is_file():
            yield path / "__init__.py", tuple(dotted[:length])
        elif path.with_suffix(".py").is_file():
            yield path.with_suffix(".py"), tuple(dotted[: length - 1])


def _offered(module: ModuleType, accepts: Callable[[Any], bool]) -> Iterator[str]:
    """Yield the names of a module's objects of that kind, without imported ones."""
    for name, value in vars(module).items():
        imported = isinstance(value, type | FunctionType) and value.__module__ != module.__name__
        if not name.startswith("_") and not imported and not isinstance(value, ModuleType) and accepts(value):
            yield name


def _code(text: str) -> str:
    """Return a source as the parser reads it, without comments, layout and docstrings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                body[:1] = [] if body[1:] else [ast.Pass()]
    return ast.unparse(tree)


def _package(folder: Path) -> str:
    return _PREFIX + _digest(folder)


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def _texts(files: Sequence[Path], root: Path) -> dict[str, str]:
    """Return the source of each file by its path relative to the root."""
    return {file.relative_to(root).as_posix(): importlib.util.decode_source(file.read_bytes()) for file in files}


def _loaded(package: str) -> list[ModuleType]:
    return [module for name, module in list(sys.modules.items()) if name.startswith(f"{package}.")]


def _stale(package: str) -> bool:
    """Whether a file of the package has changed since it was run."""
    for module in _loaded(package):
        loader = getattr(module, "__loader__", None)
        if isinstance(loader, _Loader):
            path = Path(loader.path)
            if not path.is_file() or path.read_bytes() != loader.source:
                return True
    return False


def _drop(package: str) -> None:
    for module in [package, *(module.__name__ for module in _loaded(package))]:
        sys.modules.pop(module, None)


def _installed(folder: Path) -> bool:
    libraries = {sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return any(folder == Path(each) for each in {*libraries, *site.getsitepackages(), site.getusersitepackages()})
