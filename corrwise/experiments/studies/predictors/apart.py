"""Whether the clips that models are evaluated on are apart from those that they learned from."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from corrwise._files import read_json
from corrwise.experiments.cli.train import TrainConfig
from corrwise.experiments.report.summary import warn
from corrwise.experiments.runs.settings import place
from corrwise.experiments.runs.train import GOOD, MODEL
from corrwise.predictors.data import ClipSource, ClipWindows
from corrwise.predictors.data.sources import Part, open_clips
from corrwise.predictors.models.pretrained import CONFIG, about_model, model_folder

__all__ = ["Learned", "check_apart", "check_held", "differs", "learned_from", "listed", "shared_clips"]

_MOST = 500  # clips of a source that are compared, the first ones
_NAMED = 3  # models in a sentence

_KIND = ("task", "frame_skip", "size", "supersample", "actions")  # of clips that one model takes

Learned = tuple[str, float]  # clips that a model learned from, and the share of them that were held out


def check_held(data: Path, held: Path, frames: int, *, actions: bool) -> list[str]:
    """Return a sentence if clips of a table that trains models are both learned from and held out, before it trains.

    Args:
        data: clips that the models learn from.
        held: clips on which they are evaluated.
        frames: how many frames of a clip are compared.
        actions: whether the models see actions.

    Raises:
        FileNotFoundError, ValueError: both are one folder, clips of another kind, or clips that cannot be read.
    """
    if place(data) == place(held):
        raise ValueError(f"expected other clips as --held than as --data, which models learn from, got {held} for both")
    learned, clips = open_clips(data), open_clips(held)
    kinds = [{"size": each.size, **({"actions": each.action_dim} if actions else {})} for each in (learned, clips)]
    for one, two in (kinds, [getattr(each, "about", {}) for each in (learned, clips)]):
        if (name := differs(one, two)) is not None:
            raise ValueError(f"expected clips of {name} {one[name]} in {held}, as in {data}, got {two[name]}")
    sentences = shared_clips({"each model": {(str(data), 0.0)}}, held, clips, frames)
    warn(sentences)
    return sentences


def differs(one: Mapping[str, Any], two: Mapping[str, Any]) -> str | None:
    """Return what clips of two kinds differ in, of what is known of both: their task, for one; None if in nothing."""
    both = (name for name in _KIND if name in one and name in two)
    return next((name for name in both if one[name] != two[name]), None)


def check_apart(scored: ClipWindows, others: ClipWindows) -> None:
    """Refuse clips for residuals that are scored, too.

    Raises:
        ValueError: the same clip is in both; its number in each is named.
    """
    there = {_fingerprint(scored.source, clip, scored.frames): clip for clip in range(len(scored.source.lengths))}
    for clip in range(len(others.source.lengths)):
        same = there.get(_fingerprint(others.source, clip, others.frames))
        if same is not None:
            raise ValueError(
                f"expected residuals of clips that are not scored, but clip {clip} of them is clip {same} of --data"
            )


def shared_clips(learned: Mapping[str, Iterable[Learned]], path: Path, clips: ClipSource, frames: int) -> list[str]:
    """Return a sentence about models that learned from clips on which they are evaluated.

    Clips are the same if they begin with the same frames and actions. A folder that models learned from is not compared
    if it is gone.

    Args:
        learned: what each model learned from, by its name (see ``learned_from``).
        path: of the clips on which models are evaluated.
        clips: those of the path.
        frames: how many frames of a clip are compared.
    """
    here = _fingerprints(clips, frames)
    seen = {each: _seen(each, clips, frames) for each in {one for mine in learned.values() for one in mine}}
    models: dict[int, list[str]] = {}
    for name, mine in learned.items():
        there = set().union(*(seen[each] for each in mine))
        models.setdefault(sum(each in there for each in here), []).append(name)
    return [
        f"{listed(names)} learned from {count} of the {len(here)} clips of {path}, on which models are evaluated"
        for count, names in models.items()
        if count
    ]


def learned_from(folder: Path) -> set[Learned]:
    """Return what a model learned from, and so its teacher and the model that it began with, as their runs state.

    Args:
        folder: of the model.
    """
    found: set[Learned] = set()
    models, known = [folder], set[Path]()
    while models:
        model = models.pop()
        if model in known or not (model / CONFIG).is_file():
            continue
        known.add(model)
        run = _run_of(model)
        data, share = run.get("data"), run.get("val_fraction", TrainConfig.val_fraction)
        held = float(share) if isinstance(share, int | float) and 0 <= share < 1 else 0.0
        found |= {(place(each), held) for each in (data if isinstance(data, list) else [data]) if isinstance(each, str)}
        others = [run.get(name) for name in ("teacher", "init_from")]
        models += [model_folder(other) for other in others if isinstance(other, str) and other]
    return found


def _run_of(model: Path) -> dict[str, Any]:
    """Return the options of the run that trained a model; of a model by itself what its metadata states."""
    try:
        run = read_json(model.parent / CONFIG) if model.name in (MODEL, GOOD) else None
    except (OSError, ValueError):
        run = None
    try:
        return run if isinstance(run, dict) else about_model(model)["about"]
    except (OSError, ValueError):  # a teacher's, which nothing here loads
        return {}


def _seen(learned: Learned, clips: ClipSource, frames: int) -> set[str]:
    """Return the fingerprints of the clips that steps saw; of none where they are gone, or of another kind."""
    path, held = learned
    try:
        with warnings.catch_warnings(action="ignore"):  # their run has named what is broken
            source = open_clips(Path(path))
            alike = (source.size, source.action_dim) == (clips.size, clips.action_dim)
            return set(_fingerprints(Part.split(source, held)[0], frames)) if alike else set()
    except (OSError, ValueError):
        return set()


def _fingerprints(source: ClipSource, frames: int) -> list[str]:
    return [_fingerprint(source, clip, frames) for clip in range(min(_MOST, len(source.lengths)))]


def _fingerprint(source: ClipSource, clip: int, frames: int) -> str:
    """Return a hash of the first frames and actions of a clip."""
    images, actions = source.read(clip, 0, min(frames, source.lengths[clip]))
    return hashlib.sha256(np.ascontiguousarray(images).tobytes() + np.ascontiguousarray(actions).tobytes()).hexdigest()


def listed(names: Sequence[str]) -> str:
    """Return names in a sentence: the first ones, and how many more there are."""
    more = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
    *first, last = [*names[:_NAMED], *more]
    return f"{', '.join(first)} and {last}" if first else last
