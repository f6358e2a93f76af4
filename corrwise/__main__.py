"""The command ``corrwise`` as a program: signals and closed streams are handled before the commands are imported."""

from __future__ import annotations

import os
import signal
import sys
import threading

from corrwise._process import STOPS, leave, leave_in_time, name_output_errors, not_read


def run() -> None:
    """Run ``corrwise`` and end the process."""
    _open_streams()
    threading.excepthook = _thread_failed
    for number in STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, leave)  # there is nothing to clean up before the command begins
    leave_in_time()
    from corrwise.experiments.cli import main

    try:
        try:
            code = main()
        finally:
            sys.stdout.flush()  # also of help, which ends the program by itself
    except OSError as error:
        code = _unprinted(error)
    if code in [128 + number for number in STOPS]:
        os._exit(code)  # threads that read ahead are not waited for
    sys.exit(code)


def _open_streams() -> None:
    """Open standard streams that were closed, or the next file that is opened gets their number and their output.

    A path may hold bytes that standard output cannot encode.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            handle = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            stream = os.fdopen(handle, "w" if number else "r", encoding="utf-8", closefd=False)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
    if getattr(sys.stdout, "errors", "") == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    name_output_errors()


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    """Print no traceback of tensorboard's thread where it cannot write: its next call raises the same error."""
    tensorboards = type(failed.thread).__module__.startswith("tensorboard.")
    if not (tensorboards and isinstance(failed.exc_value, OSError)):
        threading.__excepthook__(failed)


def _unprinted(error: OSError) -> int:
    """Return the exit status of a program whose output could not be written, and drop what is left of it."""
    silent = not_read()
    os.dup2(
        os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
    )  # Python flushes once more, and would print another error
    if silent:
        return 128 + signal.SIGPIPE
    print(f"corrwise: {error}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    run()
