"""The table and the figures of ``corrwise table flows``, made from its rows and scenes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from corrwise._writing import write_aside
from corrwise.costs.flow.bidirectional import both_ways
from corrwise.costs.flow.learned.loss import MOVES, endpoint_errors
from corrwise.costs.flow_colors import flow_to_rgb, flow_wheel
from corrwise.envs.flow_data import Pairs
from corrwise.experiments.cli.options import BODY_NAMES
from corrwise.experiments.cli.table_flows import BODIES, COMPARED
from corrwise.experiments.runs.rows import NUMBER, NUMBERS, SWITCH, TEXT, TEXT_BY_NAME, Key, Row
from corrwise.experiments.studies.flows.measure import BANDS, EXACT, FlowScene
from corrwise.types import Flow

_FORMS = {
    "scaled": "corr-l1 (flow scaling 0.1)",
    "unscaled": "corr-l1 without flow scaling",
    "recommended": "each flow's recommended form",
}
_COLORS = ("C0", "C1", "C2", "C3", "C4", "C5", "C6", "C9", "C8")  # matplotlib's own but for the grey
_MOTION = (6.0, 16.0)  # mean displacement of the pair that is shown, pixels
_INCH = 1.5  # of an image


def _uneven(row: Row) -> str | None:
    """Return what is wrong with a row that is a curve."""
    if row["kind"] != "curve":
        return None
    counts = {name: len(row.get(name) or ()) for name in ("offsets", "loss", "error")}
    if len(set(counts.values())) > 1 or not counts["loss"]:
        return f"expected as many offsets as losses and errors in a curve, got {counts}"
    whole = None not in row["offsets"] and None not in row["loss"]
    return None if whole else "expected numbers as offsets and loss of a curve, got null among them"


KEY = Key(  # what identifies a row of this table
    {"kind": str, "flow": str, "body": str, "variant": str},
    {
        **dict.fromkeys(("epe_", "marked_", "relative_", "displacement_", "ms_per_pair"), NUMBER),
        **dict.fromkeys(("loss", "offsets", "error"), NUMBERS),
        **dict.fromkeys(("weights", "reason", "network"), TEXT),
        **{"differentiable": SWITCH, "versions": TEXT_BY_NAME},
    },
    also=_uneven,
)
RowKey = tuple[str, str, str, str]
BASELINE = "none"  # the flow of the curve of pixel L1
MISSING = "missing"  # the kind of the one row of a flow that is left out

Index = Mapping[RowKey, Row]


def flow_row_key(row: Row) -> RowKey:
    """Return the key of a row: (kind, flow, body, variant)."""
    kind, flow, body, variant = (row[name] for name in KEY)
    return kind, flow, body, variant


def flows_table(rows: Iterable[Row], planning: Mapping[tuple[str, str], str] | None = None) -> str:
    """Return one line per flow: errors, mean of the three tasks' bodies; time, gradient, weights and planning.

    Args:
        rows: of ``corrwise table flows``; of rows with the same key the last counts.
        planning: a cell by (flow, body) on planning with the flow; None leaves the columns out.
    """
    index = _index(rows)
    names = ["flow", "EPE 0-2 px", "2-8 px", "8-32 px", "share of 8-32 px", "ms, CPU", "ms, GPU", "gradient", "weights"]
    lines = []
    for flow in _flows(index):
        mean = {name: _mean(index, flow, name) for name in (*(f"epe_{band}" for band in BANDS), "relative_8_32")}
        cells = [f"`{flow}`", *(_number(mean[f"epe_{band}"]) for band in BANDS), _share(mean["relative_8_32"])]
        cells += [_number(index.get(("speed", flow, "humanoid", d), {}).get("ms_per_pair")) for d in ("cpu", "cuda")]
        facts = _facts(index, flow)
        cells += ["yes" if facts.get("differentiable") else "no", facts.get("weights") or ""]
        lines.append(cells + [planning.get((flow, body), "") for body in BODY_NAMES if planning is not None])
    planned = [f"gap closed, {body}" for body in BODY_NAMES] if planning is not None else []
    return _markdown(names + planned, lines) if lines else ""


def bodies_table(rows: Iterable[Row], variant: str) -> str:
    """Return one line per flow, one column per body: endpoint errors for 0-2 / 2-8 / 8-32 px, clean or degraded."""
    index = _index(rows)
    bodies = [body for body in BODIES if any(key[::2] == ("error", body) for key in index)]
    lines = []
    for flow in _flows(index):
        errors = [index.get(("error", flow, body, variant), {}) for body in bodies]
        if any(errors):
            lines.append([f"`{flow}`", *(" / ".join(_number(e.get(f"epe_{b}")) for b in BANDS) for e in errors)])
    return _markdown(["flow", *bodies], lines)


def check_table(rows: Iterable[Row]) -> str:
    """Return one line per flow: the share that its forward-backward check marks, and the error of the rest."""
    index = _index(rows)
    lines = []
    for flow in _flows(index):
        cells = [f"`{flow}`"]
        for variant in ("clean", "degraded"):
            cells.append(" / ".join(_share(_mean(index, flow, f"marked_{band}", variant)) for band in BANDS))
            cells.append(" / ".join(_number(_mean(index, flow, f"epe_unmarked_{band}", variant)) for band in BANDS))
        if not all(math.isnan(_mean(index, flow, f"epe_{band}")) for band in BANDS):
            lines.append(cells)
    return _markdown(["flow", "marked", "EPE of the rest", "marked, degraded", "EPE of the rest, degraded"], lines)


def table_page(rows: Iterable[Row]) -> str:
    """Return all tables in one page."""
    rows = list(rows)
    reasons = {row["flow"]: row.get("reason", "") for row in rows if row["kind"] == MISSING}
    absent = [f"`{flow}`: {why}.\n" for flow, why in reasons.items() if not _measured(_index(rows), flow)]
    parts = [
        "# Optical flows\n", "Mean endpoint error in pixels on visible pixels of moving bodies; "
        "time per symmetric pair.\n", flows_table(rows), *absent, "## Clean pairs, 0-2 / 2-8 / 8-32 px\n",
        bodies_table(rows, "clean"), "## Degraded pairs\n", bodies_table(rows, "degraded"),
        "## Forward-backward check\n", check_table(rows),
    ]  # fmt: skip
    return "\n".join(parts)


def _index(rows: Iterable[Row]) -> dict[RowKey, Row]:
    return {flow_row_key(row): row for row in rows}


def _flows(index: Index) -> list[str]:
    """Return the flows in the rows, in the command line's order, but for the ground truth."""
    present = {key[1] for key in index} - {EXACT, BASELINE}
    return [flow for flow in COMPARED if flow in present]


def _measured(index: Index, flow: str) -> bool:
    return any(key[1] == flow and key[0] != MISSING for key in index)


def _facts(index: Index, flow: str) -> Row:
    rows = [index.get(("speed", flow, "humanoid", "cpu")), index.get(("speed", flow, "humanoid", "cuda"))]
    return next((row for row in rows if row), index.get((MISSING, flow, "", ""), {}))


def _mean(index: Index, flow: str, name: str, variant: str = "clean") -> float:
    """Return the mean over the tasks' bodies; NaN unless all of them have the number."""
    values = [index.get(("error", flow, body, variant), {}).get(name) for body in BODY_NAMES]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else math.nan


def _number(value: Any) -> str:
    if value is None or math.isnan(value):
        return ""
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.0%}"


def _markdown(names: list[str], lines: list[list[str]]) -> str:
    rows = [names, ["---"] * len(names), *lines]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in rows)


def draw_curves(path: Path, rows: Sequence[Row]) -> None:
    """Draw loss against offset: a row of panels per body, a line per flow with its 95 % interval over images."""
    from matplotlib.figure import Figure

    index = {flow_row_key(row): row for row in rows if row["kind"] == "curve"}
    bodies = [body for body in BODY_NAMES if ("curve", BASELINE, body, "l1") in index]
    if not bodies:
        return
    figure = Figure(figsize=(11, 3.1 * len(bodies) + 0.5), layout="constrained")
    panels = figure.subplots(len(bodies), len(_FORMS), squeeze=False, sharex=True)
    for line, body in enumerate(bodies):
        for panel, (form, title) in zip(panels[line], _FORMS.items(), strict=True):
            baseline = index["curve", BASELINE, body, "l1"]
            _line(panel, baseline, form, label="pixel L1, both directions", color="black", linestyle="--", zorder=3)
            for i, flow in enumerate(COMPARED):
                if ("curve", flow, body, form) in index:
                    style = {"color": "black", "linestyle": ":"} if flow == EXACT else {"color": _COLORS[i]}
                    _line(panel, index["curve", flow, body, form], form, label=flow, **style)
            panel.set_title(f"{body}: {title}", fontsize=10)
            panel.set_ylim(bottom=0)
        panels[line][0].set_ylabel("loss")
        panels[line][2].set_ylabel("share of the loss's largest")
    for panel in panels[-1]:
        panel.set_xlabel("offset, pixels")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=9)
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=80)


def _line(panel: Any, row: Row, form: str, **style: Any) -> None:
    """Draw one loss; the recommended forms, each with weights of its own, as shares of their largest values."""
    times = 2.0 if row["flow"] == BASELINE else 1.0  # every correspondence-wise loss is a sum of two directions
    if form == "recommended":
        times = 1 / (max(row["loss"]) or 1.0)
    draw_line(panel, row, times=times, **style)


def draw_line(panel: Any, row: Row, *, times: float, **style: Any) -> None:
    """Draw the curve of a row, multiplied by a number, with its 95 % interval."""
    mean = [times * value for value in row["loss"]]
    panel.plot(row["offsets"], mean, linewidth=1.6, **style)
    if all(error is not None for error in row["error"]):
        low, high = ([m + s * 1.96 * times * e for m, e in zip(mean, row["error"], strict=True)] for s in (-1, 1))
        panel.fill_between(row["offsets"], low, high, color=style["color"], alpha=0.12, linewidth=0)


def draw_matches(path: Path, scenes: Sequence[FlowScene], flows: Mapping[str, Flow]) -> None:
    """Draw for each body a goal, a candidate, the ground-truth flow between them and each flow's estimate."""
    from matplotlib.figure import Figure

    if not scenes:
        return
    columns = 3 + len(flows)
    figure = Figure(figsize=(_INCH * columns + 0.3, (_INCH + 0.28) * len(scenes) + 0.35), layout="constrained")
    panels = figure.subplots(len(scenes), columns, squeeze=False)
    for line, scene in zip(panels, scenes, strict=True):
        cells, longest = _cells(scene, flows)
        for panel, (title, image) in zip(line, cells, strict=True):
            panel.imshow(image, interpolation="nearest")
            panel.set_title(title, fontsize=9)
            panel.set_xticks([])
            panel.set_yticks([])
        line[0].set_ylabel(scene.body, fontsize=11)
        wheel = line[2].inset_axes((0.76, 0.76, 0.22, 0.22))
        wheel.imshow(flow_wheel(48))
        wheel.axis("off")
        line[2].set_xlabel(f"rim of the wheel: {longest:.0f} px", fontsize=7)
    figure.suptitle(
        "Where each goal pixel lies in the candidate; EPE in pixels on the body's visible pixels", fontsize=10
    )
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=100)


def _cells(scene: FlowScene, flows: Mapping[str, Flow]) -> tuple[list[tuple[str, Any]], float]:
    """Return titles and uint8 images of one body, and the length of flow with the full colour, pixels."""
    pair = example_pair(scene.clean)
    x, y, truth = pair.x[0], pair.y[0], pair.flow_xy[0]
    longest = float(truth.norm(dim=0).nan_to_num(0.0).max())
    images = [(image.permute(1, 2, 0) * 255).round().byte().numpy() for image in (x, y)]
    cells = [("goal", images[0]), ("candidate", images[1])]
    cells.append(("exact flow", flow_to_rgb(truth.numpy(), max_px=longest)))
    for name, flow in flows.items():
        with torch.no_grad():
            field = both_ways(flow, pair.x, pair.y)[0].cpu()
        error = endpoint_errors(field, pair.flow_xy, pair.seen_xy)[0].mean()
        cells.append((f"{name}: {float(error):.1f}", flow_to_rgb(field[0].numpy(), max_px=longest)))
    return cells, longest


def example_pair(pairs: Pairs) -> Pairs:
    """Return, as a batch of one, the pair with the most visible moving pixels among those that move 6 to 16 px."""
    length = pairs.flow_xy.norm(dim=1).nan_to_num(0.0)
    body = pairs.seen_xy & (length > MOVES)
    count = body.sum(dim=(1, 2))
    mean = (length * body).sum(dim=(1, 2)) / count.clamp(min=1)
    good = (mean >= _MOTION[0]) & (mean <= _MOTION[1])
    best = int(torch.where(good | ~good.any(), count, -1).argmax())
    return Pairs(*(getattr(pairs, name)[best : best + 1] for name in pairs.__dataclass_fields__))
