"""Every method with every family: against brute force, published figures, and quadrature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from family_cases import (
    APART,
    CASES,
    PUMPS,
    PUMPS_MODEL,
    SCHOOLS,
    brute_pumps,
    brute_schools,
    negative_binomial,
)
from monte_carlo import errors, require_enough
from scipy.interpolate import make_interp_spline

import hierjax as hj
from hierjax.errors import ModelError
from hierjax.families import FAMILIES
from hierjax.inference.boundary import boundary_posterior
from hierjax.inference.nuts import NutsData, _potential
from hierjax.inference.result import UnitData
from hierjax.measurements import Measurements
from hierjax.poisson_events import Events

others = pytest.mark.parametrize("family", list(CASES))


@pytest.fixture(scope="module")
def exact():
    return {name: hj.fit(*case) for name, case in CASES.items()}


def expectation(fit, function):
    """Of a function of the working coordinates."""
    points = fit.posterior.points
    return float(np.sum(fit.posterior.weights * function(points[..., 0], points[..., 1])))


def test_pumps_against_brute_force_and_bugs(exact):
    fit, brute = exact["gamma_poisson"], brute_pumps()
    shape = expectation(fit, lambda u, w: np.exp(u + w))
    rate = expectation(fit, lambda u, w: np.exp(w))
    assert shape == pytest.approx(brute.mean(np.exp(brute.first)), abs=1e-6)
    assert rate == pytest.approx(brute.mean(np.exp(brute.second)), abs=1e-6)
    assert fit.info["log_evidence"] == pytest.approx(brute.log_evidence, abs=1e-6)
    # The exact values behind BUGS' published means of 10,000 draws.
    assert (round(shape, 3), round(rate, 3)) == (0.697, 0.927)


def test_schools_against_brute_force_and_posteriordb(exact):
    fit, brute = exact["normal_normal"], brute_schools()
    tau = np.exp(brute.second)
    found = fit.summary()
    row = {name: i for i, name in enumerate(found["parameter"])}
    assert found["mean"][row["mean"]] == pytest.approx(brute.mean(brute.first), abs=1e-6)
    assert found["sd"][row["mean"]] == pytest.approx(brute.sd(brute.first), abs=1e-6)
    assert found["mean"][row["tau"]] == pytest.approx(brute.mean(tau), abs=1e-5)
    assert found["sd"][row["tau"]] == pytest.approx(brute.sd(tau), abs=1e-4)
    assert fit.info["log_evidence"] == pytest.approx(brute.log_evidence, abs=1e-6)
    # posteriordb, eight_schools-eight_schools_noncentered: 10,000 draws, whose errors are some
    # hundredths.
    for name, mean, sd in (("mean", 4.41, 3.31), ("tau", 3.60, 3.20)):
        assert found["mean"][row[name]] == pytest.approx(mean, abs=0.06)
        assert found["sd"][row[name]] == pytest.approx(sd, abs=0.06)


def test_quantiles_against_brute_force(exact):
    brute = brute_schools()
    nodes, mass = brute.second[0], brute.weights.sum(axis=0)
    below = make_interp_spline(nodes, mass / (nodes[1] - nodes[0]), k=7).antiderivative()
    found = exact["normal_normal"].summary()
    row = list(found["parameter"]).index("tau")
    for column, level in (("low", 0.05), ("median", 0.5), ("high", 0.95)):
        at = below(np.log(found[column][row])) - below(nodes[0])
        assert at == pytest.approx(level, abs=1e-6)


def test_the_schools_likelihood_is_highest_at_complete_pooling():
    fit = hj.fit(SCHOOLS, method=hj.Type2MLE())
    weights = SCHOOLS.sizes**-2.0
    mean = np.sum(weights * SCHOOLS.values) / weights.sum()
    slope = np.sum(((SCHOOLS.values - mean) ** 2 * weights - 1) * weights) / 2
    assert fit.status == "boundary"
    assert f"derivative in tau^2 is {slope:.4g}" in fit.message
    assert fit.estimate("mean") == pytest.approx(mean, rel=1e-12)
    assert fit.estimate("tau") == 0.0


@pytest.mark.parametrize("optimizer", ["lbfgs", "newton"])
def test_the_maximum_of_the_likelihood_against_scipy(optimizer):
    fit = hj.fit(PUMPS, method=hj.Type2MLE(optimizer))
    found = scipy.optimize.minimize(
        lambda x: -negative_binomial(*np.exp(x)), [0.0, 0.0], tol=1e-12, method="Nelder-Mead"
    )
    shape, rate = np.exp(found.x)
    assert fit.status == "converged"
    assert fit.estimate("shape") == pytest.approx(shape, rel=1e-6)
    assert fit.estimate("concentration") == pytest.approx(rate, rel=1e-6)
    assert fit.info["log_marginal"] == pytest.approx(-found.fun, abs=1e-10)
    fit = hj.fit(APART, method=hj.Type2MLE(optimizer))
    found = scipy.optimize.minimize(
        lambda x: (
            -scipy.stats.norm(x[0], np.hypot(APART.sizes, np.exp(x[1]))).logpdf(APART.values).sum()
        ),
        [30.0, 3.0],
        tol=1e-12,
        method="Nelder-Mead",
    )
    assert fit.status == "converged"
    assert fit.estimate("mean") == pytest.approx(found.x[0], rel=1e-6)
    assert fit.estimate("tau") == pytest.approx(np.exp(found.x[1]), rel=1e-6)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_units_of_measurement_do_not_matter(precision):
    """Nor origins of measurements: ascents and lattices are the same in other units."""
    by, allowed = 1e6, 1e-7 if precision == "float64" else 2e-3
    for method in (hj.Type2MLE(), hj.Quadrature()):
        fits = [
            hj.fit(Measurements(APART.values * f, APART.sizes * f), None, method,
                   precision=precision)
            for f in (1.0, by)
        ]  # fmt: skip
        ratio = fits[1].estimate("tau") / fits[0].estimate("tau")
        assert ratio == pytest.approx(by, rel=allowed)
        fits = [
            hj.fit(Events(PUMPS.events, PUMPS.exposures * f), None, method, precision=precision)
            for f in (1.0, by)
        ]
        assert fits[1].estimate("shape") == pytest.approx(fits[0].estimate("shape"), rel=allowed)
        assert all(fit.status == "converged" for fit in fits)


def test_likelihoods_without_a_maximum():
    fit = hj.fit(Events([0, 0], [1.0, 2.0]), method=hj.Type2MLE())
    assert fit.status == "failed"
    assert "no unit has events" in fit.message
    # One event in all, or equal ones, vary less than Poisson's noise.
    for events in ([0, 1, 0], [4, 4, 4]):
        fit = hj.fit(Events(events, [2.0, 2.0, 2.0]), method=hj.Type2MLE())
        assert fit.status == "boundary"
        assert "derivative in 1/rate is -" in fit.message
        assert fit.estimate("mean") == pytest.approx(sum(events) / 6, rel=1e-12)


def test_moments_by_loops():
    y, e = PUMPS.values, PUMPS.sizes
    mean = y.sum() / e.sum()
    scatter = sum(n * (x / n - mean) ** 2 for x, n in zip(y, e, strict=True))
    between = e.sum() - sum(n * n for n in e) / e.sum()
    fit = hj.fit(PUMPS, method=hj.Moments())
    assert fit.estimate("mean") == pytest.approx(mean, rel=1e-12)
    dispersion = (scatter - 9 * mean) / between / mean
    assert 1 / fit.estimate("concentration") == pytest.approx(dispersion, rel=1e-12)
    fit = hj.fit(PUMPS, method=hj.Moments("raw_rates"))
    assert fit.estimate("mean") == pytest.approx(np.mean(y / e), rel=1e-12)
    expected = np.var(y / e) / np.mean(y / e)
    assert 1 / fit.estimate("concentration") == pytest.approx(expected, rel=1e-12)


def test_moments_of_measurements_are_dersimonian_and_lairds():
    y, w = APART.values, APART.sizes**-2.0
    mean = np.sum(w * y) / w.sum()
    q = np.sum(w * (y - mean) ** 2)
    variance = (q - 7) / (w.sum() - np.sum(w**2) / w.sum())
    fit = hj.fit(APART, method=hj.Moments())
    assert fit.estimate("tau") == pytest.approx(np.sqrt(variance), rel=1e-12)
    assert fit.estimate("mean") == pytest.approx(mean, rel=1e-12)
    fit = hj.fit(APART, method=hj.Moments("raw_rates"))
    assert fit.estimate("tau") == pytest.approx(np.std(y), rel=1e-12)
    fit = hj.fit(SCHOOLS, method=hj.Moments())
    assert fit.status == "boundary"
    assert "effects vary no more than their standard errors" in fit.message
    fit = hj.fit(Events([3, 3, 3], [2.0, 2.0, 2.0]), method=hj.Moments())
    assert "rates vary no more than Poisson noise" in fit.message


@others
def test_beside_complete_pooling(family):
    """The likelihood over (location, rho), by a plain grid of the family's own densities."""
    data = {
        "gamma_poisson": Events([3, 5, 4, 6], [10.0, 14.0, 9.0, 20.0]),
        "normal_normal": SCHOOLS,
    }[family]
    model = hj.Model(FAMILIES[family])
    with jax.enable_x64(True):
        tally = jax.tree.map(jnp.asarray, model.family.tally(data.values, data.sizes))
        found = jax.jit(boundary_posterior)(model, tally, model.family.pooled(tally))
        origin = float(model.family.frame(tally).log_concentration)
        place, scale = float(model.family.pooled(tally)), float(model.family.frame(tally).scale)
        u = place + scale * np.linspace(-8, 8, 801)
        w = origin + np.linspace(-15, 25, 801)
        grid = jnp.stack(jnp.meshgrid(jnp.asarray(u), jnp.asarray(w), indexing="ij"), axis=-1)
        density = jax.vmap(jax.vmap(lambda eta: model.log_marginal(tally, eta)))
        logs = np.asarray(jax.jit(density)(grid))
    points, shares = (np.asarray(each) for each in found)
    rho = 1 / (1 + np.exp(w - origin))
    weights = np.exp(logs - logs.max()) * (rho * (1 - rho))[None]
    expected = np.sum(weights * rho) / weights.sum()
    mean = np.sum(shares / (1 + np.exp(points[..., 1] - origin)))
    # The rule's ends are cut off, and its eight columns are a normal distribution's.
    assert float(mean) == pytest.approx(expected, rel=0.02)
    location = np.sum(weights * u[:, None]) / weights.sum()
    spread = np.sqrt(np.sum(weights * (u[:, None] - location) ** 2) / weights.sum())
    assert np.sum(shares * points[..., 0]) == pytest.approx(location, abs=0.02 * spread)


@others
def test_the_potential_is_minus_the_log_joint(family):
    """Of the sampler's coordinates, up to a constant and with their Jacobian."""
    data, model = CASES[family]
    family, rng = model.family, np.random.default_rng(0)
    with jax.enable_x64(True):
        tally = jax.tree.map(jnp.asarray, family.tally(data.values, data.sizes))
        frame = family.frame(tally)
        given = NutsData.of(model, tally, UnitData(data.values, data.sizes))

        def log_joint(standard, units):
            eta = jnp.stack([frame.location + frame.scale * standard[0], standard[1]])
            population = family.constrain(eta)

            def one(value, size, x):
                center, scale = family.place(value, size, population)
                place = center + scale * x
                prior = family.log_prior_unconstrained(place, population) + jnp.log(scale)
                return family.log_likelihood(value, size, family.constrain_unit(place)) + prior

            each = jax.vmap(one)(given.values, given.sizes, units)
            return each.sum() + model.hyperprior.log_density(eta)

        potential, expected = jax.jit(_potential(given)), jax.jit(log_joint)
        found = []
        for _ in range(5):
            standard = jnp.asarray(rng.normal(size=2)) - frame.log_concentration * jnp.array(
                [0, -1]
            )
            units = jnp.asarray(rng.normal(size=len(data)))
            joint = expected(standard, units)
            found.append(float(potential({"eta": standard, "units": units}) + joint))
    np.testing.assert_allclose(found, found[0], rtol=1e-10)


SAMPLERS = {
    "nuts": hj.NUTS(warmup=500, draws=1500, store_units=True, chunk=500),
    "gibbs": hj.Gibbs(warmup=1000, draws=12_000, metropolis_steps=4, store_units=True),
    "interweaving": hj.Gibbs(warmup=1000, draws=8000, block=True, interweaving=4, store_units=True),
    "collapsed_gibbs": hj.CollapsedGibbs(chains=16, warmup=500, draws=1000, store_units=True),
}


@pytest.mark.slow
@others
@pytest.mark.parametrize("sampler", list(SAMPLERS))
def test_samplers_agree_with_quadrature(exact, family, sampler):
    data, model = CASES[family]
    fit = hj.fit(data, model, SAMPLERS[sampler], key=jax.random.key(4))
    reference = exact[family]
    require_enough(fit)
    summary, names = reference.summary(), model.family.coordinates
    draws = np.asarray(fit.draws, np.float64)
    found = {}
    for i, name in enumerate(names):
        found[name] = errors(draws[..., i], summary["mean"][i])
        for column, level in (("low", 0.05), ("median", 0.5), ("high", 0.95)):
            below = (draws[..., i] < summary[column][i]).astype(float)
            found[f"{column} {name}"] = errors(below, level)
    # Eight normal errors: one exceeds four for one seed in 2,000.
    assert not {name: z for name, z in found.items() if not abs(z) <= 4}
    points = reference.posterior.points.reshape(-1, 2)
    with jax.enable_x64(True):
        populations = jax.vmap(model.family.constrain)(jnp.asarray(points))
        for j in range(len(data)):
            value, size = jnp.asarray(data.values[j]), jnp.asarray(data.sizes[j])
            means = np.asarray(model.family.update(value, size, populations).mean)
            expected = np.sum(reference.posterior.weights.ravel() * means)
            # Of ten such errors one exceeds 4.4 for one seed in 9,000.
            assert abs(errors(fit.unit_draws[..., j], expected)) < 4.4


@pytest.mark.slow
@others
def test_samplers_in_single_precision(exact, family):
    data, model = CASES[family]
    method = hj.CollapsedGibbs(chains=16, warmup=500, draws=1000)
    fit = hj.fit(data, model, method, key=jax.random.key(2), precision="float32")
    assert fit.draws.dtype == np.float32
    summary = exact[family].summary()
    for i in range(2):
        assert abs(errors(np.asarray(fit.draws[..., i], float), summary["mean"][i])) < 4


def test_textbook_coordinates_are_the_beta_binomials():
    method = hj.Gibbs(coordinates="alpha_beta")
    with pytest.raises(ModelError, match="gamma_poisson has no alpha and beta"):
        hj.fit(PUMPS, PUMPS_MODEL, method, key=jax.random.key(0))


@pytest.mark.slow
@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e7])
def test_samplers_in_other_units_of_measurement(unit):
    """Starts, proposals and step sizes follow the data's own scale."""
    data = Measurements(1e3 * unit + APART.values * unit, APART.sizes * unit)
    reference = hj.fit(data)
    for method in (SAMPLERS["nuts"], hj.Gibbs(warmup=1000, draws=8000), hj.CollapsedGibbs()):
        fit = hj.fit(data, method=method, key=jax.random.key(8))
        require_enough(fit)
        for i in range(2):
            assert abs(errors(fit.draws[..., i], reference.summary()["mean"][i])) < 4


def test_exposures_of_very_different_lengths():
    """Counties' person-years, from a thousand to ten million, in both precisions."""
    rng = np.random.default_rng(6)
    exposures = np.floor(10 ** rng.uniform(3, 7, 60))
    data = Events(rng.poisson(exposures * rng.gamma(15.0, 1 / 3e5, 60)), exposures)
    double, single = (hj.fit(data, precision=each) for each in ("float64", "float32"))
    assert (double.status, single.status) == ("converged", "converged"), single.message
    found, other = double.summary(), single.summary()
    for row, name in enumerate(found["parameter"]):
        spread = found["high"][row] - found["low"][row]
        for column in ("low", "median", "high"):
            assert other[column][row] == pytest.approx(found[column][row], abs=5e-3 * spread), name
    row = list(found["parameter"]).index("shape")
    assert found["low"][row] < 15 < found["high"][row]
