"""Replicated data against the beta-binomial's own probabilities."""

import jax
import numpy as np
import pytest
from scipy.stats import betabinom

import hierjax as hj
from hierjax.checks import predictive
from hierjax.errors import ConfigError

RATS = hj.datasets.rat_tumors(current=True)
Y, N = RATS.successes, RATS.trials
KEY = jax.random.key(12)


@pytest.fixture(scope="module")
def maximum():
    return hj.fit(RATS, method=hj.Type2MLE())


@pytest.fixture(scope="module")
def fit():
    return hj.fit(RATS)


def require_z(found, expected, error):
    """At most 4.5 standard errors: one seed in 150,000 would fail."""
    assert abs(found - expected) < 4.5 * error


def test_at_a_point_replicates_have_the_beta_binomial_s_distribution(maximum):
    check = maximum.posterior_predictive(KEY, draws=20_000)
    a, b = maximum.estimate("alpha"), maximum.estimate("beta")
    none = betabinom.pmf(0, N, a, b)
    zeros = check.replicates["zeros"]
    require_z(zeros.mean(), none.sum(), zeros.std() / np.sqrt(20_000))
    # The variance of a variance of a nearly normal sum is 2 sigma^4 / draws.
    spread = np.sum(none * (1 - none))
    require_z(zeros.var(), spread, spread * np.sqrt(2 / 20_000))
    # All units stay below the observed largest rate, or at most at it.
    largest = np.max(Y / N)
    under = np.prod(betabinom.cdf(np.ceil(largest * N) - 1, N, a, b))
    at_most = np.prod(betabinom.cdf(np.floor(largest * N), N, a, b))
    row = dict(zip(check["statistic"], check.rows(), strict=True))["largest_rate"]
    require_z(row["tail_probability"], 1 - 0.5 * (under + at_most), row["mcse"])
    k = np.arange(60)
    rates = np.where(k <= N[:, None], k / N[:, None], 0.0)
    mass = betabinom.pmf(k, N[:, None], a, b)
    mean, square = (mass * rates).sum(axis=1), (mass * rates**2).sum(axis=1)
    # E[variance] = mean of squares less the expected square of the mean.
    variance = square.mean() - (mean.mean() ** 2 + np.sum(square - mean**2) / 71**2)
    found = check.replicates["variance_of_rates"]
    require_z(found.mean(), variance, found.std() / np.sqrt(20_000))


def test_hyperparameters_are_drawn_from_their_posterior(fit):
    check = fit.posterior_predictive(KEY)
    points = np.asarray(fit.posterior.points).reshape(-1, 2)
    weights = fit.posterior.weights.ravel()
    kept = weights > 1e-8
    kappa, m = np.exp(points[kept, 1]), 1 / (1 + np.exp(-points[kept, 0]))
    none = betabinom.pmf(0, N[:, None], m * kappa, (1 - m) * kappa) @ weights[kept]
    zeros = check.replicates["zeros"]
    require_z(zeros.mean(), none.sum(), zeros.std() / np.sqrt(len(zeros)))
    assert check["observed"][0] == np.sum(Y == 0)
    assert check["observed"][1] == np.max(Y / N)
    assert check["observed"][2] == pytest.approx(np.var(Y / N), rel=1e-14)
    for name, row in zip(check["statistic"], check.rows(), strict=True):
        values = check.replicates[name]
        assert row["mean"] == values.mean()
        ends = np.quantile(values, [0.05, 0.95])
        np.testing.assert_allclose([row["low"], row["high"]], ends, rtol=1e-12)
        ties = np.mean(values > row["observed"]) + 0.5 * np.mean(values == row["observed"])
        assert row["tail_probability"] == pytest.approx(ties, abs=1e-12)
        assert 0.02 < ties < 0.98


def test_units_that_keep_their_rates_replicate_their_own_counts(maximum):
    check = maximum.posterior_predictive(KEY, rates="units")
    assert check.rates == "units"
    a, b = maximum.estimate("alpha"), maximum.estimate("beta")
    none = betabinom.pmf(0, N, a + Y, b + N - Y).sum()
    zeros = check.replicates["zeros"]
    require_z(zeros.mean(), none, zeros.std() / np.sqrt(len(zeros)))


@pytest.mark.slow
def test_a_population_of_another_shape_is_noticed():
    """A fifth of the units have no risk at all: too many zeros for a Beta of these other rates."""
    rng = np.random.default_rng(2)
    y = np.where(np.arange(200) < 40, 0, rng.binomial(200, rng.beta(60, 140, 200)))
    check = hj.fit(hj.Counts(y, [200] * 200)).posterior_predictive(KEY, draws=500)
    assert check["tail_probability"][0] < 0.01


def test_the_key_decides_and_batches_do_not(fit, monkeypatch):
    one = fit.posterior_predictive(KEY, draws=50)
    assert one.to_csv() == fit.posterior_predictive(KEY, draws=50).to_csv()
    other = fit.posterior_predictive(jax.random.key(13), draws=50)
    assert one.to_csv() != other.to_csv()
    # A batch of one replicate at a time takes the generator's numbers in another order.
    monkeypatch.setattr(predictive, "_CELLS", 71)
    small = fit.posterior_predictive(KEY, draws=50)
    assert {len(values) for values in small.replicates.values()} == {50}


def test_complete_pooling_has_one_rate_and_units_without_trials_are_left_out():
    counts = hj.Counts([2] * 20 + [0], [10] * 20 + [0])
    fit = hj.fit(counts, method=hj.Type2MLE())
    assert fit.status == "boundary"
    check = fit.posterior_predictive(KEY, draws=5000)
    # The variance of equal rates is what rounding leaves.
    np.testing.assert_allclose(check["observed"], [0.0, 0.2, 0.0], atol=1e-30)
    zeros = check.replicates["zeros"]
    require_z(zeros.mean(), 20 * 0.8**10, zeros.std() / np.sqrt(5000))
    assert check["tail_probability"][2] == 1.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"draws": 1}, "draws: expected a whole number of at least 2, found 1"),
        ({"level": 1.0}, r"level: expected a probability inside \(0, 1\), found 1.0"),
        ({"rates": "all"}, "rates: expected 'population' or 'units', found 'all'"),
    ],
)
def test_settings_out_of_range_are_refused(fit, settings, message):
    with pytest.raises(ConfigError, match=message):
        fit.posterior_predictive(KEY, **settings)


def test_untyped_keys_are_refused(fit):
    with pytest.raises(TypeError, match="key"):
        fit.posterior_predictive(jax.random.key_data(KEY))
