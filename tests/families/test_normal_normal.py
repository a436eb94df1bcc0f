"""The normal-normal log-densities against SciPy and mpmath."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.stats

from hierjax.families.normal_normal import Effect, NormalNormal, Population

# Compiling takes most of the time.
pytestmark = pytest.mark.slow

FAMILY = NormalNormal()


def numbers(*values, dtype=np.float64):
    return tuple(jnp.asarray(value, dtype) for value in values)


def exact_log_normal(difference, variance):
    return -difference * difference / (2 * variance) - mpmath.log(2 * mpmath.pi * variance) / 2


def hard_cases(number, seed):
    """Errors and tau from 1e-9 to 1e9, tau = 0 too, values up to eight sd from the mean."""
    rng = np.random.default_rng(seed)
    for case in range(number):
        s, tau = 10 ** rng.uniform(-9, 9), 10 ** rng.uniform(-9, 9) * (case % 4 > 0)
        mu = rng.choice([0.0, rng.normal(0.0, 10.0)]) * np.hypot(s, tau)
        yield mu + rng.uniform(-8, 8) * np.hypot(s, tau), s, mu, tau * tau


# Worst of these cases: 0.8 units of precision, for the mean 0.5.
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_log_marginal_and_update_against_mpmath(dtype):
    cases = np.array(list(hard_cases(300, seed=1))).T.astype(dtype)
    eps = float(np.finfo(dtype).eps)
    with jax.enable_x64(dtype == np.float64), mpmath.workdps(60):
        y, s, mu, phi = numbers(*cases, dtype=dtype)
        population = Population(mu, phi)
        found = jax.jit(jax.vmap(FAMILY.log_marginal))(y, s, population)
        updated = jax.jit(jax.vmap(FAMILY.update))(y, s, population)
        given = zip(cases.T, found, updated.mean, updated.dispersion, strict=True)
        for case, value, mean, dispersion in given:
            y, s, mu, phi = (mpmath.mpf(float(x)) for x in case)
            variance = s * s + phi
            exact = exact_log_normal(y - mu, variance)
            # Of both terms, which may cancel.
            scale = 1 + (y - mu) ** 2 / variance + abs(mpmath.log(variance))
            assert abs(float(value) - exact) <= 4 * eps * scale, case
            center = float((y * phi + mu * s * s) / (s * s + phi))
            assert abs(float(mean) - center) <= 4 * eps * float(abs(y) + abs(mu)), case
            assert float(dispersion) == pytest.approx(
                float(phi * s * s / (s * s + phi)), rel=8 * eps
            )


def test_gradient_and_hessian_against_mpmath():
    with jax.enable_x64(True), mpmath.workdps(60):

        @jax.jit
        def derivatives(eta, y, s):
            def log_marginal(eta):
                return FAMILY.log_marginal(y, s, FAMILY.constrain(eta))

            return jax.grad(log_marginal)(eta), jax.jacfwd(jax.jacfwd(log_marginal))(eta)

        def exact(u, w, y, s):
            return exact_log_normal(y - u, mpmath.mpf(s) ** 2 + mpmath.exp(-w))

        for point, y, s in (((4.4, -2.6), 28.0, 15.0), ((0.0, 30.0), 1.5, 1.0)):
            gradient, hessian = derivatives(jnp.array(point), *numbers(y, s))
            for i, orders in enumerate(((1, 0), (0, 1))):
                slope = mpmath.diff(lambda u, w: exact(u, w, y, s), point, orders)  # noqa: B023
                assert float(gradient[i]) == pytest.approx(float(slope), rel=1e-11)
            for (i, j), orders in {(0, 0): (2, 0), (0, 1): (1, 1), (1, 1): (0, 2)}.items():
                bend = mpmath.diff(lambda u, w: exact(u, w, y, s), point, orders)  # noqa: B023
                assert float(hessian[i, j]) == pytest.approx(float(bend), rel=1e-9)


def test_one_sided_derivative_at_complete_pooling():
    with jax.enable_x64(True):
        y, s, mu = numbers(3.0, 2.0, 0.5)
        slope = jax.grad(lambda phi: FAMILY.log_marginal(y, s, Population(mu, phi)))
        expected = ((y - mu) ** 2 / s**2 - 1) / (2 * s**2)
        assert float(slope(jnp.asarray(0.0))) == pytest.approx(float(expected), rel=1e-13)


@jax.jit
def densities(y, s, theta, mu, phi):
    """What the family says of a unit whose effect is known, and of its posterior."""
    effect, population = Effect(theta), Population(mu, phi)
    updated = FAMILY.update(y, s, population)
    return (
        FAMILY.log_prior(effect, population),
        FAMILY.log_likelihood(y, s, effect),
        FAMILY.log_marginal(y, s, population),
        FAMILY.log_predictive(theta, s, y, s, population),
        updated.mean,
        updated.tau,
    )


def test_densities_against_scipy():
    rng = np.random.default_rng(2)
    with jax.enable_x64(True):
        for _ in range(40):
            s, tau, mu = 10 ** rng.uniform(-2, 2), 10 ** rng.uniform(-2, 2), rng.normal(0, 10)
            theta = rng.normal(mu, tau)
            y = rng.normal(theta, s)
            sd = (s**-2 + tau**-2) ** -0.5
            mean = sd * sd * (y / s**2 + mu / tau**2)
            expected = [
                scipy.stats.norm(mu, tau).logpdf(theta),
                scipy.stats.norm(theta, s).logpdf(y),
                scipy.stats.norm(mu, np.hypot(s, tau)).logpdf(y),
                scipy.stats.norm(mean, np.hypot(s, sd)).logpdf(theta),
                mean,
                sd,
            ]
            found = [float(x) for x in densities(*numbers(y, s, theta, mu, tau * tau))]
            np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


# Eight schools: Rubin (1981), "Estimation in parallel randomized experiments", table 1.
EFFECTS = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERRORS = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


# Worst: 1 unit of precision.
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_log_marginal_tally_against_scipy(dtype):
    with jax.enable_x64(dtype == np.float64):
        tally = FAMILY.tally(EFFECTS, ERRORS, dtype=dtype)
        assert np.sum(tally.units > 0) == len(set(ERRORS))
        total = jax.jit(FAMILY.log_marginal_tally)
        for mu, tau in ((4.4, 3.6), (7.7, 0.0), (-3.0, 40.0)):
            population = Population(*numbers(mu, tau * tau, dtype=dtype))
            expected = scipy.stats.norm(mu, np.hypot(ERRORS, tau)).logpdf(EFFECTS).sum()
            found = float(total(tally, population))
            assert found == pytest.approx(expected, rel=5 * float(np.finfo(dtype).eps))


def test_equal_units_far_from_zero_keep_their_digits():
    """Squares are about the units' own mean, so that an offset costs none."""
    rng = np.random.default_rng(5)
    offset, y, s = 1e8, rng.normal(0.0, 1.0, 1000), np.full(1000, 0.5)
    with jax.enable_x64(True):
        total = jax.jit(FAMILY.log_marginal_tally)
        near, far = (
            float(total(FAMILY.tally(y + by, s), Population(*numbers(by, 1.0))))
            for by in (0.0, offset)
        )
        assert far == pytest.approx(near, rel=1e-7)  # digits that the values themselves lost
