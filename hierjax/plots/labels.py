"""Units' labels in figures: shortened, kept apart, and left out where there is no room."""

from collections.abc import Iterable
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation

from hierjax.errors import did_you_mean
from hierjax.plots.room import axes_inches, column_right, elided, fitted, free_beside, width_of

__all__ = [
    "beside_points",
    "beside_rows",
    "named_rows",
    "positions_of",
    "rows_room",
    "short",
    "spread_apart",
]

_SIZE = 8.5
# Inches of a letter and of a line at that size, a little more than DejaVu Sans needs.
_LETTER, _LINE = 0.62 * _SIZE / 72, 1.3 * _SIZE / 72


def short(label: str, most: int = 18) -> str:
    """A label of at most so many letters, of which a long one loses those in the middle.

    Example:
        >>> short("Riverside Medical Centre, ward 15")
        'Riverside Me…rd 15'
    """
    return elided(label, most)


def positions_of(labels: np.ndarray, wanted: Iterable[str]) -> Int[np.ndarray, "found"]:
    """Where the wanted labels are, every unit of that label.

    Args:
        labels: Labels of all units.
        wanted: Labels to find.

    Returns:
        Positions, in ascending order.

    Raises:
        ValueError: If there is no unit of a wanted label.
    """
    wanted = [str(label) for label in wanted]
    known = set(labels.tolist())
    for label in wanted:
        if label not in known:
            near = did_you_mean(label, known)
            raise ValueError(f"highlight: expected the label of a unit, found {label!r}{near}")
    return np.flatnonzero(np.isin(labels, wanted))


def spread_apart(
    wanted: Float[np.ndarray, "labels"], gap: float, low: float, high: float
) -> Float[np.ndarray, "labels"]:
    """Positions at least a gap apart, as near to the wanted ones as that allows.

    Args:
        wanted: Positions, ascending.
        gap: Least distance; less if there is no room for it.
        low: Least position.
        high: Greatest position.

    Returns:
        Positions, ascending: those of least squared distance, then moved into the range.

    Example:
        >>> spread_apart(np.array([1.0, 1.2, 5.0]), 1.0, 0.0, 10.0).round(6).tolist()
        [0.6, 1.6, 5.0]
    """
    count = len(wanted)
    if not count:
        return wanted
    gap = min(gap, (high - low) / max(count - 1, 1))
    steps = gap * np.arange(count)
    # Distances at least a gap apart are the same as positions less steps in ascending order:
    # isotonic regression, by pooling neighbours that are out of order.
    blocks: list[tuple[float, int]] = []
    for value in wanted - steps:
        total, size = float(value), 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / size:
            before, more = blocks.pop()
            total, size = total + before, size + more
        blocks.append((total, size))
    fitted = np.concatenate([np.full(size, total / size) for total, size in blocks])
    return np.clip(fitted, low, high - steps[-1]) + steps


def named_rows(ax: Axes, labels: np.ndarray, most: int = 18) -> None:
    """Names rows 0, 1, ... at the vertical axis, by labels of at most so many letters.

    Where the figure's layout makes no room for them, they are smaller, and shorter if need be.
    """
    texts = [short(text, most) for text in labels.tolist()]
    texts, size = fitted(texts, rows_room(ax), 8.5 if len(labels) <= 40 else 7.5)
    # A label is data: a dollar sign in it begins no formula.
    ax.set_yticks(range(len(labels)), texts, parse_math=False)
    ax.tick_params(axis="y", length=0, labelsize=size)


def rows_room(ax: Axes) -> float:
    """Inches that names of rows may take at the left of the axes."""
    return max(free_beside(ax)[0] - 0.1, 0.2)


def beside_rows(
    ax: Axes,
    rows: Num[np.ndarray, "labels"],
    ends: Float[np.ndarray, "labels"],
    labels: list[str],
) -> list[Annotation]:
    """Writes labels at the right of the axes, each led to its own row.

    Where there is no room for them, the axes are extended and labels written in them.

    Args:
        ax: Where to draw; its limits are set already, and everything else is drawn.
        rows: Vertical positions, ascending.
        ends: Where each leading line begins, at the end of what is drawn in that row.
        labels: What to write.

    Returns:
        What was written.
    """
    low, high = ax.get_ylim()
    gap = (high - low) * _LINE / axes_inches(ax)[1]
    places = spread_apart(np.asarray(rows, np.float64), gap, low + gap / 2, high - gap / 2)
    frame, last = ax.get_yaxis_transform(), ax.get_xlim()[1]
    texts = [short(label) for label in labels]
    begin, inches = column_right(ax, max((width_of(text, _SIZE) for text in texts), default=0.0))
    texts, size = fitted(texts, inches, _SIZE)
    written = []
    for row, end, place, text in zip(rows, ends, places, texts, strict=True):
        written.append(
            ax.annotate(
                text,
                (min(float(end), last), float(row)),
                (begin, float(place)),
                textcoords=frame,
                fontsize=size,
                va="center",
                parse_math=False,
                annotation_clip=False,
                arrowprops={
                    "arrowstyle": "-",
                    "linewidth": 0.5,
                    "color": "#999999",
                    "shrinkA": 1,
                    "shrinkB": 2,
                },
            )
        )
    return written


def beside_points(
    ax: Axes,
    points: Num[np.ndarray, "labels 2"],
    labels: list[str],
    avoid: Num[np.ndarray, "obstacles 2"],
) -> Bool[np.ndarray, "labels"]:
    """Writes labels next to points, those that come first before the others.

    A label that would cover another, or leave the axes, is left out; of the places around a point
    it takes the one with the fewest obstacles.

    Args:
        ax: Where to draw; its limits and scales are set already.
        points: Data coordinates of the points, the most important first.
        labels: What to write.
        avoid: Data coordinates that had better not be covered.

    Returns:
        Which were written.
    """
    size = np.array(axes_inches(ax))

    def place(values: Num[np.ndarray, "places 2"]) -> Float[np.ndarray, "places 2"]:
        inside = ax.transLimits.transform(ax.transScale.transform(values))
        return np.asarray(inside) * size

    at, obstacles = place(points), place(avoid)
    taken: list[tuple[np.ndarray, np.ndarray]] = []
    written = np.zeros(len(labels), bool)
    for i, label in enumerate(map(short, labels)):
        extent = np.array([_LETTER * len(label), _LINE])
        choices: list[tuple[Any, ...]] = []
        for side, rise in product((1, -1), (0, 1, -1)):
            middle = at[i] + np.array([side * (0.08 + extent[0] / 2), rise * 0.6 * _LINE])
            low, high = middle - extent / 2, middle + extent / 2
            if (low < 0).any() or (high > size).any():
                continue
            if any(((low < last) & (first < high)).all() for first, last in taken):
                continue
            covered = int(np.sum(((obstacles > low) & (obstacles < high)).all(axis=1)))
            choices.append((covered, len(choices), side, rise, low, high))
        if not choices:
            continue
        _, _, side, rise, low, high = min(choices, key=lambda choice: choice[:2])
        taken.append((low, high))
        written[i] = True
        ax.annotate(
            label,
            points[i],
            (side * 0.08 * 72, rise * 0.6 * _LINE * 72),
            textcoords="offset points",
            fontsize=_SIZE,
            ha="left" if side > 0 else "right",
            va="center",
            parse_math=False,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )
    return written
