"""Axes of rates, shown per so many units of exposure."""

import re
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from hierjax.families.unit_words import per_text

__all__ = ["rates_per"]

_RATE = re.compile(r"(raw |mean |posterior mean of the |difference of )?rates?\b")
_STEPS = (1, 2, 2.5, 5, 10)


class _Round(MaxNLocator):
    """Round numbers of what is shown, not of what is drawn."""

    def __init__(self, factor: float | int):
        super().__init__(nbins="auto", steps=_STEPS)
        self.factor = factor

    def tick_values(self, vmin: float, vmax: float) -> Any:
        """Ticks at round numbers times the factor."""
        shown = super().tick_values(vmin * self.factor, vmax * self.factor)
        return np.asarray(shown) / self.factor


def rates_per(ax: Axes, per: float | int) -> Axes:
    """Labels the rates in a figure as rates per so many units of exposure.

    What is drawn stays as it is: the numbers at axes of rates are multiplied, and the axes' labels
    say so. A density's axis beside one of rates is divided.

    Args:
        ax: Any axes of the figure.
        per: How many units of exposure.

    Returns:
        The axes.

    Example:
        >>> import hierjax as hj
        >>> ax = hj.plots.shrinkage(hj.fit(hj.datasets.pumps(), method=hj.Moments()))
        >>> rates_per(ax, 1000).get_xlabel()
        'raw rate per 1,000'
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    for each in figure.axes:
        of_rates = [_relabel(axis, per) for axis in (each.xaxis, each.yaxis)]
        if of_rates[0] and each.get_ylabel() == "density":
            _rescale(each.yaxis, 1 / per)
        for child in each.child_axes:
            for axis in (child.xaxis, child.yaxis):
                _relabel(axis, per)
    return ax


def _relabel(axis: Axis, per: float | int) -> bool:
    label = axis.get_label_text()
    found = _RATE.match(label)
    if found is None:
        return False
    comma = "" if found.end() == len(label) else ","
    axis.set_label_text(f"{label}{comma}{per_text(per)}")
    _rescale(axis, per)
    return True


def _rescale(axis: Axis, factor: float | int) -> None:
    kept = axis.get_scale() != "linear" or isinstance(axis.get_major_locator(), FixedLocator)
    is_labelled = len(axis.get_major_locator()()) > 0
    if not kept:
        axis.set_major_locator(_Round(factor))
    if is_labelled:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * factor:,.6g}"))
