"""Jobs on all cores: one process each, with one thread, because threads of two processes wait for one another."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Any, TypeVar, cast

from corrwise.experiments.cli.faults import Failure
from corrwise.experiments.cli.stopping import interruptions_later

__all__ = ["done"]

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")
_GRACE = 2.0  # seconds that a worker has to remove its temporary files
_KILLED = (
    "a worker process ended abruptly: killed, for lack of memory perhaps, or unable to start; the same "
    "command goes on, and needs less memory with fewer --processes or a smaller --lockstep"
)


def done(work: Callable[..., ResultT], jobs: Sequence[JobT], workers: int) -> Iterator[ResultT]:
    """Yield what each job gives, in the order in which they end; one that fails ends all after those under way.

    However the iteration ends, the workers have ended with it.

    Args:
        work: called as ``work(job, threads=n)``, 0 for all CPUs; a function that a fresh interpreter can import.
        jobs: with what.
        workers: how many at a time; 0 means one for each core. A single one works here, with all threads.

    Raises:
        RuntimeError: a worker was killed.
    """
    workers = min(workers or _cores(), len(jobs))
    if workers < 2:
        yield from (work(job, threads=0) for job in jobs)
        return
    crew: list[_Worker] = []
    try:
        resource_tracker.ensure_running()  # by itself it would let go of the signals that are held back here
        with interruptions_later():
            crew.extend(_started(work) for _ in range(workers))
        yield from _answers(crew, list(jobs))
    finally:
        _end(crew)


@dataclass(frozen=True)
class _Worker:
    process: SpawnProcess
    connection: Connection


def _answers(crew: Sequence[_Worker], jobs: list[Any]) -> Iterator[Any]:
    """Hand out the jobs, and yield the results; raise what went wrong first once all others have answered."""
    busy: dict[Connection, _Worker] = {}
    idle = list(crew)
    failed: Exception | None = None
    while True:
        while jobs and idle and failed is None:
            worker = idle.pop()
            busy[worker.connection] = worker
            _send(worker.connection, jobs.pop(0))
        if not busy:
            break
        for ready in wait(list(busy)):
            worker = busy.pop(cast(Connection, ready))
            try:
                result = worker.connection.recv()
            except (EOFError, OSError):
                failed = failed or RuntimeError(_KILLED)
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
    import cv2
    import torch
    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())  # its own is a semaphore, of which a process that is killed leaves a trace
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        signal.signal(signal.SIGTERM, _asked_to_end)
        while True:
            _answer(connection, _tried(work, connection.recv()))
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


def _tried(work: Callable[..., Any], job: Any) -> Any:
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
