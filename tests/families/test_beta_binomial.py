"""The beta-binomial log-densities against SciPy, mpmath and each other."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.stats

from hierjax.families.beta_binomial import BetaBinomial, Population, Rate, Seen

FAMILY = BetaBinomial()


def population(mean, dispersion, dtype=np.float64):
    m = jnp.asarray(mean, dtype)
    return Population(m, 1 - m, jnp.asarray(dispersion, dtype))


def numbers(*values, dtype=np.float64):
    return tuple(jnp.asarray(value, dtype) for value in values)


def exact_log_marginal(y, n, m, phi):
    """The textbook formula, in mpmath's working precision."""
    y, n, m, phi = (mpmath.mpf(value) for value in (y, n, m, phi))
    c = 1 - m
    value = mpmath.loggamma(n + 1) - mpmath.loggamma(y + 1) - mpmath.loggamma(n - y + 1)
    if phi == 0:
        return value + (y * mpmath.log(m) if y else 0) + ((n - y) * mpmath.log(c) if n > y else 0)
    alpha, beta = m / phi, c / phi
    value += mpmath.loggamma(alpha + y) - mpmath.loggamma(alpha)
    value += mpmath.loggamma(beta + n - y) - mpmath.loggamma(beta)
    return value - mpmath.loggamma(alpha + beta + n) + mpmath.loggamma(alpha + beta)


def hard_cases(largest, number, seed):
    """Counts up to `largest`, means from 1e-6, dispersions 0 and 1e-10 to 1e3."""
    rng = np.random.default_rng(seed)
    for case in range(number):
        n = int(10 ** rng.uniform(0, np.log10(largest))) if case % 5 else int(rng.integers(0, 20))
        m = rng.choice([rng.uniform(0.01, 0.99), 10 ** rng.uniform(-6, -1)])
        phi = rng.choice([0.0, 10 ** rng.uniform(-10, 3)])
        y = (0, n, round(n * m), int(rng.integers(0, n + 1)))[case % 4]
        yield y, n, m, phi


# Worst of these cases: 4e-14 and 6e-6; the bounds leave a factor of five.
@pytest.mark.parametrize(
    ("dtype", "largest", "allowed"), [(np.float64, 1e9, 2e-13), (np.float32, 1e6, 3e-5)]
)
def test_log_marginal_against_mpmath(dtype, largest, allowed):
    cases = np.array(list(hard_cases(largest, 300, seed=1))).T
    with jax.enable_x64(dtype == np.float64), mpmath.workdps(60):
        y, n, m, phi = numbers(*cases, dtype=dtype)
        arguments = y, n, Population(m, 1 - m, phi)
        found = np.asarray(jax.jit(jax.vmap(FAMILY.log_marginal))(*arguments))
        given = zip(*(np.asarray(x, float) for x in (y, n, m, phi)), found, strict=True)
        for *case, value in given:
            exact = float(exact_log_marginal(*case))
            assert abs(float(value) - exact) <= allowed * (1 + abs(exact)), case


def test_derivatives_are_finite_everywhere():
    cases = np.array(list(hard_cases(1e9, 300, seed=4))).T
    with jax.enable_x64(True):
        y, n, m, phi = numbers(*cases)
        gradient = jax.jacfwd(FAMILY.log_marginal, argnums=2)
        twice = jax.jacfwd(lambda *case: (gradient(*case),) * 2, argnums=2, has_aux=True)
        derivatives = jax.jit(jax.vmap(twice))
        for leaf in jax.tree.leaves(derivatives(y, n, Population(m, 1 - m, phi))):
            assert np.all(np.isfinite(leaf))


def test_gradient_and_hessian_against_mpmath():
    with jax.enable_x64(True), mpmath.workdps(60):
        eta = jnp.array([-1.3, 2.1])

        @jax.jit
        def derivatives(eta, y, n):
            def log_marginal(eta):
                return FAMILY.log_marginal(y, n, FAMILY.constrain(eta))

            return jax.grad(log_marginal)(eta), jax.jacfwd(jax.jacfwd(log_marginal))(eta)

        def exact(u, w, y, n):
            m = 1 / (1 + mpmath.exp(-u))
            return exact_log_marginal(y, n, m, mpmath.exp(-w))

        for y, n in ((0, 7), (7, 7), (3, 20), (40_000, 300_000)):
            gradient, hessian = derivatives(eta, *numbers(y, n))
            for i, orders in enumerate(((1, 0), (0, 1))):
                slope = mpmath.diff(lambda u, w: exact(u, w, y, n), (-1.3, 2.1), orders)  # noqa: B023
                assert float(gradient[i]) == pytest.approx(float(slope), rel=1e-11)
            for (i, j), orders in {(0, 0): (2, 0), (0, 1): (1, 1), (1, 1): (0, 2)}.items():
                bend = mpmath.diff(lambda u, w: exact(u, w, y, n), (-1.3, 2.1), orders)  # noqa: B023
                assert float(hessian[i, j]) == pytest.approx(float(bend), rel=1e-9)


def test_one_sided_derivative_at_complete_pooling():
    m, cases = 0.23, np.array([(0, 6), (6, 6), (2, 9), (300, 1000), (0, 0), (1, 1)]).T
    with jax.enable_x64(True):
        y, n = numbers(*cases)

        def log_marginal(phi, y, n):
            return FAMILY.log_marginal(y, n, population(m, phi))

        slopes = jax.jit(jax.vmap(jax.jacfwd(log_marginal), in_axes=(None, 0, 0)))
        f = n - y
        expected = y * (y - 1) / (2 * m) + f * (f - 1) / (2 * (1 - m)) - n * (n - 1) / 2
        np.testing.assert_allclose(slopes(jnp.asarray(0.0), y, n), expected, rtol=1e-12, atol=1e-12)


@jax.jit
def densities(y, n, theta, m, phi):
    """What the family says of a unit whose rate is known, and of its posterior."""
    rate, p = Rate(jnp.log(theta), jnp.log1p(-theta)), Population(m, 1 - m, phi)
    updated = FAMILY.update(y, n, p)
    return (
        FAMILY.log_prior(rate, p),
        FAMILY.log_likelihood(y, n, rate),
        FAMILY.log_prior_units(Seen(jnp.ones_like(m), rate.log, rate.log_complement), p)
        - rate.log
        - rate.log_complement,
        updated.mean,
        updated.variance,
    )


def test_densities_against_scipy():
    rng = np.random.default_rng(2)
    with jax.enable_x64(True):
        for _ in range(40):
            m, kappa = rng.uniform(0.02, 0.98), 10 ** rng.uniform(-2, 6)
            n = int(rng.integers(1, 200))
            y = int(rng.integers(0, n + 1))
            posterior = scipy.stats.beta(m * kappa + y, (1 - m) * kappa + n - y)
            theta = float(np.clip(posterior.rvs(random_state=rng), 1e-12, 1 - 1e-12))
            found = map(float, densities(*numbers(y, n, theta, m, 1 / kappa)))
            log_prior, log_likelihood, sums, mean, variance = found
            prior = scipy.stats.beta(m * kappa, (1 - m) * kappa).logpdf(theta)
            # SciPy's log-beta of kappa = 1e6 is itself good to 1e-9 only.
            assert log_prior == pytest.approx(prior, rel=1e-8, abs=1e-8)
            likelihood = scipy.stats.binom(n, theta).logpmf(y)
            assert log_likelihood == pytest.approx(likelihood, rel=1e-9, abs=1e-9)
            assert sums == pytest.approx(prior, rel=1e-8, abs=1e-7)
            assert mean == pytest.approx(posterior.mean(), rel=1e-12)
            assert variance == pytest.approx(posterior.var(), rel=1e-9)


def exact_log_prior(logit, m, phi):
    """Log-density of the log-odds under Beta(m / phi, (1 - m) / phi)."""
    logit, m, phi = (mpmath.mpf(value) for value in (logit, m, phi))
    alpha, beta = m / phi, (1 - m) / phi
    kernel = -alpha * mpmath.log1p(mpmath.exp(-logit)) - beta * mpmath.log1p(mpmath.exp(logit))
    return kernel - mpmath.log(mpmath.beta(alpha, beta))


# A standard deviation of the log-odds is about sqrt(phi), so rounding of log-odds by itself moves
# the log-density by one part in 1 / sqrt(phi). Worst of these cases: 2 and 10 units of precision.
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_log_prior_of_rare_rates_and_high_concentrations(dtype):
    means, dispersions = (1e-6, 1e-3, 0.4, 1 - 1e-3), 10.0 ** np.arange(-12, 4, 3)
    distances = np.array([0.0, 1e-4, -0.1, 1.0, -5.0, 30.0, -300.0, 300.0])
    m, phi, distance = (x.ravel() for x in np.meshgrid(means, dispersions, distances))
    with jax.enable_x64(dtype == np.float64), mpmath.workdps(60):
        logit, m, phi = numbers(np.log(m) - np.log1p(-m) + distance, m, phi, dtype=dtype)
        density = jax.jit(jax.vmap(FAMILY.log_prior_logit))
        values = density(logit, Population(m, 1 - m, phi))
        for *case, value in zip(
            *(np.asarray(x, float) for x in (logit, m, phi, values)), strict=True
        ):
            exact = float(exact_log_prior(*case))
            scale = (1 + abs(exact)) * (1 + case[2] ** -0.5)
            assert abs(value - exact) <= 40 * np.finfo(dtype).eps * scale, case


@jax.jit
def log_likelihood(successes, trials, logit):
    return FAMILY.log_likelihood(successes, trials, Rate.from_logit(logit))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_log_likelihood_of_many_trials(dtype):
    cases = [(0, 10**9), (1, 10**9), (3, 10), (3 * 10**5, 10**6), (3 * 2**28, 2**30), (7, 7)]
    with jax.enable_x64(dtype == np.float64), mpmath.workdps(60):
        for y, n in cases:
            for errors in (-3.0, 0.0, 2.0):
                raw = (y + 0.5) / (n + 1)
                logit = np.log(raw) - np.log1p(-raw) + errors / np.sqrt(n * raw * (1 - raw))
                found = float(log_likelihood(*numbers(y, n, logit, dtype=dtype)))
                z = mpmath.mpf(float(dtype(logit)))
                value = mpmath.log(mpmath.binomial(n, y)) - y * mpmath.log1p(mpmath.exp(-z))
                value -= (n - y) * mpmath.log1p(mpmath.exp(z))
                # The rounding of log-odds in standard deviations of their own: sqrt(n).
                allowed = (
                    20 * np.finfo(dtype).eps * (1 + abs(value)) * (1 + np.sqrt(y * (n - y) / n))
                )
                assert abs(found - value) <= allowed, (y, n, errors)


def test_rates_that_round_to_zero_or_one():
    with jax.enable_x64(True):
        zero, one = (Rate(*numbers(*logs)) for logs in ((-np.inf, 0.0), (0.0, -np.inf)))
        for counts, rate, expected in (
            ((0, 5), zero, 0.0), ((5, 5), one, 0.0), ((0, 0), zero, 0.0),
            ((2, 5), zero, -np.inf), ((2, 5), one, -np.inf), ((5, 5), zero, -np.inf),
        ):  # fmt: skip
            assert float(FAMILY.log_likelihood(*numbers(*counts), rate)) == expected


def test_joint_less_posterior_is_marginal():
    """log p(y, theta) - log p(theta | y) does not depend on theta: it is log p(y)."""
    rng = np.random.default_rng(3)

    @jax.jit
    def parts(y, n, logit, m, phi):
        rate, p = Rate.from_logit(logit), Population(m, 1 - m, phi)
        posterior = FAMILY.log_prior(rate, FAMILY.update(y, n, p))
        return FAMILY.log_joint(y, n, rate, p), posterior, FAMILY.log_marginal(y, n, p)

    with jax.enable_x64(True):
        for _ in range(60):
            m, phi = rng.uniform(0.01, 0.99), 10 ** rng.uniform(-5, 2)
            n = int(rng.integers(0, 500))
            case = rng.integers(0, n + 1), n, rng.normal(0, 4), m, phi
            joint, posterior, marginal = map(float, parts(*numbers(*case)))
            scale = 1 + abs(joint)  # what is subtracted
            assert joint - posterior == pytest.approx(marginal, abs=1e-11 * scale)


def test_predictive():
    """Probabilities sum to one, and counts seen in two parts have one probability."""
    with jax.enable_x64(True):
        p = population(0.14, 1 / 16.0)
        given = numbers(30, 4, 14)
        log_marginal = jax.jit(FAMILY.log_marginal)
        logs = jax.jit(jax.vmap(lambda k: FAMILY.log_predictive(k, *given, p)))(jnp.arange(31.0))
        assert np.exp(logs).sum() == pytest.approx(1.0, abs=1e-13)
        coefficients = [
            float(log_likelihood(*numbers(y, n, 0.0))) + n * np.log(2)
            for y, n in ((4, 14), (7, 30), (11, 44))
        ]
        parts = float(log_marginal(*numbers(4, 14), p)) + float(np.asarray(logs)[7])
        whole = float(log_marginal(*numbers(11, 44), p))
        shared = coefficients[0] + coefficients[1] - coefficients[2]
        assert parts - shared == pytest.approx(whole, abs=1e-12)


def test_coordinates_round_trip():
    with jax.enable_x64(True):
        for eta in ([-1.8, 2.75], [30.0, -5.0], [-30.0, 40.0]):
            back = FAMILY.unconstrain(FAMILY.constrain(jnp.array(eta)))
            np.testing.assert_allclose(back, eta, rtol=1e-13)


def test_no_trials_carry_no_information():
    with jax.enable_x64(True):
        p = population(0.3, 0.2)
        assert float(FAMILY.log_marginal(*numbers(0, 0), p)) == 0.0
        np.testing.assert_array_equal(FAMILY.update(*numbers(0, 0), p), p)
