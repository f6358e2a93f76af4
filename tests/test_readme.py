"""What the README and the guides show works as it stands."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from corrwise.envs.tasks.task import Task
from corrwise.experiments import cli
from corrwise.experiments.runs.grid import KEY
from corrwise.experiments.runs.rows import read_rows
from corrwise.experiments.studies.flow_matching.measure import KEY as VELOCITY_KEY
from corrwise.experiments.studies.flow_matching.table import flow_matching_tables, held_frames
from corrwise.experiments.studies.interpolators.table import interpolator_tables
from corrwise.experiments.studies.planning import mpc_table
from corrwise.experiments.studies.restoration.measure import KEY as RESTORED_KEY
from corrwise.experiments.studies.restoration.table import PUBLISHED, restoration_tables
from corrwise.experiments.studies.restored_goals import restored_tables
from corrwise.experiments.studies.students.run import KEY as STUDENT_KEY
from corrwise.experiments.studies.students.run import measured_rows
from corrwise.experiments.studies.students.table import student_tables
from tests.snippets import ROOT, blocks
from tools import ball_motion, denoiser_plans, interpolation_page, motion_discriminator, student_plans
from tools.results_table import (
    ABLATIONS,
    BEFORE,
    PLANNING,
    PREDICTORS,
    RESULTS,
    ablations,
    filled,
    guide_with_tables,
    planning_with_tables,
    predictors,
    ranks,
    readme_with_tables,
    row_files,
)


@pytest.fixture(scope="module", autouse=True)
def models_compiled_once():
    """Compile the model of each task once: the settings of hundreds of cells hash the same few models."""
    compiled: dict[tuple[Any, ...], tuple[Task, Any]] = {}
    compile_model = Task.compile

    def once(task: Task, cameras: Sequence[str] = ()) -> Any:
        key = (id(task), *cameras)
        if key not in compiled:
            compiled[key] = task, compile_model(task, cameras)  # with the task, so that its id is not used again
        return compiled[key][1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Task, "compile", once)
        yield


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_library_example_is_short():
    code, _ = blocks(ROOT / "README.md")
    assert len([line for line in code.splitlines() if line]) <= 16


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_has_options_that_exist(page, monkeypatch):
    monkeypatch.setattr(cli, "_run", lambda command, config: 0)
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)).replace("\\\n", " ")
    for line in re.findall(
        r"corrwise ((?:mpc|report|doctor|table|train-flow|collect|import|train|evaluate|preview)\b.*)", blocks
    ):
        words = shlex.split(line, comments=True)
        assert cli.main(words[: words.index(";")] if ";" in words else words) == 0, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_result_tables_are_those_that_the_rows_give():
    text = (ROOT / "README.md").read_text()
    assert readme_with_tables(text) == text, "run python -m tools.results_table"


def test_the_tables_of_the_planning_results_are_those_that_the_rows_give():
    text = PLANNING.read_text()
    assert planning_with_tables(text) == text, "run python -m tools.results_table"


def test_the_tables_of_the_guide_to_flows_are_those_that_the_rows_give():
    text = (ROOT / "docs/choose_a_flow.md").read_text()
    assert guide_with_tables(text) == text, "run python -m tools.results_table"


@pytest.mark.parametrize("folder", PREDICTORS)
def test_the_tables_of_predictors_are_those_that_the_rows_give(folder):
    assert (RESULTS / folder / "table.md").read_text() == predictors(folder), "run python -m tools.results_table"


@pytest.mark.parametrize("folder", ABLATIONS)
def test_the_tables_of_ablations_are_those_that_the_rows_give(folder):
    assert (RESULTS / folder / "table.md").read_text() == ablations(folder), "run python -m tools.results_table"


def test_the_table_of_ants_first_planner_is_the_one_that_the_rows_give():
    assert (BEFORE / "table.md").read_text() == mpc_table(read_rows(BEFORE / "rows.jsonl", KEY))


def test_the_tables_of_interpolators_are_those_that_the_rows_give():
    text = (interpolation_page.FOLDER / "README.md").read_text()
    assert interpolation_page.page_with_tables(text) == text, "run python -m tools.interpolation_page"
    rows = read_rows(interpolation_page.FOLDER / "rows.jsonl", interpolation_page.KEY)
    assert (interpolation_page.FOLDER / "table.md").read_text().startswith(interpolator_tables(rows))


def test_the_table_of_motion_discriminators_is_the_one_that_the_rows_give():
    folder = RESULTS / "motion" / "discriminator"
    text, rows = (folder / "README.md").read_text(), read_rows(folder / "rows.jsonl", motion_discriminator.KEY)
    assert filled(text, {"accuracy": motion_discriminator.table(rows)}) == text


def test_the_table_of_plans_by_denoisers_is_the_one_that_the_rows_give():
    text = (denoiser_plans.FOLDER / "README.md").read_text()
    assert filled(text, {"plans": denoiser_plans.plans_table()}) == text, "run python -m tools.denoiser_plans"


BALLS = sorted(path.parent for path in RESULTS.glob(f"motion/**/{ball_motion.ROWS}"))


@pytest.mark.parametrize("folder", BALLS, ids=lambda folder: str(folder.relative_to(RESULTS)))
def test_the_tables_of_the_balls_motion_are_those_that_the_rows_give(folder):
    text, rows = (folder / ball_motion.PAGE).read_text(), read_rows(folder / ball_motion.ROWS, ball_motion.KEY)
    assert filled(text, {"ball": ball_motion.table(rows)}) == text


def test_the_table_of_plans_by_students_is_the_one_that_the_rows_give():
    text = (student_plans.FOLDER / "README.md").read_text()
    assert filled(text, {"plans": student_plans.plans_table()}) == text, "run python -m tools.student_plans"


def measured_folders(part: str, start: str) -> list[Path]:
    """Return the folders of docs/results that have rows in sub-folders with this beginning of a name."""
    files = row_files(RESULTS / part)
    return list(dict.fromkeys(path.parent.parent for path in files if path.parent.name.startswith(start)))


STUDENTS = measured_folders("motion", "motion-")


@pytest.mark.parametrize("folder", STUDENTS, ids=lambda folder: folder.name)
def test_the_tables_of_students_are_those_that_the_rows_give(folder):
    times = list({STUDENT_KEY.of(row): row for row in read_rows(folder / "rows.jsonl", STUDENT_KEY)}.values())
    assert (folder / "table.md").read_text().endswith(student_tables(measured_rows(folder), times))


RESTORED = sorted({path.parent for path in row_files(RESULTS / "restoration" / "videos")})


@pytest.mark.parametrize("folder", RESTORED, ids=lambda folder: folder.name)
def test_the_tables_of_restored_videos_are_those_that_the_rows_give(folder):
    rows = list({RESTORED_KEY.of(row): row for row in read_rows(folder / "rows.jsonl", RESTORED_KEY)}.values())
    passes = json.loads((folder / "config.json").read_text()).get("passes", 1)
    assert (folder / "table.md").read_text().endswith(restoration_tables(rows, passes=passes) + PUBLISHED)


RESTORED_GOALS = sorted({path.parent for path in row_files(RESULTS / "restoration" / "goals")})


@pytest.mark.parametrize("folder", RESTORED_GOALS, ids=lambda folder: folder.name)
def test_the_tables_of_restored_goals_are_those_that_the_rows_give(folder):
    rows = list({KEY.of(row): row for row in read_rows(folder / "rows.jsonl", KEY)}.values())
    assert (folder / "table.md").read_text().endswith(restored_tables(rows))


FLOW_MATCHING = measured_folders("flow-matching", "frames-")


@pytest.mark.parametrize("folder", FLOW_MATCHING, ids=lambda folder: folder.name)
def test_the_tables_of_denoisers_are_those_that_the_rows_give(folder):
    velocity = list({VELOCITY_KEY.of(row): row for row in read_rows(folder / "rows.jsonl", VELOCITY_KEY)}.values())
    first = json.loads((folder / "config.json").read_text())["arms"][0]
    assert (folder / "table.md").read_text() == flow_matching_tables(velocity, held_frames(folder), first=first)


@pytest.mark.parametrize("folder", ["ranking", "ranking/random"])
def test_the_tables_of_ranks_are_those_that_the_rows_give(folder):
    assert (RESULTS / folder / "table.md").read_text() == ranks(folder), "run python -m tools.results_table"
