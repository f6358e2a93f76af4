"""Add new options to the frozen defaults of run settings. Frozen values stay, even if a default has changed.

Options of flows and forms are part of a cost's name, and ``made_of`` in the settings has all of them. ``costs`` lists
the known ones by flow; a new option of a known flow gets a default there.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

from corrwise._writing import jsonable
from corrwise.costs.presets import FORMS, NAMED_FLOWS
from corrwise.costs.spec import CostSpec
from corrwise.experiments.cli.collect import CollectConfig
from corrwise.experiments.cli.evaluate import EvaluateConfig
from corrwise.experiments.cli.import_clips import ImportConfig
from corrwise.experiments.cli.mpc import MPCConfig
from corrwise.experiments.cli.restore import RestoreConfig
from corrwise.experiments.cli.table_agents import AgentTableConfig
from corrwise.experiments.cli.table_flow_matching import FlowMatchingTableConfig
from corrwise.experiments.cli.table_flows import FlowTableConfig
from corrwise.experiments.cli.table_interpolators import InterpolatorTableConfig
from corrwise.experiments.cli.table_motion import MotionTableConfig
from corrwise.experiments.cli.table_noise_carriers import NoiseCarrierTableConfig
from corrwise.experiments.cli.table_predictors import PredictorTableConfig
from corrwise.experiments.cli.table_ranking import RankingTableConfig
from corrwise.experiments.cli.table_restoration import RestorationTableConfig
from corrwise.experiments.cli.table_time_weights import TimeWeightTableConfig
from corrwise.experiments.cli.toy import ToyConfig
from corrwise.mpc.spec import PLANNERS, options_of

FILE = Path(__file__).parents[1] / "corrwise/experiments/runs/defaults.json"
COMMANDS: dict[str, type[Any]] = {
    "mpc": MPCConfig,
    "collect": CollectConfig,
    "import": ImportConfig,
    "evaluate": EvaluateConfig,
    "flows": FlowTableConfig,
    "ranking": RankingTableConfig,
    "predictors": PredictorTableConfig,
    "agents": AgentTableConfig,
    "toy": ToyConfig,
    "interpolators": InterpolatorTableConfig,
    "time-weights": TimeWeightTableConfig,
    "flow-matching": FlowMatchingTableConfig,
    "motion": MotionTableConfig,
    "noise-carriers": NoiseCarrierTableConfig,
    "restore": RestoreConfig,
    "restoration": RestorationTableConfig,
}


def frozen(before: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the frozen defaults with those of options that are new."""
    after: dict[str, dict[str, Any]] = {}
    for command, kind in COMMANDS.items():
        old = before.get(command, {"defaults": {}, "free": []})
        values, free = options(kind)
        if command == "mpc":
            del values["knots"]  # an option of every planner
            values |= {
                f"{planner}.{option}": each.default
                for planner in PLANNERS
                for option, each in options_of(PLANNERS[planner]).items()
            }
        free = sorted({*old["free"], *free})
        new = {name: value for name, value in values.items() if name.split(".")[0] not in free}
        after[command] = {"defaults": {**new, **old["defaults"]}, "free": free}
    known, new = costs(before["mpc"].get("costs", {}))
    after["mpc"] |= {"defaults": {**new, **after["mpc"]["defaults"]}, "costs": known}
    return after


def costs(known: dict[str, list[str]]) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """Return the options of each flow's costs, and by dotted name the defaults of those that were not known.

    Raises:
        ValueError: two costs have different defaults of a new option: it needs another name in one of them.
    """
    after: dict[str, list[str]] = {}
    new: dict[str, Any] = {}
    for flow in NAMED_FLOWS:
        values = [(name, each) for form in FORMS for name, each in CostSpec("l1", flow, form).settings().items()]
        after[flow] = sorted({name for name, _ in values} | set(known.get(flow, ())))
        for name, value in values:
            if flow in known and name not in known[flow] and new.setdefault(f"made_of.{name}", value) != value:
                raise ValueError(
                    f"expected one default of the new option {name}, got {new[f'made_of.{name}']} and {value}"
                )
    return after, new


def options(kind: type[Any], prefix: str = "") -> tuple[dict[str, Any], list[str]]:
    """Return the defaults of a dataclass of options by dotted name, and the names of those that change no row."""
    values: dict[str, Any] = {}
    free: list[str] = []
    for each in fields(kind):
        name = prefix + each.name
        value = each.default if each.default_factory is MISSING else each.default_factory()
        if each.metadata.keys() & {"speed_only", "chooses_rows"}:
            free.append(name)
        elif is_dataclass(value) and not isinstance(value, type):
            values |= options(type(value), f"{name}.")[0]
        elif value is not MISSING and name != "out":
            values[name] = jsonable(value)
    return values, free


if __name__ == "__main__":
    FILE.write_text(json.dumps(frozen(json.loads(FILE.read_text())), indent=1) + "\n")
