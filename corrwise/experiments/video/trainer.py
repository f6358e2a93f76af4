"""One video predictor in training: a step, and everything that the next step depends on."""

from __future__ import annotations

import io
import os
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from corrwise.experiments.options.train import TrainConfig
from corrwise.experiments.records.atomic import write_aside, write_bytes_atomic
from corrwise.predictors.clips import Batch, ClipWindows
from corrwise.predictors.fit import Loss, train_step
from corrwise.predictors.models import load_model, make_model
from corrwise.predictors.video_predictor import VideoPredictor
from corrwise.types import Distance

__all__ = ["Trainer"]

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
        self.fabric = _fabric(config)
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            model = _model(config, action_dim, size)
        self.optimizer: Any = torch.optim.Adam(model.parameters(), lr=config.rate)
        self._step, self.optimizer = self.fabric.setup(_Step(model, distance), self.optimizer)
        self.model = model
        kind = get_ema_multi_avg_fn(config.average)
        self.average = AveragedModel(model, multi_avg_fn=kind, use_buffers=True) if config.average else None
        self._distance = distance
        self.step, self.seconds = 0, 0.0
        self.losses: list[float] = []

    @property
    def best(self) -> VideoPredictor:
        """The model that is kept: the moving average."""
        kept = self.model if self.average is None else self.average.module
        assert isinstance(kept, VideoPredictor)
        return kept

    def learn(self, windows: ClipWindows) -> Loss:
        """Take one step and return the loss before it; which windows it sees depends on the step alone.

        Raises:
            FloatingPointError: the loss or its gradient is not finite; the batch was saved, nothing was changed.
        """
        batch = self._share(windows.batch(self.step, self.config.batch))
        draws = np.random.SeedSequence((self.config.seed, self.step, self.fabric.global_rank)).generate_state(1)
        self._step.train()
        loss = Loss(*self._step(batch.frames, batch.actions, int(draws[0])))
        value = float(self.fabric.all_reduce(loss.total.detach()))
        self._check(value, "loss", batch)
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss.total)
        norm = self.fabric.clip_gradients(
            self._step, self.optimizer, max_norm=self.config.clip, error_if_nonfinite=False
        )
        self._check(float(norm if norm is not None else 0.0), "gradient", batch)
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        self.step += 1
        self.losses.append(value)
        return loss

    def held_out(self, batch: Batch) -> tuple[Loss, torch.Tensor]:
        """Return the loss of the kept model on a batch, and what it predicts."""
        model, batch = self.best.eval(), batch.to(self.fabric.device)
        with torch.no_grad():
            loss = _Step(model, self._distance)(batch.frames, batch.actions, self.config.seed)
            shown = model.learn(batch, torch.Generator().manual_seed(self.config.seed)).frames
        return Loss(*loss), shown.cpu()

    def save(self, path: Path) -> None:
        """Write everything that the next step depends on."""
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        data = io.BytesIO()
        torch.save({**parts, "step": self.step, "seconds": self.seconds, "losses": self.losses}, data)
        write_bytes_atomic(path, data.getvalue())

    def load(self, path: Path) -> None:
        """Take up a saved state.

        Raises:
            ValueError: a checkpoint of another model.
        """
        state = torch.load(path, map_location=self.fabric.device, weights_only=True)
        try:
            for name, part in self._parts().items():
                part.load_state_dict(state[name])
        except (RuntimeError, KeyError, ValueError) as error:
            raise ValueError(f"{path} is a checkpoint of another model: {error}") from error
        self.step, self.seconds, self.losses = state["step"], state["seconds"], state["losses"]

    def _parts(self) -> dict[str, Any]:
        parts = {"model": self.model, "optimizer": self.optimizer}
        return parts if self.average is None else {**parts, "average": self.average}

    def _share(self, batch: Batch) -> Batch:
        """Return this process's part of a batch."""
        part = slice(self.fabric.global_rank, None, self.fabric.world_size)
        return Batch(batch.frames[part], batch.actions[part]).to(self.fabric.device)

    def _check(self, value: float, what: str, batch: Batch) -> None:
        if isfinite(value):
            return
        path = self.config.out / f"batch-{self.step}.npz"
        with write_aside(path) as aside:
            np.savez_compressed(aside, frames=batch.frames.cpu().numpy(), actions=batch.actions.cpu().numpy())
        raise FloatingPointError(
            f"the {what} is {value} at step {self.step}; the batch is in {path}, and the last checkpoint is good"
        )


class _Step(nn.Module):
    """The loss as a module of tensors, which is what a training library can spread over processes."""

    def __init__(self, model: VideoPredictor, distance: Distance) -> None:
        super().__init__()
        self.model = model
        self._distance = (distance,)  # no part of the module: it may be one itself, whose weights nobody trains

    def forward(self, frames: Tensor, actions: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return total, distances and penalty."""
        noise = torch.Generator().manual_seed(seed)
        loss = train_step(self.model, Batch(frames, actions), self._compare, noise)
        return loss.total, loss.distances, loss.penalty

    def _compare(self, x: Tensor, y: Tensor) -> Tensor:
        """Compare in full precision, whatever the layers have."""
        with torch.autocast(x.device.type, enabled=False):
            return self._distance[0](x.float(), y.float())


def _model(config: TrainConfig, action_dim: int, size: tuple[int, int]) -> VideoPredictor:
    sized = {"size": size[0]} if config.model == "svg" else {}
    options = {**config.model_options, **sized, "context": config.context, "action_dim": action_dim}
    if not config.start:
        return make_model(config.model, **options)
    model = load_model(config.start).requires_grad_(True)
    wanted = make_model(config.model, **options).config
    if model.config != wanted:
        raise ValueError(f"expected a model {wanted} in {config.start} to start from, got {model.config}")
    return model


def _fabric(config: TrainConfig) -> Any:
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise RuntimeError("training needs lightning-fabric: pip install 'corrwise[train]'") from error
    if config.accelerator == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("accelerator cuda is asked for, and torch finds no GPU here; leave it auto or say cpu")
    gpu = config.accelerator != "cpu" and torch.cuda.is_available()
    precision: Any = ("bf16-mixed" if gpu else "32-true") if config.precision == "auto" else config.precision
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun says so
    fabric = Fabric(accelerator="cuda" if gpu else "cpu", devices=processes, precision=precision)
    fabric.launch()
    return fabric
