"""``corrwise table flows``: errors, loss curves and speed of each flow; rows, a table and figures in one folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from corrwise._files import reading
from corrwise._writing import RunFolderError, write_aside, write_bytes_atomic
from corrwise.costs.flow.bidirectional import both_ways
from corrwise.costs.flow_colors import flow_to_rgb, flow_wheel
from corrwise.experiments.cli.options import BODY_NAMES
from corrwise.experiments.cli.table_flows import COMPARED, FlowTableConfig
from corrwise.experiments.runs.folder import Job, RunFolder
from corrwise.experiments.runs.rows import Row
from corrwise.experiments.runs.settings import settings_of
from corrwise.experiments.studies.flows.bench import FlowBench, Measure
from corrwise.experiments.studies.flows.exact_pairs import Pairs
from corrwise.experiments.studies.flows.measure import MOVES, endpoint_errors
from corrwise.experiments.studies.flows.scenes import FlowScene
from corrwise.experiments.studies.flows.text import BASELINE, KEY, RowKey, flow_row_key, table_page
from corrwise.types import Flow

__all__ = ["draw_curves", "draw_line", "draw_matches", "run_flow_table", "telling_pair"]

_FORMS = {
    "scaled": "corr-l1 (flow scaling 0.1)",
    "unscaled": "corr-l1 without flow scaling",
    "recommended": "each flow's recommended form",
}
_COLORS = ("C0", "C1", "C2", "C3", "C4", "C5", "C6", "C9", "C8")  # matplotlib's own but for the grey
_MOTION = (6.0, 16.0)  # mean displacement of a pair worth showing, pixels
_INCH = 1.5  # of a picture


def draw_curves(path: Path, rows: Sequence[Row]) -> None:
    """Draw loss against offset: a row of panels per body, a line per flow with its 95 % interval over pictures."""
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
                    style = {"color": "black", "linestyle": ":"} if flow == "exact" else {"color": _COLORS[i]}
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
    """Draw one loss; the recommended forms, each with prices of its own, as shares of their largest values."""
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
    """Draw for each body a goal, a candidate, the exact flow between them and what each flow finds."""
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
    """Return titles and uint8 pictures of one body, and the length of flow that has the full colour, pixels."""
    pair = telling_pair(scene.clean)
    x, y, truth = pair.x[0], pair.y[0], pair.flow_xy[0]
    longest = float(truth.norm(dim=0).nan_to_num(0.0).max())
    pictures = [(image.permute(1, 2, 0) * 255).round().byte().numpy() for image in (x, y)]
    cells = [("goal", pictures[0]), ("candidate", pictures[1])]
    cells.append(("exact flow", flow_to_rgb(truth.numpy(), max_px=longest)))
    for name, flow in flows.items():
        with torch.no_grad():
            field = both_ways(flow, pair.x, pair.y)[0].cpu()
        error = endpoint_errors(field, pair.flow_xy, pair.seen_xy)[0].mean()
        cells.append((f"{name}: {float(error):.1f}", flow_to_rgb(field[0].numpy(), max_px=longest)))
    return cells, longest


def telling_pair(pairs: Pairs) -> Pairs:
    """Return, as a batch of one, the pair with the most visible moving pixels among those that move 6 to 16 px."""
    length = pairs.flow_xy.norm(dim=1).nan_to_num(0.0)
    body = pairs.seen_xy & (length > MOVES)
    count = body.sum(dim=(1, 2))
    mean = (length * body).sum(dim=(1, 2)) / count.clamp(min=1)
    good = (mean >= _MOTION[0]) & (mean <= _MOTION[1])
    best = int(torch.where(good | ~good.any(), count, -1).argmax())
    return Pairs(*(getattr(pairs, name)[best : best + 1] for name in pairs.__dataclass_fields__))


def run_flow_table(config: FlowTableConfig) -> Path:
    """Measure what the folder does not hold yet, and return the table's path.

    Each row is written as soon as it is measured, so a run that is killed continues with the same command. Rows of a
    flow whose weights or numbers have changed since are measured anew; of rows with the same key the last counts.

    Raises:
        ConfigMismatch, RunFolderError: the folder is another run's, or cannot be used.
        FileNotFoundError, RuntimeError, ValueError: weights that were asked for cannot be had.
    """
    bench = FlowBench(config)  # missing files must fail before anything is written
    for sentence in bench.absent.values():
        print(sentence)
    jobs = [
        Job(_setup, each, {each.key: {"network": each.network, "settings": each.settings}}, label=" ".join(each.key))
        for each in bench.measures()
    ]
    with RunFolder(config.out, settings_of(config, "flows"), KEY, newest=True) as folder:
        timed = [job for job in jobs if config.retime and job.subject.key[0] == "speed"]
        folder.run(jobs, again=[job.subject.key for job in timed])
        with reading(folder.file, "holds rows that no table can be made of", RunFolderError):
            write_bytes_atomic(config.out / "table.md", table_page(folder.rows).encode())
            draw_curves(config.out / "curves.png", folder.rows)
        scenes = [bench.scenes[body] for body in config.bodies if body in BODY_NAMES]
        draw_matches(config.out / "matches.png", scenes, bench.flows)
    return config.out / "table.md"


def _setup(measure: Measure, *, threads: int, progress: Callable[[], Any]) -> Callable[[Sequence[RowKey]], list[Row]]:
    named = dict(zip(KEY, measure.key, strict=True))
    return lambda keys: [{**named, **measure.numbers()}]
