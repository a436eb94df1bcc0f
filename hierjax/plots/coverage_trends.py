"""A coverage study as figures: methods over the sizes of units, and over settings."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from hierjax.plots.coverage_axes import WORDS, grouped, nominal, reference
from hierjax.plots.coverage_marks import Marks, limits, lines, numbers_axis, shares_axis
from hierjax.plots.style import INK, new_axes, styled
from hierjax.table import Table

__all__ = ["by_setting", "by_size"]


@styled
def by_size(
    table: Table,
    ax: Axes | None = None,
    *,
    value: str = "coverage",
    methods: Mapping[str, str] | None = None,
) -> Axes:
    """Coverage, length or RMSE of units against their size.

    Args:
        table: Of `hierjax.studies.coverage.size_table`.
        ax: Where to draw; a new figure by default.
        value: `coverage`, `length` or `rmse`.
        methods: Names of methods by the names in the table, where these are others.

    Returns:
        The axes.

    Raises:
        ValueError: If the table has no such column.

    Example:
        >>> columns = {"method": ["quadrature"] * 2, "trials_low": [5, 20], "trials_high": [9, 50]}
        >>> given = {**columns, "level": [0.9] * 2, "coverage": [0.89, 0.9]}
        >>> by_size(Table(given)).get_xlabel()
        'trials of the unit'
    """
    _known(table, value)
    ends = dict(zip(table["trials_low"].tolist(), table["trials_high"].tolist(), strict=True))
    marks = Marks.of(table, value, list(ends), "trials_low", methods)
    middle = np.array([np.sqrt(max(low, 0.5) * max(high, 0.5)) for low, high in ends.items()])
    ax = new_axes(ax, 6.4, _height(marks))
    _vertical(ax, table, marks, value)
    numbers_axis(ax, middle)
    if len(ends) <= 7:
        names = [f"{a:,}" if a == b else f"{a:,}–{b:,}" for a, b in ends.items()]  # noqa: RUF001
        ax.set_xticks(middle, names)
        ax.set_xticks([], minor=True)
    lines(ax, marks, middle)
    ax.set_xlabel("trials of the unit")
    return ax


@styled
def by_setting(
    table: Table,
    ax: Axes | None = None,
    *,
    setting: str = "units",
    value: str = "coverage",
    methods: Mapping[str, str] | None = None,
) -> Axes:
    """A number of every method over settings: lines where these are numbers, or else rows.

    Args:
        table: Of `hierjax.studies.coverage.unit_table`, for several settings stacked, with a
            column that tells them apart.
        ax: Where to draw; a new figure by default.
        setting: That column, such as the number of units.
        value: The column to show: `coverage`, `length`, `bias`, `rmse`, `rmse_over_raw` or
            `rmse_over_pooled`.
        methods: Names of methods by the names in the table, where these are others.

    Returns:
        The axes.

    Raises:
        ValueError: If the table has no such column.

    Example:
        >>> columns = {"units": [5, 70], "method": ["moments"] * 2, "level": [0.9] * 2}
        >>> by_setting(Table({**columns, "coverage": [0.8, 0.89]})).get_xlabel()
        'units of a data set'
    """
    _known(table, value)
    _known(table, setting)
    is_text = table[setting].dtype.kind in "USO"
    places = list(dict.fromkeys(table[setting].tolist()))
    marks = Marks.of(table, value, places if is_text else sorted(places), setting, methods)
    if is_text:
        return grouped(ax, table, marks, places, value)
    ax = new_axes(ax, 6.4, _height(marks))
    x = np.array(sorted(places), float)
    _vertical(ax, table, marks, value)
    numbers_axis(ax, x)
    lines(ax, marks, x)
    ax.set_xlabel("units of a data set" if setting == "units" else setting.replace("_", " "))
    return ax


def _height(marks: Marks) -> float:
    """Inches of a figure with its legend."""
    return 3.4 + 0.2 * -(-len(marks.methods) // 3)


def _vertical(ax: Axes, table: Table, marks: Marks, value: str) -> None:
    """A vertical axis of a column, with the line that it is compared with."""
    if value == "coverage":
        level = nominal(table)
        low, high = limits(marks, level)
        ax.set_ylim(max(low, -0.01), min(high, 1.01))
        shares_axis(ax.yaxis)
        ax.axhline(level, color=INK, linewidth=0.9, zorder=1.2)
    else:
        ax.set_ylim(*limits(marks, *reference(value)))
        for at in reference(value):
            ax.axhline(at, color=INK, linewidth=0.9, zorder=1.2)
    ax.set_ylabel("coverage" if value == "coverage" else WORDS.get(value, value))


def _known(table: Table, column: str) -> None:
    if column not in table:
        raise ValueError(f"column: expected one of {', '.join(table)}, found {column!r}")
