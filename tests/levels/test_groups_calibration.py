"""Simulation-based calibration of what infers three levels.

What is above the labs, labs, rates and counts are drawn from the model, and each data set is
fitted. The true values' ranks among draws of their posteriors are uniform (Talts et al. 2018,
"Validating Bayesian inference algorithms with simulation-based calibration", theorem 1).
"""

import jax
import numpy as np
import pytest
from scipy.special import expit

import hierjax as hj
from hierjax.checks.uniformity import simultaneous_p_value
from hierjax.levels import gibbs

pytestmark = pytest.mark.slow

LABS, UNITS, TRIALS = 5, 6, 20
PRIOR = hj.GroupHyperprior((-1.0, 0.7), 0.6, (3.0, 0.7), 0.6)
DATA_SETS, DRAWS = 128, 19
# Four quantities of quadrature and seven of either sampler are judged: by Bonferroni a right file
# fails for fewer than one choice of its seeds in 5,000.
LEVEL = 1e-5
GIBBS = hj.GroupGibbs(warmup=500, draws=150, thinning=1)


def simulate(generator):
    """True values, what is above the labs first, then the first lab and rate; and the data."""
    top = np.array(
        [
            generator.normal(-1.0, 0.7),
            abs(generator.normal(0, 0.6)),
            generator.normal(3.0, 0.7),
            abs(generator.normal(0, 0.6)),
        ]
    )
    location = generator.normal(top[0], top[1], LABS)
    log_concentration = generator.normal(top[2], top[3], LABS)
    lab = np.repeat(np.arange(LABS), UNITS)
    mean, concentration = expit(location)[lab], np.exp(log_concentration)[lab]
    rate = generator.beta(mean * concentration, (1 - mean) * concentration)
    trials = np.full(len(lab), TRIALS)
    data = hj.Counts(generator.binomial(trials, rate), trials, groups=lab.astype(str))
    return [*top, location[0], log_concentration[0], rate[0]], data


@pytest.fixture(scope="module")
def simulated():
    generator = np.random.default_rng(20)
    truth, data = zip(*(simulate(generator) for _ in range(DATA_SETS)), strict=True)
    return np.array(truth), data


def p_values(ranks, levels):
    """Of uniform ranks among `levels` cuts, for each quantity."""
    at = np.arange(1, levels + 1)
    # A rank is below a level of `levels + 1` equal parts with that probability.
    below = (ranks[..., None] < at).sum(axis=0)
    return [simultaneous_p_value(each, len(ranks), at / (levels + 1)) for each in below]


def test_quadrature_is_calibrated(simulated):
    levels = np.arange(1, DRAWS + 1) / (DRAWS + 1)
    ranks = []
    for true, data in zip(*(part[: DATA_SETS // 2] for part in simulated), strict=True):
        found = hj.fit_groups(data, hj.GroupModel(hyperprior=PRIOR))
        assert found.status == "converged", found.message
        quantiles = found.result.top.quantiles(levels)
        ranks.append([np.searchsorted(q, x) for q, x in zip(quantiles, true, strict=False)])
    assert min(p_values(np.array(ranks), DRAWS)) > LEVEL


def sampled_p_values(simulated, method, count=DATA_SETS):
    """Of the ranks of what is above the labs, the first lab and its first rate."""
    generator, ranks = np.random.default_rng(22), []
    for index, (true, data) in enumerate(zip(*(x[:count] for x in simulated), strict=True)):
        model, key = hj.GroupModel(hyperprior=PRIOR), jax.random.fold_in(jax.random.key(21), index)
        found = hj.fit_groups(data, model, method, key=key).result
        draws = np.concatenate([found.draws, found.lab_draws[:, :, 0]], axis=2).reshape(-1, 6)
        # So far apart that they are independent.
        draws = draws[np.linspace(0, len(draws) - 1, DRAWS).round().astype(int)]
        mean, concentration = expit(draws[:, 4]), np.exp(draws[:, 5])
        y, n = data.successes[0], data.trials[0]
        rate = generator.beta(mean * concentration + y, (1 - mean) * concentration + n - y)
        ranks.append(np.sum(np.column_stack([draws, rate]) < true, axis=0))
    return p_values(np.array(ranks), DRAWS)


def test_gibbs_is_calibrated(simulated):
    found = sampled_p_values(simulated, GIBBS)
    assert min(found) > LEVEL, found


def test_nuts_is_calibrated(simulated):
    found = sampled_p_values(simulated, hj.GroupNUTS(warmup=300, draws=30), DATA_SETS // 2)
    assert min(found) > LEVEL, found


class VarianceForStandardDeviation(gibbs._Kernel):
    """Moves labs in a population whose standard deviations are squared."""

    def _labs(self, joint, key, state, seen):
        squared = state._replace(top=state.top.at[:, 1::2].multiply(2))
        return super()._labs(joint, key, squared, seen)


def test_a_kernel_with_variances_for_standard_deviations_is_caught(simulated, monkeypatch):
    monkeypatch.setattr(gibbs, "_Kernel", VarianceForStandardDeviation)
    found = sampled_p_values(simulated, GIBBS)
    assert min(found) < 1e-6, found
