"""``corrwise train-flow``: fit a flow net to exact correspondence, stoppable at any step."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, fields
from math import isfinite
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from tqdm import tqdm

from corrwise.costs.flow._places import differing
from corrwise.costs.flow.flow_net import FlowNet, FlowNetConfig
from corrwise.costs.flow.learned import save_net
from corrwise.experiments.atomic import write_aside, write_bytes_atomic, write_json_atomic
from corrwise.experiments.config_match import compare_configs
from corrwise.experiments.flow_card import write_card, write_curves
from corrwise.experiments.flow_judge import Judge
from corrwise.experiments.flow_loss import flow_loss
from corrwise.experiments.flow_pairs import FlowPairs, Pairs
from corrwise.experiments.lock import only_run
from corrwise.experiments.rows import claim_folder
from corrwise.experiments.train_flow_config import TrainFlowConfig

_FREE = ("out", "device", "every", "judged")  # these never change what is learned
_CLIP = 1.0  # largest norm of the gradient
_DECAY = 1e-4
_WARM = 0.05  # share of the steps in which the rate rises
_THRESHOLD, _REACH = 0.01, 1  # where two pictures differ, as LearnedFlow looks at them

Row = dict[str, Any]


class Trainer:
    """A net with its optimiser, which can be put on disk and taken up again at the same loss."""

    def __init__(self, config: TrainFlowConfig) -> None:
        names = {each.name for each in fields(FlowNetConfig)}
        self.device = torch.device(_device(config.device))
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            net = FlowNet(FlowNetConfig(**{name: getattr(config, name) for name in names}))
        self.net = net.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=config.rate, weight_decay=_DECAY)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, config.rate, config.steps + 1, pct_start=_WARM
        )
        self.step, self.seconds = 0, 0.0
        self.losses: list[float] = []
        self.errors: list[Row] = []

    def learn(self, pairs: Pairs) -> float:
        """Take one step and return the loss before it.

        Raises:
            FloatingPointError: the loss or its gradient is not finite; nothing was changed.
        """
        pairs = Pairs(*(getattr(pairs, each.name).to(self.device) for each in fields(Pairs)))
        differs = differing(pairs.x, pairs.y, threshold=_THRESHOLD, reach=_REACH)
        loss = flow_loss(self.net(pairs.x, pairs.y, differs), pairs, differs)
        value = float(loss.detach())
        if not isfinite(value):
            raise FloatingPointError(f"the loss is {value} at step {self.step}; the last checkpoint is good")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = float(torch.nn.utils.clip_grad_norm_(self.net.parameters(), _CLIP))
        if not isfinite(norm):
            raise FloatingPointError(f"the gradient is {norm} at step {self.step}; the last checkpoint is good")
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        self.losses.append(value)
        return value

    def save(self, path: Path) -> None:
        """Write everything that the next step depends on."""
        parts = {"net": self.net, "optimizer": self.optimizer, "schedule": self.schedule}
        data = io.BytesIO()
        torch.save(self._record() | {name: part.state_dict() for name, part in parts.items()}, data)
        write_bytes_atomic(path, data.getvalue())

    def load(self, path: Path) -> None:
        """Take up a saved state."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        for name in self._record():
            setattr(self, name, state[name])

    def _record(self) -> Row:
        return {name: getattr(self, name) for name in ("step", "seconds", "losses", "errors")}


def run_train_flow(config: TrainFlowConfig) -> Path:
    """Train, or go on training, and return the path of the weights.

    A checkpoint is written every few steps as a whole; a run that is killed loses the steps since, takes them again
    with the same batches, and ends with the same weights.
    """
    with only_run(config.out):
        checkpoint, settings = config.out / "checkpoint.pt", config.out / "config.json"
        if checkpoint.exists():
            there = json.loads(settings.read_bytes()) if settings.exists() else {}
            compare_configs(config.out, there, jsonable_config(config), ignore=_FREE)
        claim_folder(config.out, jsonable_config(config), ignore=_FREE)
        trainer = Trainer(config)
        if checkpoint.exists():
            trainer.load(checkpoint)
        if trainer.step < config.steps:
            _train(trainer, config, checkpoint)
        return _finish(trainer, config)


def _train(trainer: Trainer, config: TrainFlowConfig, checkpoint: Path) -> None:
    pairs = FlowPairs(size=config.size, episodes=config.episodes, seed=config.seed)
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
        save_net(trainer.net, aside, steps=str(trainer.step), seed=str(config.seed))
    errors = Judge(config, held_out=True)(trainer.net, trainer.device)
    write_json_atomic(config.out / "errors.json", errors)
    write_card(config.out / "card.md", config, trainer.net, errors, seconds=trainer.seconds)
    return weights


def _write_history(trainer: Trainer, out: Path) -> None:
    write_json_atomic(out / "history.json", {"losses": trainer.losses, "errors": trainer.errors})
    write_curves(out / "curves.png", trainer.losses, trainer.errors)


def jsonable_config(config: TrainFlowConfig) -> Row:
    """Return the configuration as it stands in config.json; a folder stays the same run wherever it is moved."""
    return {name: value for name, value in asdict(config).items() if name != "out"}


def _device(name: str) -> str:
    if name == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("device cuda is asked for, and torch finds no GPU here; leave --device auto or say cpu")
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"


def _said(step: int, errors: dict[str, Row]) -> str:
    parts = [f"{body} {row['epe_0_8']:.2f} px, far {100 * row['relative_8_32']:.0f} %" for body, row in errors.items()]
    return f"step {step}: " + "; ".join(parts)
