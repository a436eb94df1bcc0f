"""What all figures share: colors, words and axes, kept apart from matplotlib's global state."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D

from hierjax.fitting import Fit
from hierjax.table import Table

__all__ = [
    "INK",
    "MUTED",
    "RAW",
    "MethodStyle",
    "is_complete_pooling",
    "leading",
    "method_color",
    "method_label",
    "method_styles",
    "named",
    "new_axes",
    "new_panels",
    "outside_legend",
    "point_estimate",
    "point_key",
    "population_mean",
    "reference",
    "rows_shown",
    "styled",
    "styles_of",
    "unit_table",
]

INK, MUTED, RAW = "#222222", "#666666", "#c9c9c9"

# Okabe & Ito's palette, which people with any color blindness can tell apart.
_COLORS = {
    "quadrature": "#0072B2",
    "type2_mle": "#D55E00",
    "moments": "#CC79A7",
    "nuts": "#009E73",
    "gibbs": "#E69F00",
    "collapsed_gibbs": "#56B4E9",
    "no_pooling": "#9a9a9a",
    "complete_pooling": "#5a5a5a",
}
_OTHER_COLORS = ("#7F5539", "#5E4FA2", "#8A8D00")
_LABELS = {
    "quadrature": "Quadrature",
    "type2_mle": "Type-2 MLE",
    "moments": "Moments",
    "nuts": "NUTS",
    "gibbs": "Gibbs",
    "collapsed_gibbs": "Collapsed Gibbs",
    "no_pooling": "No pooling",
    "complete_pooling": "Complete pooling",
}
_CORRECTED = {
    f"{name}_corrected": f"{_LABELS[name]}, corrected" for name in ("moments", "type2_mle")
}
_DASHES = ((0, ()), (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)))
_MARKERS = ("o", "s", "D", "^", "v", "P", "X")

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.limits": (-3, 6),
    "axes.formatter.use_mathtext": True,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "butt",
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "mathtext.fontset": "dejavusans",
}

#: Runs a function under the figures' style, and leaves matplotlib's own settings as they were.
styled = matplotlib.rc_context(_STYLE)


class MethodStyle(NamedTuple):
    """How one fit is drawn in every figure.

    Attributes:
        label: What its legend says.
        color: The method's color.
        dash: Line style, which tells overlapping fits apart.
        marker: Marker, likewise.
    """

    label: str
    color: str
    dash: tuple
    marker: str


def named(fits: Fit | Mapping[str, Fit]) -> dict[str, Fit]:
    """Fits by name, of which only those that found something are kept."""
    given = dict(fits) if isinstance(fits, Mapping) else {fits.method.name: fits}
    found = {
        name: fit
        for name, fit in given.items()
        if fit.status != "failed" and not np.isnan(fit.posterior.points).any()
    }
    if not found:
        raise ValueError(f"fits: expected at least one that found something, found {list(given)}")
    return found


def method_color(name: str) -> str:
    """The color of a method in every figure; a dark one if the name is no method's."""
    return _COLORS.get(name, INK)


def method_label(name: str) -> str:
    """What figures and reports call a method; the name itself if it is no method's."""
    return _LABELS.get(name) or _CORRECTED.get(name, name)


def method_styles(fits: Mapping[str, Fit]) -> dict[str, MethodStyle]:
    """One color a method, whatever else is drawn; one dash and marker a fit.

    Args:
        fits: Fits by name.

    Returns:
        A style for every name.
    """
    return styles_of({name: fit.method.name for name, fit in fits.items()})


def styles_of(methods: Mapping[str, str]) -> dict[str, MethodStyle]:
    """As `method_styles`, of fits of which only the methods are known.

    Args:
        methods: Names of methods by the names of fits.

    Returns:
        A style for every fit.
    """
    order = list(_COLORS)
    others = [method for method in dict.fromkeys(methods.values()) if method not in _COLORS]
    colors = {
        **_COLORS,
        **{name: _OTHER_COLORS[i % len(_OTHER_COLORS)] for i, name in enumerate(others)},
    }
    order += others
    styles: dict[str, MethodStyle] = {}
    for name, method in methods.items():
        label = _LABELS.get(method, name) if name == method else _CORRECTED.get(name, name)
        # The n-th fit of a method takes the n-th dash after the method's own.
        shift = order.index(method) + [s.color for s in styles.values()].count(colors[method])
        styles[name] = MethodStyle(
            label, colors[method], _DASHES[shift % len(_DASHES)], _MARKERS[shift % len(_MARKERS)]
        )
    return styles


def reference(fits: Mapping[str, Fit]) -> str | None:
    """Name of the fit that stands for full Bayes: quadrature's before any sampler's."""
    averaging = [name for name, fit in fits.items() if fit.posterior.weights.size > 1]
    exact = [name for name in averaging if fits[name].draws is None]
    return next(iter(exact + averaging), None)


def point_estimate(fits: Mapping[str, Fit]) -> str | None:
    """Name of the fit that stands for empirical Bayes: Type-2 MLE's before any other's."""
    single = [name for name, fit in fits.items() if fit.posterior.weights.size == 1]
    likely = [name for name in single if fits[name].method.name == "type2_mle"]
    return next(iter(likely + single), None)


def leading(fits: Mapping[str, Fit]) -> str:
    """Name of the fit whose answers stand for all: full Bayes, or else a point estimate."""
    name = reference(fits) or point_estimate(fits)
    if name is None:
        raise ValueError("fits: expected at least one, found none")
    return name


def is_complete_pooling(fit: Fit) -> bool:
    """Whether the fit says that all units have one rate: an infinite concentration."""
    return bool(np.isposinf(fit.posterior.points[..., 1]).any())


def population_mean(fit: Fit) -> float:
    """Posterior mean of the population's mean."""
    kept = fit.posterior.weights > 0
    points = np.asarray(fit.posterior.points[kept][:, 0], np.float64)
    means = fit.model.family.on_host.parameter_at(points)
    return float(np.sum(fit.posterior.weights[kept] * means))


def told(fit: Fit) -> np.ndarray:
    """How much every unit tells: its trials, exposure, or 1 / error^2."""
    return np.asarray(fit.model.family.on_host.statistic(*fit.counts.pair)[1])


def pooled_parameter(fit: Fit) -> float:
    """The rate, or effect, that all units together have."""
    statistic, weight = fit.model.family.on_host.statistic(*fit.counts.pair)
    return float(statistic.sum() / weight.sum())


def unit_table(name: str, fit: Fit, level: float, estimates: Mapping[str, Table] | None) -> Table:
    """Estimates of a fit's units: those known already, or else computed."""
    return estimates[name] if estimates and name in estimates else fit.unit_table(level)


def rows_shown(rows: int, most: int) -> np.ndarray:
    """Positions of at most `most` rows, evenly spaced from the first to the last."""
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).round().astype(int))


@styled
def new_panels(
    rows: int, columns: int, width: float | int, height: float | int, share: bool = False
) -> np.ndarray:
    """Axes of a new figure of so many inches, which no global list of figures knows of."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share)


def new_axes(ax: Axes | None, width: float | int = 6.0, height: float | int = 4.0) -> Axes:
    """The axes given, or those of a new figure."""
    return new_panels(1, 1, width, height)[0, 0] if ax is None else ax


def point_key(
    label: str, color: str, size: float | int = 7, marker: str = "o", **look: Any
) -> Line2D:
    """What a legend shows for points: a marker without transparency, of a size of its own."""
    given: dict[str, Any] = {
        "linestyle": "",
        "color": color,
        "marker": marker,
        "markersize": size,
        "label": label,
    }
    return Line2D([], [], **(given | look))


def outside_legend(
    ax: Axes,
    columns: int = 3,
    handles: Iterable[Artist | tuple[Artist, ...]] | None = None,
    title: str | None = None,
) -> None:
    """A legend above the axes, where it hides no data.

    A tuple of handles is one entry, which shows them side by side; its label is the first's.
    """
    found: list[Any] = ax.get_legend_handles_labels()[0] if handles is None else list(handles)
    labels = [(each[0] if isinstance(each, tuple) else each).get_label() for each in found]
    # Numbers far from one are drawn with a power of ten above the axis, which needs room.
    largest = max(map(abs, ax.get_ylim()))
    legend = ax.legend(
        handles=found,
        labels=labels,
        handler_map={tuple: HandlerTuple(ndivide=None, pad=0.3)},
        title=title,
        title_fontproperties={"weight": "bold", "size": 11},
        alignment="left",
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=min(columns, max(len(found), 1)),
        borderaxespad=0.3 if 1e-3 <= largest < 1e6 else 1.7,
        columnspacing=1.4,
        handlelength=2.2 if any(isinstance(each, tuple) for each in found) else 1.8,
    )
    # A unit's label is data: a dollar sign in it begins no formula.
    legend.get_title().set_parse_math(False)
