"""Calculus on a lattice against functions whose integrals are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from hierjax import lattice

# The trapezoidal rule on a normal density errs by exp(-2 pi^2 / step^2); interpolation between
# nodes by step^6 times its fifth derivative over 46,080.
STEPS = [(0.5, 3e-11, 1e-6), (0.25, 1e-14, 2e-8), (0.125, 1e-14, 3e-10)]


def on_lattice(step):
    nodes = np.arange(-9, 9 + step / 2, step)
    density = jnp.asarray(scipy.stats.norm.pdf(nodes))
    h = jnp.asarray(step)
    return nodes, density, lattice.cumulative(density, h), lattice.derivative(density, h), h


def in_steps(total, density, slope, h):
    return [np.asarray(x) for x in (total, density * h, slope * h * h)]


@pytest.mark.parametrize(("step", "at_nodes", "between"), STEPS)
def test_normal_density(step, at_nodes, between):
    with jax.enable_x64(True):
        nodes, density, total, slope, h = on_lattice(step)
        np.testing.assert_allclose(total, scipy.stats.norm.cdf(nodes), rtol=0, atol=at_nodes)
        np.testing.assert_allclose(slope, -nodes * density, rtol=0, atol=100 * at_nodes)
        places = np.linspace(-5, 5, 401)
        position = (places + 9) / step
        rows = [np.broadcast_to(x, (401, len(nodes))) for x in in_steps(total, density, slope, h)]
        found = lattice.interpolate(position, *rows)
        np.testing.assert_allclose(found, scipy.stats.norm.cdf(places), rtol=0, atol=between)
        levels = np.array([1e-4, 0.05, 0.5, 0.975])
        position = lattice.invert(jnp.asarray(levels), total, density, slope, h)
        back = scipy.stats.norm.cdf(np.asarray(position) * step - 9)
        np.testing.assert_allclose(back, levels, rtol=0, atol=between)


def test_beyond_the_ends_nothing_is_added():
    with jax.enable_x64(True):
        _, density, total, slope, h = on_lattice(0.5)
        rows = [np.broadcast_to(x, (3, len(x))) for x in in_steps(total, density, slope, h)]
        ends = lattice.interpolate(np.array([-5.0, 1e9, np.inf]), *rows)
        np.testing.assert_allclose(ends, [0.0, 1.0, 1.0], rtol=0, atol=STEPS[0][1])


def test_differences_of_a_polynomial():
    """Five points differentiate a quartic exactly, but for two nodes at either end."""
    x = np.arange(12.0)
    found = lattice.difference(x**4 - 3 * x**3)
    np.testing.assert_allclose(found[2:-2], (4 * x**3 - 9 * x**2)[2:-2], rtol=1e-12)


def test_where_a_rising_function_crosses_a_level():
    x = np.linspace(-3, 3, 61)
    values = np.broadcast_to(np.sinh(x), (5, 61))
    levels = np.array([-20.0, np.sinh(-1.234), 0.0, np.sinh(2.05), 20.0])
    slope = lattice.difference(values)
    found = lattice.crossing(levels, values, slope, lattice.difference(slope))
    np.testing.assert_allclose(found[1:4] / 10 - 3, [-1.234, 0.0, 2.05], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found[[0, 4]], [-np.inf, np.inf])
