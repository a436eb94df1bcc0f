"""Figures of who is at the top and at the bottom, and of shrinkage by size."""

import numpy as np
import pytest
from figure_fits import quick_table

import hierjax as hj
from hierjax.plots.extremes import extremes, find_extremes, shrinkage_by_size

FITS = {
    "counts": hj.fit(hj.datasets.rat_tumors(), method=hj.Moments()),
    "events": hj.fit(hj.datasets.pumps(), method=hj.Moments()),
}


def points(ax):
    """Units drawn, those between, at the top and at the bottom."""
    return [len(line.get_xdata()) for line in ax.get_lines()[:3]]


def test_equal_values_are_all_at_the_end():
    found = find_extremes(np.array([0.0, 2.0, 0.0, 5.0, 5.0, 1.0]), 2)
    assert found.top.tolist() == [False, False, False, True, True, False]
    assert found.bottom.tolist() == [True, False, True, False, False, False]
    everyone = find_extremes(np.array([1.0, 2.0]), 5)
    assert everyone.top.all()
    assert everyone.bottom.all()


@pytest.mark.parametrize("name", list(FITS))
def test_both_panels_mark_their_own_ends(name):
    fit = FITS[name]
    table = quick_table(fit)
    raw, mean = extremes(fit, 3, table=table).figure.axes
    for ax, column in ((raw, "raw_rate"), (mean, "mean")):
        found = find_extremes(table[column], 3)
        top, bottom = int(found.top.sum()), int(found.bottom.sum())
        assert points(ax) == [len(table) - top - bottom, top, bottom]
        assert f"{top} highest" in ax.get_legend().get_texts()[0].get_text()
    assert raw.get_ylabel() == "raw rate"


def test_shrinkage_falls_with_size():
    fit = FITS["events"]
    estimates = {"moments": quick_table(fit)}
    line = shrinkage_by_size({"moments": fit}, estimates=estimates).get_lines()[0]
    size, share = line.get_xdata(), line.get_ydata()
    assert (np.diff(size) >= 0).all()
    assert (np.diff(share) <= 0).all()
    rate = np.exp(fit.posterior.points[0, 0, 1])
    np.testing.assert_allclose(share, rate / (rate + size))


def test_units_without_data_are_left_out():
    counts = hj.Counts([1, 5, 0, 9], [10, 12, 0, 40])
    fit = hj.fit(counts, method=hj.Moments())
    table = quick_table(fit)
    line = shrinkage_by_size({"moments": fit}, estimates={"moments": table}).get_lines()[0]
    assert len(line.get_xdata()) == 3
    assert sum(points(extremes(fit, 1, table=table).figure.axes[0])) == 3
