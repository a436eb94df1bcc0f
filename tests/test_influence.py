"""Derivatives against refits with other weights and hyperpriors, and against JAX's own."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import hierjax as hj
from hierjax.errors import DataError, InferenceError
from hierjax.hyperparameters import parameter_values
from hierjax.inference.quadrature import quadrature
from hierjax.influence import ANSWERS

RATS = hj.datasets.rat_tumors(current=True)
MAXIMUM = hj.Type2MLE()
PROPER = hj.Model(hyperprior=hj.MeanConcentration(dist.Beta(2.0, 6.0), dist.LogNormal(2.0, 1.0)))


def answers(fit, j):
    """Posterior means of what `influence` differentiates, and the rate of unit j."""
    values = parameter_values(np.asarray(fit.posterior.points, np.float64))
    weights = fit.posterior.weights
    logs = {"log_alpha": np.log(values["alpha"]), "log_beta": np.log(values["beta"])}
    found = {name: np.sum(weights * (values | logs)[name]) for name in ANSWERS}
    name = "log_marginal" if fit.is_point else "log_evidence"
    found["log_evidence"] = fit.info[name]
    m, phi = values["mean"], 1 / values["concentration"]
    y, n = RATS.successes[j], RATS.trials[j]
    rate = np.sum(weights * (m + y * phi) / (1 + n * phi))
    return found | {f"rate of {RATS.labels[j]}": rate}


@pytest.fixture(scope="module")
def fits():
    return {"quadrature": hj.fit(RATS), "type2_mle": hj.fit(RATS, method=MAXIMUM)}


def slope(low, high, step):
    return {name: (high[name] - low[name]) / (2 * step) for name in low}


@pytest.mark.parametrize("method", ["quadrature", "type2_mle"])
@pytest.mark.parametrize("j", [0, 69])
def test_rows_are_the_slopes_of_refits_with_other_weights(fits, method, j):
    fit, step = fits[method], 1e-3
    table = fit.influence(of="71")
    found = {name: table[name][j] for name in table if name not in ("label", "successes", "trials")}
    ends = []
    for weight in (1 - step, 1 + step):
        weights = np.where(np.arange(71) == j, weight, 1.0)
        counts = hj.Counts(RATS.successes, RATS.trials, RATS.labels, weights=weights)
        ends.append(answers(hj.fit(counts, method=fit.method), 70))
    expected = slope(*ends, step)
    assert list(found) == [*ANSWERS, "log_evidence", "rate of 71"]
    assert set(found) == set(expected)
    for name, value in found.items():
        # Central differences leave step^2 times a third derivative; the maximum is found to 1e-10.
        assert value == pytest.approx(expected[name], rel=2e-6, abs=1e-9), name


def test_rows_are_the_derivatives_of_quadrature_itself(fits):
    """The covariance against forward differentiation through the whole rule."""
    with jax.enable_x64(True):
        tally = hj.Tally.of(RATS).arrays()
        twice = np.where(np.arange(71) == 5, 2.0, 1.0)
        heavier = hj.Tally.of(hj.Counts(RATS.successes, RATS.trials, weights=twice)).arrays()

        def mean(arrays):
            found = quadrature(hj.Model(), arrays, 96, 48)
            return jnp.einsum("ij,ijk->k", *found.posterior[::-1]), found.log_evidence

        # A tally is linear in the weights: one unit's is the difference.
        tangent = jax.tree.map(lambda a, b: jnp.asarray(a - b), heavier, tally)
        primal = jax.tree.map(jnp.asarray, tally)
        _, (moved, evidence) = jax.jit(lambda p, t: jax.jvp(mean, (p,), (t,)))(primal, tangent)
    table = fits["quadrature"].influence()
    # Placing nodes is not differentiated; the same sums are taken in another order.
    found = [table[name][5] for name in ("logit_mean", "log_concentration")]
    np.testing.assert_allclose(moved, found, rtol=1e-10)
    assert evidence == pytest.approx(table["log_evidence"][5], rel=1e-10)


def test_equal_counts_move_answers_equally_and_units_without_trials_not_at_all():
    counts = hj.Counts([1, 9, 1, 0], [9, 12, 9, 0])
    for method in (hj.Quadrature(), MAXIMUM):
        table = hj.fit(counts, PROPER, method).influence()
        for name in (*ANSWERS, "log_evidence"):
            assert table[name][0] == table[name][2] != table[name][1]
            assert table[name][3] == pytest.approx(0.0, abs=1e-14)


def test_derivatives_at_a_maximum_sum_to_zero(fits):
    """All weights multiplied by one number have the same maximum."""
    table = fits["type2_mle"].influence()
    for name in ANSWERS:
        assert abs(table[name].sum()) < 1e-7 * np.abs(table[name]).sum()
    total = fits["type2_mle"].info["log_marginal"]
    assert table["log_evidence"].sum() == pytest.approx(total, rel=1e-12)


@pytest.mark.slow
def test_draws_estimate_what_quadrature_has_exactly(fits):
    method = hj.Gibbs(warmup=300, draws=1500)
    table = hj.fit(RATS, method=method, key=jax.random.key(5)).influence()
    exact = fits["quadrature"].influence()
    # A covariance of some 500 effective draws has errors of 5 % of the product of standard
    # deviations, which is about the largest row: one exceeds five of them for few seeds in 10^5.
    for name in (*ANSWERS, "log_evidence"):
        error = np.max(np.abs(table[name] - exact[name]))
        assert error < 0.25 * np.max(np.abs(exact[name])), name


def test_complete_pooling_moves_by_its_mean_alone():
    y, n = np.array([2] * 19 + [3]), np.full(20, 10)
    fit = hj.fit(hj.Counts(y, n), method=MAXIMUM)
    assert fit.status == "boundary"
    table = fit.influence(of="1")
    m = y.sum() / n.sum()
    # The pooled mean is sum a y / sum a n.
    np.testing.assert_allclose(table["mean"], (y - n * m) / n.sum(), rtol=1e-12)
    np.testing.assert_allclose(table["rate of 1"], table["mean"], rtol=1e-12)
    np.testing.assert_allclose(table["logit_mean"], table["mean"] / (m * (1 - m)), rtol=1e-12)
    for name in ("log_concentration", "log_alpha", "log_beta"):
        assert np.all(np.isnan(table[name]))


@pytest.mark.parametrize("labels", ["elsewhere", ["1", "72"]])
def test_unknown_units_are_named(fits, labels):
    with pytest.raises(DataError, match=r"of: expected the label of one unit, found '(els|72)"):
        fits["quadrature"].influence(of=labels)


def test_methods_without_a_maximum_are_refused():
    with pytest.raises(InferenceError, match="moments: no likelihood whose derivatives"):
        hj.fit(RATS, method=hj.Moments()).influence()
    stopped = hj.fit(RATS, method=hj.Type2MLE(optimizer="gradient_ascent", max_steps=1))
    if stopped.result.covariance is None:
        with pytest.raises(InferenceError, match="type2_mle: no maximum to differentiate"):
            stopped.influence()


MODELS = {
    "exponent": lambda value: hj.PowerLaw(value),
    "mean.concentration0": lambda value: hj.MeanConcentration(
        dist.Beta(2.0, value), dist.LogNormal(2.0, 1.0)
    ),
    "concentration.scale": lambda value: hj.MeanConcentration(
        dist.Beta(2.0, 6.0), dist.LogNormal(2.0, value)
    ),
    "alpha.scale": lambda value: hj.Shapes(dist.HalfNormal(value), dist.Gamma(2.0, 0.1)),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("exponent", 2.5),
        ("mean.concentration0", 6.0),
        ("concentration.scale", 1.0),
        ("alpha.scale", 8.0),
    ],
)
def test_sensitivity_is_the_slope_of_refits_with_other_hyperpriors(name, value):
    def at(value):
        # NumPyro rounds parameters to float32 unless told otherwise, which is too coarse a step.
        with jax.enable_x64(True):
            return hj.fit(RATS, hj.Model(hyperprior=MODELS[name](value)))

    table, step = at(value).sensitivity(of="71"), 1e-3 * value
    expected = slope(answers(at(value - step), 70), answers(at(value + step), 70), step)
    row = table["parameter"].tolist().index(name)
    assert table["value"][row] == value
    for answer, derivative in expected.items():
        if name == "exponent" and answer == "log_evidence":
            assert np.isnan(table[answer][row])
            continue
        # As above; 1e-6 of a step relative to the parameter.
        assert table[answer][row] == pytest.approx(derivative, rel=1e-5, abs=1e-9), answer


@pytest.mark.slow
def test_ends_of_supports_are_left_out_and_points_have_no_hyperprior(fits):
    concentration = dist.TruncatedNormal(20.0, 10.0, low=1.0)
    hyperprior = hj.MeanConcentration(dist.Uniform(0.0, 1.0), concentration)
    table = hj.fit(RATS, hj.Model(hyperprior=hyperprior)).sensitivity()
    rows = {row["parameter"]: row["log_concentration"] for row in table.rows()}
    assert {name for name, value in rows.items() if np.isnan(value)} == {
        "mean.low", "mean.high", "concentration.low",
    }  # fmt: skip
    assert rows["concentration.base_dist.loc"] > 0
    with pytest.raises(InferenceError, match="type2_mle: the hyperprior does not enter"):
        fits["type2_mle"].sensitivity()
