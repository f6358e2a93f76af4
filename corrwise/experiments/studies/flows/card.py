"""What goes with trained flow weights: a card that says what they are worth, and curves of how they came about."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from corrwise._writing import write_bytes_atomic
from corrwise.envs.flow_data.pairs import DEGRADED
from corrwise.experiments.cli.train_flow import TrainFlowConfig
from corrwise.experiments.runs.settings import settings_of, versions
from corrwise.predictors.training import Trainer

__all__ = ["write_card", "write_curves"]

_SMOOTH = 50  # steps that one point of the loss curve averages

Row = dict[str, Any]


def write_card(path: Path, config: TrainFlowConfig, trainer: Trainer[Any], errors: dict[str, Row]) -> None:
    """Write the model card: data, command, versions, errors."""
    parameters = sum(each.numel() for each in trainer.kept("net").parameters())
    rest = (1 - config.tasks) / 2
    plans = f", half of them as {config.plans} planned episodes of each compared them" if config.plans else ""
    used = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines = [
        "# Flow net", "",
        f"`LearnedFlow` of {parameters:,} parameters: cells matched all against all, then pixels refined; both "
        "directions at once.", "",
        "| | |", "|---|---|",
        f"| command | `{command(config)}` |",
        f"| steps, pairs | {config.steps:,}, {config.steps * config.batch:,} |",
        f"| training time | {trainer.seconds / 60:.0f} minutes, data included |",
        *_before(trainer.record["begun_with"]),
        f"| versions | {used} |", "",
        "Trained on exact correspondence from the simulator: random state pairs of Cartpole, Ant and Humanoid "
        f"({100 * config.tasks:.0f} %{plans}), of other dm_control bodies under random cameras "
        f"({100 * rest:.0f} %), and painted sticks under random affine motion ({100 * rest:.0f} %); in "
        f"{100 * DEGRADED:.0f} % of the pairs one image is blurred, ghosted, noisy or tinted.", "",
        "Errors on pairs it never saw, visible pixels of moving bodies. Walker, cheetah and the textures are of kinds "
        "that training never shows. Unmarked pixels pass the flow's own forward-backward check.", "",
        "| body | EPE 0-2 px | 2-8 px | 8-32 px | share of displacement, 8-32 px | the same, unmarked | degraded: "
        "0-8 px | 8-32 px |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for body, row in errors.items():
        unmarked = row["epe_unmarked_8_32"] / row["displacement_8_32"]
        cells = [
            *(f"{row[name]:.2f}" for name in ("epe_0_2", "epe_2_8", "epe_8_32")),
            *(f"{100 * share:.0f} %" for share in (row["relative_8_32"], unmarked)),
            *(f"{row[name]:.2f}" for name in ("degraded_epe_0_8", "degraded_epe_8_32")),
        ]
        lines.append(f"| {body} | " + " | ".join(cells) + " |")
    write_bytes_atomic(path, ("\n".join(lines) + "\n").encode())


def command(config: TrainFlowConfig) -> str:
    """Return the command that trains such a net anew."""
    plain, free = TrainFlowConfig(), settings_of(config).free
    changed = [
        f"--{name.replace('_', '-')} {getattr(config, name)}"
        for name in vars(plain)
        if name not in {"out", *free} and getattr(config, name) != getattr(plain, name)
    ]
    return " ".join(["corrwise train-flow", *changed])


def history_facts(begun_with: Mapping[str, str], steps: int) -> dict[str, str]:
    """Return what weights keep beside them: their own steps, and the facts of those that they went on from."""
    return {"steps": str(steps), **{f"before_{name}": fact for name, fact in begun_with.items()}}


def _before(facts: Mapping[str, str]) -> list[str]:
    """Return a line of the card for each earlier stage, the latest first."""
    lines = []
    while facts:
        made = f"`{facts['command']}`" if "command" in facts else "an earlier version"
        lines.append(f"| went on from | network {facts.get('network', '')}: {facts.get('steps', '?')} steps, {made} |")
        facts = {name.removeprefix("before_"): fact for name, fact in facts.items() if name.startswith("before_")}
    return lines


def write_curves(path: Path, losses: list[float], errors: list[Row]) -> None:
    """Draw the loss and each body's held-out error over the steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    width = min(_SMOOTH, len(losses))
    left.plot(np.arange(width, len(losses) + 1), np.convolve(losses, np.ones(width) / width, mode="valid"))
    left.set(xlabel="step", ylabel="loss", yscale="log")
    for body in errors[-1]["bodies"] if errors else []:
        steps = [row["step"] for row in errors]
        middle.plot(steps, [row["bodies"][body]["epe_0_8"] for row in errors], label=body)
        right.plot(steps, [100 * row["bodies"][body]["relative_8_32"] for row in errors], label=body)
    middle.set(xlabel="step", ylabel="endpoint error, px", title="displacement below 8 px", ylim=(0, None))
    right.set(xlabel="step", ylabel="share of displacement, %", title="displacement 8-32 px", ylim=(0, None))
    middle.legend()
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    write_bytes_atomic(path, data.getvalue())
