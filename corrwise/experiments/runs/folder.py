"""The folder of a run: one run at a time, one configuration, rows that are only appended, and any executor.

Every command with rows calls ``RunFolder(out, settings, key).run(jobs, executor)``. It takes the folder's lock, checks
that the rows in it belong to these settings and versions, determines which rows are missing, lets an executor make
them, and appends each as it comes. The same call continues a run that was killed, and ends with the same rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from tqdm import tqdm

from corrwise._files import read_json
from corrwise._writing import RunFolderError, jsonable, only_run, write_json_atomic
from corrwise.experiments.runs.executors import Executor, Local
from corrwise.experiments.runs.jobs import Job, Part, Worker, nothing
from corrwise.experiments.runs.owner import owner_of, refuse_other
from corrwise.experiments.runs.rows import KEY, Key, Row, RowKey, append_row, open_rows, six_digits, values_agree
from corrwise.experiments.runs.settings import ConfigMismatch, compare_settings, versions

_CHECKED = 2  # rows that are made again where another torch made those of the folder
_CHECKS = "spot_checks"  # in config.json


class RunFolder:
    """The folder of one run; ``with`` holds its lock, and so does ``run`` by itself.

    Args:
        out: the folder; it is made where there is none.
        settings: what its rows depend on, see ``Settings``; config.json shows them.
        key: what identifies a row, and what else a row may hold.
        begun: whether a folder holds results that are no rows.
        newest: whether of rows with the same key the last one counts, also where an earlier one is current.
        digits: whether rows are kept to six digits.
        packages: whose versions a row has; by default all that results depend on.

    Attributes:
        out: the folder.
        rows: all rows of the folder, as long as its lock is held.
    """

    def __init__(
        self,
        out: Path | str,
        settings: Mapping[str, Any],
        key: Key = KEY,
        *,
        begun: Callable[[Path], bool] = lambda out: False,
        newest: bool = False,
        digits: bool = False,
        packages: Collection[str] = (),
    ) -> None:
        self.out, self.rows = Path(out), list[Row]()
        self._settings, self._key, self._begun, self._newest, self._digits = settings, key, begun, newest, digits
        self._versions = {name: value for name, value in versions().items() if not packages or name in packages}
        self._stack: ExitStack | None = None

    @property
    def file(self) -> Path:
        """The file of the rows."""
        return self.out / "rows.jsonl"

    def __enter__(self) -> RunFolder:
        """Take the lock, check the configuration and read the rows.

        Raises:
            ConfigMismatch: the folder holds rows of other settings or of another simulator.
            RunFolderError: another run holds it, it is another command's, or it cannot be used.
        """
        refuse_other(self.out, owner_of(self._settings), "choose another output folder")
        with ExitStack() as stack:
            stack.enter_context(only_run(self.out))
            self.rows = open_rows(self.file, self._key, check=self._claim)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *raised: object) -> None:
        """Let go of the lock."""
        assert self._stack is not None
        self._stack.close()
        self._stack = None

    def _claim(self, rows: Sequence[Row]) -> None:
        """Check that the folder's rows belong to these settings and this simulator, and write config.json."""
        here, path = versions()["mujoco"], self.out / "config.json"
        for there in (_version(row, "mujoco") for row in rows):
            if there not in ("", here):  # results of two simulators could not be compared
                raise ConfigMismatch(
                    f"{self.out} holds rows made with mujoco {there}, and here is {here}; choose another folder"
                )
        try:
            old = read_json(path) if path.exists() else None
        except OSError as error:
            raise RunFolderError(f"cannot read {path}: {error.strerror or error}") from error
        except ValueError as error:
            raise RunFolderError(f"{error}; move it away or choose another output folder") from error
        checks = old.pop(_CHECKS, None) if isinstance(old, dict) else None
        if rows or self._begun(self.out):
            # Any run could have made them: what is not stated would count as a default.
            if old is None or (not old and self._settings):
                raise ConfigMismatch(
                    f"{path} is {'missing' if old is None else 'empty'}, and the results in {self.out} could be of "
                    "another configuration; restore it or choose another output folder"
                )
            compare_settings(self.out, old, self._settings)
        elif old is not None and not (
            isinstance(old, dict) and 2 * len(old.keys() & self._settings.keys()) >= len(old)
        ):
            raise RunFolderError(f"{path} is not a run's configuration; move it away or choose another output folder")
        write_json_atomic(path, {**self._settings, _CHECKS: checks} if checks else dict(self._settings))

    def run(
        self,
        jobs: Iterable[Job],
        executor: Executor | None = None,
        *,
        unit: str = "row",
        again: Collection[RowKey] = (),
        ended: Callable[[Job], Any] | None = None,
    ) -> list[Row]:
        """Make the rows that the folder lacks, and return the current row of every key that was asked for.

        Args:
            jobs: what is asked for.
            executor: makes it; by default this process, with all threads.
            unit: what the progress bar counts.
            again: keys of rows that are made anew, also where the folder has them.
            ended: called with each job when the last of its missing rows has been appended.

        Raises:
            ConfigMismatch: the rows of the folder are of another torch, and making two of them again gives others.
            RunFolderError: the folder cannot be used.
        """
        if self._stack is None:
            with self:
                return self.run(jobs, executor, unit=unit, again=again, ended=ended)
        jobs, executor = list(jobs), Local(1) if executor is None else executor
        there = self._current(jobs)
        parts = [part for job in jobs for part in job.parts(there.keys() - set(again))]
        if parts:
            self._check_torch(jobs, there)
            stamps = {key: stamp for job in jobs for key, stamp in job.rows.items()}
            missing = {key for part in parts for key in part.keys}
            open_jobs = [job for job in jobs if job.rows.keys() & missing]
            here = isinstance(executor, Local) and executor.here(len(parts))
            with closing(_Bar(parts, unit, self.out.name, here=here)) as bar:
                for keys, rows in executor(bar.worker, parts):
                    for row in rows:
                        if (key := self._key.of(row)) in keys:  # others may have come along
                            self.append({**row, **stamps[key]})
                    bar.done(keys)
                    missing -= set(keys)
                    for job in [job for job in open_jobs if not job.rows.keys() & missing]:
                        open_jobs.remove(job)
                        if ended is not None:
                            bar.end_label()
                            ended(job)
        return list(self._current(jobs).values())

    def append(self, row: Row) -> None:
        """Append one row with the versions that made it; the lock must be held."""
        assert self._stack is not None, "a row is appended while the lock is held"
        row = {**row, "versions": self._versions}
        row = {name: six_digits(value) for name, value in jsonable(row).items()} if self._digits else jsonable(row)
        append_row(self.file, row)
        self.rows.append(row)

    def _current(self, jobs: Sequence[Job]) -> dict[RowKey, Row]:
        """Return by key the newest row of each that was asked for, where there is one that is current."""
        stamps = {key: stamp for job in jobs for key, stamp in job.rows.items()}
        current: dict[RowKey, Row] = {}
        for row in self.rows:
            key = self._key.of(row)
            if key in stamps:
                if all(row.get(name, nothing) == value for name, value in stamps[key].items()):
                    current[key] = row
                elif self._newest:
                    current.pop(key, None)
        return current

    def _check_torch(self, jobs: Sequence[Job], there: Mapping[RowKey, Row]) -> None:
        """Make two rows of another torch again, and refuse to add to them if they are not the same to six digits."""
        here = versions()["torch"]
        config = read_json(self.out / "config.json")
        checks = config.get(_CHECKS) or []
        passed = {check.get("torch") for check in checks if check.get("here") == here}
        for other in sorted({_version(row, "torch") for row in self.rows} - {"", here, *passed}):
            chosen = [key for key, row in there.items() if _version(row, "torch") == other][:_CHECKED]
            if not chosen:
                raise ConfigMismatch(
                    f"{self.out} holds rows made with torch {other}, none of which is asked for and could be checked, "
                    f"and here is {here}; choose another folder"
                )
            for key in chosen:
                (job,) = [job for job in jobs if key in job.rows]
                made = job.setup(job.subject, threads=0, progress=nothing)([key])
                (again,) = [jsonable(row) for row in made if self._key.of(row) == key]
                for name in there[key].keys() & again.keys():
                    if not values_agree(name, was := there[key][name], now := again[name]):
                        raise ConfigMismatch(
                            f"{self.out} holds rows made with torch {other}, and {here} here does not give them again: "
                            f"{name} of {' '.join(map(str, key))} is {was} there and {now} here; choose another folder"
                        )
            checks = [*checks, {"torch": other, "here": here, "rows": [list(key) for key in chosen]}]
            write_json_atomic(self.out / "config.json", {**config, _CHECKS: checks})


class _Bar:
    """Shows how far a run is: in this process by steps, a bar for each label; elsewhere one bar of all parts."""

    def __init__(self, parts: Sequence[Part], unit: str, name: str, *, here: bool) -> None:
        self._here, self._name, self._unit = here, name, "step" if here and unit == "episode" else unit
        self._total = Counter[str]()
        for part in parts:
            self._total[part.label if here else ""] += part.steps if here else len(part.keys)
        self._bar: tqdm[Any] | None = None
        self._label: str | None = None
        self._left = 0
        self.worker = Worker(self._step, self._begin) if here else Worker()
        if not here:
            self._open("")

    def done(self, keys: Sequence[RowKey]) -> None:
        assert self._bar is not None
        self._bar.update(self._left if self._here else len(keys))
        self._left = 0

    def end_label(self) -> None:
        """Close the bar of a label that is complete; the one bar of all parts stays."""
        if self._here and self._bar is not None:
            self._bar.close()
            self._bar = self._label = None

    def _begin(self, part: Part) -> None:
        if self._label != part.label:
            self._open(part.label)
        self._left = part.steps

    def _step(self) -> None:
        if self._left and self._bar is not None:
            self._left -= 1
            self._bar.update()

    def _open(self, label: str) -> None:
        self.end_label()
        self._label, words = label, filter(None, (self._name, label))
        self._bar = tqdm(total=self._total[label], unit=self._unit, desc=" ".join(words))

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _version(row: Row, package: str) -> str:
    return str((row.get("versions") or {}).get(package, ""))
