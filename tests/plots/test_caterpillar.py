"""Caterpillar: intervals in order of means, for two units and for ten thousand."""

import numpy as np
import pytest
from figure_fits import point_fit
from matplotlib.figure import Figure
from matplotlib.text import Text

import hierjax as hj
from hierjax.plots import caterpillar
from hierjax.plots.caterpillar import rate_limits
from hierjax.plots.style import new_panels, population_mean


def rows(ax):
    """Bars and means drawn."""
    bars = np.array([segment[:, 0] for segment in ax.collections[0].get_segments()])
    means = next(line for line in ax.lines if len(line.get_xdata()) == len(bars))
    return bars, means.get_xdata()


def many(size, seed=0):
    rng = np.random.default_rng(seed)
    trials = rng.integers(1, 400, size)
    return hj.Counts(rng.binomial(trials, rng.beta(3, 20, size)), trials)


def test_bars_and_points_are_the_intervals_in_order(rats, exact):
    (ax,) = new_panels(1, 1, 6, 5)[0]
    assert caterpillar(exact, ax, level=0.8) is ax
    table = exact.unit_table(0.8)
    order = np.lexsort((rats.trials, table["mean"]))
    bars, means = rows(ax)
    assert np.array_equal(bars, np.stack([table["low"], table["high"]], axis=1)[order])
    assert np.array_equal(means, table["mean"][order])
    raw = next(line for line in ax.lines if line.get_markerfacecolor() == "none")
    assert np.array_equal(raw.get_xdata(), rats.raw_rates[order])
    assert ax.get_ylabel() == "70 units in order of posterior mean"
    pooled = float(np.sum(exact.posterior.weights / (1 + np.exp(-exact.posterior.points[..., 0]))))
    assert population_mean(exact) == pytest.approx(pooled, rel=1e-12)
    dashed = next(line for line in ax.lines if line.get_label() == "population mean")
    assert np.allclose(dashed.get_xdata(), pooled)


def test_few_units_are_named_from_the_lowest():
    counts = hj.Counts([9, 3], [30, 20], ["$second$", "first"])
    ax = caterpillar(point_fit(counts))
    assert [text.get_text() for text in ax.get_yticklabels()] == ["first", "$second$"]
    ax.figure.savefig("/dev/null", format="png")


def test_units_without_trials_have_no_raw_rate():
    ax = caterpillar(point_fit(hj.Counts([0, 3, 0], [0, 20, 0])))
    raw = next(line for line in ax.lines if line.get_markerfacecolor() == "none")
    assert raw.get_xdata().tolist() == [0.15]


def test_ten_thousand_units_are_a_band_that_holds_their_intervals():
    fit = point_fit(many(10_000))
    table = fit.unit_table()
    ax = caterpillar(fit, table=table)
    wide, narrow = (each.get_paths()[0].vertices[:, 0] for each in ax.collections[:2])
    assert wide.min() == table["low"].min()
    assert wide.max() == table["high"].max()
    assert narrow.min() > wide.min()
    assert narrow.max() < wide.max()
    line = next(each for each in ax.lines if len(each.get_xdata()) == 10_000)
    assert np.array_equal(line.get_xdata(), np.sort(table["mean"]))
    low, high = ax.get_xlim()
    assert low <= table["low"].min()
    assert high >= table["high"].max()


def test_highlighted_units_are_named_among_many():
    counts = many(3000)
    ax = caterpillar(point_fit(counts), highlight=["7", "2999"])
    assert sorted(text.get_text() for text in ax.texts) == ["2999", "7"]
    with pytest.raises(ValueError, match="found '9999'"):
        caterpillar(point_fit(counts), highlight=["9999"])


def test_of_many_units_the_highest_and_the_lowest_are_named():
    fit = point_fit(many(80))
    labels = fit.counts.labels[np.lexsort((fit.counts.trials, fit.unit_table()["mean"]))]
    named = [text.get_text() for text in caterpillar(fit).texts]
    assert sorted(named) == sorted([*labels[:3], *labels[-3:]])
    assert not caterpillar(fit, highlight=()).texts


def test_raw_rates_far_from_all_intervals_are_counted_not_shown():
    counts = hj.Counts([20] * 70 + [1], [200] * 70 + [1])
    ax = caterpillar(point_fit(counts, (-2.2, 8.0)))
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert "raw rate (1 beyond the axis)" in labels
    assert ax.get_xlim()[1] < 0.3
    raw = next(line for line in ax.lines if line.get_markerfacecolor() == "none")
    assert raw.get_xdata().max() == 0.1


def test_complete_pooling_shows_raw_rates_around_the_one_estimate():
    ax = caterpillar(point_fit(hj.Counts([5, 6, 4], [20, 20, 20]), (np.log(1 / 3), np.inf)))
    low, high = ax.get_xlim()
    assert low < 0.2
    assert high > 0.3
    ax.figure.savefig("/dev/null", format="png")


@pytest.mark.parametrize(
    ("raw", "expected"),
    # Half of the range from 0 to 0.4 beyond it is 0.6.
    [([0.59, 0.0], 0.59), ([0.61, 0.0], 0.4), ([0.59, 0.61, 0.0], 0.59), ([np.nan, 0.2], 0.4)],
)
def test_axes_end_at_the_last_rate_shown(raw, expected):
    low, high = rate_limits(np.array([0.05, 0.2]), np.array([0.3, 0.4]), np.array(raw))
    assert low <= 0.05
    assert expected < high < 1.05 * expected


def test_labels_without_room_beside_the_axes_are_inside_where_no_raw_rate_is():
    counts = hj.Counts([20] * 70 + [1], [200] * 70 + [1], [f"county {i}" for i in range(71)])
    ax = Figure(figsize=(4, 3)).subplots()
    caterpillar(point_fit(counts, (-2.2, 5.0)), ax, highlight=["county 3"])
    ax.figure.draw_without_rendering()
    (text,) = ax.texts
    box = Text.get_window_extent(text)
    assert box.x1 < ax.get_window_extent().x1
    drawn = max(np.max(line.get_xdata()) for line in ax.lines)
    assert ax.transData.transform((drawn, 0))[0] < box.x0
