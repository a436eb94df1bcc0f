"""Figures of pooling: none, complete and partial, and what a point estimate leaves out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from hierjax.families.host_protocol import OnHost
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
    pooled_parameter,
    reference,
    rows_shown,
    styled,
    told,
    unit_table,
)
from hierjax.table import Table

__all__ = ["interval_widths", "pooling", "width_ratio"]

_MOST_UNITS = 80
_MOST_LABELS = 30
_MOST_POINTS = 4000


def _jeffreys(
    family: OnHost, values: np.ndarray, sizes: np.ndarray, level: float
) -> Float[np.ndarray, "3 units"]:
    """Low, median and high of each unit by itself, under Jeffreys's prior."""
    tail = (1 - level) / 2
    probabilities = np.array([tail, 0.5, 1 - tail])[:, None]
    return np.asarray(family.quantile(family.alone(values, sizes), probabilities))


@styled
def pooling(
    fits: Fit | Mapping[str, Fit],
    axes: Sequence[Axes] | np.ndarray | None = None,
    *,
    level: float = 0.9,
    estimates: Mapping[str, Table] | None = None,
) -> tuple[Axes, ...]:
    """No, complete and partial pooling side by side, one row a unit in order of raw rates.

    No pooling is every unit by itself, under Jeffreys's prior (of a rate of successes
    Beta(1/2, 1/2)); complete pooling is one rate for all, under the same; partial pooling is the
    fit's. Points are medians (raw rates without pooling), bars are central intervals.

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
    counts, family, weight = fit.counts, fit.model.family, told(fit)
    host, bounds = family.on_host, family.limits
    ranked = np.lexsort((weight, np.nan_to_num(counts.raw, nan=-np.inf)))
    order = ranked[rows_shown(len(ranked), _MOST_UNITS)]
    if axes is None:
        each = 0.17 if len(order) <= _MOST_LABELS else 0.075
        height = float(np.clip(1.4 + each * len(order), 3.0, 7.0))
        axes = new_panels(1, 3, 6.4, height, share=True)[0]
    values, sizes = counts.pair
    alone = _jeffreys(host, values[order], sizes[order], level)
    everyone = np.zeros(len(counts), int)
    together = _jeffreys(host, *host.combined(values, sizes, everyone, everyone[:1]), level)
    units = unit_table(name, fit, level, estimates)
    partial = np.stack([units[column][order] for column in ("low", "median", "high")])
    raw = np.where(weight[order] > 0, counts.raw[order], np.nan)
    low, high = (np.stack([alone[k], partial[k]]) for k in (0, 2))
    limits = _limits(low, high, bounds)
    for ax, title, paint, intervals, points in (
        (axes[0], "No pooling", MUTED, alone, raw),
        (axes[1], "Complete pooling", INK, np.tile(together, len(order)), together[1]),
        (axes[2], "Partial pooling", color, partial, partial[1]),
    ):
        _draw_intervals(ax, intervals, np.broadcast_to(points, len(order)), paint)
        ax.axvline(pooled_parameter(fit), color=INK, linewidth=0.7, linestyle=(0, (5, 3)))
        ax.set_title(title)
        ax.set(xlabel=family.unit_words.parameter, xlim=limits)
        ax.xaxis.set_major_locator(MaxNLocator(3))
        ax.tick_params(axis="y", length=0, labelsize=8.5)
    _name_rows(axes[0], counts.labels[order], len(counts), family.unit_words.raw)
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
    low: Float[np.ndarray, "2 units"],
    high: Float[np.ndarray, "2 units"],
    bounds: tuple[float, float],
) -> tuple[float, float]:
    """Rates that hold all intervals, or most where a few are far wider than the others."""
    first, last = float(low.min()), float(high.max())
    middle = float(np.median(high + low)) / 2
    reach = 3 * float(np.quantile(np.maximum(high - middle, middle - low), 0.9))
    first, last = max(first, middle - reach), min(last, middle + reach)
    margin = 0.04 * (last - first)
    from_zero = bounds[0] == 0 and first < 0.3 * last
    return (0.0 if from_zero else first - margin), min(last + margin, bounds[1])


def _name_rows(ax: Axes, labels: np.ndarray, units: int, raw: str) -> None:
    ax.set_ylim(-0.8, len(labels) - 0.2)
    if len(labels) <= _MOST_LABELS:
        shown = [short(text) for text in labels.tolist()]
        # A label is data: a dollar sign in it begins no formula.
        ax.set_yticks(range(len(labels)), shown, parse_math=False)
        return
    ax.set_yticks([])
    what = "units" if len(labels) == units else f"{len(labels)} of {units:,} units, evenly spaced"
    ax.set_ylabel(f"{what} in order of {raw}")


@styled
def interval_widths(
    fits: Fit | Mapping[str, Fit],
    ax: Axes | None = None,
    *,
    level: float = 0.9,
    estimates: Mapping[str, Table] | None = None,
) -> Axes:
    """How much shorter empirical Bayes intervals of units are than full Bayes ones.

    A point estimate takes the hyperparameters for known. The ratio of its intervals' widths to
    those that average over them falls below one, mostly for units of few trials.

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
    trials, words = told(fits[full]), fits[full].model.family.unit_words
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
    ax.set(xlabel=words.size, ylabel=f"ratio of {100 * level:g}% interval widths")
    whole = np.issubdtype(trials.dtype, np.integer)
    if trials.max() > 100 * (max(int(trials.min()), 1) if whole else trials.min()):
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
