"""Exceedance curve: the share of wrong units in lists of every length."""

import numpy as np
import pytest
from figure_fits import point_fit

import hierjax as hj
from hierjax.plots import exceedance_curve
from hierjax.plots.style import new_panels


def made(pep, fdr, above=True):
    pep = np.asarray(pep, float)
    order = np.argsort(pep, kind="stable")
    q = np.empty(len(pep))
    q[order] = np.cumsum(pep[order]) / np.arange(1, len(pep) + 1)
    return hj.Table(
        {
            "threshold": np.full(len(pep), 0.2),
            "probability_above": 1 - pep if above else pep,
            "pep": pep,
            "q_value": q,
            "selected": q <= fdr,
        }
    )


def line(ax, label):
    return next(each for each in ax.lines if each.get_label() == label)


@pytest.fixture(scope="module")
def two():
    return point_fit(hj.Counts([3, 9], [20, 30]))


def test_curves_are_each_unit_and_the_mean_up_to_it(two):
    pep = np.array([0.5, 0.01, 0.03, 0.9, 0.08])
    (ax,) = new_panels(1, 1, 6, 4)[0]
    assert exceedance_curve(two, ax, fdr=0.05, table=made(pep, 0.05)) is ax
    ordered = np.sort(pep)
    assert np.array_equal(line(ax, "each unit alone").get_ydata(), ordered)
    share = line(ax, "whole list up to it").get_ydata()
    assert np.allclose(share, [0.01, 0.02, 0.04, 0.155, 0.304])
    assert line(ax, "allowed: 0.05").get_ydata()[0] == 0.05
    end = next(each for each in ax.lines if len(each.get_xdata()) == 1)
    assert end.get_xydata().tolist() == [[3.0, pytest.approx(0.04)]]
    text = ax.texts[0].get_text()
    assert "3 of 5 units selected as above 0.2" in text
    assert "expected wrong among them: 0.12 (4%)" in text


def test_below_the_threshold_is_said(two):
    ax = exceedance_curve(two, fdr=None, table=made([0.01, 0.4], 0.05, above=False))
    assert "1 of 2 units selected as below 0.2" in ax.texts[0].get_text()
    assert not any(str(each.get_label()).startswith("allowed") for each in ax.lines)


def test_an_empty_list_has_no_end(two):
    ax = exceedance_curve(two, table=made([0.6, 0.7], 0.05))
    assert ax.texts[0].get_text() == "0 of 2 units selected as above 0.2"
    assert not any(len(each.get_xdata()) == 1 for each in ax.lines)
    ax.figure.savefig("/dev/null", format="png")


def test_a_short_list_of_many_units_gets_a_logarithmic_axis(two):
    pep = np.linspace(0, 1, 10_000) ** 0.3
    table = made(pep, 0.05)
    ax = exceedance_curve(two, table=table)
    assert ax.get_xscale() == "log"
    count = int(table["selected"].sum())
    assert count in line(ax, "whole list up to it").get_xdata()
    assert line(ax, "each unit alone").get_xdata()[-1] == 10_000


def test_the_fit_is_asked_where_there_is_no_table(exact):
    ax = exceedance_curve(exact, threshold=0.2, fdr=0.1)
    table = exact.exceedance(0.2, fdr=0.1)
    assert np.array_equal(line(ax, "each unit alone").get_ydata(), np.sort(table["pep"]))
    assert f"{table['selected'].sum()} of 70 units" in ax.texts[0].get_text()


def test_a_threshold_is_needed(two):
    with pytest.raises(ValueError, match="threshold: expected a number"):
        exceedance_curve(two)
    with pytest.raises(ValueError, match="fdr: expected a number"):
        exceedance_curve(two, threshold=0.2, fdr=None)
