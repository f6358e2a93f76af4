"""One video predictor in training: a step, and everything that the next step depends on."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from corrwise._files import shown
from corrwise._writing import write_aside, write_bytes_atomic
from corrwise.experiments.cli.train import TrainConfig
from corrwise.experiments.runs.checkpoint import restore, training_state
from corrwise.experiments.runs.fabric import make_fabric, precision_of
from corrwise.experiments.runs.loss_step import LossStep
from corrwise.experiments.runs.starting_model import starting_model
from corrwise.predictors.data import Batch, BatchesAhead, ClipWindows
from corrwise.predictors.models.base import VideoPredictor
from corrwise.predictors.training.fit import Loss
from corrwise.types import Distance

__all__ = ["CHECKPOINT", "Trainer"]

CHECKPOINT = "checkpoint.pt"

Row = dict[str, Any]


class Trainer:
    """A model with its optimiser, which can be put on disk and taken up again at the same loss.

    Args:
        config: what to train.
        action_dim, size: of the clips.
        distance: what to train with.

    Raises:
        FileNotFoundError, ValueError: options that make no model, or no such model to start from.
        RuntimeError: lightning-fabric is not installed, or a GPU is asked for and there is none.
    """

    def __init__(self, config: TrainConfig, action_dim: int, size: tuple[int, int], distance: Distance) -> None:
        self.config = config
        self.fabric = make_fabric(config)
        if config.batch % self.fabric.world_size:
            raise ValueError(f"expected a batch that {self.fabric.world_size} processes can share, got {config.batch}")
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            going_on = (config.out / CHECKPOINT).exists()  # its weights are read later
            model = starting_model(replace(config, start="") if going_on else config, action_dim, size)
        self.optimizer: Any = torch.optim.Adam(model.parameters(), lr=config.rate)
        self._step, self.optimizer = self.fabric.setup(LossStep(model, distance), self.optimizer)
        self.model = model
        average = partial(_averaged, most=config.average)
        self.average = AveragedModel(model, multi_avg_fn=average, use_buffers=True) if config.average else None
        self._distance = distance
        self._way = f"{precision_of(config)} in {self.fabric.world_size} processes"
        self.step, self.seconds = 0, 0.0
        self.losses: list[float] = []

    @property
    def kept(self) -> VideoPredictor:
        """The model that is worth keeping: the moving average of the weights, or the last ones."""
        kept = self.model if self.average is None else self.average.module
        assert isinstance(kept, VideoPredictor)
        return kept

    def check(self, batch: Batch) -> None:
        """Refuse clips that the model cannot learn from, before anything is written.

        Raises:
            ValueError: pictures of another size than the model's, for one.
        """
        with torch.no_grad():
            self.kept.eval().learn(batch.to(self.fabric.device), torch.Generator("cpu").manual_seed(0))

    def batches(self, windows: ClipWindows) -> BatchesAhead:
        """Return this process's part of every batch, to be read ahead."""
        part = slice(self.fabric.global_rank, None, self.fabric.world_size)
        return BatchesAhead(windows, self.config.batch, part=part, readers=self.config.readers)

    def learn(self, batches: BatchesAhead) -> Loss:
        """Take one step and return the loss before it; which windows it sees depends on the step alone.

        Raises:
            FloatingPointError: the loss or its gradient is not finite; the batch was saved, no weight was changed.
        """
        batch = batches.batch(self.step).to(self.fabric.device)
        draws = np.random.SeedSequence((self.config.seed, self.step, self.fabric.global_rank)).generate_state(1)
        self._step.train()
        loss = Loss(*self._step(batch.frames, batch.actions, int(draws[0])))
        value = float(self.fabric.all_reduce(loss.total.detach()))
        self._check(value, "loss", batches)
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss.total)
        norm = self.fabric.clip_gradients(
            self._step, self.optimizer, max_norm=self.config.clip, error_if_nonfinite=False
        )
        self._check(float(norm if norm is not None else 0.0), "gradient", batches)
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        self.step += 1
        self.losses.append(value)
        return loss

    def held_out(self, batch: Batch) -> Loss:
        """Return the loss of the kept model on a batch, of whatever size, on the CPU; a part of it at a time."""
        model, found = LossStep(self.kept.eval(), self._distance), []
        with torch.no_grad(), self.fabric.autocast():
            for part in batch.split(max(1, self.config.batch // self.fabric.world_size)):
                on_device = part.to(self.fabric.device)
                loss = model(on_device.frames, on_device.actions, self.config.seed)
                found.append([each.float().cpu() for each in loss])
        counts = torch.tensor([len(frames) for *_, frames in found], dtype=torch.float32, device="cpu")
        weights = counts / len(batch.frames)
        total, distances, penalty = (
            torch.stack(each).movedim(0, -1) @ weights for each in list(zip(*found, strict=True))[:3]
        )
        return Loss(total, distances, penalty, torch.cat([frames for *_, frames in found]))

    def save(self, path: Path) -> None:
        """Write everything that the next step depends on."""
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        data = io.BytesIO()
        told = {"step": self.step, "seconds": self.seconds, "losses": self.losses, "way": self._way}
        torch.save({**parts, **told}, data)
        write_bytes_atomic(path, data.getvalue())

    def load(self, path: Path) -> None:
        """Take up a saved state.

        Raises:
            ValueError: a checkpoint of another model, precision or number of processes, or one that is damaged.
        """
        state = training_state(path, device=self.fabric.device)
        if state.get("way") != self._way:
            way = shown(state.get("way"))
            raise ValueError(f"{path} was trained with {way}, and here it is {self._way}: go on as it began")
        restore(path, state, self._parts(), f"is a checkpoint of another model than {self.config.model}")
        self.step, self.seconds, self.losses = state["step"], state["seconds"], state["losses"]

    def _parts(self) -> dict[str, Any]:
        parts = {"model": self.model, "optimizer": self.optimizer}
        return parts if self.average is None else {**parts, "average": self.average}

    def _check(self, value: float, what: str, batches: BatchesAhead) -> None:
        if isfinite(value):
            return
        path = self.config.out / f"batch-{self.step}.npz"
        if self.fabric.is_global_zero:
            batch = batches.whole(self.step)
            with write_aside(path) as aside:
                np.savez_compressed(aside, frames=batch.frames.numpy(), actions=batch.actions.numpy())
        raise FloatingPointError(
            f"the {what} is {value} at step {self.step}; the batch is in {path}, and the checkpoint before it is kept"
        )


@torch.no_grad()
def _averaged(kept: Sequence[Tensor], current: Sequence[Tensor], steps: Tensor, *, most: float) -> None:
    """Move an average towards new weights, faster at first: else the first weights would count for a thousand steps."""
    decay = min(most, (1 + int(steps)) / (10 + int(steps)))
    for each, new in zip(kept, current, strict=True):
        if each.is_floating_point():
            each.lerp_(new.to(each), 1 - decay)
        else:
            each.copy_(new)
