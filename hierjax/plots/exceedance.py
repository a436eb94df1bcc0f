"""Exceedance curve: how many units to select, and how many of them would be wrong."""

from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from hierjax.fitting import Fit
from hierjax.plots.style import (
    INK,
    MUTED,
    RAW,
    method_styles,
    new_axes,
    outside_legend,
    rows_shown,
    styled,
)
from hierjax.table import Table

__all__ = ["exceedance_curve", "is_above"]

_MOST_POINTS = 4000


@styled
def exceedance_curve(
    fit: Fit,
    ax: Axes | None = None,
    *,
    threshold: float | None = None,
    fdr: float | None = 0.05,
    direction: Literal["above", "below"] = "above",
    table: Table | None = None,
) -> Axes:
    """What longer lists of units cost: the share of wrong ones that each length must expect.

    Units stand in order of certainty. The thin curve is each unit's own posterior probability of
    being on the wrong side of the threshold; the thick one is the mean over all units up to
    there, the expected share of false discoveries in a list of that length. The list chosen is
    the longest whose share stays within `fdr`.

    Args:
        fit: A fit that found something.
        ax: Where to draw; a new figure by default.
        threshold: Rate that units are to exceed; needed unless `table` is given.
        fdr: Share of false discoveries allowed; None, beside a table, draws no line for it.
        direction: `above` or `below` the threshold.
        table: What `Fit.exceedance` gave, where it is known already; it then says the threshold
            and the direction.

    Returns:
        The axes. Where the list is short among many units the horizontal axis is logarithmic.

    Raises:
        ValueError: If there is no table, and no threshold or no share.

    Example:
        >>> import hierjax as hj
        >>> exceedance_curve(hj.fit(hj.datasets.rat_tumors()), threshold=0.2).get_xlabel()
        'units on the list, the most certain first'
    """
    if table is None:
        if threshold is None or fdr is None:
            name = "threshold" if threshold is None else "fdr"
            raise ValueError(f"{name}: expected a number inside (0, 1), found None")
        table = fit.exceedance(threshold, fdr=fdr, direction=direction)
    color = method_styles({fit.method.name: fit})[fit.method.name].color
    wrong = np.sort(table["pep"], kind="stable")
    share = np.cumsum(wrong) / np.arange(1, len(wrong) + 1)
    count = int(table["selected"].sum())
    ax = new_axes(ax, 6.4, 4.0)
    length = np.arange(1, len(wrong) + 1)
    if len(wrong) > 100 and count < len(wrong) / 10:
        ax.set_xscale("log")
        shown = np.geomspace(1, len(wrong), _MOST_POINTS).round().astype(int) - 1
        shown = np.unique(shown)
    else:
        shown = rows_shown(len(wrong), _MOST_POINTS)
    # The list's own end is always drawn.
    shown = np.union1d(shown, [max(count - 1, 0)])
    _draw_curves(ax, length[shown], wrong[shown], share[shown], count, color)
    if fdr is not None:
        ax.axhline(
            fdr, color=INK, linewidth=0.9, linestyle=(0, (5, 3)), label=f"allowed: {fdr:.3g}"
        )
    _say(ax, table, wrong, fdr or 0.0, color)
    ax.set(xlabel="units on the list, the most certain first", ylabel="probability of being wrong")
    ax.set_ylim(0, 1.02)
    if ax.get_xscale() == "log":
        ax.set_xlim(0.9, 1.05 * len(wrong))
    else:
        ax.set_xlim(0.5, len(wrong) + 0.5)
        ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    outside_legend(ax, 3)
    return ax


def _say(ax: Axes, table: Table, wrong: np.ndarray, fdr: float, color: str) -> None:
    """Marks the list's end, and says in words what is on it."""
    count = int(table["selected"].sum())
    cut = float(table["threshold"][0])
    side = "above" if is_above(table) else "below"
    text = f"{count:,} of {len(wrong):,} units selected as {side} {cut:.4g}"
    if count:
        expected = float(wrong[:count].sum())
        text += f"\nexpected wrong among them: {expected:.2g} ({100 * expected / count:.2g}%)"
        ax.plot([count], [expected / count], "o", color=color, markersize=7, zorder=3)
        ax.vlines(count, 0, expected / count, color=color, linewidth=1.0)
    # Both curves rise, so that one of these corners is free.
    low = wrong.mean() > 0.4 + fdr and ax.get_xscale() == "linear"
    look: dict[str, Any] = {"fontsize": 9.5, "linespacing": 1.5, "textcoords": "offset points"}
    frame = ax.get_yaxis_transform()
    if low:
        ax.annotate(text, (0.97, fdr), (0, 5), xycoords=frame, ha="right", va="bottom", **look)
    else:
        ax.annotate(text, (0.03, 1.0), (0, -2), xycoords=frame, ha="left", va="top", **look)


def _draw_curves(
    ax: Axes, length: np.ndarray, wrong: np.ndarray, share: np.ndarray, count: int, color: str
) -> None:
    single: dict[str, Any] = {"marker": "o", "markersize": 3.0} if len(length) <= 100 else {}
    ax.plot(length, wrong, color=MUTED, linewidth=0.9, label="each unit alone", **single)
    ax.plot(length, share, color=color, linewidth=2.2, label="whole list up to it", **single)
    inside = length <= count
    ax.fill_between(length[inside], 0, share[inside], color=color, alpha=0.25, linewidth=0)
    if count:
        ax.axvspan(0, count, color=RAW, alpha=0.25, linewidth=0, zorder=0.4)


def is_above(table: Table) -> bool:
    """Whether a table of `Fit.exceedance` is about rates above the threshold."""
    above = np.abs(table["pep"] - (1 - table["probability_above"]))
    return float(above.max(initial=0.0)) <= 1e-6
