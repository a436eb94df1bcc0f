"""Checks of a fit as figures: units predicted from the others, and data replicated."""

from typing import Any

import numpy as np
from jaxtyping import Array, Float, Key
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from hierjax.checks import Forecast, LooPit, PredictiveCheck
from hierjax.checks.uniformity import uniform_band
from hierjax.fitting import Fit
from hierjax.keys import require_key
from hierjax.plots.style import INK, RAW, method_styles, new_axes, outside_legend, styled

__all__ = ["later_places", "loo_pit", "posterior_predictive"]

_FINE = 400
_BINS = 28
_WORDS = {
    "zeros": "units without {}",
    "largest_rate": "largest raw rate",
    "variance_of_rates": "variance of raw rates",
    "smallest": "smallest measurement",
    "largest": "largest measurement",
    "variance": "variance of measurements",
}


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
    used = fit.counts.sizes > 0
    value = fit.model.family.unit_words.value
    return _places(fit, LooPit(pit.low[used], pit.high[used]), f"the unit's {value}", ax)


@styled
def later_places(fit: Fit, forecast: Forecast, ax: Axes | None = None) -> Axes:
    """How far units' later values fall from where predictions from earlier ones put them.

    As `loo_pit`, of predictions of a later period.

    Args:
        fit: The fit of the earlier period.
        forecast: What `hierjax.checks.forecast` gave for it.
        ax: Where to draw; a new figure by default.

    Returns:
        The axes.
    """
    value = fit.model.family.unit_words.value
    return _places(fit, forecast.pit, f"the unit's later {value}", ax)


def _places(fit: Fit, kept: LooPit, what: str, ax: Axes | None) -> Axes:
    color, units = method_styles({fit.method.name: fit})[fit.method.name].color, len(kept.low)
    ax = new_axes(ax, 6.4, 3.6)
    levels, low, high = uniform_band(units)
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
    ax.plot(fine, difference, color=color, label=f"{units:,} units")
    largest = 1.15 * max(float(np.abs(difference).max()), float((high - levels).max()))
    ax.set(xlim=(0, 1), ylim=(-largest, largest))
    ax.set_xlabel(f"place of {what} in its prediction")
    ax.set_ylabel("share of units, less expected")
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
    title = _WORDS.get(statistic, statistic).format(fit.model.family.unit_words.one)
    ax.set_title(title, fontsize=10, pad=22)
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
