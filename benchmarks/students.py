"""CPU seconds of each phase that teaches a few-step student, beside a step of its teacher in the same run.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/students.py

A step is the loss and its gradient. Windows are 8 of 2 + 8 frames of 32 px, the denoiser has width 32, and a frame has
at most 3 evaluations. The teacher's step, flow matching, predicts 4 frames of 8 windows from true contexts. Medians;
the table is written as Markdown.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import median
from time import process_time

import torch

from corrwise.experiments.cli.distilling import AdversaryOptions
from corrwise.experiments.runs.students import adversary_of
from corrwise.predictors.data import Batch
from corrwise.predictors.generative import make_time_law, make_weight
from corrwise.predictors.generative.denoiser import Denoiser, DenoiserConfig
from corrwise.predictors.generative.distillation import student_of
from corrwise.predictors.training import Distillation, FlowMatching, Objective
from corrwise.predictors.training.objective import named_phases

OUT = Path("docs/results/motion/students-speed.md")
SIZE, CONTEXT, HORIZON, TEACHER_HORIZON, WINDOWS = 32, 2, 8, 4, 8
TIMES = (0.25, 0.5, 0.75)
STEPS, SKIPPED = 6, 1  # steps of each phase; the first one, which also allocates, does not count
PHASES = {
    "distribution": "student, distribution matching",
    "fake score": "fake score",
    "motion": "student, adversary",
    "discriminator": "discriminator",
}
ADVERSARIES = {
    "none (`distill`)": None,
    "`learned`": AdversaryOptions(),
    "`tv-l1`": AdversaryOptions(flow="tv-l1"),
    "`tv-l1`, convolutions": AdversaryOptions(flow="tv-l1", trunk="conv"),
    "`tv-l1`, teacher's trunk": AdversaryOptions(flow="tv-l1", trunk="teacher"),
    "pixels": AdversaryOptions(flow="pixels"),
}
FAKE_STEPS = 4


def windows(horizon: int) -> Batch:
    """Return windows of images that move by a pixel a frame."""
    image = torch.rand(WINDOWS, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    frames = torch.stack([image.roll(step, dims=3) for step in range(CONTEXT + horizon)], dim=1)
    return Batch(frames, torch.zeros(WINDOWS, CONTEXT + horizon - 1, 0, dtype=torch.float32))


def seconds(objective: Objective[Batch], batch: Batch) -> dict[str, float]:
    """Return the median CPU seconds of a step of each phase."""
    spent = {}
    for phase in named_phases(objective.phases):
        for name, network in objective.networks.items():
            network.requires_grad_(name in phase.learns)
        taken = []
        for step in range(STEPS):
            began = process_time()
            objective.loss(batch, torch.Generator().manual_seed(step), phase.name).total.backward()
            taken.append(process_time() - began)
        spent[phase.name] = median(taken[SKIPPED:])
    return spent


def main() -> None:
    torch.manual_seed(0)
    teacher = Denoiser(DenoiserConfig(width=32, blocks=1, context=CONTEXT, action_dim=0))
    law = make_time_law("shifted")
    flow_matching = FlowMatching(teacher, make_weight("data"), law, own_after=1, total=1)
    (peer,) = seconds(flow_matching, windows(TEACHER_HORIZON)).values()
    head = ["adversary", *PHASES.values(), "iteration"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    print(f"flow matching: {peer:.3f} s")
    for name, options in ADVERSARIES.items():
        # a student that has learned nothing does not move, which would be a collapse
        adversary = None if options is None else adversary_of(replace(options, least=0.0), teacher, seed=0)
        objective = Distillation(student_of(teacher, TIMES), teacher, law, adversary, fake_steps=FAKE_STEPS, total=100)
        spent = seconds(objective, windows(HORIZON))
        whole = sum(spent.values()) + (FAKE_STEPS - 1) * spent["fake score"]
        cells = [f"{spent[phase]:.2f} ({spent[phase] / peer:.1f})" if phase in spent else "" for phase in PHASES]
        lines.append(f"| {name} | {' | '.join(cells)} | {whole:.1f} ({whole / peer:.1f}) |")
        print(lines[-1], flush=True)
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
