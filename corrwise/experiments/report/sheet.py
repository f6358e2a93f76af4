"""A contact sheet: many small images, enlarged, each with its faults written under it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import wrap

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

Numbers = dict[str, float]
Color = tuple[int, int, int]

_PAPER, _INK, _QUIET = (255, 255, 255), (28, 30, 33), (110, 114, 120)
_CUT, _THIN, _HIDDEN = (206, 32, 41), (168, 94, 0), (38, 92, 160)
_SIDE = 190  # pixels; about the size of a shown image
_LARGEST = 256
_DIM = 0.6  # how far what lies around an image fades into the paper
_GAP, _PAIR_GAP, _EDGE = 8, 28, 20
_PAIRS = 3  # pairs of start and goal in a row
_TITLE, _TEXT, _SMALL = 20, 14, 12


@dataclass(frozen=True)
class Shot:
    """One image of a sheet.

    Attributes:
        title: the text above it.
        goal: whether it is a goal, or a start.
        image: uint8 (size, size, 3).
        around: the same with a margin, uint8 (wide, wide, 3).
        body: where that shows something that moves, (wide, wide).
        edges: whether something crosses the left, top, right and bottom edge, (4,).
        cut: pixels outside the image, by geom.
        thin: thickness in pixels of geoms below one.
        hidden: geoms inside the image that no pixel shows.
    """

    title: str
    goal: bool
    image: np.ndarray
    around: np.ndarray
    body: np.ndarray
    edges: np.ndarray
    cut: Numbers
    thin: Numbers
    hidden: Numbers


def contact_sheet(title: str, lines: Sequence[str], shots: Sequence[Shot]) -> np.ndarray:
    """Return a sheet of pairs of shots under a title and a summary, uint8 (H, W, 3)."""
    tiles, notes = [_tile(shot) for shot in shots], [_notes(shot) for shot in shots]
    side, columns = tiles[0].width, min(_PAIRS, (len(shots) + 1) // 2)
    pair, top = 2 * side + _GAP, _TEXT + 8
    row = top + side + 4 + (_SMALL + 4) * max(map(len, notes)) + 14
    header = _header(title, lines, 2 * _EDGE + columns * pair + (columns - 1) * _PAIR_GAP)
    sheet = ImageOps.expand(header, (0, 0, 0, -(-len(shots) // (2 * columns)) * row + _EDGE), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for i, (shot, tile) in enumerate(zip(shots, tiles, strict=True)):
        place, second = divmod(i, 2)
        x = _EDGE + (place % columns) * (pair + _PAIR_GAP) + second * (side + _GAP)
        y = header.height + place // columns * row
        draw.text((x, y), shot.title, fill=_INK, font=_font(_TEXT))
        sheet.paste(tile, (x, y + top))
        for line, (text, color) in enumerate(notes[i]):
            at = (x, y + top + side + 4 + line * (_SMALL + 4))
            draw.text(at, _fitted(text, side, _font(_SMALL)), fill=color, font=_font(_SMALL))
    return np.asarray(sheet)


def _tile(shot: Shot) -> Image.Image:
    """Return the enlarged image in its faded surroundings, with a red line along the edges that something crosses.

    What of a body lies in the surroundings is red.
    """
    size, wide = len(shot.image), len(shot.around)
    margin = (wide - size) // 2
    faded = shot.around + _DIM * (np.array(_PAPER) - shot.around)
    faded[shot.body] = _CUT
    faded[margin : margin + size, margin : margin + size] = shot.image
    shown = size * max(1, round(_SIDE / size)) if size <= _LARGEST else _LARGEST
    scale = shown / size
    sampling = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX
    tile = Image.fromarray(faded.round().astype(np.uint8)).resize((round(wide * scale),) * 2, sampling)
    low, high = round(margin * scale) - 2, round((margin + size) * scale) + 1  # just outside of the image
    draw = ImageDraw.Draw(tile)
    draw.rectangle((low + 1, low + 1, high - 1, high - 1), outline=_QUIET)
    corners = ((low, low, low, high), (low, low, high, low), (high, low, high, high), (low, high, high, high))
    for crossed, line in zip(shot.edges, corners, strict=True):
        if crossed:
            draw.line(line, fill=_CUT, width=3)
    return tile


def _notes(shot: Shot) -> list[tuple[str, Color]]:
    """Return the lines under an image: geoms that are cut off, thin and hidden."""
    marks = (
        ("cut off", shot.cut, " ({:.1f} px)", _CUT),
        ("thin", shot.thin, " ({:.1f} px)", _THIN),
        ("hidden", shot.hidden, "", _HIDDEN),
    )
    notes = []
    for label, geoms, unit, color in marks:
        if geoms:
            largest = sorted(geoms.items(), key=lambda item: -item[1])
            names = ", ".join(name + unit.format(pixels) for name, pixels in largest)
            notes.append((f"{label}: {names}" if len(geoms) == 1 else f"{label} ({len(geoms)}): {names}", color))
    return notes


def _header(title: str, lines: Sequence[str], width: int) -> Image.Image:
    """Return the title, the summary and the legend, wrapped to the sheet's width."""
    legend = (
        "Faded: around the image, the body in red. Red edge: a part of the body crosses it. px: pixels of the image."
    )
    parts = [(title, _TITLE, _INK), *((line, _TEXT, _INK) for line in lines), (legend, _SMALL, _QUIET)]
    rows = [
        (row, size, color)
        for text, size, color in parts
        for row in wrap(text, max(20, int((width - 2 * _EDGE) / (0.6 * size))))
    ]
    header = Image.new("RGB", (width, _EDGE + sum(size + 8 for _, size, _ in rows) + 14), _PAPER)
    draw, y = ImageDraw.Draw(header), _EDGE
    for row, size, color in rows:
        draw.text((_EDGE, y), row, fill=color, font=_font(size))
        y += size + 8
    return header


def _fitted(text: str, width: int, font: ImageFont.FreeTypeFont) -> str:
    """Return the text, its end cut off where it is wider than ``width`` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip(" ,(") + "…"


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return matplotlib's own copy of DejaVu Sans, which has most letters."""
    from matplotlib import get_data_path

    return ImageFont.truetype(str(Path(get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), size)
