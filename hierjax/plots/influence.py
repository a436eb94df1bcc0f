"""Influence of units on the hyperparameters."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from hierjax.families.hyperparameters import Hyperparameters
from hierjax.fitting import Fit
from hierjax.plots.labels import named_rows, rows_room, short
from hierjax.plots.room import SMALLEST, axes_inches, shortened, width_of
from hierjax.plots.style import INK, MUTED, method_styles, new_axes, rows_shown, styled
from hierjax.table import Table

__all__ = ["influence"]

_MOST_POINTS = 2000
# Points of names in two lines, and of those that must not be longer than one.
_TWO_LINES = 7.0


@styled
def influence(
    fit: Fit,
    ax: Axes | None = None,
    *,
    answer: str = "log_concentration",
    most: int = 12,
    table: Table | None = None,
) -> Axes:
    """The units that move an answer most: its change, to first order, if each were left out.

    Units of equal counts move it equally and share a row.

    Args:
        fit: By quadrature, a sampler or Type-2 maximum likelihood.
        ax: Where to draw; a new figure by default.
        answer: Column of `Fit.influence`, by default the log concentration, which says how much
            units differ.
        most: How many rows are named; all other units share the lowest one.
        table: What `Fit.influence` gave, where it is known already.

    Returns:
        The axes.

    Raises:
        ValueError: If there is no such column.

    Example:
        >>> import hierjax as hj
        >>> influence(hj.fit(hj.datasets.rat_tumors())).get_title(loc="left")
        'log concentration'
    """
    table = fit.influence() if table is None else table
    family = fit.model.family
    known = [name for name in table if name not in ("label", *family.columns)]
    if answer not in known:
        raise ValueError(f"answer: expected one of {', '.join(known)}, found {answer!r}")
    # Units of equal counts move it equally, and share a row.
    pairs = [table[name] for name in family.columns]
    _, places = np.unique(pairs, axis=1, return_inverse=True)
    groups = [np.flatnonzero(places.ravel() == j) for j in _largest(table, answer, places, most)]
    color = method_styles({fit.method.name: fit})[fit.method.name].color
    others = np.setdiff1d(np.arange(len(table)), np.concatenate(groups))
    change = -np.nan_to_num(table[answer])
    groups.sort(key=lambda group: change[group[0]])
    ends = np.array([change[group[0]] for group in groups])
    rows = np.arange(len(groups)) + (1 if len(others) else 0)
    names = [_name(table, family.columns, group) for group in groups]
    ax = new_axes(ax, 6.4, max(1.0 + 0.24 * (len(groups) + 1), 2.2))
    ax.hlines(rows, 0, ends, color=color, linewidth=1.6, alpha=0.7)
    ax.plot(ends, rows, "o", color=color, markersize=5.5, markeredgewidth=0)
    if len(others):
        shown = np.sort(change[others])[rows_shown(len(others), _MOST_POINTS)]
        alpha = float(np.clip(20 / len(shown), 0.06, 0.6))
        look: dict[str, Any] = {"markersize": 8, "markeredgewidth": 1.0, "alpha": alpha}
        ax.plot(shown, np.zeros(len(shown)), "|", color=MUTED, **look)
        names = [(f"{len(others):,} other{'s' if len(others) > 1 else ''}", ""), *names]
    _write_names(ax, names)
    ax.axvline(0.0, color=INK, linewidth=0.9, zorder=1.5)
    ax.set_ylim(-0.7, len(names) - 0.3)
    title = _words(family.hyperparameters).get(answer, answer)
    ax.set_title(title, fontsize=10, parse_math=False)
    ax.set_xlabel("change if left out")
    ax.margins(x=0.06)
    return ax


def _largest(table: Table, answer: str, places: np.ndarray, most: int) -> list[int]:
    """The pairs of counts, by their places, whose units move the answer most."""
    # An answer that does not move at all, as under complete pooling, has no derivative.
    size = np.abs(np.nan_to_num(table[answer]))
    ranked = places.ravel()[np.argsort(-size, kind="stable")].tolist()
    return list(dict.fromkeys(ranked))[:most]


def _words(reported: Hyperparameters) -> dict[str, str]:
    plain = {name: name.replace("_", " ") for name in (*reported.answers, "log_evidence")}
    return plain | {
        parameter.name: parameter.words for parameter in reported.each if parameter.words
    }


def _name(table: Table, columns: tuple[str, str], group: np.ndarray) -> tuple[str, str]:
    pair = (table[name][group[0]].item() for name in columns)
    text = "/".join(f"{x:,}" if isinstance(x, int) else f"{x:,.4g}" for x in pair)
    if len(group) > 1:
        return f"{len(group):,} units, each", text
    return f"{short(str(table['label'][group[0]]))},", text


def _write_names(ax: Axes, names: list[tuple[str, str]]) -> None:
    texts = _joined(ax, names)
    named_rows(ax, np.array(texts), most=40)
    if any("\n" in text for text in texts):
        for label in ax.get_yticklabels():
            label.set(fontsize=min(label.get_fontsize(), _TWO_LINES), linespacing=1.15)


def _joined(ax: Axes, names: list[tuple[str, str]]) -> list[str]:
    """Names with their counts: in a line, or two if it is too long, or with less of the name."""
    room = rows_room(ax)
    lines = [" ".join(filter(None, name)) for name in names]
    names = [(name.removesuffix(","), counts) for name, counts in names]
    long = [width_of(line, _TWO_LINES) > 0.98 * room for line in lines]
    if not any(long):
        return lines
    if axes_inches(ax)[1] >= 2.5 * _TWO_LINES / 72 * len(names):
        rows = zip(names, lines, long, strict=True)
        return ["\n".join(filter(None, name)) if cut else line for name, line, cut in rows]
    kept = []
    for name, counts in names:
        tail = f", {counts}" if counts else ""
        kept.append(shortened(name, 0.97 * room - width_of(tail, SMALLEST), SMALLEST) + tail)
    return kept
