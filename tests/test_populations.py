"""Populations and numbers of trials: moments against integrals and samples, and what is refused."""

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import expit, logit

from hierjax.datasets.populations import (
    POPULATIONS,
    TRIALS,
    BetaPopulation,
    FixedTrials,
    HeavyTail,
    ListedTrials,
    LogUniformTrials,
    PoissonTrials,
    SpikeAtZero,
    TrialDependent,
    TwoClusters,
    UniformTrials,
)
from hierjax.errors import DataError, ModelError

UNITS = 40_000
# A normal error exceeds five standard errors once in 1.7 million times; seeds are fixed.
STANDARD_ERRORS = 5
TRIAL_DISTRIBUTIONS = [
    FixedTrials(20),
    UniformTrials(10, 50),
    PoissonTrials(1.5),
    LogUniformTrials(1, 1000),
    ListedTrials((20, 14, 0)),
]
ALL_POPULATIONS = [
    BetaPopulation(2.3, 14.0),
    TwoClusters(0.1, 0.4, 0.25, 50.0),
    HeavyTail(0.14, 0.4, 2.0),
    SpikeAtZero(0.2, 2.3, 14.0),
    TrialDependent(2.3, 14.0, 0.5),
    TrialDependent(2.3, 14.0, -1.0, reference=100.0),
]


def probabilities(trials):
    """Every number of trials with its probability, from the distributions' definitions."""
    if isinstance(trials, FixedTrials):
        return {trials.trials: 1.0}
    if isinstance(trials, UniformTrials):
        numbers = range(trials.low, trials.high + 1)
        return {n: 1 / len(numbers) for n in numbers}
    if isinstance(trials, PoissonTrials):
        found = {n: float(stats.poisson.pmf(n, trials.mean)) for n in range(1, 40)}
        return {**found, 1: found[1] + math.exp(-trials.mean)}
    if isinstance(trials, LogUniformTrials):
        span = math.log(trials.high + 1) - math.log(trials.low)
        return {n: math.log1p(1 / n) / span for n in range(trials.low, trials.high + 1)}
    return {n: trials.values.count(n) / len(trials.values) for n in trials.values}


@pytest.mark.parametrize("trials", TRIAL_DISTRIBUTIONS, ids=lambda trials: trials.kind)
def test_trials_have_their_probabilities(trials):
    drawn = trials.draw(np.random.default_rng(0), UNITS // 100, 100)
    assert drawn.shape == (UNITS // 100, 100)
    assert drawn.dtype == np.int64
    expected = probabilities(trials)
    assert sum(expected.values()) == pytest.approx(1, abs=1e-12)
    assert set(np.unique(drawn)) <= set(expected)
    if isinstance(trials, (FixedTrials, ListedTrials)):
        listed = [20, 14, 0, 20] if isinstance(trials, ListedTrials) else [20] * 4
        assert np.all(drawn[:, :4] == listed)
        return
    numbers = np.array(list(expected))
    share = np.array(list(expected.values()))
    order = np.argsort(numbers)
    # Distribution functions of discrete numbers: the test errs on the safe side.
    cdf = np.cumsum(share[order])
    observed = np.searchsorted(np.sort(drawn.ravel()), numbers[order], side="right") / drawn.size
    assert np.abs(observed - cdf).max() < stats.kstwo.isf(1e-6, drawn.size)


@pytest.mark.parametrize("trials", TRIAL_DISTRIBUTIONS, ids=lambda trials: trials.kind)
def test_quantiles_invert_the_distribution(trials):
    levels = np.array([0.003, 0.21, 0.5001, 0.77, 0.9993])
    expected = probabilities(trials)
    numbers = np.sort(list(expected))
    cdf = np.cumsum([expected[n] for n in numbers])
    assert trials.quantile(levels).tolist() == numbers[np.searchsorted(cdf, levels)].tolist()


@pytest.mark.parametrize("population", ALL_POPULATIONS, ids=lambda population: population.kind)
@pytest.mark.parametrize("trials", [UniformTrials(10, 50), LogUniformTrials(1, 1000)], ids=str)
def test_rates_have_the_moments(population, trials):
    generator = np.random.default_rng(1)
    rates = population.rates(generator, trials.draw(generator, UNITS // 100, 100)).ravel()
    assert np.all((rates >= 0) & (rates <= 1))
    mean, variance = population.moments(trials)
    assert abs(rates.mean() - mean) < STANDARD_ERRORS * rates.std() / math.sqrt(UNITS)
    away = (rates - mean) ** 2
    assert abs(away.mean() - variance) < STANDARD_ERRORS * away.std() / math.sqrt(UNITS)


@pytest.mark.parametrize("freedom", [0.5, 1.0, 2.0, 30.0])
@pytest.mark.parametrize("scale", [0.1, 0.4, 5.0])
def test_moments_of_heavy_tails_are_scipys_integrals(scale, freedom):
    population = HeavyTail(0.14, scale, freedom)

    def expected(function):
        def integrand(level):
            return function(expit(logit(0.14) + scale * stats.t.ppf(level, freedom)))

        parts = [0.0, 1e-6, 1e-3, 0.1, 0.5, 0.9, 0.999, 1 - 1e-6, 1.0]
        return sum(
            integrate.quad(integrand, a, b, epsabs=1e-13, limit=200)[0]
            for a, b in itertools.pairwise(parts)
        )

    mean = expected(lambda rate: rate)
    assert population.mean == pytest.approx(mean, abs=1e-10)
    variance = expected(lambda rate: (rate - mean) ** 2)
    assert population.variance == pytest.approx(variance, abs=1e-10)


def test_moments_of_mixtures_are_those_of_their_densities():
    """Against integrals of the density, rather than the formula of the variance between parts."""
    clusters = TwoClusters(0.1, 0.4, 0.25, 50.0)

    def density(rate):
        return 0.75 * stats.beta.pdf(rate, 5, 45) + 0.25 * stats.beta.pdf(rate, 20, 30)

    spike = SpikeAtZero(0.2, 2.3, 14.0)
    for population, pdf in (
        (clusters, density),
        (spike, lambda rate: 0.8 * stats.beta.pdf(rate, 2.3, 14.0)),
        (BetaPopulation(2.3, 14.0), stats.beta(2.3, 14.0).pdf),
    ):
        first = integrate.quad(lambda x, pdf=pdf: x * pdf(x), 0, 1)[0]
        second = integrate.quad(lambda x, pdf=pdf: x**2 * pdf(x), 0, 1)[0]
        assert population.mean == pytest.approx(first, abs=1e-8)
        assert population.variance == pytest.approx(second - first**2, abs=1e-8)


@pytest.mark.parametrize("trials", TRIAL_DISTRIBUTIONS, ids=lambda trials: trials.kind)
def test_moments_of_rates_that_depend_on_trials_average_over_these(trials):
    population = TrialDependent(2.0, 6.0, 0.7, reference=30.0)
    means, weights = [], []
    for number, probability in probabilities(trials).items():
        means.append(expit(logit(0.25) + 0.7 * math.log(max(number, 1) / 30.0)))
        weights.append(probability)
    means, weights = np.array(means), np.array(weights)
    mean = weights @ means
    variance = weights @ (means * (1 - means) / 9) + weights @ (means - mean) ** 2
    # Of 4,096 evenly spaced quantiles, at most one a number of trials is on the wrong side of it.
    assert population.moments(trials) == pytest.approx((mean, variance), abs=1 / 4096)


def test_rates_given_trials_have_the_mean_of_these():
    population = TrialDependent(2.0, 6.0, 0.7, reference=30.0)
    numbers = np.array([0, 1, 30, 3000])
    rates = population.rates(np.random.default_rng(2), np.tile(numbers, (UNITS, 1)))
    expected = expit(logit(0.25) + 0.7 * np.log(np.array([1, 1, 30, 3000]) / 30.0))
    errors = (rates.mean(axis=0) - expected) / (rates.std(axis=0) / math.sqrt(UNITS))
    assert np.abs(errors).max() < STANDARD_ERRORS


@pytest.mark.parametrize("population", ALL_POPULATIONS, ids=lambda population: population.kind)
def test_coordinates_are_those_of_the_beta_with_the_same_moments(population):
    trials = UniformTrials(10, 50)
    eta, log_kappa = population.coordinates(trials)
    beta = stats.beta(expit(eta) * math.exp(log_kappa), expit(-eta) * math.exp(log_kappa))
    assert (beta.mean(), beta.var()) == pytest.approx(population.moments(trials), rel=1e-12)


def test_a_population_of_one_rate_has_an_infinite_concentration():
    class OneRate(TwoClusters):
        variance = 0.0

    assert OneRate(0.5, 0.5, 0.5, 1.0).coordinates(FixedTrials(20)) == (0.0, math.inf)


def test_every_kind_is_registered_once():
    assert {cls.kind: cls for cls in map(type, ALL_POPULATIONS)} == POPULATIONS
    assert {cls.kind: cls for cls in map(type, TRIAL_DISTRIBUTIONS)} == TRIALS


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BetaPopulation(0.0, 1.0), "beta population: expected alpha .*, found 0.0"),
        (lambda: BetaPopulation(1.0, math.inf), "beta population: expected beta .*, found inf"),
        (lambda: TwoClusters(0.1, 1.0, 0.5, 9.0), "two_clusters .* high .*, found 1.0"),
        (lambda: TwoClusters(0.1, 0.2, 0.0, 9.0), "two_clusters .* share_high .*, found 0.0"),
        (lambda: TwoClusters(0.1, 0.2, 0.5, -9.0), "two_clusters .* concentration .*found -9.0"),
        (lambda: HeavyTail(0.1, math.nan, 2.0), "heavy_tail .* scale .*, found nan"),
        (lambda: HeavyTail(0.1, 1.0, 0.4), "freedom to be at least 0.5, found 0.4"),
        (lambda: SpikeAtZero(1.0, 1.0, 1.0), "spike_at_zero .* share .*, found 1.0"),
        (lambda: TrialDependent(1.0, 1.0, math.inf), "trial_dependent .* slope .*, found inf"),
        (lambda: TrialDependent(1.0, 1.0, 1.0, 0.0), "trial_dependent .* reference .*, found 0.0"),
    ],
)
def test_populations_that_do_not_exist_are_refused(make, message):
    with pytest.raises(ModelError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FixedTrials(0), "fixed trials: expected trials .* at least 1, found 0"),
        (lambda: UniformTrials(0, 5), "uniform trials: expected low .* at least 1, found 0"),
        (lambda: UniformTrials(9, 5), "uniform trials: expected high .* at least low, 9, found 5"),
        (lambda: LogUniformTrials(1, 2**60), "log_uniform trials: expected high .*, found"),
        (lambda: PoissonTrials(0.0), "poisson trials: expected mean .*, found 0.0"),
        (lambda: PoissonTrials(math.nan), "poisson trials: expected mean .*, found nan"),
        (lambda: ListedTrials((0, 0)), r"listed trials: expected values .*, found \[0, 0\]"),
        (lambda: ListedTrials(()), r"listed trials: expected values .*, found \[\]"),
        (lambda: ListedTrials((4, -1)), "listed trials: expected values .*, found -1"),
    ],
)
def test_trials_that_are_none_are_refused(make, message):
    with pytest.raises(DataError, match=message):
        make()
