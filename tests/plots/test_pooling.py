"""No, complete and partial pooling, and the widths of intervals."""

import numpy as np
import pytest
from figure_fits import point_fit
from scipy.stats import beta

import hierjax as hj
from hierjax.plots import interval_widths, pooling
from hierjax.plots.style import new_panels


def bars(ax):
    """Lows and highs of the intervals drawn."""
    return np.array([segment[:, 0] for segment in ax.collections[0].get_segments()])


def test_panels_show_the_three_assumptions(fits, exact, rats):
    given = new_panels(1, 3, 6, 6, share=True)[0]
    none, complete, partial = axes = pooling(fits, given, level=0.8)
    assert list(axes) == list(given)
    order = np.lexsort((rats.trials, rats.raw_rates))
    y, n = rats.successes[order], rats.trials[order]
    jeffreys = beta.ppf([[0.1], [0.9]], y + 0.5, n - y + 0.5).T
    assert np.allclose(bars(none), jeffreys, rtol=1e-9)
    assert np.array_equal(none.lines[0].get_xdata(), rats.raw_rates[order])
    total, trials = rats.total_successes, rats.total_trials
    together = beta.ppf([0.1, 0.9], total + 0.5, trials - total + 0.5)
    assert np.allclose(bars(complete), together, rtol=1e-9)
    units = exact.units(0.8)
    assert np.array_equal(bars(partial), np.stack([units["low"], units["high"]], axis=1)[order])
    assert np.array_equal(partial.lines[0].get_xdata(), units["median"][order])


def test_few_units_are_named():
    counts = hj.Counts([3, 9, 0], [20, 30, 0], ["$a$", "b & c", "a very long label of a unit"])
    first = pooling(point_fit(counts))[0]
    first.figure.savefig("/dev/null", format="png")
    # In order of raw rates, the unit without trials first.
    assert [text.get_text() for text in first.get_yticklabels()] == [
        "a very long … unit",
        "$a$",
        "b & c",
    ]


def test_many_units_are_thinned_from_the_lowest_to_the_highest():
    trials = np.tile(np.arange(1, 51), 100)
    counts = hj.Counts(trials // 3, trials)
    none = pooling(point_fit(counts))[0]
    drawn = none.lines[0].get_xdata()
    assert len(drawn) == 80
    assert drawn[0] == counts.raw_rates.min()
    assert drawn[-1] == counts.raw_rates.max()
    assert none.get_ylabel() == "80 of 5,000 units, evenly spaced in order of raw rate"


def test_widths_are_the_ratio_of_the_intervals(fits, exact, rats):
    (ax,) = new_panels(1, 1, 6, 4)[0]
    assert interval_widths(fits, ax, level=0.5) is ax
    x, y = ax.collections[0].get_offsets().T
    full, empirical = exact.units(0.5), fits["type2_mle"].units(0.5)
    ratio = (empirical["high"] - empirical["low"]) / (full["high"] - full["low"])
    order = np.argsort(rats.trials, kind="stable")
    assert np.array_equal(x, rats.trials[order])
    assert np.array_equal(y, ratio[order])
    assert ax.get_ylabel() == "ratio of 50% interval widths"


def test_widths_need_both_kinds_of_fit(exact, rats):
    with pytest.raises(ValueError, match=r"found \['quadrature'\]"):
        interval_widths({"quadrature": exact})
    with pytest.raises(ValueError, match=r"found \['type2_mle'\]"):
        interval_widths(point_fit(rats))


@pytest.mark.parametrize("fewest", [0, 1])
def test_trials_of_many_magnitudes_get_a_logarithmic_axis(exact, fewest):
    counts = hj.Counts([0, 3, 40_000], [fewest, 10, 400_000])
    empirical = point_fit(counts)
    wider = hj.Fit(counts, exact.model, exact.method, "float64", exact.result)
    ax = interval_widths({"quadrature": wider, "type2_mle": empirical})
    assert ax.get_xscale() == ("log" if fewest else "symlog")
    assert ax.get_xlim()[0] >= -1
    ax.figure.savefig("/dev/null", format="png")
