"""Predictive probabilities of counts that are not there yet."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hierjax.families.beta_binomial import BetaBinomial
from hierjax.posterior import HyperPosterior

__all__ = ["log_predictive"]


@partial(jax.jit, static_argnums=0)
def log_predictive(
    family: BetaBinomial,
    posterior: HyperPosterior,
    new_successes: Float[Array, "points"],
    new_trials: Float[Array, ""],
    successes: Float[Array, ""],
    trials: Float[Array, ""],
) -> Float[Array, "points"]:
    """Log-probability of a unit's next counts, given the counts it has.

    Args:
        family: Conjugate family.
        posterior: Posterior of the hyperparameters.
        new_successes: Possible numbers of successes.
        new_trials: Number of next trials.
        successes: y so far; 0 with no trials for a new unit.
        trials: n so far.

    Returns:
        One log-probability for every entry of `new_successes`.
    """
    points = posterior.points.reshape(-1, 2)
    log_weights = jnp.log(posterior.weights.ravel())

    def at(k: Float[Array, ""]) -> Float[Array, ""]:
        def one(eta: Float[Array, "2"]) -> Float[Array, ""]:
            return family.log_predictive(k, new_trials, successes, trials, family.constrain(eta))

        return jax.nn.logsumexp(jax.vmap(one)(points) + log_weights)

    return jax.lax.map(at, new_successes)
