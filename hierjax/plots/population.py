"""Figures of the population of rates, and of what it does to the units."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from hierjax.fitting import Fit
from hierjax.plots.density import draw_density, rate_grid
from hierjax.plots.style import (
    INK,
    MUTED,
    RAW,
    method_styles,
    named,
    new_axes,
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

__all__ = ["raw_rates", "shrinkage"]

_MOST_POINTS = 4000


def _rate_bins(
    rates: Float[np.ndarray, " units"], bounds: tuple[float, float] = (0.0, 1.0)
) -> Float[np.ndarray, " edges"]:
    """Round bin edges by Freedman and Diaconis's rule, never few and never many."""
    low, high = float(rates.min()), float(rates.max())
    if bounds[1] == 1 and high - low < 1e-12:
        low, high = max(low - 0.05, 0.0), min(high + 0.05, 1.0)
    elif high - low < 1e-12 * abs(high):
        low, high = low - 0.05 * abs(low), high + 0.05 * abs(high)
    lower, upper = np.quantile(rates, [0.25, 0.75])
    width = max(2 * float(upper - lower) / len(rates) ** (1 / 3), 1e-12 * (high - low))
    wanted = int(np.clip(np.ceil((high - low) / width), 12, 40))
    ticks = np.asarray(MaxNLocator(nbins=wanted, steps=[1, 2, 4, 5, 10]).tick_values(low, high))
    step = ticks[1] - ticks[0]
    # Rates of equal trials sit on edges; rounding must not decide on which side, nor lose one.
    edges = ticks[(ticks > low - step) & (ticks < high + step)] - 1e-6 * step
    return edges if edges[-1] >= high else np.append(edges, edges[-1] + step)


def _with_population(
    fits: Mapping[str, Fit], edges: Float[np.ndarray, " edges"]
) -> tuple[float, float]:
    """The bins' range, widened to hold 95% of the fitted populations."""
    family = next(iter(fits.values())).model.family
    nothing, (least, most) = family.on_host.nothing, family.limits
    rows = [fit.predict(*nothing, level=0.95) for fit in fits.values()]
    low = min(float(edges[0]), *(float(row["low"][0]) for row in rows))
    high = max(float(edges[-1]), *(float(row["high"][0]) for row in rows))
    return (0.0 if least == 0 and low < 0.1 * high else low), min(high, most)


@styled
def raw_rates(fits: Fit | Mapping[str, Fit], ax: Axes | None = None) -> Axes:
    """Histogram of the raw rates, with the fitted density of the population's rates.

    The density is that of a new unit's rate, scaled to the histogram: by full Bayes, and by the
    point estimate where there is one. Raw rates spread more widely than the population, because
    each carries the error of its own trials, exposure or measurement.

    Args:
        fits: One fit, or fits of the same data by name.
        ax: Where to draw; a new figure by default.

    Returns:
        The axes.

    Example:
        >>> import hierjax as hj
        >>> raw_rates(hj.fit(hj.datasets.rat_tumors())).get_ylabel()
        'units per bin'
    """
    ax, fits = new_axes(ax), named(fits)
    first = next(iter(fits.values()))
    family, rates = first.model.family, first.counts.raw[told(first) > 0]
    edges = _rate_bins(rates, family.limits)
    heights = np.histogram(rates, edges)[0]
    title = f"{family.unit_words.raw}s of {len(rates):,} units"
    ax.stairs(heights, edges, fill=True, color=RAW, label=title)
    ax.vlines(edges[1:-1], 0, np.minimum(heights[:-1], heights[1:]), color="white", linewidth=0.6)
    styles = method_styles(fits)
    chosen = {
        name: title
        for name, title in (
            (reference(fits), "population, full Bayes"),
            (point_estimate(fits), "population, empirical Bayes"),
        )
        if name is not None
    }
    limits = _with_population({name: fits[name] for name in chosen}, edges)
    nothing = family.on_host.nothing
    grid = rate_grid({name: fits[name] for name in chosen}, *nothing, limits)
    scale = len(rates) * (edges[1] - edges[0])
    top = float(heights.max())
    for name, title in chosen.items():
        label = f"{title} ({styles[name].label})"
        height = draw_density(ax, fits[name], nothing, grid, styles[name], label, scale)
        top = max(top, min(height, 3 * float(heights.max())))
    ax.set(
        xlabel=family.unit_words.parameter,
        ylabel="units per bin",
        xlim=limits,
        ylim=(0, 1.08 * top),
    )
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    outside_legend(ax, columns=1)
    return ax


def _areas(trials: np.ndarray, most: Any, largest: float) -> np.ndarray:
    """Marker areas that grow with trials, from a visible least one."""
    return largest * (0.08 + 0.92 * trials / most)


def _size_keys(trials: np.ndarray, largest: float, told_as: str) -> list[Line2D]:
    shown = np.unique(np.quantile(trials, [0.0, 0.5, 1.0], method="nearest"))
    sizes = np.sqrt(_areas(shown, trials.max(), largest))
    told = (n if float(n).is_integer() else float(f"{n:.3g}") for n in shown)
    return [
        point_key(told_as.format(n), MUTED, float(size), alpha=0.6, markeredgewidth=0)
        for n, size in zip(told, sizes, strict=True)
    ]


def _widen(ax: Axes, pooled: float) -> None:
    """Keeps differences that do not matter from looking large."""
    least = max(0.3 * float(np.ptp(ax.get_xlim())), 0.1 * abs(pooled))
    for limits, place in ((ax.get_xlim(), ax.set_xlim), (ax.get_ylim(), ax.set_ylim)):
        if np.ptp(limits) < least:
            center = float(np.mean(limits))
            place(center - least / 2, center + least / 2)


@styled
def shrinkage(
    fits: Fit | Mapping[str, Fit],
    ax: Axes | None = None,
    *,
    estimates: Mapping[str, Table] | None = None,
) -> Axes:
    """Posterior means against raw rates: how far, and where to, each unit is drawn.

    On the diagonal nothing is pooled, on the horizontal line everything. Areas of the markers
    grow with the units' trials, exposures or 1 / error^2. Full Bayes is filled, empirical Bayes is
    a ring.

    Args:
        fits: One fit, or fits of the same data by name.
        ax: Where to draw; a new figure by default.
        estimates: What `Fit.units` gave for each name, where it is known already.

    Returns:
        The axes. With more than 4,000 units, evenly spaced ones are drawn.

    Example:
        >>> import hierjax as hj
        >>> shrinkage(hj.fit(hj.datasets.rat_tumors())).get_xlabel()
        'raw rate'
    """
    ax, fits = new_axes(ax, height=4.6), named(fits)
    first = next(iter(fits.values()))
    family, raw, trials = first.model.family, first.counts.raw, told(first)
    order = np.lexsort((trials, raw))
    order = order[trials[order] > 0]
    order = order[rows_shown(len(order), _MOST_POINTS)]
    raw, trials = raw[order], trials[order]
    styles, handles = method_styles(fits), []
    crowd = float(np.clip(150 / len(order), 0.08, 1.0))
    largest = 20 + 90 * crowd**0.5
    pooled = pooled_parameter(first)
    ends = np.array([raw.min(), raw.max()])
    (diagonal,) = ax.plot(ends, ends, color=INK, linewidth=0.9, label="no pooling")
    line = ax.axhline(pooled, color=INK, linewidth=0.9, linestyle=(0, (5, 3)))
    line.set_label("complete pooling")
    sizes, alpha = _areas(trials, trials.max(), largest), max(0.75 * crowd**0.4, 0.15)
    # Rings lie over disks, and under them where there are so many that they would hide them.
    under = len(order) > 300
    in_order = [(reference(fits), True), (point_estimate(fits), False)]
    for name, filled in in_order[:: -1 if under else 1]:
        if name is None:
            continue
        color, label = styles[name].color, styles[name].label
        means = unit_table(name, fits[name], 0.9, estimates)["mean"][order]
        look: dict[str, Any] = {"facecolors": "none", "edgecolors": color, "linewidths": 0.9}
        if filled:
            look = {"color": color, "linewidths": 0}
        ax.scatter(raw, means, sizes, alpha=alpha, zorder=2, **look)
        handles.append(point_key(label, color, markerfacecolor=color if filled else "none"))
    words = family.unit_words
    ax.set(xlabel=words.raw, ylabel=f"posterior mean of the {words.parameter}")
    _widen(ax, pooled)
    columns = 4 if trials.max() < 10_000 else 3
    outside_legend(
        ax, columns, [*handles, diagonal, line, *_size_keys(trials, largest, words.told)]
    )
    return ax
