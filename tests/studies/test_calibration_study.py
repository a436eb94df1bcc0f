"""Simulation-based calibration: right posteriors pass, wrong ones fail, as often as they should."""

from types import SimpleNamespace

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.special import expit, logit
from scipy.stats import binom, chisquare

import hierjax as hj
from hierjax.batch.data_sets import DataSets
from hierjax.checks.uniformity import uniform_band
from hierjax.datasets.trials import UniformTrials
from hierjax.errors import ConfigError, DataError
from hierjax.studies.calibration import Calibration, Verdict, calibration, holm, ranks
from hierjax.studies.simulation import Simulated, simulate_prior

DRAWS = 49


def simulated(size, units=2, seed=0):
    """Normal truths, and data of no trials: the posterior is the prior."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((size, units), int)
    return Simulated(
        DataSets(counts, counts), rng.uniform(size=(size, units)), rng.normal(size=(size, 2))
    )


def fitted(truth, shift=0.0, scale=1.0, draws=DRAWS, seed=1, status=None):
    """Draws of a posterior that is the prior, or is off."""
    rng = np.random.default_rng(seed)
    size, units = truth.rates.shape
    return SimpleNamespace(
        data_sets=truth.data_sets,
        method=SimpleNamespace(name="fake"),
        status=np.full(size, "converged") if status is None else status,
        ess=np.full((size, 2), np.nan),
        draws=shift + scale * rng.normal(size=(size, draws, 2)),
        rate_draws=expit(shift + scale * logit(rng.uniform(size=(size, draws, units)))),
    )


def of_ranks(found, draws=DRAWS, name="p"):
    size = len(found)
    return Calibration(
        "fake", (name,), np.asarray(found)[:, None], draws, np.full(size, "ok"), np.full(size, 1e9)
    )


def test_a_posterior_that_is_the_prior_passes():
    truth = simulated(1000, seed=3)
    found = calibration(truth, fitted(truth), rates=(1, 0))
    names = ("logit_mean", "log_concentration", "alpha", "beta")
    # The fake draws of the rates are in the order asked for.
    assert found.parameters == (*names, "rate 1", "rate 0")
    assert found.ranks.shape == (1000, 6)
    table = found.p_values()
    assert table["data_sets"].tolist() == [1000] * 6
    assert table["failed"].tolist() == table["few_effective"].tolist() == [0] * 6
    # By Holm's method a choice of seeds fails once in 100.
    assert table["adjusted"].min() > 0.01
    assert found.verdict() is Verdict.PASSED
    assert repr(found) == "Calibration(fake, data_sets=1000, draws=49: passed)"


@pytest.mark.parametrize(
    ("shift", "scale", "column", "sign"),
    [
        (0.3, 1.0, "mean_z", -1),
        (-0.3, 1.0, "mean_z", 1),
        (0.0, 0.8, "spread_z", 1),
        (0.0, 1.25, "spread_z", -1),
    ],
)
def test_what_is_shifted_too_narrow_or_too_wide_fails_and_is_told_apart(shift, scale, column, sign):
    truth = simulated(1000, seed=4)
    found = calibration(truth, fitted(truth, shift, scale))
    assert found.verdict() is Verdict.FAILED
    table = found.p_values()
    # The first coordinate's error is 9 standard errors: mistaken signs would take 13 of them.
    assert sign * table[column][0] > 4
    assert table["ecdf"][0] < 1e-6
    assert table["chi_square"][0] < 1e-4


def test_power_is_that_of_the_most_telling_level():
    """The curve leaves its band at least as often as at the middle alone, which is binomial."""
    units, draws, shift, repeats = 300, 19, 0.25, 250
    rng = np.random.default_rng(5)
    levels = np.arange(1, draws + 1) / (draws + 1)
    _, low, high = uniform_band(units, 0.95, levels)
    # The truth is normal about 0 and draws about the shift. A truth has fewer than ten of its 19
    # draws below it if the tenth smallest of them is above it.
    tenth = np.sort(shift + rng.normal(size=(200_000, draws)), axis=1)[:, 9]
    below = np.mean(rng.normal(size=200_000) < tenth)
    at = units * np.array([low[9], high[9]])
    power = binom.cdf(at[0] - 0.5, units, below) + binom.sf(at[1] + 0.5, units, below)
    assert 0.5 < power < 0.95
    left = 0
    for _ in range(repeats):
        truth, drawn = rng.normal(size=units), shift + rng.normal(size=(units, draws))
        left += of_ranks(ranks(truth, drawn), draws).p_values()["ecdf"][0] <= 0.05
    error = np.sqrt(power * (1 - power) / repeats)
    # Four standard errors: a false alarm once in 30,000 at most.
    assert left / repeats > power - 4 * error


def test_a_right_method_fails_as_often_as_the_level_says():
    rng = np.random.default_rng(6)
    repeats, level = 300, 0.1
    failed = 0
    for _ in range(repeats):
        found = of_ranks(rng.integers(0, 20, 200), 19)
        failed += found.verdict(level) is Verdict.FAILED
    # Four standard errors above; a band of whole counts may be left somewhat less often.
    assert level - 0.07 < failed / repeats < level + 4 * np.sqrt(level * (1 - level) / repeats)


def test_ranks_count_draws_below_and_share_ties_out():
    draws = np.array([[0.1, 0.2, 0.3], [5.0, 5.0, 1.0], [np.nan] * 3, [-np.inf, 0.0, np.inf]])
    found = ranks(np.array([0.25, 9.0, 0.0, 1.0]), draws)
    assert found.tolist() == [2, 3, -1, 2]
    assert ranks(np.array([np.nan]), np.zeros((1, 3))).tolist() == [-1]
    tied = ranks(np.zeros(1000), np.zeros((1000, 9)))
    # Evenly, and not in order.
    assert np.abs(np.bincount(tied, minlength=10) - 100).max() <= 2
    assert np.abs(np.bincount(tied[:100], minlength=10) - 10).max() <= 2


def test_shapes_are_ranked_by_their_own_values():
    truth = simulated(300, seed=7)
    fits = fitted(truth)
    found = calibration(truth, fits)
    for place, sign in ((2, 1), (3, -1)):
        shape = np.exp(fits.draws[..., 1]) * expit(sign * fits.draws[..., 0])
        true = np.exp(truth.coordinates[:, 1]) * expit(sign * truth.coordinates[:, 0])
        assert np.array_equal(found.ranks[:, place], np.sum(shape < true[:, None], axis=1))


def test_data_sets_without_draws_are_counted_and_decide_nothing_if_many():
    truth = simulated(1000, seed=8)
    fits = fitted(truth)
    fits.status[:10] = "failed"
    fits.draws[:10] = np.nan
    found = calibration(truth, fits)
    assert found.p_values()["failed"].tolist() == [10] * 4
    assert found.p_values()["data_sets"].tolist() == [990] * 4
    assert found.verdict() is Verdict.PASSED
    fits.draws[10] = np.nan
    assert calibration(truth, fits).verdict() is Verdict.UNDECIDED
    fits.draws[:] = np.nan
    none = calibration(truth, fits)
    assert none.verdict() is Verdict.UNDECIDED
    assert np.isnan(none.p_values()["ecdf"]).all()


def test_few_effective_draws_are_counted():
    truth = simulated(40)
    fits = fitted(truth)
    fits.ess = np.full((40, 2), 50.0)
    fits.ess[:3, 1] = 48.0
    assert calibration(truth, fits).p_values()["few_effective"].tolist() == [3] * 4


def test_the_first_data_sets_do_and_others_are_refused():
    truth = simulated(50)
    assert len(calibration(truth, fitted(truth.first(20))).ranks) == 20
    other = Simulated(
        DataSets(np.zeros((50, 2), int), np.ones((50, 2), int)), truth.rates, truth.coordinates
    )
    with pytest.raises(DataError, match="expected fits of the first of 50 simulated data sets"):
        calibration(truth, fitted(other))
    with pytest.raises(DataError, match="of 20 simulated data sets, found 50 of others"):
        calibration(truth.first(20), fitted(truth))


def test_what_is_asked_for_must_be_there():
    truth = simulated(50)
    fits = fitted(truth)
    with pytest.raises(ConfigError, match="0 to 1, found 2"):
        calibration(truth, fits, rates=(0, 2))
    with pytest.raises(ConfigError, match="expected draws of 1 units' rates, found 2"):
        calibration(truth, fits, rates=(0,))
    fits.rate_draws = None
    with pytest.raises(ConfigError, match="expected draws of 1 units' rates, found 0"):
        calibration(truth, fits, rates=(0,))
    found = calibration(truth, fits)
    with pytest.raises(ConfigError, match=r"expected one of logit_mean, .*, found 'gamma'"):
        found.of("gamma")
    with pytest.raises(ConfigError, match="level"):
        found.verdict(0.0)
    fits.draws = None
    with pytest.raises(ConfigError, match="expected draws of the hyperparameters, found none"):
        calibration(truth, fits)


@pytest.mark.parametrize(("draws", "bins"), [(99, 20), (49, 20), (18, 19), (1, 2), (1000, 13)])
def test_bins_and_levels_are_of_whole_ranks(draws, bins):
    found = of_ranks(np.random.default_rng(0).integers(0, draws + 1, 5000), draws)
    edges, cuts = found.edges(), found.cuts()
    assert (edges[0], edges[-1], len(edges)) == (0, draws + 1, bins + 1)
    assert np.ptp(np.diff(edges)) <= 1
    assert len(cuts) == min(draws, 99)
    assert np.all(np.diff(cuts) >= 1)
    assert (cuts[0] >= 1) & (cuts[-1] <= draws)
    below = [(found.of("p") < cut).sum() for cut in cuts]
    assert found.below("p").tolist() == below


def test_chi_square_and_moments_are_those_of_the_ranks():
    rng = np.random.default_rng(9)
    at = rng.integers(0, 50, 400)
    table = of_ranks(at).p_values()
    counts, edges = np.histogram(at, of_ranks(at).edges() - 0.5)
    expected = 400 * np.diff(edges) / 50
    assert table["chi_square"][0] == pytest.approx(chisquare(counts, expected).pvalue, rel=1e-9)
    # Exact moments, by summing over all ranks.
    every = np.arange(50) - 24.5
    assert table["mean_z"][0] == pytest.approx((at.mean() - 24.5) / (every.std() / 20))
    square = every**2
    z = (np.mean((at - 24.5) ** 2) - square.mean()) / (square.std() / 20)
    assert table["spread_z"][0] == pytest.approx(z)


def test_holm_is_that_of_its_definition():
    rng = np.random.default_rng(10)
    p = rng.uniform(size=6) ** 3
    order = np.sort(p)
    expected = [max(order[j] * (6 - j) for j in range(i + 1)) for i in range(6)]
    assert sorted(holm(p)) == pytest.approx(np.minimum(expected, 1))
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]


@pytest.mark.slow
def test_quadrature_passes_under_its_own_hyperprior_and_fails_under_another():
    mean = dist.Beta(2.0, 6.0)
    own, other = (hj.MeanConcentration(mean, dist.LogNormal(at, 1.0)) for at in (2.0, 3.0))
    key_truth, key_fit = jax.random.split(jax.random.key(31))
    trials = UniformTrials(5, 40)
    truth = simulate_prior(key_truth, own, units=20, trials=trials, data_sets=600)
    method = hj.Quadrature(rows=24, columns=16, tolerance=0.03)
    found = {}
    for name, hyperprior in (("own", own), ("other", other)):
        model = hj.Model(hyperprior=hyperprior)
        fits = hj.fit_batch(truth.data_sets, model, method, key=key_fit, draws=49, rates=(0, 19))
        found[name] = calibration(truth, fits, (0, 19))
    # A choice of keys fails once in 100.
    assert found["own"].verdict() is Verdict.PASSED
    assert not found["own"].p_values()["failed"].any()
    assert found["other"].verdict() is Verdict.FAILED
    # Concentrations are drawn too high: the true ones have low ranks.
    assert found["other"].p_values()["mean_z"][1] < -4
