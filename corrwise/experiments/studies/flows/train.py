"""``corrwise train-flow``: fit a flow net to exact correspondence, stoppable at any step."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

from tqdm import tqdm

from corrwise._writing import write_aside, write_json_atomic
from corrwise.costs.flow.learned.net_file import save_net
from corrwise.experiments.cli.train_flow import FREE, TrainFlowConfig
from corrwise.experiments.runs.folder import RunFolder
from corrwise.experiments.runs.settings import settings_of
from corrwise.experiments.studies.flows.card import command, history_facts, write_card, write_curves
from corrwise.experiments.studies.flows.evaluation import Judge
from corrwise.experiments.studies.flows.pairs import FlowPairs
from corrwise.experiments.studies.flows.plans import plans_of
from corrwise.experiments.studies.flows.trainer import Trainer

Row = dict[str, Any]


def run_train_flow(config: TrainFlowConfig) -> Path:
    """Train, or go on training, and return the path of the weights.

    A checkpoint is written every few steps as a whole; a run that is killed loses the steps since, takes them again
    with the same batches, and ends with the same weights.
    """
    checkpoint = config.out / "checkpoint.pt"
    trainer = Trainer(config)  # weights or a GPU that are not there must be missed before anything is written
    if config.weights and not checkpoint.exists():
        trainer.begin_with(config.weights)
    settings = settings_of(config).with_values({}, free=FREE)
    with RunFolder(config.out, settings, begun=lambda out: checkpoint.exists()):
        if checkpoint.exists():
            trainer.load(checkpoint)
        if trainer.step < config.steps:
            _train(trainer, config, checkpoint)
        return _finish(trainer, config)


def _train(trainer: Trainer, config: TrainFlowConfig, checkpoint: Path) -> None:
    plans = plans_of(config.weights, size=config.size, episodes=config.plans, folder=config.out, progress=print)
    pairs = FlowPairs(size=config.size, episodes=config.episodes, tasks=config.tasks, seed=config.seed, plans=plans)
    judge = Judge(config, held_out=False)
    with tqdm(total=config.steps, initial=trainer.step, unit="step", desc="train-flow") as bar:
        while trainer.step < config.steps:
            began = perf_counter()
            loss = trainer.learn(pairs.batch(trainer.step, config.batch))
            trainer.seconds += perf_counter() - began
            bar.update()
            bar.set_postfix(loss=f"{loss:.2f}", refresh=False)
            if trainer.step % config.every == 0 or trainer.step == config.steps:
                errors = judge(trainer.net, trainer.device)
                trainer.errors.append({"step": trainer.step, "bodies": errors})
                trainer.save(checkpoint)
                _write_history(trainer, config.out)
                bar.write(_said(trainer.step, errors))


def _finish(trainer: Trainer, config: TrainFlowConfig) -> Path:
    """Write the weights, and the card that says what they are worth."""
    _write_history(trainer, config.out)  # once more: a run killed beside its last checkpoint has an older one
    weights = config.out / "flow_net.safetensors"
    with write_aside(weights) as aside:
        save_net(trainer.net, aside, command=command(config), **history_facts(trainer.begun_with, trainer.step))
    errors = Judge(config, held_out=True)(trainer.net, trainer.device)
    write_json_atomic(config.out / "errors.json", errors)
    write_card(config.out / "card.md", config, trainer, errors)
    return weights


def _write_history(trainer: Trainer, out: Path) -> None:
    write_json_atomic(out / "history.json", {"losses": trainer.losses, "errors": trainer.errors})
    write_curves(out / "curves.png", trainer.losses, trainer.errors)


def _said(step: int, errors: dict[str, Row]) -> str:
    parts = [f"{body} {row['epe_0_8']:.2f} px, far {100 * row['relative_8_32']:.0f} %" for body, row in errors.items()]
    return f"step {step}: " + "; ".join(parts)
