r"""A lab's likelihood on a lattice of its own, worked out once, for whatever is above it.

Rows are log-concentrations, from where the likelihood begins to count to where it ends or no longer
changes; in each row locations reach as far. The integral against independent normal densities of
both coordinates is then a weighted sum, exact to the digits of the interpolation, however wide or
narrow the normals are.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hierjax.families import AnyFamily
from hierjax.levels.basis import against_normal, coefficients
from hierjax.levels.evaluation import log_likelihoods
from hierjax.levels.labs import Chunk
from hierjax.levels.placing import Places, place

__all__ = ["Surface", "location_integrals", "row_weights", "surfaces"]

Scalar = Float[Array, ""]
# Beyond the lattice a likelihood stays at its last value, or is nothing if that is smaller.
_VANISHING = 1e-5


class Surface(NamedTuple):
    """The likelihood of a lab, relative to its largest value on the lattice.

    Attributes:
        log_largest: Logarithm of that value.
        row_start: First log-concentration.
        row_step: Between rows.
        start: First location in each row.
        step: Between locations.
        coefficients: Of each row, as `hierjax.levels.basis` has them.
        mode: Where the likelihood is largest, or begins to be.
        spread: Standard deviations there, by its curvature.
    """

    log_largest: Float[Any, "*labs"]
    row_start: Float[Any, "*labs"]
    row_step: Float[Any, "*labs"]
    start: Float[Any, "*labs rows"]
    step: Float[Any, "*labs rows"]
    coefficients: Float[Any, "*labs rows coefficients"]
    mode: Float[Any, "*labs 2"]
    spread: Float[Any, "*labs 2"]


def _ended(values: Float[np.ndarray, "labs lines nodes"]) -> Float[np.ndarray, "labs lines nodes"]:
    """Likelihoods that vanish at the ends of lines, unless they do not fall towards them."""
    ended = values.copy()
    least = _VANISHING * values.max(axis=2)
    for end in (0, -1):
        ended[..., end] = np.where(values[..., end] < least, 0.0, values[..., end])
    return ended


def surfaces(family: AnyFamily, chunk: Chunk, rows: int, columns: int) -> Surface:
    """The likelihoods of the labs of a chunk.

    Args:
        family: Conjugate family.
        chunk: The labs, their tallies in float64.
        rows: Log-concentrations.
        columns: Locations in each row.

    Returns:
        Stacked, in float64 on the host.
    """
    found: Places = place(family, chunk, rows)
    step = (found.last - found.first) / (columns - 1)
    u = found.first[..., None] + step[..., None] * np.arange(columns)
    w = np.broadcast_to(found.rows[..., None], u.shape)
    values = log_likelihoods(family, chunk, np.stack([u, w], axis=-1))
    largest = values.max(axis=(1, 2))
    values = _ended(np.exp(values - largest[:, None, None]))
    values = np.swapaxes(_ended(np.swapaxes(values, 1, 2)), 1, 2)
    weighted = values @ coefficients(columns).T
    row_step = found.rows[:, 1] - found.rows[:, 0]
    return Surface(
        *(largest, found.rows[:, 0], row_step, found.first, step),
        *(weighted, found.mode, found.spread),
    )


def location_integrals(surface: Surface, mean: Scalar, sd: Scalar) -> Float[Array, "rows"]:
    """Each row of one lab's likelihood, integrated against a normal density of the location."""
    size = surface.coefficients.shape[-1] - 2

    def row(start: Scalar, step: Scalar, weights: Float[Array, "coefficients"]) -> Float[Array, ""]:
        return jnp.sum(against_normal(start, step, size, mean, sd) * weights)

    return jax.vmap(row)(surface.start, surface.step, surface.coefficients)


def row_weights(surface: Surface, mean: Scalar, sd: Scalar) -> Float[Array, "rows"]:
    """What each row counts under a normal density of the log-concentration."""
    rows = surface.start.shape[-1]
    basis = against_normal(surface.row_start, surface.row_step, rows, mean, sd)
    return basis @ jnp.asarray(coefficients(rows), basis.dtype)
