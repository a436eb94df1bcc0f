"""Funnel plot: raw rates against trials, with the limits that chance alone would keep to."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from scipy.special import bdtr, bdtrc, betaincinv, ndtr

from hierjax.fitting import Fit
from hierjax.plots.labels import beside_points
from hierjax.plots.style import (
    INK,
    MUTED,
    method_styles,
    new_axes,
    outside_legend,
    point_key,
    rows_shown,
    styled,
)
from hierjax.table import Table

__all__ = ["Rates", "control_limits", "funnel", "population_rates"]

_MOST_JOINED = 300
_MOST_POINTS = 4000
_MOST_NAMED = 12
_SIZES = 60
_TAILS = (0.025, 0.001)
_FLAG = "#b5179e"
_LIMIT_DASHES = ((0, (5, 2)), (0, (1, 1.5)))


class Rates(NamedTuple):
    """Rates that a unit may have, and how probable each is.

    Attributes:
        nodes: Rates.
        weights: Their probabilities.
    """

    nodes: Float[np.ndarray, "nodes"]
    weights: Float[np.ndarray, "nodes"]


def control_limits(
    rates: Rates, trials: Int[np.ndarray, "points"], probability: float
) -> Float[np.ndarray, "points"]:
    r"""Raw rate below which a unit of one of these rates falls with a given probability.

    The least count r of which :math:`F(r) \ge p`, interpolated as by Spiegelhalter (2005),
    *Statistics in Medicine* 24, appendix A.1: :math:`(r - (F(r) - p) / (F(r) - F(r - 1))) / n`.

    Args:
        rates: Rates that the unit may have; a single one for the plain binomial limits.
        trials: n, above 0.
        probability: p.

    Returns:
        A rate for every n, which may lie below 0.

    Example:
        >>> fair = Rates(np.array([0.5]), np.array([1.0]))
        >>> control_limits(fair, np.array([2]), 0.25).tolist()
        [0.0]
    """

    def cdf(count: Float[np.ndarray, "points"]) -> Float[np.ndarray, "points"]:
        inside = rates.weights @ bdtr(np.maximum(count, 0), trials, rates.nodes[:, None])
        return np.where(count < 0, 0.0, inside)

    low, high = np.full(len(trials), -1.0), trials.astype(float)
    while (high - low > 1).any():
        middle = np.floor((low + high) / 2)
        enough = cdf(middle) >= probability
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    last, before = cdf(high), cdf(high - 1)
    return (high - (last - probability) / np.maximum(last - before, 1e-300)) / trials


def population_rates(fit: Fit, points: int = 27, levels: int = 32) -> Rates:
    """Rates that stand for a new unit's under the fit, far into both tails.

    Args:
        fit: A fit that found something.
        points: How many points of the hyperparameters are used, evenly spaced in probability.
        levels: How many quantiles of the population at each, closer together in the tails.

    Returns:
        Rates in ascending order, a third as many as points times levels.
    """
    eta = np.asarray(fit.posterior.points, np.float64).reshape(-1, 2)
    weights = np.asarray(fit.posterior.weights, np.float64).ravel()
    order = np.argsort(eta[:, 1], kind="stable")
    total = np.cumsum(weights[order])
    wanted = (np.arange(points) + 0.5) / points * total[-1]
    chosen = eta[order[np.searchsorted(total, wanted).clip(0, len(order) - 1)]]
    mean, kappa = 1 / (1 + np.exp(-chosen[:, :1])), np.exp(np.minimum(chosen[:, 1:], 32.0))
    edges = ndtr(np.linspace(-4.2, 4.2, levels + 1))
    edges[[0, -1]] = 0.0, 1.0
    rates = betaincinv(mean * kappa, (1 - mean) * kappa, 0.5 * (edges[1:] + edges[:-1])).ravel()
    shares = np.tile(np.diff(edges) / points, points)
    order = np.argsort(rates, kind="stable")
    rates, shares = rates[order].reshape(-1, 3), shares[order].reshape(-1, 3)
    together = shares.sum(axis=1)
    return Rates((rates * shares).sum(axis=1) / together, together)


class _Shown(NamedTuple):
    """Units with trials, as they are drawn."""

    labels: np.ndarray
    trials: Int[np.ndarray, "units"]
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

    Lines are the limits that hold 95% (dashed) and 99.8% (dotted) of raw rates if all units had
    the pooled rate (binomial; Spiegelhalter 2005). Shades hold 95 and 99.8% if rates come from
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
    counts = fit.counts
    pooled = counts.total_successes / counts.total_trials
    rates = population_rates(fit)
    used = np.flatnonzero(table["trials"] > 0)
    sizes = _trial_grid(table["trials"][used])
    units = _shown(table, used, rates, pooled, selection)
    ax = new_axes(ax, 7.0, 4.8)
    # All of the population's limits at the most trials are shown.
    far = [float(control_limits(rates, sizes[-1:], p)[0]) for p in (_TAILS[1], 1 - _TAILS[1])]
    low = min(units.raw.min(), units.mean.min(), far[0])
    high = max(units.raw.max(), units.mean.max(), far[1])
    low, high = max(low, 0.0), min(high, 1.0)
    margin = 0.05 * (high - low) or 0.05
    ax.set(xlabel="trials of the unit", ylabel="rate", xlim=(sizes[0], sizes[-1]))
    ax.set_ylim(-0.5 * margin if low < 0.1 * high else low - margin, high + margin)
    if sizes[-1] > 25 * sizes[0]:
        ax.set_xscale("log")
    else:
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    color = method_styles({fit.method.name: fit})[fit.method.name].color
    handles = _draw_limits(ax, sizes, pooled, rates, color)
    handles = _draw_units(ax, units, color, selection is not None) + handles
    outside_legend(ax, 3, handles)
    return ax


def _trial_grid(trials: Int[np.ndarray, "units"]) -> Int[np.ndarray, "points"]:
    """Numbers of trials from below the fewest to above the most, where limits are worked out."""
    low, high = int(trials.min()), int(trials.max())
    if high > 20 * low:
        ends = max(low / 1.3, 1.0), high * 1.3
        return np.unique(np.geomspace(*ends, _SIZES).round().astype(int))
    margin = max(0.04 * (high - low), 0.2 * low if high == low else 0.0, 1.0)
    ends = max(low - margin, 1.0), high + margin
    return np.unique(np.linspace(*ends, _SIZES).round().astype(int))


def _shown(
    table: Table,
    used: Int[np.ndarray, "units"],
    rates: Rates,
    pooled: float,
    selection: Table | None,
) -> _Shown:
    trials, raw = table["trials"][used], table["raw_rate"][used]
    if selection is not None:
        flagged = selection["selected"][used].astype(bool)
    else:
        flagged = _outside(rates, table["successes"][used], trials)
    distance = np.abs(raw - pooled) * np.sqrt(trials)
    keep = np.zeros(len(used), bool)
    keep[np.argsort(trials, kind="stable")[rows_shown(len(used), _MOST_POINTS)]] = True
    keep |= flagged
    return _Shown(
        table["label"][used][keep],
        trials[keep],
        raw[keep],
        table["mean"][used][keep],
        flagged[keep],
        distance[keep],
    )


def _outside(
    rates: Rates, successes: Int[np.ndarray, "units"], trials: Int[np.ndarray, "units"]
) -> Bool[np.ndarray, "units"]:
    """Units of which the population's 99.8% leave out every count as far as theirs."""
    # A count whose rate is among the population's central 90% cannot be so improbable.
    total = np.cumsum(rates.weights)
    low, high = rates.nodes[np.searchsorted(total, [0.05, 0.95]).clip(0, len(total) - 1)]
    found = (successes < low * trials) | (successes > high * trials)
    pairs, inverse = np.unique(
        np.stack([successes[found], trials[found]]), axis=1, return_inverse=True
    )
    y, n = pairs
    nodes = rates.nodes[:, None]
    below = rates.weights @ bdtr(y, n, nodes)
    above = np.where(y > 0, rates.weights @ bdtrc(np.maximum(y - 1, 0), n, nodes), 1.0)
    found[found] = (np.minimum(below, above) < _TAILS[1])[inverse.ravel()]
    return found


def _draw_limits(
    ax: Axes,
    sizes: Int[np.ndarray, "points"],
    pooled: float,
    rates: Rates,
    color: str,
) -> list[Any]:
    for tail, alpha in zip(_TAILS, (0.11, 0.07), strict=True):
        low, high = (control_limits(rates, sizes, p) for p in (tail, 1 - tail))
        ax.fill_between(sizes, low, high, color=color, alpha=alpha, linewidth=0, zorder=0.5)
    middle = ax.axhline(pooled, color=INK, linewidth=0.9, label="pooled rate", zorder=1.2)
    alike = Rates(np.array([pooled]), np.ones(1))
    for tail, dash in zip(_TAILS, _LIMIT_DASHES, strict=True):
        for p in (tail, 1 - tail):
            limits = control_limits(alike, sizes, p)
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


def _draw_units(ax: Axes, units: _Shown, color: str, selected: bool) -> list[Any]:
    plain = ~units.flagged
    crowd = float(np.clip(70 / len(units.raw), 0.0, 1.0))
    size, alpha = 2.2 + 2.4 * crowd**0.5, 0.35 + 0.5 * crowd**0.5
    look: dict[str, Any] = {"linestyle": "", "markersize": size, "clip_on": False}
    raw = look | {"marker": "o", "markerfacecolor": "none", "markeredgewidth": 0.7, "alpha": alpha}
    mean = look | {"marker": "o", "markeredgewidth": 0, "alpha": alpha}
    if len(units.raw) <= _MOST_JOINED:
        ends = np.stack([units.raw, units.mean], axis=1)
        x = np.broadcast_to(units.trials[:, None], ends.shape)
        ax.add_collection(
            LineCollection(list(np.stack([x, ends], axis=-1)), colors=MUTED, linewidths=0.4),
            autolim=False,
        )
    ax.plot(units.trials[plain], units.raw[plain], color=MUTED, **raw)
    ax.plot(units.trials[plain], units.mean[plain], color=color, **mean)
    handles = [
        point_key("raw rate", MUTED, 4.5, markerfacecolor="none"),
        point_key("posterior mean", color, 4.5),
    ]
    if units.flagged.any():
        flagged = np.flatnonzero(units.flagged)
        x, y = units.trials[flagged], units.raw[flagged]
        ax.plot(x, y, color=_FLAG, **(raw | {"alpha": 1.0, "markeredgewidth": 1.1}))
        ax.plot(x, units.mean[flagged], color=_FLAG, **(mean | {"alpha": 1.0}))
        first = flagged[np.argsort(-units.distance[flagged], kind="stable")][:_MOST_NAMED]
        points = np.column_stack([units.trials, units.raw])
        beside_points(ax, points[first], units.labels[first].tolist(), points)
        what = "selected" if selected else "outside shades"
        handles.append(point_key(f"{what} ({len(flagged):,})", _FLAG, 4.5, markerfacecolor="none"))
    return handles
