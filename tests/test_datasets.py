"""The shipped table is the published one, and simulated counts have the moments they should."""

import math

import jax
import numpy as np
import pytest
from scipy import stats

from hierjax import datasets
from hierjax.counts import Counts
from hierjax.datasets import simulate
from hierjax.errors import ConfigError, DataError
from hierjax.measurements import Measurements
from hierjax.poisson_events import Events

# Checks of simulated values fail by chance with this probability each; the keys are fixed, so
# they fail always or never, and this is how often a correct simulator would have to be excused.
FALSE_ALARM = 1e-6
STANDARD_ERRORS = stats.norm.isf(FALSE_ALARM / 2)
UNITS = 20_000


def test_rat_tumors_are_the_published_ones():
    rats = datasets.rat_tumors()
    assert len(rats) == 70
    assert rats.total_successes == 263
    assert rats.total_trials == 1725
    assert rats.labels.tolist() == [str(j) for j in range(1, 71)]
    # Sums of 70 rates below 1 round by far less than 1e-14.
    assert rats.raw_rates.mean() == pytest.approx(0.13600653889043893, rel=0, abs=1e-14)
    assert rats.raw_rates.var() == pytest.approx(0.010557640623609196, rel=0, abs=1e-14)


def test_the_current_experiment_is_the_71st():
    rats = datasets.rat_tumors(current=True)
    assert len(rats) == 71
    assert (rats.labels[-1], rats.successes[-1], rats.trials[-1]) == ("71", 4, 14)
    assert rats.select(slice(70)) == datasets.rat_tumors()


def test_datasets_are_loaded_by_name():
    assert datasets.load("rat_tumors") == datasets.rat_tumors()
    assert datasets.load("rat_tumors_71") == datasets.rat_tumors(current=True)
    families = {"pumps": Events, "eight_schools": Measurements, "simulated_counties": Events}
    for name in datasets.DATASETS:
        assert type(datasets.load(name)) is families.get(name, Counts)


def test_an_unknown_dataset_is_refused_with_the_nearest_name():
    message = (
        "^dataset: expected one of rat_tumors, rat_tumors_71, pumps, eight_schools, "
        "simulated_counties, simulated_labs, found 'rat_tumours'; "
        r"did you mean 'rat_tumors'\?$"
    )
    with pytest.raises(ConfigError, match=message):
        datasets.load("rat_tumours")


def test_simulated_labs_have_the_moments_of_their_population():
    table, rates = datasets.simulate_labs(
        jax.random.key(2), labs=2000, location=(-1.0, 0.7), log_concentration=(3.0, 0.0)
    )
    _, lab = np.unique(table["lab"], return_inverse=True)
    sizes = np.bincount(lab)
    assert (sizes.min(), sizes.max()) == (1, 10)
    assert (table["rats"].min(), table["rats"].max()) == (10, 50)
    assert len(set(table["experiment"].tolist())) == len(rates)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()
    mean = 1 / (1 + np.exp(1.0 - 0.7 * nodes))
    within = mean * (1 - mean) / (math.exp(3.0) + 1)
    # Experiments of a lab are not independent, and so one of each is judged.
    first = rates[np.unique(lab, return_index=True)[1]]
    variance = weights @ (within + mean**2) - (weights @ mean) ** 2
    error = math.sqrt(variance / len(first))
    assert abs(first.mean() - weights @ mean) < STANDARD_ERRORS * error
    spread = np.std((first - first.mean()) ** 2) / math.sqrt(len(first))
    assert abs(first.var() - variance) < STANDARD_ERRORS * spread
    tumors, rats = table["tumors"], table["rats"]
    off = (tumors - rats * rates) / np.sqrt(np.maximum(rats * rates * (1 - rates), 1e-12))
    assert abs(off.mean()) < STANDARD_ERRORS / math.sqrt(len(off))


@pytest.mark.parametrize("given", [{"labs": 0}, {"location": (0.0, -1.0)}])
def test_impossible_labs_are_refused(given):
    with pytest.raises(DataError, match=r"^simulate_labs: expected one lab or more"):
        datasets.simulate_labs(jax.random.key(0), **given)


@pytest.mark.parametrize(("mean", "concentration"), [(0.14, 16.0), (0.5, 2.0), (0.1, 0.5)])
def test_simulated_rates_and_counts_follow_their_distributions(mean, concentration):
    trials = 20
    counts, rates = simulate(
        jax.random.key(1), mean=mean, concentration=concentration, trials=[trials] * UNITS
    )
    population = stats.beta(mean * concentration, (1 - mean) * concentration)
    assert stats.kstest(rates, population.cdf).pvalue > FALSE_ALARM
    error = population.std() / math.sqrt(UNITS)
    assert abs(rates.mean() - mean) < STANDARD_ERRORS * error

    marginal = stats.betabinom(trials, mean * concentration, (1 - mean) * concentration)
    expected = UNITS * marginal.pmf(np.arange(trials + 1))
    observed = np.bincount(counts.successes, minlength=trials + 1)
    # Pearson's statistic is close to chi-square where ten or more are expected a cell, so the
    # rare counts at the top share one.
    top = np.flatnonzero(expected >= 10)[-1]
    expected = np.append(expected[:top], expected[top:].sum())
    observed = np.append(observed[:top], observed[top:].sum())
    assert stats.chisquare(observed, expected).pvalue > FALSE_ALARM


def test_successes_are_drawn_given_the_rates():
    """Pearson residuals of the successes have mean 0 and variance 1 where trials differ widely."""
    trials = np.resize([1, 5, 50, 100_000], UNITS)
    counts, rates = simulate(jax.random.key(2), mean=0.3, concentration=20.0, trials=trials)
    residuals = (counts.successes - trials * rates) / np.sqrt(trials * rates * (1 - rates))
    assert abs(residuals.mean()) < STANDARD_ERRORS / math.sqrt(UNITS)
    error = (residuals**2).std() / math.sqrt(UNITS)
    assert abs((residuals**2).mean() - 1) < STANDARD_ERRORS * error


@pytest.mark.parametrize("concentration", [1e-3, 1e-12, 1e-300])
def test_rates_stay_numbers_as_the_concentration_vanishes(concentration):
    """The limit is a population of rates that are 0 or 1."""
    counts, rates = simulate(
        jax.random.key(3), mean=0.14, concentration=concentration, trials=[5] * UNITS
    )
    assert np.all((rates >= 0) & (rates <= 1))
    assert abs(rates.mean() - 0.14) < STANDARD_ERRORS * math.sqrt(0.14 * 0.86 / UNITS)
    assert 0 < counts.total_successes < counts.total_trials


def test_simulation_depends_on_the_key_alone():
    settings = {"mean": 0.14, "concentration": 16.0, "trials": np.full(70, 20)}
    first, rates = simulate(jax.random.key(4), **settings)
    with jax.enable_x64(True):
        wide, wide_rates = simulate(jax.random.key(4), **settings)
    with jax.enable_x64(False):
        narrow, narrow_rates = simulate(jax.random.key(4), **settings)
    assert first == wide == narrow
    assert rates.dtype == np.float64
    np.testing.assert_array_equal(rates, wide_rates)
    np.testing.assert_array_equal(rates, narrow_rates)
    assert first != simulate(jax.random.key(5), **settings)[0]


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (lambda: jax.random.PRNGKey(0), r"a typed key, as of jax\.random\.key\(0\), found uint32"),
        (lambda: jax.random.split(jax.random.key(0)), r"a single key, found an array of shape \(2"),
    ],
)
def test_keys_are_typed_and_single(key, found):
    with pytest.raises(TypeError, match=f"^key: expected {found}"):
        simulate(key(), mean=0.14, concentration=16.0, trials=[20, 14])


@pytest.mark.parametrize(
    ("mean", "concentration"),
    [
        (0.0, 1.0),
        (1.0, 1.0),
        (-0.1, 1.0),
        (1.5, -2.0),
        (0.5, 0.0),
        (0.5, math.inf),
        (math.nan, 1.0),
    ],
)
def test_populations_that_do_not_exist_are_refused(mean, concentration):
    message = f"found mean {mean} and concentration {concentration}$"
    with pytest.raises(DataError, match=message):
        simulate(jax.random.key(0), mean=mean, concentration=concentration, trials=[20, 14])


def test_trials_are_checked_before_anything_is_drawn():
    with pytest.raises(DataError, match=r"^unit 1 \(label '2'\), trials: expected .*, found -14$"):
        simulate(jax.random.key(0), mean=0.14, concentration=16.0, trials=[20, -14])
