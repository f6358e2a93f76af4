"""Draw clips in which a ball rests and now and then moves, folders of images for ``corrwise import``.

    python -m tools.stop_and_go clips/frames --clips 400
    corrwise import --source clips/frames --size 32 --out clips/stop-and-go

A resting ball begins to move with a chance that no frame shows, in one of four directions, for a few frames. What comes
next is most likely nothing: a model that seeks the likeliest future stands still.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import tyro

from corrwise.validation import ConfigError, Range, check, validated

Length = Annotated[float, Range(0, open="low")]
Whole = Annotated[int, Range(1)]


@validated
class Balls:
    """What to draw."""

    out: tyro.conf.Positional[Path]
    """Folder for a folder of images for each clip."""
    clips: Whole = 400
    """Clips."""
    frames: Whole = 20
    """Frames of a clip."""
    seed: Annotated[int, Range(0)] = 0
    """Seed of the first clip."""
    side: Whole = 32
    """Side of an image, in pixels."""
    radius: Length = 5.0
    """Of the ball, in pixels."""
    chance: Annotated[float, Range(0, 1)] = 0.15
    """That a resting ball begins to move."""
    moves: Whole = 4
    """Frames that it then moves for."""
    speed: Length = 2.0
    """Pixels that it moves by in a frame."""

    def __post_init__(self) -> None:
        """Refuse a ball that has no room."""
        room = self.side - 2 * (self.radius + 1)
        check(
            2 * self.moves * self.speed <= room, "moves", f"so few that a path fits twice into {room:g} px", self.moves
        )


def places(balls: Balls, draws: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the centre (x, y) of the ball in each frame; it never reaches the border."""
    low, high = balls.radius + 1, balls.side - balls.radius - 1
    place, step, left = draws.uniform(low, high, 2), np.zeros(2), 0
    while True:
        yield place
        if left == 0 and draws.random() < balls.chance:
            ways = balls.speed * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
            ends = place + balls.moves * ways
            ways = ways[((ends >= low) & (ends <= high)).all(axis=1)]
            step, left = ways[draws.integers(len(ways))], balls.moves
        if left:
            place, left = place + step, left - 1


def image(balls: Balls, place: np.ndarray) -> np.ndarray:
    """Return a smooth orange ball on grey, (side, side, 3) uint8, RGB; its dents show how its inside moves."""
    y, x = (each - centre for each, centre in zip(np.mgrid[: balls.side, : balls.side], place[::-1], strict=True))
    inside = np.clip(balls.radius + 0.5 - np.hypot(x, y), 0, 1)[..., None]
    dents = 1 - 0.3 * (np.sin(2 * np.pi * x / balls.radius) * np.sin(2 * np.pi * y / balls.radius))[..., None]
    shown = inside * dents * np.array([190.0, 110.0, 35.0]) + (1 - inside) * 110.0
    return np.round(shown).astype(np.uint8)


def main(balls: Balls) -> None:
    """Write the clips."""
    for number in range(balls.seed, balls.seed + balls.clips):
        folder = balls.out / f"{number:06d}"
        folder.mkdir(parents=True, exist_ok=True)
        for k, place in zip(range(balls.frames), places(balls, np.random.default_rng(number)), strict=False):
            cv2.imwrite(str(folder / f"{k:04d}.png"), cv2.cvtColor(image(balls, place), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    try:
        main(tyro.cli(Balls))
    except ConfigError as error:
        raise SystemExit(f"stop_and_go: {error}") from None
