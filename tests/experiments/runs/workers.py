"""Jobs that worker processes run in tests: a module that imports little, so that a worker starts fast."""

import os
import signal
import threading
import time


def fails(job, *, threads):
    """Fail."""
    raise ValueError(f"job {job} cannot be done")


def fails_second(job, *, threads):
    """Fail if the job is 1."""
    if job == 1:
        raise ValueError(f"job {job} cannot be done")
    return job


def dies(job, *, threads):
    """Kill the worker."""
    os.kill(os.getpid(), signal.SIGKILL)


def dies_once(job, *, threads):
    """Kill the first worker that gets the job, a folder."""
    mark = job / "died"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return job.name


def cannot_be_sent(job, *, threads):
    """Return what cannot be pickled."""
    return threading.Lock()


def waits(job, *, threads):
    """Write the worker's number into the job, a folder, and wait for an hour."""
    (job / f"{os.getpid()}").touch()
    time.sleep(3600)
