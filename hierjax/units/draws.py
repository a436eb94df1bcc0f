"""Joint draws of units' parameters, by conjugacy from draws of the hyperparameters."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from hierjax.families.protocol import AnyFamily

__all__ = ["draw_parameters", "draw_places"]

# Parameters drawn in one compiled call.
_CHUNK = 1 << 17


@partial(jax.jit, static_argnums=0)
def draw_places(
    family: AnyFamily,
    key: Key[Array, ""],
    points: Float[Array, "draws 2"],
    values: Float[Array, "units"],
    sizes: Float[Array, "units"],
) -> Float[Array, "draws units"]:
    """One draw of every unit's place for each draw of the hyperparameters.

    Args:
        family: Conjugate family.
        key: Typed key.
        points: Draws of the working coordinates.
        values: y of every unit.
        sizes: Their sizes.

    Returns:
        Places, such as log-odds; they do not round where rates would be 0 or 1.
    """
    return family.draw_posterior(key, points, values, sizes)


def draw_parameters(
    family: AnyFamily,
    points: Float[np.ndarray, "draws 2"],
    values: np.ndarray,
    sizes: np.ndarray,
    key: Key[Array, ""],
) -> Float[np.ndarray, "draws units"]:
    """Parameters of all units, in compiled calls of one size.

    Args:
        family: Conjugate family.
        points: Draws of the working coordinates; an infinite log-concentration pools completely.
        values: y of every unit.
        sizes: Their sizes.
        key: Typed key.

    Returns:
        One parameter for every draw and unit.
    """
    dtype, draws = points.dtype, len(points)
    found = np.empty((draws, len(values)), dtype)
    size = max(1, min(draws, _CHUNK // max(1, len(values))))
    if np.isinf(points).any():
        found[:] = family.on_host.parameter_at(points[:, :1])
        return found
    with jax.enable_x64(dtype == np.float64):
        padded = np.pad(points, ((0, -draws % size), (0, 0)), "edge")
        data = tuple(jnp.asarray(x, dtype) for x in (values, sizes))

        def fill(start: int) -> None:
            with jax.enable_x64(dtype == np.float64):
                chunk = jnp.asarray(padded[start : start + size])
                drawn = _draw_parameters(family, jax.random.fold_in(key, start), chunk, *data)
                found[start : start + size] = np.asarray(drawn)[: draws - start]

        # A rejection loop keeps one core busy.
        with ThreadPoolExecutor() as pool:
            list(pool.map(fill, range(0, draws, size)))
    return found


@partial(jax.jit, static_argnums=0)
def _draw_parameters(family: AnyFamily, *given: Array) -> Float[Array, "draws units"]:
    """As `draw_places`, but parameters."""
    return family.parameter_at(draw_places(family, *given))
