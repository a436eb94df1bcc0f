"""Draws in strips, against the mixture of all their Betas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import betainc, expit

from hierjax.families.beta_binomial import BetaBinomial
from hierjax.units.row_mixture import RowMixture, unit_summary

SUCCESSES, TRIALS = np.array([0, 1, 4, 14, 3.0]), np.array([5, 10, 14, 14, 40.0])
LEVELS = np.array([0.005, 0.05, 0.5, 0.95, 0.995])


@pytest.mark.parametrize(("by_columns", "nodes"), [(True, 128), (False, 40)])
@pytest.mark.parametrize("count", [20_011, 504])
def test_quantiles_are_those_of_all_draws(by_columns, nodes, count):
    generator = np.random.default_rng(0)
    w = generator.normal(2.0, 1.0, count)
    u = generator.normal(-1.5, 0.25 + np.exp(-w / 2) / 2) + generator.exponential(0.25, count)
    points = np.stack([u, w], axis=1)
    with jax.enable_x64(True):
        rows = RowMixture.of_draws(jnp.asarray(points), by_columns)
        given = (jnp.asarray(x) for x in (SUCCESSES, TRIALS, LEVELS))
        compiled = jax.jit(unit_summary, static_argnums=(0, 5))
        found = jax.tree.map(np.asarray, compiled(BetaBinomial(), rows, *given, nodes))
    # Log-concentrations are in strips, by which some thousandths are off: less than what quantiles
    # of few draws, were they independent, are off by.
    allowed = np.maximum(4e-3, np.sqrt(LEVELS * (1 - LEVELS) / count))
    for unit, (y, n) in enumerate(zip(SUCCESSES, TRIALS, strict=True)):
        a, b = expit(u) * np.exp(w) + y, expit(-u) * np.exp(w) + n - y
        below = [betainc(a, b, x).mean() for x in found.quantiles[unit]]
        assert np.all(np.abs(below - LEVELS) < allowed)
        assert abs(found.mean[unit] - (a / (a + b)).mean()) < 2e-3
