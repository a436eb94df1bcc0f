"""Calculus on a uniform lattice, to spectral accuracy.

A smooth function that decays within the lattice is its own sinc interpolant to rounding
(Stenger 1993, *Numerical Methods Based on Sinc and Analytic Functions*, ch. 1), so its integral is
the plain sum, and its cumulative integral and derivative are constant matrices times its values.
"""

from collections.abc import Sequence
from functools import cache
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

__all__ = [
    "crossing",
    "cumulative",
    "derivative",
    "difference",
    "interpolate",
    "interpolate_lines",
    "invert",
    "invert_lines",
    "slope",
]

Values = TypeVar("Values", np.ndarray, Array)
# From a linear guess in a cell, each leaves less than a tenth of the error.
_NEWTON_STEPS = 6
_HALVINGS = 50
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


def _hermite(s: Values, ends: Sequence[Values]) -> Values:
    """Polynomial on [0, 1] of degree seven, from value and three derivatives at both ends."""
    value, slope, bend, twist, *right = ends
    a = (value, slope, bend / 2, twist / 6)
    # What the cubic of the left end leaves at the right one, as a Taylor series there.
    r0 = right[0] - a[0] - a[1] - a[2] - a[3]
    r1 = right[1] - a[1] - 2 * a[2] - 3 * a[3]
    r2 = right[2] / 2 - a[2] - 3 * a[3]
    r3 = right[3] / 6 - a[3]
    b1 = r1 - 4 * r0
    b2 = r2 - 4 * r1 + 10 * r0
    b3 = r3 - 4 * r2 + 10 * r1 - 20 * r0
    t, square = s - 1, s * s
    rest = r0 + t * (b1 + t * (b2 + t * b3))
    return a[0] + s * (a[1] + s * (a[2] + s * a[3])) + square * square * rest


def _at(values: np.ndarray, left: np.ndarray) -> np.ndarray:
    return np.take_along_axis(values, left[..., None], axis=-1)[..., 0]


def interpolate_lines(
    position: Float[np.ndarray, "*batch"], table: Sequence[Float[np.ndarray, "*batch nodes"]]
) -> Float[np.ndarray, "*batch"]:
    """Cumulative integrals anywhere, each along a line of its own, by Hermite interpolation.

    Args:
        position: Distance from the first node, in steps.
        table: Cumulative integral at the nodes, and its first three derivatives in steps.

    Returns:
        The integral up to `position`, held constant beyond the lattice.
    """
    last = table[0].shape[-1] - 1
    clipped = np.clip(position, 0.0, last)
    left = np.minimum(clipped.astype(int), last - 1)
    ends = [_at(values, left + side) for side in (0, 1) for values in table]
    return _hermite(clipped - left, ends)


def invert_lines(
    level: Float[np.ndarray, "*#batch"], table: Sequence[Float[np.ndarray, "*batch nodes"]]
) -> Float[np.ndarray, "*batch"]:
    """Positions at which cumulative integrals reach levels, each along a line of its own.

    Args:
        level: The levels; the ends of the lattice are returned for what is beyond them.
        table: Cumulative integral at the nodes, and its first three derivatives in steps.

    Returns:
        Distance from the first node, in steps.
    """
    count = np.sum(table[0] <= np.expand_dims(level, -1), axis=-1)
    left = np.clip(count - 1, 0, table[0].shape[-1] - 2)
    ends = [_at(values, left + side) for side in (0, 1) for values in table]
    low, high = np.zeros(left.shape), np.ones(left.shape)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        below = _hermite(middle, ends) < level
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return left + 0.5 * (low + high)


def crossing(
    level: Float[np.ndarray, "*#batch"], table: Sequence[Float[np.ndarray, "*batch nodes"]]
) -> Float[np.ndarray, "*batch"]:
    """Position, in steps from the first node, at which a rising function reaches a level.

    Newton's iteration on the Hermite interpolant, its slope interpolated linearly.

    Args:
        level: The level.
        table: The function at the nodes, and its first three derivatives in steps; the first is
            positive.

    Returns:
        The position; minus or plus infinity where the level is beyond the ends.
    """
    size = table[0].shape[-1]
    count = np.sum(table[0] <= level[..., None], axis=-1)
    left = np.clip(count - 1, 0, size - 2)
    ends = [_at(values, left + side) for side in (0, 1) for values in table]
    place = (level - ends[0]) / (ends[4] - ends[0])
    for _ in range(_NEWTON_STEPS):
        rise = (1 - place) * ends[1] + place * ends[5]
        place = np.clip(place + (level - _hermite(place, ends)) / rise, 0.0, 1.0)
    return np.where(count == 0, -np.inf, np.where(count == size, np.inf, left + place))


Table = Sequence[Float[Array, "nodes"]]


def _cell(position: Float[Array, "*batch"], table: Table) -> tuple[Array, list[Array]]:
    """Place in a cell, and the values at both its ends."""
    last = table[0].shape[0] - 1
    left = jnp.clip(position.astype(int), 0, last - 1)
    ends = [values[left + side] for side in (0, 1) for values in table]
    return jnp.clip(position, 0.0, last) - left, ends


def interpolate(position: Float[Array, "*batch"], table: Table) -> Float[Array, "*batch"]:
    """Cumulative integral anywhere on one line; see `interpolate_lines`."""
    return _hermite(*_cell(position, table))


def slope(position: Float[Array, "*batch"], table: Table) -> Float[Array, "*batch"]:
    """Derivative of the cumulative integral, in steps, anywhere on one line."""
    place, ends = _cell(position, table)
    return jax.jvp(lambda s: _hermite(s, ends), (place,), (jnp.ones_like(place),))[1]


def invert(
    level: Float[Array, "*batch"], table: Table, halvings: int = _HALVINGS
) -> Float[Array, "*batch"]:
    """Position, in steps from the first node, at which the cumulative integral reaches a level.

    Bisection within the bracketing pair of nodes: it cannot leave the bracket, and costs nothing
    beside the density.

    Args:
        level: The level; the ends of the lattice are returned for what is beyond them.
        table: Cumulative integral at the nodes, and its first three derivatives in steps.
        halvings: How often to halve a step.

    Returns:
        The position.
    """
    total = table[0]
    left = jnp.clip(jnp.searchsorted(total, level, side="right") - 1, 0, total.shape[0] - 2)
    ends = [values[left + side] for side in (0, 1) for values in table]

    def halve(_: Int[Array, ""], bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = 0.5 * (low + high)
        below = _hermite(middle, ends) < level
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    start = (jnp.zeros_like(level), jnp.ones_like(level))
    low, high = jax.lax.fori_loop(0, halvings, halve, start)
    return left.astype(level.dtype) + 0.5 * (low + high)
