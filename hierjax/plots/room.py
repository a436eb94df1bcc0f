"""How much room axes have beside them, and text that keeps to it."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

__all__ = [
    "Column",
    "axes_inches",
    "column_right",
    "elided",
    "fitted",
    "free_beside",
    "shortened",
    "width_of",
]

_GAP = 0.08
_MOST_INSIDE = 0.4
#: Points of the smallest text that is still read with ease.
SMALLEST = 6.5


class Column(NamedTuple):
    """A column for text at the right of axes or in them.

    Attributes:
        begin: Where it begins, as a fraction of the axes' width.
        inches: How wide it is; infinite where the figure's layout makes room for any text.
    """

    begin: float
    inches: float


def axes_inches(ax: Axes) -> tuple[float, float]:
    """Width and height of axes, without the labels around them."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    width, height = np.array(ax.get_window_extent().size) / figure.dpi
    return float(width), float(height)


def free_beside(ax: Axes) -> tuple[float, float]:
    """Inches left and right of axes up to the figure's edge or the next axes.

    Args:
        ax: The axes.

    Returns:
        Both, infinite if the figure has a layout engine, which makes room itself.

    Example:
        >>> from matplotlib.figure import Figure
        >>> free_beside(Figure(figsize=(8, 4)).add_axes((0.25, 0.1, 0.5, 0.8)))
        (2.0, 2.0)
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    if figure.get_layout_engine() is not None:
        return np.inf, np.inf
    own = ax.get_window_extent()
    left, right = own.x0, figure.bbox.width - own.x1
    for each in figure.axes:
        box = each.get_window_extent()
        if box.y0 < own.y1 and own.y0 < box.y1:
            left = min(left, own.x0 - box.x1) if box.x1 <= own.x0 else left
            right = min(right, box.x0 - own.x1) if box.x0 >= own.x1 else right
    return float(left / figure.dpi), float(right / figure.dpi)


def width_of(text: str, size: float) -> float:
    """Inches that the longest line of a text takes at so many points."""
    font = FontProperties(family="DejaVu Sans", size=size)
    widths = [
        text_to_path.get_text_width_height_descent(line, font, False)[0]
        for line in text.split("\n")
    ]
    return float(max(widths)) / 72


def elided(text: str, most: int) -> str:
    """A text of at most so many letters: its beginning and its end, where names often differ.

    Args:
        text: A line.
        most: Letters to keep to, the ellipsis included.

    Returns:
        The text, or two thirds of the letters from its beginning and one third from its end.

    Example:
        >>> elided("Mecklenburg", 6), elided("Wake", 6)
        ('Meck…g', 'Wake')
    """
    if len(text) <= most:
        return text
    last = max(most - 1, 0) // 3
    return f"{text[: most - 1 - last]}…{text[len(text) - last :]}"


def shortened(text: str, inches: float, size: float) -> str:
    """A text, less as many of its middle letters as it takes to keep to a width in inches.

    Args:
        text: A line.
        inches: The width.
        size: Points of its letters.

    Returns:
        At least its first letter.

    Example:
        >>> shortened("Mecklenburg", 0.5, 8.5)
        'Mec…g'
    """
    kept = text
    while len(kept) > 2 and width_of(kept, size) > inches:
        kept = elided(text, len(kept) - 1)
    return kept


def fitted(texts: list[str], inches: float, size: float) -> tuple[list[str], float]:
    """Texts of a width and their size: smaller first, then shortened line by line.

    Args:
        texts: What is to be written.
        inches: The width; infinite for any.
        size: Points, if there is room for so many.

    Returns:
        The texts and the points at which to write them.
    """
    if not texts or np.isinf(inches):
        return texts, size
    widest = max(width_of(text, size) for text in texts)
    if widest > inches:
        size = max(SMALLEST, 0.98 * size * inches / widest)
        texts = [
            "\n".join(shortened(line, inches, size) for line in text.split("\n")) for text in texts
        ]
    return texts, size


def column_right(ax: Axes, inches: float) -> Column:
    """Room for a column of text: right of the axes, or else in them, which are then extended.

    Args:
        ax: Where everything else is drawn already, with a linear horizontal axis.
        inches: Width wanted.

    Returns:
        The column. Inside it takes two fifths of the axes at most.
    """
    free, width = free_beside(ax)[1], axes_inches(ax)[0]
    if free >= inches + 1.3 * _GAP:
        return Column(1.02 if np.isinf(free) else 1 + _GAP / width, free)
    share = min((inches + 2 * _GAP) / width, _MOST_INSIDE)
    low, high = ax.get_xlim()
    ax.set_xlim(low, low + (high - low) / (1 - share))
    return Column(1 - share + _GAP / width, share * width - 2 * _GAP)
