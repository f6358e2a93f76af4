"""Tables for people: numbers as text, the one-sentence result, Markdown, the terminal, and the cells of the report."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from corrwise._files import reading
from corrwise._writing import RunFolderError, write_bytes_atomic
from corrwise.experiments.report.plot import whisker
from corrwise.experiments.report.statistics import rounded
from corrwise.experiments.report.summary import Method, Summary, averaged, quoted, warn

MINUS, NONE = "\N{MINUS SIGN}", "\N{EN DASH}"
# With fewer pairs even all of them on one side is no evidence at the 5 % level (two-sided sign test: 2 / 2**5 > 0.05).
ENOUGH_PAIRS = 6


def decimals_for(lines: Sequence[Summary]) -> int:
    """Return how many decimals a task's distances deserve: about three digits of the distance at the start."""
    starts = [line.start for line in lines if math.isfinite(line.start)]
    return 2 if starts and max(starts) >= 2 else 3


def number(x: float | None, decimals: int = 2, sign: str = "") -> str:
    """Return a number as text, with a true minus sign, zero without one; an en dash if it is None or not finite."""
    return NONE if x is None or not math.isfinite(x) else rounded(x, f"{sign}.{decimals}f").replace("-", MINUS)


def with_error(mean: float | None, error: float | None, decimals: int = 2) -> str:
    """Return a mean and its standard error as text; an en dash for what a single value does not have."""
    return f"{number(mean, decimals)} ± {number(error, decimals)}"


def signed(x: float | None, decimals: int = 2) -> str:
    """Return a difference as text, with its sign."""
    return number(x, decimals, "+")


def percent(x: float | None, decimals: int = 0) -> str:
    """Return a share as text."""
    return NONE if x is None or not math.isfinite(x) else f"{rounded(100 * x, f'.{decimals}f')} %"


def result_sentence(lines: Sequence[Summary], *, baseline: str = "l1") -> str:
    """Return a sentence: which cost ended nearest to the goal, and whether the interval excludes zero."""
    methods = sorted((ln for ln in lines if not ln.control and math.isfinite(ln.last10)), key=lambda ln: ln.last10)
    if methods and all(ln.rejected.everything for ln in methods):
        count = sum(ln.rejected.candidates for ln in methods)
        return f"Nothing was planned: {count} of {count} candidates had a cost that is not finite."
    methods = [ln for ln in methods if not ln.rejected.everything]
    if not methods:
        return "No episode with an image cost has finished yet."
    d, best = decimals_for(lines), methods[0]
    over = f"on average over the {averaged(methods)} of {_episodes(best.n)}"
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
    first, *rest = ["| " + " | ".join(map(_escaped, cells)) + " |\n" for cells in (head, *lines)]
    return "".join([first, "|" + "---|" * len(head) + "\n", *rest])


def _escaped(cell: str) -> str:
    """Return text that a cell shows as it is; names of folders may have any characters."""
    return re.sub(r"<(?=[A-Za-z/!])", "&lt;", cell.replace("|", "\\|"))


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


def plain_cells(lines: Sequence[Summary], names: dict[Method, str], *, baseline: str = "l1") -> list[tuple[str, ...]]:
    """Return the report's table as text: its head, and one line per method."""
    d = decimals_for(lines)
    rows: list[tuple[str, ...]] = [
        ("cost", "episodes", averaged(lines), "nearest", "final", f"minus {baseline} (95 %)", "ms a step")
    ]
    for row in table_rows(lines, names, dict.fromkeys(names, ""), decimals=d, baseline=baseline):
        ln = row["line"]
        compared = f"{signed(ln.difference.value, d)} ({row['interval']})" if ln.pairs else row["alone"]
        distances = with_error(ln.last10, ln.last10_error, d), number(ln.nearest, d), number(ln.final, d)
        rows.append((row["name"], str(ln.n), *distances, compared, row["milliseconds"]))
    return rows


def terminal_table(lines: Sequence[Summary], names: dict[Method, str], *, baseline: str = "l1") -> str:
    """Return the report's table as aligned text, one line per method."""
    rows = plain_cells(lines, names, baseline=baseline)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
    )


def table_rows(
    lines: Sequence[Summary],
    names: dict[Method, str],
    styles: dict[Method, str],
    *,
    decimals: int,
    baseline: str = "l1",
) -> list[dict[str, Any]]:
    """Return each line of the table, and what the template and the terminal show of it besides its numbers."""
    reach = _reach(lines)
    slowest = max((sum(ln.seconds.values()) for ln in lines), default=0.0)
    missing = "" if any(ln.cost == baseline for ln in lines) else f"{baseline} was not run"
    if any(ln.cost == baseline and ln.rejected.everything for ln in lines):
        missing = f"{baseline} planned nothing"
    return [
        {
            "line": ln,
            "name": names[ln.method],
            "style": styles[ln.method],
            "alone": _alone(ln, baseline, missing),
            "interval": _interval(ln, decimals),
            "whisker": whisker(ln.difference, reach=reach) if ln.pairs else None,
            "verdict": _verdict(ln),
            **_time(ln, slowest),
        }
        for ln in lines
    ]


def _alone(ln: Summary, baseline: str, missing: str) -> str:
    """Return why a line is compared with nothing."""
    if ln.rejected.everything:
        return "nothing was planned"
    if ln.cost == baseline:
        return "the baseline"
    return missing or "no shared episode"


def _interval(ln: Summary, decimals: int) -> str:
    _, low, high = ln.difference
    return f"{signed(low, decimals)} to {signed(high, decimals)}" if low == low else "one pair: no interval"


def _verdict(ln: Summary) -> str:
    """Return which way the interval points, and whether there are enough pairs for a claim."""
    if not ln.difference.excludes_zero:
        return "open"
    return ("better" if ln.difference.value < 0 else "worse") + ("" if ln.pairs >= ENOUGH_PAIRS else " tentative")


def _reach(lines: Sequence[Summary]) -> float:
    """Return how far the axis of the differences goes: a control far off must not shrink the methods to dots."""
    methods, controls = (
        max((abs(x) for ln in lines if ln.control == control for x in ln.difference if x == x), default=0.0)
        for control in (False, True)
    )
    return max(methods, min(controls, 2 * methods or controls))


def _time(ln: Summary, slowest: float) -> dict[str, Any]:
    total = sum(ln.seconds.values())
    if not (math.isfinite(total) and slowest > 0):
        return {"milliseconds": NONE, "phases": []}
    phases = [(name, f"{1000 * s:.1f}", f"{100 * s / slowest:.2f}") for name, s in ln.seconds.items() if s > 0]
    return {"milliseconds": f"{1000 * total:.0f}" if total >= 0.01 else f"{1000 * total:.1f}", "phases": phases}
