"""The costs of the command line: texts of ``CostSpec``, controls and code of one's own; free of torch."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Annotated
from urllib.parse import quote

from corrwise.costs.presets import DEFAULT_FLOW, NAMED_FLOWS
from corrwise.costs.spec import BASE_NAMES, RECOMMENDED, CostSpec
from corrwise.experiments.cli.checks import ConfigError, Names, check, did_you_mean
from corrwise.user_code import is_user_code

__all__ = [
    "CONTROL_NAMES",
    "DEFAULT_FLOW",
    "FlowName",
    "canonical_costs",
    "cost_label",
    "is_own",
    "spec_of",
]

CONTROL_NAMES = ("zero-action", "random-action", "state", "exact-flow", "exact-flow-squared")  # not made of images
FlowName = Annotated[str, Names(tuple(NAMED_FLOWS))]
_HEADS = {*BASE_NAMES, *(f"corr-{base}" for base in BASE_NAMES), RECOMMENDED}


def canonical_costs(
    option: str,
    costs: Iterable[str],
    *,
    flow: str = DEFAULT_FLOW,
    controls: Iterable[str] = CONTROL_NAMES,
    own: bool = True,
) -> tuple[str, ...]:
    """Return the texts of these costs as rows have them, with the flow of those that say none.

    Args:
        option: the name of the option, for messages.
        costs: what the command line says.
        flow: of costs between matched pixels whose text says none.
        controls: which controls may stand among them.
        own: whether code of one's own may, as ``file.py:NAME``.

    Raises:
        ConfigError: two of them are the same, or one is unknown; in one sentence.
    """
    found = tuple(_canonical(cost, flow, tuple(controls), own) for cost in costs)
    labels = [cost_label(cost) for cost in found]
    check(len(set(labels)) == len(labels), option, "different from each other", " ".join(found))
    return found


def spec_of(cost: str) -> CostSpec | None:
    """Return what a canonical text stands for; None for controls and for code of one's own."""
    return None if cost in CONTROL_NAMES or is_own(cost) else CostSpec.parse(cost)


def is_own(cost: str) -> bool:
    """Return whether a cost is code of one's own, as ``file.py:NAME`` or ``package.module:NAME``."""
    return cost.partition(":")[0] not in _HEADS and "=" not in cost and is_user_code(cost)


def cost_label(cost: str) -> str:
    """Return what rows and images call a cost: its text; of code of one's own, the name without its file."""
    return cost.rpartition(":")[2] if is_own(cost) else cost


def _canonical(cost: str, flow: str, controls: tuple[str, ...], own: bool) -> str:
    if cost in controls:
        return cost
    if own and is_own(cost):
        label = cost_label(cost)
        check(label not in {*_HEADS, *CONTROL_NAMES}, "cost", "named otherwise than one that is built in", cost)
        return cost
    home = re.sub(r"(?<==)~[^/,]*(?=/)", lambda found: quote(os.path.expanduser(found[0]), safe="/"), cost)
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
