"""Write the tables of the README, the guide to flows and the planning results from their rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from corrwise.costs import PRESETS
from corrwise.envs.tasks.manifest import frozen_manifest
from corrwise.experiments.cli.options import TABLE_TASKS
from corrwise.experiments.runs.grid import KEY as GRID_KEY
from corrwise.experiments.runs.grid import Cell, current_rows
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.studies.ablations import ablation_page
from corrwise.experiments.studies.flows.report import KEY, bodies_table, check_table, flows_table
from corrwise.experiments.studies.planning import METHODS, by_method, draw_table, in_order, method_config, mpc_table
from corrwise.experiments.studies.predictors.table import held_frames, held_plans, predictor_tables
from corrwise.experiments.studies.ranking import KEY as RANKING_KEY
from corrwise.experiments.studies.ranking import ranking_table
from tools.planning_cells import planning_cells
from tools.planning_tables import paper_table, turned_table
from tools.speed_table import speed_table

RESULTS = Path(__file__).parents[1] / "docs/results"
README = Path(__file__).parents[1] / "README.md"
GUIDE = Path(__file__).parents[1] / "docs/choose_a_flow.md"
RANKINGS = ("ranking", "ranking/random")
ABLATIONS = ("ablations", "ablations/confirmed")  # all choices; some again, on more episodes
PREDICTORS = ("predictors", "predictor-losses", "training-losses")  # L1 on all bodies; losses, models, flows
PLANNING = RESULTS / "table-mpc" / "README.md"
BEFORE = RESULTS / "table-mpc" / "ant-cem-12"  # the same episodes with the planner of the other tasks


def row_files(folder: Path = RESULTS) -> list[Path]:
    """Return the files of rows under a folder, packed ones by the name under which ``read_rows`` takes them."""
    return sorted({path.with_name(path.name.removesuffix(".gz")) for path in folder.rglob("rows.jsonl*")})


def planning_rows() -> list[dict[str, Any]]:
    """Return the rows of ``corrwise table mpc`` with the current settings of its methods; only complete cells."""
    rows = read_rows(RESULTS / "table-mpc" / "rows.jsonl", GRID_KEY)
    cells = [Cell(name, method_config(name, task), frozen_manifest(task)) for task in TABLE_TASKS for name in METHODS]
    rows = current_rows(rows, {(cell.config.task, cell.method): cell.fingerprint for cell in cells})
    counts = Counter((row["task"], row["method"]) for row in rows)
    whole = {(cell.config.task, cell.method): len(cell.manifest.seeds) for cell in cells}
    return [row for row in rows if counts[row["task"], row["method"]] == whole[row["task"], row["method"]]]


def flow_tables() -> dict[str, str]:
    """Return the tables of the guide to flows by name.

    Rows of sub-folders (measured on another machine) come before those of docs/results/flows itself, and of rows with
    the same key the last counts.
    """
    files = sorted(row_files(RESULTS / "flows"), key=lambda path: -len(path.parts))
    rows = [row for file in files for row in read_rows(file, KEY)]
    forms = {name: preset.form for name, preset in PRESETS.items()}
    networks = {row["flow"]: row.get("network") for row in rows}
    planning = planning_cells(read_rows(RESULTS / "ablations" / "rows.jsonl", GRID_KEY), forms, networks)
    return {
        "flows": flows_table(rows, planning),
        "bodies": bodies_table(rows, "clean"),
        "degraded": bodies_table(rows, "degraded"),
        "check": check_table(rows),
        "composed": (RESULTS / "flows" / "composed.md").read_text(),
        "ranking": ranks("ranking"),
    }


def readme_with_tables(text: str) -> str:
    """Return the README's text with new tables."""
    return filled(text, {"results": paper_table(planning_rows()), "speed": speed_table()})


def guide_with_tables(text: str) -> str:
    """Return the text of docs/choose_a_flow.md with new tables."""
    return filled(text, flow_tables())


def planning_with_tables(text: str) -> str:
    """Return the text of docs/results/table-mpc/README.md with new tables."""
    rows = planning_rows()
    tables = {"paper": paper_table, "table": mpc_table, "turned": turned_table, "hours": hours_table}
    return filled(text, {**{name: table(rows) for name, table in tables.items()}, "random": ranks("ranking/random")})


def ranks(folder: str) -> str:
    """Return table.md of a folder of ``corrwise table ranking``."""
    return ranking_table(read_rows(RESULTS / folder / "rows.jsonl", RANKING_KEY))


def ablations(folder: str) -> str:
    """Return table.md of a folder of ``corrwise table ablations``."""
    return ablation_page(read_rows(RESULTS / folder / "rows.jsonl", GRID_KEY), 20)


def predictors(folder: str) -> str:
    """Return table.md of a folder of ``corrwise table predictors``."""
    return predictor_tables(held_frames(RESULTS / folder), held_plans(RESULTS / folder))


def hours_table(rows: list[dict[str, Any]]) -> str:
    """Return the hours of one core that each method took on each task, as Markdown."""
    tasks = by_method(rows)
    names = in_order({name: None for each in tasks.values() for name in each})
    lines = ["| core hours | " + " | ".join(f"`{name}`" for name in names) + " |", "|" + "---|" * (len(names) + 1)]
    for task, methods in tasks.items():
        hours = [sum(row["seconds"] for row in methods.get(name, [])) / 3600 for name in names]
        lines.append(f"| {task} | " + " | ".join(f"{each:.2f}" if each else "" for each in hours) + " |")
    return "\n".join(lines) + "\n"


def filled(text: str, tables: Mapping[str, str]) -> str:
    """Return a text with each table between the two marks of its name."""
    for name, table in tables.items():
        head, rest = text.split(f"<!-- {name} -->\n")
        text = f"{head}<!-- {name} -->\n\n{table}\n<!-- /{name} -->\n" + rest.split(f"<!-- /{name} -->\n")[1]
    return text


if __name__ == "__main__":
    README.write_text(readme_with_tables(README.read_text()))
    GUIDE.write_text(guide_with_tables(GUIDE.read_text()))
    PLANNING.write_text(planning_with_tables(PLANNING.read_text()))
    for folder in RANKINGS:
        (RESULTS / folder / "table.md").write_text(ranks(folder))
    for folder in ABLATIONS:
        (RESULTS / folder / "table.md").write_text(ablations(folder))
    (BEFORE / "table.md").write_text(mpc_table(read_rows(BEFORE / "rows.jsonl", GRID_KEY)))
    for folder in PREDICTORS:
        (RESULTS / folder / "table.md").write_text(predictors(folder))
    draw_table(RESULTS / "table-mpc" / "table.png", planning_rows())
