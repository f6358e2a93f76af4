"""One offline HTML file of a run: the result, the table, the curves, and every episode, playable.

Everything is derived from config.json, rows.jsonl and episodes/*.png, so a report can be made again at any time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from corrwise._files import read_json, reading
from corrwise._writing import RunFolderError, write_bytes_atomic
from corrwise.costs import CostSpec
from corrwise.costs.flow_colors import flow_wheel
from corrwise.experiments.cli.report import ReportConfig
from corrwise.experiments.report.plot import Series, curve_points, distance_plot
from corrwise.experiments.report.strip import PANELS, StripImages, crop_to_motion, embedded, local_file, png_bytes
from corrwise.experiments.report.summary import CONTROLS, Method, Summary, averaged, rejection_warnings, summarize, warn
from corrwise.experiments.report.table import (
    ENOUGH_PAIRS,
    decimals_for,
    markdown_table,
    number,
    percent,
    plain_cells,
    result_sentence,
    signed,
    table_rows,
    terminal_table,
)
from corrwise.experiments.runs.owner import refuse_other
from corrwise.experiments.runs.rows import read_rows, row_key

METHOD = ("task", "cost", "planner", "predictor")  # the fields of a row that tell methods
EMBED_BYTES = 64 * 2**20
FACTS = (
    *("planner", "predictor", "renderer", "aggregate", "steps", "horizon", "candidates"),
    *("iterations", "futures", "risk", "risk_level", "damage", "restore", "size", "seed"),
)
COLORS = 8  # as many as style.css has
UNITS = "m and rad"

Row = dict[str, Any]


def write_report(out: Path, *, baseline: str = "l1", embed_bytes: int = EMBED_BYTES) -> Path:
    """Write ``out/report.html`` as a whole and return its path.

    Args:
        out: the run folder.
        baseline: the cost that the others are compared with.
        embed_bytes: how many bytes of images go into the file; the rest is linked from the folder, so that a
            thousand episodes still open.

    Raises:
        RunFolderError: the folder holds no readable configuration or rows, or cannot be written.
    """
    out = Path(out)
    refuse_other(out, "corrwise mpc", "corrwise report takes one of corrwise mpc")
    config = _config(out / "config.json")
    rows = list({row_key(row): row for row in read_rows(out / "rows.jsonl")}.values())
    images = StripImages(out, embed_bytes)
    with reading(out / "rows.jsonl", "holds a row that no report can be made of", RunFolderError):
        tasks = [_task_view(mine, baseline, images) for mine in _by_task(rows).values()]
    page = template("report.html").render(
        title=" and ".join([task["name"] for task in tasks] or [str(config.get("task", "no task yet"))]),
        tasks=tasks,
        facts=_facts(config),
        costs=_described(row["cost"] for row in rows),
        config=json.dumps(config, indent=2),
        versions=(rows[-1].get("versions") or {}) if rows else {},
        linked=images.linked,
        wheel=embedded(png_bytes(flow_wheel(72))),
        baseline=baseline,
        enough=ENOUGH_PAIRS,
    )
    write_bytes_atomic(out / "report.html", page.encode())
    return out / "report.html"


def run_table(rows: Sequence[Row], *, baseline: str = "l1") -> str:
    """Return the report's table in Markdown; the rows are those of one task."""
    lines = summarize(rows, baseline=baseline)
    head, *cells = plain_cells(lines, _names(lines), baseline=baseline)
    return markdown_table(head, cells)


def run_report(config: ReportConfig) -> Path:
    """Make a folder's report again, and warn of rejected candidates; see ``write_report``."""
    report = write_report(config.out)
    warn(rejection_warnings(read_rows(config.out / "rows.jsonl"), METHOD))
    return report


def run_text(rows: Sequence[Row], *, baseline: str = "l1") -> str:
    """Return what the report opens with, as text: of each task the result in a sentence, and the table."""
    parts = []
    for task, mine in _by_task(rows).items():
        lines = summarize(mine, baseline=baseline)
        sentence = result_sentence(lines, baseline=baseline)
        parts.append(f"{task}: {sentence}\n\n{terminal_table(lines, _names(lines), baseline=baseline)}")
    return "\n\n".join(parts)


def _by_task(rows: Iterable[Row]) -> dict[str, list[Row]]:
    tasks: dict[str, list[Row]] = {}
    for row in rows:
        tasks.setdefault(row["task"], []).append(row)
    return tasks


def _task_view(rows: Sequence[Row], baseline: str, images: StripImages) -> dict[str, Any]:
    """Return what the template draws for the rows of one task."""
    lines = summarize(rows, baseline=baseline)
    names, styles = _names(lines), _styles(lines, baseline)
    curves: dict[tuple[str, str], list[Series]] = {(names[m], styles[m]): [] for m in names}
    for row in rows:
        curves[names[_method(row)], styles[_method(row)]].append(row.get("distances") or [])
    rows = sorted(rows, key=lambda row: (row["seed"], list(names).index(_method(row))))
    left_out = dict.fromkeys(part for row in rows for part in row.get("left_out") or [])
    decimals = decimals_for(lines)
    return {
        "name": rows[0]["task"],
        "sentence": result_sentence(lines, baseline=baseline),
        "lines": table_rows(lines, names, styles, decimals=decimals, baseline=baseline),
        "averaged": averaged(lines),
        "compared": any(line.pairs for line in lines),
        "few": any(0 < line.pairs < ENOUGH_PAIRS for line in lines),
        "warnings": [
            *([f'The images leave out {", ".join(left_out)}; renderer="gl" draws it all'] if left_out else []),
            *filter(None, (line.rejected.sentence(names[line.method]) for line in lines)),
        ],
        "plot": distance_plot(curves),
        "units": rows[0].get("unit") or UNITS,
        "decimals": decimals,
        "cards": [
            _card([row for row in rows if row["seed"] == seed], names, styles, images)
            for seed in dict.fromkeys(row["seed"] for row in rows)
        ],
    }


def _method(row: Row) -> Method:
    return row["task"], row["cost"], row["planner"], row["predictor"]


def _names(lines: Sequence[Summary]) -> dict[Method, str]:
    """Name methods by their cost, and by planner and predictor only where the cost alone is ambiguous."""
    costs = [line.cost for line in lines]
    return {
        ln.method: ln.cost if costs.count(ln.cost) == 1 else f"{ln.cost} ({ln.planner}, {ln.predictor})" for ln in lines
    }


def _styles(lines: Sequence[Summary], baseline: str) -> dict[Method, str]:
    """Give the baseline the first colour, the other methods the next ones, the controls a muted dash each."""
    styles, used = {}, 0
    for ln in lines:
        if ln.control:
            style = f"control c{CONTROLS.index(ln.cost)}"
        elif ln.cost == baseline:
            style = "m0"
        else:
            used += 1
            style = f"m{(used - 1) % (COLORS - 1) + 1}"
        styles[ln.method] = style
    return styles


def _card(rows: list[Row], names: dict[Method, str], styles: dict[Method, str], images: StripImages) -> Row:
    """Return one episode: every method on the same start and goal, on one clock and one distance scale."""
    distances = [row.get("distances") or [] for row in rows]
    top = 1.06 * (max((x for series in distances for x in series if x is not None), default=1.0) or 1.0)
    strips: list[Row] = []
    for row, series in zip(rows, distances, strict=True):
        panels = [str(name) for name in row.get("panels") or PANELS]
        strips.append(
            {
                "name": names[_method(row)],
                "style": styles[_method(row)],
                "panels": panels,
                "image": images.get(row.get("strip"), len(panels)),
                "flow": bool(row.get("seconds_flow")),  # a cost without a flow has none to show
                "video": local_file(images.out, row.get("video")),
                "curve": curve_points(series, top=top),
                "distances": [None if x is None else round(x, 4) for x in series],
                "nearest": row.get("min_distance"),
                "final": row.get("final_distance"),
            }
        )
    return {
        "seed": rows[0]["seed"],
        "start": rows[0].get("start_distance"),
        "strips": strips,
        "steps": max((strip["image"].steps for strip in strips if strip["image"]), default=0),
        "crop": crop_to_motion(strip["image"] for strip in strips),
        "top": round(top, 4),
    }


def _config(path: Path) -> dict[str, Any]:
    try:
        config = read_json(path)
    except OSError as error:
        raise RunFolderError(f"{path.parent} is not a run folder: cannot read {path}") from error
    except ValueError as error:
        raise RunFolderError(str(error)) from error
    if not isinstance(config, dict) or not _facts(config):
        raise RunFolderError(f"{path} is not a run's configuration, such as corrwise mpc writes")
    return config


def _facts(config: dict[str, Any]) -> dict[str, str]:
    """Return the settings that a reader asks for first, wherever the configuration keeps them."""
    facts: dict[str, str] = {}

    def visit(node: dict[str, Any]) -> None:
        for name, value in node.items():
            if isinstance(value, dict):
                visit(value)
            elif name in FACTS and isinstance(value, (str, int, float)):
                facts.setdefault(name, str(value))

    visit(config)
    unused = set() if facts.get("futures", "1") != "1" else {"futures", "risk", "risk_level"}
    unused |= set() if facts.get("risk") == "cvar" else {"risk_level"}
    return {name.replace("_", " "): facts[name] for name in FACTS if name in facts.keys() - unused}


def _described(costs: Iterable[str]) -> dict[str, str]:
    """Return what the image costs among these are made of, in a sentence each."""
    described = {}
    for cost in dict.fromkeys(costs):
        with suppress(ValueError):
            described[cost] = CostSpec.parse(cost).describe()
    return described


def template(name: str) -> Any:
    """Return one of the templates, with the page's style and player."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    folder = Path(__file__).parent / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, signed=signed, percent=percent)
    # These files are put in as they are: they hold braces that are no template's.
    environment.globals["style"] = Markup((folder / "style.css").read_text("utf-8"))
    environment.globals["player"] = Markup((folder / "player.js").read_text("utf-8"))
    return environment.get_template(name)
