"""Executors of other machines: the same results as those of this one, a lost job run again, and nothing left behind."""

from __future__ import annotations

import importlib.util
import os
import pickle
import re
import shlex
import types
from pathlib import Path

import pytest

from corrwise.experiments import Job, RunFolder, cli
from corrwise.experiments.cli.options import ExecutorConfig
from corrwise.experiments.cli.parse import parse
from corrwise.experiments.cli.table_mpc import MPCTableConfig
from corrwise.experiments.runs import clusters
from corrwise.experiments.runs.executors import Local, executor_of
from corrwise.experiments.runs.folder import RunFolder as Folder
from corrwise.experiments.runs.rows import NUMBER, Key, read_rows
from corrwise.validation import ConfigError
from tests.experiments.runs.workers import dies_once, fails

KEY = Key({"name": str, "seed": int}, {"square": NUMBER})


class FakeSubmitit:
    """The part of submitit that is used: AutoExecutor, jobs with done, result and cancel, and its two errors.

    A job runs when its result is asked for, in this process, from its pickle as in another. ``lost`` are the numbers
    of submissions that end without a result.
    """

    def __init__(self, lost=()):
        class UncompletedJobError(RuntimeError):
            pass

        class FailedJobError(UncompletedJobError):
            pass

        self.core = types.SimpleNamespace(
            utils=types.SimpleNamespace(UncompletedJobError=UncompletedJobError, FailedJobError=FailedJobError)
        )
        self.helpers = types.SimpleNamespace(DelayedSubmission=lambda call: ("again", call))
        self.lost, self.jobs, self.parameters = set(lost), [], {}

    def AutoExecutor(self, folder, cluster=None):
        self.folder, self.cluster = folder, cluster
        return self

    def update_parameters(self, **parameters):
        self.parameters |= parameters

    def submit(self, call):
        fake, number = self, len(self.jobs)

        class FakeJob:
            cancelled = False

            def done(self):
                return True

            def result(self):
                if number in fake.lost:
                    raise fake.core.utils.UncompletedJobError(f"job {number} has no output")
                return call()

            def cancel(self, check=True):
                self.cancelled = True

        self.jobs.append(FakeJob())
        return self.jobs[-1]


class FakeRay:
    """The part of Ray that is used; an actor holds a copy of its arguments. ``lost`` as in ``FakeSubmitit``."""

    def __init__(self, lost=()):
        class RayError(Exception):
            pass

        class RayTaskError(RayError):
            pass

        self.exceptions = types.SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)
        self.lost, self.calls, self.actors, self.killed, self.connected = set(lost), 0, 0, [], {}

    def is_initialized(self):
        return False

    def init(self, **options):
        self.connected = options

    def shutdown(self):
        self.connected = {}

    def remote(self, **options):
        fake = self

        class Actor:
            def __init__(self, kind, *arguments):
                fake.actors += 1
                held = kind(*pickle.loads(pickle.dumps(arguments)))
                self.run = types.SimpleNamespace(remote=lambda job: self._reference(held, job))

            def _reference(self, held, job):
                fake.calls += 1
                return fake.calls - 1, held, job

        return lambda kind: types.SimpleNamespace(remote=lambda *arguments: Actor(kind, *arguments))

    def wait(self, references, *, num_returns, timeout):
        return references[:num_returns], references[num_returns:]

    def get(self, reference):
        number, held, job = reference
        if number in self.lost:
            raise self.exceptions.RayError("The actor died")
        return held.run(pickle.loads(pickle.dumps(job)))

    def kill(self, actor, *, no_restart):
        self.killed.append(actor)


def _submitit(fake, workers=2):
    return clusters.Spread(lambda: clusters.Submitit(fake, ExecutorConfig(executor="submitit"), Path("jobs")), workers)


def _ray(fake, workers=2):
    return clusters.Spread(lambda: clusters.Ray(fake, "", workers), workers)


FAKES = {"submitit": (FakeSubmitit, _submitit), "ray": (FakeRay, _ray)}


@pytest.fixture(autouse=True)
def _threads(monkeypatch):
    monkeypatch.setattr(clusters, "one_thread", lambda: None)  # of this process, which the fakes work in


def _setup(name, *, threads, progress):
    return lambda keys: [{"name": name, "seed": seed, "square": float(seed**2)} for _, seed in keys]


def _jobs(seeds=range(5)):
    return [Job(_setup, name, {(name, seed): {} for seed in seeds}, together=2) for name in ("a", "b")]


def _plain(rows):
    return sorted((*KEY.of(row), row["square"]) for row in rows)


@pytest.mark.parametrize("name", FAKES)
def test_the_rows_are_those_of_this_machine_and_a_lost_job_is_run_again(tmp_path, name):
    kind, spread = FAKES[name]
    here = RunFolder(tmp_path / "here", {}, KEY).run(_jobs())
    fake = kind(lost={1, 2, 6})
    there = RunFolder(tmp_path / "there", {}, KEY)
    assert _plain(there.run(_jobs(), spread(fake))) == _plain(here)
    assert _plain(read_rows(there.file, KEY)) == _plain(here), "a row comes once"
    assert (len(fake.jobs) if name == "submitit" else fake.calls) == 6 + 3


@pytest.mark.parametrize("name", FAKES)
def test_a_job_that_is_lost_again_and_again_is_one_sentence_and_others_keep_their_rows(tmp_path, name):
    kind, spread = FAKES[name]
    folder = RunFolder(tmp_path, {}, KEY)
    with pytest.raises(RuntimeError, match="a worker process ended abruptly"):
        folder.run(_jobs(), spread(kind(lost={1, 2, 3}), 1))
    kept = read_rows(folder.file, KEY)
    assert len(kept) == 2
    assert len(folder.run(_jobs(), spread(kind()))) == 10, "the same call goes on"
    assert len(read_rows(folder.file, KEY)) == 10


@pytest.mark.parametrize("name", FAKES)
def test_what_a_job_raises_is_raised_here_with_its_traceback(name):
    kind, spread = FAKES[name]
    with pytest.raises(ValueError, match="job 7 cannot be done") as caught:
        list(spread(kind())(fails, [7]))
    assert "in fails" in str(caught.value.__cause__)


def _named(job, *, threads):
    return job


@pytest.mark.parametrize("name", FAKES)
def test_who_stops_listening_cancels_what_is_under_way(name):
    kind, spread = FAKES[name]
    fake = kind()
    results = spread(fake, 3)(_named, list(range(9)))
    assert next(results) == 0
    results.close()  # as a Ctrl-C does
    assert (sum(job.cancelled for job in fake.jobs) if name == "submitit" else len(fake.killed)) >= 2
    assert (len(fake.jobs) if name == "submitit" else fake.calls) == 3


def test_an_actor_of_ray_is_used_again_and_a_job_of_slurm_states_how_it_begins_again():
    ray, submitit = FakeRay(), FakeSubmitit()
    assert sorted(_ray(ray)(_named, list(range(6)))) == list(range(6))
    assert ray.actors == len(ray.killed) == 2
    assert ray.connected == {}
    assert sorted(_submitit(submitit)(_named, [1, 2])) == [1, 2]
    assert submitit.parameters == {"name": "corrwise", "timeout_min": 60, "mem_gb": 4, "cpus_per_task": 1}
    call = clusters._Call(submitit, _named, 3)
    assert call.checkpoint() == ("again", call)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="signals of a POSIX system")
def test_a_worker_of_this_machine_that_is_killed_is_replaced(tmp_path):
    jobs = [tmp_path / "a", tmp_path / "b"]
    for job in jobs:
        job.mkdir()
    assert sorted(Local(2)(dies_once, jobs)) == ["a", "b"]


@pytest.mark.parametrize("name", ["submitit", "ray"])
@pytest.mark.skipif("all(importlib.util.find_spec(each) for each in ('submitit', 'ray'))", reason="both are installed")
def test_a_package_that_is_missing_is_named_with_what_installs_it(tmp_path, name, capsys):
    if importlib.util.find_spec(name):
        pytest.skip(f"{name} is installed")
    words = ["table", "mpc", "--tasks", "cartpole", "--methods", "zero-action", "--executor", name]
    assert cli.main([*words, "--out", str(tmp_path / "out")]) == 2
    assert f"executor {name}: {name} is not installed; pip install 'corrwise[scale]'" in capsys.readouterr().err


def test_options_of_another_executor_are_refused():
    with pytest.raises(ConfigError, match="ray-address must be left out, for it belongs to executor ray"):
        ExecutorConfig(executor="submitit", ray_address="10.0.0.1:6379")
    with pytest.raises(ConfigError, match="unknown executor 'slurm'; there are local, submitit, ray"):
        ExecutorConfig(executor="slurm")


def _blocks(language):
    page = (Path(__file__).parents[3] / "docs/scale_out.md").read_text()
    found = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
    return [shlex.split(line) for block in found for line in block.splitlines()]


@pytest.mark.parametrize("words", _blocks("sh"), ids=lambda words: words[1])
def test_the_commands_of_the_guide_run(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert words[0] == "corrwise"
    assert cli.main(words[1:]) == 0
    out = Path(words[words.index("--out") + 1])
    assert len((out / "rows.jsonl").read_text().splitlines()) == {"table": 8, "mpc": 2}[words[1]]


def test_the_guides_commands_for_clusters_are_understood():
    commands = _blocks("text")
    made = [parse("corrwise table mpc", MPCTableConfig, words[3:]) for words in commands]
    assert [words[1:3] for words in commands] == [["table", "mpc"]] * 3
    assert [config.where.executor for config in made] == ["submitit", "ray", "ray"]


def test_submitit_itself_runs_the_jobs(tmp_path):
    pytest.importorskip("submitit")
    for cluster in ("debug", "local"):
        config = ExecutorConfig(executor="submitit", slurm_cluster=cluster)
        folder = Folder(tmp_path / cluster, {}, KEY)
        rows = folder.run(_jobs(range(2)), executor_of(config, 2, folder.out))
        assert _plain(rows) == sorted((name, seed, float(seed**2)) for name in "ab" for seed in range(2))


def test_ray_itself_runs_the_jobs_on_the_loopback_address(tmp_path):
    if not importlib.util.find_spec("ray"):
        pytest.skip("needs Ray")
    executor_of(ExecutorConfig(executor="ray"), 2, tmp_path)  # which loads Ray as it must be
    import ray

    seen = []

    class Watched(clusters.Ray):
        def finished(self, handles):
            seen.extend(node["NodeManagerAddress"] for node in ray.nodes())
            return super().finished(handles)

    executor = clusters.Spread(lambda: Watched(ray, "", 1), 1)
    rows = Folder(tmp_path, {}, KEY).run(_jobs(range(2)), executor)
    assert _plain(rows) == sorted((name, seed, float(seed**2)) for name in "ab" for seed in range(2))
    assert set(seen) == {"127.0.0.1"}
    assert not ray.is_initialized()
