"""Axes of figures of a coverage study: what a number is called, and what it is compared with."""

from matplotlib.axes import Axes

from hierjax.plots.coverage_marks import Marks, limits, rows, shares_axis
from hierjax.plots.style import INK, new_axes
from hierjax.table import Table

__all__ = ["WORDS", "coverage_axis", "grouped", "grouped_height", "nominal", "reference"]

#: What figures call a column.
WORDS = {
    "coverage": "units whose interval holds their true rate",
    "length": "mean length of units' intervals",
    "bias": "bias of units' estimates",
    "rmse": "RMSE of units' estimates",
    "rmse_over_raw": "RMSE over that of raw rates",
    "rmse_over_pooled": "RMSE over that of the pooled rate",
    "recovered": "share of the highest found",
}


def grouped(
    ax: Axes | None, table: Table, marks: Marks, places: list[str], value: str = ""
) -> Axes:
    """Methods at places as rows, of coverage unless another column is named."""
    ax = new_axes(ax, 6.8, grouped_height(marks))
    if value in ("", "coverage"):
        coverage_axis(ax, marks, nominal(table))
    else:
        ax.set_xlim(*limits(marks, *reference(value)))
        for at in reference(value):
            ax.axvline(at, color=INK, linewidth=0.9, zorder=1.2)
    rows(ax, marks, places)
    ax.set_xlabel(WORDS.get(value, value) or "data sets whose interval holds the true value")
    return ax


def grouped_height(marks: Marks) -> float:
    """Inches that a figure of methods at places needs, with its legend."""
    methods, places = marks.values.shape
    return 1.4 + 0.3 * ((methods + 2) // 3) + places * max(0.17 * methods, 0.34)


def coverage_axis(ax: Axes, marks: Marks, level: float) -> None:
    """A horizontal axis of coverage, with the line that it should reach."""
    low, high = limits(marks, level)
    ax.set_xlim(max(low, -0.01), min(high, 1.01))
    shares_axis(ax.xaxis)
    ax.axvline(level, color=INK, linewidth=0.9, zorder=1.2)


def reference(value: str) -> tuple[float, ...]:
    """What a number is compared with: what it is relative to, or no error."""
    return {"bias": (0.0,), "rmse_over_raw": (1.0,), "rmse_over_pooled": (1.0,)}.get(value, ())


def nominal(table: Table) -> float:
    """The probability that intervals were made for."""
    return float(table["level"][0])
