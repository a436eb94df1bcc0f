# ruff: noqa: RUF001, RUF002 -- readers are shown Greek letters and true minus signs
"""Numbers as a reader wants them: as many decimals as their uncertainty bears, aligned."""

import math
from collections.abc import Iterable, Sequence

__all__ = ["aligned", "decimals_for", "interval", "number", "seconds", "whole"]

# Blanks as wide as a digit and as a point, which keep decimal points in one line.
_DIGIT, _POINT = "\u2007", "\u2008"
MISSING = "—"


def decimals_for(spread: float | int, digits: int = 3) -> int:
    """Decimals that show a standard deviation, or a width, to so many significant digits.

    Examples:
        >>> decimals_for(0.0135), decimals_for(5.2), decimals_for(4300.0)
        (4, 2, 0)
    """
    if not math.isfinite(spread) or spread <= 0:
        return digits
    return min(max(digits - 1 - math.floor(math.log10(spread)), 0), 12)


def number(value: float | int, decimals: int) -> str:
    """A number with thousands separators and a true minus sign; a dash where there is none.

    Examples:
        >>> number(-1234.567, 1), number(float("nan"), 2), number(float("inf"), 2)
        ('−1,234.6', '—', '∞')
    """
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:,.{decimals}f}"
    negative = text.startswith("-") and any(digit in text for digit in "123456789")
    return ("−" if negative else "") + text.lstrip("-")


def whole(value: float | int) -> str:
    """A number rounded to a whole one."""
    return number(value, 0)


def aligned(value: float | int, decimals: int, most: int) -> str:
    """A number padded so that, set flush right under others, decimal points are in one line.

    Args:
        value: The number.
        decimals: Its decimals.
        most: Most decimals in the column.
    """
    text = number(value, decimals)
    if not math.isfinite(value) or decimals >= most:
        return text
    return text + ("" if decimals else _POINT) + _DIGIT * (most - decimals)


def interval(low: float | int, high: float | int, decimals: int) -> str:
    """An interval in words.

    Examples:
        >>> interval(0.1212, 0.1657, 3)
        '0.121 to 0.166'
    """
    return f"{number(low, decimals)} to {number(high, decimals)}"


def seconds(value: float | int) -> str:
    """A duration in seconds to three significant digits.

    Examples:
        >>> seconds(0.01234), seconds(78.91)
        ('0.0123', '78.9')
    """
    return number(value, decimals_for(value)) if value > 0 else number(value, 0)


def common_decimals(spreads: Iterable[float], digits: int = 3) -> int:
    """Decimals for a column of numbers, by the median of their finite, positive spreads."""
    known: Sequence[float] = sorted(s for s in spreads if math.isfinite(s) and s > 0)
    return decimals_for(known[len(known) // 2], digits) if known else digits
