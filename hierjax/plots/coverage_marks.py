"""What figures of a coverage study share: methods as rows, or as lines, with their errors."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import Formatter, FuncFormatter, MaxNLocator, NullFormatter

from hierjax.plots.labels import named_rows, short
from hierjax.plots.room import axes_inches, width_of
from hierjax.plots.style import RAW, MethodStyle, outside_legend, styles_of

__all__ = ["BASELINES", "Marks", "limits", "lines", "numbers_axis", "rows", "shares_axis"]

#: What methods are compared with; they may lie so far away that a figure leaves them out.
BASELINES = ("no_pooling", "complete_pooling")
# Monte Carlo standard errors to either side: 95%.
_ERRORS = 1.96
_MOST_BINS = 12
# Letters of a row's name.
_LONGEST = 34
# A baseline this many times the others' range away from them is left out.
_FAR = 1.25


class _Percent(Formatter):
    """Shares in percent, with no more digits than they need."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{100 * x:.4g}%"


class Marks(NamedTuple):
    """Values of methods at places: rows or numbers.

    Attributes:
        methods: Names, in order.
        values: One a method and place; NaN where there is none.
        errors: Monte Carlo standard errors likewise; NaN where not known.
        styles: Of every method.
    """

    methods: list[str]
    values: Float[np.ndarray, "rows columns"]
    errors: Float[np.ndarray, "rows columns"]
    styles: dict[str, MethodStyle]

    @classmethod
    def of(
        cls,
        table: Mapping[str, np.ndarray],
        column: str,
        places: Sequence[Any] | None,
        by: str = "",
        kinds: Mapping[str, str] | None = None,
    ) -> "Marks":
        """Values of a column of a long table.

        Args:
            table: With a column `method`.
            column: Of values; errors are in the one that ends in `_mcse`, if there is one.
            places: Values of the column `by`; without them there is one place.
            by: A column.
            kinds: Methods by the names in the table, where these are others.

        Returns:
            Values in the order of places.
        """
        methods = list(dict.fromkeys(table["method"].tolist()))
        at = [0] * len(table["method"]) if places is None else table[by].tolist()
        order = {place: i for i, place in enumerate([0] if places is None else places)}
        values, errors = (np.full((len(methods), len(order)), np.nan) for _ in range(2))
        errors_of = f"{column}_mcse"
        for row, (method, place) in enumerate(zip(table["method"].tolist(), at, strict=True)):
            if place in order:
                cell = methods.index(method), order[place]
                values[cell] = table[column][row]
                errors[cell] = table[errors_of][row] if errors_of in table else np.nan
        styles = styles_of({name: (kinds or {}).get(name, name) for name in methods})
        return cls(methods, values, errors, styles)

    def look(self, method: str) -> dict[str, Any]:
        """Of a method's markers; those of a second fit of one method are hollow."""
        style, earlier = self.styles[method], self.methods[: self.methods.index(method)]
        again = any(self.styles[name].color == style.color for name in earlier)
        return {
            "color": style.color,
            "marker": style.marker,
            "markersize": 6.0,
            "markerfacecolor": "white" if again else style.color,
            "markeredgewidth": 1.4,
        }

    def key(self, method: str, note: str = "", line: bool = False) -> Line2D:
        """What a legend shows for a method."""
        style = self.styles[method]
        dash: Any = style.dash if line else ""
        return Line2D([], [], linestyle=dash, label=style.label + note, **self.look(method))


def limits(marks: Marks, *shown: float) -> tuple[float, float]:
    """Where an axis begins and ends so that methods can be told apart.

    Args:
        marks: The values; a baseline of which some lie far from all others is left outside.
        shown: Values that must be inside.

    Returns:
        Both ends.
    """
    reach = _ERRORS * np.nan_to_num(marks.errors)
    ends = np.hstack([marks.values - reach, marks.values + reach])
    own = np.array([name not in BASELINES for name in marks.methods])
    inner = np.append(ends[own] if own.any() else ends, shown)
    low, high = float(np.nanmin(inner)), float(np.nanmax(inner))
    span = high - low or 0.1 * abs(high) or 0.1
    near = ((ends >= low - _FAR * span) & (ends <= high + _FAR * span)) | np.isnan(ends)
    kept = np.append(ends[own | near.all(axis=1)], inner)
    low, high = float(np.nanmin(kept)), float(np.nanmax(kept))
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 0.05
    return low - margin, high + margin


def rows(ax: Axes, marks: Marks, places: Sequence[str], *more: Any) -> None:
    """Places as rows from the top, methods in each one below the other, within the axes' limits.

    What lies outside is told at the edge. A legend names the methods, and what more there is,
    where there are several places; otherwise rows are the methods.
    """
    single = len(places) == 1
    low, high = ax.get_xlim()
    gap = 1.0 if single else 0.8 / len(marks.methods)
    count = len(marks.methods) if single else len(places)
    for i, name in enumerate(marks.methods):
        look, centers = marks.look(name), np.arange(len(places)) * 1.0
        shift = i if single else (i - 0.5 * (len(marks.methods) - 1)) * gap
        for y, value, error in zip(
            count - 1 - centers - shift, marks.values[i], marks.errors[i], strict=True
        ):
            if not np.isfinite(value):
                continue
            if low <= value <= high:
                reach = None if np.isnan(error) else _ERRORS * error
                ax.errorbar([value], [y], xerr=reach, elinewidth=1.6, linestyle="", **look)
            else:
                _beyond(ax, float(y), float(value), bool(value < low), look["color"])
    labels = [marks.styles[name].label for name in marks.methods] if single else list(places)
    ax.set_ylim(-0.6, count - 0.4)
    named_rows(ax, np.array(labels[::-1]), most=_LONGEST)
    if not single:
        for between in np.arange(count - 1) + 0.5:
            ax.axhline(between, color=RAW, linewidth=0.6, zorder=0.5)
        names = max(width_of(short(label, _LONGEST), 8.5) for label in labels)
        _legend(ax, [*(marks.key(name) for name in marks.methods), *more], names)


def _beyond(ax: Axes, y: float, value: float, is_low: bool, color: str) -> None:
    """An arrow at the edge, and the value that lies beyond it."""
    shift, side = (4, "left") if is_low else (-4, "right")
    text = ax.xaxis.get_major_formatter()
    told = f"{100 * value:.3g}%" if isinstance(text, _Percent) else f"{value:.3g}"
    ax.annotate(
        f"◂ {told}" if is_low else f"{told} ▸",
        (0.0 if is_low else 1.0, y),
        (shift, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha=side,
        va="center",
        fontsize=9,
        color=color,
    )


def lines(ax: Axes, marks: Marks, x: Float[np.ndarray, "columns"]) -> None:
    """Methods as lines along an axis of numbers, within the vertical axis's limits.

    A method that is not all inside is told of in the legend. Where there are few places,
    methods are moved apart a little, so that none hides another's error.
    """
    low, high = ax.get_ylim()
    log = ax.get_xscale() == "log"
    at = np.log(x) if log else x
    # Of few places far from each other, methods would be moved out of the axes.
    gap = min(float(np.diff(at).min()), float(np.ptp(at)) / 6) if len(x) > 1 else 1.0
    step = 0.3 * gap / max(len(marks.methods), 1) if len(x) <= _MOST_BINS else 0.0
    handles = []
    for i, name in enumerate(marks.methods):
        values, errors = marks.values[i], marks.errors[i]
        if not np.isfinite(values).any():
            continue
        if np.nanmin(values) < low or np.nanmax(values) > high:
            handles.append(marks.key(name, _outside(values, ax), line=True))
            continue
        moved = at + (i - 0.5 * (len(marks.methods) - 1)) * step
        look = marks.look(name)
        ax.errorbar(
            np.exp(moved) if log else moved,
            values,
            yerr=None if np.isnan(errors).all() else _ERRORS * np.nan_to_num(errors),
            elinewidth=1.2,
            linestyle=marks.styles[name].dash,
            linewidth=1.3,
            **{**look, "markersize": 5.0},
        )
        handles.append(marks.key(name, line=True))
    _legend(ax, handles, 0.7)


def _legend(ax: Axes, handles: list[Any], left: float) -> None:
    """A legend in as many columns as there is room for, the axes being so far from the left."""
    figure, spec = ax.get_figure(root=True), ax.get_subplotspec()
    assert figure is not None
    if figure.get_layout_engine() is None:
        room = axes_inches(ax)[0]
    else:
        share = 1.0 if spec is None else len(spec.colspan) / spec.get_gridspec().ncols
        room = share * figure.get_size_inches()[0] - left - 0.2
    widths = np.array([0.62 + width_of(handle.get_label(), 9.5) for handle in handles])
    for columns in (3, 2, 1):
        lines_each = -(-len(widths) // columns)
        starts = np.arange(0, len(widths), lines_each)
        if np.maximum.reduceat(widths, starts).sum() <= room:
            break
    outside_legend(ax, columns, handles)


def _outside(values: Float[np.ndarray, "columns"], ax: Axes) -> str:
    """Which values a line has that is left out."""
    ends = sorted({float(np.nanmin(values)), float(np.nanmax(values))})
    is_share = isinstance(ax.yaxis.get_major_formatter(), _Percent)
    told = [f"{100 * end:.0f}" if is_share else f"{end:.2g}" for end in ends]
    return f" ({' to '.join(dict.fromkeys(told))}{'%' if is_share else ''}, not shown)"


def shares_axis(axis: Any) -> None:
    """Numbers along an axis of shares, in percent."""
    axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(_Percent())


def numbers_axis(ax: Axes, x: Float[np.ndarray, "columns"]) -> None:
    """The horizontal axis for numbers above 0, logarithmic where they differ much."""
    if x.min() > 0 and x.max() > 8 * x.min():
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        if len(x) <= _MOST_BINS:
            ax.set_xticks(x)
            ax.set_xticks([], minor=True)
        ax.set_xlim(x.min() / 1.25, x.max() * 1.25)
    else:
        margin = 0.08 * float(np.ptp(x)) or 0.5
        ax.set_xlim(x.min() - margin, x.max() + margin)
        ax.xaxis.set_major_locator(MaxNLocator(7, integer=True))
