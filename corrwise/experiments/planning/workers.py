"""Jobs on all cores: one process each, with one thread, because threads of two processes wait for one another."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import TypeVar

__all__ = ["done"]

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")


def done(work: Callable[..., ResultT], jobs: Sequence[JobT], workers: int) -> Iterator[ResultT]:
    """Yield what each job gives, in the order in which they end; one that fails ends all after those under way.

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
    # A fresh interpreter for each worker: a fork would inherit the thread pools of torch, locked.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin) as pool:
        waiting = [pool.submit(work, job, threads=1) for job in jobs]
        try:
            for future in as_completed(waiting):
                yield future.result()
        except BrokenProcessPool as error:
            raise RuntimeError(
                "a worker process ended abruptly: killed, for lack of memory perhaps, or unable to start; the same "
                "command goes on, and needs less memory with fewer --workers or a smaller --lockstep"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin() -> None:
    import cv2
    import torch

    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _end_with_parent() -> None:
    """Do not wait forever for a parent that was killed."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
