"""This process: Ctrl-C and SIGTERM end it within seconds, in one sentence; its OpenMP threads sleep while waiting."""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

STOPS = (signal.SIGINT, signal.SIGTERM)
_PATIENCE = 4.0  # seconds in which a command may clean up
_NAMES = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
POLICIES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")  # any of them is the user's own choice


class OutputError(OSError):
    """Standard output cannot be written, in one sentence."""


def name_output_errors() -> None:
    """Let errors of standard output name it, other than that of a reader who has gone: those of files name theirs."""

    def named(call: Callable[..., Any]) -> Callable[..., Any]:
        def calling(*words: Any) -> Any:
            try:
                return call(*words)
            except OSError as error:
                if isinstance(error, BrokenPipeError) and not_read():
                    raise
                raise OutputError(f"standard output cannot be written: {error.strerror or error}") from error

        return calling

    for name in ("write", "flush"):
        setattr(sys.stdout, name, named(getattr(sys.stdout, name)))


@dataclass
class Stop:
    """Which signal has asked a command to end; None as long as none has."""

    number: int | None = None


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Turn the first SIGINT or SIGTERM in the block into a KeyboardInterrupt; those after it change nothing.

    Signals that the process was started to ignore stay ignored. Outside the main thread nothing is changed.
    """
    stop, hook = Stop(), sys.unraisablehook

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.number is None:
            stop.number = number
            sys.unraisablehook = lambda _: None  # where it cannot be raised, Python would print it
            raise KeyboardInterrupt

    before = _handle(ask)
    try:
        yield stop
    finally:
        _restore(before)
        sys.unraisablehook = hook


@contextmanager
def interruptions_later() -> Iterator[None]:
    """Let SIGINT and SIGTERM wait until the block has ended; processes that are started in it never see a SIGINT.

    A new interpreter that is interrupted while it imports prints a traceback, whatever its program would have done.
    """
    caught: list[int] = []
    before = _handle(lambda number, frame: caught.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which a new process inherits
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _restore(before)
        if caught:
            signal.raise_signal(caught[0])


def report_stop(number: int) -> int:
    """Print the one sentence about a signal, and return the exit status that shells know it by."""
    name = _NAMES[signal.Signals(number)]
    print(f"corrwise: {name}; the same command continues where it stopped", file=sys.stderr, flush=True)
    return 128 + number


def leave(number: int, frame: FrameType | None = None) -> NoReturn:
    """End this process and its workers at once: rows and files are whole at any moment."""
    for child in multiprocessing.active_children():
        child.kill()
    sys.stderr = sys.__stderr__  # which the parser of options takes for itself
    os._exit(report_stop(number))


def leave_in_time() -> None:
    """Let a thread end the process some seconds after a signal, if the main thread is still busy by then.

    Python's handlers run in the main thread, between two of its instructions, and one call into C can take minutes.
    """
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    threading.Thread(target=_leave_late, args=(read,), daemon=True).start()


def wait_passively() -> bool:
    """Let OpenMP threads sleep while they wait, in this process and those it starts, and return whether that was new.

    Nothing changes where the environment states a policy, or where torch has been loaded already.
    """
    if "torch" in sys.modules or any(name in os.environ for name in POLICIES):
        return False
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    return True


def waits() -> tuple[bool, str]:
    """Return whether threads sleep while they wait, and the variables that decide it."""
    given = {name: os.environ[name] for name in POLICIES if name in os.environ}
    # libgomp, which torch ships, counts spins; the count wins over the policy.
    spins = given.get("GOMP_SPINCOUNT")
    passive = (
        spins.strip() == "0" if spins is not None else given.get("OMP_WAIT_POLICY", "").strip().upper() == "PASSIVE"
    )
    return passive, " ".join(f"{name}={value}" for name, value in given.items())


def not_read() -> bool:
    """Return whether standard output is a pipe that nobody reads any more, as after ``corrwise mpc --help | head``."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (OSError, ValueError):  # no file, or a closed one
        return False


def _leave_late(read: int) -> None:
    while (number := os.read(read, 1)[0]) not in STOPS:
        pass
    time.sleep(_PATIENCE)
    print(file=sys.stderr)  # after a progress bar that nobody has closed
    leave(number)


def _handle(handler: Any) -> dict[int, Any]:
    """Install a handler, and return those before it."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    taken = [number for number in STOPS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    return {number: signal.signal(number, handler) for number in taken}


def _restore(before: dict[int, Any]) -> None:
    for number, handler in before.items():
        signal.signal(number, handler)
