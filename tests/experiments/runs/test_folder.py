"""One run folder for all commands: what is missing is made once, whoever makes it, and other runs are refused."""

import json
from pathlib import Path

import pytest

from corrwise.experiments import Job, RunFolder
from corrwise.experiments.runs.executors import Local
from corrwise.experiments.runs.folder import ConfigMismatch
from corrwise.experiments.runs.rows import COUNT, NUMBER, TEXT, Key, read_rows
from corrwise.experiments.runs.settings import Settings, versions

KEY = Key({"name": str, "seed": int}, {"square": NUMBER, "network": TEXT, "built": COUNT})


def _setup(subject, *, threads, progress):
    name, noise = subject
    built = 0

    def rows(keys):
        nonlocal built
        built += 1
        for _, seed in keys:
            yield {"name": name, "seed": seed, "square": seed**2 + noise, "built": built, "seconds": float(built)}

    return rows


def _jobs(seeds, names=("a", "b"), network="one", noise=0.0, together=2):
    return [
        Job(_setup, (name, noise), {(name, seed): {"network": network} for seed in seeds}, together) for name in names
    ]


def _plain(rows):
    return sorted((row["name"], row["seed"], row["square"], row["network"]) for row in rows)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_row_is_made_once_whoever_makes_it(tmp_path, workers):
    folder = RunFolder(tmp_path, {"task": "squares"}, KEY)
    few = folder.run(_jobs(range(3)), Local(1))
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write('{"name": "a", "se')
    rows = folder.run(_jobs(range(5)), Local(workers))
    assert len(few) == 6
    assert _plain(rows) == [(name, seed, seed**2, "one") for name in "ab" for seed in range(5)]
    assert _plain(read_rows(tmp_path / "rows.jsonl", KEY)) == _plain(rows), "nothing is made twice"
    assert json.loads((tmp_path / "config.json").read_text()) == {"task": "squares"}
    assert all(row["versions"] == versions() for row in rows)


def test_a_setup_is_used_for_all_rows_of_its_subject(tmp_path):
    rows = RunFolder(tmp_path, {}, KEY).run(_jobs(range(5)))
    assert {(row["name"], row["seed"]): row["built"] for row in rows if row["seed"] > 3} == {("a", 4): 3, ("b", 4): 3}


def test_rows_of_another_network_are_made_anew_and_found_again(tmp_path):
    folder = RunFolder(tmp_path, {}, KEY)
    folder.run(_jobs([1]))
    assert _plain(folder.run(_jobs([1], network="two"))) == [("a", 1, 1, "two"), ("b", 1, 1, "two")]
    folder.run(_jobs([1]))
    assert len(read_rows(folder.file, KEY)) == 4
    RunFolder(tmp_path, {}, KEY, newest=True).run(_jobs([1]))
    assert len(read_rows(folder.file, KEY)) == 6, "where the newest row counts, an older one is not current"


def test_other_settings_are_refused_and_a_second_run_waits(tmp_path):
    RunFolder(tmp_path, {"size": 1}, KEY).run(_jobs([1]))
    with pytest.raises(ConfigMismatch, match="size is 1 there and 2 here"):
        RunFolder(tmp_path, {"size": 2}, KEY).run(_jobs([1]))
    RunFolder(tmp_path, Settings({"size": 2}, free=["size"]), KEY).run(_jobs([1]))
    with RunFolder(tmp_path, {"size": 2}, KEY) as folder:
        assert len(folder.rows) == 2
        with pytest.raises(ValueError, match="another run is writing to"):
            RunFolder(tmp_path, {"size": 2}, KEY).run(_jobs([1]))
        folder.run(_jobs([1, 2]))


def _of_torch(folder, version):
    rows = [json.loads(line) for line in folder.file.read_text().splitlines()]
    for row in rows:
        row["versions"]["torch"] = version
    folder.file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def test_rows_of_another_torch_are_added_to_where_two_of_them_are_made_again(tmp_path):
    folder = RunFolder(tmp_path, {}, KEY)
    folder.run(_jobs(range(1, 4)))
    _of_torch(folder, "1.0")
    assert len(folder.run(_jobs(range(1, 4)))) == 6, "nothing is added, and nothing is checked"
    rows = folder.run(_jobs(range(1, 5), noise=1e-7))
    assert len(rows) == len(read_rows(folder.file, KEY)) == 8, "what was made to check is not kept"
    (check,) = json.loads((tmp_path / "config.json").read_text())["spot_checks"]
    assert (check["torch"], check["here"], len(check["rows"])) == ("1.0", versions()["torch"], 2)
    assert len(folder.run(_jobs(range(1, 6), noise=3.0))) == 10, "a version is checked once"


def test_rows_that_another_torch_does_not_give_again_are_refused_with_both_values(tmp_path):
    folder = RunFolder(tmp_path, {}, KEY)
    folder.run(_jobs(range(2, 4)))
    _of_torch(folder, "1.0")
    with pytest.raises(ConfigMismatch, match=r"does not give them again: square of a 2 is 4\.0 there and 4\.01 here"):
        folder.run(_jobs(range(2, 5), noise=0.01))
    assert len(read_rows(folder.file, KEY)) == 4
    with pytest.raises(ConfigMismatch, match="none of which is asked for and could be checked"):
        folder.run(_jobs([9]))


def test_folders_are_made_and_named(tmp_path):
    assert RunFolder(tmp_path / "a" / "b", {}, KEY).run([]) == []
    assert isinstance(RunFolder("relative", {}, KEY).out, Path)
