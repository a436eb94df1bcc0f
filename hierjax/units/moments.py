"""Means, standard deviations and shrinkage of units' rates: sums over all points."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hierjax.families.beta_binomial import BetaBinomial
from hierjax.posterior import HyperPosterior

__all__ = ["UnitMoments", "unit_moments"]


class UnitMoments(NamedTuple):
    """Posterior moments of units' rates.

    Attributes:
        mean: Posterior mean of theta.
        sd: Posterior standard deviation of theta.
        shrinkage: Posterior mean of kappa / (kappa + n): the weight of the population's mean.
    """

    mean: Float[Array, "pairs"]
    sd: Float[Array, "pairs"]
    shrinkage: Float[Array, "pairs"]


@partial(jax.jit, static_argnums=0)
def unit_moments(
    family: BetaBinomial,
    posterior: HyperPosterior,
    successes: Float[Array, "pairs"],
    trials: Float[Array, "pairs"],
) -> UnitMoments:
    r"""Posterior mean, standard deviation and shrinkage of units' rates.

    .. math:: E[\theta \mid Y] = \sum_s w_s \frac{m_s + y\phi_s}{1 + n\phi_s}

    Args:
        family: Conjugate family.
        posterior: Posterior of the hyperparameters.
        successes: y of every unit (or distinct pair).
        trials: n likewise.

    Returns:
        The moments of every unit.
    """
    population = jax.vmap(jax.vmap(family.constrain))(posterior.points)

    def one(y: Float[Array, ""], n: Float[Array, ""]) -> UnitMoments:
        component = family.update(y, n, population)
        # Sums of weights may round to more than one.
        mean = jnp.minimum(posterior.mean(component.mean), 1.0)
        variance = posterior.mean(component.variance + (component.mean - mean) ** 2)
        weight_of_mean = 1 / (1 + n * population.dispersion)
        shrinkage = jnp.minimum(posterior.mean(weight_of_mean), 1.0)
        return UnitMoments(mean, jnp.sqrt(variance), shrinkage)

    return jax.vmap(one)(successes, trials)
