"""Flows made of flows: what reducing and polishing gain in error and cost in time, on 64 and 128 px images.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/composed_flows.py

Endpoint errors in px on clean pairs, times per symmetric pair in one batch. The table is written as Markdown.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from corrwise.costs.flow import FLOWS, AllPairsFlow, CoarseToFine, DISFlow, Polished
from corrwise.experiments.cli.table_flows import FlowTableConfig
from corrwise.experiments.studies.flows.measure import FlowScene, error_numbers
from corrwise.types import Flow

OUT = Path("docs/results/flows/composed.md")
BODIES = ("ant", "humanoid")
PENALTY, RIGIDITY = 0.001, 0.015
POLISH = DISFlow(finest_scale=0)
COMPOSED: dict[str, Flow] = {
    "all-pairs": AllPairsFlow(penalty=PENALTY),
    "`CoarseToFine` of it": CoarseToFine(penalty=PENALTY),
    "all-pairs, `Polished` by DIS": Polished(AllPairsFlow(penalty=PENALTY), POLISH),
    "rigid": FLOWS["rigid"](),
    "`CoarseToFine` of rigid": CoarseToFine(
        FLOWS["rigid"](penalty=2 * PENALTY, rigidity=2 * RIGIDITY), penalty=PENALTY
    ),
    "rigid, `Polished` by DIS": Polished(FLOWS["rigid"](), POLISH),
}


def cell(flow: Flow, scene: FlowScene) -> str:
    """Return the errors by displacement and the milliseconds of a pair."""
    pairs = scene.clean
    began = perf_counter()
    flow.both(pairs.x, pairs.y)  # type: ignore[attr-defined]
    spent = 1000 * (perf_counter() - began) / len(pairs.x)
    errors = error_numbers(flow, pairs)
    return " / ".join(f"{errors[name]:.2f}" for name in ("epe_0_2", "epe_2_8", "epe_8_32")) + f" ({spent:.1f} ms)"


def main() -> None:
    scenes = [
        FlowScene(body, FlowTableConfig(pairs=48, size=size, episodes=8, reach=1))
        for size in (64, 128)
        for body in BODIES
    ]
    names = [f"{body}, {size} px" for size in (64, 128) for body in BODIES]
    lines = ["| flow | " + " | ".join(names) + " |", "|" + "---|" * (1 + len(names))]
    for name, flow in COMPOSED.items():
        lines.append(f"| {name} | " + " | ".join(cell(flow, scene) for scene in scenes) + " |")
        print(lines[-1], flush=True)
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
