"""Each Python block of the docs that has imports runs in a fresh process, with smaller numbers where it is slow."""

from __future__ import annotations

import re

import pytest

from tests.envs.renderers.test_gl import needs_egl
from tests.snippets import ROOT, chains, run_alone, save_named

PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if page.name != "train_a_predictor.md"  # tests/experiments/studies/predictors/test_docs.py runs it
]
QUICK = {
    "range(40)": "range(2)",
    '"corrwise/Cartpole-v0").unwrapped': '"corrwise/Cartpole-v0", size=24).unwrapped',
    "horizon=12), state_source=env.snapshot": "horizon=12, candidates=4, iterations=1), state_source=env.snapshot",
    'make("corrwise/Cartpole-v0")\nplanner': 'make("corrwise/Cartpole-v0", max_episode_steps=2)\nplanner',
    "num_envs=4": "num_envs=4, size=24",
    "num_envs=16": "num_envs=2, size=32",
    'make("corrwise/Cartpole-v0", distance': 'make("corrwise/Cartpole-v0", size=36, distance',
    "learn(50)": "learn(46)",
    'episodes=3, out="runs/library"': 'episodes=1, steps=2, size=16, candidates=4, out="runs/library"',
}
PRINTS = {  # what a reader sees, by a line of the block
    "def log_cosh_error(": r"squared: .* by \de-1[4-9], .* by \de-1[4-9]\nlog_cosh_error: .* by 1e-02, .* by 4e-03\n",
    "at the nearest": r"\d\.\d\d away at first, \d\.\d\d at the nearest\n",
    "evaluate_policy(": r"mean return -\d\.\d\d\n",
    "goal_displacement": r"-(\d\S*) \1 0\.\d+\n|-(\d\S*) \2 [1-9]\S*\n",
}
CHAINS = [
    pytest.param(page, code, id=f"{page.stem}-{number}", marks=[needs_egl] if "rgb_array" in code else [])
    for page in PAGES
    for number, code in enumerate(chains(page))
]


@pytest.mark.parametrize(("page", "code"), CHAINS)
def test_a_block_with_imports_of_its_own_runs_alone(page, code, tmp_path):
    save_named(page, tmp_path)
    for slow, quick in QUICK.items():
        code = code.replace(slow, quick)
    done = run_alone(code, tmp_path, MUJOCO_GL="egl" if "rgb_array" in code else "disable")
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}{done.stderr}"
    for line, printed in PRINTS.items():
        if line in code:
            assert re.fullmatch(printed, done.stdout), done.stdout


def test_every_replacement_still_finds_what_it_makes_quick():
    everything = "".join(code for page in PAGES for code in chains(page))
    assert [slow for slow in QUICK if slow not in everything] == []
    assert [line for line in PRINTS if line not in everything] == []


def test_what_draws_by_opengl_closes_its_environment():
    for page in PAGES:
        for code in chains(page):
            assert "rgb_array" not in code or ".close()" in code, page.name
