"""Simulated data sets: their distribution, what they depend on, and what is refused."""

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats
from scipy.special import expit

import hierjax as hj
from hierjax.datasets.populations import (
    BetaPopulation,
    FixedTrials,
    SpikeAtZero,
    TrialDependent,
    UniformTrials,
)
from hierjax.errors import ConfigError, DataError, ModelError
from hierjax.hyperpriors import MeanConcentration, PowerLaw, ShapeRate, Shapes
from hierjax.studies.simulation import simulate_batch, simulate_like, simulate_prior

KEY = jax.random.key(0)
PRIOR = MeanConcentration(dist.Uniform(0.0, 0.5), dist.LogNormal(2.0, 1.0))
# Each check of simulated values would fail by chance with this probability; keys are fixed.
FALSE_ALARM = 1e-6
STANDARD_ERRORS = stats.norm.isf(FALSE_ALARM / 2)


def by_population(key, data_sets):
    population, trials = TrialDependent(2.3, 14.0, 0.3), UniformTrials(10, 50)
    return simulate_batch(key, population, units=7, trials=trials, data_sets=data_sets)


def by_prior(key, data_sets):
    return simulate_prior(key, PRIOR, units=7, trials=UniformTrials(10, 50), data_sets=data_sets)


def by_table(key, data_sets):
    counts = hj.Counts([1, 2, 3], [20, 4, 14])
    return simulate_like(key, counts, np.array([-1.8, 2.8]), data_sets)


SIMULATORS = pytest.mark.parametrize("simulator", [by_population, by_prior, by_table])


def arrays(simulated):
    data_sets = simulated.data_sets
    return data_sets.successes, data_sets.trials, simulated.rates, simulated.coordinates


def assert_equal(one, other):
    for found, expected in zip(arrays(one), arrays(other), strict=True):
        np.testing.assert_array_equal(found, expected)


@SIMULATORS
def test_the_first_data_sets_of_many_are_those_of_few(simulator):
    many = simulator(KEY, 10_000)
    for few in (1, 200, 256, 257):
        alone = simulator(KEY, few)
        assert len(alone) == few
        assert_equal(alone, many.first(few))


@SIMULATORS
def test_data_sets_depend_on_the_key_alone(simulator):
    first = simulator(KEY, 300)
    with jax.enable_x64(True):
        assert_equal(first, simulator(KEY, 300))
    with jax.enable_x64(False):
        assert_equal(first, simulator(KEY, 300))
    other = simulator(jax.random.key(1), 300)
    assert not np.any(first.rates == other.rates)
    # Nor do data sets repeat from one block of them to the next.
    assert len(np.unique(first.rates)) == first.rates.size


def test_large_data_sets_come_in_smaller_blocks_with_the_same_promise():
    given = {"units": 60_000, "trials": FixedTrials(5)}
    population = BetaPopulation(2.0, 8.0)
    many = simulate_batch(KEY, population, data_sets=6, **given)
    assert_equal(simulate_batch(KEY, population, data_sets=5, **given), many.first(5))
    assert len(np.unique(many.rates)) == many.rates.size


def test_successes_follow_the_beta_binomial():
    trials, data_sets, units = 10, 2_000, 10
    population = BetaPopulation(2.0, 6.0)
    simulated = simulate_batch(
        KEY, population, units=units, trials=FixedTrials(trials), data_sets=data_sets
    )
    pmf = stats.betabinom(trials, 2.0, 6.0).pmf(np.arange(trials + 1))
    observed = np.bincount(simulated.data_sets.successes.ravel(), minlength=trials + 1)
    expected = pmf * observed.sum()
    assert expected.min() > 10
    assert stats.chisquare(observed, expected).pvalue > FALSE_ALARM
    assert stats.kstest(simulated.rates.ravel(), stats.beta(2.0, 6.0).cdf).pvalue > FALSE_ALARM
    np.testing.assert_allclose(
        simulated.coordinates, np.tile([np.log(2 / 6), np.log(8)], (data_sets, 1)), rtol=1e-15
    )


def test_units_of_one_data_set_share_nothing_but_the_population():
    rates = by_population(KEY, 10_000).rates
    correlations = np.corrcoef(rates.T)[np.triu_indices(7, 1)]
    bound = stats.norm.isf(FALSE_ALARM / len(correlations) / 2) / np.sqrt(10_000)
    assert np.abs(correlations).max() < bound


def test_a_population_that_is_no_beta_has_the_coordinates_of_its_moments():
    population = SpikeAtZero(0.3, 2.0, 6.0)
    simulated = simulate_batch(KEY, population, units=5, trials=FixedTrials(9), data_sets=4)
    mean, kappa = expit(simulated.coordinates[:, 0]), np.exp(simulated.coordinates[:, 1])
    np.testing.assert_allclose(mean, population.mean, rtol=1e-12)
    np.testing.assert_allclose(mean * (1 - mean) / (kappa + 1), population.variance, rtol=1e-12)


@pytest.mark.parametrize("prior", [PRIOR, Shapes(dist.LogNormal(1.0, 0.5), dist.Exponential(0.2))])
def test_hyperparameters_follow_the_hyperprior_and_rates_follow_them(prior):
    simulated = simulate_prior(KEY, prior, units=2, trials=FixedTrials(9), data_sets=4_000)
    mean, kappa = expit(simulated.coordinates[:, 0]), np.exp(simulated.coordinates[:, 1])
    if isinstance(prior, Shapes):
        drawn = {
            stats.lognorm(0.5, scale=np.e): mean * kappa,
            stats.expon(scale=5.0): (1 - mean) * kappa,
        }
    else:
        drawn = {stats.uniform(0.0, 0.5): mean, stats.lognorm(1.0, scale=np.exp(2.0)): kappa}
    for law, values in drawn.items():
        assert stats.kstest(values, law.cdf).pvalue > FALSE_ALARM
    # Each rate, put through the distribution function of its own population, is uniform.
    place = stats.beta.cdf(
        simulated.rates, *(x[:, None] for x in (mean * kappa, kappa - mean * kappa))
    )
    for column in place.T:
        assert stats.kstest(column, "uniform").pvalue > FALSE_ALARM


def test_data_like_ones_own_have_its_trials_and_the_fitted_population():
    counts = hj.datasets.rat_tumors()
    eta = np.array([-1.8, 2.8])
    simulated = simulate_like(KEY, counts, eta, 1_000)
    assert np.all(simulated.data_sets.trials == counts.trials)
    alpha, beta = expit(eta[0]) * np.exp(eta[1]), expit(-eta[0]) * np.exp(eta[1])
    assert stats.kstest(simulated.rates.ravel(), stats.beta(alpha, beta).cdf).pvalue > FALSE_ALARM
    n, theta = simulated.data_sets.trials, simulated.rates
    residuals = (simulated.data_sets.successes - n * theta) / np.sqrt(n * theta * (1 - theta))
    assert abs(residuals.mean()) < STANDARD_ERRORS / np.sqrt(residuals.size)
    squares = residuals**2
    assert abs(squares.mean() - 1) < STANDARD_ERRORS * squares.std() / np.sqrt(squares.size)


def test_an_infinite_concentration_gives_all_units_one_rate():
    simulated = simulate_like(KEY, hj.Counts([1, 2], [9, 9]), np.array([-1.0, np.inf]), 3)
    assert np.all(simulated.rates == expit(-1.0))
    assert np.all(simulated.coordinates == [-1.0, np.inf])


def test_first_keeps_to_what_there_is():
    with pytest.raises(ConfigError, match=r"data_sets: expected a whole number from 1 to 4"):
        by_table(KEY, 4).first(5)


@SIMULATORS
def test_what_cannot_be_simulated_is_refused(simulator):
    with pytest.raises(ConfigError, match=r"data_sets: .* at least 1, found 0"):
        simulator(KEY, 0)
    with pytest.raises(TypeError, match="key"):
        simulator(jax.random.PRNGKey(0), 3)


def test_bad_settings_are_refused_before_anything_is_drawn():
    population, trials = BetaPopulation(2.0, 6.0), FixedTrials(9)
    with pytest.raises(ConfigError, match=r"units: .* at least 2, found 0"):
        simulate_batch(KEY, population, units=0, trials=trials, data_sets=3)
    with pytest.raises(ConfigError, match=r"units: .* at least 2, found 1"):
        simulate_prior(KEY, PRIOR, units=1, trials=trials, data_sets=3)
    with pytest.raises(ModelError, match=r"expected a proper one .*, found PowerLaw\("):
        simulate_prior(KEY, PowerLaw(), units=5, trials=trials, data_sets=3)
    counts = hj.Counts([1, 2], [9, 9], weights=[1.0, 2.0])
    with pytest.raises(DataError, match="without weights"):
        simulate_like(KEY, counts, np.array([-1.0, 2.0]), 3)
    for eta in ([np.nan, 2.0], [0.0, -np.inf], [0.0, np.nan]):
        with pytest.raises(ModelError, match="coordinates: expected a finite logit mean"):
            simulate_like(KEY, hj.Counts([1, 2], [9, 9]), np.array(eta), 3)


def test_other_families_are_refused():
    trials, prior = FixedTrials(9), ShapeRate(dist.Exponential(1.0), dist.Gamma(0.1, 1.0))
    message = (
        "hyperprior: expected one for the family beta_binomial, as studies know no other, "
        "found ShapeRate, which is for gamma_poisson"
    )
    with pytest.raises(ConfigError, match=message):
        simulate_prior(KEY, prior, units=5, trials=trials, data_sets=3)
    message = "counts: expected Counts, as studies know no other family, found Events"
    with pytest.raises(DataError, match=message):
        simulate_like(KEY, hj.datasets.pumps(), np.array([-1.0, 2.0]), 3)
