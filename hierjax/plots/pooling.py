"""Figures of pooling: none, complete and partial, and what a point estimate leaves out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from scipy.special import betaincinv

from hierjax.fitting import Fit
from hierjax.plots.labels import short
from hierjax.plots.style import (
    INK,
    MUTED,
    leading,
    method_styles,
    named,
    new_axes,
    new_panels,
    outside_legend,
    point_estimate,
    point_key,
    reference,
    rows_shown,
    styled,
    unit_table,
)
from hierjax.table import Table

__all__ = ["interval_widths", "pooling", "width_ratio"]

_MOST_UNITS = 80
_MOST_LABELS = 30
_MOST_POINTS = 4000


def _jeffreys(
    successes: Int[np.ndarray, " units"], trials: Int[np.ndarray, " units"], level: float
) -> Float[np.ndarray, "3 units"]:
    """Low, median and high of each unit by itself, under Beta(1/2, 1/2)."""
    tail = (1 - level) / 2
    probabilities = np.array([tail, 0.5, 1 - tail])[:, None]
    return betaincinv(successes + 0.5, trials - successes + 0.5, probabilities)


@styled
def pooling(
    fits: Fit | Mapping[str, Fit],
    axes: Sequence[Axes] | np.ndarray | None = None,
    *,
    level: float = 0.9,
    estimates: Mapping[str, Table] | None = None,
) -> tuple[Axes, ...]:
    """No, complete and partial pooling side by side, one row a unit in order of raw rates.

    No pooling is every unit by itself, under Jeffreys's Beta(1/2, 1/2); complete pooling is one
    rate for all, under the same; partial pooling is the fit's. Points are medians (raw rates
    without pooling), bars are central intervals.

    Args:
        fits: One fit, or fits of the same data by name, of which full Bayes is drawn.
        axes: Three axes; of a new figure by default.
        level: Probability of the intervals.
        estimates: What `Fit.units` gave for each name at that level, where it is known already.

    Returns:
        The three axes. With more than 80 units, evenly spaced ones are drawn.

    Example:
        >>> import hierjax as hj
        >>> axes = pooling(hj.fit(hj.datasets.rat_tumors()))
        >>> [ax.get_title(loc="left") for ax in axes]
        ['No pooling', 'Complete pooling', 'Partial pooling']
    """
    fits = named(fits)
    name = leading(fits)
    fit, color = fits[name], method_styles(fits)[name].color
    counts = fit.counts
    ranked = np.lexsort((counts.trials, np.nan_to_num(counts.raw_rates, nan=-1.0)))
    order = ranked[rows_shown(len(ranked), _MOST_UNITS)]
    y, n = counts.successes[order], counts.trials[order]
    if axes is None:
        each = 0.17 if len(order) <= _MOST_LABELS else 0.075
        height = float(np.clip(1.4 + each * len(order), 3.0, 7.0))
        axes = new_panels(1, 3, 6.4, height, share=True)[0]
    alone = _jeffreys(y, n, level)
    total, trials = counts.total_successes, counts.total_trials
    together = _jeffreys(np.array([total]), np.array([trials]), level)
    units = unit_table(name, fit, level, estimates)
    partial = np.stack([units[column][order] for column in ("low", "median", "high")])
    raw = np.where(n > 0, counts.raw_rates[order], np.nan)
    limits = _limits(np.stack([alone[0], partial[0]]), np.stack([alone[2], partial[2]]))
    for ax, title, paint, intervals, points in (
        (axes[0], "No pooling", MUTED, alone, raw),
        (axes[1], "Complete pooling", INK, np.tile(together, len(order)), together[1]),
        (axes[2], "Partial pooling", color, partial, partial[1]),
    ):
        _draw_intervals(ax, intervals, np.broadcast_to(points, len(order)), paint)
        ax.axvline(total / trials, color=INK, linewidth=0.7, linestyle=(0, (5, 3)))
        ax.set_title(title)
        ax.set(xlabel="rate", xlim=limits)
        ax.xaxis.set_major_locator(MaxNLocator(3))
        ax.tick_params(axis="y", length=0, labelsize=8.5)
    _name_rows(axes[0], counts.labels[order], len(counts))
    return tuple(axes)


def _draw_intervals(
    ax: Axes,
    intervals: Float[np.ndarray, "3 units"],
    points: Float[np.ndarray, " units"],
    color: str,
) -> None:
    """Draws bars from low to high with points on them, one row a unit."""
    rows = np.arange(len(points))
    width, size = np.clip([80 / len(rows), 200 / len(rows)], [0.8, 2.4], [2.2, 5.0]).tolist()
    look: dict[str, Any] = {"linestyle": "", "marker": "o", "markeredgewidth": 0}
    ax.hlines(rows, intervals[0], intervals[2], color=color, linewidth=width, alpha=0.6)
    ax.plot(points, rows, color=color, markersize=size, **look)


def _limits(
    low: Float[np.ndarray, "2 units"], high: Float[np.ndarray, "2 units"]
) -> tuple[float, float]:
    """Rates that hold all intervals, or most where a few are far wider than the others."""
    first, last = float(low.min()), float(high.max())
    middle = float(np.median(high + low)) / 2
    reach = 3 * float(np.quantile(np.maximum(high - middle, middle - low), 0.9))
    first, last = max(first, middle - reach), min(last, middle + reach)
    margin = 0.04 * (last - first)
    return (0.0 if first < 0.3 * last else first - margin), min(last + margin, 1.0)


def _name_rows(ax: Axes, labels: np.ndarray, units: int) -> None:
    ax.set_ylim(-0.8, len(labels) - 0.2)
    if len(labels) <= _MOST_LABELS:
        shown = [short(text) for text in labels.tolist()]
        # A label is data: a dollar sign in it begins no formula.
        ax.set_yticks(range(len(labels)), shown, parse_math=False)
        return
    ax.set_yticks([])
    what = "units" if len(labels) == units else f"{len(labels)} of {units:,} units, evenly spaced"
    ax.set_ylabel(f"{what} in order of raw rate")


@styled
def interval_widths(
    fits: Fit | Mapping[str, Fit],
    ax: Axes | None = None,
    *,
    level: float = 0.9,
    estimates: Mapping[str, Table] | None = None,
) -> Axes:
    """How much shorter empirical Bayes intervals of units are than full Bayes ones.

    A point estimate takes (alpha, beta) for known. The ratio of its intervals' widths to those
    that average over (alpha, beta) falls below one, mostly for units of few trials.

    Args:
        fits: Fits by name, of which one is full Bayes and one a point estimate.
        ax: Where to draw; a new figure by default.
        level: Probability of the intervals.
        estimates: What `Fit.units` gave for each name at that level, where it is known already.

    Returns:
        The axes. With more than 4,000 units, evenly spaced ones are drawn.

    Raises:
        ValueError: If there is no such pair.

    Example:
        >>> import hierjax as hj
        >>> rats = hj.datasets.rat_tumors()
        >>> fits = {"exact": hj.fit(rats), "MLE": hj.fit(rats, method=hj.Type2MLE())}
        >>> interval_widths(fits).get_xlabel()
        'trials of the unit'
    """
    fits = named(fits)
    full, empirical = reference(fits), point_estimate(fits)
    if full is None or empirical is None:
        raise ValueError(
            f"fits: expected a full Bayes fit and a point estimate, found {list(fits)}"
        )
    ax, styles = new_axes(ax), method_styles(fits)
    trials = fits[full].counts.trials
    tables = (unit_table(name, fits[name], level, estimates) for name in (empirical, full))
    ratio = width_ratio(*tables)
    order = np.argsort(trials, kind="stable")
    order = order[rows_shown(len(order), _MOST_POINTS)]
    alpha = float(np.clip(60 / len(order), 0.08, 0.7))
    color = styles[empirical].color
    ax.scatter(
        trials[order], ratio[order], 26, color=color, alpha=alpha, linewidths=0, clip_on=False
    )
    points = point_key(f"{styles[empirical].label}, one point a unit", color, 5)
    line = ax.axhline(
        1.0, color=styles[full].color, linewidth=1.2, label=f"as wide as {styles[full].label}"
    )
    ax.set(xlabel="trials of the unit", ylabel=f"ratio of {100 * level:g}% interval widths")
    if trials.max() > 100 * max(int(trials.min()), 1):
        if trials.min() > 0:
            ax.set_xscale("log")
        else:
            ax.set_xscale("symlog", linthresh=1.0)
            ax.set_xlim(left=-0.3)
    low, high = ax.get_ylim()
    ax.set_ylim(max(min(low, 0.9), 0.0), max(high, 1.02))
    outside_legend(ax, 2, [points, line])
    return ax


def width_ratio(first: Table, second: Table) -> Float[np.ndarray, " units"]:
    """Width of every unit's interval in one table of estimates, over that in another."""
    return (first["high"] - first["low"]) / (second["high"] - second["low"])
