"""Checks of a fit as figures: units predicted from the others, and data replicated."""

from typing import Any

import numpy as np
from jaxtyping import Array, Float, Int, Key
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from scipy.special import bdtr, gammaln, ndtri

from hierjax.checks import LooPit, PredictiveCheck
from hierjax.fitting import Fit
from hierjax.keys import require_key
from hierjax.plots.style import INK, RAW, method_styles, new_axes, outside_legend, styled

__all__ = ["loo_pit", "posterior_predictive", "uniform_band"]

_LEVELS = 40
_FINE = 400
# Sizes up to which the band's probability, and its ends, are worked out count by count.
_MOST_EXACT, _MOST_COUNTED = 300, 20_000
_BINS = 28
_WORDS = {
    "zeros": "units without a success",
    "largest_rate": "largest raw rate",
    "variance_of_rates": "variance of raw rates",
}


def _allowed(
    units: int, levels: Float[np.ndarray, "levels"], tail: float
) -> tuple[Int[np.ndarray, "levels"], Int[np.ndarray, "levels"]]:
    """Least and greatest counts below each level, a tail being cut off at either side."""
    if units > _MOST_COUNTED:
        reach = -ndtri(tail) * np.sqrt(units * levels * (1 - levels))
        ends = np.floor(units * levels - reach), np.ceil(units * levels + reach)
        return ends[0].astype(int), ends[1].astype(int)
    cdf = bdtr(np.arange(units + 1.0), units, levels[:, None])
    return (cdf < tail).sum(axis=1), (cdf < 1 - tail).sum(axis=1)


def _inside(units: int, levels: Float[np.ndarray, "levels"], tail: float) -> float:
    """Probability that the counts of uniform numbers stay within all of the pointwise limits."""
    logs = gammaln(np.arange(units + 1) + 1.0)
    low, high = _allowed(units, levels, tail)
    before, states, mass = 0.0, np.array([0]), np.array([1.0])
    for level, first, last in zip(levels, low, high, strict=True):
        following = np.arange(first, last + 1)
        gained = following - states[:, None]
        share = (level - before) / (1 - before)
        left = (units - states)[:, None]
        possible = (gained >= 0) & (gained <= left)
        gained = np.where(possible, gained, 0)
        log_p = logs[left] - logs[gained] - logs[left - gained]
        log_p = log_p + gained * np.log(share) + (left - gained) * np.log1p(-share)
        mass = mass @ np.where(possible, np.exp(log_p), 0.0)
        before, states = level, following
    return float(mass.sum())


def uniform_band(
    units: int, probability: float = 0.95
) -> tuple[Float[np.ndarray, "levels"], Float[np.ndarray, "levels"], Float[np.ndarray, "levels"]]:
    """Where distribution functions of that many uniform numbers stay, all along, by a probability.

    The limits cut off equal binomial tails at every level, as small as makes the simultaneous
    probability right. That probability follows exactly from the counts, which are a Markov chain
    from level to level (Säilynoja, Bürkner & Vehtari 2022, *Statistics and Computing* 32:32, sec.
    2.2); for more than 300 numbers the tails of 300 are taken.

    Args:
        units: How many numbers.
        probability: Of staying within the band.

    Returns:
        Levels strictly between 0 and 1, and the band's lower and upper ends there.

    Example:
        >>> levels, low, high = uniform_band(100)
        >>> at = int(abs(levels - 0.5).argmin())
        >>> print(f"{low[at]:.2f} {high[at]:.2f}")
        0.36 0.64
    """
    levels = np.arange(1, _LEVELS) / _LEVELS
    size = min(units, _MOST_EXACT)
    least, most = np.log(1e-5), np.log(0.5 * (1 - probability))
    for _ in range(18):
        middle = 0.5 * (least + most)
        if _inside(size, levels, float(np.exp(middle))) >= probability:
            least = middle
        else:
            most = middle
    low, high = _allowed(units, levels, float(np.exp(least)))
    return levels, low / units, high / units


@styled
def loo_pit(fit: Fit, ax: Axes | None = None, *, pit: LooPit | None = None) -> Axes:
    """How far units fall from where predictions from the other units put them.

    The curve is the distribution function of the leave-one-unit-out probability integral
    transforms (`LooPit.cdf`) less that of a uniform distribution, which it has if the model
    predicts well. The band holds 95% of such curves, simultaneously at all levels, of as many
    transforms drawn within their intervals; the curve averages over those draws and so varies
    somewhat less.

    Args:
        fit: A fit that found something.
        ax: Where to draw; a new figure by default.
        pit: What `Fit.loo_pit` gave, where it is known already.

    Returns:
        The axes.

    Raises:
        ModelError: If without one of the units the posterior would be improper.

    Example:
        >>> import hierjax as hj
        >>> loo_pit(hj.fit(hj.datasets.rat_tumors())).get_ylabel()
        'share of units, less expected'
    """
    pit = fit.loo_pit() if pit is None else pit
    used = fit.counts.trials > 0
    kept = LooPit(pit.low[used], pit.high[used])
    color = method_styles({fit.method.name: fit})[fit.method.name].color
    ax = new_axes(ax, 6.4, 3.6)
    levels, low, high = uniform_band(int(used.sum()))
    ends = np.concatenate([[0.0], levels, [1.0]])
    ax.fill_between(
        ends,
        np.concatenate([[0.0], low - levels, [0.0]]),
        np.concatenate([[0.0], high - levels, [0.0]]),
        color=RAW, alpha=0.55, linewidth=0, label="95% of good models stay within",
    )  # fmt: skip
    fine = np.linspace(0, 1, _FINE + 1)
    difference = kept.cdf(fine) - fine
    ax.axhline(0.0, color=INK, linewidth=0.8)
    ax.plot(fine, difference, color=color, label=f"{int(used.sum()):,} units")
    largest = 1.15 * max(float(np.abs(difference).max()), float((high - levels).max()))
    ax.set(xlim=(0, 1), ylim=(-largest, largest))
    ax.set(
        xlabel="place of the unit's count in its prediction", ylabel="share of units, less expected"
    )
    ax.yaxis.set_major_locator(MaxNLocator(5, symmetric=True, steps=[1, 2, 5, 10]))
    outside_legend(ax, 2)
    return ax


@styled
def posterior_predictive(
    fit: Fit,
    ax: Axes | None = None,
    *,
    statistic: str = "zeros",
    key: Key[Array, ""] | None = None,
    check: PredictiveCheck | None = None,
) -> Axes:
    """A statistic of the data among its values in data replicated from the fit.

    The bar at the foot holds as many replicates as the check's level says. Above stands the
    observed value, and the share of replicates that are as large (ties counted half): near 0 or 1
    the model would hardly make such data.

    Args:
        fit: A fit that found something.
        ax: Where to draw; a new figure by default.
        statistic: `zeros`, `largest_rate` or `variance_of_rates`.
        key: Typed random key; needed unless `check` is given.
        check: What `Fit.posterior_predictive` gave, where it is known already.

    Returns:
        The axes.

    Raises:
        TypeError: If neither a check nor a typed key is given.
        ValueError: If there is no such statistic.

    Example:
        >>> import hierjax as hj, jax
        >>> fit = hj.fit(hj.datasets.rat_tumors())
        >>> posterior_predictive(fit, key=jax.random.key(0)).get_title(loc="left")
        'units without a success'
    """
    check = fit.posterior_predictive(require_key(key)) if check is None else check
    names = check["statistic"].tolist()
    if statistic not in names:
        raise ValueError(f"statistic: expected one of {', '.join(names)}, found {statistic!r}")
    row = next(row for row in check.rows() if row["statistic"] == statistic)
    values, observed = check.replicates[statistic], row["observed"]
    color = method_styles({fit.method.name: fit})[fit.method.name].color
    ax = new_axes(ax, 4.2, 3.2)
    edges = _edges(values, observed)
    heights = np.histogram(values, edges)[0] / len(values)
    ax.stairs(heights, edges, fill=True, color=color, alpha=0.45, label="replicated")
    top = 1.12 * float(heights.max())
    ax.hlines(0.02 * top, row["low"], row["high"], color=color, linewidth=3.0)
    ax.axvline(observed, color=INK, linewidth=1.6, label="observed")
    ax.set_title(_WORDS.get(statistic, statistic), fontsize=10, pad=22)
    said = f"observed {observed:.3g}; P(≥) = {row['tail_probability']:.2g}"
    place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    ax.annotate(said, (0, 1), (0, 8), fontsize=9, **place)
    ax.set(ylim=(0, top), yticks=[])
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(3, integer=statistic == "zeros"))
    return ax


def _edges(values: Float[np.ndarray, "draws"], observed: float) -> Float[np.ndarray, "edges"]:
    """Edges of bins that hold what matters of the replicates, and the observed value."""
    low, high = np.quantile(values, [0.001, 0.999])
    low, high = min(float(low), observed), max(float(high), observed)
    if np.array_equal(values, np.round(values)):
        step = max(int(np.ceil((high - low + 1) / _BINS)), 1)
        return np.arange(np.floor(low), high + step + 0.5, step) - 0.5
    margin = 0.03 * (high - low) or 0.5 * abs(low) or 0.5
    return np.linspace(low - margin, high + margin, _BINS + 1)
