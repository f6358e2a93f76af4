"""One flow net in training: a step, and everything that the next step depends on."""

from __future__ import annotations

import io
from dataclasses import fields
from math import isfinite
from pathlib import Path
from typing import Any

import torch

from corrwise._files import reading, shown
from corrwise._writing import write_bytes_atomic
from corrwise.costs.flow.learned.estimator import LearnedFlow
from corrwise.costs.flow.learned.net import FlowNet, FlowNetConfig
from corrwise.costs.flow.learned.net_file import facts_of, load_net
from corrwise.costs.flow.matching.places import REACH, THRESHOLD, differing
from corrwise.experiments.cli.train_flow import TrainFlowConfig
from corrwise.experiments.runs.checkpoint import restore, training_state
from corrwise.experiments.runs.device import device_named
from corrwise.experiments.studies.flows.candidates import fingerprint
from corrwise.experiments.studies.flows.exact_pairs import Pairs
from corrwise.experiments.studies.flows.measure import flow_loss

__all__ = ["Trainer"]

_CLIP = 1.0  # largest norm of the gradient
_DECAY = 1e-4
_WARM = 0.05  # share of the steps in which the rate rises

Row = dict[str, Any]


class Trainer:
    """A net with its optimiser, which can be put on disk and taken up again at the same loss."""

    def __init__(self, config: TrainFlowConfig) -> None:
        names = {each.name for each in fields(FlowNetConfig)}
        self.device = torch.device(device_named(config.device, option="device"))
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
        self.begun_with: dict[str, str] = {}  # facts of the weights that it went on from

    def begin_with(self, weights: str) -> None:
        """Give the net the parameters of weights that are as wide; how often it updates and refines is its own.

        Raises:
            FileNotFoundError, ValueError: no such weights, or those of a wider or narrower net.
        """
        there = load_net(weights)
        try:
            self.net.load_state_dict(there.state_dict())
        except RuntimeError as error:
            raise ValueError(
                f"expected weights as wide as {self.net.config}, got {weights!r} of {there.config}"
            ) from error
        self.begun_with = {**facts_of(weights), "network": str(fingerprint(LearnedFlow(there)))}

    def learn(self, pairs: Pairs) -> float:
        """Take one step and return the loss before it.

        Raises:
            FloatingPointError: the loss or its gradient is not finite; nothing was changed.
        """
        pairs = Pairs(*(getattr(pairs, each.name).to(self.device) for each in fields(Pairs)))
        differs = differing(pairs.x, pairs.y, threshold=THRESHOLD, reach=REACH)
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
        """Take up a saved state.

        Raises:
            ValueError: a checkpoint of another net, or one that is damaged.
        """
        state = training_state(path, device=self.device)
        parts = {"net": self.net, "optimizer": self.optimizer, "schedule": self.schedule}
        restore(path, state, parts, f"is a checkpoint of another net than {self.net.config}")
        with reading(path, "holds no record of a training"):
            begun_with, errors = state["begun_with"], [{**each, "step": each["step"] + 0} for each in state["errors"]]
            if not all(isinstance(each, str) for pair in begun_with.items() for each in pair):
                raise ValueError(f"expected texts by name as begun_with, got {shown(begun_with)}")
            for name, row in ((name, row) for each in errors for name, row in each["bodies"].items()):
                if not all(isinstance(row[number], float) for number in ("epe_0_8", "relative_8_32")):
                    raise ValueError(f"expected numbers as errors of {shown(name)}, got {shown(row)}")
            for name in self._record():
                setattr(self, name, state[name])

    def _record(self) -> Row:
        return {name: getattr(self, name) for name in ("step", "seconds", "losses", "errors", "begun_with")}
