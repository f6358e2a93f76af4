"""Objectives of training: networks by name, phases in which some of them learn, and named losses.

Regression of frames has one network and one phase. A generative adversarial loss has two networks and two phases.
Distillation adds a frozen teacher and a third network that follows the generator. ``Trainer`` runs all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

__all__ = [
    "Batches",
    "Cycle",
    "Loss",
    "Movable",
    "Objective",
    "Phase",
    "Phases",
    "check_objective",
    "named_phases",
    "phase_at",
    "steps_of",
]


@runtime_checkable
class Movable(Protocol):
    """A batch: a dataclass of tensors that can be moved to a device."""

    def to(self, device: torch.device | str) -> Any:
        """Return the batch on a device."""
        ...


BatchT_co = TypeVar("BatchT_co", bound=Movable, covariant=True)
BatchT_contra = TypeVar("BatchT_contra", contravariant=True)


@runtime_checkable
class Batches(Protocol[BatchT_co]):
    """A source of batches."""

    def batch(self, step: int) -> BatchT_co:
        """Return this process's part of the batch of a step. It depends on the step alone."""
        ...


@dataclass(frozen=True)
class Phase:
    """Consecutive steps in which the same networks learn.

    Attributes:
        name: of the phase, in logs and in ``Objective.loss``.
        learns: names of the networks that learn; all others are frozen in this phase.
        steps: number of steps before the next phase.
    """

    name: str
    learns: tuple[str, ...]
    steps: int = 1


@dataclass(frozen=True)
class Cycle:
    """Phases that are repeated before what follows.

    Attributes:
        phases: in order.
        times: how often.
    """

    phases: tuple[Phase, ...]
    times: int

    @property
    def steps(self) -> int:
        """Number of steps of all repetitions."""
        return self.times * sum(phase.steps for phase in self.phases)


Phases = Sequence[Phase | Cycle]


@dataclass(frozen=True)
class Loss:
    """The loss of one batch.

    Attributes:
        total: the value to minimise, with gradients; a mean over the batch.
        parts: numbers by name for the logs, such as the terms of the total.
        outputs: the networks' outputs, such as ``frames``, for display.
    """

    total: Float[Tensor, ""]
    parts: Mapping[str, Float[Tensor, ""]] = field(default_factory=dict)
    outputs: Mapping[str, Tensor] = field(default_factory=dict)

    def detached(self) -> Loss:
        """Return the loss without gradients."""
        parts, outputs = ({name: value.detach() for name, value in each.items()} for each in (self.parts, self.outputs))
        return Loss(self.total.detach(), parts, outputs)


@runtime_checkable
class Objective(Protocol[BatchT_contra]):
    """A training objective.

    A network that learns in no phase, such as a teacher, stays frozen in evaluation mode and is in no checkpoint.
    """

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The networks by name; the same modules at each call."""
        ...

    @property
    def phases(self) -> Phases:
        """The phases in order, and cycles of phases; the whole repeats."""
        ...

    def loss(self, batch: BatchT_contra, generator: Generator, phase: str) -> Loss:
        """Return the loss of a batch.

        Args:
            batch: this process's part of the step's batch, on the device of the networks.
            generator: source of all draws, on the CPU; it depends on seed, step and process alone.
            phase: name of the current phase.
        """
        ...


def named_phases(phases: Phases) -> list[Phase]:
    """Return the phases, also those of cycles, each once."""
    return [each for part in phases for each in (part.phases if isinstance(part, Cycle) else (part,))]


def phase_at(phases: Phases, step: int) -> Phase:
    """Return the phase of a step, counted from 0."""
    place = step % sum(part.steps for part in phases)
    for part in phases:
        if place < part.steps:
            return phase_at(part.phases, place) if isinstance(part, Cycle) else part
        place -= part.steps
    raise AssertionError("unreachable")


def steps_of(network: str, phases: Phases, steps: int) -> int:
    """Return the number of steps in which a network learns, of the first ``steps`` steps of a run."""
    whole, rest = divmod(steps, sum(part.steps for part in phases))
    count = 0
    for part in phases:
        for times, length in ((whole, part.steps), (1, min(rest, part.steps))):
            if isinstance(part, Cycle):
                count += times * steps_of(network, part.phases, length)
            elif network in part.learns:
                count += times * length
        rest -= min(rest, part.steps)
    return count


def check_objective(objective: Objective[Any]) -> None:
    """Refuse an objective that cannot be trained.

    Raises:
        ValueError: no phases, two of one name, or a phase without steps, without networks or with unknown networks.
    """
    phases, cycles = named_phases(objective.phases), [each for each in objective.phases if isinstance(each, Cycle)]
    networks, names = sorted(objective.networks), [phase.name for phase in phases]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"expected phases with different names, at least one, got {names}")
    for cycle in cycles:
        if cycle.times < 1:
            raise ValueError(f"expected a cycle of {names} at least once, got {cycle.times} times")
    for phase in phases:
        if phase.steps < 1:
            raise ValueError(f"expected at least one step of phase {phase.name!r}, got {phase.steps}")
        if not phase.learns or not set(phase.learns) <= set(networks) or len(set(phase.learns)) < len(phase.learns):
            raise ValueError(f"expected some of {networks} to learn in phase {phase.name!r}, got {list(phase.learns)}")
