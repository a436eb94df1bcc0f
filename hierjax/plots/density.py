"""Densities of rates: a new unit's, and what they are drawn on."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from scipy.special import betaln, xlog1py, xlogy

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
    successes: int,
    trials: int,
    limits: tuple[float, float],
    points: int = 401,
) -> Float[np.ndarray, " points"]:
    """Rates within limits, denser where the unit's density is.

    Rates 0 and 1 are kept a thousandth of the range away: where a few populations have a shape
    parameter below one their average is infinite there, a spike far narrower than a pixel.

    Args:
        fits: Fits by name.
        successes: The unit's successes.
        trials: Its trials; none for a unit about which nothing is known.
        limits: Least and greatest rate.
        points: Number of rates.

    Returns:
        Rates in increasing order, strictly between 0 and 1.
    """
    rows = [fit.predict(successes, trials) for fit in fits.values()]
    moments = [(float(row["mean"][0]), float(row["sd"][0])) for row in rows]
    centers = [center for center, _ in moments]
    least = 1e-3 * (limits[1] - limits[0])
    low = max(limits[0], min(least, 0.05 * min(centers)), 1e-9)
    high = min(limits[1], 1 - min(least, 0.05 * (1 - max(centers))), 1 - 1e-9)
    grids = [np.linspace(low, high, points)]
    grids += [center + spread * np.linspace(-4, 4, points // 2) for center, spread in moments]
    grid = np.unique(np.clip(np.concatenate(grids), low, high))
    # Always as many rates: a density compiles once for each number of them.
    return np.interp(np.linspace(0, len(grid) - 1, points), np.arange(len(grid)), grid)


def draw_density(
    ax: Axes,
    fit: Fit,
    data: tuple[int, int],
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
        data: The unit's successes and trials.
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


def _limits(fit: Fit, successes: int, trials: int) -> tuple[float, float]:
    """Rates worth showing: the unit's, most of its likelihood's, and the population's nearby."""
    row = fit.predict(successes, trials, level=0.99)
    low, high = float(row["low"][0]), float(row["high"][0])
    if trials:
        center = (successes + 1) / (trials + 2)
        spread = (center * (1 - center) / (trials + 3)) ** 0.5
        low = min(low, successes / trials, center - 2.5 * spread)
        high = max(high, successes / trials, center + 2.5 * spread)
    reach = 1.5 * (high - low)
    population = fit.predict(0, 0, level=0.95)
    low = min(low, max(float(population["low"][0]), low - reach))
    high = max(high, min(float(population["high"][0]), high + reach))
    margin = 0.03 * (high - low) + 1e-6
    least, most = max(low - margin, 0.0), min(high + margin, 1.0)
    return (0.0 if least < 0.15 * most else least), (1.0 if 1 - most < 0.15 * (1 - least) else most)


@styled
def new_unit(
    fits: Fit | Mapping[str, Fit],
    successes: int,
    trials: int,
    ax: Axes | None = None,
    *,
    label: str = "new unit",
) -> Axes:
    """A new unit's likelihood, the population it comes from, and its posterior by each fit.

    The likelihood is scaled to a density, Beta(y + 1, n - y + 1). The posterior lies between it
    and the population, the nearer to the population the fewer trials the unit has.

    Args:
        fits: One fit, or fits of the same data by name.
        successes: The unit's successes.
        trials: Its trials.
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
    limits = _limits(fits[first], successes, trials)
    # Samplers' densities are as wide as the first's; point estimates' may be narrow.
    seen = {name: fit for name, fit in fits.items() if name == first or fit.is_point}
    grid = rate_grid(seen, successes, trials, limits)
    title = f"population ({styles[first].label})"
    muted = MethodStyle(title, MUTED, (0, ()), "o")
    heights.append(draw_density(ax, fits[first], (0, 0), grid, muted, title, width=0.9))
    if not is_complete_pooling(fits[first]):
        ax.fill_between(*ax.lines[-1].get_data(), color=RAW, alpha=0.5, linewidth=0)
    if trials:
        density = _likelihood(successes, trials, grid)
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
    ax.set(xlabel="rate", ylabel="density", xlim=limits, ylim=(0, 1.06 * top))
    known = f"{successes:,} of {trials:,}" if trials else "no trials"
    outside_legend(ax, title=f"{label}: {known}")
    return ax


def _likelihood(
    successes: int, trials: int, grid: Float[np.ndarray, " points"]
) -> Float[np.ndarray, " points"]:
    failures = trials - successes
    log_density = xlogy(successes, grid) + xlog1py(failures, -grid)
    return np.exp(log_density - betaln(successes + 1, failures + 1))
