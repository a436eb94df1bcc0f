"""Contrasts as a forest: differences of rates with their intervals."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from hierjax.fitting import Fit
from hierjax.plots.caterpillar import MOST_BARS, MOST_NAMED, draw_rows
from hierjax.plots.labels import beside_rows, named_rows, short
from hierjax.plots.room import column_right, width_of
from hierjax.plots.style import INK, MUTED, method_styles, new_axes, outside_legend, styled
from hierjax.table import Table

__all__ = ["contrasts_forest"]

_ENDS = 3


@styled
def contrasts_forest(
    fit: Fit,
    ax: Axes | None = None,
    *,
    control: str | None = None,
    level: float = 0.9,
    table: Table | None = None,
) -> Axes:
    """Differences of rates, of all units against a control or of all pairs.

    One row a difference, in order of posterior means; those whose interval excludes zero are
    drawn stronger. Up to 60 rows are named, with P(greater) at the right. Of more, the three
    highest and the three lowest are, the one nearest zero, and on either side the one nearest zero
    of those that exclude it. More than 2,000 are drawn as a band.

    Args:
        fit: A fit that found something.
        ax: Where to draw; a new figure by default.
        control: Label of the unit that the others are compared with; None for all pairs.
        level: Probability of the intervals.
        table: What `Fit.contrasts` gave, where it is known already.

    Returns:
        The axes.

    Example:
        >>> import hierjax as hj
        >>> rats = hj.datasets.rat_tumors()
        >>> few = hj.Counts(rats.successes[60:], rats.trials[60:], rats.labels[60:])
        >>> len(contrasts_forest(hj.fit(few), control="70").get_yticks())
        9
    """
    table = fit.contrasts(control=control, level=level) if table is None else table
    color = method_styles({fit.method.name: fit})[fit.method.name].color
    order = np.argsort(table["difference_mean"], kind="stable")
    names = ("difference_low", "difference_mean", "difference_high", "p_greater")
    low, mean, high, greater = (table[name][order] for name in names)
    labels, controls = table["label"][order], table["control"][order]
    single = len(set(controls.tolist())) == 1
    few = len(order) <= MOST_NAMED
    ax = new_axes(ax, 6.4, max(1.4 + 0.15 * len(order), 2.4) if few else 5.0)
    ax.set_ylim(-0.8, len(order) - 0.2)
    text = f"{100 * level:g}% interval"
    if len(order) > MOST_BARS:
        handle: Any = draw_rows(ax, low, mean, high, color, text)
        handles = [handle]
    else:
        handles = _draw_bars(ax, low, mean, high, color, text)
    zero = ax.axvline(0.0, color=INK, linewidth=0.9, linestyle=(0, (5, 3)), zorder=1.5)
    zero.set_label("no difference")
    word = fit.model.family.unit_words.parameter
    what = f"{word} less that of {short(str(controls[0]))}" if single else f"difference of {word}s"
    ax.set_xlabel(what, parse_math=False)
    if few:
        named_rows(ax, np.array(_names(labels, controls, single)))
        _write_probabilities(ax, greater)
    else:
        rows = _telling(low, mean, high)
        beside_rows(ax, rows, high[rows], _names(labels[rows], controls[rows], single))
        ax.set_yticks([])
        unit = "units" if single else "pairs"
        ax.set_ylabel(f"{len(order):,} {unit} in order of the difference")
    outside_legend(ax, 3, [*handles, zero])
    return ax


def _names(labels: np.ndarray, controls: np.ndarray, single: bool) -> list[str]:
    pairs = zip(labels.tolist(), controls.tolist(), strict=True)
    return [a if single else f"{short(a, 7)} − {short(b, 7)}" for a, b in pairs]  # noqa: RUF001


def _telling(
    low: Float[np.ndarray, "rows"], mean: Float[np.ndarray, "rows"], high: Float[np.ndarray, "rows"]
) -> Int[np.ndarray, "named"]:
    """Rows to name among many, ascending: the ends, the nearest to zero, and the nearly zero."""
    count = len(mean)
    below, above = np.flatnonzero(high < 0)[-1:], np.flatnonzero(low > 0)[:1]
    ends = [*range(_ENDS), *range(count - _ENDS, count)]
    return np.unique([*ends, int(np.argmin(np.abs(mean))), *below, *above])


def _draw_bars(
    ax: Axes, low: np.ndarray, mean: np.ndarray, high: np.ndarray, color: str, text: str
) -> list[Line2D]:
    rows = np.arange(len(low))
    width, size = np.clip([90 / len(rows), 220 / len(rows)], [0.4, 1.4], [2.2, 5.0]).tolist()
    sure = (low > 0) | (high < 0)
    handles: list[Line2D] = []
    for kept, paint, label in ((sure, color, "zero excluded"), (~sure, MUTED, "zero included")):
        ax.hlines(rows[kept], low[kept], high[kept], color=paint, linewidth=width, alpha=0.6)
        ax.plot(mean[kept], rows[kept], "o", color=paint, markersize=size, markeredgewidth=0)
        if kept.any():
            line = Line2D([], [], color=paint, marker="o", markersize=4, linewidth=1.6)
            line.set_label(label if handles else f"{text}, {label}")
            handles.append(line)
    return handles


def _write_probabilities(ax: Axes, greater: np.ndarray) -> None:
    header, size = "P(greater)", 8.5 if len(greater) <= 40 else 7.5
    inches = width_of(header, size)
    look: dict[str, Any] = {
        "xycoords": ax.get_yaxis_transform(),
        "xytext": (72 * inches, 0),
        "textcoords": "offset points",
        "fontsize": size,
        "ha": "right",
        "va": "center",
        "annotation_clip": False,
    }
    begin = column_right(ax, inches).begin
    for row, text in enumerate([*map(probability, greater.tolist()), header]):
        ax.annotate(text, (begin, row), **look)
    ax.set_ylim(top=len(greater) + 0.4)


def probability(value: float) -> str:
    """A probability to three digits, and never 0 or 1 unless it is.

    Example:
        >>> probability(0.91234), probability(0.99999), probability(1e-9)
        ('0.912', '>0.999', '<0.001')
    """
    if 0 < value < 0.001:
        return "<0.001"
    if 0.999 < value < 1:
        return ">0.999"
    return f"{value:.3f}"
