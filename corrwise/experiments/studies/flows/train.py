"""``corrwise train-flow``: fit a flow net to exact correspondence, stoppable at any step."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import fields
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, nn
from tqdm import tqdm

from corrwise._files import reading, shown
from corrwise._writing import write_aside, write_bytes_atomic, write_json_atomic
from corrwise.costs.flow.learned.estimator import LearnedFlow
from corrwise.costs.flow.learned.loss import flow_loss
from corrwise.costs.flow.learned.net import FlowNet, FlowNetConfig
from corrwise.costs.flow.learned.net_file import facts_of, load_net, save_net
from corrwise.costs.flow.matching.places import REACH, THRESHOLD, differing
from corrwise.costs.flow.networks import FlowOn, network_hash
from corrwise.envs.flow_data import FlowPairs, Pairs
from corrwise.envs.flow_data.pairs import DEGRADED
from corrwise.experiments.cli.options import BODY_NAMES, device_named
from corrwise.experiments.cli.table_flows import BODIES, FlowTableConfig
from corrwise.experiments.cli.train_flow import TrainFlowConfig
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.settings import settings_of, versions
from corrwise.experiments.studies.flows.measure import FlowScene, Row, error_numbers
from corrwise.experiments.studies.flows.plans import plans_of
from corrwise.predictors.training import Learning, Loss, Phase, Trainer, TrainerConfig
from corrwise.predictors.training.trainer import CHECKPOINT

_WEIGHT_DECAY = 1e-4
_SMOOTH = 50  # steps that one point of the loss curve averages


def run_train_flow(config: TrainFlowConfig) -> Path:
    """Train, or go on training, and return the path of the weights.

    A killed run continues from its last checkpoint with the same batches, and ends with the same weights.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, ValueError: weights or a checkpoint that cannot be used.
        FloatingPointError: the loss is not finite.
        RuntimeError: the extra ``train`` is not installed, or there is no GPU that was asked for.
    """
    trainer = make_flow_trainer(config)  # missing weights or a missing GPU must raise before a file is written
    if trainer.fabric.world_size > 1:
        raise ValueError(f"expected one process to train a flow, got {trainer.fabric.world_size}")
    settings = settings_of(config)
    with RunFolder(config.out, settings, begun=lambda out: (out / CHECKPOINT).exists()):
        if trainer.resume():
            _check_record(trainer)
        if trainer.step < config.steps:
            _train(trainer, config)
        return _finish(trainer, config)


class ExactFlow:
    """Regress the flow of a net onto the ground truth, both directions of each pair (``flow_loss``)."""

    phases = (Phase("train", ("net",)),)

    def __init__(self, net: FlowNet) -> None:
        self.net = net

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The flow net as ``net``."""
        return {"net": self.net}

    def loss(self, batch: Pairs, generator: Generator | None = None, phase: str = "train") -> Loss:
        """Return the mean weighted endpoint error of all estimates; nothing is drawn."""
        differs = differing(batch.x, batch.y, threshold=THRESHOLD, reach=REACH)
        truth = torch.cat((batch.flow_xy, batch.flow_yx))
        return Loss(flow_loss(self.net(batch.x, batch.y, differs), truth, differs))


def make_flow_trainer(config: TrainFlowConfig) -> Trainer[Pairs]:
    """Return the trainer of a run, with new weights or those of ``init_from``.

    Its record has ``errors`` on held-out pairs by step, and in ``begun_with`` the metadata of the initial weights.

    Raises:
        FileNotFoundError, ValueError: no such weights, or those of a wider or narrower net.
        RuntimeError: the extra ``train`` is not installed, or there is no GPU that was asked for.
    """
    device = device_named(config.device)
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        net = FlowNet(FlowNetConfig(**{each.name: getattr(config, each.name) for each in fields(FlowNetConfig)}))
    begun_with: dict[str, str] = {}
    if config.init_from and not (config.out / CHECKPOINT).exists():
        begun_with = _begin_with(net, config.init_from)
    learning = Learning(
        config.lr, "adamw", weight_decay=_WEIGHT_DECAY, schedule="one-cycle", max_grad_norm=config.max_grad_norm,
        ema=config.ema,
    )  # fmt: skip
    trainer = Trainer(
        ExactFlow(net.to(device, memory_format=torch.channels_last)),  # type: ignore[call-overload]
        TrainerConfig(config.out, config.steps, learning, config.seed, config.checkpoint_every, device),
    )
    trainer.record = {"errors": [], "begun_with": begun_with}
    return trainer


def _begin_with(net: FlowNet, weights: str) -> dict[str, str]:
    """Load the parameters of weights that are as wide into a net, and return their metadata."""
    there = load_net(weights)
    try:
        net.load_state_dict(there.state_dict())
    except RuntimeError as error:
        raise ValueError(f"expected weights as wide as {net.config}, got {weights!r} of {there.config}") from error
    return {**facts_of(weights), "network": str(network_hash(LearnedFlow(there)))}


def _check_record(trainer: Trainer[Pairs]) -> None:
    """Refuse a checkpoint whose record cannot be shown."""
    with reading(trainer.config.out / CHECKPOINT, "holds no record of a training"):
        begun_with = trainer.record["begun_with"]
        errors = [{**each, "step": each["step"] + 0} for each in trainer.record["errors"]]
        if not all(isinstance(each, str) for pair in begun_with.items() for each in pair):
            raise ValueError(f"expected texts by name as begun_with, got {shown(begun_with)}")
        for name, row in ((name, row) for each in errors for name, row in each["bodies"].items()):
            if not all(isinstance(row[number], float) for number in ("epe_0_8", "relative_8_32")):
                raise ValueError(f"expected numbers as errors of {shown(name)}, got {shown(row)}")


def _train(trainer: Trainer[Pairs], config: TrainFlowConfig) -> None:
    plans = plans_of(config.init_from, size=config.size, episodes=config.plans, folder=config.out, progress=print)
    pairs = FlowPairs(
        config.batch, size=config.size, episodes=config.episodes, tasks=config.tasks, seed=config.seed, plans=plans
    )
    scenes = _scenes(config, BODY_NAMES)
    with tqdm(total=config.steps, initial=trainer.step, unit="step", desc="train-flow") as bar:
        for taken in trainer.run(pairs):
            bar.update()
            bar.set_postfix(loss=f"{trainer.losses[-1]:.2f}", refresh=False)
            if taken.due:
                errors = _errors(_kept(trainer), trainer.fabric.device, scenes)
                trainer.record["errors"].append({"step": taken.step, "bodies": errors})
                trainer.save()
                _write_history(trainer, config.out)
                bar.write(_line(taken.step, errors))


def _finish(trainer: Trainer[Pairs], config: TrainFlowConfig) -> Path:
    """Write the weights, and a model card with their errors."""
    _write_history(trainer, config.out)  # again: a run killed after its last checkpoint has an older one
    weights, net = config.out / "flow_net.safetensors", _kept(trainer)
    before = {f"before_{name}": fact for name, fact in trainer.record["begun_with"].items()}
    with write_aside(weights) as aside:
        save_net(net, aside, command=command(config), steps=str(trainer.step), **before)
    errors = _errors(net, trainer.fabric.device, _scenes(config, BODIES))
    write_json_atomic(config.out / "errors.json", errors)
    _write_card(config.out / "card.md", config, trainer, errors)
    return weights


def _kept(trainer: Trainer[Pairs]) -> FlowNet:
    kept = trainer.kept("net")
    assert isinstance(kept, FlowNet)
    return kept


def _write_history(trainer: Trainer[Pairs], out: Path) -> None:
    write_json_atomic(out / "history.json", {"losses": trainer.losses, "errors": trainer.record["errors"]})
    _write_curves(out / "curves.png", trainer.losses, trainer.record["errors"])


def _line(step: int, errors: dict[str, Row]) -> str:
    parts = [f"{body} {row['epe_0_8']:.2f} px, far {100 * row['relative_8_32']:.0f} %" for body, row in errors.items()]
    return f"step {step}: " + "; ".join(parts)


def _scenes(config: TrainFlowConfig, bodies: Sequence[str]) -> list[FlowScene]:
    """Return the held-out pairs, which are made as those of ``corrwise table flows``."""
    return [FlowScene(body, FlowTableConfig(pairs=config.eval_pairs, size=config.size, reach=1)) for body in bodies]


def _errors(net: FlowNet, device: torch.device, scenes: Sequence[FlowScene]) -> dict[str, Row]:
    """Return a row of errors (``error_numbers``) for each body; ``epe_0_8`` joins the bands of small displacements."""
    flow, rows = FlowOn(device, LearnedFlow(net)), {}
    for scene in scenes:
        clean, degraded = _joined(error_numbers(flow, scene.clean)), _joined(error_numbers(flow, scene.degraded))
        rows[scene.body] = clean | {f"degraded_{name}": value for name, value in degraded.items()}
    return rows


def _joined(row: Row) -> Row:
    pixels = [row["pixels_0_2"], row["pixels_2_8"]]
    known = [(row[name], n) for name, n in zip(("epe_0_2", "epe_2_8"), pixels, strict=True) if n]
    return row | {"epe_0_8": sum(epe * n for epe, n in known) / sum(pixels) if known else nan}


def _write_card(path: Path, config: TrainFlowConfig, trainer: Trainer[Any], errors: dict[str, Row]) -> None:
    parameters = sum(each.numel() for each in trainer.kept("net").parameters())
    rest = (1 - config.tasks) / 2
    plans = f", half of them as {config.plans} planned episodes of each compared them" if config.plans else ""
    used = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines = [
        "# Flow net", "",
        f"`LearnedFlow` of {parameters:,} parameters: cells matched all against all, then pixels refined; both "
        "directions at once.", "",
        "| | |", "|---|---|",
        f"| command | `{command(config)}` |",
        f"| steps, pairs | {config.steps:,}, {config.steps * config.batch:,} |",
        f"| training time | {trainer.seconds / 60:.0f} minutes, data included |",
        *_before(trainer.record["begun_with"]),
        f"| versions | {used} |", "",
        "Trained on exact correspondence from the simulator: random state pairs of Cartpole, Ant and Humanoid "
        f"({100 * config.tasks:.0f} %{plans}), of other dm_control bodies under random cameras "
        f"({100 * rest:.0f} %), and painted sticks under random affine motion ({100 * rest:.0f} %); in "
        f"{100 * DEGRADED:.0f} % of the pairs one image is blurred, ghosted, noisy or tinted.", "",
        "Errors on pairs it never saw, visible pixels of moving bodies. Walker, cheetah and the textures are of kinds "
        "that training never shows. Unmarked pixels pass the flow's own forward-backward check.", "",
        "| body | EPE 0-2 px | 2-8 px | 8-32 px | share of displacement, 8-32 px | the same, unmarked | degraded: "
        "0-8 px | 8-32 px |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for body, row in errors.items():
        unmarked = row["epe_unmarked_8_32"] / row["displacement_8_32"]
        cells = [
            *(f"{row[name]:.2f}" for name in ("epe_0_2", "epe_2_8", "epe_8_32")),
            *(f"{100 * share:.0f} %" for share in (row["relative_8_32"], unmarked)),
            *(f"{row[name]:.2f}" for name in ("degraded_epe_0_8", "degraded_epe_8_32")),
        ]
        lines.append(f"| {body} | " + " | ".join(cells) + " |")
    write_bytes_atomic(path, ("\n".join(lines) + "\n").encode())


def command(config: TrainFlowConfig) -> str:
    """Return the command that trains such a net anew."""
    plain, free = TrainFlowConfig(), {"out", *settings_of(config).free}
    changed = [
        f"--{name.replace('_', '-')} {getattr(config, name)}"
        for name in vars(plain)
        if name not in free and getattr(config, name) != getattr(plain, name)
    ]
    return " ".join(["corrwise train-flow", *changed])


def _before(facts: Mapping[str, str]) -> list[str]:
    """Return a line of the card for each earlier stage, the latest first."""
    lines = []
    while facts:
        made = f"`{facts['command']}`" if "command" in facts else "an earlier version"
        lines.append(f"| went on from | network {facts.get('network', '')}: {facts.get('steps', '?')} steps, {made} |")
        facts = {name.removeprefix("before_"): fact for name, fact in facts.items() if name.startswith("before_")}
    return lines


def _write_curves(path: Path, losses: list[float], errors: list[Row]) -> None:
    """Draw the loss and each body's held-out error over the steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    width = min(_SMOOTH, len(losses))
    left.plot(np.arange(width, len(losses) + 1), np.convolve(losses, np.ones(width) / width, mode="valid"))
    left.set(xlabel="step", ylabel="loss", yscale="log")
    for body in errors[-1]["bodies"] if errors else []:
        steps = [row["step"] for row in errors]
        middle.plot(steps, [row["bodies"][body]["epe_0_8"] for row in errors], label=body)
        right.plot(steps, [100 * row["bodies"][body]["relative_8_32"] for row in errors], label=body)
    middle.set(xlabel="step", ylabel="endpoint error, px", title="displacement below 8 px", ylim=(0, None))
    right.set(xlabel="step", ylabel="share of displacement, %", title="displacement 8-32 px", ylim=(0, None))
    middle.legend()
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    write_bytes_atomic(path, data.getvalue())
