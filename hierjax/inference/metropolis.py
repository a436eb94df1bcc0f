"""Metropolis steps with normal proposals, of many chains in lockstep."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

__all__ = ["metropolis"]


def metropolis(
    key: Key[Array, ""],
    x: Float[Array, "chains 2"],
    log_target: Callable[[Float[Array, "chains 2"]], Float[Array, "chains"]],
    moves: Float[Array, "moves 2 2"],
    steps: int,
) -> tuple[Float[Array, "chains 2"], Float[Array, "chains moves"]]:
    """Metropolis steps of all chains, with normal proposals of each kind in turn.

    Args:
        key: Typed key.
        x: Where the chains are.
        log_target: Log-density, up to a constant of each chain; NaN is taken for -inf.
        moves: Matrices that take standard normals to a proposal's step.
        steps: How often to go through all kinds.

    Returns:
        Where the chains are then, and the acceptance probabilities' means.
    """
    key_propose, key_accept = jax.random.split(key)
    kinds = len(moves)
    normals = jax.random.normal(key_propose, (steps, kinds, *x.shape), x.dtype)
    exponentials = jax.random.exponential(key_accept, (steps, kinds, len(x)), x.dtype)

    def step(i: Int[Array, ""], carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        x, current, accepted = carry
        for j in range(kinds):
            # Not a matrix product: of matrices so small it takes longer than the sum.
            proposal = x + jnp.sum(normals[i, j][:, None, :] * moves[j][None], axis=-1)
            proposed = log_target(proposal)
            gain = jnp.where(jnp.isnan(proposed), -jnp.inf, proposed) - current
            take = gain >= -exponentials[i, j]
            x = jnp.where(take[:, None], proposal, x)
            current = jnp.where(take, proposed, current)
            accepted = accepted.at[:, j].add(jnp.exp(jnp.minimum(gain, 0.0)))
        return x, current, accepted

    start = x, log_target(x), jnp.zeros((len(x), kinds), x.dtype)
    x, _, accepted = jax.lax.fori_loop(0, steps, step, start)
    return x, accepted / steps
