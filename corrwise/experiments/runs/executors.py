"""Where jobs run: processes of this machine, or the machines of ``clusters``; the results are the same.

A process of this machine has one thread, because threads of two processes slow each other down.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, runtime_checkable

from corrwise._faults import Failure
from corrwise._process import interruptions_later
from corrwise.experiments.cli.options import ExecutorConfig

TRIES = 3  # of a job whose worker is lost
LOST = (
    "a worker process ended abruptly: killed, for lack of memory perhaps, or unable to start; the same "
    "command goes on, and needs less memory with fewer --processes or a smaller --lockstep"
)
_GRACE = 2.0  # seconds that a worker has to remove its temporary files


@runtime_checkable
class Executor(Protocol):
    """Runs jobs somewhere, as many at a time as it likes."""

    def __call__(self, work: Callable[..., Any], jobs: Sequence[Any]) -> Iterator[Any]:
        """Yield each job's result, in the order in which they end; one that fails ends all after those under way.

        A job whose worker is lost is run again; its result comes once. However the iteration ends, the workers have
        ended with it.

        Args:
            work: called as ``work(job, threads=n)``, 0 for all CPUs. It can be pickled, and every worker keeps its own
                copy from its first job to its last: what takes long to build may stay in it.
            jobs: with what; each can be pickled.

        Raises:
            RuntimeError: the worker of one job was lost again and again.
        """
        ...


class Lost(Exception):
    """A job ended without a result: its worker, or the machine, was lost."""


@runtime_checkable
class Machines(Protocol):
    """Workers that run one job at a time each; a handle is a job under way."""

    def submit(self, work: Callable[..., Any], job: Any) -> Any:
        """Start ``attempted(work, job)`` somewhere and return its handle."""
        ...

    def finished(self, handles: Sequence[Any]) -> list[Any]:
        """Return those that have ended, whatever their end; wait for a moment where none has."""
        ...

    def result(self, handle: Any) -> Any:
        """Return the result of a job that has ended, or raise ``Lost``."""
        ...

    def cancel(self, handle: Any) -> None:
        """End a job that is no longer needed."""
        ...

    def close(self) -> None:
        """End the workers."""
        ...


@dataclass(frozen=True)
class Spread:
    """Runs jobs on machines (``Executor``), so many at a time.

    Attributes:
        machines: connects to them when the first job is at hand.
        workers: how many jobs are under way at a time.
    """

    machines: Callable[[], Machines]
    workers: int

    def __call__(self, work: Callable[..., Any], jobs: Sequence[Any]) -> Iterator[Any]:
        """Yield each job's result, see ``Executor``."""
        if not jobs:
            return
        machines = self.machines()
        waiting = deque((job, 1) for job in jobs)
        flying: dict[int, tuple[Any, Any, int]] = {}  # by the handle's identity: handle, job, which try it is
        failed: Exception | None = None
        try:
            while flying or (waiting and failed is None):
                while waiting and failed is None and len(flying) < self.workers:
                    job, times = waiting.popleft()
                    handle = machines.submit(work, job)
                    flying[id(handle)] = handle, job, times
                for ended in machines.finished([handle for handle, _, _ in flying.values()]):
                    handle, job, times = flying.pop(id(ended))
                    try:
                        result = machines.result(handle)
                    except Lost:
                        if times == TRIES:
                            failed = failed or RuntimeError(LOST)
                        else:
                            waiting.appendleft((job, times + 1))
                        continue
                    if isinstance(result, Failure):
                        failed = failed or result.error()
                    else:
                        yield result
        finally:
            for handle, _, _ in flying.values():
                machines.cancel(handle)
            machines.close()
        if failed is not None:
            raise failed


@dataclass(frozen=True)
class Local:
    """Runs jobs in processes of this machine (``Executor``).

    Attributes:
        workers: how many at a time; 0 means one for each core. A single one works in this process, with all threads.
    """

    workers: int = 0

    def here(self, jobs: int) -> bool:
        """Return whether so many jobs are run in this process."""
        return min(self.workers or cores(), jobs) < 2

    def __call__(self, work: Callable[..., Any], jobs: Sequence[Any]) -> Iterator[Any]:
        """Yield each job's result, see ``Executor``."""
        if self.here(len(jobs)):
            yield from (work(job, threads=0) for job in jobs)
        else:
            yield from Spread(_Processes, self.workers or cores())(work, jobs)


def executor_of(config: ExecutorConfig, workers: int, folder: Path) -> Executor:
    """Return the executor that the options name.

    Args:
        config: which, and how to reach it.
        workers: how many jobs run at a time; 0 is one for each core.
        folder: of the run, for the files that an executor needs.

    Raises:
        RuntimeError: its package is not installed.
    """
    if config.executor == "local":
        return Local(workers)
    from corrwise.experiments.runs.clusters import cluster_of

    return cluster_of(config, workers, folder)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class _Worker:
    process: SpawnProcess
    connection: Connection


class _Processes:
    """Processes of this machine (``Machines``); a worker that has ended its job takes the next one.

    They are joined by pipes: a queue needs semaphores, which a process that is killed leaves behind.
    """

    def __init__(self) -> None:
        self._crew: list[_Worker] = []
        self._idle: list[_Worker] = []
        resource_tracker.ensure_running()  # started by the first process, it would release the signals held back there

    def submit(self, work: Callable[..., Any], job: Any) -> _Worker:
        if not self._idle:
            with interruptions_later():
                self._crew.append(_started(work))
            self._idle.append(self._crew[-1])
        worker = self._idle.pop()
        with suppress(OSError):  # it has ended, which is seen when its answer is read
            worker.connection.send(job)
        return worker

    def finished(self, handles: Sequence[_Worker]) -> list[_Worker]:
        ready = wait([worker.connection for worker in handles])
        return [worker for worker in handles if worker.connection in ready]

    def result(self, handle: _Worker) -> Any:
        try:
            result = handle.connection.recv()
        except (EOFError, OSError) as error:
            raise Lost from error
        self._idle.append(handle)
        return result

    def cancel(self, handle: _Worker) -> None:
        handle.process.terminate()

    def close(self) -> None:
        for worker in self._crew:
            worker.process.terminate()
        until = time.monotonic() + _GRACE
        for worker in self._crew:
            worker.process.join(max(0.0, until - time.monotonic()))
        for worker in self._crew:
            worker.process.kill()
            worker.process.join()
            worker.connection.close()


def _started(work: Callable[..., Any]) -> _Worker:
    # A fresh interpreter for each worker: a fork would inherit the thread pools of torch, locked.
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(work, there), daemon=True)
    process.start()
    there.close()  # or its end would go unnoticed
    return _Worker(process, here)


def _serve(work: Callable[..., Any], connection: Connection) -> None:
    """Answer one job after the other, until the parent closes the pipe."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())  # its own is a semaphore, which a process that is killed leaves behind
    one_thread()
    try:
        signal.signal(signal.SIGTERM, _asked_to_end)
        while True:
            result = attempted(work, connection.recv())
            try:
                connection.send(result)
            except OSError:
                raise
            except Exception as error:  # pickle raises many types for a result that cannot be sent
                connection.send(Failure.of(error))
    except (EOFError, OSError, SystemExit):
        os._exit(0)  # threads that read ahead are not waited for


def one_thread() -> None:
    """Let this process compute with one thread."""
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def attempted(work: Callable[..., Any], job: Any) -> Any:
    """Return a job's result, or as a ``Failure`` what it raised: pickled exceptions lose their traceback."""
    try:
        return work(job, threads=1)
    except Exception as error:
        return Failure.of(error)


def _asked_to_end(number: int, frame: FrameType | None) -> None:
    """Leave by an exception, so that temporary files are removed on the way out."""
    sys.unraisablehook = lambda _: None  # where it cannot be raised, Python would print it
    raise SystemExit


def _end_with_parent() -> None:
    """End as soon as the parent is killed."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
