"""Numbers as people read them, and the report's one-sentence result."""

from __future__ import annotations

import math
from collections.abc import Sequence

from corrwise.experiments.report.summary import Summary

__all__ = ["ENOUGH_PAIRS", "NONE", "decimals_for", "number", "percent", "result_sentence", "signed"]

MINUS, NONE = "\N{MINUS SIGN}", "\N{EN DASH}"
# With fewer pairs even all of them on one side is no evidence at the 5 % level (two-sided sign test: 2 / 2**5 > 0.05).
ENOUGH_PAIRS = 6


def decimals_for(lines: Sequence[Summary]) -> int:
    """Return how many decimals a task's distances deserve: about three digits of the distance at the start."""
    starts = [line.start for line in lines if math.isfinite(line.start)]
    return 2 if starts and max(starts) >= 2 else 3


def number(x: float | int, decimals: int = 2) -> str:
    """Format a number; an en dash where there is none and a true minus sign."""
    return f"{x:.{decimals}f}".replace("-", MINUS) if math.isfinite(x) else NONE


def signed(x: float, decimals: int = 2) -> str:
    """Format a difference with its sign."""
    return f"{x:+.{decimals}f}".replace("-", MINUS) if math.isfinite(x) else NONE


def percent(x: float, decimals: int = 0) -> str:
    """Format a share."""
    return f"{100 * x:.{decimals}f} %" if math.isfinite(x) else NONE


def result_sentence(lines: Sequence[Summary], *, baseline: str = "l1") -> str:
    """Say in plain words which cost came nearest to the goal, and how sure the numbers are of it."""
    methods = sorted((ln for ln in lines if not ln.control and math.isfinite(ln.nearest)), key=lambda ln: ln.nearest)
    if methods and all(ln.refused.everything for ln in methods):
        count = sum(ln.refused.candidates for ln in methods)
        return f"Nothing was planned: {count} of {count} candidates had a cost that is not finite."
    methods = [ln for ln in methods if not ln.refused.everything]
    if not methods:
        return "No episode with an image cost has finished yet."
    d, best = decimals_for(lines), methods[0]
    over = f"on average over {_episodes(best.n)}"
    if best.cost == baseline and len(methods) > 1:
        second = methods[1]
        return (
            f"No cost beat {baseline}: it came within {number(best.nearest, d)} of the goal {over}, the next best, "
            f"{second.cost}, within {number(second.nearest, d)}. {_certainty(second, baseline, d)}"
        )
    start = f"From starts {number(best.start, d)} away, {best.cost} came within {number(best.nearest, d)} of the goal"
    base = next((ln for ln in methods if ln.cost == baseline and ln is not best), None)
    if base is None:
        return f"{start} {over}."
    against = f"against {number(base.nearest, d)} for {baseline} with the same planner and budget"
    return f"{start} {over}, {against}. {_certainty(best, baseline, d)}"


def _certainty(line: Summary, baseline: str, d: int) -> str:
    if not line.pairs:
        return f"They share no episode with {baseline}, so the difference is not paired."
    wins = line.nearer * line.pairs
    count = f"{wins:.0f}" if wins == round(wins) else f"{wins:.1f}"
    won = f"{line.cost} came nearer in {count} of {_episodes(line.pairs)}"
    _, low, high = line.difference
    interval = f"the 95 % interval of the paired difference, {signed(low, d)} to {signed(high, d)},"
    if line.pairs < ENOUGH_PAIRS:
        return f"{won}; fewer than {ENOUGH_PAIRS} are too few for a firm claim."
    return f"{won}; {interval} {'excludes' if line.difference.excludes_zero else 'includes'} zero."


def _episodes(n: int) -> str:
    return f"{n} episode{'' if n == 1 else 's'}"
