r"""Functions on a uniform lattice as sums of Gaussians, which normal densities integrate exactly.

A smooth function that is constant beyond the lattice is two smooth steps plus Gaussians as wide as
the lattice is coarse, their coefficients a constant matrix times its values. Its integral against a
normal density of any width, down to none, is then a sum of the same functions, wider: nothing has
to be evaluated anew as the normal moves (Maz'ya & Schmidt 2007, *Approximate Approximations*).
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

__all__ = ["STEP_WIDTH", "against_normal", "coefficients", "density_coefficients"]

# Widths in lattice steps: of the steps, and how far from the ends they are. What a step lacks at
# the lattice's own end is below 3e-6 of the value there.
STEP_WIDTH = 1.75
_INSET = 8.0
_ROOT_TAU = float(np.sqrt(2 * np.pi))


@cache
def _inverse(size: int, width: float = 1.0) -> np.ndarray:
    lag = np.subtract.outer(np.arange(size), np.arange(size))
    inverse: np.ndarray = np.linalg.inv(np.exp(-0.5 * (lag / width) ** 2))
    return inverse


@cache
def coefficients(size: int) -> np.ndarray:
    """Matrix from values at the nodes to coefficients: left step, Gaussians, right step.

    Args:
        size: Number of nodes, at least 17.

    Returns:
        A matrix of size + 2 rows.

    Example:
        >>> values = np.exp(-0.5 * ((np.arange(30) - 14.3) / 3) ** 2)
        >>> found = against_normal(0.0, 1.0, 30, jnp.array(14.0), jnp.array(4.0))
        >>> integral = found @ (coefficients(30) @ values)
        >>> print(f"{integral:.6f} {0.6 * np.exp(-0.5 * (0.3 / 5) ** 2):.6f}")
        0.598921 0.598921
    """
    from scipy.special import ndtr

    at = np.arange(size, dtype=float)
    rest = np.eye(size)
    rest[:, 0] -= ndtr((_INSET - at) / STEP_WIDTH)
    rest[:, -1] -= ndtr((at - (size - 1 - _INSET)) / STEP_WIDTH)
    matrix = np.zeros((size + 2, size))
    matrix[0, 0] = matrix[-1, -1] = 1.0
    matrix[1:-1] = _inverse(size) @ rest
    return matrix


@cache
def density_coefficients(size: int, width: float = 1.0) -> np.ndarray:
    """Matrix from masses at the nodes to masses of normal densities about them.

    A density that vanishes at the lattice's ends is the mixture of these normals; some masses may
    be negative.

    Args:
        size: Number of nodes.
        width: Of the normal densities, in steps.
    """
    return width * _ROOT_TAU * _inverse(size, width) if size > 1 else np.ones((1, 1))


def against_normal(
    start: Float[Array, ""] | float,
    step: Float[Array, ""] | float,
    size: int,
    mean: Float[Array, ""],
    sd: Float[Array, ""],
) -> Float[Array, "coefficients"]:
    """Integrals of the basis functions against a normal density, its width possibly 0.

    Args:
        start: First node.
        step: Between nodes.
        size: Number of nodes.
        mean: Of the normal.
        sd: Its standard deviation.

    Returns:
        One number for every coefficient of `coefficients`.
    """
    wide = jnp.hypot(sd, step)
    nodes = start + step * jnp.arange(size, dtype=mean.dtype)
    inside = step / wide * jnp.exp(-0.5 * ((nodes - mean) / wide) ** 2)
    slope = jnp.hypot(sd, STEP_WIDTH * step)
    left = jax.scipy.special.ndtr((start + _INSET * step - mean) / slope)
    right = jax.scipy.special.ndtr((mean - start - (size - 1 - _INSET) * step) / slope)
    return jnp.concatenate([left[None], inside, right[None]])
