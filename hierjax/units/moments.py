"""Means, standard deviations and shrinkage of units' parameters: sums over all points."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hierjax.families.protocol import AnyFamily
from hierjax.posterior import HyperPosterior

__all__ = ["UnitMoments", "unit_moments"]


class UnitMoments(NamedTuple):
    """Posterior moments of units' parameters.

    Attributes:
        mean: Posterior mean of theta.
        sd: Posterior standard deviation of theta.
        shrinkage: Posterior mean of the weight of the population's mean.
    """

    mean: Float[Array, "pairs"]
    sd: Float[Array, "pairs"]
    shrinkage: Float[Array, "pairs"]


@partial(jax.jit, static_argnums=0)
def unit_moments(
    family: AnyFamily,
    posterior: HyperPosterior,
    values: Float[Array, "pairs"],
    sizes: Float[Array, "pairs"],
) -> UnitMoments:
    r"""Posterior mean, standard deviation and shrinkage of units' parameters.

    .. math:: E[\theta \mid Y] = \sum_s w_s \frac{m_s + t\phi_s}{1 + v\phi_s}

    with t the unit's statistic and v its weight, and the shrinkage that of 1 / (1 + v phi).

    Args:
        family: Conjugate family.
        posterior: Posterior of the hyperparameters.
        values: y of every unit (or distinct pair).
        sizes: Their sizes.

    Returns:
        The moments of every unit.
    """
    population = jax.vmap(jax.vmap(family.constrain))(posterior.points)

    def one(y: Float[Array, ""], n: Float[Array, ""]) -> UnitMoments:
        component = family.update(y, n, population)
        # Sums of weights may round to more than one.
        mean = jnp.minimum(posterior.mean(component.mean), family.limits[1])
        variance = posterior.mean(component.variance + (component.mean - mean) ** 2)
        weight_of_mean = 1 / (1 + family.statistic(y, n)[1] * population.dispersion)
        shrinkage = jnp.minimum(posterior.mean(weight_of_mean), 1.0)
        return UnitMoments(mean, jnp.sqrt(variance), shrinkage)

    return jax.vmap(one)(values, sizes)
