"""Type-2 maximum likelihood against published figures, SciPy's optimiser and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hierarchy_oracle import log_marginal
from scipy.optimize import minimize

import hierjax as hj
from hierjax.errors import InferenceError
from hierjax.inference.type2_mle import type2_mle

RATS = hj.datasets.rat_tumors()
OPTIMIZERS = ("lbfgs", "newton", "adam", "gradient_ascent")
POOLED = hj.Counts([2] * 20, [10] * 20)
TWO_STEPS = hj.Type2MLE(optimizer="gradient_ascent", learning_rate=0.5, max_steps=2)


@pytest.fixture(scope="module")
def fits():
    return {
        optimizer: hj.fit(RATS, method=hj.Type2MLE(optimizer=optimizer)) for optimizer in OPTIMIZERS
    }


def working_coordinates(fit):
    return np.asarray(fit.posterior.points[0, 0], np.float64)


def maximum(counts):
    """SciPy's maximum of a log-marginal made of SciPy's log-betas."""

    def loss(eta):
        return -log_marginal(*eta, counts.successes, counts.trials)

    found = minimize(loss, [0.0, 2.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 0})
    return found.x, -found.fun


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_rats_have_the_published_maximum(fits, optimizer):
    fit = fits[optimizer]
    assert (fit.status, fit.message) == ("converged", "")
    assert fit.estimate("alpha") == pytest.approx(2.3047833121243348, rel=1e-9)
    assert fit.estimate("beta") == pytest.approx(14.0798090315479650, rel=1e-9)
    assert fit.info["log_marginal"] == pytest.approx(-154.1402496651976, rel=1e-12)
    assert fit.predict(4, 14)["mean"][0] == pytest.approx(0.20749935496295505, rel=1e-9)


def test_rats_with_the_current_experiment_have_the_published_maximum():
    fit = hj.fit(hj.datasets.rat_tumors(current=True), method=hj.Type2MLE())
    assert fit.estimate("alpha") == pytest.approx(2.3416144033336397, rel=1e-9)
    assert fit.estimate("beta") == pytest.approx(14.114804298441264, rel=1e-9)
    assert fit.info["log_marginal"] == pytest.approx(-156.56892988322883, rel=1e-12)
    assert fit.units()["mean"][-1] == pytest.approx(0.20821930724783708, rel=1e-9)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_path_leads_to_the_maximum(fits, optimizer):
    info, end = fits[optimizer].info, working_coordinates(fits[optimizer])
    path, values = info["path"], info["log_marginal_path"]
    assert len(path) == len(values) == min(info["steps"], 1000) + 1
    np.testing.assert_array_equal(path[-1], end)
    assert values[-1] == info["log_marginal"]
    # Rounding of log-betas leaves about 1e-12 of -154.
    expected = log_marginal(path[:, 0], path[:, 1], RATS.successes, RATS.trials)
    np.testing.assert_allclose(values, expected, rtol=1e-11)
    if optimizer != "adam":  # whose momentum may overshoot
        assert np.all(np.diff(values) >= -1e-12 * abs(values[-1]))
    assert values[-1] - values[0] > 0.1


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_gradient_at_the_end_is_zero(fits, optimizer):
    fit, step = fits[optimizer], 1e-5
    assert np.max(np.abs(fit.info["gradient"])) <= 1e-10
    end = working_coordinates(fit)
    for direction in np.eye(2):
        ahead, behind = (
            log_marginal(*(end + sign * step * direction), RATS.successes, RATS.trials)
            for sign in (1, -1)
        )
        # The rounding of both log-marginals over twice the step.
        assert abs(ahead - behind) / (2 * step) < 1e-6


def test_standard_errors_come_from_the_curvature():
    fit, step = hj.fit(RATS, method=hj.Type2MLE()), 1e-3
    end = working_coordinates(fit)

    def value(*shift):
        return log_marginal(*(end + step * np.array(shift)), RATS.successes, RATS.trials)

    hessian = np.empty((2, 2))
    for i, a in enumerate(np.eye(2)):
        for j, b in enumerate(np.eye(2)):
            hessian[i, j] = value(*(a + b)) - value(*(a - b)) - value(*(b - a)) + value(*(-a - b))
    expected = np.linalg.inv(-hessian / (4 * step**2))
    # Fourth differences are of relative order step^2, rounding of order 1e-13 / step^2.
    np.testing.assert_allclose(fit.result.covariance, expected, rtol=1e-5)
    table = fit.summary(level=0.95)
    np.testing.assert_allclose(table["sd"][:2], np.sqrt(np.diag(expected)), rtol=1e-5)
    half_width = 1.959963984540054 * table["sd"][:2]
    np.testing.assert_allclose(table["high"][:2], table["mean"][:2] + half_width, rtol=1e-9)
    np.testing.assert_allclose(table["low"][:2], table["mean"][:2] - half_width, rtol=1e-9)


@pytest.mark.parametrize("precision", ["float64", pytest.param("float32", marks=pytest.mark.slow)])
def test_data_without_overdispersion_are_completely_pooled(precision):
    fit = hj.fit(POOLED, method=hj.Type2MLE(), precision=precision)
    assert fit.status == "boundary"
    # Of each unit: (0 + 1) / 0.2 + (0 + ... + 7) / 0.8 - (0 + ... + 9) = 5 + 35 - 45.
    assert fit.info["pooled_slope"] == pytest.approx(-100, rel=1e-5)
    assert "-100" in fit.message
    probability = 45 * 0.2**2 * 0.8**8
    assert fit.info["log_marginal"] == pytest.approx(20 * np.log(probability), rel=1e-6)
    summary = fit.summary()
    for column in ("mean", "median"):
        assert summary[column][0] == pytest.approx(-np.log(4), rel=1e-6)
        assert summary[column][2] == pytest.approx(0.2, rel=1e-6)
        assert np.isnan(summary[column][[1, 3, 4, 5]]).all()  # infinite
    assert all(np.isnan(summary[column]).all() for column in ("sd", "low", "high"))
    table = fit.units()
    for column in ("mean", "low", "median", "high"):
        np.testing.assert_allclose(table[column], 0.2, rtol=1e-6)
    np.testing.assert_array_equal(table["sd"], 0.0)
    np.testing.assert_array_equal(table["shrinkage"], 1.0)
    assert fit.predict(9, 10)["mean"][0] == pytest.approx(0.2, rel=1e-6)
    binomial = np.array([0.8**2, 2 * 0.2 * 0.8, 0.2**2])
    np.testing.assert_allclose(fit.predictive(2), binomial, rtol=1e-5)
    # Twenty roundings of a log-probability add up.
    assert fit.loo().elpd == pytest.approx(20 * np.log(probability), rel=1e-5)
    with pytest.raises(InferenceError, match="no density"):
        fit.unit_density(2, 10, np.array([0.5]))


def test_an_interior_maximum_is_preferred_to_complete_pooling():
    fit = hj.fit(RATS, method=hj.Type2MLE())
    assert fit.info["pooled_slope"] > 0
    pooled = 263 / 1725
    binomial = log_marginal(np.log(pooled / (1 - pooled)), 12.0, RATS.successes, RATS.trials)
    # At a concentration of exp(12) what is left of the overdispersion is 1e-4 of the slope.
    assert fit.info["pooled_log_marginal"] == pytest.approx(binomial, abs=1e-2)
    assert fit.info["log_marginal"] > fit.info["pooled_log_marginal"] + 1


def test_too_few_steps_are_reported():
    fit = hj.fit(RATS, method=TWO_STEPS)
    assert (fit.status, fit.info["steps"]) == ("not_converged", 2)
    assert "after 2 steps" in fit.message
    assert len(fit.info["path"]) == 3
    np.testing.assert_array_equal(fit.info["path"][-1], working_coordinates(fit))


@pytest.mark.parametrize(
    ("successes", "trials", "message"),
    [
        ([0, 0, 0], [4, 5, 6], "units have no successes"),
        ([4, 5, 6], [4, 5, 6], "units have only successes"),
        ([0, 1, 1, 0], [1, 1, 1, 1], "no unit has two trials"),
        ([0, 5, 6], [4, 5, 6], "rises as the concentration falls to 0"),
        ([0, 5, 0], [4, 5, 0], "rises as the concentration falls to 0"),
    ],
)
def test_likelihoods_without_a_maximum_fail(successes, trials, message):
    fit = hj.fit(hj.Counts(successes, trials), method=hj.Type2MLE())
    assert fit.status == "failed"
    assert message in fit.message
    with pytest.raises(InferenceError, match="type2_mle: no result"):
        fit.summary()


def test_units_of_weight_zero_do_not_make_a_maximum():
    counts = hj.Counts([0, 5, 3], [4, 5, 6], weights=[1, 1, 0])
    assert hj.fit(counts, method=hj.Type2MLE()).status == "failed"


@pytest.mark.slow
def test_many_trials_a_unit_have_scipys_maximum():
    """Counts too large for counts of counts, which go pair by pair."""
    rng = np.random.default_rng(2)
    trials = rng.integers(1_000, 50_000, size=60)
    counts = hj.Counts(rng.binomial(trials, rng.beta(3.0, 40.0, size=60)), trials)
    fit = hj.fit(counts, method=hj.Type2MLE())
    place, value = maximum(counts)
    assert fit.status == "converged"
    # SciPy's log-betas are rounded at 1e-10 of their size here, and a maximum found from values
    # alone is as uncertain as the square root of their error.
    np.testing.assert_allclose(working_coordinates(fit), place, atol=1e-4)
    assert fit.info["log_marginal"] == pytest.approx(value, abs=1e-5)


def test_few_trials_a_unit_have_scipys_maximum():
    counts, _ = hj.datasets.simulate(
        jax.random.key(1), mean=0.6, concentration=3.0, trials=np.resize([1, 2, 5, 9], 400)
    )
    fit = hj.fit(counts, method=hj.Type2MLE())
    place, value = maximum(counts)
    np.testing.assert_allclose(working_coordinates(fit), place, atol=1e-6)
    assert fit.info["log_marginal"] == pytest.approx(value, rel=1e-12)


def test_a_weight_of_two_is_a_unit_listed_twice():
    times = np.resize([1, 2, 1], len(RATS))
    weighted = hj.Counts(RATS.successes, RATS.trials, weights=times)
    listed = hj.Counts(np.repeat(RATS.successes, times), np.repeat(RATS.trials, times))
    one, other = (hj.fit(counts, method=hj.Type2MLE()) for counts in (weighted, listed))
    assert one.info["log_marginal"] == pytest.approx(other.info["log_marginal"], rel=1e-12)
    for column in ("mean", "sd"):
        np.testing.assert_allclose(one.summary()[column], other.summary()[column], rtol=1e-9)


def test_units_without_trials_change_nothing():
    counts = hj.Counts([*RATS.successes, 0], [*RATS.trials, 0])
    one, other = (hj.fit(c, method=hj.Type2MLE()) for c in (counts, RATS))
    # Both end where the gradient per unit is below 1e-10, the curvature per unit being 0.06.
    np.testing.assert_allclose(one.summary()["mean"], other.summary()["mean"], rtol=1e-8)


@pytest.mark.slow
def test_single_precision_is_close(fits):
    single, double = hj.fit(RATS, method=hj.Type2MLE(), precision="float32"), fits["lbfgs"]
    assert single.status == "converged"
    assert single.posterior.points.dtype == np.float32
    for column in ("mean", "sd", "low", "high"):
        np.testing.assert_allclose(single.summary()[column], double.summary()[column], rtol=1e-3)
    np.testing.assert_allclose(single.units()["mean"], double.units()["mean"], rtol=1e-4)


@pytest.mark.slow
def test_stacked_data_sets_have_the_maxima_of_each():
    rng = np.random.default_rng(7)
    rates = rng.beta(2.0, 8.0, size=(6, 30))
    tables = [hj.Counts(rng.binomial(40, row), np.full(30, 40)) for row in rates]
    tallies = [hj.Tally.of(counts).arrays(np.float64) for counts in tables]
    with jax.enable_x64(True):
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *tallies)
        tolerance = jnp.asarray(1e-10)
        optima = jax.vmap(lambda tally: type2_mle(hj.Model(), tally, tolerance))(stacked)
        optima = jax.tree.map(np.asarray, optima)
    assert optima.converged.all()
    for i, counts in enumerate(tables):
        fit = hj.fit(counts, method=hj.Type2MLE())
        np.testing.assert_allclose(optima.eta[i], working_coordinates(fit), rtol=1e-9)
        assert optima.log_marginal[i] == pytest.approx(fit.info["log_marginal"], rel=1e-12)


def test_a_fixed_learning_rate_is_used():
    """Gradient ascent's first step is the rate times the gradient per unit."""
    fit = hj.fit(RATS, method=TWO_STEPS)
    start, end, _ = fit.info["path"]
    step = 1e-5
    gradient = [
        (
            log_marginal(*(start + step * direction), RATS.successes, RATS.trials)
            - log_marginal(*(start - step * direction), RATS.successes, RATS.trials)
        )
        / (2 * step)
        for direction in np.eye(2)
    ]
    np.testing.assert_allclose(end - start, 0.5 * np.array(gradient) / len(RATS), rtol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "simplex"},
        {"optimizer": "newton", "learning_rate": 0.1},
        {"optimizer": "lbfgs", "learning_rate": 0.1},
        {"optimizer": "adam", "learning_rate": 0.0},
        {"max_steps": 0},
        {"gradient_tolerance": -1e-3},
        {"steps": 10},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(
        (ValueError, TypeError), match=next(iter(settings.keys() - {"optimizer"}), "optimizer")
    ):
        hj.Type2MLE(**settings)


def test_newton_climbs_from_anywhere():
    """Far from the maximum the log-marginal is neither concave nor as its parabola."""
    tally = jax.tree.map(jnp.asarray, hj.Tally.of(RATS).arrays(np.float32))
    starts = jnp.array([[u, w] for u in (-9.0, 0.0, 9.0) for w in (-9.0, 2.0, 15.0)], jnp.float32)

    def climb(start):
        settings = {"optimizer": "newton", "max_steps": 60}
        return type2_mle(hj.Model(), tally, jnp.float32(1e-5), start=start, **settings)

    found = jax.vmap(climb)(starts)
    assert found.converged.all()
    np.testing.assert_allclose(found.eta, np.tile([-1.809755, 2.796341], (9, 1)), atol=2e-4)
