"""Simulation-based calibration of quadrature and of the samplers.

Hyperparameters, rates and counts are drawn from the model, and each data set is fitted. Among
draws of its posterior the true value has a uniform rank (Talts et al. 2018, "Validating Bayesian
inference algorithms with simulation-based calibration", theorem 1).
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.special import expit
from scipy.stats import chisquare

import hierjax as hj
from hierjax.inference.gibbs import GibbsData
from hierjax.inference.nuts import NutsData
from hierjax.inference.quadrature import propose, quadrature

pytestmark = pytest.mark.slow

DATA_SETS, UNITS, TRIALS = 256, 12, 15
# Ranks are 0 to 49, in ten bins of five with 25.6 data sets expected in each.
DRAWS, BINS = 49, 10
# Five tests of three quantities each: by Bonferroni a right file fails for fewer than one choice of
# its seeds in 6,000, as far as the chi-square statistic has its limiting distribution.
LEVEL = 1e-5
MODEL = hj.Model(hyperprior=hj.MeanConcentration(dist.Beta(2.0, 6.0), dist.LogNormal(2.0, 0.7)))
NAMES = ("alpha", "beta", "first rate")


@pytest.fixture(scope="module")
def simulated():
    """True alpha, beta and first rate, and the data, data sets first."""
    generator = np.random.default_rng(20)
    mean = generator.beta(2.0, 6.0, DATA_SETS)
    concentration = generator.lognormal(2.0, 0.7, DATA_SETS)
    alpha, beta = mean * concentration, (1 - mean) * concentration
    rates = generator.beta(alpha[:, None], beta[:, None], (DATA_SETS, UNITS))
    successes = generator.binomial(TRIALS, rates)
    tallies = [hj.Tally.of(hj.Counts(y, [TRIALS] * UNITS)).arrays() for y in successes]
    tallies = jax.tree.map(lambda *leaves: np.stack(leaves), *tallies)
    return (alpha, beta, rates[:, 0]), tallies, successes.astype(float)


def p_values(truth, eta, rate):
    """Of uniform ranks, by name; draws have data sets first."""
    concentration = np.exp(eta[..., 1])
    found = (expit(eta[..., 0]) * concentration, expit(-eta[..., 0]) * concentration, rate)
    result = {}
    for name, true, draws in zip(NAMES, truth, found, strict=True):
        assert draws.shape == (DATA_SETS, DRAWS)
        ranks = np.sum(draws < true[:, None], axis=1)
        occupied = np.bincount(ranks * BINS // (DRAWS + 1), minlength=BINS)
        result[name] = chisquare(occupied).pvalue
    return result


def not_uniform(truth, eta, rate):
    """Quantities whose ranks are not uniform, with their p-values."""
    return {name: p for name, p in p_values(truth, eta, rate).items() if p < LEVEL}


@partial(jax.jit, static_argnums=0)
def _sample(kernel, steps, key, data):
    """Thinned draws of one chain for one data set."""
    warmup, thinning = steps
    key_start, key_steps = jax.random.split(key)

    def advance(first, count, state):
        def one(i, carry):
            return kernel.step(data, jax.random.fold_in(key_steps, first + i), carry[0], first + i)

        before = kernel.step(data, jax.random.fold_in(key_steps, first), state, first)
        return jax.lax.fori_loop(1, count, one, before)

    state, _ = advance(jnp.asarray(0), warmup, kernel.init(data, key_start))

    def keep(state, draw):
        state, output = advance(warmup + draw * thinning, thinning, state)
        return state, (output["eta"][0], output["theta"][0, 0])

    return jax.lax.scan(keep, state, jnp.arange(DRAWS))[1]


def sample(kernel, data, thinning, seed):
    """Draws of eta and of the first rate, for all data sets at once."""
    with jax.enable_x64(True):
        model, rest = data
        keys = jax.random.split(jax.random.key(seed), DATA_SETS)
        steps = (jnp.asarray(kernel.warmup), jnp.asarray(thinning))
        model = jax.tree.map(jnp.asarray, model)

        def one(key, values):
            return _sample(kernel, steps, key, kernel_data(kernel, model, *values))

        eta, theta = jax.vmap(one)(keys, jax.tree.map(jnp.asarray, rest))
        return np.asarray(eta), np.asarray(theta)


def kernel_data(kernel, model, tally, successes):
    trials = jnp.full(UNITS, TRIALS, successes.dtype)
    if isinstance(kernel, hj.NUTS):
        return NutsData(model, tally, successes, trials, jnp.ones_like(trials))
    return GibbsData(model, tally, successes, trials, jnp.ones_like(trials))


def test_quadrature_is_calibrated(simulated):
    truth, tallies, successes = simulated

    def one(key, tally):
        found = quadrature(MODEL, tally)
        points, accepted = propose(MODEL, tally, found.lattice, key, 400)
        first = jnp.argsort(~accepted, stable=True)[:DRAWS]
        return points[first], jnp.sum(accepted), found.error_estimate

    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(21), DATA_SETS)
        eta, accepted, error = jax.jit(lambda *xs: jax.lax.map(lambda x: one(*x), xs))(
            keys, jax.tree.map(jnp.asarray, tallies)
        )
        eta, accepted, error = (np.asarray(values) for values in (eta, accepted, error))
    assert accepted.min() >= DRAWS
    assert error.max() < 1e-4
    concentration = np.exp(eta[..., 1])
    y = successes[:, :1]
    rate = np.random.default_rng(22).beta(
        expit(eta[..., 0]) * concentration + y, expit(-eta[..., 0]) * concentration + TRIALS - y
    )
    assert not not_uniform(truth, eta, rate)


def test_gibbs_is_calibrated(simulated):
    truth, *data = simulated
    kernel = hj.Gibbs(chains=1, warmup=500, store_units=True)
    assert not not_uniform(truth, *sample(kernel, (MODEL, data), 25, 23))


def test_interweaved_gibbs_is_calibrated(simulated):
    truth, *data = simulated
    kernel = hj.Gibbs(chains=1, warmup=500, block=True, interweaving=2, store_units=True)
    assert not not_uniform(truth, *sample(kernel, (MODEL, data), 15, 25))


def test_collapsed_gibbs_is_calibrated(simulated):
    truth, *data = simulated
    kernel = hj.CollapsedGibbs(chains=1, warmup=500, store_units=True)
    assert not not_uniform(truth, *sample(kernel, (MODEL, data), 8, 26))


def test_nuts_is_calibrated(simulated):
    truth, *data = simulated
    kernel = hj.NUTS(chains=1, warmup=300, store_units=True)
    assert not not_uniform(truth, *sample(kernel, (MODEL, data), 4, 24))


class WithoutJacobian(hj.Gibbs):
    """Takes a density on (alpha, beta) for one on the working coordinates."""

    def _log_conditional(self, model, x, seen):
        log_jacobian = 2 * x[1] + jax.nn.log_sigmoid(x[0]) + jax.nn.log_sigmoid(-x[0])
        return super()._log_conditional(model, x, seen) - log_jacobian


def test_a_kernel_without_jacobian_is_caught(simulated):
    truth, *data = simulated
    kernel = WithoutJacobian(chains=1, warmup=500, store_units=True)
    found = p_values(truth, *sample(kernel, (MODEL, data), 25, 23))
    assert max(found["alpha"], found["beta"]) < 1e-6
