"""Figures of three levels: two stages of shrinkage, and the groups' intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from hierjax.levels import GroupFit
from hierjax.levels.typical import typical
from hierjax.plots.caterpillar import MOST_NAMED, draw_raw, draw_rows, rate_limits
from hierjax.plots.labels import beside_rows, named_rows
from hierjax.plots.style import (
    INK,
    method_color,
    new_axes,
    new_panels,
    outside_legend,
    rows_shown,
    styled,
)
from hierjax.table import Table

__all__ = ["group_caterpillar", "group_shrinkage"]

_MOST_UNITS, _MOST_GROUPS = 300, 200
_ENDS = 3
# Groups that have their names beside them.
_NAMED = 8
# How far apart rates are on a logarithmic axis.
_DECADES = 20.0
_DASH = (0, (5, 3))


@styled
def group_shrinkage(
    fit: GroupFit,
    axes: Sequence[Axes] | np.ndarray | None = None,
    *,
    level: float = 0.9,
    groups: Table | None = None,
    units: Table | None = None,
) -> tuple[Axes, Axes]:
    r"""Two stages of shrinkage: units towards their group's, groups towards a typical group's.

    Left, a line a unit from its raw rate by its estimate to its group's mean; right, a line a
    group from the raw rate of all its units together to its mean. The dashed line is the mean of a
    typical group. Groups are told apart by their color, from the lowest mean to the highest. What
    lies beyond the axis is drawn at its end.

    Args:
        fit: A fit of three levels that found something.
        axes: Two axes, of which the second has the first's limits; of a new figure by default.
        level: Probability of the intervals of the tables, where they are not given.
        groups: What `GroupFit.groups` gave, where it is known already.
        units: What `GroupFit.units` gave.

    Returns:
        Both axes. Of more than 300 units, or 200 groups, evenly spaced ones are drawn.

    Example:
        >>> import hierjax as hj
        >>> data = hj.Counts([1, 2, 5, 6], [20] * 4, groups=["a", "a", "b", "b"])
        >>> axes = group_shrinkage(hj.fit_groups(data, method=hj.GroupType2MLE()))
        >>> [label.get_text() for label in axes[1].get_xticklabels()]
        ['all its units\ntogether', 'estimate']
    """
    groups = fit.groups(level) if groups is None else groups
    units = fit.units(level) if units is None else units
    family, words = fit.model.family, fit.model.family.unit_words  # type: ignore[union-attr]
    if axes is None:
        axes = new_panels(1, 2, 6.8, 4.6)[0]
        axes[1].tick_params(labelleft=False)
    mean, at = groups["mean"], fit.labs.group
    colors = _colors(mean)
    stages = np.stack([units["raw_rate"], units["mean"], mean[at]])
    known = np.isfinite(stages).all(axis=0)
    told = np.where(known, family.on_host.statistic(*fit.data.pair)[1], 0.0)  # type: ignore[union-attr]
    together = np.stack([groups["raw"], mean])
    low, high, inside = _limits(fit, stages[:, known], together)
    for ax in axes:
        ax.set_ylim(low, high)
        if inside:
            ax.set_yscale("log")
    shown = np.flatnonzero(known)[rows_shown(int(known.sum()), _MOST_UNITS)]
    alpha = float(np.clip(40 / max(len(shown), 1), 0.2, 0.75))
    for unit in shown:
        color = colors[at[unit]]
        path = np.clip(stages[:, unit], low, high)
        axes[0].plot([0, 1, 2], path, color=color, linewidth=0.8, alpha=alpha)
    sizes = 3 + 30 * told[shown] / max(told.max(), 1e-300)
    face = colors[at[shown]]
    raw = np.clip(stages[0, shown], low, high)
    axes[0].scatter(np.zeros(len(shown)), raw, sizes, color=face, alpha=0.8, linewidths=0)
    axes[0].scatter(np.ones(len(shown)), stages[1, shown], 9, color=face, alpha=0.8, linewidths=0)
    few = rows_shown(len(mean), _MOST_GROUPS)
    axes[0].plot(np.full(len(few), 2.0), mean[few], "_", color=INK, markersize=9, zorder=3)
    for group in few:
        path = np.clip(together[:, group], low, high)
        axes[1].plot([0, 1], path, color=colors[group], linewidth=1.4, marker="o", markersize=4)
    axes[0].set_xticks([0, 1, 2], [words.raw, "estimate", "group's\nmean"])
    axes[1].set_xticks([0, 1], ["all its units\ntogether", "estimate"])
    axes[0].set(xlim=(-0.25, 2.3), ylabel=words.parameter, title="Units to their group")
    axes[1].set(xlim=(-0.2, 1.2), title="Groups to each other")
    for ax in axes:
        ax.axhline(typical(fit), color=INK, linewidth=0.8, linestyle=_DASH, zorder=1.5)
    axes[1].annotate(
        "a typical group",
        (0.5, typical(fit)),
        (0, 2),
        textcoords="offset points",
        fontsize=8.5,
        ha="center",
        va="bottom",
        zorder=5,
        path_effects=[withStroke(linewidth=2.5, foreground="white")],
    )
    if len(mean) <= _NAMED:
        axes[1].set_xlim(-0.2, 1.08)
        order = np.argsort(mean)
        beside_rows(axes[1], mean[order], np.ones(len(order)), groups["group"][order].tolist())
    return axes[0], axes[1]


def _colors(means: Float[np.ndarray, "groups"]) -> np.ndarray:
    """A color a group, from the lowest mean to the highest; the palest are left out."""
    rank = np.argsort(np.argsort(means))
    return colormaps["viridis"](0.88 * rank / max(len(means) - 1, 1))


def _limits(
    fit: GroupFit, stages: Float[np.ndarray, "3 units"], together: Float[np.ndarray, "2 groups"]
) -> tuple[float, float, bool]:
    """Limits that hold all estimates and most raw rates, and whether the axis is logarithmic."""
    bounds: tuple[float, float] = fit.model.family.limits  # type: ignore[union-attr]
    estimates = np.concatenate([stages[1:].ravel(), together[1], [typical(fit)]])
    if bounds == (0.0, np.inf) and estimates.max() > _DECADES * estimates.min() > 0:
        return 0.5 * float(estimates.min()), 2 * float(estimates.max()), True
    raw = np.append(stages[0], together[0])
    low, high = rate_limits(estimates, estimates, raw, bounds)
    return low, high, False


@styled
def group_caterpillar(
    fit: GroupFit, ax: Axes | None = None, *, level: float = 0.9, table: Table | None = None
) -> Axes:
    """Intervals of all groups' means, one row a group, in order of their estimates.

    Args:
        fit: A fit of three levels that found something.
        ax: Where to draw; a new figure by default.
        level: Probability of the intervals.
        table: What `GroupFit.groups` gave at that level, where it is known already.

    Returns:
        The axes. Up to 60 groups are named, of more the three lowest and the three highest.

    Example:
        >>> import hierjax as hj
        >>> data = hj.Counts([1, 2, 5, 6], [20] * 4, groups=["a", "a", "b", "b"])
        >>> ax = group_caterpillar(hj.fit_groups(data, method=hj.GroupType2MLE()))
        >>> [label.get_text() for label in ax.get_yticklabels()]
        ['a (2)', 'b (2)']
    """
    table = fit.groups(level) if table is None else table
    family: Any = fit.model.family
    order = np.lexsort((table["units"], table["mean"]))
    low, mean, high, raw = (table[name][order] for name in ("low", "mean", "high", "raw"))
    names = np.array(
        [f"{name} ({count:,})" for name, count in zip(table["group"], table["units"], strict=True)]
    )[order]
    few = len(order) <= MOST_NAMED
    ax = new_axes(ax, 6.4, max(1.3 + 0.2 * len(order), 2.4) if few else 5.2)
    middle = typical(fit)
    limits = rate_limits(np.append(low, middle), np.append(high, middle), raw, family.limits)
    ax.set(xlim=limits, ylim=(-0.8, len(order) - 0.2))
    ax.set_xlabel(f"mean {family.unit_words.parameter} of the group")
    if family.limits == (0.0, np.inf) and low.min() > 0 and mean.max() > _DECADES * mean.min():
        ax.set(xscale="log", xlim=(0.7 * low.min(), 1.4 * high.max()))
    line = ax.axvline(middle, color=INK, linewidth=0.8, linestyle=_DASH, zorder=1.5)
    line.set_label("a typical group")
    color = method_color(fit.method.name.removeprefix("group_"))
    handles = [draw_rows(ax, low, mean, high, color, f"mean and {100 * level:g}% interval")]
    handles += [*draw_raw(ax, raw, "all its units together"), line]
    if few:
        named_rows(ax, names, 24)
    else:
        ends = np.concatenate([np.arange(_ENDS), np.arange(len(order) - _ENDS, len(order))])
        beside_rows(ax, ends, high[ends], names[ends].tolist())
        ax.set_yticks([])
        ax.set_ylabel(f"{len(order):,} groups in order of their means")
    outside_legend(ax, 2, handles)
    return ax
