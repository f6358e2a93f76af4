"""One HTML file that shows a run to a person: the table, the curves and every episode, playable, from disk, offline.

Everything is derived from config.json, rows.jsonl and episodes/*.png; nothing is typed in, so a report can be made anew
at any time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from corrwise._files import read_json, reading
from corrwise._writing import RunFolderError, write_bytes_atomic
from corrwise.costs import CostSpec
from corrwise.experiments.cli.mpc import ReportConfig
from corrwise.experiments.report.images import Pictures, wheel_picture
from corrwise.experiments.report.rejected import refusals, warn
from corrwise.experiments.report.task import task_view
from corrwise.experiments.report.words import ENOUGH_PAIRS, number
from corrwise.experiments.runs.rows import read_rows, row_key

__all__ = ["METHOD", "run_report", "template", "write_report"]

METHOD = ("task", "cost", "planner", "predictor")  # the fields of a row that tell methods
EMBED_BYTES = 64 * 2**20
FACTS = (
    *("planner", "predictor", "renderer", "aggregate", "steps", "horizon", "candidates"),
    *("iterations", "size", "seed"),
)


def write_report(out: Path, *, baseline: str = "l1", embed_bytes: int = EMBED_BYTES) -> Path:
    """Write ``out/report.html`` as a whole and return its path.

    Args:
        out: the run folder.
        baseline: the cost that the others are compared with.
        embed_bytes: how many bytes of pictures go into the file; the rest is linked from the folder, so that a
            thousand episodes still open.

    Raises:
        RunFolderError: the folder holds no readable configuration or rows, or cannot be written.
    """
    out = Path(out)
    config = _config(out / "config.json")
    rows = list({row_key(row): row for row in read_rows(out / "rows.jsonl")}.values())
    names = list(dict.fromkeys(row["task"] for row in rows))
    pictures = Pictures(out, embed_bytes)
    with reading(out / "rows.jsonl", "holds a row that no report can be made of", RunFolderError):
        tasks = [task_view([row for row in rows if row["task"] == name], baseline, pictures) for name in names]
    page = template("report.html").render(
        title=" and ".join(names or [str(config.get("task", "no task yet"))]),
        tasks=tasks,
        facts=_facts(config),
        costs=_described(row["cost"] for row in rows),
        config=json.dumps(config, indent=2),
        versions=(rows[-1].get("versions") or {}) if rows else {},
        linked=pictures.linked,
        wheel=wheel_picture(),
        baseline=baseline,
        enough=ENOUGH_PAIRS,
    )
    write_bytes_atomic(out / "report.html", page.encode())
    return out / "report.html"


def run_report(config: ReportConfig) -> Path:
    """Make a folder's report anew, and warn of what its planners refused; see ``write_report``."""
    report = write_report(config.out)
    warn(refusals(read_rows(config.out / "rows.jsonl"), METHOD))
    return report


def _config(path: Path) -> dict[str, Any]:
    try:
        config = read_json(path)
    except OSError as error:
        raise RunFolderError(f"{path.parent} is not a run folder: cannot read {path}") from error
    except ValueError as error:
        raise RunFolderError(str(error)) from error
    return config if isinstance(config, dict) else {"config": config}


def _facts(config: dict[str, Any]) -> dict[str, str]:
    """Return the settings that a reader asks for first, wherever the configuration keeps them."""
    found: dict[str, str] = {}

    def visit(node: dict[str, Any]) -> None:
        for name, value in node.items():
            if isinstance(value, dict):
                visit(value)
            elif name in FACTS and isinstance(value, (str, int, float)):
                found.setdefault(name.replace("_", " "), str(value))

    visit(config)
    return {name: found[name] for name in (fact.replace("_", " ") for fact in FACTS) if name in found}


def _described(costs: Iterable[str]) -> dict[str, str]:
    """Return what the image costs among these are made of, in a sentence each."""
    found = {}
    for cost in dict.fromkeys(costs):
        with suppress(ValueError):
            found[cost] = CostSpec.parse(cost).describe()
    return found


def template(name: str) -> Any:
    """Return one of the templates, with our style and player at hand."""
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
    environment.filters["number"] = number
    # Our own files, put in as they are: they hold braces that are no template's.
    environment.globals["style"] = Markup((folder / "style.css").read_text("utf-8"))
    environment.globals["player"] = Markup((folder / "player.js").read_text("utf-8"))
    return environment.get_template(name)
