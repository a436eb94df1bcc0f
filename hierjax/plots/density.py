"""Densities of rates: a new unit's, and what they are drawn on."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from hierjax.entries import Number
from hierjax.families.protocol import AnyFamily
from hierjax.fitting import Fit
from hierjax.plots.style import (
    INK,
    MUTED,
    RAW,
    MethodStyle,
    is_complete_pooling,
    leading,
    method_styles,
    named,
    new_axes,
    outside_legend,
    styled,
)

__all__ = ["draw_density", "new_unit", "rate_grid"]


def rate_grid(
    fits: Mapping[str, Fit],
    successes: Number,
    trials: Number,
    limits: tuple[float, float],
    points: int = 401,
) -> Float[np.ndarray, " points"]:
    """Rates within limits, denser where the unit's density is.

    Rates 0 and 1 are kept a thousandth of the range away: where a few populations have a shape
    parameter below one their average is infinite there, a spike far narrower than a pixel.

    Args:
        fits: Fits by name.
        successes: The unit's successes, events or value.
        trials: Its size; for a unit about which nothing is known that of no data.
        limits: Least and greatest rate.
        points: Number of rates.

    Returns:
        Rates in increasing order, strictly between the parameter's limits.
    """
    rows = [fit.predict(successes, trials) for fit in fits.values()]
    moments = [(float(row["mean"][0]), float(row["sd"][0])) for row in rows]
    centers = [center for center, _ in moments]
    bounds = next(iter(fits.values())).model.family.limits
    least, (low, high) = 1e-3 * (limits[1] - limits[0]), limits
    if np.isfinite(bounds[0]):
        tiny = 1e-9 if bounds[1] == 1 else 1e-9 * min(centers)
        low = max(low, min(least, 0.05 * min(centers)), tiny)
    if np.isfinite(bounds[1]):
        high = min(high, 1 - min(least, 0.05 * (1 - max(centers))), 1 - 1e-9)
    grids = [np.linspace(low, high, points)]
    grids += [center + spread * np.linspace(-4, 4, points // 2) for center, spread in moments]
    grid = np.unique(np.clip(np.concatenate(grids), low, high))
    # Always as many rates: a density compiles once for each number of them.
    return np.interp(np.linspace(0, len(grid) - 1, points), np.arange(len(grid)), grid)


def draw_density(
    ax: Axes,
    fit: Fit,
    data: tuple[Number, Number],
    grid: Float[np.ndarray, " points"],
    style: MethodStyle,
    label: str,
    scale: float = 1.0,
    width: float = 1.8,
) -> float:
    """Draws the density of a unit's rate, or a vertical line where it is a spike.

    Args:
        ax: Where to draw.
        fit: Whose density.
        data: The unit's value and size.
        grid: Rates at which to evaluate.
        style: Color and dash.
        label: What the legend says.
        scale: Factor of the density.
        width: Line width.

    Returns:
        A height that shows the curve, though it may be infinite at 0 or 1.
    """
    look: dict[str, Any] = {
        "color": style.color,
        "linestyle": style.dash,
        "linewidth": width,
        "label": label,
    }
    if is_complete_pooling(fit):
        ax.axvline(float(fit.predict(*data)["mean"][0]), **look)
        return 0.0
    density = scale * fit.unit_density(*data, grid)
    ax.plot(grid, density, **look)
    margin = 0.02 * np.ptp(grid)
    inner = density[(grid > grid[0] + margin) & (grid < grid[-1] - margin)]
    return float(np.max(inner, initial=0.0))


def _has_data(fit: Fit, size: Number) -> bool:
    return bool(size != fit.model.family.on_host.nothing[1])


def _limits(fit: Fit, successes: Number, trials: Number) -> tuple[float, float]:
    """Rates worth showing: the unit's, most of its likelihood's, and the population's nearby."""
    host, bounds = fit.model.family.on_host, fit.model.family.limits
    row = fit.predict(successes, trials, level=0.99)
    low, high = float(row["low"][0]), float(row["high"][0])
    if _has_data(fit, trials):
        shapes = host.flat(successes, trials)
        center, spread = float(host.mean(shapes)), float(host.variance(shapes)) ** 0.5
        raw = float(row["raw_rate"][0])
        low = min(low, raw, center - 2.5 * spread)
        high = max(high, raw, center + 2.5 * spread)
    reach = 1.5 * (high - low)
    population = fit.predict(*host.nothing, level=0.95)
    low = min(low, max(float(population["low"][0]), low - reach))
    high = max(high, min(float(population["high"][0]), high + reach))
    margin = 0.03 * (high - low) + (1e-6 if bounds[1] == 1 else 0.0)
    least, most = max(low - margin, bounds[0]), min(high + margin, bounds[1])
    if bounds[1] == 1 and 1 - most < 0.15 * (1 - least):
        most = 1.0
    return (0.0 if bounds[0] == 0 and least < 0.15 * most else least), most


@styled
def new_unit(
    fits: Fit | Mapping[str, Fit],
    successes: Number,
    trials: Number,
    ax: Axes | None = None,
    *,
    label: str = "new unit",
) -> Axes:
    """A new unit's likelihood, the population it comes from, and its posterior by each fit.

    The likelihood is scaled to a density, of binomial counts Beta(y + 1, n - y + 1). The posterior
    lies between it and the population, the nearer to the population the fewer trials the unit has.

    Args:
        fits: One fit, or fits of the same data by name.
        successes: The unit's successes, events or value.
        trials: Its size: trials, exposure or error.
        ax: Where to draw; a new figure by default.
        label: What the unit is called.

    Returns:
        The axes.

    Example:
        >>> import hierjax as hj
        >>> fit = hj.fit(hj.datasets.rat_tumors())
        >>> new_unit(fit, 4, 14, label="experiment 71").get_legend().get_title().get_text()
        'experiment 71: 4 of 14'
    """
    ax, fits = new_axes(ax), named(fits)
    styles, heights = method_styles(fits), []
    first = leading(fits)
    family = fits[first].model.family
    nothing = family.on_host.nothing
    limits = _limits(fits[first], successes, trials)
    # Samplers' densities are as wide as the first's; point estimates' may be narrow.
    seen = {name: fit for name, fit in fits.items() if name == first or fit.is_point}
    grid = rate_grid(seen, successes, trials, limits)
    title = f"population ({styles[first].label})"
    muted = MethodStyle(title, MUTED, (0, ()), "o")
    heights.append(draw_density(ax, fits[first], nothing, grid, muted, title, width=0.9))
    if not is_complete_pooling(fits[first]):
        ax.fill_between(*ax.lines[-1].get_data(), color=RAW, alpha=0.5, linewidth=0)
    if _has_data(fits[first], trials):
        density = _likelihood(family, successes, trials, grid)
        dashed: dict[str, Any] = {"color": INK, "linewidth": 1.1, "linestyle": (0, (4, 2))}
        ax.plot(grid, density, label="likelihood, scaled", **dashed)
        heights.append(float(density.max()))
    posterior = {}
    for name, fit in fits.items():
        # The first of curves that coincide stays visible under the others.
        width, style = 3.6 if name == first else 1.8, styles[name]
        data = (successes, trials)
        posterior[name] = draw_density(ax, fit, data, grid, style, style.label, width=width)
    # Draws of almost complete pooling are spikes, which must not flatten everything else.
    top = max(*heights, posterior[first])
    top = max(top, min(1.5 * top, *posterior.values())) or max(posterior.values()) or 1.0
    ax.set(xlabel=family.unit_words.parameter, ylabel="density", xlim=limits, ylim=(0, 1.06 * top))
    known = "no trials" if family.support == "counts_up_to_size" else "no data"
    if _has_data(fits[first], trials):
        known = family.unit_words.unit.format(value=successes, size=trials)
    outside_legend(ax, title=f"{label}: {known}")
    return ax


def _likelihood(
    family: AnyFamily, value: Number, size: Number, grid: Float[np.ndarray, " points"]
) -> Float[np.ndarray, " points"]:
    return np.asarray(family.on_host.density(family.on_host.flat(value, size), grid))
