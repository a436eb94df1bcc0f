"""Figures: functions that take a fit, or several by name, and axes, and return the axes.

They draw with matplotlib's objects alone: no figure is registered anywhere, and matplotlib's
settings are left as they were. Without axes each makes a figure of its own:

    >>> import hierjax as hj
    >>> ax = hj.plots.shrinkage(hj.fit(hj.datasets.rat_tumors()))
    >>> ax.figure.savefig("shrinkage.png")  # doctest: +SKIP
"""

from hierjax.plots.calibration import later_places, loo_pit, posterior_predictive
from hierjax.plots.caterpillar import caterpillar
from hierjax.plots.chains import agreement, ranks, trace
from hierjax.plots.contrasts import contrasts_forest
from hierjax.plots.density import new_unit
from hierjax.plots.diagram import plate
from hierjax.plots.exceedance import exceedance_curve
from hierjax.plots.extremes import extremes, shrinkage_by_size
from hierjax.plots.figures import write_figures
from hierjax.plots.funnel import funnel
from hierjax.plots.group_diagram import group_plate
from hierjax.plots.groups import group_caterpillar, group_shrinkage
from hierjax.plots.hyperparameters import contours, optimizer_path
from hierjax.plots.influence import influence
from hierjax.plots.pooling import interval_widths, pooling
from hierjax.plots.population import raw_rates, shrinkage
from hierjax.plots.rank_map import rank_heat_map
from hierjax.plots.region_map import region_map
from hierjax.plots.style import method_styles, new_panels

__all__ = [
    "agreement",
    "caterpillar",
    "contours",
    "contrasts_forest",
    "exceedance_curve",
    "extremes",
    "funnel",
    "group_caterpillar",
    "group_plate",
    "group_shrinkage",
    "influence",
    "interval_widths",
    "later_places",
    "loo_pit",
    "method_styles",
    "new_panels",
    "new_unit",
    "optimizer_path",
    "plate",
    "pooling",
    "posterior_predictive",
    "rank_heat_map",
    "ranks",
    "raw_rates",
    "region_map",
    "shrinkage",
    "shrinkage_by_size",
    "trace",
    "write_figures",
]
