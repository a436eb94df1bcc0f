"""The likelihood ratio of pooling where the null hypothesis holds, by parametric bootstrap."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import binomtest, chi2, kstest

import hierjax as hj
from hierjax.inference.type2_mle import type2_mle

DATA_SETS, UNITS = 1000, 2000


def ratio_of(optimum):
    return {"log_marginal": optimum.log_marginal, "pooled": optimum.pooled_log_marginal}


@pytest.mark.slow
def test_half_the_ratios_are_zero_and_the_others_chi_square():
    rng = np.random.default_rng(17)
    trials = rng.integers(10, 41, UNITS)
    successes = rng.binomial(trials, 0.3, (DATA_SETS, UNITS))
    with jax.enable_x64(True):
        tallies = [hj.Tally.of(hj.Counts(y, trials)).arrays() for y in successes]
        stacked = jax.tree.map(lambda *parts: jnp.asarray(np.stack(parts)), *tallies)
        tolerance = jnp.asarray(1e-10)
        found = jax.lax.map(
            lambda tally: ratio_of(type2_mle(hj.Model(), tally, tolerance, max_steps=200)),
            stacked,
            batch_size=100,
        )
    ratio = np.maximum(2 * np.asarray(found["log_marginal"] - found["pooled"]), 0.0)
    positive = ratio > 1e-8  # rounding of log-marginals of some 5,000
    # Five tests, each of which fails for one seed in 50,000. The skewness of sums over 2,000 units
    # moves the share by about 0.005, a third of its standard error.
    level = 2e-5
    assert binomtest(int(positive.sum()), DATA_SETS, 0.5).pvalue > level
    assert kstest(ratio[positive], chi2(1).cdf).pvalue > level
    p_values = np.where(positive, 0.5 * chi2(1).sf(ratio), 1.0)
    for threshold in (0.01, 0.05, 0.2):
        below = int(np.sum(p_values <= threshold))
        assert binomtest(below, DATA_SETS, threshold).pvalue > level
