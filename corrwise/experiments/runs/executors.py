"""Where jobs run: processes of this machine, with one thread each, because threads of two processes slow each other.

``clusters`` has the executors of other machines. Whatever runs them, the jobs give the same results.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, cast, runtime_checkable

from corrwise._faults import Failure
from corrwise._process import interruptions_later
from corrwise.experiments.cli.options import ExecutorConfig

__all__ = ["LOST", "Executor", "Local", "attempted", "executor_of", "one_thread"]

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
        """Yield what each job gives, in the order in which they end; one that fails ends all after those under way.

        A job whose worker is lost is run again; its result comes once. However the iteration ends, the workers have
        ended with it.

        Args:
            work: called as ``work(job, threads=n)``, 0 for all CPUs. It can be pickled, and every worker keeps a copy
                of its own from its first job to its last: what is dear to build may stay in it.
            jobs: with what; each can be pickled.

        Raises:
            RuntimeError: the worker of one job was lost again and again.
        """
        ...


def executor_of(config: ExecutorConfig, workers: int, folder: Path) -> Executor:
    """Return the executor that the options name.

    Args:
        config: which, and how to reach it.
        workers: how many jobs run at a time; 0 is one for each core that there is.
        folder: of the run, for the files that an executor needs.

    Raises:
        RuntimeError: its package is not installed.
    """
    if config.executor == "local":
        return Local(workers)
    from corrwise.experiments.runs.clusters import cluster_of

    return cluster_of(config, workers, folder)


@dataclass(frozen=True)
class Local:
    """Runs jobs in processes of this machine (``Executor``).

    Attributes:
        workers: how many at a time; 0 means one for each core. A single one works in this process, with all threads.
    """

    workers: int = 0

    def here(self, jobs: int) -> bool:
        """Return whether so many jobs are run in this process."""
        return min(self.workers or _cores(), jobs) < 2

    def __call__(self, work: Callable[..., Any], jobs: Sequence[Any]) -> Iterator[Any]:
        """Yield what each job gives, see ``Executor``."""
        if self.here(len(jobs)):
            yield from (work(job, threads=0) for job in jobs)
            return
        crew: list[_Worker] = []
        try:
            resource_tracker.ensure_running()  # by itself it would let go of the signals that are held back here
            with interruptions_later():
                crew.extend(_started(work) for _ in range(min(self.workers or _cores(), len(jobs))))
            yield from _answers(crew, work, jobs)
        finally:
            _end(crew)


@dataclass(frozen=True)
class _Worker:
    process: SpawnProcess
    connection: Connection


def _answers(crew: list[_Worker], work: Callable[..., Any], jobs: Sequence[Any]) -> Iterator[Any]:
    """Hand out the jobs, and yield the results; raise what went wrong first once all others have answered."""
    waiting = deque((job, 1) for job in jobs)
    busy: dict[Connection, tuple[_Worker, Any, int]] = {}
    idle = list(crew)
    failed: Exception | None = None
    while True:
        while waiting and idle and failed is None:
            worker, (job, times) = idle.pop(), waiting.popleft()
            busy[worker.connection] = worker, job, times
            _send(worker.connection, job)
        if not busy:
            break
        for ready in wait(list(busy)):
            worker, job, times = busy.pop(cast(Connection, ready))
            try:
                result = worker.connection.recv()
            except (EOFError, OSError):
                if times == TRIES:
                    failed = failed or RuntimeError(LOST)
                elif failed is None:
                    waiting.appendleft((job, times + 1))
                    with interruptions_later():
                        crew.append(_started(work))
                    idle.append(crew[-1])
                continue
            idle.append(worker)
            if isinstance(result, Failure):
                failed = failed or result.error()
            else:
                yield result
    if failed is not None:
        raise failed


def _send(connection: Connection, job: Any) -> None:
    try:
        connection.send(job)
    except OSError:  # it has ended, which is seen when its answer is read
        return


def _started(work: Callable[..., Any]) -> _Worker:
    # A fresh interpreter for each worker: a fork would inherit the thread pools of torch, locked.
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(work, theirs), daemon=True)
    process.start()
    theirs.close()  # or its end would go unnoticed
    return _Worker(process, ours)


def _end(crew: Sequence[_Worker]) -> None:
    for worker in crew:
        worker.process.terminate()
    until = time.monotonic() + _GRACE
    for worker in crew:
        worker.process.join(max(0.0, until - time.monotonic()))
    for worker in crew:
        worker.process.kill()
        worker.process.join()
        worker.connection.close()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _serve(work: Callable[..., Any], connection: Connection) -> None:
    """Answer one job after the other, until the parent hangs up."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())  # its own is a semaphore, of which a process that is killed leaves a trace
    one_thread()
    try:
        signal.signal(signal.SIGTERM, _asked_to_end)
        while True:
            _answer(connection, attempted(work, connection.recv()))
    except (EOFError, OSError, SystemExit):
        os._exit(0)  # threads that read ahead are not waited for


def _answer(connection: Connection, result: Any) -> None:
    """Send a result, or what is wrong with one that cannot be sent."""
    try:
        connection.send(result)
    except OSError:
        raise
    except Exception as error:  # pickle raises many types
        connection.send(Failure.of(error))


def one_thread() -> None:
    """Let this process compute with one thread."""
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def attempted(work: Callable[..., Any], job: Any) -> Any:
    """Return what a job gives, or as a ``Failure`` what it raised: pickled exceptions lose their traceback."""
    try:
        return work(job, threads=1)
    except Exception as error:
        return Failure.of(error)


def _asked_to_end(number: int, frame: FrameType | None) -> None:
    """Leave by an exception, so that temporary files are removed on the way out."""
    sys.unraisablehook = lambda _: None  # where it cannot be raised, Python would print it
    raise SystemExit


def _end_with_parent() -> None:
    """Do not wait forever for a parent that was killed."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
