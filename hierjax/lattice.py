"""Calculus on a uniform lattice, to spectral accuracy.

A smooth function that decays within the lattice is its own sinc interpolant to rounding
(Stenger 1993, *Numerical Methods Based on Sinc and Analytic Functions*, ch. 1), so its integral is
the plain sum, and its cumulative integral and derivative are constant matrices times its values.
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

__all__ = ["cumulative", "derivative", "difference", "interpolate", "invert"]


@cache
def _sine_integrals(size: int) -> np.ndarray:
    """Si(k pi) for k = 0 .. size - 1, by Gauss-Legendre quadrature on every half period."""
    x, w = np.polynomial.legendre.leggauss(24)
    t = np.pi * (np.arange(size - 1)[:, None] + 0.5 * (x + 1))
    pieces = (np.sin(t) / t) @ w * (np.pi / 2)
    return np.concatenate([[0.0], np.cumsum(pieces)])


@cache
def _cumulative_matrix(size: int) -> np.ndarray:
    lag = np.subtract.outer(np.arange(size), np.arange(size))
    return 0.5 + np.sign(lag) * _sine_integrals(size)[np.abs(lag)] / np.pi


@cache
def _derivative_matrix(size: int) -> np.ndarray:
    lag = np.subtract.outer(np.arange(size), np.arange(size))
    safe = np.where(lag == 0, 1, lag)
    return np.where(lag == 0, 0.0, np.where(lag % 2 == 0, 1.0, -1.0) / safe)


def cumulative(values: Float[Array, "*batch nodes"], step: Float[Array, ""]) -> Array:
    """Integral from minus infinity to every node."""
    matrix = jnp.asarray(_cumulative_matrix(values.shape[-1]), values.dtype)
    return values @ matrix.T * step


def derivative(values: Float[Array, "*batch nodes"], step: Float[Array, ""]) -> Array:
    """Derivative at every node."""
    matrix = jnp.asarray(_derivative_matrix(values.shape[-1]), values.dtype)
    return values @ matrix.T / step


def difference(values: Float[Array, "nodes"]) -> Float[Array, "nodes"]:
    """Derivative of a function that does not decay, in steps, by five-point differences."""
    inner = (values[:-4] - 8 * values[1:-3] + 8 * values[3:-1] - values[4:]) / 12
    rough = jnp.asarray(jnp.gradient(values))
    return jnp.concatenate([rough[:2], inner, rough[-2:]])


def _quintic(s: Array, ends: tuple[Array, ...]) -> Array:
    """Quintic Hermite polynomial on [0, 1] from value, slope and curvature at both ends."""
    value0, slope0, curve0, value1, slope1, curve1 = ends
    rise = value1 - value0 - slope0 - curve0 / 2
    turn = slope1 - slope0 - curve0
    bend = curve1 - curve0
    c3 = 10 * rise - 4 * turn + bend / 2
    c4 = -15 * rise + 7 * turn - bend
    c5 = 6 * rise - 3 * turn + bend / 2
    return value0 + s * (slope0 + s * (curve0 / 2 + s * (c3 + s * (c4 + s * c5))))


def _ends(
    total: Array, density: Array, slope: Array, step: Array, left: Array
) -> tuple[Array, ...]:
    scaled = (total, density * step, slope * step * step)
    return tuple(values[left + side] for side in (0, 1) for values in scaled)


def interpolate(
    position: Float[Array, "*batch"],
    total: Float[Array, "nodes"],
    density: Float[Array, "nodes"],
    slope: Float[Array, "nodes"],
    step: Float[Array, ""],
) -> Float[Array, "*batch"]:
    """Cumulative integral anywhere, by quintic Hermite interpolation between nodes.

    Args:
        position: Distance from the first node, in steps.
        total: Cumulative integral at the nodes.
        density: The function at the nodes.
        slope: Its derivative at the nodes.
        step: Distance between nodes.

    Returns:
        The integral up to `position`, held constant beyond the lattice.
    """
    clipped = jnp.clip(position, 0.0, total.shape[0] - 1.0)
    left = jnp.clip(jnp.floor(clipped), 0.0, total.shape[0] - 2.0)
    return _quintic(clipped - left, _ends(total, density, slope, step, left.astype(int)))


def invert(
    level: Float[Array, "levels"],
    total: Float[Array, "nodes"],
    density: Float[Array, "nodes"],
    slope: Float[Array, "nodes"],
    step: Float[Array, ""],
    iterations: int = 50,
) -> Float[Array, "levels"]:
    """Position, in steps from the first node, at which the cumulative integral reaches a level.

    Bisection within the bracketing pair of nodes: it cannot leave the bracket, and costs nothing
    beside the density.
    """
    left = jnp.clip(jnp.searchsorted(total, level, side="right") - 1, 0, total.shape[0] - 2)
    ends = _ends(total, density, slope, step, left)

    def halve(_: Int[Array, ""], bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = 0.5 * (low + high)
        below = _quintic(middle, ends) < level
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    low, high = jax.lax.fori_loop(
        0, iterations, halve, (jnp.zeros_like(level), jnp.ones_like(level))
    )
    return left.astype(level.dtype) + 0.5 * (low + high)
