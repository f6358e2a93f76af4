"""Train motion discriminators to tell real flow from the same flow in another order of time, and test them on others.

    python -m tools.motion_discriminator docs/results/motion/discriminator cartpole=clips/cartpole \
        video=clips/bikes,clips/carphone --teacher runs/teacher --maps runs/maps

Each setting is a name and the folders of its clips. The last quarter of each folder is held out: of its clips, or of
the time where it has one clip. The flow of each clip is computed once and kept under ``--maps``. A row is written for
each arm, setting and seed, and those that have one are not trained again. The page README.md is filled with
the table that the rows give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
import tyro
from jaxtyping import Float
from torch import Tensor

from corrwise.costs.flow import FLOWS
from corrwise.costs.motion import MotionDiscriminator, MotionDiscriminatorConfig, discriminator_loss, flow_maps
from corrwise.experiments.report.statistics import mean_and_error
from corrwise.experiments.report.table import markdown_table
from corrwise.experiments.runs.rows import COUNT, NUMBER, Key, Row, append_row, needed, read_rows, six_digits
from corrwise.predictors.data.sources import open_clips
from corrwise.predictors.generative.denoiser import Denoiser
from corrwise.predictors.generative.denoiser_trunk import DenoiserTrunk
from corrwise.predictors.models.pretrained import model_folder
from tools.results_table import filled

ROWS, PAGE = "rows.jsonl", "README.md"
KEY = Key(
    {"setting": str, "arm": str, "seed": int},
    {
        **dict.fromkeys(("accuracy", "train_accuracy", "loss"), needed(NUMBER)),
        **dict.fromkeys(("weights", "steps"), needed(COUNT)),
        "step_seconds": NUMBER,
    },
)
ARMS = {  # the columns of the table
    "transformer": "transformer",
    "conv": "convolutions",
    "denoiser": "denoiser's trunk",
    "denoiser-fresh": "the same trunk, fresh",
    "neighbours": "difference of neighbours",
}
NEIGHBOURS = "neighbours"  # no network: how alike maps that follow each other are, with a threshold
FRAMES, CROP, CLIPS, TESTS = 12, 32, 8, 128  # maps of a window, its side, windows of a step, windows of a test
_SIDE = 64  # pixels of an image
_TRIES = 100  # windows that are drawn for one that moves
_RATE, _STILL, _LEAST = 2e-3, 1e-3, 1.0  # learning rate; share of the crops drawn uniformly; pixels


@dataclass(frozen=True)
class Study:
    """What to train.

    Attributes:
        out: folder of the rows and the page.
        settings: name=folder,folder.
        teacher: a trained denoiser, for the arms that need one.
        maps: folder in which flows are kept.
        arms: names.
        steps: of each training.
        seeds: how many, from 0.
        clips: the most clips of a folder.
        flow: name of the flow.
        scaled: whether windows of a step have other lengths, by a factor of 1/2 to 2, and half of them another
            direction of time.
    """

    out: tyro.conf.Positional[Path]
    settings: tyro.conf.Positional[tuple[str, ...]] = ()
    teacher: Path | None = None
    maps: Path = Path("runs/maps")
    arms: tuple[str, ...] = tuple(ARMS)
    steps: int = 400
    seeds: int = 3
    clips: int = 60
    flow: str = "tv-l1"
    scaled: bool = False


def run(study: Study) -> None:
    """Train what has no row yet, and fill the page."""
    study.out.mkdir(parents=True, exist_ok=True)
    folders = dict(each.split("=") for each in study.settings)
    for seed, (setting, paths), arm in product(range(study.seeds), folders.items(), study.arms):
        done = {(row["setting"], row["arm"], row["seed"]) for row in read_rows(study.out / ROWS, KEY)}
        if (setting, arm, seed) in done:
            continue
        parts = [_split(clip_maps(study, Path(path))) for path in paths.split(",")]
        trained, held = ([clip for part in parts for clip in part[k]] for k in (0, 1))
        row = {"setting": setting, "arm": arm, "seed": seed, **measure(study, arm, seed, trained, held)}
        append_row(study.out / ROWS, row)
        print(row, flush=True)
        fill(study.out)


def measure(study: Study, arm: str, seed: int, trained: Sequence[Tensor], held: Sequence[Tensor]) -> dict[str, Any]:
    """Return the accuracies of one discriminator, trained on some clips' maps (T, 3, h, w), on these and on others."""
    if arm == NEIGHBOURS:
        return _by_neighbours(trained, held)
    torch.manual_seed(seed)
    network = made(arm, study.teacher)
    optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, betas=(0.9, 0.99), weight_decay=0.01)
    draw, began = np.random.default_rng(seed), process_time()
    for step in range(study.steps):
        for group in optimizer.param_groups:
            group["lr"] = _RATE * min(1.0, (step + 1) / 20, 2 * (study.steps - step) / study.steps)
        real = windows(trained, CLIPS, draw)
        real = scaled(real, draw) if study.scaled else real
        logits = network(torch.cat([real, shuffled(real, draw)]))
        loss = discriminator_loss(logits[:CLIPS], logits[CLIPS:])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    seconds = (process_time() - began) / study.steps
    return {
        **_tested(network, trained, held),
        "weights": sum(each.numel() for each in network.parameters()),
        "steps": study.steps,
        "step_seconds": six_digits(seconds),
    }


def _by_neighbours(trained: Sequence[Tensor], held: Sequence[Tensor]) -> dict[str, Any]:
    """Return the accuracies of a threshold on ``unlikeness``, the one that serves best on windows of training."""
    draw = np.random.default_rng(0)
    real = windows(trained, 2 * TESTS, draw)
    ordered, other = (unlikeness(each).numpy() for each in (real, shuffled(real, draw)))
    cuts = np.sort(np.concatenate([ordered, other]))
    cut = float(cuts[np.argmax([(ordered < each).mean() + (other >= each).mean() for each in cuts])])
    return {**_tested(lambda maps: cut - unlikeness(maps), trained, held), "weights": 1, "steps": 0}


def _tested(network: Callable[[Tensor], Tensor], trained: Sequence[Tensor], held: Sequence[Tensor]) -> dict[str, float]:
    accuracy, loss = test(network, held)
    numbers = {"accuracy": accuracy, "train_accuracy": test(network, trained)[0], "loss": loss}
    return {name: six_digits(value) for name, value in numbers.items()}


def unlikeness(maps: Float[Tensor, "n T 3 h w"]) -> Float[Tensor, " n"]:
    """Return how much maps differ from the ones after them, as a share of the difference of any two of a window.

    The last map is left out: it is repeated.
    """
    flat = maps[:, :-1, :2].flatten(2).double()
    apart = torch.cdist(flat, flat, p=1)
    near = apart.diagonal(offset=1, dim1=1, dim2=2).mean(dim=1)
    count = flat.shape[1]
    return near / (apart.sum(dim=(1, 2)) / (count * (count - 1)))


def scaled(maps: Float[Tensor, "n T 3 h w"], draw: np.random.Generator) -> Float[Tensor, "n T 3 h w"]:
    """Return windows of another speed, half of them played backwards: in order they stay as smooth."""
    made: list[Tensor] = []
    for window in maps:
        each = window[:-1] * float(2 ** draw.uniform(-1, 1))
        if draw.random() < 0.5:
            each = each.flip(0) * torch.tensor([-1.0, -1.0, 1.0])[:, None, None]
        made.append(torch.cat([each, each[-1:]]))
    return torch.stack(made)


def made(arm: str, teacher: Path | None) -> MotionDiscriminator:
    """Return a new discriminator."""
    config = MotionDiscriminatorConfig(trunk="conv" if arm == "conv" else "transformer")
    if arm in ("transformer", "conv"):
        return MotionDiscriminator(config)
    if teacher is None:
        raise SystemExit(f"the arm {arm} needs --teacher, the folder of a trained denoiser")
    model = Denoiser.from_pretrained(model_folder(teacher))
    return MotionDiscriminator(config, DenoiserTrunk(model if arm == "denoiser" else Denoiser(model.config)))


@torch.no_grad()
def test(network: Callable[[Tensor], Tensor], clips: Sequence[Tensor]) -> tuple[float, float]:
    """Return the share of windows that a discriminator puts on their side of zero, and its loss; half are shuffled."""
    draw = np.random.default_rng(10_000)
    real = windows(clips, TESTS, draw)
    both = [torch.cat([network(part) for part in each.split(16)]) for each in (real, shuffled(real, draw))]
    right = torch.cat([both[0] > 0, both[1] < 0]).double().mean()
    return float(right), float(discriminator_loss(*both))


def windows(clips: Sequence[Tensor], count: int, draw: np.random.Generator) -> Float[Tensor, "n T 3 h w"]:
    """Return crops of random windows, turned and mirrored; each has a pixel drawn by the length of its motion.

    Windows in which no pixel moves by ``_LEAST`` are left out: their order cannot be known.
    """
    if any(len(each) < FRAMES - 1 for each in clips):
        raise ValueError(f"expected clips of at least {FRAMES} frames, the shortest has {min(map(len, clips)) + 1}")
    chosen: list[Tensor] = []
    for _ in range(_TRIES * count):
        index = int(draw.integers(len(clips)))
        first = int(draw.integers(len(clips[index]) - FRAMES + 2))  # the last map is repeated
        window = clips[index][first : first + FRAMES - 1]
        weight = window[:, 2].sum(dim=0).double().numpy().ravel()
        weight = weight + _STILL * (weight.sum() or 1.0) / weight.size
        place = divmod(int(draw.choice(weight.size, p=weight / weight.sum())), window.shape[-1])
        top, left = (_start(at, side, draw) for at, side in zip(place, window.shape[-2:], strict=True))
        crop = window[..., top : top + CROP, left : left + CROP]
        if crop[:, 2].max() < _LEAST:
            continue
        crop = turned(crop, *(draw.random(3) < 0.5))
        chosen.append(torch.cat([crop, crop[-1:]]))
        if len(chosen) == count:
            return torch.stack(chosen)
    raise ValueError(f"expected clips in which windows move by {_LEAST:g} px, got {len(chosen)} of {_TRIES * count}")


def turned(
    maps: Float[Tensor, "T 3 h w"], mirrored: bool, upside_down: bool, transposed: bool
) -> Float[Tensor, "T 3 h w"]:
    """Return maps (u, v, length) of the same motion seen in one of the eight symmetries of a square."""
    if mirrored:
        maps = maps.flip(-1) * torch.tensor([-1.0, 1.0, 1.0])[:, None, None]
    if upside_down:
        maps = maps.flip(-2) * torch.tensor([1.0, -1.0, 1.0])[:, None, None]
    return maps.transpose(-2, -1)[:, [1, 0, 2]] if transposed else maps


def shuffled(maps: Float[Tensor, "n T 3 h w"], draw: np.random.Generator) -> Float[Tensor, "n T 3 h w"]:
    """Return windows whose maps have another order; the last one is repeated as in the real ones."""
    orders: list[list[int]] = []
    while len(orders) < len(maps):
        order = draw.permutation(maps.shape[1] - 1)
        if (np.diff(order) != 1).any():
            orders.append([*order, order[-1]])
    return torch.stack([each[order] for each, order in zip(maps, orders, strict=True)])


def clip_maps(study: Study, folder: Path) -> list[Float[Tensor, "T 3 h w"]]:
    """Return the maps between the frames of each clip, from the file that keeps them where there is one."""
    file = study.maps / f"{folder.parent.name}-{folder.name}-{study.flow}-{study.clips}.pt"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save([maps.half() for maps in _computed(study, folder)], file)
    return [_reduced(maps.float()) for maps in torch.load(file, weights_only=True)]


def _reduced(maps: Float[Tensor, "T 3 h w"]) -> Float[Tensor, "T 3 h2 w2"]:
    """Return maps of a larger image averaged to at most ``_SIDE`` pixels, and in these pixels."""
    times = max(1, min(maps.shape[-2:]) // _SIDE)
    field = torch.nn.functional.avg_pool2d(maps[:, :2], times) / times
    return torch.cat([field, field.norm(dim=1, keepdim=True)], dim=1)


def _computed(study: Study, folder: Path) -> Iterator[Tensor]:
    source, flow = open_clips(folder), FLOWS[study.flow]()
    for clip in range(min(study.clips, len(source.lengths))):
        frames, _ = source.read(clip, 0, source.lengths[clip])
        images = torch.from_numpy(frames).movedim(-1, 1).float() / 255
        with torch.no_grad():
            yield flow_maps(flow, images[None], side=min(images.shape[-2:]))[0, :-1]  # in pixels


def _split(clips: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Return the first three quarters of the clips and the others, or of the time where there is one clip alone."""
    if len(clips) == 1:
        held = len(clips[0]) // 4
        return [clips[0][: -held - FRAMES]], [clips[0][-held:]]
    held = len(clips) // 4
    return clips[:-held], clips[-held:]


def _start(at: int, side: int, draw: np.random.Generator) -> int:
    return int(draw.integers(max(0, at - CROP + 1), min(at, side - CROP) + 1))


def table(rows: Sequence[Row]) -> str:
    """Return the held-out accuracies of each setting: the mean over seeds and the lowest."""
    arms = [arm for arm in ARMS if any(row["arm"] == arm for row in rows)]
    lines = []
    for setting in dict.fromkeys(row["setting"] for row in rows):
        cells = []
        for arm in arms:
            values = [row["accuracy"] for row in rows if (row["setting"], row["arm"]) == (setting, arm)]
            cells.append(f"{100 * mean_and_error(values)[0]:.1f} ({100 * min(values):.1f})" if values else "")
        lines.append([setting, *cells])
    for name, key, form in (("weights", "weights", ",d"), ("CPU seconds a step", "step_seconds", ".2f")):
        values = [[row[key] for row in rows if row["arm"] == arm and key in row] for arm in arms]
        lines.append([name, *(format(type(each[0])(np.median(each)), form) if each else "" for each in values)])
    return markdown_table(["held-out accuracy, %: mean (lowest of the seeds)", *(ARMS[arm] for arm in arms)], lines)


def fill(folder: Path) -> None:
    """Write the table into the folder's page, where there is one."""
    page = folder / PAGE
    if page.exists():
        page.write_text(filled(page.read_text(), {"accuracy": table(read_rows(folder / ROWS, KEY))}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    run(tyro.cli(Study))
