"""Raw rates and shrinkage: the artists hold the data."""

import numpy as np
import pytest
from figure_fits import point_fit
from matplotlib.colors import same_color

import hierjax as hj
from hierjax.plots import raw_rates, shrinkage
from hierjax.plots.population import _rate_bins
from hierjax.plots.style import method_styles, new_panels


def line(ax, label):
    return next(each for each in ax.lines if str(each.get_label()).startswith(label))


def test_functions_draw_where_they_are_told(fits):
    first, second = new_panels(1, 2, 8, 4)[0]
    assert raw_rates(fits, first) is first
    assert shrinkage(fits, second) is second


def test_histogram_counts_every_unit_once(fits, rats):
    (bars,) = raw_rates(fits).patches
    heights, edges, _ = bars.get_data()
    assert heights.sum() == len(rats)
    assert edges[0] <= rats.raw_rates.min()
    assert edges[-1] >= rats.raw_rates.max()
    assert np.allclose(np.diff(edges), edges[1] - edges[0])


@pytest.mark.parametrize(
    "rates",
    [
        [0.15, 0.3],
        [0.25] * 12,
        [0.0, 0.0],
        [1.0] * 3,
        np.linspace(0, 1, 11),
        np.linspace(0, 0.375, 31),
        np.concatenate([np.full(999, 1e-4), [1.0]]),
        1e-5 * np.arange(2, 900),
    ],
)
def test_bins_hold_every_rate_and_are_never_many(rates):
    rates = np.asarray(rates, float)
    edges = _rate_bins(rates)
    assert np.histogram(rates, edges)[0].sum() == len(rates)
    assert 2 <= len(edges) <= 60


def test_rates_on_an_edge_fall_above_it_whatever_their_rounding():
    # 0.1 + 0.2 is an ulp above 0.3, and 3 * 0.1 likewise.
    rates = np.array([0.0, 0.1, 0.2, 0.3, 0.1 + 0.2, 3 * 0.1, 0.4, 0.6])
    edges = _rate_bins(rates)
    assert len(set(np.searchsorted(edges, rates[3:6]))) == 1


def test_population_curves_are_densities_scaled_to_the_histogram(fits, exact, rats):
    ax = raw_rates(fits)
    _, edges, _ = ax.patches[0].get_data()
    rates, heights = line(ax, "population, full Bayes").get_data()
    expected = exact.unit_density(0, 0, rates) * len(rats) * (edges[1] - edges[0])
    assert np.allclose(heights, expected, rtol=1e-12)
    assert line(ax, "population, empirical Bayes").get_label().endswith("(Type-2 MLE)")


def test_complete_pooling_is_a_vertical_line(rats):
    pooled = rats.total_successes / rats.total_trials
    fit = point_fit(rats, (np.log(pooled / (1 - pooled)), np.inf))
    curve = line(raw_rates(fit), "population")
    assert np.allclose(curve.get_xdata(), pooled)


def test_a_density_infinite_at_zero_leaves_the_bars_visible(rats):
    ax = raw_rates(point_fit(rats, (-2.0, -1.5)))
    heights, _, _ = ax.patches[0].get_data()
    assert heights.max() <= ax.get_ylim()[1] <= 3.5 * heights.max()


def test_shrinkage_draws_means_against_raw_rates(fits, exact, rats):
    ax = shrinkage(fits)
    full, empirical = ax.collections
    order = np.lexsort((rats.trials, rats.raw_rates))
    means = exact.units()["mean"]
    assert np.array_equal(full.get_offsets(), np.stack([rats.raw_rates, means], axis=1)[order])
    means = fits["type2_mle"].units()["mean"]
    assert np.array_equal(empirical.get_offsets(), np.stack([rats.raw_rates, means], axis=1)[order])
    sizes, trials = full.get_sizes(), rats.trials[order]
    assert np.array_equal(np.argsort(sizes, kind="stable"), np.argsort(trials, kind="stable"))
    styles = method_styles(fits)
    assert same_color(full.get_facecolor()[0][:3], styles["quadrature"].color)
    assert same_color(empirical.get_edgecolor()[0][:3], styles["type2_mle"].color)


def test_shrinkage_shows_both_extremes(fits, rats):
    ax = shrinkage(fits)
    x, y = line(ax, "no pooling").get_data()
    assert np.array_equal(x, y)
    assert np.allclose(
        line(ax, "complete pooling").get_ydata(), rats.total_successes / rats.total_trials
    )


def test_estimates_known_already_are_used(fits, exact, rats):
    table = exact.units()
    moved = hj.Table({**table, "mean": table["mean"] + 0.25})
    ax = shrinkage({"quadrature": exact}, estimates={"quadrature": moved})
    order = np.lexsort((rats.trials, rats.raw_rates))
    assert np.array_equal(ax.collections[0].get_offsets()[:, 1], moved["mean"][order])


def test_units_without_trials_are_left_out_of_figures_of_raw_rates():
    counts = hj.Counts([0, 3, 0, 7], [20, 20, 0, 30])
    fit = point_fit(counts)
    assert raw_rates(fit).patches[0].get_data().values.sum() == 3
    assert len(shrinkage(fit).collections[0].get_offsets()) == 3


def test_many_units_are_thinned_evenly():
    rng = np.random.default_rng(0)
    trials = rng.integers(1, 60, 5000)
    counts = hj.Counts(rng.binomial(trials, 0.2), trials)
    fit = point_fit(counts)
    drawn = shrinkage(fit).collections[0].get_offsets()[:, 0]
    assert len(drawn) == 4000
    assert drawn.min() == counts.raw_rates.min()
    assert drawn.max() == counts.raw_rates.max()
    assert raw_rates(fit).patches[0].get_data().values.sum() == 5000
