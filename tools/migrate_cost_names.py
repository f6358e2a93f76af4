"""Give the costs in run folders the names that ``CostSpec`` has for them: rows, config.json and their fingerprints.

    .venv/bin/python tools/migrate_cost_names.py docs/results

Old names meant different flows in different commands. Each row has its settings, from which its new name is made. Only
names change: numbers and folders with new names stay unchanged. The table in docs/reproduce.md lists old and new
names.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from corrwise.costs.presets import DEFAULT_FLOW, NUMBERS
from corrwise.costs.spec import CostSpec
from corrwise.experiments.cli.options import CONTROL_NAMES
from corrwise.experiments.runs.settings import Settings, fingerprint, frozen_defaults

Json = dict[str, Any]
_FORMS = {"": "scaled", "reg": "reg", "edge": "edge", "both": "both", "disp": "disp"}
_OLD_FLOW_OPTIONS = {  # of the old options, by flow: their names, and what they are now
    "all-pairs": {"patch": "patch", "displacement": "penalty"},
    "dis": {"dis_preset": "preset", "dis_finest_scale": "finest-scale"},
    "raft": {"raft_weights": "weights"},
    "learned": {"learned_weights": "weights"},
}
_USUAL = {  # the old options' frozen defaults, where settings say only what differs from them
    name.removeprefix("cost."): value
    for name, value in frozen_defaults()["mpc"]["defaults"].items()
    if name.startswith("cost.")
}
_WITHOUT_POWER = 1.0  # what the displacement was raised to before it was an option
_OLD_RECOMMENDED = "corr-l1-disp"
_ARMS = {  # losses of ``table predictors``: of two directions each, over DIS unless the row names another
    "corr-{}": "corr-{}:flow=dis",
    "corr-{}-learned": "corr-{}",
    "corr-{}-reg": "corr-{}:form=reg",
}


def new_name(old: str, numbers: Json) -> str:
    """Return the text of a cost from its old name and numbers; controls and pixel-wise costs keep their names."""
    if old in CONTROL_NAMES or not old.startswith("corr-"):
        return old
    _, base, *suffix = old.split("-")
    form, flow = _FORMS[suffix[0] if suffix else ""], numbers["flow"]
    values = {"power": _WITHOUT_POWER, **numbers, "displacement": numbers.get("price")}
    options = {name: values.get(field) for name, field in NUMBERS[form].items()}
    options |= {new: numbers.get(name) for name, new in _OLD_FLOW_OPTIONS.get(flow, {}).items()}
    return str(
        CostSpec(base, flow, form, options=tuple((name, each) for name, each in options.items() if each is not None))
    )


def print_of(settings: Json, *, free: tuple[str, ...] = ()) -> str:
    """Return the fingerprint of a cell's settings, all of them or those that differ from the frozen defaults."""
    known = Settings(settings, defaults=frozen_defaults()["mpc"]["defaults"], free=(*free, "task"))
    return fingerprint(known)


def migrate_grid(folder: Path) -> None:
    """Rename the costs and methods of a folder of planned episodes; its config.json has the settings of each row."""
    config = _read(folder / "config.json")
    if any("cost_name" in settings for settings in config["cells"].values()):
        _migrate_cells(folder, config)


def _migrate_cells(folder: Path, config: Json) -> None:
    prints, costs, cells = {}, {}, {}
    for key, old in config["cells"].items():
        task, _, method = key.partition("/")
        settings = {name: value for name, value in old.items() if name.partition(".")[0] not in ("cost_name", "cost")}
        old_options = {name.removeprefix("cost."): value for name, value in old.items() if name.startswith("cost.")}
        cost = new_name(old["cost_name"], old.get("cost") or {**_USUAL, **old_options})
        made_of = {} if cost in CONTROL_NAMES else CostSpec.parse(cost).settings()
        new = {"cost": cost, "made_of": made_of, **settings}
        matched = cost.startswith(("corr-", "recommended"))
        prints[print_of(old, free=() if matched else ("cost",))], costs[task, method] = print_of(new), cost
        cells[f"{task}/{_method(method, old['cost_name'], cost)}"] = new

    def renamed(row: Json) -> Json:
        cost = costs.get((row["task"], row["method"]), new_name(row["cost"], {"flow": _usual_flow(row["cost"])}))
        method = _method(row["method"], row["cost"], cost)
        settings = prints.get(row["settings"], row["settings"])
        return {**row, "method": method, "cost": cost, "settings": settings}

    _rewrite_rows(folder / "rows.jsonl", renamed)
    for part in folder.glob("*/rows.jsonl"):  # the same methods, kept apart
        if not (part.parent / "config.json").exists():
            _rewrite_rows(part, renamed)
    _write(folder / "config.json", {**config, "cells": cells})


def _usual_flow(old: str) -> str:
    return DEFAULT_FLOW if old.endswith("-disp") else "all-pairs"


def _method(method: str, old_cost: str, cost: str) -> str:
    """Return the new name of a method: its cost's, an axis's or a trained predictor's."""
    if method == old_cost:
        return cost
    if method.startswith(f"{_OLD_RECOMMENDED} "):
        return method.replace(_OLD_RECOMMENDED, "recommended", 1)
    if method.startswith("price "):
        return method.replace("price", "displacement", 1)
    arm, _, seed = method.rpartition("-")
    return f"{new_arm(arm)}-{seed}" if seed.isdigit() else method


def new_arm(old: str) -> str:
    """Return the new name of a model and the loss that it was trained with."""
    for base in ("l1", "mse", "ssim"):
        for was, now in _ARMS.items():
            if old.endswith("-" + was.format(base)):
                return old.removesuffix(was.format(base)) + now.format(base)
    return old


def migrate_ranking(folder: Path) -> None:
    """Rename the costs of a folder of ``corrwise table ranking``, whose rows had the flow in a separate field."""
    config = _read(folder / "config.json")
    numbers = config.pop("numbers", None)
    if numbers is None:
        return

    def renamed(row: Json) -> Json:
        flow = row["flow"]
        return {
            name: new_name(value, numbers[flow] if flow else {}) if name == "cost" else value
            for name, value in row.items()
            if name != "flow"
        }

    costs = list(dict.fromkeys(row["cost"] for row in _rewrite_rows(folder / "rows.jsonl", renamed)))
    config = {name: value for name, value in config.items() if name != "cost"}
    asked = [new_name(cost, numbers[flow]) for cost in config["costs"] for flow in config["flows"]]
    made_of = {cost: CostSpec.parse(cost).settings() for cost in costs}
    _write(folder / "config.json", {**config, "costs": list(dict.fromkeys(asked)), "made_of": made_of})


def migrate_predictors(folder: Path) -> None:
    """Rename the arms and the cost of a folder of ``corrwise table predictors``."""
    config = _read(folder / "config.json")
    if config["cost"] != _OLD_RECOMMENDED:
        return

    def model(old: str) -> str:
        arm, _, seed = old.rpartition("-")
        return f"{new_arm(arm)}-{seed}" if seed.isdigit() else old

    for part in sorted(folder.glob("frames/*/rows.jsonl")):
        _rewrite_rows(part, lambda row: {**row, "model": model(row["model"])})
        about = _read(part.parent / "config.json")
        _write(part.parent / "config.json", {**about, "models": [model(path) for path in about["models"]]})
    migrate_grid(folder / "plans")
    _write(folder / "config.json", {**config, "arms": [new_arm(arm) for arm in config["arms"]], "cost": "recommended"})


def migrate_agents(folder: Path) -> None:
    """Rename the rewards of a folder of ``corrwise table agents``."""

    def new(name: str) -> str:
        return "recommended" if name == _OLD_RECOMMENDED else name

    config = _read(folder / "config.json")
    _rewrite_rows(folder / "rows.jsonl", lambda row: {**row, "arm": new(row["arm"])})
    _write(folder / "config.json", {**config, "rewards": [new(name) for name in config["rewards"]]})


def migrate_flows(folder: Path) -> None:
    """Rename the weight of displacement in what the rows of ``corrwise table flows`` are made of."""

    def renamed(row: Json) -> Json:
        settings = row.get("settings")
        if not settings:
            return row
        renamed = {"displacement" if name == "price" else name: value for name, value in settings.items()}
        if row["flow"] in ("affine", "homography") and "flow" in renamed["regularized"]:
            renamed["regularized"] = {"penalty": renamed["regularized"]["flow"]["AllPairsFlow"]["penalty"]}
        return {**row, "settings": renamed}

    _rewrite_rows(folder / "rows.jsonl", renamed)


def migrate(results: Path) -> None:
    """Migrate all run folders below ``results``, of whichever command."""
    for path in sorted(results.rglob("config.json")):
        folder, config = path.parent, _read(path)
        if "arms" in config:
            migrate_predictors(folder)
        elif "cells" in config:
            migrate_grid(folder)
        elif "moments" in config:
            migrate_ranking(folder)
        elif "rewards" in config:
            migrate_agents(folder)
        elif "measures" in config:
            migrate_flows(folder)
    for path in results.rglob("planning_table.json"):
        migrate_speed(path)


def migrate_speed(path: Path) -> None:
    """Rename the methods of ``benchmarks/planning_table.py``."""
    result = _read(path)
    if any(key.endswith("-reg") for key in result["episode_s"]):
        parts = ((key.partition("/"), value) for key, value in result["episode_s"].items())
        renamed = {f"{task}/{new_name(cost, {'flow': 'all-pairs'})}": value for (task, _, cost), value in parts}
        path.write_text(json.dumps({**result, "episode_s": renamed}) + "\n")


def _read(path: Path) -> Json:
    read: Json = json.loads(path.read_text())
    return read


def _write(path: Path, config: Json) -> None:
    path.write_text(json.dumps(config, indent=2) + "\n")


def _rewrite_rows(path: Path, renamed: Callable[[Json], Json]) -> list[Json]:
    rows = [renamed(json.loads(line)) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return rows


if __name__ == "__main__":
    migrate(Path(sys.argv[1]))
