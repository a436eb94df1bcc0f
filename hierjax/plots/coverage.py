"""A coverage study as figures: intervals, errors, hyperparameters and ranks by method."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from hierjax.plots.coverage_axes import WORDS, coverage_axis, grouped, grouped_height, nominal
from hierjax.plots.coverage_marks import (
    Marks,
    limits,
    rows,
    shares_axis,
)
from hierjax.plots.coverage_trends import by_setting, by_size
from hierjax.plots.room import column_right
from hierjax.plots.style import INK, MUTED, MethodStyle, new_axes, styled
from hierjax.table import Table

__all__ = [
    "by_setting",
    "by_size",
    "coverage_by_method",
    "hyper_coverage",
    "relative_rmse",
    "top_recovery",
]

_POOLED = "#9a9a9a"
_PARAMETERS = {
    "logit_mean": "log-odds of the mean",
    "mean": "mean",
    "log_concentration": "log concentration",
    "concentration": "concentration",
    "correlation": "correlation",
    "alpha": "alpha",
    "beta": "beta",
}


@styled
def coverage_by_method(
    table: Table, ax: Axes | None = None, *, methods: Mapping[str, str] | None = None
) -> Axes:
    """How often units' intervals hold the true rate, and how long they are, a row a method.

    Bars are the simulation's own error (95%). The line is what intervals were made for: left of
    it they are too short, right of it too long. No and complete pooling, where they are far off,
    are told of at the edge.

    Args:
        table: Of `hierjax.studies.coverage.unit_table`.
        ax: Where to draw; a new figure by default.
        methods: Names of methods by the names in the table, where these are others.

    Returns:
        The axes.

    Example:
        >>> columns = {"method": ["quadrature"], "level": [0.9], "coverage": [0.897]}
        >>> table = Table({**columns, "coverage_mcse": [0.001], "length": [0.16]})
        >>> coverage_by_method(table).get_xlabel()
        'units whose interval holds their true rate'
    """
    marks = Marks.of(table, "coverage", None, kinds=methods)
    ax = new_axes(ax, 6.8, 1.1 + 0.34 * len(marks.methods))
    coverage_axis(ax, marks, nominal(table))
    rows(ax, marks, [""])
    _lengths(ax, table)
    ax.set_xlabel(WORDS["coverage"])
    return ax


def _lengths(ax: Axes, table: Table) -> None:
    """A column of mean lengths at the right of the rows."""
    column = column_right(ax, 0.75)
    text: dict[str, Any] = {"va": "center", "fontsize": 9, "transform": ax.get_yaxis_transform()}
    last = len(table) - 1
    for row, length in enumerate(table["length"].tolist()):
        told = f"{length:.3g}" if np.isfinite(length) else ""
        ax.text(column.begin, last - row, told, color=INK, **text)
    ax.text(column.begin, last + 0.62, "mean length", color=MUTED, **text)


@styled
def relative_rmse(
    table: Table, ax: Axes | None = None, *, methods: Mapping[str, str] | None = None
) -> Axes:
    """Error of units' estimates relative to raw rates, and to the pooled rate, a row a method.

    Left of 1 a method is better than raw rates, or than the pooled rate of all units.

    Args:
        table: Of `hierjax.studies.coverage.unit_table`.
        ax: Where to draw; a new figure by default.
        methods: Names of methods by the names in the table, where these are others.

    Returns:
        The axes.

    Example:
        >>> columns = {"method": ["quadrature"], "rmse_over_raw": [0.77]}
        >>> relative_rmse(Table({**columns, "rmse_over_pooled": [0.62]})).get_xlabel()
        "RMSE of units' estimates, relative"
    """
    names = ("rmse_over_raw", "rmse_over_pooled")
    over = [Marks.of(table, name, None, kinds=methods) for name in names]
    values, errors = (
        np.hstack(parts) for parts in zip(*((m.values, m.errors) for m in over), strict=True)
    )
    labels = [over[0].styles[name].label for name in over[0].methods]
    ax = new_axes(ax, 6.4, 1.3 + 0.36 * len(labels))
    ax.set_xlim(*limits(over[0]._replace(values=values, errors=errors), 1.0))
    ax.axvline(1.0, color=INK, linewidth=0.9, zorder=1.2)
    styles = {
        "raw": MethodStyle("relative to raw rates", INK, (0, ()), "o"),
        "pooled": MethodStyle("relative to the pooled rate", _POOLED, (0, ()), "D"),
    }
    rows(ax, Marks(list(styles), values.T, errors.T, styles), labels)
    ax.set_xlabel("RMSE of units' estimates, relative")
    return ax


@styled
def hyper_coverage(
    table: Table,
    ax: Axes | None = None,
    *,
    parameters: Sequence[str] = ("mean", "concentration", "alpha", "beta"),
    methods: Mapping[str, str] | None = None,
) -> Axes:
    """How often intervals of hyperparameters hold the true value, parameter by parameter.

    An interval of the mean holds it when that of its log-odds does, and so with the concentration
    and its logarithm.

    Args:
        table: Of `hierjax.studies.coverage.hyper_table`.
        ax: Where to draw; a new figure by default.
        parameters: Which are shown; those without any interval are not.
        methods: Names of methods by the names in the table, where these are others.

    Returns:
        The axes.

    Raises:
        ValueError: If no method has an interval of any of them.

    Example:
        >>> columns = {"method": ["quadrature"] * 2, "parameter": ["mean", "concentration"]}
        >>> table = Table({**columns, "level": [0.9] * 2, "coverage": [0.9, 0.89]})
        >>> hyper_coverage(table).get_xlabel()
        'data sets whose interval holds the true value'
    """
    has_interval = np.isfinite(table["coverage"].astype(float))
    known = set(table["parameter"][has_interval].tolist())
    kept = [name for name in parameters if name in known]
    if not kept:
        raise ValueError(f"table: expected intervals of {', '.join(parameters)}, found none")
    used = has_interval & np.isin(table["parameter"], kept)
    marks = Marks.of(_rows_of(table, used), "coverage", kept, "parameter", methods)
    return grouped(ax, table, marks, [_PARAMETERS.get(name, name) for name in kept])


@styled
def top_recovery(
    table: Table, ax: Axes | None = None, *, methods: Mapping[str, str] | None = None
) -> Axes:
    """Which share of the k highest rates is among the k highest estimates, for every k.

    Ticks are the share that k units taken at random would have.

    Args:
        table: Of `hierjax.studies.coverage.top_table`.
        ax: Where to draw; a new figure by default.
        methods: Names of methods by the names in the table, where these are others.

    Returns:
        The axes.

    Example:
        >>> columns = {"method": ["quadrature"] * 2, "k": [1, 5], "recovered": [0.4, 0.5]}
        >>> top_recovery(Table({**columns, "by_chance": [0.1, 0.5]})).get_xlabel()
        'share of the highest found'
    """
    sizes = list(dict.fromkeys(table["k"].tolist()))
    marks = Marks.of(table, "recovered", sizes, "k", methods)
    ax = new_axes(ax, 6.4, grouped_height(marks))
    chance = dict(zip(table["k"].tolist(), table["by_chance"].tolist(), strict=True))
    reached = float(np.nanmax(marks.values + 2 * np.nan_to_num(marks.errors), initial=0.0))
    ax.set_xlim(0, min(1.05 * max(reached, *chance.values()), 1.0))
    shares_axis(ax.xaxis)
    ticks: dict[str, Any] = {"color": INK, "linewidth": 1.2}
    key = Line2D([], [], linestyle="", marker="|", markersize=11, color=INK, label="by chance")
    rows(ax, marks, ["highest" if k == 1 else f"{k:,} highest" for k in sizes], key)
    at = len(sizes) - 1 - np.arange(len(sizes))
    ax.vlines(list(chance.values()), at - 0.42, at + 0.42, zorder=1.2, **ticks)
    ax.set_xlabel(WORDS["recovered"])
    return ax


def _rows_of(table: Table, used: np.ndarray) -> Table:
    return Table({name: values[used] for name, values in table.items()})
