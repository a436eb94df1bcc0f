"""Joint draws of units' rates, by conjugacy from draws of the hyperparameters."""

from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from hierjax.log_gamma import log_gamma_draws

__all__ = ["draw_log_odds", "draw_rates"]

# Rates drawn in one compiled call.
_CHUNK = 1 << 17


@jax.jit
def draw_log_odds(
    key: Key[Array, ""],
    points: Float[Array, "draws 2"],
    successes: Float[Array, "units"],
    failures: Float[Array, "units"],
) -> Float[Array, "draws units"]:
    r"""One draw of every unit's log-odds for each draw of the hyperparameters.

    .. math:: \theta_j \mid \alpha, \beta, y_j \sim \mathrm{Beta}(\alpha + y_j, \beta + n_j - y_j)

    Args:
        key: Typed key.
        points: Draws of the working coordinates.
        successes: y of every unit.
        failures: n - y.

    Returns:
        Log-odds; they do not round where rates would be 0 or 1.
    """
    u, w = points[:, :1], points[:, 1:]
    alpha = jnp.exp(w + jax.nn.log_sigmoid(u)) + successes
    beta = jnp.exp(w + jax.nn.log_sigmoid(-u)) + failures
    logs = log_gamma_draws(key, jnp.stack([alpha, beta]))
    return logs[0] - logs[1]


def draw_rates(
    points: Float[np.ndarray, "draws 2"],
    successes: np.ndarray,
    trials: np.ndarray,
    key: Key[Array, ""],
) -> Float[np.ndarray, "draws units"]:
    """Rates of all units, in compiled calls of one size.

    Args:
        points: Draws of the working coordinates; an infinite log-concentration pools completely.
        successes: y of every unit.
        trials: n likewise.
        key: Typed key.

    Returns:
        One rate for every draw and unit.
    """
    dtype, draws = points.dtype, len(points)
    found = np.empty((draws, len(successes)), dtype)
    size = max(1, min(draws, _CHUNK // max(1, len(successes))))
    if np.isinf(points).any():
        found[:] = 1 / (1 + np.exp(-points[:, :1]))
        return found
    with jax.enable_x64(dtype == np.float64):
        padded = np.pad(points, ((0, -draws % size), (0, 0)), "edge")
        counts = tuple(jnp.asarray(x, dtype) for x in (successes, trials - successes))

        def fill(start: int) -> None:
            with jax.enable_x64(dtype == np.float64):
                chunk = jnp.asarray(padded[start : start + size])
                drawn = _draw_rates(jax.random.fold_in(key, start), chunk, *counts)
                found[start : start + size] = np.asarray(drawn)[: draws - start]

        # A rejection loop keeps one core busy.
        with ThreadPoolExecutor() as pool:
            list(pool.map(fill, range(0, draws, size)))
    return found


@jax.jit
def _draw_rates(*given: Array) -> Float[Array, "draws units"]:
    """As `draw_log_odds`, but rates."""
    return jax.nn.sigmoid(draw_log_odds(*given))
