"""Calculus on a lattice against functions whose integrals are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from hierjax import lattice

# The trapezoidal rule on a normal density errs by exp(-2 pi^2 / step^2); interpolation between
# nodes by step^8 times its seventh derivative over 10,321,920.
STEPS = [(0.5, 3e-11, 3e-8), (0.25, 1e-14, 2e-10), (0.125, 1e-14, 1e-12)]


def on_lattice(step):
    nodes = np.arange(-9, 9 + step / 2, step)
    density = scipy.stats.norm.pdf(nodes) * step
    slope = lattice.derivative(density)
    return nodes, (lattice.cumulative(density), density, slope, lattice.derivative(slope))


@pytest.mark.parametrize(("step", "at_nodes", "between"), STEPS)
def test_normal_density(step, at_nodes, between):
    nodes, table = on_lattice(step)
    total, density, slope, _ = table
    np.testing.assert_allclose(total, scipy.stats.norm.cdf(nodes), rtol=0, atol=at_nodes)
    np.testing.assert_allclose(slope, -nodes * density * step, rtol=0, atol=100 * at_nodes)
    places = np.linspace(-5, 5, 401)
    position, expected = (places + 9) / step, scipy.stats.norm.cdf(places)
    lines = [np.broadcast_to(x, (401, len(nodes))) for x in table]
    found = lattice.interpolate_lines(position, lines)
    np.testing.assert_allclose(found, expected, rtol=0, atol=between)
    with jax.enable_x64(True):
        on_device = [jnp.asarray(x) for x in table]
        same = jax.jit(lattice.interpolate)(jnp.asarray(position), on_device)
        np.testing.assert_allclose(same, found, rtol=0, atol=1e-15)
        rate = np.asarray(jax.jit(lattice.slope)(jnp.asarray(position), on_device)) / step
        np.testing.assert_allclose(rate, scipy.stats.norm.pdf(places), rtol=0, atol=100 * between)
        levels = np.array([1e-4, 0.05, 0.5, 0.975])
        positions = jax.jit(lattice.invert)(jnp.asarray(levels), on_device)
        back = scipy.stats.norm.cdf(np.asarray(positions) * step - 9)
        np.testing.assert_allclose(back, levels, rtol=0, atol=between)


def test_beyond_the_ends_nothing_is_added():
    _, table = on_lattice(0.5)
    lines = [np.broadcast_to(x, (3, len(x))) for x in table]
    ends = lattice.interpolate_lines(np.array([-5.0, 1e9, np.inf]), lines)
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
    bend = lattice.difference(slope)
    found = lattice.crossing(levels, (values, slope, bend, lattice.difference(bend)))
    np.testing.assert_allclose(found[1:4] / 10 - 3, [-1.234, 0.0, 2.05], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found[[0, 4]], [-np.inf, np.inf])
