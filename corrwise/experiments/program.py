"""The command line as a program of its own: signals are answered from its first moment on."""

from __future__ import annotations

import os
import signal
import sys

from corrwise.experiments.stopping import STOPS, leave, leave_in_time

__all__ = ["run"]


def run() -> None:
    """Run ``corrwise`` and end the process."""
    for number in STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, leave)  # nothing is to be cleaned up before the command itself begins
    leave_in_time()
    from corrwise.experiments.cli import main

    code = main()
    if code in [128 + number for number in STOPS]:
        sys.stdout.flush()
        os._exit(code)  # threads that read ahead are not waited for
    sys.exit(code)
