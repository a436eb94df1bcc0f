"""Predictions of a later period: errors, and the coverage of predictive intervals."""

import jax
import numpy as np
import pytest
from scipy.stats import betabinom, nbinom, norm

import hierjax as hj
from hierjax.checks import forecast
from hierjax.errors import DataError
from hierjax.posterior import HyperPosterior


@pytest.fixture(scope="module")
def counties():
    """Simulated counties in two periods."""
    table, _ = hj.datasets.simulate_counties(jax.random.key(3), counties=800)
    return [
        hj.Events(table[f"deaths_{period}"], table[f"person_years_{period}"])
        for period in hj.datasets.counties.PERIODS
    ]


@pytest.fixture(scope="module")
def found(counties):
    return forecast(hj.fit(counties[0], method=hj.Moments()), counties[1])


def scores(found):
    return dict(zip(found.scores["quantity"], found.scores["value"], strict=True))


def test_shrunken_rates_predict_a_second_period_better_than_raw_and_pooled_ones(found):
    """Of 12 such sets of 1,500 counties the ratios were 0.83 +- 0.02 and 0.75 +- 0.13."""
    errors = scores(found)
    assert errors["rmse_partial_pooling"] < 0.95 * errors["rmse_no_pooling"]
    assert errors["rmse_partial_pooling"] < 0.95 * errors["rmse_complete_pooling"]


def test_intervals_hold_their_share_where_rates_stay_as_they_are(found):
    table = found.scores
    z = (table["value"] - table["expected"])[3:] / table["se"][3:]
    # Five scores: a false alarm once in 3,000 seeds.
    assert np.abs(z).max() < 4


def test_errors_are_what_they_say(counties, found):
    before, after = counties
    rates = before.events / before.exposures
    raw = np.sqrt(np.mean((after.events - after.exposures * rates) ** 2))
    assert scores(found)["rmse_no_pooling"] == pytest.approx(raw, rel=1e-12)
    pooled = before.events.sum() / before.exposures.sum()
    np.testing.assert_allclose(found.units["complete_pooling"], pooled * after.exposures)


def known(container, place, concentration, earlier, later):
    """A forecast under known hyperparameters."""
    fit = hj.fit(container(*earlier), method=hj.Moments())
    eta = np.array([[[place, np.log(concentration)]]])
    fit.result.__dict__["posterior"] = HyperPosterior(eta, np.ones((1, 1)))
    return forecast(fit, container(*later))


@pytest.mark.parametrize(
    ("container", "earlier", "later", "place", "cdf"),
    [
        (
            hj.Events,
            ([0, 7, 30], [1.0, 2.0, 9.0]),
            ([1, 6, 41], [2.0, 2.5, 10.0]),
            np.log(3.0),
            lambda y, e, k, x: nbinom.cdf(k, 6 + y, (2 + e) / (2 + e + x)),
        ),
        (
            hj.Counts,
            ([0, 7, 30], [9, 12, 60]),
            ([1, 6, 41], [12, 10, 80]),
            0.0,
            lambda y, n, k, x: betabinom.cdf(k, x, 1 + y, 1 + n - y),
        ),
    ],
)
def test_places_are_those_of_the_predictive_distribution(container, earlier, later, place, cdf):
    units = known(container, place, 2.0, earlier, later).units
    (y, n), (k, x) = map(np.array, earlier), map(np.array, later)
    np.testing.assert_allclose(units["at_most"], cdf(y, n, k, x), atol=1e-8)
    np.testing.assert_allclose(units["below"], cdf(y, n, k - 1, x), atol=1e-8)


def test_measurements_have_one_place_each():
    given = np.array([1.0, -2.0, 3.0]), np.array([1.0, 2.0, 0.5])
    units = known(hj.Measurements, 0.5, 0.25, given, ([2.0, 0.0, 1.0], [1.0, 1.0, 2.0])).units
    precision = 0.25 + given[1] ** -2.0
    mean = (0.5 * 0.25 + given[0] / given[1] ** 2) / precision
    sd = np.sqrt(1 / precision + np.array([1.0, 1.0, 4.0]))
    np.testing.assert_allclose(units["below"], norm.cdf([2.0, 0.0, 1.0], mean, sd), atol=1e-12)
    np.testing.assert_array_equal(units["below"], units["at_most"])


def test_units_without_data_in_a_period_have_no_error():
    before = hj.Counts([3, 0, 8, 2], [10, 0, 20, 9])
    after = hj.Counts([3, 1, 0, 4], [10, 5, 0, 12])
    found = forecast(hj.fit(before, method=hj.Moments()), after)
    assert (found.units["below"][2], found.units["at_most"][2]) == (0.0, 1.0)
    assert len(found.pit.low) == 3
    used = [0, 3]
    raw = np.sqrt(np.mean((np.array([3, 4]) - np.array([10, 12]) * np.array([0.3, 2 / 9])) ** 2))
    assert scores(found)["rmse_no_pooling"] == pytest.approx(raw)
    assert np.isfinite(found.units["no_pooling"][used]).all()


def test_other_units_are_refused():
    fit = hj.fit(hj.datasets.pumps(), method=hj.Moments())
    with pytest.raises(DataError, match="later: expected gamma_poisson data of 10 units, found"):
        forecast(fit, hj.Events([1, 2], [3.0, 4.0]))
    with pytest.raises(DataError, match="found beta_binomial of 70"):
        forecast(fit, hj.datasets.rat_tumors())
