"""Heat map of ranks: which places units may have."""

import numpy as np
from jaxtyping import Array, Float, Int, Key
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from hierjax.fitting import Fit
from hierjax.plots.labels import named_rows
from hierjax.plots.style import INK, method_styles, new_axes, outside_legend, point_key, styled

__all__ = ["rank_heat_map"]

_MOST_NAMED, _MOST_SINGLE = 60, 150
_GROUPS = 50


@styled
def rank_heat_map(
    fit: Fit, ax: Axes | None = None, *, key: Key[Array, ""], draws: int = 2000
) -> Axes:
    """Probability of every rank for every unit, in order of expected ranks; rank 1 is the highest.

    Up to 60 units are named. More than 150 are drawn in 50 groups of neighbours in the order, and
    ranks in 50 groups too: the color is then the probability that a unit of the group has a rank
    among those (as many as there are in the group on average).

    Args:
        fit: A fit that found something.
        ax: Where to draw; a new figure by default.
        key: Typed random key.
        draws: Joint draws of all rates that ranks are counted in.

    Returns:
        The axes.

    Raises:
        TypeError: If the key is not a single typed key.

    Example:
        >>> import hierjax as hj, jax
        >>> fit = hj.fit(hj.datasets.rat_tumors())
        >>> rank_heat_map(fit, key=jax.random.key(0), draws=100).get_xlabel()
        'rank, 1 is the highest rate'
    """
    counts = fit.counts
    ranks = fit.rank_draws(key=key, draws=draws)
    expected = ranks.mean(axis=0)
    order = np.argsort(expected, kind="stable")
    units = len(counts)
    groups = units if units <= _MOST_SINGLE else _GROUPS
    edges = np.linspace(0, units, groups + 1).round().astype(int)
    shares = _shares(ranks[:, order], edges)
    named = units <= _MOST_NAMED
    ax = new_axes(ax, 6.4, max(1.5 + 0.15 * units, 2.4) if named else 5.2)
    color = method_styles({fit.method.name: fit})[fit.method.name].color
    colors = LinearSegmentedColormap.from_list("ranks", ["#ffffff", color, "#10243a"])
    top = float(shares.max())
    norm = PowerNorm(0.5, 0.0, top)
    ax.pcolormesh(edges + 0.5, edges - 0.5, shares, cmap=colors, norm=norm, rasterized=True)
    ax.plot(expected[order], np.arange(units), color=INK, **_expected_look(units))
    ax.set(xlim=(0.5, units + 0.5), ylim=(units - 0.5, -0.5))
    ax.set_xlabel(f"rank, 1 is the highest {fit.model.family.unit_words.parameter}")
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    if named:
        named_rows(ax, counts.labels[order])
    else:
        ax.set_yticks([])
        ax.set_ylabel(f"{units:,} units in order of expected rank")
    keys = [
        Patch(facecolor=colors(norm(value)), edgecolor=INK, linewidth=0.4, label=f"{value:.2g}")
        for value in _steps(top)
    ]
    keys[0].set_label(f"probability {keys[0].get_label()}")
    first = point_key("expected rank", INK, 3) if named else ax.lines[0]
    if not named:
        first.set_label("expected rank")
    outside_legend(ax, 5, [first, *keys])
    return ax


def _shares(
    ranks: Int[np.ndarray, "draws units"], edges: Int[np.ndarray, "edges"]
) -> Float[np.ndarray, "groups groups"]:
    """For each group of units, the share of their ranks in each group of ranks."""
    groups = len(edges) - 1
    of_place = np.repeat(np.arange(groups), np.diff(edges))
    cells = of_place * groups + of_place[ranks - 1]
    counted = np.bincount(cells.ravel(), minlength=groups**2).reshape(groups, groups)
    # Groups differ by one rank where their number does not divide the units'; they shall not look
    # less probable for that.
    width = np.diff(edges) / np.diff(edges).mean()
    return counted / counted.sum(axis=1, keepdims=True) / width


def _expected_look(units: int) -> dict:
    if units <= _MOST_NAMED:
        return {"marker": "o", "markersize": 4, "markeredgecolor": "white", "linestyle": ""}
    return {"linewidth": 1.0}


def _steps(top: float) -> list[float]:
    """Round probabilities to show colors of, from a small one to the greatest."""
    steps = [step for step in (0.001, 0.01, 0.03, 0.1, 0.3, 1.0) if step <= 1.05 * top]
    return steps[-3:] or [top]
