"""Answers about units: mixtures of conjugate posteriors over the hyperparameters.

Written once for every method. Means and variances are sums over all points; quantiles come from
the mixture's density on a lattice of the log-odds, integrated to spectral accuracy.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hierjax import lattice
from hierjax.families.beta_binomial import BetaBinomial, Population
from hierjax.posterior import HyperPosterior

__all__ = ["UnitMoments", "log_predictive", "unit_density", "unit_moments", "unit_quantiles"]

_NODES = 144
_FARTHEST = 740.0
# The share of quadrature's nodes that is mixed: those around have next to no weight.
_HEAVIEST = 4 / 9
# Equally spaced components this wide, in gaps between them, add up to a smooth density.
_RESOLVED = 0.7


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


def _components(
    family: BetaBinomial,
    posterior: HyperPosterior,
    successes: Float[Array, ""],
    trials: Float[Array, ""],
) -> Population:
    """The unit's conjugate posterior at every point."""
    least = jnp.finfo(trials.dtype).tiny

    def one(eta: Float[Array, "2"]) -> Population:
        mean, complement, dispersion = family.update(successes, trials, family.constrain(eta))
        # A mean that underflows would have no log-odds.
        return Population(jnp.maximum(mean, least), jnp.maximum(complement, least), dispersion)

    return jax.vmap(jax.vmap(one))(posterior.points)


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

    def one(y: Float[Array, ""], n: Float[Array, ""]) -> UnitMoments:
        component = _components(family, posterior, y, n)
        mean = posterior.mean(component.mean)
        variance = posterior.mean(component.variance + (component.mean - mean) ** 2)
        weight_of_mean = 1 / (1 + n * jnp.exp(-posterior.points[..., 1]))
        return UnitMoments(mean, jnp.sqrt(variance), posterior.mean(weight_of_mean))

    return jax.vmap(one)(successes, trials)


def _widened(component: Population) -> Population:
    """Widens the components of a lattice that are too narrow to overlap with their neighbours.

    Where a unit's posterior follows the hyperparameters closely, as towards complete pooling,
    components become spikes at the nodes, although their mixture stays smooth. Widening them
    moves the probability below a rate by some 0.001 of the weight that such nodes have.
    """
    logit = jnp.log(component.mean) - jnp.log(component.complement)
    gaps = [jnp.abs(jnp.diff(logit, axis=axis)) for axis in (0, 1)]
    across = jnp.maximum(jnp.pad(gaps[0], ((1, 0), (0, 0))), jnp.pad(gaps[0], ((0, 1), (0, 0))))
    along = jnp.maximum(jnp.pad(gaps[1], ((0, 0), (1, 0))), jnp.pad(gaps[1], ((0, 0), (0, 1))))
    least = _RESOLVED * jnp.maximum(across, along)
    ratio = least**2 / (1 / component.alpha + 1 / component.beta)
    return component._replace(dispersion=component.dispersion * jnp.maximum(1.0, ratio))


def _mixture(
    family: BetaBinomial, posterior: HyperPosterior, y: Float[Array, ""], n: Float[Array, ""]
) -> tuple[Population, Float[Array, "points"]]:
    component, weights = _components(family, posterior, y, n), posterior.weights
    if min(weights.shape) == 1:
        return jax.tree.map(jnp.ravel, component), weights.ravel()
    component = jax.tree.map(jnp.ravel, _widened(component))
    weights, heaviest = jax.lax.top_k(weights.ravel(), int(_HEAVIEST * weights.size))
    return jax.tree.map(lambda values: values[heaviest], component), weights / jnp.sum(weights)


class _LogOdds(NamedTuple):
    """A lattice of log-odds that holds a mixture, and what lies beyond its ends."""

    center: Float[Array, ""]
    scale: Float[Array, ""]
    start: Float[Array, ""]
    step: Float[Array, ""]

    def value(self, position: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        return self.center + self.scale * jnp.sinh(self.start + self.step * position)

    def jacobian(self, position: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        return self.scale * jnp.cosh(self.start + self.step * position)


def _log_odds_lattice(component: Population, weights: Float[Array, "points"]) -> _LogOdds:
    counts = weights > 1e-9
    logit = jnp.log(component.mean) - jnp.log(component.complement)
    width = jnp.sqrt(1 / component.alpha + 1 / component.beta)
    # Nodes are densest where the narrow components are.
    precision = weights / width**2
    center = jnp.sum(precision * logit) / jnp.sum(precision)
    shift = logit - center
    spread = jnp.sqrt(jnp.sum(weights * jnp.minimum(width**2 + shift**2, _FARTHEST**2)))
    scale = jnp.minimum(jnp.min(jnp.where(counts, width, jnp.inf)) * 2, jnp.minimum(spread, 1.0))
    # A Beta falls like exp(alpha z) to the left and exp(-beta z) to the right, and its bulk like
    # a normal of its width. Beyond _FARTHEST a rate is 0 or 1 in double precision.
    reach = 9 * jnp.maximum(spread, jnp.max(jnp.where(counts, width, 0.0)))
    left = reach + 36 / jnp.min(jnp.where(counts, component.alpha, jnp.inf))
    right = reach + 36 / jnp.min(jnp.where(counts, component.beta, jnp.inf))
    start = -jnp.arcsinh(jnp.clip(left, 0.0, _FARTHEST + center) / scale)
    end = jnp.arcsinh(jnp.clip(right, 0.0, _FARTHEST - center) / scale)
    return _LogOdds(center, scale, start, (end - start) / (_NODES - 1))


@partial(jax.jit, static_argnums=0)
def unit_quantiles(
    family: BetaBinomial,
    posterior: HyperPosterior,
    successes: Float[Array, "pairs"],
    trials: Float[Array, "pairs"],
    levels: Float[Array, "levels"],
) -> Float[Array, "pairs levels"]:
    r"""Posterior quantiles of units' rates.

    Solves :math:`\sum_s w_s I_\theta(\alpha_s + y, \beta_s + n - y) = p` for theta.

    Args:
        family: Conjugate family.
        posterior: Posterior of the hyperparameters, with positive dispersion at all points: the
            lattice of quadrature, or points in a single row.
        successes: y of every unit (or distinct pair).
        trials: n likewise.
        levels: Probabilities p.

    Returns:
        Quantiles of theta.
    """

    def one(y: Float[Array, ""], n: Float[Array, ""]) -> Float[Array, "levels"]:
        component, weights = _mixture(family, posterior, y, n)
        places = _log_odds_lattice(component, weights)
        nodes = jnp.arange(_NODES, dtype=places.step.dtype)

        def at(logit: Float[Array, ""]) -> Float[Array, "points"]:
            return jnp.exp(
                jax.vmap(lambda *p: family.log_prior_logit(logit, Population(*p)))(*component)
            )

        densities = jax.vmap(at)(places.value(nodes))
        density = densities @ weights * places.jacobian(nodes)
        # Where the mixture reaches beyond the lattice its tails are exponential.
        below = densities[0] @ (weights / component.alpha)
        above = densities[-1] @ (weights / component.beta)
        total = lattice.cumulative(density, places.step)
        slope = lattice.derivative(density, places.step)
        target = levels * (below + total[-1] + above) - below
        return jax.nn.sigmoid(
            places.value(lattice.invert(target, total, density, slope, places.step))
        )

    return jax.vmap(one)(successes, trials)


@partial(jax.jit, static_argnums=0)
def unit_density(
    family: BetaBinomial,
    posterior: HyperPosterior,
    successes: Float[Array, ""],
    trials: Float[Array, ""],
    rates: Float[Array, "points"],
) -> Float[Array, "points"]:
    """Posterior density of one unit's rate; with no trials, of a new unit's.

    Args:
        family: Conjugate family.
        posterior: Posterior of the hyperparameters.
        successes: y.
        trials: n.
        rates: Where, strictly between 0 and 1.

    Returns:
        The density with respect to theta.
    """
    component, weights = _mixture(family, posterior, successes, trials)

    def at(theta: Float[Array, ""]) -> Float[Array, ""]:
        logit = jnp.log(theta) - jnp.log1p(-theta)
        log_density = jax.vmap(lambda *p: family.log_prior_logit(logit, Population(*p)))(*component)
        return jnp.sum(weights * jnp.exp(log_density)) / (theta * (1 - theta))

    return jax.lax.map(at, rates)


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
