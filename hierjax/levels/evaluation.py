"""Labs' log-likelihoods at points of their own: all that is compiled of a family here."""

from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from hierjax.families import AnyFamily
from hierjax.levels.labs import Chunk

__all__ = ["log_likelihoods"]

# Points that one call takes of each lab; others are filled up or split.
_SIZES = (96, 576)
# Elements of intermediate arrays.
_CELLS = 1 << 19


@partial(jax.jit, static_argnums=0)
def _evaluate(
    family: AnyFamily, tallies: Any, points: Float[Array, "labs points 2"]
) -> Float[Array, "labs points"]:
    def one(tally: Any, eta: Float[Array, "2"]) -> Float[Array, ""]:
        return family.log_marginal_tally(tally, family.constrain(eta))

    def lab(each: tuple[Any, Float[Array, "points 2"]]) -> Float[Array, "points"]:
        tally, at = each
        most = max(1, _CELLS // max(1, tally.terms))
        batch = next(n for n in range(min(most, len(at)), 0, -1) if len(at) % n == 0)
        split = at.reshape(-1, batch, 2)
        return jax.lax.map(lambda x: jax.vmap(one, (None, 0))(tally, x), split).ravel()

    return jax.lax.map(lab, (tallies, points))


def log_likelihoods(
    family: AnyFamily, chunk: Chunk, points: Float[np.ndarray, "labs *points 2"]
) -> Float[np.ndarray, "labs *points"]:
    """Log-likelihoods of the labs of a chunk, each at its own working coordinates.

    Args:
        family: Conjugate family.
        chunk: Labs with tallies of one shape.
        points: As many of each lab.

    Returns:
        Minus infinity where a likelihood is not a number.
    """
    dtype = chunk.tallies.dtype
    flat = points.reshape(len(points), -1, 2)
    count = flat.shape[1]
    size = next((n for n in _SIZES if count <= n), _SIZES[-1])
    filled = np.pad(flat, ((0, 0), (0, -count % size), (0, 0)), mode="edge").astype(dtype)
    parts = [
        np.asarray(_evaluate(family, chunk.tallies, filled[:, i : i + size]))
        for i in range(0, filled.shape[1], size)
    ]
    values = np.concatenate(parts, axis=1)[:, :count].astype(np.float64)
    return np.where(np.isnan(values), -np.inf, values).reshape(points.shape[:-1])
