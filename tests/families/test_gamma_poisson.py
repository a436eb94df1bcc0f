"""The Gamma-Poisson log-densities against SciPy and mpmath."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.stats

from hierjax.families.gamma_poisson import GammaPoisson, Population, Rate

# Compiling takes most of the time.
pytestmark = pytest.mark.slow

FAMILY = GammaPoisson()


def numbers(*values, dtype=np.float64):
    return tuple(jnp.asarray(value, dtype) for value in values)


def exact_log_marginal(y, e, m, phi):
    """The textbook formula, in mpmath's working precision."""
    y, e, m, phi = (mpmath.mpf(float(value)) for value in (y, e, m, phi))
    if phi == 0:
        return (y * mpmath.log(e * m) if y else 0) - e * m - mpmath.loggamma(y + 1)
    shape = m / phi
    value = mpmath.loggamma(shape + y) - mpmath.loggamma(shape) - mpmath.loggamma(y + 1)
    value -= shape * mpmath.log1p(e * phi)
    return value + (y * mpmath.log(e * phi / (1 + e * phi)) if y else 0)


def hard_cases(number, seed, most):
    """Exposures 1e-3 to 1e9, means of 1e-4 to `most` events, dispersions 0 and 1e-12 to 1e4.

    A dispersion of one is as large as the mean, or as the exposure's reciprocal.
    """
    rng = np.random.default_rng(seed)
    for case in range(number):
        e, expected = 10 ** rng.uniform(-3, 9), 10 ** rng.uniform(-4, np.log10(most))
        m = expected / e
        phi = rng.choice([0.0, 10 ** rng.uniform(-12, 4)]) * rng.choice([1 / e, m])
        y = (0, 1, round(expected), rng.poisson(expected), rng.integers(0, 2 * expected + 10))
        yield int(y[case % 5]), e, m, phi


# Worst of these cases: 8e-15 and 1.5e-6; the bounds leave a factor of five.
@pytest.mark.parametrize(
    ("dtype", "most", "allowed"), [(np.float64, 1e9, 4e-14), (np.float32, 1e6, 8e-6)]
)
def test_log_marginal_against_mpmath(dtype, most, allowed):
    cases = np.array(list(hard_cases(400, 1, most))).T.astype(dtype)
    with jax.enable_x64(dtype == np.float64), mpmath.workdps(60):
        y, e, m, phi = numbers(*cases, dtype=dtype)
        found = jax.jit(jax.vmap(FAMILY.log_marginal))(y, e, Population(m, phi))
        worst = 0.0
        for case, value in zip(cases.T, np.asarray(found, float), strict=True):
            exact = float(exact_log_marginal(*case))
            worst = max(worst, abs(value - exact) / (1 + abs(exact)))
        assert worst <= allowed


def test_gradient_and_hessian_against_mpmath():
    with jax.enable_x64(True), mpmath.workdps(60):

        @jax.jit
        def derivatives(eta, y, e):
            def log_marginal(eta):
                return FAMILY.log_marginal(y, e, FAMILY.constrain(eta))

            return jax.grad(log_marginal)(eta), jax.jacfwd(jax.jacfwd(log_marginal))(eta)

        def exact(u, w, y, e):
            y, e = mpmath.mpf(y), mpmath.mpf(e)
            shape = mpmath.exp(u + w)
            value = mpmath.loggamma(shape + y) - mpmath.loggamma(shape) - mpmath.loggamma(y + 1)
            ratio = mpmath.exp(w) / e
            return value - shape * mpmath.log1p(1 / ratio) - y * mpmath.log1p(ratio)

        for point, y, e in (
            ((-0.3, 1.1), 0, 2.5), ((-0.3, 1.1), 7, 2.5), ((-10.0, 11.0), 9, 3e5),
            ((-10.0, 11.0), 60_000, 1e9),
        ):  # fmt: skip
            gradient, hessian = derivatives(jnp.array(point), *numbers(y, e))
            for i, orders in enumerate(((1, 0), (0, 1))):
                slope = mpmath.diff(lambda u, w: exact(u, w, y, e), point, orders)  # noqa: B023
                assert float(gradient[i]) == pytest.approx(float(slope), rel=1e-11)
            for (i, j), orders in {(0, 0): (2, 0), (0, 1): (1, 1), (1, 1): (0, 2)}.items():
                bend = mpmath.diff(lambda u, w: exact(u, w, y, e), point, orders)  # noqa: B023
                assert float(hessian[i, j]) == pytest.approx(float(bend), rel=1e-9)


def test_derivatives_are_finite_everywhere():
    cases = np.array(list(hard_cases(300, 4, 1e9))).T
    with jax.enable_x64(True):
        y, e, m, phi = numbers(*cases)
        gradient = jax.jacfwd(FAMILY.log_marginal, argnums=2)
        twice = jax.jacfwd(lambda *case: (gradient(*case),) * 2, argnums=2, has_aux=True)
        for leaf in jax.tree.leaves(jax.jit(jax.vmap(twice))(y, e, Population(m, phi))):
            assert np.all(np.isfinite(leaf))


def test_one_sided_derivative_at_complete_pooling():
    m, cases = 0.23, np.array([(0, 6.5), (1, 6.5), (2, 9.0), (300, 1000.0), (0, 0.0)]).T
    with jax.enable_x64(True):
        y, e = numbers(*cases)

        def log_marginal(phi, y, e):
            return FAMILY.log_marginal(y, e, Population(jnp.asarray(m), phi))

        slopes = jax.jit(jax.vmap(jax.jacfwd(log_marginal), in_axes=(None, 0, 0)))
        expected = y * (y - 1) / (2 * m) - y * e + m * e * e / 2
        np.testing.assert_allclose(slopes(jnp.asarray(0.0), y, e), expected, rtol=1e-11, atol=1e-11)


@jax.jit
def densities(y, e, log_rate, m, phi):
    """What the family says of a unit whose rate is known, and of its posterior."""
    rate, population = Rate(log_rate), Population(m, phi)
    updated = FAMILY.update(y, e, population)
    return (
        FAMILY.log_prior(rate, population),
        FAMILY.log_likelihood(y, e, rate),
        FAMILY.log_marginal(y, e, population),
        updated.mean,
        updated.variance,
        updated.shape,
        updated.rate,
    )


def test_densities_against_scipy():
    rng = np.random.default_rng(2)
    with jax.enable_x64(True):
        for _ in range(40):
            # SciPy's own log-gammas of more events than these leave fewer digits.
            shape, rate = 10 ** rng.uniform(-1, 2), 10 ** rng.uniform(-2, 5)
            e = rate * 10 ** rng.uniform(-2, 2)
            y = int(rng.poisson(e * rng.gamma(shape, 1 / rate)))
            posterior = scipy.stats.gamma(shape + y, scale=1 / (rate + e))
            value = float(posterior.rvs(random_state=rng))
            found = densities(*numbers(y, e, np.log(value), shape / rate, 1 / rate))
            log_prior, log_likelihood, log_marginal, mean, variance, *shapes = map(float, found)
            prior = scipy.stats.gamma(shape, scale=1 / rate).logpdf(value)
            assert log_prior == pytest.approx(prior, rel=1e-10, abs=1e-10)
            likelihood = scipy.stats.poisson(e * value).logpmf(y)
            assert log_likelihood == pytest.approx(likelihood, rel=1e-9, abs=1e-9)
            marginal = scipy.stats.nbinom(shape, rate / (rate + e)).logpmf(y)
            assert log_marginal == pytest.approx(marginal, rel=1e-9, abs=1e-9)
            assert mean == pytest.approx(posterior.mean(), rel=1e-12)
            assert variance == pytest.approx(posterior.var(), rel=1e-12)
            assert shapes == pytest.approx([shape + y, rate + e], rel=1e-12)


# A standard deviation of the log-rate is about sqrt(phi / m), so rounding of log-rates by itself
# moves the log-density by one part in its reciprocal.
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_log_prior_of_rare_rates_and_high_concentrations(dtype):
    means, relative = 10.0 ** np.array([-9, -5, 0, 4]), 10.0 ** np.arange(-12, 4, 3)
    distances = np.array([0.0, 1e-4, -0.1, 1.0, -5.0, 30.0, -300.0])
    m, phi, distance = (x.ravel() for x in np.meshgrid(means, relative, distances))
    with jax.enable_x64(dtype == np.float64), mpmath.workdps(60):
        places, m, phi = numbers(np.log(m) + distance, m, m * phi, dtype=dtype)
        found = jax.jit(jax.vmap(FAMILY.log_prior_unconstrained))(places, Population(m, phi))
        columns = (np.asarray(x, float) for x in (places, m, phi, found))
        for place, mean, dispersion, value in zip(*columns, strict=True):
            x, b = mpmath.mpf(place), 1 / mpmath.mpf(dispersion)
            shape = mean * b
            exact = shape * (mpmath.log(b) + x) - b * mpmath.exp(x) - mpmath.loggamma(shape)
            rounding = np.finfo(dtype).eps * (1 + abs(place))
            slope = float(abs(shape - b * mpmath.exp(x))) + float(mpmath.sqrt(shape))
            allowed = 10 * np.finfo(dtype).eps * (1 + abs(float(exact))) + 4 * rounding * slope
            assert abs(value - float(exact)) <= allowed, (place, mean, dispersion)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_log_likelihood_of_many_events(dtype):
    log_likelihood = jax.jit(lambda y, e, log_rate: FAMILY.log_likelihood(y, e, Rate(log_rate)))
    with jax.enable_x64(dtype == np.float64), mpmath.workdps(60):
        for y, e in ((0, 1e9), (1, 1e9), (3, 1e-3), (3 * 2**20, 2.0**30), (3 * 2**28, 2.0**-9)):
            for errors in (-3.0, 0.0, 2.0):
                log_rate = dtype(np.log((y + 0.5) / e) + errors / np.sqrt(y + 1))
                found = float(log_likelihood(*numbers(y, e, log_rate, dtype=dtype)))
                z, exposure = mpmath.mpf(float(log_rate)), mpmath.mpf(float(dtype(e)))
                exact = y * (z + mpmath.log(exposure)) - exposure * mpmath.exp(z)
                exact -= mpmath.loggamma(y + 1)
                # The rounding of log-rates in standard deviations of their own: sqrt(y).
                scale = (1 + abs(float(exact))) * (1 + np.sqrt(y)) * (1 + abs(float(log_rate)))
                assert abs(found - float(exact)) <= 4 * np.finfo(dtype).eps * scale, (y, e, errors)


def test_rates_that_round_to_zero():
    with jax.enable_x64(True):
        zero = Rate(jnp.asarray(-jnp.inf))
        for counts, expected in (((0, 5.0), 0.0), ((0, 0.0), 0.0), ((2, 5.0), -np.inf)):
            assert float(FAMILY.log_likelihood(*numbers(*counts), zero)) == expected


def test_no_exposure_carries_no_information():
    with jax.enable_x64(True):
        population = Population(*numbers(0.3, 0.2))
        assert float(FAMILY.log_marginal(*numbers(0, 0), population)) == 0.0
        np.testing.assert_array_equal(FAMILY.update(*numbers(0, 0), population), population)


def counties(number, seed):
    """Deaths and person-years as counties have them."""
    rng = np.random.default_rng(seed)
    exposures = np.floor(10 ** rng.uniform(3, 9, number))
    return rng.poisson(exposures * rng.gamma(15.0, 1 / 3e5, number)), exposures


# Worst: 2e-15 and 6e-7 of the total.
@pytest.mark.parametrize(("dtype", "allowed"), [(np.float64, 1e-14), (np.float32, 3e-6)])
def test_log_marginal_tally_against_mpmath(dtype, allowed):
    events, exposures = counties(200, seed=7)
    exposures[:40] = 1e5
    with jax.enable_x64(dtype == np.float64), mpmath.workdps(60):
        tally = FAMILY.tally(events, exposures, dtype=dtype)
        assert len(tally.pair_events) > 0
        assert tally.events_above[0] > 0
        total = jax.jit(FAMILY.log_marginal_tally)
        for shape, rate in ((15.0, 3e5), (0.3, 1e3), (2e6, 4e10), (None, None)):
            m, phi = (5e-5, 0.0) if shape is None else (shape / rate, 1 / rate)
            m, phi = dtype(m), dtype(phi)
            found = float(total(tally, Population(*numbers(m, phi, dtype=dtype))))
            pairs = zip(events, exposures, strict=True)
            exact = float(sum(exact_log_marginal(y, e, m, phi) for y, e in pairs))
            assert found == pytest.approx(exact, rel=allowed), (shape, rate)
