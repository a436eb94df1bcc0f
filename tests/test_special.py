"""The two remainders against 50-digit arithmetic."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from hierjax.special import excess_ratio, stirling_remainder

ARGUMENTS = [1e-8, 1e-3, 0.3, 1.0, 5.0, 9.9, 10.1, 50.0, 1e6, 1e12]


def exact_remainder(t):
    z = 1 / mpmath.mpf(t)
    main = (z - mpmath.mpf(1) / 2) * mpmath.log(z) - z + mpmath.log(2 * mpmath.pi) / 2
    return mpmath.loggamma(z) - main


def exact_excess(x):
    if abs(x) < 1e-20:  # where fifty digits cancel as well
        return mpmath.mpf(1) / 2 - x / 3
    return (x - mpmath.log1p(x)) / x**2


# Twenty units in the last place of the largest term, which near z = 0 is log z.
@pytest.mark.parametrize(("dtype", "allowed"), [(np.float64, 1e-14), (np.float32, 5e-6)])
def test_stirling_remainder(dtype, allowed):
    with jax.enable_x64(dtype == np.float64), mpmath.workdps(50):
        t = jnp.asarray(1 / np.array(ARGUMENTS), dtype)
        found = jax.jit(stirling_remainder)(t)
        assert found.dtype == dtype
        for argument, value in zip(t.tolist(), found.tolist(), strict=True):
            assert abs(value - exact_remainder(argument)) <= allowed * (1 + abs(np.log(argument)))


def test_stirling_remainder_is_smooth_to_zero():
    with jax.enable_x64(True), mpmath.workdps(50):
        slope_of = jax.grad(stirling_remainder)
        first, second = jax.jit(slope_of), jax.jit(jax.grad(slope_of))
        assert float(stirling_remainder(jnp.asarray(0.0))) == 0.0
        assert float(first(jnp.asarray(0.0))) == pytest.approx(1 / 12, rel=1e-15)
        assert float(second(jnp.asarray(0.0))) == 0.0
        for t in (1e-6, 0.03, 0.0999, 0.1001, 2.0, 400.0):
            # Differences of the exact function err by step^2.
            slope = mpmath.diff(exact_remainder, t)
            assert float(first(jnp.asarray(t))) == pytest.approx(float(slope), rel=1e-10)
            bend = mpmath.diff(exact_remainder, t, 2)
            assert float(second(jnp.asarray(t))) == pytest.approx(float(bend), rel=1e-7, abs=1e-12)


@pytest.mark.parametrize(("dtype", "allowed"), [(np.float64, 2e-14), (np.float32, 1e-5)])
def test_excess_ratio(dtype, allowed):
    values = [-0.999999, -0.7, -0.1501, -0.1499, -1e-9, 0.0, 1e-300, 0.01, 0.1499, 0.1501, 3.0, 1e8]
    with jax.enable_x64(dtype == np.float64), mpmath.workdps(50):
        x = jnp.asarray(values, dtype)
        one_plus_x = 1 + x
        found = np.asarray(jax.jit(excess_ratio)(x, one_plus_x))
        for argument, one_plus, value in zip(x.tolist(), one_plus_x.tolist(), found, strict=True):
            if abs(argument) < 0.15:
                exact = exact_excess(mpmath.mpf(argument))
            else:  # what the caller gives as 1 + x counts
                x_exact = mpmath.mpf(argument)
                exact = (x_exact - mpmath.log(one_plus)) / x_exact**2
            assert float(value) == pytest.approx(float(exact), rel=allowed)


def test_excess_ratio_derivatives():
    with jax.enable_x64(True), mpmath.workdps(50):
        slope = jax.grad(lambda x: excess_ratio(x, 1 + x))
        first, second = jax.jit(slope), jax.jit(jax.grad(slope))
        for x in (-0.9, -0.1, 1e-12, 0.1, 0.2, 5.0):
            exact = [float(mpmath.diff(exact_excess, x, order)) for order in (1, 2)]
            assert float(first(x)) == pytest.approx(exact[0], rel=1e-10)
            assert float(second(x)) == pytest.approx(exact[1], rel=1e-8)
