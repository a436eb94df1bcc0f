"""Quadrature against figures and sums of others, under refinement, and as a pure function."""

from contextlib import contextmanager
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from compilation import compilations
from hierarchy_oracle import log_marginal, log_power_law
from monte_carlo import exact
from reference_values import CURRENT_QUANTILES, REFERENCE
from scipy import stats
from scipy.special import expit, logsumexp

import hierjax as hj
from hierjax.inference.quadrature import quadrature

COORDINATES = ("logit_mean", "log_concentration")
QUANTILES = {"low": "q05", "median": "q50", "high": "q95"}
MODEL = hj.Model()

run = jax.jit(quadrature, static_argnums=(2, 3))


@contextmanager
def strict(dtype=np.float64):
    """No silent change of precision or rank, and double precision only where it is asked for."""
    with (
        jax.enable_x64(dtype == np.float64),
        jax.numpy_rank_promotion("raise"),
        jax.numpy_dtype_promotion("strict"),
    ):
        yield


class Summary(NamedTuple):
    log_evidence: np.ndarray
    means: np.ndarray
    sds: np.ndarray


def summarize(result):
    weights = np.asarray(result.posterior.weights, float)[..., None]
    points = np.asarray(result.posterior.points, float)
    means = np.sum(weights * points, axis=(0, 1))
    variances = np.sum(weights * (points - means) ** 2, axis=(0, 1))
    return Summary(np.asarray(result.log_evidence, float), means, np.sqrt(variances))


def distance(one, other):
    """Largest difference, of means and deviations in units of the standard deviations."""
    return max(
        abs(one.log_evidence - other.log_evidence),
        np.max(np.abs(one.means - other.means) / other.sds),
        np.max(np.abs(np.log(one.sds / other.sds))),
    )


def arrays(successes, trials, multiplicity=None, dtype=np.float64):
    weights = np.ones(len(trials)) if multiplicity is None else np.asarray(multiplicity, float)
    tally = hj.Tally.from_pairs(np.asarray(successes), np.asarray(trials), weights)
    return tally.arrays(dtype)


def lengthened(given, length=128):
    """Counts of counts may be longer than need be: one shape, and one compilation, for many."""
    names = ("successes_above", "failures_above", "trials_above")
    longer = {name: np.pad(getattr(given, name), (0, length))[:length] for name in names}
    assert len(given.trials_above) <= length
    return given._replace(**longer)


@pytest.fixture(scope="module", params=(70, 71))
def rats(request):
    return exact(current=request.param == 71), REFERENCE[request.param]


def test_hyperparameters_of_the_rats(rats):
    fit, reference = rats
    expected = reference["posterior"]
    assert fit.status == "converged"
    assert fit.info["log_evidence"] == pytest.approx(expected["log_evidence"], abs=1e-8)
    rows = {row["parameter"]: row for row in fit.summary(0.9).rows()}
    for name in (*COORDINATES, "mean"):
        assert rows[name]["mean"] == pytest.approx(expected[name]["mean"], abs=1e-8)
        assert rows[name]["sd"] == pytest.approx(expected[name]["sd"], abs=1e-8)
        for column, figure in QUANTILES.items():
            assert rows[name][column] == pytest.approx(expected[name][figure], abs=0.015)
    for name in ("alpha", "beta"):
        for column, figure in QUANTILES.items():
            assert rows[name][column] == pytest.approx(expected[name][figure], rel=1e-3)


def test_units_of_the_rats(rats):
    fit, reference = rats
    table, expected = fit.units(0.9), reference["unit_posteriors"]
    for column in ("successes", "trials"):
        np.testing.assert_array_equal(table[column], expected[column])
    for column in ("mean", "sd"):
        np.testing.assert_allclose(table[column], expected[column], rtol=0, atol=1e-7)
    for column, figure in QUANTILES.items():
        np.testing.assert_allclose(table[column], expected[figure], rtol=0, atol=4e-5)


def test_new_unit_of_the_rats(rats):
    fit, reference = rats
    row, expected = next(fit.predict(4, 14, level=0.9).rows()), reference["new_unit"]
    for column in ("mean", "sd"):
        assert row[column] == pytest.approx(expected[column], abs=1e-8)
    if reference["units"] == 70:
        found = [row[column] for column in QUANTILES]
        np.testing.assert_allclose(found, CURRENT_QUANTILES, rtol=0, atol=1e-9)
    probabilities = reference["new_unit_predictive_pmf"]
    np.testing.assert_allclose(fit.predictive(14), probabilities, rtol=0, atol=1e-9)
    loo = fit.loo()
    assert loo.elpd == pytest.approx(reference["loo"]["elpd"], abs=1e-7)
    np.testing.assert_allclose(loo.pointwise, reference["loo"]["pointwise"], rtol=0, atol=1e-9)


def many_units():
    rng = np.random.default_rng(3)
    trials = rng.integers(1, 60, 100_000)
    return rng.binomial(trials, rng.beta(3, 30, len(trials))), trials


HARD = {
    "underdispersed": ([2] * 20, [10] * 20),
    "two units": ([0, 1], [1, 3]),
    "one success in 1,001 units": ([0] * 1000 + [1], [100] * 1001),
    "100,000 units": many_units(),
    "one unit inside (0, 1)": ([5, 0], [10, 0]),
    "nearly all successes": ([10] * 30 + [9], [10] * 31),
    "zeros and ones": ([0] * 50 + [10] * 50 + [5], [10] * 101),
    "rates far apart": ([1] * 10 + [99] * 10, [100] * 20),
    "a tenth of a unit each": ([1, 3, 2, 0], [5, 9, 4, 6], [0.6, 0.4, 0.2, 0.1]),
    "a million units each": ([2, 0, 9], [10, 10, 10], [1e6, 1e6, 1e6]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HARD)
def test_refinement_converges_and_its_estimate_bounds_the_error(name):
    with strict():
        tally = lengthened(arrays(*HARD[name]))
        coarse, fine = run(MODEL, tally, 64, 32), run(MODEL, tally, 192, 96)
    error = distance(summarize(coarse), summarize(fine))
    assert error < float(coarse.error_estimate) < 3e-3
    # The estimate is the error of half the resolution; the error itself is about its square.
    assert error < 10 * float(coarse.error_estimate) ** 2 + 1e-9
    assert float(fine.error_estimate) < 2e-8
    for result in (coarse, fine):
        assert abs(float(result.edge_mass)) < 1e-12
        assert np.asarray(result.posterior.weights).sum() == pytest.approx(1.0, abs=1e-12)


def summed_on_a_grid(successes, trials, first, last, steps):
    """Evidence, means and deviations by SciPy's log-betas on a uniform grid."""
    u, w = np.meshgrid(*(np.arange(a, b, h) for a, b, h in zip(first, last, steps, strict=True)))
    log_density = log_marginal(u, w, successes, trials) + log_power_law(u, w)
    total = logsumexp(log_density)
    weights = np.exp(log_density - total)
    means = np.array([np.sum(weights * values) for values in (u, w)])
    pairs = zip((u, w), means, strict=True)
    sds = np.sqrt([np.sum(weights * (values - mean) ** 2) for values, mean in pairs])
    return Summary(total + np.log(steps[0] * steps[1]), means, sds)


# In the first table the mode of logit_mean given the log-concentration lies up to 20 away from the
# log-odds of the pooled rate, down a flank without curvature: Newton's method does not get there.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "grid"),
    [
        (([1, 0, 3], [10**9] * 3), ((-45, -30), (25, 22), (0.2, 0.2))),
        (([10**8, 2 * 10**8, 3 * 10**8], [10**9] * 3), ((-8, -8), (6, 40), (0.1, 0.1))),
    ],
)
def test_large_trials(table, grid):
    with strict():
        result = run(MODEL, arrays(*table), 96, 48)
    assert float(result.error_estimate) < 1e-5
    assert abs(float(result.edge_mass)) < 1e-12
    # What cancels in log-betas of 10^9 leaves six digits after the point.
    assert distance(summarize(result), summed_on_a_grid(*table, *grid)) < 1e-5


HYPERPRIORS = {
    "mean_concentration": (
        lambda: hj.MeanConcentration(dist.Beta(2.0, 6.0), dist.LogNormal(2.0, 0.7)),
        lambda m, k: stats.beta(2, 6).logpdf(m) + stats.lognorm(0.7, scale=np.exp(2)).logpdf(k),
        lambda m, k: np.log(m * (1 - m) * k),
    ),
    "shapes": (
        lambda: hj.Shapes(dist.Gamma(2.0, 0.5), dist.HalfCauchy(9.0)),
        lambda m, k: (
            stats.gamma(2, scale=2).logpdf(m * k) + stats.halfcauchy(scale=9).logpdf((1 - m) * k)
        ),
        lambda m, k: np.log(m * (1 - m) * k**2),
    ),
}


@pytest.mark.parametrize("kind", HYPERPRIORS)
def test_proper_hyperpriors(kind):
    make, log_density, log_jacobian = HYPERPRIORS[kind]
    table = [1, 3, 2, 4], [9, 12, 8, 40]
    with strict():
        result = run(hj.Model(hyperprior=make()), arrays(*table), 72, 64)
    u, w = np.meshgrid(np.arange(-9, 6, 0.05), np.arange(-8, 20, 0.05))
    m, kappa = expit(u), np.exp(w)
    values = log_marginal(u, w, *table) + log_density(m, kappa) + log_jacobian(m, kappa)
    exact = logsumexp(values) + 2 * np.log(0.05)
    assert float(result.log_evidence) == pytest.approx(exact, abs=1e-7)
    weights = np.exp(values - logsumexp(values))
    found = summarize(result).means
    np.testing.assert_allclose(found, [np.sum(weights * u), np.sum(weights * w)], atol=1e-7)


@pytest.mark.slow
def test_single_precision_stays_single():
    with strict(np.float32):
        # Types place their rows apart: the rule must be fine enough for that not to count.
        result = run(MODEL, arrays([1, 3], [9, 12], dtype=np.float32), 64, 32)
        assert {leaf.dtype for leaf in jax.tree.leaves(result)} == {np.dtype(np.float32)}
    with strict():
        double = run(MODEL, arrays([1, 3], [9, 12]), 64, 32)
    assert distance(summarize(result), summarize(double)) < 1e-4


@pytest.fixture(scope="module")
def reversed_and_alike():
    """The rats, the rats in another order, with successes and failures exchanged, and others."""
    counts = hj.datasets.rat_tumors()
    y, n = counts.successes, counts.trials
    order = np.random.default_rng(1).permutation(70)
    halves = np.minimum(y, n // 2)
    tables = ((y, n), (y[order], n[order]), (n - y, n), (halves, n))
    return [arrays(*table) for table in tables]


def test_order_and_names_of_outcomes_do_not_matter(reversed_and_alike):
    with strict():
        first, permuted, exchanged, _ = (
            summarize(run(MODEL, tally, 72, 64)) for tally in reversed_and_alike
        )
    for one, other in zip(first, permuted, strict=True):
        np.testing.assert_array_equal(one, other)
    sign = np.array([-1.0, 1.0])
    mirrored = exchanged._replace(means=sign * exchanged.means)
    assert distance(mirrored, first) < 1e-9


def test_tables_of_one_size_class_are_compiled_once(reversed_and_alike):
    with strict():
        run(MODEL, reversed_and_alike[0], 72, 64).log_evidence.block_until_ready()
        with compilations() as events:
            for tally in (*reversed_and_alike[1:], arrays([0, 3, 5], [33, 40, 64])):
                run(MODEL, tally, 72, 64).log_evidence.block_until_ready()
            # The exponent is data as well.
            run(hj.Model(hyperprior=hj.PowerLaw(3.1)), reversed_and_alike[0], 72, 64)
    assert not events


@pytest.mark.slow
def test_a_batch_is_the_same_as_one_by_one(reversed_and_alike):
    with strict():
        batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *reversed_and_alike)
        together = jax.jit(jax.vmap(lambda tally: quadrature(MODEL, tally, 96, 48)))(batch)
        assert together.posterior.points.shape == (4, 96, 48, 2)
        for index, tally in enumerate(reversed_and_alike):
            alone = run(MODEL, tally, 96, 48)
            each = jax.tree.map(lambda leaf, index=index: leaf[index], together)
            assert distance(summarize(each), summarize(alone)) < 1e-10


def test_evidence_is_differentiable():
    """The derivative of log p(Y) by the exponent is minus the mean of the log-concentration."""
    with strict():
        tally = arrays([2, 0, 5, 3, 9], [10, 12, 9, 11, 14])

        def log_evidence(exponent):
            model = jax.tree.map(lambda _: exponent, MODEL)
            result = quadrature(model, tally, 64, 32)
            mean = jnp.sum(result.posterior.weights * result.posterior.points[..., 1])
            return result.log_evidence, mean

        (_, mean), (slope, _) = jax.jit(lambda a: jax.jvp(log_evidence, (a,), (jnp.ones_like(a),)))(
            jnp.asarray(2.7)
        )
        assert float(slope) == pytest.approx(-float(mean), abs=1e-6)


@pytest.mark.slow
def test_points_evaluated_in_batches_have_the_same_log_posteriors(monkeypatch):
    """So that memory does not grow with points times pairs."""
    counts = hj.Counts([3, 40, 70, 2], [900, 1000, 1100, 9])
    whole = hj.fit(counts)
    tally = hj.Tally.of(counts).arrays()
    with jax.enable_x64(True):
        monkeypatch.setattr("hierjax.inference.quadrature._CELLS", 1000)
        found = quadrature(hj.Model(), tally)
    assert float(found.log_evidence) == pytest.approx(whole.info["log_evidence"], rel=1e-13)
    np.testing.assert_allclose(found.posterior.weights, whole.posterior.weights, rtol=1e-9)
