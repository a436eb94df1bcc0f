"""Three levels by samplers, against quadrature in Monte Carlo standard errors."""

import jax
import pytest
from simulated import simulated

import hierjax as hj
from hierjax.errors import InferenceError
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


def test_a_lab_unlike_all_others():
    """Its likelihood is nothing where the others are, and quadrature has to know how little."""
    data = simulated("beta_binomial", 8, 12, seed=11).append("outlier", 1000, 1000, group="z")
    exact = hj.fit_groups(data)
    assert exact.status == "converged", exact.message
    found = hj.fit_groups(data, method=METHODS[0], key=jax.random.key(2))
    for i, name in enumerate(("location_sd", "log_concentration_sd")):
        draws = found.result.draws[..., 2 * i + 1]
        assert abs(draws.mean() - exact.summary()["mean"][2 * i + 1]) < MOST_ERRORS * mean_error(
            draws
        ), name
    labs, groups = found.result.lab_draws[..., -1, :], exact.groups()
    for i, name in enumerate(("logit_mean", "log_concentration")):
        for column, level in (("low", 0.05), ("median", 0.5), ("high", 0.95)):
            below = (labs[..., i] < groups[f"{name}_{column}"][-1]).astype(float)
            assert abs(below.mean() - level) < MOST_ERRORS * mean_error(below), (name, column)


def test_draws_say_nothing_of_a_unit_unlike_all_others():
    data = simulated("beta_binomial", 8, 12, seed=11)
    found = hj.fit_groups(data, method=METHODS[1], key=jax.random.key(1))
    with pytest.raises(InferenceError, match="and are worth at least 100, found"):
        found.predict(1000, 1000)
