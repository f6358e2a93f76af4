"""The built-in objects and backgrounds: drawn here, or read from packages that this one depends on."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

__all__ = ["BACKGROUNDS", "OBJECTS", "street"]

_FINE = 4  # pixels of a drawing for each of the image, in each direction
_GRAIN = 0.05  # largest relative change of a pixel's brightness

Draw = ImageDraw.ImageDraw
Color = tuple[int, int, int]


def car() -> UInt8[np.ndarray, "100 260 4"]:
    """Return a car from the side, RGBA."""
    image = Image.new("RGBA", (260 * _FINE, 100 * _FINE))
    draw = ImageDraw.Draw(image)

    def at(*numbers: int) -> list[int]:
        return [_FINE * number for number in numbers]

    def wheel(x: int) -> None:
        for radius, color in ((21, "#15171a"), (13, "#9aa3ad"), (9, "#5c6670"), (3, "#d8dde2")):
            draw.ellipse(at(x - radius, 78 - radius, x + radius, 78 + radius), color)

    draw.polygon(at(56, 46, 92, 10, 170, 8, 216, 46), "#a81f2d")
    draw.rounded_rectangle(at(4, 40, 256, 82), _FINE * 16, "#c62839")
    draw.polygon(at(72, 42, 97, 16, 128, 15, 128, 42), "#bfe3f5")
    draw.polygon(at(136, 42, 136, 15, 166, 14, 196, 42), "#bfe3f5")
    draw.polygon(at(92, 42, 112, 16, 120, 16, 100, 42), "#e9f6fc")
    draw.rectangle(at(14, 58, 246, 63), "#f3d9a4")
    draw.rounded_rectangle(at(4, 70, 256, 84), _FINE * 6, "#3a2430")
    for x in (131, 206):
        draw.line(at(x, 44, x, 70), "#7d1420", _FINE * 2)
    for x in (142, 90):
        draw.rounded_rectangle(at(x, 49, x + 14, 52), _FINE, "#5f0f19")
    draw.ellipse(at(240, 46, 256, 58), "#fff3b0")
    draw.rounded_rectangle(at(4, 46, 14, 60), _FINE * 2, "#ff8a3d")
    wheel(60)
    wheel(204)
    return np.asarray(image.resize((260, 100), Image.Resampling.BOX))


def present() -> UInt8[np.ndarray, "h w 4"]:
    """Return the wrapped present among matplotlib's sample data, RGBA.

    Raises:
        FileNotFoundError: matplotlib was installed without it.
    """
    from matplotlib import get_data_path

    path = Path(get_data_path()) / "sample_data" / "Minduka_Present_Blue_Pack.png"
    if not path.is_file():
        raise FileNotFoundError(f"matplotlib was installed without its sample data, expected {path}")
    return np.asarray(Image.open(path).convert("RGBA"))


def street(size: tuple[int, int], rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """Return a street of random houses and trees under a sky with clouds, of a height and a width."""
    height, width = (_FINE * side for side in size)
    low, high = (np.array(_near(rng, color), dtype=float) for color in ((214, 226, 236), (92, 148, 214)))
    up = np.linspace(1, 0, height)[:, None, None]
    sky = np.broadcast_to(low + up * (high - low), (height, width, 3))
    image = Image.fromarray(sky.round().clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    _clouds(draw, rng, width, height)
    ground = 0.66 * height
    _hills(draw, rng, width, ground)
    _houses(draw, rng, width, ground)
    _trees(draw, rng, width, ground)
    draw.rectangle((0, ground, width, height), _near(rng, (172, 164, 152)))
    draw.rectangle((0, 0.72 * height, width, height), _near(rng, (86, 88, 94)))
    draw.rectangle((0, 0.72 * height, width, 0.735 * height), (226, 222, 210))
    dash, start = 0.2 * height, rng.uniform(-0.3, 0) * height
    for x in np.arange(start, width, 2 * dash):
        draw.rectangle((x, 0.87 * height, x + dash, 0.895 * height), (236, 230, 204))
    small = np.asarray(image.resize(size[::-1], Image.Resampling.BOX), dtype=float)
    grain = 1 + _GRAIN * rng.uniform(-1, 1, (*size, 1))
    return (small * grain).round().clip(0, 255).astype(np.uint8)


def city(size: tuple[int, int], rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
    """Return one of the four skylines that labmaze, on which dm_control depends, has as textures of a sky.

    Raises:
        FileNotFoundError: labmaze is not installed, or was installed without its textures.
    """
    name = ("bk", "ft", "lf", "rt")[rng.integers(4)]
    try:
        there = [file for file in files("labmaze") or () if file.parts[-2:] == ("sky_03", f"{name}.png")]
    except PackageNotFoundError:
        there = []
    if not there:
        raise FileNotFoundError(
            f"the background city needs the texture sky_03/{name}.png of labmaze: pip install labmaze"
        )
    image = Image.open(Path(str(there[0].locate()))).convert("RGB")
    side = image.width
    height = min(side, round(side * size[0] / size[1]))
    ground = round(0.95 * side)  # the lower end of a strip that holds the skyline
    image = image.crop((0, max(0, ground - height), side, max(0, ground - height) + height))
    return np.asarray(image.resize(size[::-1], Image.Resampling.BOX))


OBJECTS: dict[str, Callable[[], np.ndarray]] = {"car": car, "present": present}
BACKGROUNDS: dict[str, Callable[[tuple[int, int], np.random.Generator], np.ndarray]] = {"street": street, "city": city}


def _near(rng: np.random.Generator, color: Color, spread: int = 18) -> Color:
    red, green, blue = np.clip(np.array(color) + rng.integers(-spread, spread + 1, 3), 0, 255).tolist()
    return red, green, blue


def _clouds(draw: Draw, rng: np.random.Generator, width: int, height: int) -> None:
    for _ in range(int(rng.integers(2, 5))):
        x, y, long = rng.uniform(0, width), rng.uniform(0.05, 0.3) * height, rng.uniform(0.15, 0.4) * height
        for _ in range(5):
            dx, dy, radius = (
                rng.uniform(-long, long) / 2,
                rng.uniform(-0.02, 0.02) * height,
                rng.uniform(0.15, 0.3) * long,
            )
            draw.ellipse((x + dx - 2 * radius, y + dy - radius, x + dx + 2 * radius, y + dy + radius), (238, 242, 246))


def _hills(draw: Draw, rng: np.random.Generator, width: int, ground: float) -> None:
    x = np.linspace(0, width, 60)
    rates = np.array([1.3, 3.1, 5.7])[:, None]
    waves = (np.sin(x / ground * rates + rng.uniform(0, 6, (3, 1))) / rates).sum(axis=0)
    tops = ground * (0.6 - 0.12 * waves)
    outline = [(0.0, ground), *zip(x.tolist(), tops.tolist(), strict=True), (float(width), ground)]
    draw.polygon(outline, _near(rng, (124, 158, 138)))


def _houses(draw: Draw, rng: np.random.Generator, width: int, ground: float) -> None:
    x = -rng.uniform(0, 0.3) * ground
    while x < width:
        wide, top = rng.uniform(0.3, 0.6) * ground, ground * rng.uniform(0.15, 0.55)
        wall = _near(rng, ((188, 120, 96), (208, 188, 152), (150, 158, 170), (176, 150, 170))[rng.integers(4)], 25)
        dark = tuple(round(0.55 * part) for part in wall)
        draw.rectangle((x, top, x + wide, ground), wall)
        draw.rectangle((x, top, x + wide, top + 0.03 * ground), dark)
        columns, rows = int(wide / (0.13 * ground)), int((ground - top) / (0.15 * ground))
        for i in range(columns):
            for j in range(rows):
                left, upper = x + wide * (i + 0.3) / columns, top + (ground - top) * (j + 0.35) / rows
                glass = (244, 222, 150) if rng.random() < 0.25 else (64, 82, 104)
                draw.rectangle((left, upper, left + 0.055 * ground, upper + 0.07 * ground), glass)
        x += wide + (rng.uniform(0.05, 0.3) * ground if rng.random() < 0.4 else 0)


def _trees(draw: Draw, rng: np.random.Generator, width: int, ground: float) -> None:
    for _ in range(int(rng.integers(1, 5))):
        x, tall = rng.uniform(0, width), rng.uniform(0.22, 0.38) * ground
        draw.rectangle((x - 0.015 * ground, ground - tall, x + 0.015 * ground, ground), (92, 68, 52))
        for _ in range(7):
            dx, dy, radius = rng.normal(0, 0.2 * tall), rng.normal(0, 0.15 * tall), rng.uniform(0.15, 0.3) * tall
            y = ground - tall + dy
            draw.ellipse((x + dx - radius, y - radius, x + dx + radius, y + radius), _near(rng, (74, 124, 66), 22))
