"""Calculus on a uniform lattice, to spectral accuracy.

A smooth function that decays within the lattice is its own sinc interpolant to rounding
(Stenger 1993, *Numerical Methods Based on Sinc and Analytic Functions*, ch. 1), so its integral is
the plain sum, and its cumulative integral and derivative are constant matrices times its values.
"""

from functools import cache
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

__all__ = ["crossing", "cumulative", "derivative", "difference", "interpolate", "invert"]

Values = TypeVar("Values", np.ndarray, Array)
# From a linear guess in a cell, each leaves less than a tenth of the error.
_NEWTON_STEPS = 6
Step = float | Float[Array, ""]


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


def cumulative(values: Values, step: Step = 1.0) -> Values:
    """Integral from minus infinity to every node."""
    return values @ _cumulative_matrix(values.shape[-1]).T.astype(values.dtype) * step


def derivative(values: Values, step: Step = 1.0) -> Values:
    """Derivative at every node."""
    return values @ _derivative_matrix(values.shape[-1]).T.astype(values.dtype) / step


def difference(values: Float[np.ndarray, "*batch nodes"]) -> Float[np.ndarray, "*batch nodes"]:
    """Derivative of a function that does not decay, in steps, by five-point differences."""
    slopes = np.gradient(values, axis=-1)
    far, near = values[..., 4:] - values[..., :-4], values[..., 3:-1] - values[..., 1:-3]
    slopes[..., 2:-2] = (8 * near - far) / 12
    return slopes


def _quintic(s: Values, ends: tuple[Values, ...]) -> Values:
    """Quintic Hermite polynomial on [0, 1] from value, slope and curvature at both ends."""
    value0, slope0, curve0, value1, slope1, curve1 = ends
    rise = value1 - value0 - slope0 - curve0 / 2
    turn = slope1 - slope0 - curve0
    bend = curve1 - curve0
    c3 = 10 * rise - 4 * turn + bend / 2
    c4 = -15 * rise + 7 * turn - bend
    c5 = 6 * rise - 3 * turn + bend / 2
    return value0 + s * (slope0 + s * (curve0 / 2 + s * (c3 + s * (c4 + s * c5))))


def _at(values: np.ndarray, left: np.ndarray) -> np.ndarray:
    return np.take_along_axis(values, left[..., None], axis=-1)[..., 0]


def interpolate(
    position: Float[np.ndarray, "*batch"],
    total: Float[np.ndarray, "*batch nodes"],
    density: Float[np.ndarray, "*batch nodes"],
    slope: Float[np.ndarray, "*batch nodes"],
) -> Float[np.ndarray, "*batch"]:
    """Cumulative integral anywhere, by quintic Hermite interpolation between nodes.

    Args:
        position: Distance from the first node, in steps.
        total: Cumulative integral at the nodes.
        density: The function at the nodes.
        slope: Its derivative at the nodes, in steps.

    Returns:
        The integral up to `position`, held constant beyond the lattice.
    """
    last = total.shape[-1] - 1
    clipped = np.clip(position, 0.0, last)
    left = np.minimum(clipped.astype(int), last - 1)
    ends = (_at(values, left + side) for side in (0, 1) for values in (total, density, slope))
    return _quintic(clipped - left, tuple(ends))


def crossing(
    level: Float[np.ndarray, "*#batch"],
    values: Float[np.ndarray, "*batch nodes"],
    slope: Float[np.ndarray, "*batch nodes"],
    bend: Float[np.ndarray, "*batch nodes"],
) -> Float[np.ndarray, "*batch"]:
    """Position, in steps from the first node, at which a rising function reaches a level.

    Newton's iteration on the quintic Hermite interpolant, its slope interpolated linearly.

    Args:
        level: The level.
        values: The function at the nodes.
        slope: Its derivative at the nodes, in steps; positive.
        bend: Its second derivative.

    Returns:
        The position; minus or plus infinity where the level is beyond the ends.
    """
    count = np.sum(values <= level[..., None], axis=-1)
    left = np.clip(count - 1, 0, values.shape[-1] - 2)
    ends = tuple(_at(x, left + side) for side in (0, 1) for x in (values, slope, bend))
    place = (level - ends[0]) / (ends[3] - ends[0])
    for _ in range(_NEWTON_STEPS):
        rise = (1 - place) * ends[1] + place * ends[4]
        place = np.clip(place + (level - _quintic(place, ends)) / rise, 0.0, 1.0)
    inside = left + place
    return np.where(count == 0, -np.inf, np.where(count == values.shape[-1], np.inf, inside))


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
    scaled = (total, density * step, slope * step * step)
    ends = tuple(values[left + side] for side in (0, 1) for values in scaled)

    def halve(_: Int[Array, ""], bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = 0.5 * (low + high)
        below = _quintic(middle, ends) < level
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    low, high = jax.lax.fori_loop(
        0, iterations, halve, (jnp.zeros_like(level), jnp.ones_like(level))
    )
    return left.astype(level.dtype) + 0.5 * (low + high)
