"""Three levels by samplers in Monte Carlo standard errors, and calibration of quadrature."""

import jax
import numpy as np
import pytest
from simulated import simulated

import hierjax as hj
from hierjax.checks.uniformity import simultaneous_p_value
from hierjax.inference.convergence import mean_error

pytestmark = pytest.mark.slow

# A normal error exceeds four standard errors once in 15,800 times.
MOST_ERRORS = 4
METHODS = (hj.GroupNUTS(warmup=500, draws=1000), hj.GroupGibbs(warmup=1000, draws=2000))


@pytest.mark.parametrize("family", ["beta_binomial", "gamma_poisson", "normal_normal"])
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_samplers_agree_with_quadrature(family, method):
    data = simulated(family, 8, 12, seed=11)
    exact = hj.fit_groups(data)
    found = hj.fit_groups(data, method=method, key=jax.random.key(1))
    assert found.status == "converged", found.message
    summary = exact.summary()
    for i in range(4):
        draws = found.result.draws[..., i]
        assert abs(draws.mean() - summary["mean"][i]) < MOST_ERRORS * mean_error(draws)
        for column, level in (("low", 0.05), ("median", 0.5), ("high", 0.95)):
            below = (draws < summary[column][i]).astype(float)
            assert abs(below.mean() - level) < MOST_ERRORS * mean_error(below)
    groups, sampled = exact.groups(), found.result.lab_draws
    name = "location" if family == "normal_normal" else found.model.family.coordinates[0]
    for lab in range(8):
        error = sampled[..., lab, 0].mean() - groups[f"{name}_mean"][lab]
        assert abs(error) < MOST_ERRORS * mean_error(sampled[..., lab, 0]) + 1e-3
    nothing = exact.model.family.on_host.nothing
    for unit, group in ((data.pair[0][0], data.pair[1][0]), None), (nothing, "00003"):
        expected, drawn = (x.predict(*unit, group=group) for x in (exact, found))
        # As if of 400 draws, of which new data leave no fewer.
        assert abs(drawn["mean"][0] - expected["mean"][0]) < MOST_ERRORS / 20 * expected["sd"][0]


def test_quadrature_is_calibrated():
    """Ranks of what data were simulated with are uniform among their posteriors' quantiles."""
    prior = hj.GroupHyperprior((-1.0, 0.7), 0.6, (3.0, 0.7), 0.6)
    generator = np.random.default_rng(20)
    levels = np.arange(1, 20) / 20
    repeats, labs, units = 60, 5, 6
    below = np.zeros((4, len(levels)), int)
    for _ in range(repeats):
        top = np.array(
            [
                generator.normal(-1.0, 0.7),
                abs(generator.normal(0, 0.6)),
                generator.normal(3.0, 0.7),
                abs(generator.normal(0, 0.6)),
            ]
        )
        mean = 1 / (1 + np.exp(-generator.normal(top[0], top[1], labs)))
        kappa = np.exp(generator.normal(top[2], top[3], labs))
        lab = np.repeat(np.arange(labs), units)
        rate = generator.beta((mean * kappa)[lab], ((1 - mean) * kappa)[lab])
        data = hj.Counts(
            generator.binomial(20, rate), np.full(len(lab), 20), groups=lab.astype(str)
        )
        found = hj.fit_groups(data, hj.GroupModel(hyperprior=prior))
        assert found.status == "converged", found.message
        quantiles = found.result.top.quantiles(levels)
        probability = np.array([np.searchsorted(q, x) for q, x in zip(quantiles, top, strict=True)])
        # The truth's probability is below a level if it is below that level's quantile.
        below += probability[:, None] <= np.arange(len(levels))
    p_values = [simultaneous_p_value(each, repeats, levels) for each in below]
    assert min(p_values) > 0.05 / 4 / 5, p_values
