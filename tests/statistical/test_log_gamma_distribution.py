"""Two million log-gamma draws a shape, over fourteen decades of shapes, against exact results."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from log_gamma_oracle import cdf_of_log_beta, cdf_of_log_gamma, kolmogorov_smirnov_p_value
from scipy import special

import hierjax.log_gamma
from hierjax.log_gamma import log_beta_draws, log_gamma_draws

pytestmark = pytest.mark.slow

DRAWS = 2_000_000
# Both sides of the boost's boundary, and of where rounding in float32 begins to matter.
SMALL_SHAPES = (1e-6, 1e-4, 1e-3, 0.03, 0.1, 0.3, 0.5, 0.9, 0.999999)
LARGE_SHAPES = (1.0, 1.000001, 1.3, 2.5, 7.0, 30.0, 300.0, 1e4, 3e5, 1e6, 1e7, 7e7, 1e8)
SHAPES = SMALL_SHAPES + LARGE_SHAPES
BETA_SHAPES = ((1e-3, 2.0), (0.05, 0.02), (0.6, 1.0), (2.3, 14.1), (300.0, 0.7), (1e5, 3e5))
DTYPES = (np.float32, np.float64)
# At most 250 checks in this file, each of which a correct sampler fails once in 10 million: by
# Bonferroni, the file would fail for fewer than one choice of its seeds in 40,000.
LEVEL = 1e-7
STANDARD_ERRORS = 5.33  # a standard normal is farther out than this once in 10 million


def moment_z_scores(draws, mean, variance):
    """Errors of the draws' mean and variance, in standard errors."""
    squares = (draws - mean) ** 2
    return np.array(
        [
            (draws.mean() - mean) / np.sqrt(variance / draws.size),
            (squares.mean() - variance) / (squares.std() / np.sqrt(draws.size)),
        ]
    )


def draw(sampler, seed, dtype, *shapes):
    with jax.enable_x64(dtype == np.float64):
        columns = [jnp.full(DRAWS, shape, dtype) for shape in shapes]
        return np.asarray(sampler(jax.random.key(seed), *columns))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_log_gamma_distribution_and_moments(shape, dtype):
    exact_shape = float(dtype(shape))
    draws = draw(log_gamma_draws, 40 + SHAPES.index(shape), dtype, shape)
    p_value = kolmogorov_smirnov_p_value(
        draws, lambda values: cdf_of_log_gamma(values, exact_shape)
    )
    assert p_value > LEVEL
    z_scores = moment_z_scores(
        draws.astype(np.float64), special.psi(exact_shape), special.polygamma(1, exact_shape)
    )
    assert np.abs(z_scores).max() < STANDARD_ERRORS


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pair", BETA_SHAPES)
def test_log_beta_distribution_and_moments(pair, dtype):
    a, b = (float(dtype(shape)) for shape in pair)
    log_theta, log_rest = draw(log_beta_draws, 80 + BETA_SHAPES.index(pair), dtype, *pair)
    both = special.polygamma(1, a + b)
    for draws, first, second in ((log_theta, a, b), (log_rest, b, a)):
        z_scores = moment_z_scores(
            draws.astype(np.float64),
            special.psi(first) - special.psi(a + b),
            special.polygamma(1, first) - both,
        )
        assert np.abs(z_scores).max() < STANDARD_ERRORS
        p_value = kolmogorov_smirnov_p_value(
            draws, lambda values, s=first, t=second: cdf_of_log_beta(values, s, t)
        )
        assert p_value > LEVEL
    products = (log_theta.astype(np.float64) - special.psi(a) + special.psi(a + b)) * (
        log_rest.astype(np.float64) - special.psi(b) + special.psi(a + b)
    )
    standard_error = products.std() / np.sqrt(DRAWS)
    assert abs(products.mean() + both) < STANDARD_ERRORS * standard_error


def test_other_key_implementations_serve_as_well():
    draws = np.asarray(
        log_gamma_draws(jax.random.key(39, impl="rbg"), jnp.full(DRAWS, 0.7, jnp.float32))
    )
    shape = float(np.float32(0.7))
    assert kolmogorov_smirnov_p_value(draws, lambda v: cdf_of_log_gamma(v, shape)) > LEVEL


def test_rounding_that_shifts_all_draws_is_caught():
    def shifted(key, shapes):
        """The same variate as log(d) + 3 log(1 + t), with the rounding of log(d) in it."""
        normal, _ = hierjax.log_gamma._normal_and_exponential(key, shapes.shape, shapes.dtype)
        d = shapes - 1.0 / 3.0
        return jnp.log(d) + 3.0 * jnp.log1p(normal / (3.0 * jnp.sqrt(d)))

    draws = draw(shifted, 38, np.float32, 7e7).astype(np.float64)
    mean, _ = moment_z_scores(draws, special.psi(7e7), special.polygamma(1, 7e7))
    assert abs(mean) > STANDARD_ERRORS
