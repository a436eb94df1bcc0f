"""Leave-one-unit-out transforms against refits, closed forms and sums of probabilities."""

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.stats import betabinom, binom, kstest

import hierjax as hj
from hierjax.checks import pit
from hierjax.errors import ModelError
from hierjax.posterior import HyperPosterior

RATS = hj.datasets.rat_tumors(current=True)


@pytest.fixture(scope="module")
def fit():
    return hj.fit(RATS)


def at_point(alpha, beta, counts):
    """Transforms under known hyperparameters."""
    eta = np.array([[[np.log(alpha / beta), np.log(alpha + beta)]]])
    with jax.enable_x64(True):
        return pit.loo_pit(hj.Model(), counts, HyperPosterior(eta, np.ones((1, 1))), np.float64)


@pytest.mark.parametrize("j", [0, 30, 69, 70])
def test_ends_are_sums_of_predictive_probabilities_without_the_unit(fit, j):
    without = hj.fit(RATS.select(np.arange(71) != j))
    probabilities = without.predictive(int(RATS.trials[j]))
    y = RATS.successes[j]
    found = fit.loo_pit()
    # The rule itself is good to about 1e-10.
    assert found.low[j] == pytest.approx(probabilities[:y].sum(), abs=1e-9)
    assert found.high[j] == pytest.approx(probabilities[: y + 1].sum(), abs=1e-9)


@pytest.mark.slow
def test_a_weighted_unit_is_left_out_altogether():
    counts = [1, 3, 2, 6], [9, 12, 8, 15]
    model = hj.Model(hyperprior=hj.MeanConcentration(dist.Beta(2.0, 6.0), dist.LogNormal(2.0, 1.0)))
    weighted = hj.fit(hj.Counts(*counts, weights=[2.5, 1, 1, 1]), model).loo_pit()
    once = hj.fit(hj.Counts(*counts), model).loo_pit()
    assert weighted.high[0] == pytest.approx(once.high[0], abs=1e-8)
    assert abs(weighted.high[1] - once.high[1]) > 1e-4


def test_equal_counts_fall_in_the_same_place_and_no_trials_anywhere(fit):
    found = fit.loo_pit()
    assert found.low[0] == found.low[1] == 0
    assert found.high[0] == found.high[1]
    none = hj.fit(RATS.append("72", 0, 0)).loo_pit()
    assert (none.low[-1], none.high[-1]) == (0.0, pytest.approx(1.0, abs=1e-14))
    np.testing.assert_allclose(none.mid, 0.5 * (none.low + none.high), rtol=1e-15)


@pytest.mark.slow
def test_exchanging_successes_and_failures_reflects():
    hyperprior = hj.Shapes(dist.HalfNormal(10.0), dist.HalfNormal(10.0))
    counts = hj.Counts([1, 3, 8, 6], [9, 12, 8, 15])
    turned = hj.Counts(counts.trials - counts.successes, counts.trials)
    one, other = (hj.fit(c, hj.Model(hyperprior=hyperprior)).loo_pit() for c in (counts, turned))
    np.testing.assert_allclose(one.low, 1 - other.high, atol=1e-12)
    np.testing.assert_allclose(one.high, 1 - other.low, atol=1e-12)


@pytest.mark.parametrize("trials", [1, 1000, 10**7, 10**9])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.5, 0.8, 1.0])
def test_uniform_rates_make_all_counts_equally_probable(trials, share):
    """Under Beta(1, 1) it is (y + 1) / (n + 1), by sums and by integrals."""
    successes = min(int(share * trials), 90_000) if share < 0.1 else int(share * trials)
    found = at_point(1.0, 1.0, hj.Counts([successes, 1], [trials, 3]))
    assert found.low[0] == pytest.approx(successes / (trials + 1), rel=1e-9, abs=1e-14)
    assert found.high[0] == pytest.approx((successes + 1) / (trials + 1), rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("shape", [(0.05, 2.0), (30.0, 100.0), (1e3, 3e3), (1e8, 3e8)])
def test_integrals_agree_with_sums(shape, monkeypatch):
    counts = hj.Counts([120_000, 125_300, 110_000], [500_000] * 3)
    integrated = at_point(*shape, counts)
    monkeypatch.setattr(pit, "_LONGEST", 10**6)
    summed = at_point(*shape, counts)
    # 1/24 over the least variance, 8e4: less than 1e-6 of what is left beside the end.
    np.testing.assert_allclose(integrated.high, summed.high, atol=3e-7)
    np.testing.assert_allclose(integrated.low, summed.low, atol=3e-7)
    assert np.ptp(summed.high) > 1e-3


def test_outliers_far_beyond_all_terms_stay_in_range():
    """Terms grow by hundreds of orders of magnitude on the way down to the population."""
    y, n = np.array([40_000, 3000, 20_100]), np.array([100_000, 3000, 100_000])
    found = at_point(2e5, 8e5, hj.Counts(y, n))
    expected = betabinom.cdf(y, n, 2e5, 8e5)
    np.testing.assert_allclose(found.high, expected, rtol=1e-8)
    assert found.low[0] == 1.0
    assert found.low[1] == 1.0


def test_complete_pooling_is_binomial():
    counts = hj.Counts([2] * 19 + [3], [10] * 20)
    fit = hj.fit(counts, method=hj.Type2MLE())
    assert fit.status == "boundary"
    m = counts.total_successes / counts.total_trials
    found = fit.loo_pit()
    y = counts.successes
    np.testing.assert_allclose(found.high, binom.cdf(y, 10, m), rtol=1e-12)
    np.testing.assert_allclose(found.low, binom.cdf(y - 1, 10, m), rtol=1e-12)


def test_transforms_of_the_model_s_own_data_are_uniform():
    rng = np.random.default_rng(8)
    n = rng.integers(5, 60, 400)
    y = rng.binomial(n, rng.beta(2.0, 7.0, 400))
    found = hj.fit(hj.Counts(y, n)).loo_pit()
    jittered = found.low + rng.uniform(size=400) * (found.high - found.low)
    # One seed in 10,000 would fail.
    assert kstest(jittered, "uniform").pvalue > 1e-4
    levels = np.linspace(0, 1, 11)
    np.testing.assert_allclose(found.cdf(levels), levels, atol=0.08)
    # Hyperparameters that are far off are caught.
    off = at_point(20.0, 70.0, hj.Counts(y, n))
    assert kstest(off.low + rng.uniform(size=400) * (off.high - off.low), "uniform").pvalue < 1e-4


def test_the_mean_distribution_function_is_linear_within_a_unit_and_steps_where_it_has_no_width():
    found = pit.LooPit(np.array([0.2, 1.0]), np.array([0.6, 1.0]))
    np.testing.assert_allclose(
        found.cdf(np.array([0.0, 0.2, 0.3, 0.6, 1.0])), [0, 0, 0.125, 0.5, 0.5]
    )


def test_an_improper_posterior_without_one_unit_is_refused():
    with pytest.raises(ModelError, match="without unit 'b' the posterior is improper"):
        hj.fit(hj.Counts([0, 3, 0], [5, 9, 8], labels=["a", "b", "c"])).loo_pit()
