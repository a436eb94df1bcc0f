"""Derivatives against refits with other weights and hyperpriors, and against JAX's own."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import hierjax as hj
from hierjax.errors import ConfigError, DataError, InferenceError
from hierjax.families.beta_binomial import BetaBinomial
from hierjax.hyperparameters import PARAMETERS, parameter_values
from hierjax.inference.quadrature import quadrature
from hierjax.lattice_quantiles import lattice_quantile_effects, lattice_quantiles

RATS = hj.datasets.rat_tumors(current=True)
MAXIMUM = hj.Type2MLE()
ANSWERS = BetaBinomial.hyperparameters.answers
# Between its nodes quantiles are right to rounding: slopes of refits then show derivatives alone.
FINE = hj.Quadrature(rows=216, columns=128)
# Steps so large that they end where the information is not positive definite.
TOO_FAR = hj.Type2MLE(optimizer="gradient_ascent", learning_rate=50.0, max_steps=2)
PROPER = hj.Model(hyperprior=hj.MeanConcentration(dist.Beta(2.0, 6.0), dist.LogNormal(2.0, 1.0)))


ASKED = {"of": "71", "new": (0, 0), "levels": (0.05, 0.5, 0.95), "above": 0.2}


def answers(fit):
    """What `influence` differentiates if asked for `ASKED`, as the fit answers it."""
    values = parameter_values(np.asarray(fit.posterior.points, np.float64))
    weights = fit.posterior.weights
    logs = {"log_alpha": np.log(values["alpha"]), "log_beta": np.log(values["beta"])}
    found = {name: np.sum(weights * (values | logs)[name]) for name in ANSWERS}
    if fit.result.covariance is not None:
        eta = np.sum(weights[..., None] * fit.posterior.points, axis=(0, 1))
        point = parameter_values(eta)
        logs = {"log_alpha": np.log(point["alpha"]), "log_beta": np.log(point["beta"])}
        found = {name: (point | logs)[name] for name in ANSWERS}
    is_estimate = "log_evidence" not in fit.info
    found["log_evidence"] = fit.info["log_marginal" if is_estimate else "log_evidence"]
    summary = fit.summary(0.9)
    rates = fit.predict([4, 0], [14, 0], level=0.9)
    names = ("rate of 71", "rate of 0/0")
    found |= dict(zip(names, rates["mean"], strict=True))
    for level, column in (("5%", "low"), ("50%", "median"), ("95%", "high")):
        hyper = zip(PARAMETERS, summary[column], strict=True)
        found |= {f"{level} of {name}": value for name, value in hyper}
        found |= {f"{level} of {name}": rates[column][k] for k, name in enumerate(names)}
    above = 1 - fit._units.below(np.array([4, 0]), np.array([14, 0]), np.array([0.2]))[:, 0]
    return found | {f"P({name} > 0.2)": above[k] for k, name in enumerate(names)}


@pytest.fixture(scope="module")
def fits():
    plug_in = hj.fit(RATS, method=MAXIMUM)
    return {"quadrature": hj.fit(RATS), "type2_mle": plug_in, "corrected": plug_in.corrected()}


def slope(low, high, step):
    return {name: (high[name] - low[name]) / (2 * step) for name in low}


CASES = [("quadrature", 0), ("quadrature", 69), ("type2_mle", 69), ("corrected", 0)]


@pytest.mark.parametrize(("method", "j"), CASES)
def test_rows_are_the_slopes_of_refits_with_other_weights(fits, method, j):
    fit, step = fits[method], 1e-3
    table = fit.influence(**ASKED)
    found = {name: table[name][j] for name in table if name not in ("label", "successes", "trials")}
    ends = []
    for weight in (1 - step, 1 + step):
        weights = np.where(np.arange(71) == j, weight, 1.0)
        counts = hj.Counts(RATS.successes, RATS.trials, RATS.labels, weights=weights)
        other = hj.fit(counts, method=FINE if method == "quadrature" else fit.method)
        ends.append(answers(other.corrected() if method == "corrected" else other))
    expected = slope(*ends, step)
    assert list(found) == list(expected)
    for name, value in found.items():
        # Central differences leave step^2 times a third derivative; the maximum is found to 1e-10.
        # Derivatives of quadrature's quantiles are interpolated between the nodes of its rows.
        interpolated = method == "quadrature" and "% of" in name
        tolerance = 1e-5 if interpolated else 4e-6
        assert value == pytest.approx(expected[name], rel=tolerance, abs=1e-9), name


def test_effects_on_quantiles_are_the_slopes_of_interpolation_itself(fits):
    """Without moving nodes the quantiles' derivatives are exact to rounding."""
    posterior, lattice = fits["quadrature"].posterior, fits["quadrature"].result.lattice
    tilt = np.cos(posterior.points[..., 0]) + 0.1 * posterior.points[..., 1]
    levels, step = np.array([0.01, 0.5, 0.9]), 1e-4
    ends = []
    for sign in (-1, 1):
        weights = posterior.weights * (1 + sign * step * tilt)
        tilted = posterior._replace(weights=weights / weights.sum())
        ends.append(lattice_quantiles(tilted, lattice, levels))
    expected = (ends[1] - ends[0]) / (2 * step)
    effects = lattice_quantile_effects(posterior, lattice, levels)
    centered = posterior.weights * (tilt - np.sum(posterior.weights * tilt))
    # step^2 is 1e-8, and rounding of a quantile over the step 1e-12.
    np.testing.assert_allclose(np.sum(effects * centered, axis=(2, 3)), expected, rtol=1e-6)


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


@pytest.mark.slow
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
    table = hj.fit(RATS, method=method, key=jax.random.key(5)).influence(**ASKED)
    exact = fits["quadrature"].influence(**ASKED)
    # A covariance of some 500 effective draws has errors of 5 % of the product of standard
    # deviations, which is about the largest row: one exceeds five of them for few seeds in 10^5.
    # Ends of the hyperparameters' intervals divide by a density from some 50 effective draws,
    # whose error is 15 % and more, as draws are correlated.
    for name in list(exact)[3:]:
        error = np.max(np.abs(table[name] - exact[name]))
        tolerance = 0.6 if "% of" in name and "rate" not in name else 0.25
        assert error < tolerance * np.max(np.abs(exact[name])), name


def test_complete_pooling_moves_by_its_mean_alone():
    y, n = np.array([2] * 19 + [3]), np.full(20, 10)
    fit = hj.fit(hj.Counts(y, n), method=MAXIMUM)
    assert fit.status == "boundary"
    table = fit.influence(of="1", levels=(0.5, 0.9), above=0.3)
    m = y.sum() / n.sum()
    # The pooled mean is sum a y / sum a n.
    np.testing.assert_allclose(table["mean"], (y - n * m) / n.sum(), rtol=1e-12)
    np.testing.assert_allclose(table["rate of 1"], table["mean"], rtol=1e-12)
    np.testing.assert_allclose(table["logit_mean"], table["mean"] / (m * (1 - m)), rtol=1e-12)
    # All rates are the mean, so are their quantiles, and they are below 0.3 for certain.
    for name in ("50% of mean", "50% of rate of 1", "90% of rate of 1"):
        np.testing.assert_allclose(table[name], table["mean"], rtol=1e-12)
    assert not table["P(rate of 1 > 0.3)"].any()
    unmoved = ("log_concentration", "log_alpha", "log_beta", "50% of alpha")
    for name in (*unmoved, *(f"90% of {parameter}" for parameter in PARAMETERS)):
        assert np.all(np.isnan(table[name]))


@pytest.mark.parametrize("labels", ["elsewhere", ["1", "72"]])
def test_unknown_units_are_named(fits, labels):
    with pytest.raises(DataError, match=r"of: expected the label of one unit, found '(els|72)"):
        fits["quadrature"].influence(of=labels)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"levels": 1.0}, r"levels: expected probabilities inside \(0, 1\), found 1.0"),
        ({"levels": [0.5, 0.1, 0.5]}, "levels: expected each once, found 0.5 twice"),
        ({"of": "1", "above": [0.2, np.nan]}, r"above: expected probabilities inside .*found nan"),
        ({"above": 0.2}, "above: expected units in `of` or `new` to be above it, found none"),
        ({"of": ["1", "2", "1"]}, "of and new: expected each once, found '1' twice"),
        ({"new": [(4, 14), (4, 14)]}, "of and new: expected each once, found '4/14' twice"),
        ({"new": (4, 3)}, "new unit 1"),
        ({"new": [(4, -1)]}, "new unit 1, trials"),
    ],
)
def test_what_cannot_be_followed_is_refused(fits, asked, message):
    for ask in (fits["type2_mle"].influence, fits["quadrature"].sensitivity):
        with pytest.raises((ConfigError, DataError), match=message):
            ask(**asked)


@pytest.mark.slow
def test_single_precision_gives_the_same_derivatives(fits):
    """To some 1e-5: posteriors and maxima have six digits, and differences lose one."""
    for name in fits:
        method = fits[name].method
        fit = hj.fit(RATS, method=method, precision="float32")
        fit = fit.corrected() if name == "corrected" else fit
        single, double = fit.influence(**ASKED), fits[name].influence(**ASKED)
        for column in list(double)[3:]:
            error = np.max(np.abs(single[column] - double[column]))
            assert error < 2e-4 * np.max(np.abs(double[column])), (name, column)


def test_methods_without_a_maximum_are_refused():
    with pytest.raises(InferenceError, match="moments: no likelihood whose derivatives"):
        hj.fit(RATS, method=hj.Moments()).influence()
    with pytest.raises(InferenceError, match="type2_mle: no maximum to differentiate"):
        hj.fit(RATS, method=TOO_FAR).influence()


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
    def at(value, method=FINE):
        # NumPyro rounds parameters to float32 unless told otherwise, which is too coarse a step.
        with jax.enable_x64(True):
            return hj.fit(RATS, hj.Model(hyperprior=MODELS[name](value)), method)

    table, step = at(value, hj.Quadrature()).sensitivity(**ASKED), 1e-3 * value
    expected = slope(answers(at(value - step)), answers(at(value + step)), step)
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
    for name in ("type2_mle", "corrected"):
        with pytest.raises(InferenceError, match="type2_mle: the hyperprior does not enter"):
            fits[name].sensitivity()
