# ruff: noqa: RUF002 -- readers are shown Greek letters
"""Simulation-based calibration as figures: ranks of true values among posterior draws."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter
from scipy.special import bdtrik

from hierjax.checks.uniformity import uniform_band
from hierjax.plots.chains import SYMBOLS
from hierjax.plots.style import (
    INK,
    RAW,
    method_color,
    new_axes,
    new_panels,
    outside_legend,
    styled,
)
from hierjax.studies.ranks import LEVEL, Calibration

__all__ = ["ecdf_difference", "rank_histogram", "rank_panels"]

_PROBABILITY = 0.95
_TITLES = {"chi_square": "Data sets / expected", "ecdf": "Share below, less expected"}
_PLACES = {"chi_square": "rank among draws", "ecdf": "rank, as a share of draws"}


@styled
def rank_histogram(
    calibration: Calibration, parameter: str, ax: Axes | None = None, *, color: str | None = None
) -> Axes:
    """How many true values have each rank, relative to what a right method would show.

    A right method has a flat histogram. Its ends are high where posteriors are too narrow, its
    middle where they are too wide, and one of them where posteriors are shifted. Of a right
    method's bars 95 in 100 end between the dashed lines, each by itself.

    Args:
        calibration: The ranks.
        parameter: Whose.
        ax: Where to draw; a new figure by default.
        color: Of the bars; by default the method's, where its name is known.

    Returns:
        The axes.

    Raises:
        ConfigError: If there is no such parameter.

    Example:
        >>> at = np.random.default_rng(0).integers(0, 100, (1000, 1))
        >>> known = np.full(1000, "converged"), np.full(1000, np.nan)
        >>> exact = Calibration("quadrature", ("alpha",), at, 99, *known)
        >>> rank_histogram(exact, "alpha").get_xlabel()
        'rank of α among 99 draws'
    """
    found, edges = calibration.of(parameter), calibration.edges()
    size, cells = max(len(found), 1), edges[-1]
    ax = new_axes(ax, 5.0, 3.2)
    share = np.diff(edges) / cells
    heights = np.histogram(found, edges - 0.5)[0] / (size * share)
    ax.stairs(
        heights, edges, fill=True, alpha=0.55, linewidth=0,
        color=color or method_color(calibration.method), label=f"{len(found):,} data sets",
    )  # fmt: skip
    tails = 0.5 * (1 - _PROBABILITY)
    low, high = (np.ceil(bdtrik(tail, size, share)) / (size * share) for tail in (tails, 1 - tails))
    look: dict[str, Any] = {"color": INK, "linewidth": 0.8, "linestyle": (0, (4, 2))}
    ax.stairs(low, edges, label="95% of bars", baseline=None, **look)
    ax.stairs(high, edges, baseline=None, **look)
    ax.axhline(1.0, color=INK, linewidth=0.8)
    top = 1.1 * float(max(heights.max(), high.max()))
    ax.set(xlim=(0, cells), ylim=(0, top))
    ax.set_xticks([0, cells], ["0", f"{calibration.draws:,}"])
    ax.set_xlabel(f"rank of {_symbol(parameter)} among {calibration.draws:,} draws")
    ax.set_ylabel("data sets / expected")
    ax.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    outside_legend(ax, 2)
    return ax


@styled
def ecdf_difference(
    calibration: Calibration,
    parameter: str,
    ax: Axes | None = None,
    *,
    level: float = LEVEL,
    color: str | None = None,
) -> Axes:
    """The ranks' distribution function, less that of uniform ranks, with bands for all of it.

    The inner band holds all of a right method's curve 95 times in 100. The outer one holds the
    curves of all parameters so often that the verdict's level is kept: the method has failed if,
    and only if, the curve of any parameter leaves it. A curve above zero means posteriors above
    the truth; one that goes up and then down, posteriors too narrow; down and up, too wide.

    Args:
        calibration: The ranks.
        parameter: Whose.
        ax: Where to draw; a new figure by default.
        level: How often a right method may fail.
        color: Of the curve; by default the method's, where its name is known.

    Returns:
        The axes.

    Raises:
        ConfigError: If there is no such parameter.

    Example:
        >>> at = np.random.default_rng(0).integers(0, 100, (1000, 1))
        >>> known = np.full(1000, "converged"), np.full(1000, np.nan)
        >>> exact = Calibration("quadrature", ("alpha",), at, 99, *known)
        >>> ecdf_difference(exact, "alpha").get_ylabel()
        'share below, less expected'
    """
    ax = new_axes(ax, 5.0, 3.2)
    size = len(calibration.of(parameter))
    levels = calibration.cuts() / (calibration.draws + 1)
    tests = len(calibration.parameters)
    largest = 0.0
    for probability, alpha, words in (
        (1 - level / tests, 0.3, f"outside: failed, at {100 * level:g}%"),
        (_PROBABILITY, 0.55, "95% of right methods"),
    ):
        _, low, high = uniform_band(max(size, 1), probability, levels)
        ax.fill_between(
            _closed(levels, 1.0), _closed(low - levels), _closed(high - levels),
            color=RAW, alpha=alpha, linewidth=0, label=words,
        )  # fmt: skip
        largest = max(largest, float(np.abs([low - levels, high - levels]).max()))
    ax.axhline(0.0, color=INK, linewidth=0.8)
    if size:
        difference = calibration.below(parameter) / size - levels
        largest = max(largest, float(np.abs(difference).max()))
        ax.plot(
            _closed(levels, 1.0), _closed(difference), linewidth=1.5,
            color=color or method_color(calibration.method), label=f"{size:,} data sets",
        )  # fmt: skip
    ax.set(xlim=(0, 1), ylim=(-1.12 * largest, 1.12 * largest))
    ax.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    ax.set_xlabel(f"rank of {_symbol(parameter)}, as a share of draws")
    ax.set_ylabel("share below, less expected")
    ax.yaxis.set_major_locator(MaxNLocator(5, symmetric=True, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    outside_legend(ax, 2)
    return ax


@styled
def rank_panels(
    calibration: Calibration,
    parameters: Sequence[str] | None = None,
    *,
    level: float = LEVEL,
    color: str | None = None,
) -> np.ndarray:
    """Histograms and distribution functions of all parameters' ranks, one row a parameter.

    Args:
        calibration: The ranks.
        parameters: Whose; by default everyone's.
        level: How often a right method may fail.
        color: Of what is drawn; by default the method's, where its name is known.

    Returns:
        Axes, in rows of two.

    Raises:
        ConfigError: If there is no such parameter.
    """
    shown = list(calibration.parameters if parameters is None else parameters)
    table = {row["parameter"]: row for row in calibration.p_values().rows()}
    panels = new_panels(len(shown), 2, 7.2, 1.45 * len(shown) + 0.9)
    for place, (row, parameter) in enumerate(zip(panels, shown, strict=True)):
        rank_histogram(calibration, parameter, row[0], color=color)
        ecdf_difference(calibration, parameter, row[1], level=level, color=color)
        for ax, column in zip(row, ("chi_square", "ecdf"), strict=True):
            said = f"{_symbol(parameter)}:  p = {table[parameter][column]:.2g}"
            ax.set_title(said, fontsize=9.5, fontweight="normal", loc="right")
            if place:
                ax.get_legend().remove()
            else:
                outside_legend(ax, 1, title=_TITLES[column])
                ax.get_legend().set_bbox_to_anchor((0.0, 1.16))
            ax.set_ylabel("")
            ax.set_xlabel("" if place < len(shown) - 1 else _PLACES[column])
    return panels


def _closed(values: np.ndarray, end: float = 0.0) -> np.ndarray:
    """Values at both ends of the axis, at which every curve and band meets its uniform one."""
    return np.concatenate([[0.0], values, [end]])


def _symbol(parameter: str) -> str:
    return SYMBOLS.get(parameter, parameter)
