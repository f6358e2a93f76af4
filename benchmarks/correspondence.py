"""Speed of correspondence-wise L1 with each flow, and DIS against RAFT, in one run.

    .venv/bin/python benchmarks/correspondence.py --threads 2
    .venv/bin/python benchmarks/correspondence.py --curve

Every figure is the median over repeats, per symmetric pair (both directions). The last line is JSON. With the default
options the exit status is 1 if RAFT-large does not take ``TARGET_RATIO`` times as long as DIS, a single pair each.
``--curve`` instead shows how the costs grow while a body moves away, for several penalties of the all-pairs match.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from corrwise.costs import CorrespondenceWise, FlowGradient, FlowMagnitude, Regularizers, l1
from corrwise.costs.flow import AllPairsFlow, DISFlow, RAFTFlow
from corrwise.costs.penalties import PAPER_L1

TARGET_RATIO = 150


def main() -> int:
    parser = _parser()
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    if args.curve:
        curve()
        return 0
    dis = CorrespondenceWise(l1, DISFlow(preset=args.preset, finest_scale=args.finest_scale, threads=args.threads))
    raft = CorrespondenceWise(l1, RAFTFlow(None, args.raft, updates=5))
    all_pairs = CorrespondenceWise(l1, AllPairsFlow())
    rows = {
        "dis 64px x1": _per_pair(dis, *scenes(1, 64), 10 * args.repeats),  # short, so repeated more often
        "dis 64px x48": _per_pair(dis, *scenes(48, 64), args.repeats),
        "dis 64px x144": _per_pair(dis, *scenes(144, 64), args.repeats),
        "all-pairs 64px x144": _per_pair(all_pairs, *scenes(144, 64), args.repeats),
        f"raft-{args.raft} 128px x1": _per_pair(raft, *scenes(1, 128), args.raft_repeats),
    }
    ratio = rows[f"raft-{args.raft} 128px x1"] / rows["dis 64px x1"]
    print(f"{'corr-L1, symmetric':<26}{'ms per pair':>12}{'ms per batch':>14}")
    for name, per_pair in rows.items():
        print(f"{name:<26}{per_pair:>12.3f}{per_pair * int(name.rpartition('x')[2]):>14.1f}")
    default = args == parser.parse_args([])
    verdict = ("pass" if ratio >= TARGET_RATIO else "MISS") if default else "not evaluated with these options"
    print(f"raft / dis, one pair: {ratio:.0f}x (target: at least {TARGET_RATIO}x): {verdict}")
    result = {"ms_per_pair": rows, "ratio_raft_dis": ratio, "threads": args.threads, "torch": torch.__version__}
    print(json.dumps(result))
    return int(verdict == "MISS")


def scenes(batch: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return pairs of a textured body (about a tenth of the image) on a checker floor, 2 to 20 px apart at 64 px."""
    cells = (torch.arange(size) * 8 // size) % 2
    floor = (0.35 + 0.2 * (cells[:, None] ^ cells)).expand(batch, 3, size, size)
    side = size * 10 // 32
    body = F.interpolate(torch.rand(batch, 3, 8, 8), size=(side, side), mode="bilinear")
    start = torch.rand(batch, 2) * 0.3
    angle, length = torch.rand(batch) * torch.pi / 2, (2 + 18 * torch.rand(batch)) / 64
    moved = start + length[:, None] * torch.stack((angle.cos(), angle.sin()), dim=1)
    return _place(floor, body, start), _place(floor, body, moved)


def curve() -> None:
    """Print the mean cost, in thousandths, of four bodies of 12 px at growing displacements on 64 px."""
    steps = (1, 2, 4, 7, 10, 14, 18, 22, 26, 30, 35, 40, 45)
    bodies = F.interpolate(torch.rand(4, 3, 5, 5), size=(12, 12), mode="bilinear")
    floor = torch.full((4, 3, 64, 64), 0.35)
    goal = _place(floor, bodies, torch.tensor([4 / 64, 24 / 64]).expand(4, 2))
    print(f"{'displacement, px':<26}" + "".join(f"{step:>6}" for step in steps))
    rows = {"l1": l1}
    for penalty in (0.001, 0.003, 0.01, 0.02):
        flow = AllPairsFlow(penalty=penalty)
        regularizer = Regularizers(FlowMagnitude(PAPER_L1[0]), FlowGradient(PAPER_L1[1]))
        rows[f"corr-l1, {penalty}"] = CorrespondenceWise(l1, flow)
        rows[f"corr-l1-reg, {penalty}"] = CorrespondenceWise(l1, flow, scaling=0, regularizer=regularizer)
    for name, distance in rows.items():
        moved = [_place(floor, bodies, torch.tensor([(4 + step) / 64, 24 / 64]).expand(4, 2)) for step in steps]
        print(f"{name:<26}" + "".join(f"{1e3 * float(distance(image, goal).mean()):>6.1f}" for image in moved))


def _place(floor: torch.Tensor, body: torch.Tensor, corner: torch.Tensor) -> torch.Tensor:
    image, side = floor.clone(), body.shape[-1]
    for i, (x, y) in enumerate((corner * floor.shape[-1]).int().tolist()):
        image[i, :, y : y + side, x : x + side] = body[i]
    return image


def _per_pair(distance: Callable, x: torch.Tensor, y: torch.Tensor, repeats: int) -> float:
    """Return the median milliseconds of one pair within the batch."""
    with torch.no_grad():
        distance(x, y)
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            distance(x, y)
            times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times) / x.shape[0]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--raft-repeats", type=int, default=7)
    parser.add_argument("--raft", choices=("small", "large"), default="large")
    parser.add_argument("--preset", choices=("ultrafast", "fast", "medium"), default="ultrafast", help="of DIS")
    parser.add_argument("--finest-scale", type=int, default=1, help="of DIS")
    parser.add_argument("--curve", action="store_true", help="cost over displacement instead of speed")
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
