"""``corrwise train-flow``."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from pathlib import Path

from corrwise.experiments.cli.checks import FIRST_TEST_SEED, check, check_name
from corrwise.experiments.cli.options import check_memory
from corrwise.experiments.cli.sizes import check_counts

NAME = "train-flow"

DEVICE_NAMES = ("auto", "cpu", "cuda")
FIRST_PLANNED_SEED = 5000  # of the episodes that teach; tables and tuning use others
FREE = ("out", "device", "every", "judged")  # these never change what is learned


@dataclass(frozen=True)
class TrainFlowConfig:
    """Train a flow net on the simulator's exact correspondence; the same command continues a run that was stopped."""

    out: Path = Path("runs/flow")
    """Folder for checkpoints, rows, error curves and, at the end, flow_net.safetensors with its model card."""
    weights: str = ""
    """Weights to go on from: small, or a file of another run of the same channels; none begins at random."""
    steps: int = 4500
    """Optimiser steps."""
    batch: int = 32
    """Pairs in a step; both directions of each are learned."""
    rate: float = 1.5e-3
    """Largest learning rate of the one-cycle schedule."""
    size: int = 64
    """Pixels to a side of the pictures; a multiple of 4, at least 16."""
    episodes: int = 400
    """Random episodes of each of the three tasks to draw states from."""
    tasks: float = 0.7
    """Share of the pairs that show the three tasks' bodies; other bodies and painted layers share the rest."""
    plans: int = 0
    """Episodes of each task that the weights plan first; what their plans compare makes half of that task's pairs."""
    seed: int = 0
    """Seed of states, cameras, painted layers and initial weights; held-out pairs never share it."""
    fine: int = 24
    """Channels at half resolution."""
    coarse: int = 64
    """Channels at quarter resolution."""
    width: int = 96
    """Channels of the tokens; a multiple of heads."""
    heads: int = 4
    """Attention heads."""
    hidden: int = 32
    """Channels of the refinement's recurrent state."""
    updates: int = 3
    """Recurrent updates of the tokens' flow."""
    refinements: int = 2
    """Recurrent refinements of the pixels' flow."""
    every: int = 250
    """Steps between checkpoints and errors on held-out pairs."""
    judged: int = 64
    """Held-out pairs of each body behind an error."""
    device: str = "auto"
    """auto (a GPU when there is one), cpu or cuda."""

    def __post_init__(self) -> None:
        """Refuse what makes no net or no run."""
        check_counts(self, "steps", "batch", "every", "judged", "fine", "coarse", "heads", "hidden", "updates")
        check_counts(self, "refinements", "width")
        check(self.width % self.heads == 0, "width", f"a multiple of {self.heads} heads", self.width)
        check(self.size >= 16 and self.size % 4 == 0, "size", "a multiple of 4 and at least 16", self.size)
        check_counts(self, "size")
        pixels = 4 * 2 * self.batch * self.size**2
        check_memory(pixels * (3 + self.fine // 4 + self.coarse // 16), "--size, --batch, --fine or --coarse")
        most = FIRST_TEST_SEED - FIRST_PLANNED_SEED
        check(0 <= self.plans <= most, "plans", f"from 0 to {most}: further ones test", self.plans)
        check(
            self.plans == 0 or self.weights != "", "weights", "those to plan with, for --plans", self.weights or "none"
        )
        check_counts(self, "episodes", least=2)
        check(0 <= self.tasks <= 1, "tasks", "from 0 to 1", self.tasks)
        check(0 < self.rate < inf, "rate", "above zero and finite", self.rate)
        check(0 <= self.seed < 2**31, "seed", "zero or above and below 2^31", self.seed)
        check_name("device", self.device, DEVICE_NAMES)


def run(config: TrainFlowConfig) -> Path:
    """Train the net, and return the path of its weights."""
    from corrwise.experiments.studies.flows.train import run_train_flow

    return run_train_flow(config)
