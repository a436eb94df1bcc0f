"""Who is at the top and at the bottom, by raw rates and after shrinkage; shrinkage by size."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Num, Shaped
from matplotlib.axes import Axes

from hierjax.fitting import Fit
from hierjax.plots.style import (
    MUTED,
    RAW,
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

__all__ = ["Extremes", "extremes", "find_extremes", "shrinkage_by_size"]

_TOP, _BOTTOM = "#c1440e", "#1f5fa8"
_MOST_POINTS = 4000


class Extremes(NamedTuple):
    """Which units have the highest and the lowest values, all those as far out included.

    Attributes:
        top: Whether a unit's value is as high as the k-th highest.
        bottom: Whether it is as low as the k-th lowest.
    """

    top: Bool[np.ndarray, "units"]
    bottom: Bool[np.ndarray, "units"]


def find_extremes(values: Num[np.ndarray, "units"], count: int) -> Extremes:
    """The units at both ends; where values are equal there may be more than `count`.

    Args:
        values: One value a unit.
        count: How many units at each end, k.

    Returns:
        Who they are.

    Example:
        >>> find_extremes(np.array([0.0, 3.0, 1.0, 0.0]), 1).bottom.tolist()
        [True, False, False, True]
    """
    ordered = np.sort(values)
    count = min(count, len(values))
    return Extremes(values >= ordered[-count], values <= ordered[count - 1])


@styled
def extremes(fit: Fit, count: int, *, table: Table | None = None) -> Axes:
    """The units with the highest and lowest values against their sizes, raw and shrunken.

    Raw rates are most extreme where there are few data: both ends are small units. Posterior means
    are extreme where data are many enough to say so.

    Args:
        fit: A fit that found something.
        count: How many units at each end; of equal values all are marked.
        table: What `Fit.unit_table` gave, where it is known already.

    Returns:
        The first of two axes of a new figure, raw values above, posterior means below. Units
        without data are left out; of more than 4,000, those between are thinned.

    Example:
        >>> import hierjax as hj
        >>> extremes(hj.fit(hj.datasets.rat_tumors(), method=hj.Moments()), 5).get_ylabel()
        'raw rate'
    """
    table = fit.unit_table() if table is None else table
    words, weight = fit.model.family.unit_words, told(fit)
    used = weight > 0
    size = weight[used]
    panels = new_panels(2, 1, 7.0, 6.4, share=False)[:, 0]
    shown = ((words.raw, table["raw_rate"]), (f"posterior mean of the {words.parameter}", None))
    for ax, (name, values) in zip(panels, shown, strict=True):
        values = (table["mean"] if values is None else values)[used].astype(float)
        found = find_extremes(values, count)
        _draw(ax, size, values, found, pooled_parameter(fit))
        ax.set(xlabel=words.size, ylabel=name)
        if size.max() > 25 * size.min():
            ax.set_xscale("log")
        told_by = words.size.partition(" of ")[0]
        handles = [_key(found.top, f"highest, median {told_by}", size, _TOP, "^")]
        handles += [_key(found.bottom, f"lowest, median {told_by}", size, _BOTTOM, "v")]
        outside_legend(ax, 2, handles)
    return panels[0]


def _draw(
    ax: Axes,
    size: Shaped[np.ndarray, "units"],
    values: Float[np.ndarray, "units"],
    found: Extremes,
    pooled: float,
) -> None:
    between = np.flatnonzero(~(found.top | found.bottom))
    between = between[np.argsort(size[between], kind="stable")]
    between = between[rows_shown(len(between), _MOST_POINTS)] if len(between) else between
    look: dict[str, Any] = {"linestyle": "", "markeredgewidth": 0, "clip_on": False}
    few = len(values) <= 300
    plain = look | {"markersize": 4 if few else 2.2, "alpha": 0.6 if few else 0.35}
    ax.plot(size[between], values[between], "o", color=MUTED, **plain)
    look |= {"markersize": 6 if few else 4, "alpha": 0.7}
    for members, color, marker in ((found.top, _TOP, "^"), (found.bottom, _BOTTOM, "v")):
        ax.plot(size[members], values[members], marker, color=color, **look)
    ax.axhline(pooled, color=MUTED, linewidth=0.9, linestyle=(0, (5, 3)), zorder=1)


def _key(
    members: Bool[np.ndarray, "units"],
    word: str,
    size: Shaped[np.ndarray, "units"],
    color: str,
    marker: str,
) -> Any:
    middle = float(np.median(size[members]))
    told_as = f"{middle:,.0f}" if middle >= 10 else f"{middle:.3g}"
    return point_key(f"{int(members.sum()):,} {word} {told_as}", color, 5, marker)


@styled
def shrinkage_by_size(
    fits: Fit | Mapping[str, Fit],
    ax: Axes | None = None,
    *,
    estimates: Mapping[str, Table] | None = None,
) -> Axes:
    """The population's share of each unit's estimate, against how much the unit tells.

    It falls from 1 for a unit without data to 0, and is one half where a unit tells as much as the
    population does. Bars in the background count units.

    Args:
        fits: One fit, or fits of the same data by name.
        ax: Where to draw; a new figure by default.
        estimates: What `Fit.unit_table` gave for each name, where it is known already.

    Returns:
        The axes.

    Example:
        >>> import hierjax as hj
        >>> fit = hj.fit(hj.datasets.rat_tumors(), method=hj.Moments())
        >>> shrinkage_by_size(fit).get_ylabel()
        'share of the population in the estimate'
    """
    ax, fits = new_axes(ax, 6.4, 4.0), named(fits)
    first = next(iter(fits.values()))
    weight = told(first)
    used = np.flatnonzero(weight > 0)
    order = used[np.argsort(weight[used], kind="stable")]
    order = order[rows_shown(len(order), _MOST_POINTS)]
    size = weight[order]
    is_log = bool(size[-1] > 25 * size[0])
    edges = (np.geomspace if is_log else np.linspace)(size[0], size[-1], 31)
    if size[-1] > size[0]:
        heights = np.histogram(weight[used], edges)[0]
        ax.stairs(0.3 * heights / heights.max(), edges, fill=True, color=RAW, alpha=0.7)
    styles, handles = method_styles(fits), []
    for name in filter(None, (reference(fits), point_estimate(fits))):
        values = unit_table(name, fits[name], 0.9, estimates)["shrinkage"][order]
        style = styles[name]
        look: dict[str, Any] = {"linestyle": style.dash, "marker": "."}
        look |= {"markersize": 4 if len(order) <= 100 else 0, "linewidth": 1.8}
        handles += ax.plot(size, values, color=style.color, label=style.label, **look)
    handles.append(point_key("units, as a histogram", RAW, 8, "s"))
    words = first.model.family.unit_words
    ax.set(xlabel=words.size, ylabel="share of the population in the estimate", ylim=(0, 1.02))
    if is_log:
        ax.set_xscale("log")
    outside_legend(ax, 3, handles)
    return ax
