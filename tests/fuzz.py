"""Files that someone has edited: strategies that damage valid ones, by hand or byte by byte."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from hypothesis import strategies as st

__all__ = ["damaged_bytes", "damaged_hdf5", "damaged_json", "damaged_lines", "damaged_state", "json_values"]

_TEXTS = st.one_of(st.text(max_size=8), st.sampled_from(["", "l1", "../x.h5", "/etc/passwd", "\ud800", "\0", "a\nb"]))
_NUMBERS = st.one_of(
    st.integers(-3, 300),
    st.floats(),
    st.sampled_from([10**400, -(10**19), 2**63, 1e308, -1e308, 5e-324, float("inf"), float("nan"), -0.0, 10**9]),
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, _TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_TEXTS, inner, max_size=3)),
    max_leaves=5,
)
_DEEP = "[" * 100_000
_PLACES = st.integers(0, 2**30)


@st.composite
def _changed(draw: st.DrawFn, value: Any, leaf: st.SearchStrategy[Any]) -> Any:
    """Draw a copy of nested dictionaries and lists in which one to three things are replaced, lost or added."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(value))
        if not places:
            return draw(leaf)
        holder, key = places[draw(_PLACES) % len(places)]
        action = draw(st.sampled_from(["replace", "replace", "replace", "delete", "add", "repeat"]))
        if action == "replace":
            holder[key] = draw(leaf)
        elif action == "delete":
            del holder[key]
        elif action == "add" and isinstance(holder, dict):
            holder[draw(_TEXTS)] = draw(leaf)
        elif isinstance(holder, list):
            holder.insert(key, holder[key])
    return value


def _places(value: Any) -> Any:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield value, key
        yield from _places(inner)


@st.composite
def damaged_json(draw: st.DrawFn, data: bytes) -> bytes:
    """Draw JSON with other values, or what is none."""
    if draw(st.integers(0, 4)) == 0:
        return draw(damaged_bytes(data))
    return _written(draw(_changed(json.loads(data), json_values)))


@st.composite
def damaged_lines(draw: st.DrawFn, data: bytes) -> bytes:
    """Draw rows of JSON of which one has other values, or is none."""
    if draw(st.integers(0, 4)) == 0:
        return draw(damaged_bytes(data))
    lines = data.splitlines()
    for _ in range(draw(st.integers(1, 2))):
        which = draw(_PLACES) % len(lines)
        lines[which] = _written(draw(_changed(json.loads(lines[which]), json_values)))
    return b"\n".join(lines) + b"\n"


def _written(value: Any) -> bytes:
    return json.dumps(value).replace("Infinity", "1e400").encode()


@st.composite
def damaged_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """Draw bytes of which some are other ones, gone, twice there, or all of them random."""
    action = draw(st.sampled_from(["flip", "cut", "insert", "remove", "random", "mark", "deep", "empty"]))
    place, size = draw(_PLACES) % max(1, len(data)), draw(st.integers(1, 16))
    if action == "flip":
        return data[:place] + draw(st.binary(min_size=size, max_size=size)) + data[place + size :]
    if action == "cut":
        return data[:place]
    if action == "insert":
        return data[:place] + draw(st.binary(max_size=64)) + data[place:]
    if action == "remove":
        return data[:place] + data[place + size :]
    if action == "random":
        return draw(st.binary(max_size=256))
    if action == "mark":
        return b"\xef\xbb\xbf" + data
    return _DEEP.encode() if action == "deep" else b""


@st.composite
def damaged_state(draw: st.DrawFn, state: Any) -> Any:
    """Draw what a checkpoint holds with other values; ``state`` is of dictionaries, lists, numbers and tensors."""
    tensors = st.sampled_from([torch.zeros(0), torch.zeros(3, 5), torch.tensor(1), torch.zeros(2, dtype=torch.int64)])
    return draw(_changed(state, st.one_of(json_values.filter(_storable), tensors)))


def _storable(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


@st.composite
def damaged_hdf5(draw: st.DrawFn, data: bytes, path: Path) -> bytes:
    """Draw an HDF5 file in which a dataset, group or attribute is another; ``path`` is where it is made."""
    if draw(st.integers(0, 4)) == 0:
        return draw(damaged_bytes(data))
    path.write_bytes(data)
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        texts = [(name, key) for name in ["/", *names] for key in file[name].attrs]
        if texts and draw(st.booleans()):
            name, key = texts[draw(_PLACES) % len(texts)]
            _change_attribute(draw, file[name].attrs, key)
        else:
            _change_member(draw, file, names[draw(_PLACES) % len(names)])
    return path.read_bytes()


def _change_attribute(draw: st.DrawFn, attributes: Any, key: str) -> None:
    action = draw(st.sampled_from(["json", "json", "json", "delete", "number", "array", "bytes", "empty"]))
    text = attributes[key]
    del attributes[key]
    if action == "json":
        whole = text.encode() if isinstance(text, str) else bytes(text)
        attributes[key] = np.bytes_(draw(damaged_json(whole))[:60_000] or b" ")
    elif action == "number":
        attributes[key] = draw(st.integers(-3, 3))
    elif action == "array":
        attributes[key] = np.zeros((2, 2))
    elif action == "bytes":
        attributes[key] = np.bytes_(draw(st.binary(min_size=1, max_size=20)) + b"x")
    elif action == "empty":
        attributes[key] = h5py.Empty("S1")


def _change_member(draw: st.DrawFn, file: h5py.File, name: str) -> None:
    was = file[name]
    shape = was.shape if isinstance(was, h5py.Dataset) else ()
    del file[name]
    kinds = ["delete", "group", "link", "outside", "text", "empty", "huge", "shape", "dtype", "unwritten", "objects"]
    kind = draw(st.sampled_from(kinds))
    if kind == "group":
        file.create_group(name)
    elif kind == "link":
        file[name] = h5py.SoftLink(draw(st.sampled_from(["/nowhere", "/", name])))
    elif kind == "outside":
        file[name] = h5py.ExternalLink("../other.h5", "/")
    elif kind == "text":
        file[name] = draw(st.sampled_from(["text", ""]))
    elif kind == "empty":
        file[name] = h5py.Empty("f4")
    elif kind == "huge":
        file.create_dataset(name, (10**6, 10**4, 10**4, 3), np.uint8, chunks=(1, 100, 100, 3), compression="gzip")
    elif kind == "shape":
        file[name] = np.zeros(draw(st.lists(st.integers(0, 4), max_size=5)), draw(st.sampled_from(["u1", "f4", "f8"])))
    elif kind == "dtype":
        file[name] = np.zeros(shape, draw(st.sampled_from(["i8", "f2", "c8", "?", "S3", [("a", "f4")]])))
    elif kind == "unwritten" and shape:
        file.create_dataset(name, shape, np.uint8, chunks=True)
    elif kind == "objects":
        file.create_dataset(name, (2,), h5py.vlen_dtype(np.uint8))
