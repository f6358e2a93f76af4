"""One trainer for every objective: steps, optimisers, averages of weights, checkpoints, exact resume and logs.

It uses Lightning Fabric, which is loaded when a trainer is made, and runs on a CPU, a GPU, or under torchrun.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from math import isfinite
from time import perf_counter
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Generator, Tensor, nn

from corrwise._files import shown
from corrwise._writing import write_aside, write_bytes_atomic
from corrwise.predictors.training.checkpoint import restore, training_state
from corrwise.predictors.training.learning import Learner, TrainerConfig
from corrwise.predictors.training.log import Log
from corrwise.predictors.training.objective import (
    Batches,
    Loss,
    Movable,
    Objective,
    check_objective,
    named_phases,
    phase_at,
    steps_of,
)

__all__ = ["CHECKPOINT", "Taken", "Trainer"]

CHECKPOINT = "checkpoint.pt"
BatchT = TypeVar("BatchT", bound=Movable)


@dataclass(frozen=True)
class Taken:
    """A step that was taken.

    Attributes:
        step: number of steps taken so far, including this one.
        phase: name of its phase.
        loss: of this process before the step, without gradients.
        due: whether a checkpoint follows.
    """

    step: int
    phase: str
    loss: Loss
    due: bool


class Trainer(Generic[BatchT]):
    """Trains an objective, and resumes a stopped run exactly.

    ``for taken in trainer.run(batches): ...`` takes all remaining steps and writes checkpoints. After ``resume()`` in a
    new process the steps, draws and weights are those of a run that was never stopped.

    Attributes:
        fabric: the Fabric of this process.
        step, seconds, losses: number of steps taken, their time, and the loss of each over all processes.
        record: values of plain types that the caller keeps in the checkpoint.

    Args:
        objective: what to minimise.
        config: the settings.

    Raises:
        ValueError: see ``check_objective``.
        RuntimeError: lightning-fabric is not installed, or there is no such device.
    """

    def __init__(self, objective: Objective[BatchT], config: TrainerConfig) -> None:
        check_objective(objective)
        self.objective, self.config = objective, config
        self.fabric = _launched(config)
        self.step, self.seconds = 0, 0.0
        self.losses: list[float] = []
        self.record: dict[str, Any] = {}
        networks, phases = dict(objective.networks), objective.phases
        learns = dict.fromkeys(phase.learns for phase in named_phases(phases))
        learning = [name for name in networks if any(name in each for each in learns)]
        for name, network in networks.items():
            network.to(self.fabric.device)
            if name not in learning:
                network.requires_grad_(False).eval()
        self._learners = {
            name: Learner(networks[name], config.of(name), steps_of(name, phases, config.steps)) for name in learning
        }
        self._steppers = {name: self.fabric.setup_optimizers(each.optimizer) for name, each in self._learners.items()}
        self._modules = {
            names: self.fabric.setup_module(_LossStep(objective, {name: networks[name] for name in names}))
            for names in learns
        }
        self._way = f"{config.precision} in {self.fabric.world_size} processes"
        self._saved, self._learns = -1, tuple(learning)
        self._log = Log(config.out / "logs") if self.fabric.is_global_zero else None

    def kept(self, name: str) -> nn.Module:
        """Return the moving average of a network; the network itself if it has none."""
        average = self._learners[name].average if name in self._learners else None
        return self.objective.networks[name] if average is None else average.module

    def run(self, batches: Batches[BatchT]) -> Iterator[Taken]:
        """Take the remaining steps, one in each iteration.

        A checkpoint is written after a step that is ``due``, unless the caller has called ``save``.

        Raises:
            FloatingPointError: see ``learn``.
            RunFolderError: a file cannot be written.
            RuntimeError: tensorboard is not installed.
        """
        if self._log is not None:
            self._log.begin(self.step)
        while self.step < self.config.steps:
            began, phase = perf_counter(), phase_at(self.objective.phases, self.step)
            try:
                loss = self.learn(batches.batch(self.step))
            except FloatingPointError:
                self._close()
                raise
            self.seconds += perf_counter() - began
            due = self.step % self.config.checkpoint_every == 0 or self.step == self.config.steps
            self.log(phase.name, loss)
            yield Taken(self.step, phase.name, loss, due)
            if due and self._saved != self.step:
                self.save()
        self._close()

    def learn(self, batch: BatchT) -> Loss:
        """Take one step, and return the loss before it. Draws depend on seed, step and process alone.

        Raises:
            FloatingPointError: the loss, named by its parts, or a gradient is not finite, or the objective ends
                training. The batch is saved, and no weight changes.
        """
        phase = phase_at(self.objective.phases, self.step)
        self._set_learning(phase.learns)
        draws = np.random.SeedSequence((self.config.seed, self.step, self.fabric.global_rank)).generate_state(1)
        generator = torch.Generator("cpu").manual_seed(int(draws[0]))
        module = self._modules[phase.learns]
        try:
            loss = Loss(*module(_Call(batch.to(self.fabric.device), generator, phase.name)))
        except FloatingPointError as error:  # the objective has named what is not finite, or another end of training
            raise type(error)(f"{error}, at step {self.step}; {self._saved_batch(batch)}") from error
        value = float(self.fabric.all_reduce(loss.total.detach()))
        broken = [name for name, part in loss.parts.items() if not bool(part.isfinite().all())]
        self._check(value, f"loss ({', '.join(broken)})" if broken else "loss", batch)
        for name in phase.learns:
            self._steppers[name].zero_grad(set_to_none=True)
        self.fabric.backward(loss.total)
        for name in phase.learns:
            self._check(self._clipped(module, name), "gradient", batch)
        for name in phase.learns:
            self._steppers[name].step()
            self._learners[name].after_step()
        self.step += 1
        self.losses.append(value)
        return loss.detached()

    def log(self, name: str, loss: Loss) -> None:
        """Log a loss and its parts at this step."""
        if self._log is not None:
            numbers = {"loss": loss.total, **loss.parts}
            self._log.numbers({f"{name}/{part}": float(value) for part, value in numbers.items()}, self.step)

    def show(self, name: str, image: Tensor) -> None:
        """Log an image (3, h, w) at this step."""
        if self._log is not None:
            self._log.image(name, image, self.step)

    def histogram(self, name: str, values: Tensor) -> None:
        """Log the distribution of values of any shape at this step."""
        if self._log is not None:
            self._log.histogram(name, values, self.step)

    def save(self) -> None:
        """Write everything on which the next step depends. Only the first process writes."""
        self._saved = self.step
        if not self.fabric.is_global_zero:
            return
        state: dict[str, Any] = {name: getattr(self, name) for name in ("step", "seconds", "losses", "record")}
        for kind, parts in self._parts().items():
            state[kind] = {name: part.state_dict() for name, part in parts.items()}
        data = io.BytesIO()
        torch.save({**state, "way": self._way}, data)
        write_bytes_atomic(self.config.out / CHECKPOINT, data.getvalue())

    def resume(self) -> bool:
        """Load the checkpoint in the folder, and return whether there is one.

        Raises:
            ValueError: it is damaged, or belongs to other networks, another precision or number of processes.
        """
        path = self.config.out / CHECKPOINT
        if not path.exists():
            return False
        parts = self._parts()
        state = training_state(path, networks=parts["networks"], device=self.fabric.device)
        if state.get("way") != self._way:
            way = shown(state.get("way"))
            raise ValueError(f"{path} was trained with {way}, and here it is {self._way}: go on as it began")
        named = ", ".join(f"{name} ({type(network).__name__})" for name, network in parts["networks"].items())
        restore(path, state, parts, f"is a checkpoint of other networks than {named}")
        self.step, self.seconds, self.losses = state["step"], state["seconds"], state["losses"]
        self.record, self._saved = state["record"], state["step"]
        return True

    def _parts(self) -> dict[str, dict[str, Any]]:
        """Return the parts of each network that a checkpoint holds, by kind (``KINDS``) and name."""
        learners = self._learners.items()
        return {
            "networks": {name: each.network for name, each in learners},
            "optimizers": {name: each.optimizer for name, each in learners},
            "schedules": {name: each.schedule for name, each in learners if each.schedule is not None},
            "averages": {name: each.average for name, each in learners if each.average is not None},
        }

    def _set_learning(self, learns: Sequence[str]) -> None:
        """Freeze the weights of all other networks. All networks are in training mode."""
        for learner in self._learners.values():
            learner.network.train()
        if tuple(learns) != self._learns:
            for name, learner in self._learners.items():
                for weight in learner.weights:
                    weight.requires_grad_(name in learns)
            self._learns = tuple(learns)

    def _clipped(self, module: nn.Module, name: str) -> float:
        """Clip a network's gradient, and return its norm before."""
        norm = self.fabric.clip_gradients(
            module, self._steppers[name], max_norm=self.config.of(name).max_grad_norm, error_if_nonfinite=False
        )
        return float(norm if norm is not None else 0.0)

    def _check(self, value: float, what: str, batch: BatchT) -> None:
        """Refuse a value, equal in all processes, that is not finite."""
        if not isfinite(value):
            raise FloatingPointError(f"the {what} is {value} at step {self.step}; {self._saved_batch(batch)}")

    def _saved_batch(self, batch: BatchT) -> str:
        """Save the process's part of a batch, and return where it is."""
        rank = f"-{self.fabric.global_rank}" if self.fabric.world_size > 1 else ""
        path = self.config.out / f"batch-{self.step}{rank}.npz"
        if is_dataclass(batch):
            tensors = {each.name: getattr(batch, each.name).cpu().numpy() for each in fields(batch)}
            with write_aside(path) as aside:
                np.savez_compressed(aside, **tensors)
        kept = ", and the checkpoint before it is kept" if (self.config.out / CHECKPOINT).exists() else ""
        return f"the batch is in {path}{kept}"

    def _close(self) -> None:
        if self._log is not None:
            self._log.close()


class _Call:
    """The arguments of a loss in one object, so that Fabric does not convert them one by one."""

    def __init__(self, batch: Any, generator: Generator, phase: str) -> None:
        self.batch, self.generator, self.phase = batch, generator, phase


class _LossStep(nn.Module):
    """The loss of a phase as a module of the networks that learn, which Fabric can distribute over processes."""

    def __init__(self, objective: Objective[Any], networks: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleDict(networks)
        self._objective = (
            objective,
        )  # in a tuple, so that it is not registered as a submodule: it may have networks that do not learn

    def forward(self, call: _Call) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """Return the fields of the loss."""
        loss = self._objective[0].loss(call.batch, call.generator, call.phase)
        return loss.total, dict(loss.parts), dict(loss.outputs)


def _launched(config: TrainerConfig) -> Any:
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise RuntimeError("training needs lightning-fabric: pip install 'corrwise[train]'") from error
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # set by torchrun
    machines = int(os.environ.get("GROUP_WORLD_SIZE", "1"))
    precision: Any = config.precision
    fabric = Fabric(accelerator=config.device, devices=processes, num_nodes=machines, precision=precision)
    fabric.launch()
    return fabric
