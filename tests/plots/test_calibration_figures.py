"""LOO-PIT and posterior predictive figures: the band's probability, and what is drawn."""

import jax
import numpy as np
import pytest
from figure_fits import point_fit

import hierjax as hj
from hierjax.checks import LooPit
from hierjax.checks.predictive import PredictiveCheck
from hierjax.checks.uniformity import uniform_band
from hierjax.plots import loo_pit, posterior_predictive
from hierjax.plots.style import new_panels


def test_pit_curve_is_the_distribution_less_the_level():
    counts = hj.Counts([3, 9, 0, 1], [20, 30, 0, 5])
    pit = LooPit(np.array([0.1, 0.6, 0.0, 0.4]), np.array([0.2, 0.9, 1.0, 0.5]))
    (ax,) = new_panels(1, 1, 6, 4)[0]
    assert loo_pit(point_fit(counts), ax, pit=pit) is ax
    x, y = ax.lines[-1].get_data()
    # The unit without trials says nothing.
    kept = LooPit(pit.low[[0, 1, 3]], pit.high[[0, 1, 3]])
    assert np.allclose(y, kept.cdf(x) - x)
    assert [text.get_text() for text in ax.get_legend().get_texts()][-1] == "3 units"
    assert (x[0], y[0], x[-1], y[-1]) == (0.0, 0.0, 1.0, 0.0)


def test_a_bad_model_leaves_the_band_and_a_good_one_does_not():
    rng = np.random.default_rng(0)
    counts = hj.Counts([1] * 500, [9] * 500)
    fit = point_fit(counts)
    for spread, leaves in ((1.0, False), (2.0, True)):
        uniform = 1 / (1 + np.exp(-spread * rng.logistic(size=500)))
        ax = loo_pit(fit, pit=LooPit(uniform, uniform + 1e-9))
        x, y = ax.lines[-1].get_data()
        levels, low, high = uniform_band(500)
        at = np.interp(levels, x, y) + levels
        assert bool(((at < low) | (at > high)).any()) is leaves


def made():
    zeros = np.repeat([0.0, 1.0, 2.0, 5.0], [10, 40, 40, 10])
    rates = np.linspace(0.1, 0.9, 100)
    table = {
        "statistic": ["zeros", "largest_rate"],
        "observed": [2.0, 0.95],
        "mean": [zeros.mean(), 0.5],
        "low": [0.0, 0.14],
        "high": [5.0, 0.86],
        "tail_probability": [0.3, 0.0],
    }
    return PredictiveCheck(table, {"zeros": zeros, "largest_rate": rates}, "population")


def test_counts_have_a_bar_each_and_everything_is_drawn(exact):
    (ax,) = new_panels(1, 1, 4, 3)[0]
    assert posterior_predictive(exact, ax, statistic="zeros", check=made()) is ax
    heights, edges, _ = ax.patches[0].get_data()
    assert np.allclose(heights, [0.1, 0.4, 0.4, 0, 0, 0.1])
    assert edges[0] == -0.5
    assert np.allclose(ax.lines[0].get_xdata(), 2.0)
    assert ax.collections[0].get_segments()[0][:, 0].tolist() == [0.0, 5.0]
    assert ax.texts[0].get_text() == "observed 2; P(≥) = 0.3"
    ax.figure.savefig("/dev/null", format="png")


def test_an_observed_value_beyond_all_replicates_is_inside_the_axes(exact):
    ax = posterior_predictive(exact, statistic="largest_rate", check=made())
    assert ax.get_xlim()[1] >= 0.95
    assert ax.texts[0].get_text() == "observed 0.95; P(≥) = 0"


def test_the_fit_is_asked_where_there_is_no_check(rats):
    fit = point_fit(rats)
    key = jax.random.key(1)
    ax = posterior_predictive(fit, key=key)
    check = fit.posterior_predictive(key)
    heights, edges, _ = ax.patches[0].get_data()
    assert np.allclose(heights, np.histogram(check.replicates["zeros"], edges)[0] / 4000)


def test_what_is_missing_is_said(exact):
    with pytest.raises(TypeError, match="key"):
        posterior_predictive(exact)
    with pytest.raises(ValueError, match="expected one of zeros, largest_rate, found 'mode'"):
        posterior_predictive(exact, statistic="mode", check=made())
