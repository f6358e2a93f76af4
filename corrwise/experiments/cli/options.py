"""What options of several commands share: types with bounds, costs, executors, and an estimate of the memory.

Bounds lie far beyond any use that makes sense, short of what no machine can hold. Free of torch: help answers at once.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

import tyro

from corrwise.costs.presets import DEFAULT_FLOW, NAMED_FLOWS
from corrwise.costs.spec import BASE_NAMES, RECOMMENDED, CostSpec
from corrwise.registry import TASK_PATHS
from corrwise.user_code import is_user_code
from corrwise.validation import SEVERAL, ConfigError, Names, Pairs, Range, check, check_that, did_you_mean, validated

TASK_NAMES = tuple(TASK_PATHS)
TABLE_TASKS = tuple(name for name in TASK_NAMES if not name.endswith("-gusts"))  # of the planning table by default
BODY_NAMES = ("cartpole", "ant", "humanoid")  # tasks that differ in more than where episodes start


def _has_a_colon(name: str) -> bool:
    return ":" in name


OwnTask = Annotated[str, Names(TASK_NAMES, "gym:ID, dm_control:DOMAIN or your own as file.py:NAME", _has_a_colon)]
Tasks = Annotated[tuple[Annotated[str, Names(TASK_NAMES)], ...], SEVERAL]
Accelerator = Literal["auto", "cpu", "cuda"]
Device = Literal["cpu", "cuda"]

Count = Annotated[int, Range(1, 1_000_000)]  # episodes, candidates, pairs, windows
Horizon = Annotated[int, Range(1, 10_000)]  # steps that are planned or predicted, iterations, repeats
Steps = Annotated[int, Range(1, 1_000_000_000)]
Lockstep = Annotated[int, Range(1, 100_000)]
Processes = Annotated[int, Range(0, 1024)]  # 0 is one for each core
Size = Annotated[int, Range(16, 8192, " pixels")]
Supersample = Annotated[int, Range(1, 16)]
Seed = Annotated[int, Range(0, 2**31 - 1)]

SPEED_ONLY: dict[str, Any] = {"speed_only": True}
"""Metadata of an option that changes the speed, or files beside the rows, and never a number in a row."""

CHOOSES_ROWS: dict[str, Any] = {"chooses_rows": True}
"""Metadata of an option that selects which rows there are, and changes none of them."""

SAMPLING = (
    "solver",
    "time_grid",
    "temperature",
    "correlation",
)  # options of a denoiser that its weights do not depend on

Sampling = tuple[Annotated[str, Pairs(SAMPLING, "temperature=1.2")], ...]

CONTROL_NAMES = ("zero-action", "random-action", "state", "exact-flow", "exact-flow-squared")  # not made of images
FlowName = Annotated[str, Names(tuple(NAMED_FLOWS))]
_HEADS = {*BASE_NAMES, *(f"corr-{base}" for base in BASE_NAMES), RECOMMENDED}

_FINER = 4  # rays to a side of the background for each of the image
_LIMITS = (  # where a container states how much memory it may use
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def check_memory(needed: int, options: str) -> None:
    """Raise a ConfigError where a run would need more memory than the machine has.

    Args:
        needed: bytes, a low estimate: that of the largest arrays alone.
        options: what makes it less, for the sentence.
    """
    there = memory_of_machine()
    sentence = f"this run would need about {_gigabytes(needed)} of memory, and there are {_gigabytes(there)}"
    check_that(needed <= there, f"{sentence}; it needs less with a smaller {options}")


def named_options(text: str, more: Iterable[str] = ()) -> tuple[str, dict[str, object]]:
    """Return the name and the options of a text such as ``half-flow:flow=dis``; several have commas between them.

    Args:
        text: a name, or a name with options.
        more: more options, such as ``flow=dis``.

    Raises:
        ConfigError: an option without a value.
    """
    name, _, given = text.partition(":")
    pairs = [*(given.split(",") if given else ()), *more]
    for pair in pairs:
        option, equals, value = pair.partition("=")
        check_that(bool(option and equals and value), f"expected options of {name} as name=value, got {pair}")
    return name, option_values(pairs)


def option_values(pairs: Iterable[str]) -> dict[str, object]:
    """Return the values of pairs such as ``width=8`` by name: numbers, truth values and text."""
    return {name: _value(value) for name, _, value in (pair.partition("=") for pair in pairs)}


def _value(text: str) -> object:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def device_named(name: str) -> str:
    """Return "cuda" or "cpu" for what ``--device`` names: "auto", "cuda" or "cpu".

    Raises:
        RuntimeError: a GPU is asked for, and there is none.
    """
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("--device cuda needs a GPU, and torch finds no GPU here; use --device cpu")
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"


def ray_bytes(size: int, supersample: int) -> int:
    """Return the bytes that the ray caster takes for the background of an image, whose rays are four times as fine."""
    return 24 * (_FINER * size * supersample) ** 2


def memory_of_machine() -> int:
    """Return the bytes of memory that this machine has, or that a container may use of them."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in _LIMITS:
        try:
            there = min(there, int(file.read_text()))
        except (OSError, ValueError):  # none, or "max"
            continue
    return there


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.0f} GB" if size >= 1e10 else f"{size / 1e9:.1f} GB"


@validated
class ExecutorConfig:
    """Where the jobs of a run are executed (docs/scale_out.md); changes the speed, never the rows."""

    executor: Literal["local", "submitit", "ray"] = "local"
    """local (processes of this machine), submitit (a SLURM cluster) or ray (a Ray cluster)."""
    slurm_cluster: Literal["", "slurm", "local", "debug"] = ""
    """submitit's cluster: slurm, local (processes that stand in for SLURM) or debug; empty is slurm where there is
    one, else local."""
    slurm_partition: str = ""
    """SLURM partition; empty is the cluster's default."""
    slurm_minutes: Annotated[int, Range(1, 1_000_000)] = 60
    """Time limit of a SLURM job; a job holds the episodes that step together."""
    slurm_memory: Annotated[int, Range(1, 100_000)] = 4
    """Memory of a SLURM job in GB."""
    ray_address: str = ""
    """Ray cluster, such as 10.0.0.1:6379 or ray://head:10001; empty starts one on this machine that listens on the
    loopback address alone."""
    ray_token_file: Path | None = None
    """File with the authentication token of the Ray cluster."""

    def __post_init__(self) -> None:
        """Refuse options of another executor."""
        for option, owner in (
            *((f"slurm_{name}", "submitit") for name in ("cluster", "partition", "minutes", "memory")),
            *((f"ray_{name}", "ray") for name in ("address", "token_file")),
        ):
            given = getattr(self, option)
            fits = self.executor == owner or given == getattr(ExecutorConfig, option)
            check(fits, option.replace("_", "-"), f"left out, for it belongs to executor {owner}", given)


@validated
class Parallel:
    """Options of a run whose jobs are shared out; they change the speed, never the rows."""

    processes: Processes = field(default=0, metadata=SPEED_ONLY)
    """Processes, each with a thread; 0 is one for each core. Changes the speed, never the rows."""
    where: Annotated[ExecutorConfig, tyro.conf.arg(name="executor"), tyro.conf.OmitArgPrefixes] = field(
        default_factory=ExecutorConfig, metadata=SPEED_ONLY
    )
    """Where the jobs run."""


def canonical_costs(
    option: str,
    costs: Iterable[str],
    *,
    flow: str = DEFAULT_FLOW,
    controls: Iterable[str] = CONTROL_NAMES,
    own: bool = True,
) -> tuple[str, ...]:
    """Return the canonical texts of these costs, as in rows, with the flow of those that state none.

    Args:
        option: the name of the option, for messages.
        costs: as on the command line.
        flow: of costs between matched pixels whose text states none.
        controls: which controls may stand among them.
        own: whether the user's own code may, as ``file.py:NAME``.

    Raises:
        ConfigError: two of them are the same, or one is unknown; in one sentence.
    """
    costs = tuple(costs)
    for cost in costs:
        check(own or not is_own(cost), option, "the name of a cost, not code of your own", cost)
    texts = tuple(_canonical(cost, flow, tuple(controls), own) for cost in costs)
    labels = [cost_label(cost) for cost in texts]
    check(len(set(labels)) == len(labels), option, "different from each other", " ".join(texts))
    return texts


def spec_of(cost: str) -> CostSpec | None:
    """Return the spec of a canonical text; None for controls and for the user's own code."""
    return None if cost in CONTROL_NAMES or is_own(cost) else CostSpec.parse(cost)


def is_own(cost: str) -> bool:
    """Return whether a cost is the user's own code, as ``file.py:NAME`` or ``package.module:NAME``."""
    return cost.partition(":")[0] not in _HEADS and "=" not in cost and is_user_code(cost)


def cost_label(cost: str) -> str:
    """Return what rows and images call a cost: its text; for the user's own code, the name without its file."""
    return cost.rpartition(":")[2] if is_own(cost) else cost


def file_label(label: str) -> str:
    """Return a cost's label as a part of a file name: one with a path in it is cut short and gets a digest."""
    if "/" not in label and len(label) <= 80:
        return label.replace(":", "-")
    plain = re.sub(r"[^\w=,.-]+", "-", label)[:60]
    return f"{plain}-{hashlib.sha256(label.encode()).hexdigest()[:8]}"


def _canonical(cost: str, flow: str, controls: tuple[str, ...], own: bool) -> str:
    if cost in controls:
        return cost
    if own and is_own(cost):
        label = cost_label(cost)
        check(label not in {*_HEADS, *CONTROL_NAMES}, "cost", "named otherwise than one that is built in", cost)
        return cost
    home = re.sub(r"(?<==)~[^/,]*(?=/)", lambda match: quote(os.path.expanduser(match[0]), safe="/"), cost)
    try:
        return str(CostSpec.parse(home, flow=flow))
    except ValueError as error:
        sentence = str(error)
    if sentence.startswith("unknown cost"):
        if "did you mean" not in sentence:
            sentence = sentence.replace(";", f"{did_you_mean(cost, controls)};", 1)
        also = [f"the controls {', '.join(controls)}"] if controls else []
        sentence = ", ".join([sentence, *also, *(["or your own as file.py:NAME"] if own else [])])
    raise ConfigError(sentence)
