"""``corrwise train-flow``."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated

from corrwise.experiments.cli.options import SPEED_ONLY, Accelerator, Count, Seed, Size, Steps, check_memory
from corrwise.experiments.cli.train import Decay, Rate
from corrwise.validation import FIRST_TEST_SEED, Range, check, validated

NAME = "train-flow"

FIRST_PLANNED_SEED = 5000  # of training episodes; tables and tuning use others

Channels = Annotated[int, Range(1, 8192)]
Repeats = Annotated[int, Range(1, 100)]


@validated
class TrainFlowConfig:
    """Train a flow net on the simulator's exact correspondence; the same command continues a run that was stopped."""

    out: Path = Path("runs/flow")
    """Folder for checkpoints, logs, error curves and, at the end, flow_net.safetensors with its model card."""
    init_from: str = ""
    """Weights to begin with: small, or a file of another run of the same channels; none begins at random."""
    steps: Steps = 4500
    """Optimiser steps."""
    batch: Count = 32
    """Pairs in a step; both directions of each are learned."""
    lr: Rate = 1.5e-3
    """Largest learning rate of the one-cycle schedule."""
    ema: Decay = 0.0
    """Decay of an exponential moving average of the weights, which is then what is kept; 0 keeps the last weights."""
    max_grad_norm: Rate = 1.0
    """Largest norm of the gradient."""
    size: Size = 64
    """Pixels to a side of the images; a multiple of 4, at least 16."""
    episodes: Annotated[int, Range(2, 1_000_000)] = 400
    """Random episodes of each of the three tasks to draw states from."""
    tasks: Annotated[float, Range(0, 1)] = 0.7
    """Share of the pairs that show the three tasks' bodies; other bodies and painted layers share the rest."""
    plans: int = 0
    """Episodes of each task that the weights plan first; what their plans compare makes half of that task's pairs."""
    seed: Seed = 0
    """Seed of states, cameras, painted layers and initial weights; held-out pairs never share it."""
    fine: Channels = 24
    """Channels at half resolution."""
    coarse: Channels = 64
    """Channels at quarter resolution."""
    width: Channels = 96
    """Channels of the tokens; a multiple of heads."""
    heads: Channels = 4
    """Attention heads."""
    hidden: Channels = 32
    """Channels of the refinement's recurrent state."""
    updates: Repeats = 3
    """Recurrent updates of the tokens' flow."""
    refinements: Repeats = 2
    """Recurrent refinements of the pixels' flow."""
    checkpoint_every: Steps = field(default=250, metadata=SPEED_ONLY)
    """Steps between checkpoints and errors on held-out pairs."""
    eval_pairs: Count = field(default=64, metadata=SPEED_ONLY)
    """Held-out pairs of each body behind an error."""
    device: Accelerator = field(default="auto", metadata=SPEED_ONLY)
    """auto (a GPU when there is one), cpu or cuda."""

    def __post_init__(self) -> None:
        """Refuse options that do not fit together."""
        check(self.width % self.heads == 0, "width", f"a multiple of {self.heads} heads", self.width)
        check(self.size % 4 == 0, "size", "a multiple of 4 and at least 16", self.size)
        pixels = 4 * 2 * self.batch * self.size**2
        check_memory(pixels * (3 + self.fine // 4 + self.coarse // 16), "--size, --batch, --fine or --coarse")
        most = FIRST_TEST_SEED - FIRST_PLANNED_SEED
        check(0 <= self.plans <= most, "plans", f"from 0 to {most}: further ones test", self.plans)
        check(self.plans == 0 or self.init_from != "", "init_from", "weights to plan with, for --plans", "none")


def run(config: TrainFlowConfig) -> Path:
    """Train the net, and return the path of its weights."""
    from corrwise.experiments.studies.flows.train import run_train_flow

    return run_train_flow(config)
