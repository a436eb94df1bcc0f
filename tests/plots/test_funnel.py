"""Funnel: limits against distribution functions, and which units are flagged."""

import numpy as np
import pytest
from figure_fits import point_fit, quick_table
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from scipy.stats import betabinom, binom

import hierjax as hj
from hierjax.plots import funnel
from hierjax.plots.control import Rates, control_limits, population_rates
from hierjax.plots.style import new_panels

ONE = Rates(np.array([0.15]), np.ones(1))


@pytest.mark.parametrize("probability", [0.001, 0.025, 0.975, 0.999])
def test_limits_lie_within_a_count_of_the_binomial_quantile(probability):
    trials = np.array([1, 5, 20, 333, 10**6])
    quantile = binom.ppf(probability, trials, 0.15)
    found = control_limits(ONE, trials, probability) * trials
    assert (found <= quantile + 1e-9).all()
    assert (found > quantile - 1 - 1e-9).all()


def test_interpolation_is_that_of_spiegelhalter():
    r, before = binom.cdf(8, 25, 0.15), binom.cdf(7, 25, 0.15)
    p = 0.25 * r + 0.75 * before
    assert control_limits(ONE, np.array([25]), p)[0] == pytest.approx((8 - 0.75) / 25, rel=1e-9)


def test_populations_limits_are_those_of_the_beta_binomial(rats):
    eta = (-1.81, 2.796)
    mean, kappa = 1 / (1 + np.exp(1.81)), np.exp(2.796)
    rates = population_rates(point_fit(rats, eta))
    assert rates.weights.sum() == pytest.approx(1.0, rel=1e-12)
    trials = np.array([10, 52, 2000])
    for p in (0.001, 0.025, 0.975, 0.999):
        expected = betabinom.ppf(p, trials, mean * kappa, (1 - mean) * kappa)
        found = control_limits(rates, trials, p) * trials
        # Within a count, and 2% for the few nodes that stand for the population.
        assert (found <= 1.02 * expected + 1e-9).all()
        assert (found >= 0.98 * expected - 1).all()


def test_complete_pooling_makes_both_limits_alike(rats):
    rates = population_rates(point_fit(rats, (-1.7, np.inf)))
    assert np.allclose(rates.nodes, 1 / (1 + np.exp(1.7)), atol=1e-6)


def test_units_are_drawn_raw_and_shrunken(rats, exact):
    (ax,) = new_panels(1, 1, 6, 5)[0]
    assert funnel(exact, ax) is ax
    drawn = [line.get_xydata() for line in ax.lines if len(line.get_xdata()) == len(rats)]
    raw, mean = (points for points in drawn if np.array_equal(points[:, 0], rats.trials))
    assert np.array_equal(raw[:, 1], rats.raw_rates)
    assert np.array_equal(mean[:, 1], exact.unit_table()["mean"])
    pooled = next(line for line in ax.lines if line.get_label() == "pooled rate")
    assert np.allclose(pooled.get_ydata(), rats.total_successes / rats.total_trials)
    assert not ax.texts


def test_selected_units_are_flagged_and_named(rats, exact):
    selected = rats.raw_rates > 0.3
    ax = funnel(exact, selection=hj.Table({"selected": selected}))
    assert {text.get_text() for text in ax.texts} == set(rats.labels[selected].tolist())
    legend = ax.get_legend()
    labels = [text.get_text() for text in legend.get_texts()]
    assert f"selected ({selected.sum()})" in labels
    # Every line and shade is in the legend, with what it holds.
    assert labels[-2:] == ["95, 99.8% if all alike", "95, 99.8% of population"]
    dashes = [line for line in legend.findobj(Line2D) if line.get_linestyle() == "--"]
    shades = {key.get_alpha() for key in legend.findobj(Rectangle) if key.get_width() > 0}
    assert len(dashes) == 2
    assert len(shades - {None}) == 2
    ax.figure.draw_without_rendering()
    assert legend.get_window_extent().x1 <= ax.figure.bbox.width


def test_a_unit_outside_the_populations_limits_is_flagged():
    counts = hj.Counts([30] * 30 + [190], [200] * 31, [*map(str, range(30)), "$odd$"])
    ax = funnel(point_fit(counts, (-1.7, 5.0)))
    assert [text.get_text() for text in ax.texts] == ["$odd$"]
    ax.figure.savefig("/dev/null", format="png")


def test_many_units_of_all_sizes():
    rng = np.random.default_rng(3)
    trials = np.exp(rng.uniform(0, 12, 10_000)).astype(int)
    counts = hj.Counts(rng.binomial(trials, rng.beta(3, 20, 10_000)), trials)
    ax = funnel(point_fit(counts, (np.log(3 / 20), np.log(23))))
    assert ax.get_xscale() == "log"
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    flagged = next(label for label in labels if label.startswith("outside"))
    count = int(flagged.split("(")[1].rstrip(")"))
    # 0.2% or fewer of counts lie outside: 20 expected at most, more than 45 once in 10^6.
    assert 0 < count <= 45
    assert 0 < len(ax.texts) <= 12


@pytest.mark.parametrize("counts", [([3, 9], [20, 30]), ([5] * 12, [20] * 12), ([0, 3], [0, 7])])
def test_few_units_and_equal_trials(counts):
    ax = funnel(point_fit(hj.Counts(*counts)))
    low, high = ax.get_xlim()
    assert low < high
    ax.figure.savefig("/dev/null", format="png")


def test_far_limits_of_the_population_do_not_flatten_the_units():
    pumps = hj.datasets.pumps()
    fit = hj.fit(pumps, method=hj.Moments())
    wide = quick_table(fit)
    top = float(max(pumps.raw.max(), wide["mean"].max()))
    assert funnel(fit, table=wide).get_ylim()[1] < 1.8 * top
