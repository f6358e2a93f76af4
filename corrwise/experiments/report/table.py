"""Tables for people: numbers as text, the one-sentence result, Markdown, the terminal, and the cells of the report."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from corrwise._files import reading
from corrwise._writing import RunFolderError, write_bytes_atomic
from corrwise.experiments.report.plot import whisker
from corrwise.experiments.report.summary import Method, Summary, quoted, warn

__all__ = [
    "ENOUGH_PAIRS",
    "NONE",
    "decimals_for",
    "markdown_table",
    "number",
    "percent",
    "result_sentence",
    "signed",
    "table_rows",
    "term_rows",
    "terminal_table",
    "write_table",
]

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
    """Say in plain words which cost ended nearest to the goal, and how sure the numbers are of it."""
    methods = sorted((ln for ln in lines if not ln.control and math.isfinite(ln.last10)), key=lambda ln: ln.last10)
    if methods and all(ln.rejected.everything for ln in methods):
        count = sum(ln.rejected.candidates for ln in methods)
        return f"Nothing was planned: {count} of {count} candidates had a cost that is not finite."
    methods = [ln for ln in methods if not ln.rejected.everything]
    if not methods:
        return "No episode with an image cost has finished yet."
    d, best = decimals_for(lines), methods[0]
    over = f"on average over the last ten steps of {_episodes(best.n)}"
    if best.cost == baseline and len(methods) > 1:
        second = methods[1]
        return (
            f"No cost beats {baseline}: it is {number(best.last10, d)} from the goal {over}, the next best, "
            f"{second.cost}, {number(second.last10, d)}. {_certainty(second, baseline, d)}"
        )
    result = f"From starts {number(best.start, d)} away, {best.cost} is {number(best.last10, d)} from the goal {over}"
    base = next((ln for ln in methods if ln.cost == baseline and ln is not best), None)
    if base is None:
        return f"{result}."
    against = f"against {number(base.last10, d)} with {baseline}, the same planner and the same budget"
    return f"{result}, {against}. {_certainty(best, baseline, d)}"


def _certainty(line: Summary, baseline: str, d: int) -> str:
    if not line.pairs:
        return f"They share no episode with {baseline}, so the difference is not paired."
    wins = line.nearer * line.pairs
    count = f"{wins:.0f}" if wins == round(wins) else f"{wins:.1f}"
    won = f"{line.cost} ends nearer in {count} of {_episodes(line.pairs)}"
    _, low, high = line.difference
    interval = f"the 95 % interval of the paired difference, {signed(low, d)} to {signed(high, d)},"
    if line.pairs < ENOUGH_PAIRS:
        return f"{won}; fewer than {ENOUGH_PAIRS} are too few for a firm claim."
    return f"{won}; {interval} {'excludes' if line.difference.excludes_zero else 'includes'} zero."


def _episodes(n: int) -> str:
    return f"{n} episode{'' if n == 1 else 's'}"


def markdown_table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table of cells, with a newline at its end."""
    first, *rest = ["| " + " | ".join(cells) + " |\n" for cells in (head, *lines)]
    return "".join([first, "|" + "---|" * len(head) + "\n", *rest])


def write_table(out: Path, make: Callable[[], tuple[str, list[str]]]) -> Path:
    """Write ``table.md`` of a run folder, print its warnings, and return its path.

    Args:
        out: the run folder.
        make: returns the page and sentences of warnings, which stand above it.

    Raises:
        RunFolderError: the rows cannot be tabulated, or the file cannot be written.
    """
    with reading(out / "rows.jsonl", "holds rows that no table can be made of", RunFolderError):
        page, warnings = make()
    warn(warnings)
    write_bytes_atomic(out / "table.md", (quoted(warnings) + page).encode())
    return out / "table.md"


def terminal_table(lines: Sequence[Summary], names: dict[Method, str], *, baseline: str = "l1") -> str:
    """Return the report's table as aligned text, one line per method."""
    d = decimals_for(lines)
    rows = [("cost", "episodes", "last 10 steps", "nearest", "final", f"minus {baseline} (95 %)", "ms a step")]
    for row in table_rows(lines, names, dict.fromkeys(names, ""), decimals=d, baseline=baseline):
        line = row["line"]
        compared = f"{row['difference']} ({row['interval']})" if line.pairs else row["alone"]
        distances = f"{row['last10']} ± {row['error']}", row["nearest"], row["final"]
        rows.append((row["name"], str(line.n), *distances, compared, row["milliseconds"]))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(_aligned(row, widths)).rstrip() for row in rows)


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
    return [first.strip().ljust(widths[0]), *others]


Row = dict[str, Any]


def table_rows(
    lines: Sequence[Summary],
    names: dict[Method, str],
    styles: dict[Method, str],
    *,
    decimals: int,
    baseline: str = "l1",
) -> list[Row]:
    """Return what the template writes into each row of the table."""
    reach = _reach(lines)
    slowest = max((sum(ln.seconds.values()) for ln in lines), default=0.0)
    lost = any(ln.cost == baseline and ln.rejected.everything for ln in lines)
    table = []
    for ln in lines:
        method = (ln.task, ln.cost, ln.planner, ln.predictor)
        named = {"name": names[method], "style": styles[method], "alone": _alone(ln, baseline, lost)}
        table.append({**named, **_cells(ln, decimals, reach), **_time(ln, slowest)})
    return table


def term_rows(lines: Sequence[Summary], names: dict[Method, str], styles: dict[Method, str]) -> list[Row]:
    """Return the rows about what the correspondence-wise costs were made of; none for rows that do not say."""
    return [
        {
            "name": names[ln.task, ln.cost, ln.planner, ln.predictor],
            "style": styles[ln.task, ln.cost, ln.planner, ln.predictor],
            "residual": number(ln.terms["residual"], 4),
            "displacement": number(ln.terms["displacement_px"], 2),
            "occluded": percent(ln.terms["occluded"], 1),
        }
        for ln in lines
        if any(math.isfinite(value) for value in ln.terms.values())
    ]


def _alone(ln: Summary, baseline: str, lost: bool) -> str:
    """Say why a line is compared with nothing."""
    if ln.rejected.everything:
        return "nothing was planned"
    if ln.cost == baseline:
        return "the baseline"
    return f"{baseline} planned nothing" if lost else "no shared episode"


def _reach(lines: Sequence[Summary]) -> float:
    """Return how far the axis of the differences goes: a control far off must not shrink the methods to dots."""
    far = {
        control: max(
            (abs(x) for ln in lines if ln.control == control for x in ln.difference if abs(x) >= 0), default=0.0
        )
        for control in (False, True)
    }
    return max(far[False], min(far[True], 2 * far[False] or far[True]))


def _cells(ln: Summary, d: int, reach: float) -> Row:
    value, low, high = ln.difference
    return {
        "line": ln,
        "last10": number(ln.last10, d),
        "error": number(ln.last10_error, d),
        "iqm": number(ln.last10_iqm, d),
        "final": number(ln.final, d),
        "nearest": number(ln.nearest, d),
        "difference": signed(value, d),
        "interval": f"{signed(low, d)} to {signed(high, d)}" if math.isfinite(low) else "one pair: no interval",
        "whisker": whisker(ln.difference, reach=reach) if ln.pairs else None,
        "verdict": _verdict(ln),
        "ratio": number(ln.ratio.value, 2 if abs(ln.ratio.value) >= 0.1 else 3),
        "ratio_interval": f"{number(ln.ratio.low, 2)} to {number(ln.ratio.high, 2)}",
        "nearer": percent(ln.nearer),
    }


def _verdict(ln: Summary) -> str:
    """Say which way the interval points, and whether there are enough pairs to believe it."""
    if not ln.difference.excludes_zero:
        return "open"
    return ("better" if ln.difference.value < 0 else "worse") + ("" if ln.pairs >= ENOUGH_PAIRS else " tentative")


def _time(ln: Summary, slowest: float) -> Row:
    total = sum(ln.seconds.values())
    if not (math.isfinite(total) and slowest > 0):
        return {"milliseconds": NONE, "phases": []}
    phases = [(name, f"{1000 * s:.1f}", f"{100 * s / slowest:.2f}") for name, s in ln.seconds.items() if s > 0]
    return {"milliseconds": f"{1000 * total:.0f}" if total >= 0.01 else f"{1000 * total:.1f}", "phases": phases}
