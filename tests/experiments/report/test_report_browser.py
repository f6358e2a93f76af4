"""The report in a real browser: its table is there, it plays by itself and it fetches nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from corrwise.experiments.report.page import write_report

pytestmark = pytest.mark.browser
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
)


@pytest.fixture
def dom(tmp_path):
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is missing: run tools/system_packages.sh")
        pytest.skip("Chromium is missing: run tools/system_packages.sh")

    def dump(page, *, milliseconds, size="1280,2400", flags=()):
        profile = f"--user-data-dir={tmp_path / 'profile'}"
        budget = (f"--virtual-time-budget={milliseconds}", f"--window-size={size}", "--dump-dom")
        command = [CHROMIUM, *FLAGS, profile, *budget, *flags, page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout

    return dump


def steps(text):
    return [int(step) for step in re.findall(r'<figure class="strip [^>]*data-step="(\d+)"', text)]


def test_the_report_shows_its_table_and_plays(fake_run, dom):
    page = write_report(fake_run(costs=("l1", "corr-l1", "zero-action"), seeds=2, steps=40))
    text = dom(page, milliseconds=3000)
    table = text[text.index("<table") : text.index("</table>")]
    assert [name in table for name in ("l1", "corr-l1", "zero-action", "Compared with l1")] == [True] * 4
    assert len(steps(text)) == 6
    assert min(steps(text)) >= 5, "three seconds at eight frames a second"
    assert text.count('class="episode playing"') == 2
    assert re.search(r'<b class="now">\d+\.\d+</b>', text), "the current distance is shown"
    assert [int(step) for step in re.findall(r'data-drawn="(\d+)"', text)] == steps(text), "the frames are painted"
    assert re.findall(r"https?://(?!www\.w3\.org/)", text) == []


def test_playing_takes_its_time_and_starts_over(fake_run, dom):
    page = write_report(fake_run(costs=("l1",), seeds=1, steps=12))
    early, late = (steps(dom(page, milliseconds=ms))[0] for ms in (800, 1600))
    assert early < late
    assert steps(dom(page, milliseconds=3200))[0] < late, "after the last step and a rest it begins again"


def test_folded_episodes_wait_until_they_are_opened(fake_run, dom):
    page = write_report(fake_run(costs=("l1",), seeds=8, steps=10))
    assert steps(dom(page, milliseconds=1500))[6:] == [0, 0]


def test_it_stands_still_for_those_who_asked_for_less_motion(fake_run, dom):
    page = write_report(fake_run(costs=("l1",), seeds=1, steps=10))
    text = dom(page, milliseconds=1500, flags=("--force-prefers-reduced-motion",))
    assert steps(text) == [0]
    assert "Play all" in text
