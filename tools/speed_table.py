"""The README's table of speed, from the benchmarks' results in docs/results/speed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SPEED = Path(__file__).parents[1] / "docs/results/speed"


def speed_table() -> str:
    """Return the results of the benchmarks as Markdown."""
    render, plan, batch, memory, flow, agents, learned = (
        _speed(name)
        for name in ("rendering", "planning", "batching", "memory", "correspondence", "goal_rewards", "prediction")
    )
    raycast, gymnasium = render["raycast_s"], render["gymnasium_s"]
    split, pairs, peaks = plan["split"], flow["ms_per_pair"], memory["memory"]
    ratio = min(gymnasium[pose] / raycast[pose] for pose in raycast)
    steps, plans = learned["step_s"], learned["plan_s"]
    overhead = {name: each["64"]["corr-l1"] / each["64"]["l1"] - 1 for name, each in steps.items()}
    rows = [
        (
            "one image of a Humanoid, 64x64",
            f"{1e3 * max(raycast.values()):.2f} ms",
            f"{ratio:.0f}x faster than Gymnasium's software GL",
        ),
        (
            "corr-L1 with DIS, 64x64, both directions",
            f"{pairs['dis 64px x1']:.2f} ms",
            f"{pairs['raft-large 128px x1'] / pairs['dis 64px x1']:.0f}x faster than with RAFT-large at 128x128",
        ),
        (
            "Humanoid plan (48 candidates x 3 iterations x 8 steps) with DIS, beyond physics",
            f"{split['dis']['beyond_physics']:.3f} s",
            f"physics {split['dis']['simulate']:.3f} s in the same run",
        ),
        (
            "the same with all-pairs flow",
            f"{split['all-pairs']['beyond_physics']:.3f} s",
            f"physics {split['all-pairs']['simulate']:.3f} s in the same run",
        ),
        (
            "the same with the learned flow, the default",
            f"{split['learned']['beyond_physics']:.3f} s",
            f"physics {split['learned']['simulate']:.3f} s in the same run",
        ),
        (
            "one such plan for eight Humanoids at once, all-pairs flow",
            f"{batch['batching']['eight']:.2f} s",
            f"costs {batch['batching']['ratio']:.1f} times one",
        ),
        (
            "16 Humanoids with a corr-L1 reward, DIS",
            f"{1e3 * agents['seconds']['dis']['ours']:.0f} ms a step",
            f"{agents['ratios']['dis']:.0f}x faster than `Humanoid-v5` with OpenGL in a process for each "
            f"(all-pairs {agents['ratios']['all-pairs']:.0f}x, learned {agents['ratios']['learned']:.0f}x)",
        ),
        (
            "the same plan with a small learned predictor instead of physics, pixel L1",
            f"{plans['resnet3d']['l1']:.2f} s",
            f"with the default cost {plans['resnet3d']['default']:.2f} s; SVG {plans['svg']['l1']:.2f} s, "
            f"SVG' {plans['svg-prime']['l1']:.2f} s",
        ),
        (
            "training it with corr-L1 (DIS)",
            f"{steps['resnet3d']['64']['corr-l1']:.2f} s a step",
            f"{100 * overhead['resnet3d']:+.0f} % on L1 (SVG {100 * overhead['svg']:+.0f} %, "
            f"SVG' {100 * overhead['svg-prime']:+.0f} %)",
        ),
        (
            "peak memory of a Cartpole plan, 4096 candidates",
            f"{peaks['4096']:.0f} MiB",
            f"{peaks['256']:.0f} MiB with 256",
        ),
    ]
    return "| on 2 CPU cores | | |\n|---|---|---|\n" + "".join(f"| {a} | {b} | {c} |\n" for a, b, c in rows)


def _speed(name: str) -> dict[str, Any]:
    return json.loads((SPEED / f"{name}.json").read_text())
