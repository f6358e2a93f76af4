"""Numbers in names compare as numbers."""

import random

import pytest

from corrwise.predictors.data.formats.media_files import in_order


@pytest.mark.parametrize(
    "names",
    [
        "1700000000.png 1700000000.25.png 1700000000.5.png 1700000001.0.png",
        "t1700000000.123456789.jpg t1700000000.5.jpg t1700000000.9.jpg",
        "img1.png img2.png img10.png img100.png",
        "v1.9.png v1.10.png v1.11.png v2.1.png",  # a fraction that ends in a zero: versions
        "0.05.png 0.50.png 0.75.png 1.00.png",  # fractions of one length are decimal either way
        "2024.01.02.png 2024.01.10.png 2024.2.1.png",
        "2024-01-02 2024-01-10 2024-02-01",
        "-2.png -1.5.png -1.png 0.png 3.png",
        "t_-10 t_-2 t_0 t_1",
        "img-1 img-2 img-10",
        "01.png 1.png 2.png 002.5.png 03.png",
        "\u0662.png 10.png \u0661\u0661.png",  # 2, 10 and 11
        "x²1.png x²10.png",  # a superscript is no digit
        "run.1 run.2 run.10",
        "walk/2 walk/10 walk/10/3 walk-1",
        "a a1 a1b a2 b",
    ],
)
def test_names_are_in_the_order_of_their_numbers(names):
    ordered = names.split(" ")
    for seed in range(5):
        shuffled = random.Random(seed).sample(ordered, len(ordered))
        assert in_order(shuffled, (".png", ".jpg")) == ordered
