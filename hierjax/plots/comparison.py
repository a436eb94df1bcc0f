"""Methods on every device and in every precision, side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from hierjax.plots.style import (
    INK,
    MUTED,
    method_color,
    method_label,
    new_axes,
    new_panels,
    outside_legend,
    point_key,
    styled,
)
from hierjax.table import Table

__all__ = ["comparison", "comparison_panels"]

#: Columns that have figures, and what their axes say.
_WORDS = {
    "data_sets_per_second": "data sets a second",
    "draws_per_second": "draws a second",
    "ess_per_second": "effective draws a second",
    "run_seconds": "seconds of a run",
    "compile_seconds": "seconds of compiling",
    "peak_megabytes": "peak memory of the process, MB",
    "device_megabytes": "peak memory of the accelerator, MB",
    "largest_difference": "largest difference, posterior sd",
}
_PANELS = ("data_sets_per_second", "ess_per_second", "compile_seconds", "peak_megabytes")
_MARKERS = {"cpu": "o", "gpu": "s"}
# Inches of a line, and lines between methods.
_LINE, _BETWEEN = 0.2, 0.6
# Over fewer decades than these, ticks are at 1, 2 and 5.
_FEW_DECADES = 1.5


@styled
def comparison(
    table: Table,
    column: str = "data_sets_per_second",
    ax: Axes | None = None,
    *,
    colors: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    legend: bool = True,
) -> Axes:
    """One number of every method on every device in every precision, on a logarithmic axis.

    Round markers are the CPU's and square ones the GPU's; filled ones are in double precision.

    Args:
        table: What `compare` gave.
        column: Which number.
        ax: Where to draw; a new figure by default.
        colors: Of methods by name; by default the method's, where its name is known.
        labels: What to call methods, likewise.
        legend: Whether to say what the markers mean.

    Returns:
        The axes. Numbers that there are not, or that are zero, have no marker.

    Raises:
        ValueError: If the column has no figure.

    Example:
        >>> row = {"device": ["cpu"], "precision": ["float64"], "method": ["gibbs"]}
        >>> comparison(Table({**row, "ess_per_second": [2e5]}), "ess_per_second").get_xlabel()
        'effective draws a second'
    """
    if column not in _WORDS:
        raise ValueError(f"column: expected one of {', '.join(_WORDS)}, found {column!r}")
    methods = list(dict.fromkeys(table["method"].tolist()))
    kinds = _kinds(table)
    each = len(kinds) + _BETWEEN
    ax = new_axes(ax, 6.0, _height(len(methods), len(kinds)))
    shown = []
    for row in table.rows():
        value = row[column]
        if not _is_shown(value):
            continue
        name, kind = row["method"], (row["device"], row["precision"])
        y = methods.index(name) * each + kinds.index(kind)
        color = (colors or {}).get(name) or method_color(name)
        ax.plot(value, y, linestyle="", markersize=6, **_look(*kind, color))
        ax.annotate(
            _short(value), (value, y), (7, 0), textcoords="offset points",
            va="center", fontsize=8, color=MUTED,
        )  # fmt: skip
        shown.append(value)
    _scale(ax, shown)
    middle = 0.5 * (len(kinds) - 1)
    for place, name in enumerate(methods):
        if not any(map(_is_shown, table[column][table["method"] == name].tolist())):
            ax.annotate(
                "none", (0.02, place * each + middle), xycoords=("axes fraction", "data"),
                va="center", fontsize=8, color=MUTED,
            )  # fmt: skip
    for place in range(1, len(methods)):
        ax.axhline(place * each - 0.5 * (1 + _BETWEEN), color="#e4e4e4", linewidth=0.8)
    names = [(labels or {}).get(name) or method_label(name) for name in methods]
    ax.set_yticks([place * each + middle for place in range(len(methods))], names)
    bottom = len(methods) * each - 0.5 * (1 + _BETWEEN)
    ax.set_ylim(max(bottom, 0.5), -0.5 * (1 + _BETWEEN))
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(_WORDS[column])
    if legend and kinds:
        outside_legend(ax, 2, [_key(kind) for kind in kinds])
    return ax


@styled
def comparison_panels(
    table: Table,
    columns: Sequence[str] | None = None,
    *,
    colors: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
) -> np.ndarray:
    """Speed, compiling and memory of every method on every device, in panels.

    Args:
        table: What `compare` gave.
        columns: The numbers; by default data sets and effective draws a second (the latter if
            anything was sampled), seconds of compiling and memory.
        colors: Of methods by name; by default the method's, where its name is known.
        labels: What to call methods, likewise.

    Returns:
        Axes, in rows of two.

    Raises:
        ValueError: If a column has no figure.

    Example:
        >>> row = {"device": ["cpu"], "precision": ["float64"], "method": ["gibbs"]}
        >>> numbers = {"run_seconds": [2.0], "compile_seconds": [9.0]}
        >>> comparison_panels(Table({**row, **numbers}), list(numbers)).shape
        (1, 2)
    """
    shown = list(columns or [name for name in _PANELS if np.isfinite(table[name]).any()])
    rows = -(-len(shown) // 2)
    height = _height(len(set(table["method"].tolist())), len(_kinds(table)))
    panels = new_panels(max(rows, 1), 2, 8.4, max(rows, 1) * height)
    for place, ax in enumerate(panels.ravel()):
        if place >= len(shown):
            ax.set_axis_off()
            continue
        comparison(table, shown[place], ax, colors=colors, labels=labels, legend=place == 0)
        if place % 2:
            ax.set_yticklabels([])
    return panels


def _is_shown(value: float) -> bool:
    """Whether a number has a place on a logarithmic axis."""
    return bool(np.isfinite(value) and value > 0)


def _scale(ax: Axes, shown: Sequence[float]) -> None:
    """A logarithmic axis with room for what is written beside its largest number."""
    ax.set_xscale("log")
    ax.xaxis.set_minor_formatter(NullFormatter())
    if not shown:
        ax.set_xticks([])
        return
    low, high = min(shown), max(shown)
    decades = max(float(np.log10(high / low)), 0.8)
    ax.set_xlim(low / 10 ** (0.1 * decades), low * 10 ** (1.35 * decades))
    if decades < _FEW_DECADES:
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    else:
        ax.xaxis.set_major_locator(LogLocator(numticks=6))


def _kinds(table: Table) -> list[tuple[str, str]]:
    """Devices and precisions that there are."""
    pairs = zip(table["device"].tolist(), table["precision"].tolist(), strict=True)
    return sorted(set(pairs), key=lambda kind: (kind[0], kind[1] == "float32"))


def _height(methods: int, kinds: int) -> float:
    return 1.2 + _LINE * max(methods, 1) * (max(kinds, 1) + _BETWEEN)


def _look(device: str, precision: str, color: str) -> dict[str, Any]:
    fill = color if precision == "float64" else "white"
    return {"marker": _MARKERS[device], "color": color, "markerfacecolor": fill}


def _key(kind: tuple[str, str]) -> Line2D:
    device, precision = kind
    return point_key(f"{device.upper()}, {precision}", size=6, **_look(device, precision, INK))


def _short(value: float) -> str:
    if 0.01 <= value < 1e6:
        return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"
    return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e")
