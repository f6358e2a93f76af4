"""Parse the command line with tyro, but answer unusable options in one plain sentence instead of a box."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from typing import Any

import tyro

from corrwise.experiments.cli.checks import ConfigError
from corrwise.registry import PLANNER_PATHS

_BORDER = re.compile(r"[╭╮╰╯│─]+")
_RULE = re.compile(r"^[-+|= ]+$")  # what stands for a border where the terminal has no such letters
_HOME = re.compile(r"^(--[\w.-]+=)?(\w+:)?(~.*)$", re.DOTALL)  # an option's name and a data set's, before a path
_PLANNER_OPTION = re.compile(rf"^--({'|'.join(PLANNER_PATHS)})\.([\w-]+)(?:=(.*))?$", re.DOTALL)
_WHERE = re.compile(r"^Error parsing (?:__tyro-dummy-inner__\.|--)?([\w.-]+):")


def parse(commands: Any, argv: Sequence[str] | None) -> Any:
    """Return the configuration that the words ask for.

    Raises:
        ConfigError: what tyro would have said in a box.
        SystemExit: help was asked for and printed.
    """
    words = [_expanded(word) for word in (sys.argv[1:] if argv is None else argv)]
    _check_planner_options(words)
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            config = tyro.cli(
                commands,
                prog="corrwise",
                description="Visual MPC with correspondence-wise image distances.",
                args=words,
                config=(tyro.conf.OmitSubcommandPrefixes,),
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise ConfigError(_sentence(said.getvalue())) from None
    sys.stderr.write(said.getvalue())  # warnings, where there are any
    return config


def _check_planner_options(words: Sequence[str]) -> None:
    """Refuse the spelling ``--icem.momentum 0.2``, and name the one that there is."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        found = _PLANNER_OPTION.match(word)
        if found:
            planner, option, value = found[1], found[2], found[3] or following or "VALUE"
            raise ConfigError(f"--{planner}.{option} is an option of the planner: --planner {planner}:{option}={value}")


def _expanded(word: str) -> str:
    """Return a word of the command line with ``~`` expanded: a shell leaves it in ``--out=~/runs`` and in quotes."""
    found = _HOME.match(word)
    return f"{found[1] or ''}{found[2] or ''}{os.path.expanduser(found[3])}" if found else word


def _sentence(box: str) -> str:
    """Return the first paragraph of a box, and which options or commands there are where the box lists them."""
    paragraphs: list[list[str]] = [[]]
    for line in box.splitlines()[1:]:
        text = _RULE.sub("", _BORDER.sub("", line).strip())
        if text:
            paragraphs[-1].append(text)
        elif paragraphs[-1]:
            paragraphs.append([])
    said = [" ".join(lines) for lines in paragraphs if lines]
    kept = [text for text in said[:2] if not text.startswith(("For full helptext", "Argument helptext"))]
    return _WHERE.sub(r"\1:", "; ".join(kept)) or "the command line could not be understood"
