"""Executors of other machines: SLURM through submitit, and Ray; both packages are in the extra ``scale``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corrwise.experiments.cli.options import ExecutorConfig
from corrwise.experiments.runs.executors import Lost, Spread, attempted, cores, one_thread

_POLL = 0.5  # seconds between two checks of jobs under way; also what a Ctrl-C may wait for
_MOST = 64  # jobs under way at a time by default
_INSTALL = "is not installed; pip install 'corrwise[scale]' brings it"


def cluster_of(config: ExecutorConfig, workers: int, folder: Path) -> Spread:
    """Return the executor that the options name.

    Raises:
        RuntimeError: its package is not installed.
    """
    if config.executor == "submitit":
        try:
            import submitit
        except ImportError as error:
            raise RuntimeError(f"executor submitit: submitit {_INSTALL}") from error
        return Spread(lambda: Submitit(submitit, config, folder / "submitit"), workers or _MOST)
    if config.ray_token_file is not None:  # Ray reads these when it is loaded
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(config.ray_token_file.resolve())}
    if not config.ray_address:  # else even a local cluster listens on all interfaces
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
    except ImportError as error:
        raise RuntimeError(f"executor ray: ray {_INSTALL}") from error
    most = workers or (_MOST if config.ray_address else cores())
    return Spread(lambda: Ray(ray, config.ray_address, most), most)


class _Call:
    """One job as submitit calls it; one that is preempted or runs out of time begins again."""

    def __init__(self, package: Any, work: Callable[..., Any], job: Any) -> None:
        self._package, self._work, self._job = package, work, job

    def __call__(self) -> Any:
        one_thread()
        return attempted(self._work, self._job)

    def checkpoint(self) -> Any:
        """Return what is submitted in this job's place, as submitit asks for it."""
        return self._package.helpers.DelayedSubmission(self)

    def __getstate__(self) -> dict[str, Any]:
        return {"_work": self._work, "_job": self._job}

    def __setstate__(self, state: dict[str, Any]) -> None:
        import submitit

        self.__dict__.update(state, _package=submitit)


class Submitit:
    """Each job is a SLURM job with one core (``Machines``); its files and its log are in a folder.

    Args:
        package: the module ``submitit``.
        config: cluster, partition, time limit and memory.
        folder: on a disk that all machines share.
    """

    def __init__(self, package: Any, config: ExecutorConfig, folder: Path) -> None:
        self._package = package
        self._executor = package.AutoExecutor(folder=folder, cluster=config.slurm_cluster or None)
        more = {"slurm_partition": config.slurm_partition} if config.slurm_partition else {}
        self._executor.update_parameters(
            name="corrwise", timeout_min=config.slurm_minutes, mem_gb=config.slurm_memory, cpus_per_task=1, **more
        )

    def submit(self, work: Callable[..., Any], job: Any) -> Any:
        """Submit a job."""
        return self._executor.submit(_Call(self._package, work, job))

    def finished(self, handles: Sequence[Any]) -> list[Any]:
        """Return the jobs that have ended."""
        done = [job for job in handles if job.done()]
        if not done:
            time.sleep(_POLL)
        return done

    def result(self, handle: Any) -> Any:
        """Return the result, see ``Machines``."""
        try:
            return handle.result()
        except self._package.core.utils.FailedJobError:  # also of one that could not be loaded there
            raise
        except self._package.core.utils.UncompletedJobError as error:
            raise Lost(str(error)) from error

    def cancel(self, handle: Any) -> None:
        """Cancel a job."""
        handle.cancel(check=False)

    def close(self) -> None:
        """Do nothing: each job has its own process."""


@dataclass(frozen=True)
class _Flight:
    """A job of Ray: what its result will be, and the actor that works on it."""

    reference: Any
    actor: Any


class _Actor:
    """Keeps what takes long to build from job to job."""

    def __init__(self, work: Callable[..., Any]) -> None:
        one_thread()
        self._work = work

    def run(self, job: Any) -> Any:
        """Return a job's result, or a ``Failure``."""
        return attempted(self._work, job)


@dataclass
class Ray:
    """Jobs of a Ray cluster, one core each (``Machines``); an actor that has ended its job takes the next one.

    Attributes:
        package: the module ``ray``.
        address: of the cluster; "" starts one on this machine, with so many cores.
        cores: of a cluster that is started here.
    """

    package: Any
    address: str
    cores: int
    _idle: list[Any] = field(default_factory=list)
    _connected: bool = False

    def __post_init__(self) -> None:
        """Connect, unless the process is connected already."""
        if self.package.is_initialized():
            return
        plain = {"log_to_driver": False, "configure_logging": False}
        if self.address:
            self.package.init(address=self.address, **plain)
        else:
            loopback = {"_node_ip_address": "127.0.0.1", "include_dashboard": False}
            self.package.init(address="local", num_cpus=self.cores, **loopback, **plain)
        self._connected = True

    def submit(self, work: Callable[..., Any], job: Any) -> _Flight:
        """Give a job to an idle actor, or to a new one."""
        kind = self.package.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(_Actor)
        actor = self._idle.pop() if self._idle else kind.remote(work)
        return _Flight(actor.run.remote(job), actor)

    def finished(self, handles: Sequence[_Flight]) -> list[_Flight]:
        """Return the jobs that have ended."""
        ended, _ = self.package.wait([each.reference for each in handles], num_returns=1, timeout=_POLL)
        return [each for each in handles if each.reference in ended]

    def result(self, handle: _Flight) -> Any:
        """Return the result, see ``Machines``."""
        try:
            result = self.package.get(handle.reference)
        except self.package.exceptions.RayTaskError:
            raise
        except self.package.exceptions.RayError as error:  # the actor, its machine or its object is gone
            raise Lost(str(error)) from error
        self._idle.append(handle.actor)
        return result

    def cancel(self, handle: _Flight) -> None:
        """End the actor of a job."""
        self.package.kill(handle.actor, no_restart=True)

    def close(self) -> None:
        """End the actors, and the connection if it was made here."""
        for actor in self._idle:
            self.package.kill(actor, no_restart=True)
        self._idle.clear()
        if self._connected:
            self.package.shutdown()
