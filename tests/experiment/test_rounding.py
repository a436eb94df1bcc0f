# ruff: noqa: RUF001 -- readers are shown Greek letters and true minus signs
"""Numbers as readers are shown them."""

import math

import pytest

from hierjax.experiment.rounding import (
    aligned,
    common_decimals,
    decimals_for,
    interval,
    number,
    seconds,
    whole,
)


@pytest.mark.parametrize(
    ("spread", "decimals"),
    [(0.0135, 4), (0.11, 3), (0.999, 3), (1.0, 2), (5.2, 2), (99.0, 1), (100.0, 0), (4e5, 0)],
)
def test_decimals_show_three_digits_of_the_spread(spread, decimals):
    assert decimals_for(spread) == decimals


@pytest.mark.parametrize("spread", [math.nan, math.inf, 0.0, -1.0])
def test_no_spread_gives_the_usual_decimals(spread):
    assert decimals_for(spread) == 3


def test_tiny_spreads_do_not_ask_for_endless_decimals():
    assert decimals_for(1e-200) == 12


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (-1.7973, 3, "−1.797"),
        (1234567.891, 1, "1,234,567.9"),
        (-0.0004, 3, "0.000"),
        (-0.0, 1, "0.0"),
        (math.nan, 3, "—"),
        (math.inf, 3, "∞"),
        (-math.inf, 3, "−∞"),
        (12, 0, "12"),
    ],
)
def test_numbers(value, decimals, text):
    assert number(value, decimals) == text


def test_aligned_numbers_have_their_points_in_one_line():
    column = [aligned(value, decimals, 3) for value, decimals in [(1.5, 3), (-20.25, 1), (300, 0)]]
    # Figure spaces and a punctuation space stand for digits and a point.
    after = [text.replace("\u2008", ".").rpartition(".")[2] for text in column]
    assert [len(part) for part in after] == [3, 3, 3]
    assert column[1].rstrip("\u2007") == "−20.2"
    assert aligned(math.inf, 1, 3) == "∞"


def test_words():
    assert whole(1724.6) == "1,725"
    assert interval(-0.5, 0.25, 2) == "−0.50 to 0.25"
    assert [seconds(value) for value in (0.0, 0.01234, 3.14159, 78.94, 1234.5)] == [
        "0", "0.0123", "3.14", "78.9", "1,234"
    ]  # fmt: skip
    assert common_decimals([0.01, 5.0, 0.02, math.nan, 0.0]) == 4
    assert common_decimals([]) == 3
