"""``corrwise train-flow``: fit a flow net to exact correspondence, stoppable at any step."""

from __future__ import annotations

from dataclasses import fields
from math import nan
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from tqdm import tqdm

from corrwise._files import reading, shown
from corrwise._writing import write_aside, write_json_atomic
from corrwise.costs.flow.learned.estimator import LearnedFlow
from corrwise.costs.flow.learned.net import FlowNet, FlowNetConfig
from corrwise.costs.flow.learned.net_file import facts_of, load_net, save_net
from corrwise.costs.flow.matching.places import REACH, THRESHOLD, differing
from corrwise.costs.flow.networks import network_hash
from corrwise.experiments.cli.options import BODY_NAMES, device_named
from corrwise.experiments.cli.table_flows import BODIES, FlowTableConfig
from corrwise.experiments.cli.train_flow import FREE, TrainFlowConfig
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.settings import settings_of
from corrwise.experiments.runs.train import with_names_of_today
from corrwise.experiments.studies.flows.card import command, history_facts, write_card, write_curves
from corrwise.experiments.studies.flows.exact_pairs import Pairs
from corrwise.experiments.studies.flows.measure import error_numbers, flow_loss
from corrwise.experiments.studies.flows.pairs import FlowPairs
from corrwise.experiments.studies.flows.plans import plans_of
from corrwise.experiments.studies.flows.scenes import FlowScene
from corrwise.predictors.training import Learning, Loss, Phase, Trainer, TrainerConfig
from corrwise.predictors.training.trainer import CHECKPOINT

__all__ = ["Evaluation", "ExactFlow", "make_flow_trainer", "run_train_flow"]

_WEIGHT_DECAY = 1e-4

Row = dict[str, Any]


def run_train_flow(config: TrainFlowConfig) -> Path:
    """Train, or go on training, and return the path of the weights.

    A checkpoint is written every few steps as a whole; a run that is killed loses the steps since, takes them again
    with the same batches, and ends with the same weights.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, ValueError: weights or a checkpoint that cannot be used.
        FloatingPointError: the loss is not finite.
        RuntimeError: the extra ``train`` is not installed, or there is no GPU that was asked for.
    """
    trainer = make_flow_trainer(config)  # weights or a GPU that are not there must be missed before a file is written
    if trainer.fabric.world_size > 1:
        raise ValueError(f"expected one process to train a flow, got {trainer.fabric.world_size}")
    settings = settings_of(config).with_values({}, free=FREE)
    with_names_of_today(config.out, settings)
    with RunFolder(config.out, settings, begun=lambda out: (out / CHECKPOINT).exists()):
        if trainer.resume():
            _check_record(trainer)
        if trainer.step < config.steps:
            _train(trainer, config)
        return _finish(trainer, config)


class ExactFlow:
    """Regress the flow of a net onto the truth, both directions of each pair (``flow_loss``)."""

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
        return Loss(flow_loss(self.net(batch.x, batch.y, differs), batch, differs))


def make_flow_trainer(config: TrainFlowConfig) -> Trainer[Pairs]:
    """Return the trainer of a run, with fresh weights or those to begin with; how often the net refines is its own.

    Its record has ``errors`` on held-out pairs by step, and in ``begun_with`` facts of the weights that it began with.

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
    """Give a net the parameters of weights that are as wide, and return the facts of those."""
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


class _Batches:
    """The batches of all steps."""

    def __init__(self, pairs: FlowPairs, size: int) -> None:
        self._pairs, self._size = pairs, size

    def batch(self, step: int) -> Pairs:
        return self._pairs.batch(step, self._size)


def _train(trainer: Trainer[Pairs], config: TrainFlowConfig) -> None:
    plans = plans_of(config.init_from, size=config.size, episodes=config.plans, folder=config.out, progress=print)
    pairs = FlowPairs(size=config.size, episodes=config.episodes, tasks=config.tasks, seed=config.seed, plans=plans)
    evaluation = Evaluation(config, held_out=False)
    with tqdm(total=config.steps, initial=trainer.step, unit="step", desc="train-flow") as bar:
        for taken in trainer.run(_Batches(pairs, config.batch)):
            bar.update()
            bar.set_postfix(loss=f"{trainer.losses[-1]:.2f}", refresh=False)
            if taken.due:
                errors = evaluation(_kept(trainer), trainer.fabric.device)
                trainer.record["errors"].append({"step": taken.step, "bodies": errors})
                trainer.save()
                _write_history(trainer, config.out)
                bar.write(_line(taken.step, errors))


def _finish(trainer: Trainer[Pairs], config: TrainFlowConfig) -> Path:
    """Write the weights, and the card that says what they are worth."""
    _write_history(trainer, config.out)  # once more: a run killed beside its last checkpoint has an older one
    weights, net = config.out / "flow_net.safetensors", _kept(trainer)
    with write_aside(weights) as aside:
        save_net(net, aside, command=command(config), **history_facts(trainer.record["begun_with"], trainer.step))
    errors = Evaluation(config, held_out=True)(net, trainer.fabric.device)
    write_json_atomic(config.out / "errors.json", errors)
    write_card(config.out / "card.md", config, trainer, errors)
    return weights


def _kept(trainer: Trainer[Pairs]) -> FlowNet:
    kept = trainer.kept("net")
    assert isinstance(kept, FlowNet)
    return kept


def _write_history(trainer: Trainer[Pairs], out: Path) -> None:
    write_json_atomic(out / "history.json", {"losses": trainer.losses, "errors": trainer.record["errors"]})
    write_curves(out / "curves.png", trainer.losses, trainer.record["errors"])


def _line(step: int, errors: dict[str, Row]) -> str:
    parts = [f"{body} {row['epe_0_8']:.2f} px, far {100 * row['relative_8_32']:.0f} %" for body, row in errors.items()]
    return f"step {step}: " + "; ".join(parts)


class Evaluation:
    """``evaluation(net, device)`` returns a row of errors (``error_numbers``) for each body, degraded pairs' beside.

    The held-out pairs and the numbers are those of ``corrwise table flows``.

    Args:
        config: how many pairs of which size.
        held_out: include bodies and textures that no training shows.
    """

    def __init__(self, config: TrainFlowConfig, *, held_out: bool) -> None:
        table = FlowTableConfig(pairs=config.eval_pairs, size=config.size, reach=1)
        self._scenes = [FlowScene(body, table) for body in (BODIES if held_out else BODY_NAMES)]

    def __call__(self, net: FlowNet, device: torch.device) -> dict[str, Row]:
        """Return the rows; ``epe_0_8`` joins the two bands of small displacements."""
        flow, rows = _OnDevice(LearnedFlow(net), device), {}
        for scene in self._scenes:
            clean, degraded = error_numbers(flow, scene.clean), error_numbers(flow, scene.degraded)
            rows[scene.body] = _joined(clean) | {f"degraded_{name}": value for name, value in _joined(degraded).items()}
        return rows


class _OnDevice:
    """A flow that is computed on another device than its images'."""

    def __init__(self, flow: LearnedFlow, device: torch.device) -> None:
        self._flow, self._device = flow, device

    def __call__(self, target: Float[Tensor, "B C h w"], source: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 2 h w"]:
        return self.both(target, source)[0]

    def both(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        forward, backward = self._flow.both(x.to(self._device), y.to(self._device))
        return forward.to(x.device), backward.to(x.device)


def _joined(row: Row) -> Row:
    pixels = [row["pixels_0_2"], row["pixels_2_8"]]
    known = [(row[name], n) for name, n in zip(("epe_0_2", "epe_2_8"), pixels, strict=True) if n]
    return row | {"epe_0_8": sum(epe * n for epe, n in known) / sum(pixels) if known else nan}
