"""Posterior distributions of units' rates: mixtures of Betas over the hyperparameters.

The mixture's density is evaluated on a lattice of log-odds and integrated to spectral accuracy;
quantiles, intervals and probabilities are read from the lattice. Written once for every method.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import expit

from hierjax import lattice
from hierjax.families.beta_binomial import BetaBinomial, Population
from hierjax.units.mixture import Mixture

__all__ = [
    "UnitDistribution",
    "below",
    "highest_density",
    "quantiles",
    "unit_density",
    "unit_distributions",
]

_NODES = 224
_FARTHEST = 1e5
# Equally spaced components this wide, in gaps between them, add up to a smooth density.
_RESOLVED = 0.7
# Nodes this far apart, in components' widths, see nothing fall between them.
_SPARSEST = 3.0
_HALVINGS = 60
_AT_END = 1e-6


class UnitDistribution(NamedTuple):
    """One unit's posterior on a lattice of log-odds, uniform in the hidden coordinate.

    The log-odds at position k, in steps from the first node, are
    center + scale * sinh(start + step * k).

    Attributes:
        center: Log-odds at which nodes are densest.
        scale: Unit of their stretching.
        start: Hidden coordinate of the first node.
        step: Distance of nodes.
        total: P(theta < node), tails included.
        density: Its derivative, by steps.
        slope: Its second derivative.
        bend: Its third derivative.
    """

    center: Float[Array, "*pairs"]
    scale: Float[Array, "*pairs"]
    start: Float[Array, "*pairs"]
    step: Float[Array, "*pairs"]
    total: Float[Array, "*pairs nodes"]
    density: Float[Array, "*pairs nodes"]
    slope: Float[Array, "*pairs nodes"]
    bend: Float[Array, "*pairs nodes"]

    @property
    def table(self) -> tuple[Float[Array, "*pairs nodes"], ...]:
        """What interpolation needs."""
        return self.total, self.density, self.slope, self.bend

    def log_odds(self, position: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """Log-odds of a rate by its position."""
        return self.center + self.scale * jnp.sinh(self.start + self.step * position)

    def position(self, log_odds: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """The inverse of `log_odds`, within the lattice."""
        hidden = jnp.arcsinh((log_odds - self.center) / self.scale)
        return jnp.clip((hidden - self.start) / self.step, 0.0, self.total.shape[-1] - 1.0)


def _components(
    family: BetaBinomial, mixture: Mixture, y: Float[Array, ""], n: Float[Array, ""]
) -> Population:
    """The unit's conjugate posterior at every point, widened to overlap with its neighbours.

    Where a unit's posterior follows the hyperparameters closely, as towards complete pooling,
    components become spikes at the points, although their mixture stays smooth. Widening them
    moves the probability below a rate by some 0.001 of the weight that such points have.
    """
    least = jnp.finfo(y.dtype).tiny
    population = jax.vmap(family.constrain)(mixture.points)
    mean, complement, dispersion = family.update(y, n, population)
    # A mean that underflows would have no log-odds.
    component = Population(jnp.maximum(mean, least), jnp.maximum(complement, least), dispersion)
    # How far log-odds move from a point to the next, by either coordinate.
    across = mixture.gaps[:, 0] * population.mean * population.complement
    across /= (1 + n * population.dispersion) * component.mean * component.complement
    factors = jnp.exp(jnp.array([[-1.0], [1.0]], y.dtype) * mixture.gaps[:, 1])
    beside = family.update(y, n, population._replace(dispersion=factors * population.dispersion))
    away = (beside.mean / component.mean) * (component.complement / beside.complement)
    along = jnp.max(jnp.abs(jnp.log(jnp.maximum(away, least))), axis=0)
    gap = _RESOLVED * jnp.maximum(across, jnp.where(mixture.gaps[:, 1] > 0, along, 0.0))
    return _widened(component, gap)


def _widened(component: Population, least: Float[Array, "points"]) -> Population:
    """Components whose log-odds have a standard deviation of at least so much, roughly."""
    ratio = least**2 / (1 / component.alpha + 1 / component.beta)
    return component._replace(dispersion=component.dispersion * jnp.maximum(1.0, ratio))


def _place(component: Population, mixture: Mixture) -> tuple[Array, ...]:
    """Center, scale, start and step of a lattice that holds a mixture."""
    weights = jnp.abs(mixture.weights)
    counts = weights > 1e-10
    logit = jnp.log(component.mean) - jnp.log(component.complement)
    width = jnp.maximum(jnp.sqrt(1 / component.alpha + 1 / component.beta), mixture.finest)
    # Nodes are densest where most of the narrow components are: at a median, which does not fall
    # between two places of them.
    height = weights / width
    share = height / jnp.sum(height)

    def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        middle = 0.5 * (ends[0] + ends[1])
        under = jnp.sum(jnp.where(logit < middle, share, 0.0)) < 0.5
        return jnp.where(under, middle, ends[0]), jnp.where(under, ends[1], middle)

    ends = tuple(jnp.where(counts, logit, end) for end in (jnp.inf, -jnp.inf))
    center, _ = jax.lax.fori_loop(0, _HALVINGS, halve, (jnp.min(ends[0]), jnp.max(ends[1])))
    shift = logit - center
    spread = jnp.sqrt(jnp.sum(weights * jnp.minimum(width**2 + shift**2, _FARTHEST**2)))
    scale = jnp.minimum(jnp.min(jnp.where(counts, width, jnp.inf)) * 4, jnp.minimum(spread, 1.0))
    # A Beta falls like exp(alpha z) to the left and exp(-beta z) to the right, and its bulk like
    # a normal of its width.
    reach = 9 * jnp.maximum(spread, jnp.max(jnp.where(counts, width, 0.0)))
    left = reach + 36 / jnp.min(jnp.where(counts, component.alpha, jnp.inf))
    right = reach + 36 / jnp.min(jnp.where(counts, component.beta, jnp.inf))
    start = -jnp.arcsinh(jnp.clip(left, 0.0, _FARTHEST + center) / scale)
    end = jnp.arcsinh(jnp.clip(right, 0.0, _FARTHEST - center) / scale)
    return center, scale, start, (end - start) / (_NODES - 1)


def _density(
    family: BetaBinomial,
    component: Population,
    center: Float[Array, ""],
    log_odds: Float[Array, "nodes"],
) -> Float[Array, "nodes points"]:
    r"""Every component's density of the log-odds z.

    In a conjugate pair of an exponential family the density relative to the one at a center is
    :math:`(q - \theta_0)(z - z_0) / \phi - KL / \phi`, where KL, the divergence of
    :math:`\theta_0` from :math:`\theta(z)`, is the same for all components: two products each.
    """
    at_center = jax.vmap(family.log_prior_logit, in_axes=(None, 0))(center, component)
    rate, rest = jax.nn.sigmoid(center), jax.nn.sigmoid(-center)
    lean = (component.mean * rest - component.complement * rate) / component.dispersion
    divergence = family.divergence(center, log_odds)
    logs = (
        at_center[None]
        + (log_odds - center)[:, None] * lean[None]
        - divergence[:, None] * (1 / component.dispersion)[None]
    )
    # Of components astronomically many widths away only rounding is left, which could be anything
    # but is not to exceed what such a component can be anywhere.
    precision = 1 / (1 / component.alpha + 1 / component.beta)
    highest = jnp.log(jnp.maximum(precision, jnp.sqrt(precision)))
    return jnp.exp(jnp.minimum(logs, highest[None]))


@partial(jax.jit, static_argnums=0)
def unit_distributions(
    family: BetaBinomial,
    mixture: Mixture,
    successes: Float[Array, "pairs"],
    trials: Float[Array, "pairs"],
) -> UnitDistribution:
    r"""Posterior distributions of units' rates.

    .. math:: P(\theta < c \mid Y) = \sum_s w_s I_c(\alpha_s + y, \beta_s + n - y)

    with I the regularised incomplete beta function.

    Args:
        family: Conjugate family.
        mixture: Points of the hyperparameters, with positive dispersion at all of them.
        successes: y of every unit (or distinct pair).
        trials: n likewise.

    Returns:
        The distributions.
    """

    def one(y: Float[Array, ""], n: Float[Array, ""]) -> UnitDistribution:
        component = _components(family, mixture, y, n)
        places = _place(component, mixture)
        center, scale, start, step = places
        # Far from the center nodes are sparse: what is narrow there must not fall between them.
        distance = jnp.log(component.mean) - jnp.log(component.complement) - center
        sparse = step * jnp.hypot(scale, distance) / _SPARSEST
        component = _widened(component, jnp.where(mixture.finest > 0, 0.0, sparse))
        hidden = start + step * jnp.arange(_NODES, dtype=step.dtype)
        log_odds = center + scale * jnp.sinh(hidden)
        at = partial(_density, family, component, center)
        density = jnp.sum(mixture.weights * at(log_odds), axis=1) * scale * jnp.cosh(hidden) * step
        # Where the mixture reaches beyond the lattice its tails are exponential.
        ends = mixture.weights * at(log_odds[jnp.array([0, -1])])
        left, right = jnp.sum(ends / jnp.stack([component.alpha, component.beta]), axis=1)
        total = left + lattice.cumulative(density)
        slope = lattice.derivative(density)
        whole = total[-1] + right
        tables = (total, density, slope, lattice.derivative(slope))
        return UnitDistribution(*places, *(values / whole for values in tables))

    return jax.vmap(one)(successes, trials)


def quantiles(
    distributions: UnitDistribution, levels: Float[np.ndarray, "levels"]
) -> Float[np.ndarray, "pairs levels"]:
    """Posterior quantiles of units' rates, on the host: there is nothing to compile.

    Args:
        distributions: The units' distributions.
        levels: Probabilities.

    Returns:
        Rates theta with P(theta < quantile) = level.
    """
    places = [np.asarray(x, np.float64)[:, None] for x in distributions[:4]]
    lines = [np.asarray(x, np.float64)[:, None] for x in distributions.table]
    shape = (len(lines[0]), len(levels), lines[0].shape[-1])
    position = lattice.invert_lines(levels, [np.broadcast_to(x, shape) for x in lines])
    center, scale, start, step = places
    return expit(center + scale * np.sinh(start + step * position))


@jax.jit
def below(
    distributions: UnitDistribution, rates: Float[Array, "pairs thresholds"]
) -> Float[Array, "pairs thresholds"]:
    """Posterior probabilities that units' rates are below thresholds.

    Args:
        distributions: The units' distributions.
        rates: Thresholds of every unit, strictly between 0 and 1.

    Returns:
        P(theta < threshold).
    """

    def one(unit: UnitDistribution, rate: Float[Array, "thresholds"]) -> Array:
        position = unit.position(jnp.log(rate) - jnp.log1p(-rate))
        return jnp.clip(lattice.interpolate(position, unit.table), 0.0, 1.0)

    return jax.vmap(one)(distributions, rates)


@jax.jit
def highest_density(
    distributions: UnitDistribution, level: Float[Array, ""]
) -> Float[Array, "pairs 2"]:
    r"""Highest-density intervals: the shortest that hold a given probability.

    The ends have equal densities of theta, unless the density rises or falls throughout: then the
    interval begins at 0 or ends at 1.

    Args:
        distributions: The units' distributions; intervals are of unimodal ones.
        level: Probability of the interval.

    Returns:
        Lower and upper end.
    """

    def one(unit: UnitDistribution) -> Float[Array, "2"]:
        def upper(low: Float[Array, ""]) -> Float[Array, ""]:
            return lattice.invert(lattice.interpolate(low, unit.table) + level, unit.table)

        def log_density(position: Float[Array, ""]) -> Float[Array, ""]:
            """Of theta, but for a constant."""
            z, hidden = unit.log_odds(position), unit.start + unit.step * position
            density = jnp.maximum(lattice.slope(position, unit.table), 0.0)
            return jnp.log(density / jnp.cosh(hidden)) + jax.nn.softplus(z) + jax.nn.softplus(-z)

        def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
            middle = 0.5 * (ends[0] + ends[1])
            rising = log_density(middle) < log_density(upper(middle))
            return jnp.where(rising, middle, ends[0]), jnp.where(rising, ends[1], middle)

        first, end = jnp.zeros_like(level), unit.total.shape[-1] - 1.0
        last = lattice.invert(1 - level, unit.table)
        low, _ = jax.lax.fori_loop(0, _HALVINGS, halve, (first, last))
        # Beyond the lattice's ends there is no more of a rising or falling density to give away.
        falling, rising = low <= first + _AT_END, upper(low) >= end - _AT_END
        high = jnp.where(falling, lattice.invert(level, unit.table), upper(low))
        low = jnp.where(rising, last, low)
        ends = jax.nn.sigmoid(unit.log_odds(jnp.stack([low, high])))
        return jnp.stack([jnp.where(falling, 0.0, ends[0]), jnp.where(rising, 1.0, ends[1])])

    return jax.vmap(one)(distributions)


@partial(jax.jit, static_argnums=0)
def unit_density(
    family: BetaBinomial,
    mixture: Mixture,
    successes: Float[Array, ""],
    trials: Float[Array, ""],
    rates: Float[Array, "points"],
) -> Float[Array, "points"]:
    """Posterior density of one unit's rate; with no trials, of a new unit's.

    Args:
        family: Conjugate family.
        mixture: Points of the hyperparameters.
        successes: y.
        trials: n.
        rates: Where, strictly between 0 and 1.

    Returns:
        The density with respect to theta.
    """
    component = _components(family, mixture, successes, trials)
    center, *_ = _place(component, mixture)
    log_odds = jnp.log(rates) - jnp.log1p(-rates)
    density = _density(family, component, center, log_odds)
    return jnp.sum(mixture.weights * density, axis=1) / (rates * (1 - rates))
