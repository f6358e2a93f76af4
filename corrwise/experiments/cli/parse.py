"""Parse the words of a command line into a configuration with tyro; every error is one sentence.

``RENAMED`` lists renamed options of all commands: an old name is refused with the new one, where the command has it.
``IN_A_COST`` lists options that became part of the names of costs.
"""

from __future__ import annotations

import ast
import inspect
import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from itertools import pairwise
from textwrap import dedent
from typing import Any, Literal, TypeVar, get_args, get_origin

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

from corrwise.registry import PLANNER_PATHS
from corrwise.validation import ConfigError, did_you_mean, hints_of

__all__ = ["IN_A_COST", "RENAMED", "RENAMED_IN", "parse"]

RENAMED = {
    "--workers": "--processes",
    "--rate": "--lr",
    "--average": "--ema",
    "--clip": "--max-grad-norm",
    "--start": "--init-from",
    "--weights": "--init-from",
    "--held": "--val-fraction",
    "--every": "--checkpoint-every",
    "--readers": "--num-workers",
    "--judged": "--eval-pairs",
    "--accelerator": "--device",
    "--lessons": "--methods",
    "--looks": "--evaluations",
    "--look": "--plan-horizon",
    "--pictures": "--images",
}

RENAMED_IN = {"table predictors": {"--held": "--eval-episodes"}}  # by command, before those of all commands

IN_A_COST = {  # options that costs once had, and what their names have instead
    "--scaling": "epsilon",
    "--magnitude": "form=reg,magnitude",
    "--gradient": "form=reg,gradient",
    "--edge-magnitude": "form=edge,magnitude",
    "--smoothness": "form=edge,smoothness",
    "--price": "form=disp,displacement",
    "--power": "form=disp,power",
    "--occlusion": "form=disp,occlusion",
    "--displacement": "flow=all-pairs,penalty",
    "--patch": "flow=all-pairs,patch",
    "--dis-preset": "flow=dis,preset",
    "--dis-finest-scale": "flow=dis,finest-scale",
    "--raft-weights": "flow=raft,weights",
    "--learned-weights": "weights",
    "--perceptual": "vgg",
}

ConfigT = TypeVar("ConfigT")
_HOME = re.compile(r"^(--[\w.-]+=)?(\w+:)?(~.*)$", re.DOTALL)  # an option's name and a data set's, before a path
_BREAK = re.compile(r"(?<!\n)\n(?!\n|[-*] )")  # within a paragraph, or an item of a list
_REGISTRY = ConstructorRegistry()
_PLANNER_OPTION = re.compile(rf"^--({'|'.join(PLANNER_PATHS)})\.([\w-]+)(?:=(.*))?$", re.DOTALL)


def parse(prog: str, config: type[ConfigT], words: Sequence[str]) -> ConfigT:
    """Return the configuration that the words ask for.

    Args:
        prog: the command, for help and sentences.
        config: the class of its options.
        words: those after the command.

    Raises:
        ConfigError: an option is unknown, lacks its value, or has one that it must not have.
        SystemExit: help was asked for and printed.
    """
    options, command = dict(_options(config)), prog.removeprefix("corrwise ")
    see = f"{prog} --help lists its options"
    _check_planner_options(words)
    for word in words:
        name = word.partition("=")[0].replace("_", "-")
        if word.startswith("--") and name not in options and not name.startswith("--tyro-"):
            renamed = {**RENAMED, **RENAMED_IN.get(command, {})}
            if renamed.get(name) in options:
                raise ConfigError(f"{name} of {command} is called {renamed[name]} now")
            costs = next((option for option in ("--costs", "--loss") if option in options), "")
            if costs and name in IN_A_COST:
                raise ConfigError(
                    f"{name} of {command} is part of the name of a cost now: {costs} corr-l1:{IN_A_COST[name]}=VALUE"
                )
            raise ConfigError(f"{command} has no option {name}{did_you_mean(name, options, before='--')}; {see}")
    printed = io.StringIO()
    try:
        with redirect_stderr(printed):
            made, left = tyro.cli(
                config,
                prog=prog,
                args=[_expanded(word) for word in words],
                registry=_REGISTRY,
                return_unknown_args=True,
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise ConfigError(_refused(command, stop, config, options, words)) from None
    if left:
        raise ConfigError(f"{command} has no use for {left[0]!r}; {see}")
    return made


@_REGISTRY.primitive_rule
def _as_written(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Keep text that is not a number or not a listed name: the validator of its field refuses it."""
    if info.type in (int, float):
        metavar, read = info.type.__name__.upper(), _reader(info.type)
    elif get_origin(info.type) is Literal:
        metavar, read = "{" + ",".join(get_args(info.type)) + "}", lambda words: words[0]
    else:
        return None
    return PrimitiveConstructorSpec(
        nargs=1, metavar=metavar, instance_from_str=read, is_instance=lambda value: True,
        str_from_instance=lambda value: [str(value)],
    )  # fmt: skip


@_REGISTRY.struct_rule
def _described(info: StructTypeInfo) -> StructConstructorSpec | None:
    """Describe each option by its whole docstring: tyro breaks a line before each that begins with no letter."""
    config, made = info.type, info.default
    if not is_dataclass(config):
        return None
    described, options = _docstrings(config), []
    for field in fields(config):
        default = getattr(made, field.name) if isinstance(made, config) else _default(field)
        options.append(StructFieldSpec(field.name, hints_of(config)[field.name], default, described.get(field.name)))
    return StructConstructorSpec(config, tuple(options))


def _default(field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return tyro.MISSING_NONPROP if field.default is MISSING else field.default


@cache
def _docstrings(config: type) -> dict[str, str]:
    """Return the docstrings of the fields of a class; lines are joined, those of a list and paragraphs stay apart."""
    described: dict[str, str] = {}
    for each in reversed(config.__mro__[:-1]):
        body = ast.parse(dedent(inspect.getsource(each))).body[0].body  # type: ignore[attr-defined]  # of a class
        for statements in pairwise(body):
            match statements:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    described[name] = _BREAK.sub(" ", inspect.cleandoc(text))
    return described


def _reader(kind: type[int] | type[float]) -> Callable[[list[str]], int | float | str]:
    def read(words: list[str]) -> int | float | str:
        try:
            return kind(words[0])
        except ValueError:
            return words[0]

    return read


def _options(config: type, prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Yield every option of a configuration, and whether it takes a value."""
    if not prefix:
        yield from (("--help", False), ("-h", False))
    for field in fields(config):
        hint = hints_of(config)[field.name]
        marks = getattr(hint, "__metadata__", ())
        kind = get_args(hint)[0] if marks else hint
        name = field.name.replace("_", "-")
        if is_dataclass(kind):
            omitted = tyro.conf.OmitArgPrefixes in marks
            yield from _options(kind, prefix or "--" if omitted else f"{prefix or '--'}{name}.")  # type: ignore[arg-type]
        elif tyro.conf.Positional not in marks:
            yield f"{prefix or '--'}{name}", kind is not bool
            if kind is bool:
                yield f"{prefix or '--'}no-{name}", False


def _refused(command: str, stop: SystemExit, config: Any, options: dict[str, bool], words: Sequence[str]) -> str:
    """Return why tyro has refused the words: a check that failed, what is missing, or a value that is."""
    error: BaseException | None = stop
    while error is not None:
        if isinstance(error, ValueError):
            return str(error)
        error = error.__context__
    given = {word.partition("=")[0].replace("_", "-") for word in words}
    for field in fields(config):
        option = f"--{field.name.replace('_', '-')}"
        if field.default is MISSING and field.default_factory is MISSING and option not in given:
            return f"{command} needs {option if option in options else field.name.upper()}"
    for word, after in zip(words, [*words[1:], "--"], strict=False):
        if options.get(word.replace("_", "-")) and after.startswith("--"):
            return f"{word} of {command} needs a value"
    return f"{command} cannot use {' '.join(words)!r}; corrwise {command} --help lists its options"


def _check_planner_options(words: Sequence[str]) -> None:
    """Refuse the spelling ``--icem.momentum 0.2`` and name the right one."""
    for word, following in zip(words, [*words[1:], ""], strict=False):
        match = _PLANNER_OPTION.match(word)
        if match:
            planner, option, value = match[1], match[2], match[3] or following or "VALUE"
            raise ConfigError(f"--{planner}.{option} is an option of the planner: --planner {planner}:{option}={value}")


def _expanded(word: str) -> str:
    """Return a word of the command line with ``~`` expanded: a shell leaves it in ``--out=~/runs`` and in quotes."""
    match = _HOME.match(word)
    return f"{match[1] or ''}{match[2] or ''}{os.path.expanduser(match[3])}" if match else word
