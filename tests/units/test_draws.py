"""Joint draws of the hyperparameters and of units' rates."""

import jax
import numpy as np
import pytest
from monte_carlo import exact

import hierjax as hj
from hierjax.errors import ConfigError

DRAWS = 20_000


# 280 comparisons beyond 5 standard errors: a false alarm once in some 6,000 sets of seeds.
def test_rates_and_hyperparameters_are_drawn_jointly():
    fit = exact()
    points, rates = fit.sample_rates(DRAWS, jax.random.key(4))
    units, error = fit.units(), 1 / np.sqrt(DRAWS)
    assert points.shape == (DRAWS, 2)
    assert rates.shape == (DRAWS, len(fit.counts))
    assert np.all(np.abs(rates.mean(axis=0) - units["mean"]) < 5 * error * units["sd"])
    for column, level in (("low", 0.05), ("median", 0.5), ("high", 0.95)):
        below = (rates < units[column]).mean(axis=0)
        assert np.all(np.abs(below - level) < 5 * error * np.sqrt(level * (1 - level)))
    # Given the hyperparameters a rate's mean is (alpha + y) / (alpha + beta + n).
    mean, concentration = 1 / (1 + np.exp(-points[:, :1])), np.exp(points[:, 1:])
    y, n = fit.counts.successes, fit.counts.trials
    expected = (concentration * mean + y) / (concentration + n)
    residual = rates - expected
    for column in points.T:
        covariance = np.mean(residual * (column - column.mean())[:, None], axis=0)
        spread = residual.std(axis=0) * column.std()
        assert np.all(np.abs(covariance) < 5 * error * spread)


def test_draws_are_the_keys_alone():
    first, again, other = (
        exact().sample_rates(DRAWS, jax.random.key(seed))[1] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.mean(first == other) < 1e-4


def test_complete_pooling_draws_one_rate_for_all():
    pooled = hj.fit(hj.Counts([2] * 20, [10] * 20), method=hj.Type2MLE())
    np.testing.assert_allclose(pooled.sample_rates(3, jax.random.key(0))[1], 0.2, rtol=1e-12)


def test_no_draws_are_refused():
    with pytest.raises(ConfigError, match="draws: expected a whole number of at least 1, found 0"):
        exact().sample_rates(0, jax.random.key(0))
