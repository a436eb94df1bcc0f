"""Caterpillar plot: all units' intervals in order of their estimates."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from hierjax.fitting import Fit
from hierjax.plots.labels import beside_rows, named_rows, positions_of
from hierjax.plots.style import (
    INK,
    MUTED,
    method_styles,
    new_axes,
    outside_legend,
    point_key,
    population_mean,
    rows_shown,
    styled,
    told,
)
from hierjax.table import Table

__all__ = ["caterpillar", "draw_raw", "draw_rows", "rate_limits"]

MOST_NAMED = 60
MOST_BARS = 2000
_BANDS = 250
# How far apart the least and the greatest rate are on a logarithmic axis.
_DECADES = 20.0
_ENDS = 3
_MOST_RAW = 4000


@styled
def caterpillar(
    fit: Fit,
    ax: Axes | None = None,
    *,
    level: float = 0.9,
    highlight: Iterable[str] | None = None,
    table: Table | None = None,
) -> Axes:
    """Intervals of all units, one row a unit, in order of posterior means.

    Up to 60 units are named, and up to 2,000 have a bar each. More are drawn as a band: for every
    group of neighbours in the order, from the median lower end to the median upper end, and paler
    from the least to the greatest. Raw rates that lie further beyond all intervals than half of
    these' range would squeeze everything else; the legend counts them.

    Args:
        fit: A fit that found something.
        ax: Where to draw; a new figure by default.
        level: Probability of the intervals.
        highlight: Labels of units to draw darker, and to name whatever the number of units; by
            default the three highest and the three lowest where not all are named.
        table: What `Fit.unit_table` gave, where it is known already.

    Returns:
        The axes.

    Raises:
        ValueError: If there is no unit of a label in `highlight`.

    Example:
        >>> import hierjax as hj
        >>> caterpillar(hj.fit(hj.datasets.rat_tumors())).get_xlabel()
        'rate'
    """
    table = fit.unit_table(level) if table is None else table
    color = method_styles({fit.method.name: fit})[fit.method.name].color
    family = fit.model.family
    order = np.lexsort((told(fit), table["mean"]))
    if highlight is not None:
        marked = positions_of(table["label"], highlight)
    else:
        few = len(order) <= MOST_NAMED
        marked = order[:0] if few else np.concatenate([order[:_ENDS], order[-_ENDS:]])
    low, mean, high, raw = (table[name][order] for name in ("low", "mean", "high", "raw_rate"))
    height = 1.3 + 0.15 * len(order) if len(order) <= MOST_NAMED else 5.2
    ax = new_axes(ax, 6.4, max(height, 2.4))
    pooled = population_mean(fit)
    limits = rate_limits(np.append(low, pooled), np.append(high, pooled), raw, family.limits)
    ax.set(xlim=limits, ylim=(-0.8, len(order) - 0.2), xlabel=family.unit_words.parameter)
    if family.limits == (0.0, np.inf) and low.min() > 0 and mean.max() > _DECADES * mean.min():
        # Rates without an upper bound may differ by orders of magnitude.
        ax.set(xscale="log", xlim=(0.7 * low.min(), 1.4 * high.max()))
    middle = ax.axvline(pooled, color=INK, linewidth=0.8, linestyle=(0, (5, 3)), zorder=1.5)
    middle.set_label("population mean")
    handles = [draw_rows(ax, low, mean, high, color, f"mean and {100 * level:g}% interval")]
    handles += [*draw_raw(ax, raw, family.unit_words.raw), middle]
    rows = np.argsort(order)[marked]
    rows = rows[np.argsort(rows)]
    ax.hlines(rows, low[rows], high[rows], color=INK, linewidth=1.6, zorder=3)
    ax.plot(mean[rows], rows, "o", color=INK, markersize=3.5, zorder=3)
    if len(order) <= MOST_NAMED:
        named_rows(ax, table["label"][order])
    else:
        beside_rows(ax, rows, high[rows], table["label"][order[rows]].tolist())
        ax.set_yticks([])
        ax.set_ylabel(f"{len(order):,} units in order of posterior mean")
    # What lies beyond the axis makes the entry too long for three in a row.
    outside_legend(ax, 2 if "beyond" in str(handles[1].get_label()) else 3, handles)
    return ax


def draw_rows(
    ax: Axes,
    low: Float[np.ndarray, "units"],
    middle: Float[np.ndarray, "units"],
    high: Float[np.ndarray, "units"],
    color: str,
    label: str,
) -> Artist:
    """Draws a row a unit: bars with points, or of many units a band with a line.

    Args:
        ax: Where to draw.
        low: Lower ends, in the order of rows.
        middle: Estimates.
        high: Upper ends.
        color: Of all.
        label: For the legend.

    Returns:
        What a legend shows.
    """
    rows = np.arange(len(low))
    if len(low) > MOST_BARS:
        _draw_band(ax, low, high, color)
        (line,) = ax.plot(middle, rows, color=color, linewidth=1.4, label=label, zorder=2.5)
        return line
    width, size = np.clip([90 / len(rows), 220 / len(rows)], [0.3, 1.2], [2.2, 5.0]).tolist()
    ax.hlines(rows, low, high, color=color, linewidth=width, alpha=0.55)
    ax.plot(middle, rows, "o", color=color, markersize=size, markeredgewidth=0)
    return Line2D([], [], color=color, marker="o", markersize=4, linewidth=1.6, label=label)


def _draw_band(
    ax: Axes, low: Float[np.ndarray, "units"], high: Float[np.ndarray, "units"], color: str
) -> None:
    edges = np.linspace(0, len(low), _BANDS + 1).round().astype(int)
    groups = [slice(first, last) for first, last in pairwise(edges)]
    rows = 0.5 * (edges[:-1] + edges[1:] - 1)
    for inner, outer, alpha in ((np.min, np.max, 0.16), (np.median, np.median, 0.36)):
        ends = np.array([(inner(low[group]), outer(high[group])) for group in groups])
        ax.fill_betweenx(rows, ends[:, 0], ends[:, 1], color=color, alpha=alpha, linewidth=0)


def draw_raw(ax: Axes, raw: Float[np.ndarray, "units"], word: str) -> list[Line2D]:
    """Marks raw rates, and says how many lie beyond the axes.

    Args:
        ax: Where to draw; its limits are set already.
        raw: Raw rates in the order of rows.
        word: What a raw rate is called.

    Returns:
        What a legend shows.
    """
    known = np.flatnonzero(np.isfinite(raw))
    low, high = ax.get_xlim()
    inside = (raw[known] >= low) & (raw[known] <= high)
    outside, known = int(np.sum(~inside)), known[inside]
    shown = known[rows_shown(len(known), _MOST_RAW)]
    size = float(np.clip(250 / max(len(raw), 1), 1.0, 3.6))
    alpha = float(np.clip(300 / max(len(shown), 1), 0.25, 0.9))
    look: dict[str, Any] = {"linestyle": "", "marker": "o", "color": MUTED, "markeredgewidth": 0}
    fill: dict[str, Any] = {"markerfacecolor": "none", "markeredgewidth": 0.7} if size > 2 else {}
    ax.plot(raw[shown], shown, **(look | fill), markersize=size, alpha=alpha, zorder=1.8)
    beyond = f" ({outside:,} beyond the axis)" if outside else ""
    return [point_key(f"{word}{beyond}", MUTED, 4, **fill)]


def rate_limits(
    low: Float[np.ndarray, "units"],
    high: Float[np.ndarray, "units"],
    raw: Float[np.ndarray, "known"],
    bounds: tuple[float, float] = (0.0, 1.0),
) -> tuple[float, float]:
    """Rates that hold all intervals, and raw rates up to half of that range beyond them."""
    known = raw[np.isfinite(raw)]
    first, last = float(low.min()), float(high.max())
    if len(known):
        if last - first < 0.2 * abs(last):
            # Intervals that are all alike, as under complete pooling, are not squeezed by most of
            # the raw rates.
            ends = np.quantile(known, [0.05, 0.95]).tolist()
            first, last = min(first, ends[0]), max(last, ends[1])
        first = float(known[known >= first - 0.5 * (last - first)].min(initial=first))
        last = float(known[known <= last + 0.5 * (last - first)].max(initial=last))
    margin = 0.03 * (last - first) or 0.02
    from_zero = bounds[0] == 0 and first < 0.1 * last
    return (-0.3 * margin if from_zero else first - margin), min(last + margin, 1.01 * bounds[1])
