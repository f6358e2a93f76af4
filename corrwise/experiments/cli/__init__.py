"""The command line, one file per command: its options above its ``run``.

Help and argument errors answer before torch is loaded; errors are one sentence and exit with 2.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from inspect import get_annotations
from pathlib import Path
from textwrap import TextWrapper
from typing import Any

import corrwise
from corrwise._faults import described, frame_of, message_of, named_error, place_of
from corrwise._process import OutputError, not_read, report_stop, stoppable, wait_passively
from corrwise.experiments.cli.parse import parse
from corrwise.validation import ConfigError, did_you_mean

# One file each, in the order of the help: its NAME, its options, and run(config), which imports what needs torch.
_FILES = (
    *("mpc", "preview", "collect", "import_clips", "train", "evaluate", "blind", "train_flow"),
    *("interpolate", "restore"),
    *(
        "table_mpc",
        "table_flows",
        "table_ranking",
        "table_ablations",
        "table_predictors",
        "table_agents",
        "table_futures",
        "table_goals",
        "table_restored_goals",
        "table_interpolators",
        "table_flow_matching",
        "table_motion",
        "table_time_weights",
        "table_noise_carriers",
        "table_restoration",
    ),
    *("toy", "report", "doctor"),
)
_EXPECTED = (ConfigError, ArithmeticError, ValueError, OSError, RuntimeError)  # of input that cannot be used
_HINT = "CORRWISE_DEBUG=1 shows the traceback"
_PACKAGE = str(Path(corrwise.__file__).parent)


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        name: its words after ``corrwise``.
        config: the class of its options, whose docstring describes it.
        run: does the work, and returns the path of what it made or, where it makes nothing, the exit status.
    """

    name: str
    config: Any
    run: Callable[[Any], Path | int]


def commands() -> dict[str, Command]:
    """Return all commands by name."""
    files = [import_module(f"{__name__}.{file}") for file in _FILES]
    each = [Command(file.NAME, get_annotations(file.run, eval_str=True)["config"], file.run) for file in files]
    return {command.name: command for command in each}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``corrwise`` and return its exit status: 0 done, 2 unusable input, 130 interrupted, 143 terminated."""
    words = sys.argv[1:] if argv is None else list(argv)
    config: Any = None
    try:
        command, words = _command(words)
        if command is None:
            return 0
        config = parse(f"corrwise {command.name}", command.config, words)
        return _run(command, config)
    except KeyboardInterrupt:
        return report_stop(signal.SIGINT)
    except OutputError:
        raise  # to the program, which also drops what is left to be written
    except BaseException as error:
        if isinstance(error, BrokenPipeError) and not_read():
            return 128 + signal.SIGPIPE
        sentence = sentence_of(error, own_task=":" in getattr(config, "task", ""))
        if sentence is None:
            raise
        if debugging():
            traceback.print_exception(error)
        print(f"corrwise: {sentence}", file=sys.stderr)
        return 2


def _command(words: Sequence[str]) -> tuple[Command | None, list[str]]:
    """Return the command that the first words name, and the words after it; None where all they ask for was printed."""
    known, words = commands(), list(words)
    for taken in (1, 2):
        if (name := " ".join(words[:taken])) in known:
            return known[name], words[taken:]
    group = f"{words[0]} " if words and any(name.startswith(f"{words[0]} ") for name in known) else ""
    those = {name.removeprefix(group): command for name, command in known.items() if name.startswith(group)}
    word = (words[1:] if group else words)[:1]
    if word in (["-h"], ["--help"]):
        print(_help(f"corrwise {group}", those.values()))
    elif word == ["--version"]:
        print(f"corrwise {corrwise.__version__}")
    else:
        names = list(dict.fromkeys(name.split()[0] for name in those))
        there = f"there are {', '.join(names)}"
        if word:
            raise ConfigError(f"unknown command {group + word[0]!r}{did_you_mean(word[0], names)}; {there}")
        raise ConfigError(f"{group or 'corrwise '}needs a command; {there}")
    return None, []


def _help(group: str, those: Iterable[Command]) -> str:
    lines = [f"usage: {group}COMMAND [options]", "", "Visual MPC with correspondence-wise image distances.", ""]
    for command in those:
        indent = TextWrapper(80, initial_indent=f"  {command.name:<20} ", subsequent_indent=" " * 23)
        lines += indent.wrap(command.config.__doc__.splitlines()[0])
    return "\n".join([*lines, "", "corrwise COMMAND --help lists a command's options; corrwise --version."])


def _run(command: Command, config: Any) -> int:
    _check_folder()
    if command.name != "doctor":  # which does it by itself, to say who has done it
        wait_passively()  # before torch is loaded
    if getattr(config, "device", "cpu") == "cuda":
        from corrwise.experiments.cli.options import device_named

        device_named("cuda")  # must fail before anything is written
    with plain_warnings(), stoppable() as stop:  # from here on there are files to clean up
        try:
            made = command.run(config)
        except BaseException:
            if stop.number is None:
                raise
            return report_stop(stop.number)
    if isinstance(made, int):
        return made
    if command.name.startswith("table "):
        print(made.read_text(encoding="utf-8"))
    print(made)
    return 0


def _check_folder() -> None:
    """Refuse to work in a folder that has been removed: torch ends the process when it is loaded there."""
    try:
        Path.cwd()
    except OSError as error:
        raise ConfigError(f"the current folder cannot be used: {error.strerror}; change to another one") from error


def sentence_of(error: BaseException, *, own_task: bool = False) -> str | None:
    """Return one sentence about an error; None for a fault of this package, which needs its traceback.

    Args:
        error: what was raised.
        own_task: whether code of the user's is in play, such as a task's ``start`` that takes no arguments: a call that
            fails has no frame there.
    """
    if _for_want_of_memory(error):
        what = message_of(error) if place_of(error) is None else described(error)
        return f"not enough memory: {what}; fewer or smaller images at a time need less"
    if not isinstance(error, Exception):  # such as the end that help asks for; a task may not ask for one
        return described(error) if place_of(error) else None
    if place_of(error) is not None:
        return f"{described(error)}; {_HINT}" if not isinstance(error, _EXPECTED) else described(error)
    if isinstance(error, _EXPECTED) and not isinstance(error, (ZeroDivisionError, OverflowError)):
        return message_of(error)
    if own_task or isinstance(error, ArithmeticError):
        return f"{frame_of(error, anywhere=True)}: {named_error(error)}; {_HINT}"
    return None


def debugging() -> bool:
    """Return whether the environment asks for tracebacks."""
    return os.environ.get("CORRWISE_DEBUG", "0") not in ("", "0")


def _for_want_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: Python's, NumPy's and C++'s error is one type, torch's has its own name or message."""
    torchs = isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate memory" in str(error)
    return isinstance(error, MemoryError) or torchs or type(error).__name__ == "OutOfMemoryError"


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Show this package's own warnings as ``corrwise: warning: ...`` as long as a command runs; others as ever."""
    before = warnings.formatwarning

    def plain(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
    ) -> str:
        if not issubclass(category, UserWarning) or not filename.startswith(_PACKAGE):
            return before(message, category, filename, lineno, line)
        bar = "\r\x1b[K" if sys.stderr.isatty() else "\n"  # a progress bar may stand on the line
        return f"{bar}corrwise: warning: {message}\n"

    warnings.formatwarning = plain
    try:
        yield
    finally:
        warnings.formatwarning = before
