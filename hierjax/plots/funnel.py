"""Funnel plot: raw rates against what units tell, with the limits that chance alone keeps to."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from hierjax.families.protocol import AnyFamily
from hierjax.fitting import Fit
from hierjax.plots.control import Rates, control_limits, outside, population_rates
from hierjax.plots.labels import beside_points
from hierjax.plots.style import (
    INK,
    MUTED,
    method_styles,
    new_axes,
    outside_legend,
    point_key,
    pooled_parameter,
    rows_shown,
    styled,
    told,
)
from hierjax.table import Table

__all__ = ["funnel"]

_MOST_JOINED = 300
_MOST_POINTS = 4000
_MOST_NAMED = 12
_SIZES = 60
# How much further than the units the axis may reach, as a share of what they span.
_BEYOND = 0.6
_TAILS = (0.025, 0.001)
_FLAG = "#b5179e"
_LIMIT_DASHES = ((0, (5, 2)), (0, (1, 1.5)))


class _Shown(NamedTuple):
    """Units with data, as they are drawn."""

    labels: np.ndarray
    weight: Shaped[np.ndarray, "units"]
    raw: Float[np.ndarray, "units"]
    mean: Float[np.ndarray, "units"]
    flagged: Bool[np.ndarray, "units"]
    distance: Float[np.ndarray, "units"]


@styled
def funnel(
    fit: Fit,
    ax: Axes | None = None,
    *,
    selection: Table | None = None,
    table: Table | None = None,
) -> Axes:
    """Raw rates against trials, with limits, and what the hierarchy makes of each unit.

    Of events, rates against exposures; of measurements, values against 1 / error^2. Lines are the
    limits that hold 95% (dashed) and 99.8% (dotted) of raw rates if all units had the pooled rate
    (Spiegelhalter 2005). Shades hold 95 and 99.8% if rates come from
    the fitted population. Units outside the lines show that units differ, units outside the
    shades are odd among units that do. Each unit's posterior mean is joined to its raw rate.

    Args:
        fit: A fit that found something.
        ax: Where to draw; a new figure by default.
        selection: What `Fit.exceedance` gave, whose selected units are flagged; by default those
            outside the population's 99.8% are.
        table: What `Fit.unit_table` gave, where it is known already.

    Returns:
        The axes. Up to 300 units are joined, up to 4,000 drawn, evenly spaced in order of trials
        and the flagged ones besides; the 12 furthest from the pooled rate are named.

    Example:
        >>> import hierjax as hj
        >>> funnel(hj.fit(hj.datasets.rat_tumors())).get_ylabel()
        'rate'
    """
    table = fit.unit_table() if table is None else table
    family = fit.model.family
    pooled, rates, weight = pooled_parameter(fit), population_rates(fit), told(fit)
    used = np.flatnonzero(weight > 0)
    sizes = _size_grid(weight[used], whole=family.support == "counts_up_to_size")
    units = _shown(fit, table, used, rates, pooled, selection)
    ax = new_axes(ax, 7.0, 4.8)
    # The population's limits at the most trials are shown, unless they would flatten the units.
    ends = (_TAILS[1], 1 - _TAILS[1])
    far = [float(control_limits(rates, sizes[-1:], p, family)[0]) for p in ends]
    low = float(min(units.raw.min(), units.mean.min()))
    high = float(max(units.raw.max(), units.mean.max()))
    beyond = _BEYOND * (high - low) if high > low else np.inf
    low, high = min(low, max(far[0], low - beyond)), max(high, min(far[1], high + beyond))
    low, high = max(low, family.limits[0]), min(high, family.limits[1])
    margin = 0.05 * (high - low) or 0.05
    words = family.unit_words
    ax.set(xlabel=words.size, ylabel=words.parameter, xlim=(sizes[0], sizes[-1]))
    from_zero = family.limits[0] == 0 and low < 0.1 * high
    ax.set_ylim(-0.5 * margin if from_zero else low - margin, high + margin)
    if sizes[-1] > 25 * sizes[0]:
        ax.set_xscale("log")
    else:
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=family.support == "counts_up_to_size"))
    color = method_styles({fit.method.name: fit})[fit.method.name].color
    handles = _draw_limits(ax, sizes, pooled, rates, color, family)
    handles = _draw_units(ax, units, color, selection is not None, words.raw) + handles
    outside_legend(ax, 3, handles)
    return ax


def _size_grid(weight: Shaped[np.ndarray, "units"], whole: bool) -> Shaped[np.ndarray, "points"]:
    """Numbers of trials from below the fewest to above the most, where limits are worked out."""
    if not whole:
        low, high = float(weight.min()), float(weight.max())
        if high > 20 * low:
            return np.geomspace(low / 1.3, high * 1.3, _SIZES)
        margin = max(0.04 * (high - low), 0.2 * low if high == low else 0.0)
        return np.linspace(max(low - margin, 0.5 * low), high + margin, _SIZES)
    low, high = int(weight.min()), int(weight.max())
    if high > 20 * low:
        ends = max(low / 1.3, 1.0), high * 1.3
        return np.unique(np.geomspace(*ends, _SIZES).round().astype(int))
    margin = max(0.04 * (high - low), 0.2 * low if high == low else 0.0, 1.0)
    ends = max(low - margin, 1.0), high + margin
    return np.unique(np.linspace(*ends, _SIZES).round().astype(int))


def _shown(
    fit: Fit,
    table: Table,
    used: Int[np.ndarray, "units"],
    rates: Rates,
    pooled: float,
    selection: Table | None,
) -> _Shown:
    weight, raw, family = told(fit)[used], table["raw_rate"][used], fit.model.family
    if selection is not None:
        flagged = selection["selected"][used].astype(bool)
    else:
        values, sizes = (column[used] for column in fit.counts.pair)
        flagged = outside(family, rates, values, sizes, _TAILS[1])
    distance = np.abs(raw - pooled) * np.sqrt(weight)
    keep = np.zeros(len(used), bool)
    keep[np.argsort(weight, kind="stable")[rows_shown(len(used), _MOST_POINTS)]] = True
    keep |= flagged
    return _Shown(
        table["label"][used][keep],
        weight[keep],
        raw[keep],
        table["mean"][used][keep],
        flagged[keep],
        distance[keep],
    )


def _draw_limits(
    ax: Axes,
    sizes: Shaped[np.ndarray, "points"],
    pooled: float,
    rates: Rates,
    color: str,
    family: AnyFamily,
) -> list[Any]:
    for tail, alpha in zip(_TAILS, (0.11, 0.07), strict=True):
        low, high = (control_limits(rates, sizes, p, family) for p in (tail, 1 - tail))
        ax.fill_between(sizes, low, high, color=color, alpha=alpha, linewidth=0, zorder=0.5)
    middle = ax.axhline(
        pooled, color=INK, linewidth=0.9, label=f"pooled {family.unit_words.parameter}", zorder=1.2
    )
    alike = Rates(np.array([pooled]), np.ones(1))
    for tail, dash in zip(_TAILS, _LIMIT_DASHES, strict=True):
        for p in (tail, 1 - tail):
            limits = control_limits(alike, sizes, p, family)
            ax.plot(sizes, limits, color=INK, linewidth=0.9, linestyle=dash, zorder=1.2)
    lines = tuple(
        Line2D([], [], color=INK, linewidth=0.9, linestyle=dash, label="95, 99.8% if all alike")
        for dash in _LIMIT_DASHES
    )
    # The inner shade lies on the outer one.
    shades = tuple(
        Patch(facecolor=color, alpha=alpha, linewidth=0, label="95, 99.8% of population")
        for alpha in (0.2, 0.08)
    )
    return [middle, lines, shades]


def _draw_units(ax: Axes, units: _Shown, color: str, selected: bool, raw_word: str) -> list[Any]:
    plain = ~units.flagged
    crowd = float(np.clip(70 / len(units.raw), 0.0, 1.0))
    size, alpha = 2.2 + 2.4 * crowd**0.5, 0.35 + 0.5 * crowd**0.5
    look: dict[str, Any] = {"linestyle": "", "markersize": size, "clip_on": False}
    raw = look | {"marker": "o", "markerfacecolor": "none", "markeredgewidth": 0.7, "alpha": alpha}
    mean = look | {"marker": "o", "markeredgewidth": 0, "alpha": alpha}
    if len(units.raw) <= _MOST_JOINED:
        ends = np.stack([units.raw, units.mean], axis=1)
        x = np.broadcast_to(units.weight[:, None], ends.shape)
        ax.add_collection(
            LineCollection(list(np.stack([x, ends], axis=-1)), colors=MUTED, linewidths=0.4),
            autolim=False,
        )
    ax.plot(units.weight[plain], units.raw[plain], color=MUTED, **raw)
    ax.plot(units.weight[plain], units.mean[plain], color=color, **mean)
    handles = [
        point_key(raw_word, MUTED, 4.5, markerfacecolor="none"),
        point_key("posterior mean", color, 4.5),
    ]
    if units.flagged.any():
        flagged = np.flatnonzero(units.flagged)
        x, y = units.weight[flagged], units.raw[flagged]
        ax.plot(x, y, color=_FLAG, **(raw | {"alpha": 1.0, "markeredgewidth": 1.1}))
        ax.plot(x, units.mean[flagged], color=_FLAG, **(mean | {"alpha": 1.0}))
        first = flagged[np.argsort(-units.distance[flagged], kind="stable")][:_MOST_NAMED]
        points = np.column_stack([units.weight, units.raw])
        beside_points(ax, points[first], units.labels[first].tolist(), points)
        what = "selected" if selected else "outside shades"
        handles.append(point_key(f"{what} ({len(flagged):,})", _FLAG, 4.5, markerfacecolor="none"))
    return handles
