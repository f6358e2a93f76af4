"""Blind pairs: a page on which people choose the more natural of two videos, and what their choices add up to.

The page names no model. Which model is on which side is in ``blind-key.json`` beside it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from corrwise._files import named, read_json, reading, shown
from corrwise._writing import write_bytes_atomic, write_json_atomic
from corrwise.envs.arrays import to_uint8
from corrwise.experiments.cli.evaluate import EvaluateConfig
from corrwise.experiments.report.page import template
from corrwise.experiments.report.statistics import share_interval
from corrwise.experiments.report.strip import embedded, make_strip, png_bytes
from corrwise.experiments.report.table import markdown_table
from corrwise.experiments.studies.motion.drawings import FPS
from corrwise.experiments.studies.motion.measure import REAL

__all__ = ["BLIND_PAGE", "KEY_FILE", "BlindPair", "blind_pairs", "preferences", "write_blind"]

BLIND_PAGE, KEY_FILE = "blind.html", "blind-key.json"
SIDES = ("left", "right")
_KINDS = {str: "text", int: "a whole number", list: "a list", dict: "an object"}  # of JSON, for messages
_PAIR = {"first": str, "other": str, "left": str, "window": int}


@dataclass(frozen=True)
class BlindPair:
    """Two videos of one window.

    Attributes:
        first: the model that the other one is compared with.
        other: the other model, or the true frames.
        left: which of the two is on the left.
        window: its number.
    """

    first: str
    other: str
    left: str
    window: int

    @property
    def right(self) -> str:
        """Which of the two is on the right."""
        return self.other if self.left == self.first else self.first


def blind_pairs(models: Sequence[str], windows: int, seed: int) -> list[BlindPair]:
    """Return the pairs of a page in random order: the first model with each other one, in every window.

    Half of a comparison's pairs, give or take one, have the first model on the left.
    """
    first, *others = models
    draw = np.random.default_rng((seed, 2))
    pairs = []
    for other in others:
        left = draw.permutation([first, other] * (windows // 2 + 1))[:windows]
        pairs += [BlindPair(first, other, str(each), window) for window, each in enumerate(left)]
    return [pairs[i] for i in draw.permutation(len(pairs))]


def write_blind(config: EvaluateConfig, shown: Mapping[str, Float[Tensor, "n T 3 h w"]]) -> None:
    """Write the page and its key.

    Args:
        config: the folder, the seed and the frames a second.
        shown: videos of the same windows, by model; the true frames among them.
    """
    models = [*(name for name in shown if name != REAL), REAL]
    pairs = blind_pairs(models, len(shown[REAL]), config.seed)
    frames = {name: to_uint8(videos) for name, videos in shown.items()}
    strips = {
        (name, k): embedded(png_bytes(make_strip([list(frames[name][k])])))
        for name, k in product(models, range(len(shown[REAL])))
    }
    views = [{side: strips[getattr(pair, side), pair.window] for side in SIDES} for pair in pairs]
    page = hashlib.sha256(json.dumps([views, config.seed]).encode()).hexdigest()[:12]
    data = {"page": page, "pairs": views, "frames": shown[REAL].shape[1], "fps": config.fps or FPS}
    write_json_atomic(config.out / KEY_FILE, {"page": page, "pairs": [asdict(pair) for pair in pairs]})
    html = template(BLIND_PAGE).render(data=data, count=len(pairs))
    write_bytes_atomic(config.out / BLIND_PAGE, str(html).encode())


def preferences(key: Path, answers: Sequence[Path]) -> str:
    """Return a table of how often people preferred the first model, with Wilson's interval of 95 %.

    Args:
        key: the file beside the page.
        answers: files of the page. Of files of one person, such as two downloads, the one with the most answers counts.

    Raises:
        ValueError: files of another kind or page, or a file twice.
        OSError: a file that cannot be read.
    """
    for path, what in ((key, f"the key {KEY_FILE} of a page"), *((each, "answers of a page") for each in answers)):
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}: expected {what} of corrwise evaluate --blind")
    if len({path.resolve() for path in answers}) < len(answers):
        raise ValueError(f"expected each file of answers once, got {' '.join(map(str, answers))}")
    with reading(key, "is no key of a page of corrwise evaluate --blind"):
        page, stated = _fields(read_json(key), {"page": str, "pairs": list})
        pairs = [BlindPair(*_fields(pair, _PAIR)) for pair in stated]
        for pair in pairs:
            if pair.left not in (pair.first, pair.other):
                raise ValueError(f"expected {pair.first} or {pair.other} on the left, got {shown(pair.left)}")
    chosen: dict[tuple[str, str], list[bool]] = {(pair.first, pair.other): [] for pair in pairs}
    people: dict[str, dict[int, str]] = {}
    for path in answers:
        person, mine = _answers(path, page, len(pairs))
        if person not in people or len(mine) >= len(people[person]):
            people[person] = mine
    for mine in people.values():
        for number, side in mine.items():
            pair = pairs[number]
            chosen[pair.first, pair.other].append(getattr(pair, side) == pair.first)
    lines = [
        [first, other, str(len(mine)), str(sum(mine)), share_interval(sum(mine), len(mine)).text(".0%")]
        for (first, other), mine in chosen.items()
    ]
    return markdown_table(["model", "compared with", "answers", "preferred", "share (95 %)"], lines)


def _answers(path: Path, page: str, count: int) -> tuple[str, dict[int, str]]:
    """Return a person, and the side that was chosen in each pair that was answered."""
    with reading(path, "holds no answers of a page of corrwise evaluate --blind"):
        other, person, answers = _fields(read_json(path), {"page": str, "person": str, "answers": dict})
    if other != page:
        raise ValueError(f"expected answers of the page {page} in {path}, got those of {shown(other)}")
    pairs = {str(number): number for number in range(count)}
    for number, side in answers.items():
        if side not in SIDES or number not in pairs:
            wanted = f"expected left or right for pairs 0 to {count - 1} in {path}"
            raise ValueError(f"{wanted}, got {shown(side)} for {named(number)}")
    return person, {pairs[number]: side for number, side in answers.items()}


def _fields(stated: Any, kinds: Mapping[str, type[Any]]) -> list[Any]:
    """Return fields of an object by name.

    Raises:
        ValueError: it is no object, or one of them is missing or of another type.
    """
    if not isinstance(stated, dict) or any(type(stated.get(name)) is not kind for name, kind in kinds.items()):
        names = ", ".join(f"{name} ({_KINDS[kind]})" for name, kind in kinds.items())
        raise ValueError(f"expected an object with {names}, got {shown(stated)}")
    return [stated[name] for name in kinds]
