"""Moment estimates against published figures, formulas written out in loops, and simulations."""

import jax
import numpy as np
import pytest

import hierjax as hj
from hierjax.errors import InferenceError
from hierjax.families.beta_binomial import BetaBinomial
from hierjax.inference.moments import estimate

ESTIMATORS = ("noise_corrected", "raw_rates")
RATS = hj.datasets.rat_tumors()


def moments(counts, estimator="noise_corrected", **settings):
    return hj.fit(counts, method=hj.Moments(estimator), **settings)


def seventy(successes, trials):
    """Units repeated until there are as many as rats, for which all tests compile once."""
    return hj.Counts(np.resize(successes, len(RATS)), np.resize(trials, len(RATS)))


def working_coordinates(fit):
    return fit.posterior.points[0, 0]


def expected_scatter(trials, mean, correlation):
    """Expectation of sum n (rate - pooled rate)^2, from the variance of every rate."""
    total, expectation, variance_of_pooled = sum(trials), 0.0, 0.0
    for n in trials:
        variance = mean * (1 - mean) * (1 + (n - 1) * correlation) / n
        expectation += n * variance
        variance_of_pooled += (n / total) ** 2 * variance
    return expectation - total * variance_of_pooled


def correlation_by_loops(successes, trials):
    """The correlation at which the scatter is what it is expected to be: it is linear."""
    pooled = sum(successes) / sum(trials)
    scatter = 0.0
    for y, n in zip(successes, trials, strict=True):
        scatter += n * (y / n - pooled) ** 2
    at_zero, at_one = (expected_scatter(trials, pooled, rho) for rho in (0.0, 1.0))
    return (scatter - at_zero) / (at_one - at_zero)


@pytest.mark.parametrize(
    ("current", "alpha", "beta"),
    [
        (False, 1.3777748392916778, 8.752435447153113),
        (True, 1.3955487940647437, 8.708696195448802),
    ],
)
def test_raw_rates_give_the_published_estimates(current, alpha, beta):
    fit = moments(hj.datasets.rat_tumors(current), "raw_rates")
    assert fit.status == "converged"
    assert fit.estimate("alpha") == pytest.approx(alpha, rel=1e-12)
    assert fit.estimate("beta") == pytest.approx(beta, rel=1e-12)


def test_raw_rates_give_the_published_rate_of_the_71st_experiment():
    rate = moments(RATS, "raw_rates").predict(4, 14)["mean"][0]
    assert rate == pytest.approx(0.22286481449822496, rel=1e-12)


def test_noise_correction_solves_the_expectation_of_the_scatter():
    fit = moments(RATS)
    correlation = correlation_by_loops(RATS.successes.tolist(), RATS.trials.tolist())
    assert fit.info["correlation"] == pytest.approx(correlation, rel=1e-12)
    assert fit.info["mean"] == pytest.approx(263 / 1725, rel=1e-14)
    assert fit.estimate("concentration") == pytest.approx(1 / correlation - 1, rel=1e-12)


def test_noise_correction_is_consistent_and_the_raw_rates_are_not():
    trials = np.resize([3, 10, 40], 30_000)
    counts, _ = hj.datasets.simulate(
        jax.random.key(3), mean=0.14, concentration=16.0, trials=trials
    )
    table = moments(counts).summary()
    truth = np.array([np.log(0.14 / 0.86), np.log(16.0)])
    errors = (table["mean"][:2] - truth) / table["sd"][:2]
    # Normal by the central limit theorem: outside 4 for one seed in 8,000.
    assert np.all(np.abs(errors) < 4)
    assert np.all(table["sd"][:2] < 0.05)
    biased = moments(counts, "raw_rates").summary()
    assert biased["mean"][1] + 10 * biased["sd"][1] < truth[1]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_standard_errors_are_those_of_repeated_data(estimator):
    """Over 1,000 data sets the mean variance estimated and the variance found agree."""
    trials = np.resize([5, 20, 80], 300)
    rng = np.random.default_rng(5)
    rates = rng.beta(0.2 * 8, 0.8 * 8, size=(1000, 300))
    successes = rng.binomial(trials, rates).astype(np.float64)
    with jax.enable_x64(True):
        estimates = jax.vmap(
            lambda y: estimate(BetaBinomial(), estimator, y, trials * 1.0, np.ones(300))
        )
        _, eta, covariance = jax.tree.map(np.asarray, estimates(successes))
    found = np.cov(eta.T)
    # A variance from 1,000 nearly normal data sets has a relative error of sqrt(2/999) = 4.5 %;
    # 0.18 is four of them. Linearisation errs by the order of 1/J, here 0.3 %.
    np.testing.assert_allclose(covariance.mean(axis=0).diagonal(), found.diagonal(), rtol=0.18)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_covariance_is_the_infinitesimal_jackknife(estimator):
    """Central differences in every unit's weight, with errors of the order of step^2 = 1e-6."""
    step, units = 1e-3, len(RATS)

    def estimate(j, shift):
        weights = np.ones(units)
        weights[j] += shift
        counts = hj.Counts(RATS.successes, RATS.trials, weights=weights)
        return working_coordinates(moments(counts, estimator))

    slopes = np.array([(estimate(j, step) - estimate(j, -step)) / (2 * step) for j in range(units)])
    expected = slopes.T @ slopes * units / (units - 1)
    covariance = moments(RATS, estimator).result.covariance
    np.testing.assert_allclose(covariance, expected, rtol=1e-5)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_standard_errors_are_near_those_of_leaving_units_out(estimator):
    units = len(RATS)
    left_out = np.array(
        [
            working_coordinates(moments(RATS.select(np.arange(units) != j), estimator))
            for j in range(units)
        ]
    )
    jackknife = np.sqrt((units - 1) ** 2 / units * left_out.var(axis=0, ddof=1))
    # The two jackknives differ by terms of relative order 1/J = 1.4 %, more where the estimate
    # is strongly curved, as the log-concentration is.
    np.testing.assert_allclose(moments(RATS, estimator).summary()["sd"][:2], jackknife, rtol=0.05)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_weight_of_two_is_a_unit_listed_twice(estimator):
    times = np.resize([1, 2, 1], len(RATS))
    counts = hj.Counts(RATS.successes, RATS.trials, weights=times)
    twice = hj.Counts(np.repeat(RATS.successes, times), np.repeat(RATS.trials, times))
    weighted, listed = moments(counts, estimator), moments(twice, estimator)
    for column in ("mean", "sd", "low", "high"):
        np.testing.assert_allclose(weighted.summary()[column], listed.summary()[column], rtol=1e-12)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_units_without_trials_change_nothing(estimator):
    counts = hj.Counts([*RATS.successes, 0, 0], [*RATS.trials, 0, 0])
    with_them, without = moments(counts, estimator).summary(), moments(RATS, estimator).summary()
    np.testing.assert_allclose(with_them["mean"], without["mean"], rtol=1e-12)
    np.testing.assert_allclose(with_them["sd"], without["sd"], rtol=1e-12)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_single_precision_is_close(estimator):
    double, single = (moments(RATS, estimator, precision=p) for p in ("float64", "float32"))
    assert single.posterior.points.dtype == np.float32
    np.testing.assert_allclose(single.summary()["mean"], double.summary()["mean"], rtol=1e-4)
    np.testing.assert_allclose(single.units()["mean"], double.units()["mean"], rtol=1e-4)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_equal_rates_are_completely_pooled(estimator, precision):
    fit = moments(seventy([1, 2, 3], [7, 14, 21]), estimator, precision=precision)
    assert fit.status == "boundary"
    assert "complete pooling" in fit.message
    assert fit.posterior.points[0, 0, 1] == np.inf
    table = fit.units()
    np.testing.assert_allclose(table["mean"], 1 / 7, rtol=1e-6)
    assert np.all(table["sd"] == 0)
    assert np.all(table["shrinkage"] == 1)


def test_rates_that_vary_less_than_binomial_noise_are_completely_pooled():
    counts = seventy([4, 5, 6, 5, 4, 6, 5], [10])
    fit = moments(counts)
    assert (fit.status, fit.info["correlation"] < 0) == ("boundary", True)
    assert fit.estimate("mean") == pytest.approx(0.5, rel=1e-12)
    # Without the correction the noise itself is taken for variation between the units.
    assert moments(counts, "raw_rates").status == "converged"


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(
    ("successes", "trials"),
    [
        ([0, 0, 0], [5, 6, 7]),
        ([5, 6, 7], [5, 6, 7]),
        ([0, 9, 0, 9], [9, 9, 9, 9]),  # a correlation within units of one or more
    ],
)
def test_counts_whose_moments_no_beta_has_fail(estimator, successes, trials):
    fit = moments(seventy(successes, trials), estimator)
    assert fit.status == "failed"
    assert "no Beta has these moments" in fit.message
    with pytest.raises(InferenceError, match="no Beta has these moments"):
        fit.units()


def test_an_unknown_estimator_is_refused():
    with pytest.raises(ValueError, match="noise_corrected"):
        hj.Moments("classic")
