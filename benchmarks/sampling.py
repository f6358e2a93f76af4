"""CPU seconds of a plan by a denoiser, over its evaluations a frame and its futures, beside ``resnet3d`` in one run.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/sampling.py

A CEM plan of 16 x 1 x 12 on images of 32 px with pixel L1, whose own time is negligible. Models have the sizes that
``small`` stands for, and random weights, on which the time does not depend. A teacher of few-step students takes 16
evaluations. All models are timed in turn, round after round; medians; the table is written as Markdown.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import process_time

import torch
from tqdm import tqdm

from corrwise.costs import GoalCost, l1
from corrwise.experiments.cli.options import option_values
from corrwise.experiments.cli.train import SMALL
from corrwise.experiments.report.table import markdown_table
from corrwise.mpc import CEM, AgentConfig, VisualMPC, generator
from corrwise.predictors.models.registry import make_model
from corrwise.types import Context, Goal

OUT = Path("docs/results/speed/sampling.md")
ACTIONS, CONTEXT, SIZE, HORIZON = 1, 2, 32, 12
ROUNDS = 3
PEER = "resnet3d"


@dataclass(frozen=True)
class Planned:
    """A model that plans.

    Attributes:
        model: its name.
        evaluations: of a denoiser's network for a frame.
        student: whether it is distilled, and samples at times of its own.
        futures: of each candidate.
    """

    model: str = "denoiser"
    evaluations: int = 1
    student: bool = False
    futures: int = 1

    def agent(self) -> VisualMPC:
        """Return an agent that plans with the model."""
        options = option_values(SMALL[self.model])
        if self.model == "denoiser":
            times = tuple((k + 1) / (self.evaluations + 1) for k in range(self.evaluations)) if self.student else ()
            options |= {"evaluations": self.evaluations, "sample_at": times}
        model = make_model(self.model, action_dim=ACTIONS, context=CONTEXT, **options).eval().requires_grad_(False)
        planner = CEM(ACTIONS, horizon=HORIZON, candidates=16, iterations=1)
        config = AgentConfig(context_frames=CONTEXT, futures=self.futures, risk="cvar" if self.futures > 1 else "mean")
        return VisualMPC(model, GoalCost(l1), planner, config=config)


PLANS = {
    PEER: Planned(PEER),
    "denoiser, 1 evaluation (or regression)": Planned(),
    "denoiser, 2 evaluations": Planned(evaluations=2),
    "denoiser, 4 evaluations": Planned(evaluations=4),
    "denoiser, 2 evaluations, CVaR of 4 futures": Planned(evaluations=2, futures=4),
    "teacher, 16 evaluations": Planned(evaluations=16),
    "student, 1 evaluation": Planned(student=True),
    "student, 3 evaluations": Planned(evaluations=3, student=True),
}


def main() -> None:
    torch.manual_seed(0)
    image = torch.rand(1, CONTEXT + 1, 3, SIZE, SIZE, dtype=torch.float32)
    context = Context(image[:, :CONTEXT], torch.zeros(1, CONTEXT - 1, ACTIONS, dtype=torch.float32))
    agents = {name: planned.agent() for name, planned in PLANS.items()}
    spent: dict[str, list[float]] = {name: [] for name in agents}
    for _ in tqdm(range(ROUNDS), desc="rounds"):
        for name, agent in agents.items():
            began = process_time()
            agent.plan(context, Goal(image[:, CONTEXT:]), agent.planner.init(1), [generator(0, 0)])
            spent[name].append(process_time() - began)
    seconds = {name: median(taken) for name, taken in spent.items()}
    lines = [[name, f"{each:.2f}", f"{each / seconds[PEER]:.2f}"] for name, each in seconds.items()]
    table = markdown_table(["predictor", "CPU seconds a plan", f"times {PEER}"], lines)
    OUT.write_text(table)
    print(table)


if __name__ == "__main__":
    main()
