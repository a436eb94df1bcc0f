"""Posterior distributions of units: mixtures of conjugate ones over the hyperparameters.

The mixture's density is evaluated on a lattice of places, the parameter's own scale without bounds
(log-odds of a rate), and integrated to spectral accuracy;
quantiles, intervals and probabilities are read from the lattice. Written once for every method.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hierjax import lattice
from hierjax.families.protocol import AnyFamily
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
# Of a family's widest densities.
_FARTHEST = 1e5
# Equally spaced components this wide, in gaps between them, add up to a smooth density.
_RESOLVED = 0.7
# Nodes this far apart, in components' widths, see nothing fall between them.
_SPARSEST = 3.0
_HALVINGS = 60
_AT_END = 1e-6

# A family's populations, an array of them.
Component = Any


class UnitDistribution(NamedTuple):
    """One unit's posterior on a lattice of places, uniform in the hidden coordinate.

    The place at position k, in steps from the first node, is
    center + scale * sinh(start + step * k).

    Attributes:
        center: Place at which nodes are densest.
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

    def place(self, position: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """Place by position."""
        return self.center + self.scale * jnp.sinh(self.start + self.step * position)

    def position(self, place: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """The inverse of `place`, within the lattice."""
        hidden = jnp.arcsinh((place - self.center) / self.scale)
        return jnp.clip((hidden - self.start) / self.step, 0.0, self.total.shape[-1] - 1.0)


def _components(
    family: AnyFamily, mixture: Mixture, y: Float[Array, ""], n: Float[Array, ""]
) -> Component:
    """The unit's conjugate posterior at every point, widened to overlap with its neighbours.

    Where a unit's posterior follows the hyperparameters closely, as towards complete pooling,
    components become spikes at the points, although their mixture stays smooth. Widening them
    moves the probability below a parameter by some 0.001 of the weight that such points have.
    """
    least = float(jnp.finfo(y.dtype).tiny)
    population = jax.vmap(family.constrain)(mixture.points)
    # A mean that underflows would have no place.
    component = family.floored(family.update(y, n, population), least)
    # How far places move from a point to the next, by either coordinate.
    growth = 1 + family.statistic(y, n)[1] * population.dispersion
    across = mixture.gaps[:, 0] * family.unit_variance(population)
    across /= growth * family.unit_variance(component)
    factors = jnp.exp(jnp.array([[-1.0], [1.0]], y.dtype) * mixture.gaps[:, 1])
    moved = population._replace(dispersion=factors * population.dispersion)
    beside = family.floored(family.update(y, n, moved), least)
    along = jnp.max(jnp.abs(family.location(beside) - family.location(component)), axis=0)
    gap = _RESOLVED * jnp.maximum(across, jnp.where(mixture.gaps[:, 1] > 0, along, 0.0))
    return _widened(family, component, gap)


def _widened(family: AnyFamily, component: Component, least: Float[Array, "points"]) -> Component:
    """Components whose places have a standard deviation of at least so much, roughly."""
    ratio = (least / family.spread(component)) ** 2
    return component._replace(dispersion=component.dispersion * jnp.maximum(1.0, ratio))


def _place(family: AnyFamily, component: Component, mixture: Mixture) -> tuple[Array, ...]:
    """Center, scale, start and step of a lattice that holds a mixture."""
    weights = jnp.abs(mixture.weights)
    counts, widest = weights > 1e-10, family.on_host.widest
    location = family.location(component)
    width = jnp.maximum(family.spread(component), mixture.finest)
    # Nodes are densest where most of the narrow components are: at a median, which does not fall
    # between two places of them.
    height = weights / width
    share = height / jnp.sum(height)

    def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        middle = 0.5 * (ends[0] + ends[1])
        under = jnp.sum(jnp.where(location < middle, share, 0.0)) < 0.5
        return jnp.where(under, middle, ends[0]), jnp.where(under, ends[1], middle)

    ends = tuple(jnp.where(counts, location, end) for end in (jnp.inf, -jnp.inf))
    center, _ = jax.lax.fori_loop(0, _HALVINGS, halve, (jnp.min(ends[0]), jnp.max(ends[1])))
    shift, farthest = location - center, _FARTHEST * widest
    spread = jnp.sqrt(jnp.sum(weights * jnp.minimum(width**2 + shift**2, farthest**2)))
    scale = jnp.minimum(jnp.min(jnp.where(counts, width, jnp.inf)) * 4, jnp.minimum(spread, widest))
    # Tails are exponential, such as a Beta's, which falls like exp(alpha z) to the left and
    # exp(-beta z) to the right; the bulk falls like a normal of its width.
    reach = 9 * jnp.maximum(spread, jnp.max(jnp.where(counts, width, 0.0)))
    left, right = (
        reach + 36 / jnp.min(jnp.where(counts, tail, jnp.inf)) for tail in family.tails(component)
    )
    start = -jnp.arcsinh(jnp.clip(left, 0.0, farthest + center) / scale)
    end = jnp.arcsinh(jnp.clip(right, 0.0, farthest - center) / scale)
    return center, scale, start, (end - start) / (_NODES - 1)


def _density(
    family: AnyFamily,
    component: Component,
    center: Float[Array, ""],
    places: Float[Array, "nodes"],
) -> Float[Array, "nodes points"]:
    r"""Every component's density of the place z.

    In a conjugate pair of an exponential family the density relative to the one at a center is
    :math:`(q - \theta_0)(z - z_0) / \phi - KL / \phi`, where KL, the divergence of
    :math:`\theta_0` from :math:`\theta(z)`, is the same for all components: two products each.
    """
    at_center = jax.vmap(family.log_prior_unconstrained, in_axes=(None, 0))(center, component)
    lean = family.excess(component, center) / component.dispersion
    divergence = family.divergence(center, places)
    logs = (
        at_center[None]
        + (places - center)[:, None] * lean[None]
        - divergence[:, None] * (1 / component.dispersion)[None]
    )
    # Of components astronomically many widths away only rounding is left, which could be anything
    # but is not to exceed what such a component can be anywhere.
    precision = 1 / family.spread(component)
    highest = jnp.log(jnp.maximum(precision**2 / family.on_host.widest, precision))
    return jnp.exp(jnp.minimum(logs, highest[None]))


@partial(jax.jit, static_argnums=0)
def unit_distributions(
    family: AnyFamily,
    mixture: Mixture,
    values: Float[Array, "pairs"],
    sizes: Float[Array, "pairs"],
) -> UnitDistribution:
    r"""Posterior distributions of units' parameters.

    .. math:: P(\theta < c \mid Y) = \sum_s w_s P(\theta < c \mid \eta_s, y)

    for rates of binomial counts with I_c(alpha + y, beta + n - y), the regularised incomplete beta
    function, under the sum.

    Args:
        family: Conjugate family.
        mixture: Points of the hyperparameters, with positive dispersion at all of them.
        values: y of every unit (or distinct pair).
        sizes: Their sizes.

    Returns:
        The distributions.
    """

    def one(y: Float[Array, ""], n: Float[Array, ""]) -> UnitDistribution:
        component = _components(family, mixture, y, n)
        lattice_place = _place(family, component, mixture)
        center, scale, start, step = lattice_place
        # Far from the center nodes are sparse: what is narrow there must not fall between them.
        sparse = step * jnp.hypot(scale, family.location(component) - center) / _SPARSEST
        component = _widened(family, component, jnp.where(mixture.finest > 0, 0.0, sparse))
        hidden = start + step * jnp.arange(_NODES, dtype=step.dtype)
        places = center + scale * jnp.sinh(hidden)
        at = partial(_density, family, component, center)
        density = jnp.sum(mixture.weights * at(places), axis=1) * scale * jnp.cosh(hidden) * step
        # Where the mixture reaches beyond the lattice its tails are exponential.
        ends = mixture.weights * at(places[jnp.array([0, -1])])
        left, right = jnp.sum(ends / jnp.stack(family.tails(component)), axis=1)
        total = left + lattice.cumulative(density)
        slope = lattice.derivative(density)
        whole = total[-1] + right
        tables = (total, density, slope, lattice.derivative(slope))
        return UnitDistribution(*lattice_place, *(table / whole for table in tables))

    return jax.vmap(one)(values, sizes)


def quantiles(
    family: AnyFamily, distributions: UnitDistribution, levels: Float[np.ndarray, "levels"]
) -> Float[np.ndarray, "pairs levels"]:
    """Posterior quantiles of units' parameters, on the host: there is nothing to compile.

    Args:
        family: Conjugate family.
        distributions: The units' distributions.
        levels: Probabilities.

    Returns:
        Parameters theta with P(theta < quantile) = level.
    """
    places = [np.asarray(x, np.float64)[:, None] for x in distributions[:4]]
    lines = [np.asarray(x, np.float64)[:, None] for x in distributions.table]
    shape = (len(lines[0]), len(levels), lines[0].shape[-1])
    position = lattice.invert_lines(levels, [np.broadcast_to(x, shape) for x in lines])
    center, scale, start, step = places
    return family.on_host.parameter_at(center + scale * np.sinh(start + step * position))


@partial(jax.jit, static_argnums=0)
def below(
    family: AnyFamily,
    distributions: UnitDistribution,
    thresholds: Float[Array, "pairs thresholds"],
) -> Float[Array, "pairs thresholds"]:
    """Posterior probabilities that units' parameters are below thresholds.

    Args:
        family: Conjugate family.
        distributions: The units' distributions.
        thresholds: Of every unit, strictly between the parameter's limits.

    Returns:
        P(theta < threshold).
    """

    def one(unit: UnitDistribution, threshold: Float[Array, "thresholds"]) -> Array:
        position = unit.position(family.place_of(threshold))
        return jnp.clip(lattice.interpolate(position, unit.table), 0.0, 1.0)

    return jax.vmap(one)(distributions, thresholds)


@partial(jax.jit, static_argnums=0)
def highest_density(
    family: AnyFamily, distributions: UnitDistribution, level: Float[Array, ""]
) -> Float[Array, "pairs 2"]:
    r"""Highest-density intervals: the shortest that hold a given probability.

    The ends have equal densities of theta, unless the density rises or falls throughout: then the
    interval begins or ends at the parameter's limit.

    Args:
        family: Conjugate family.
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
            place, hidden = unit.place(position), unit.start + unit.step * position
            density = jnp.maximum(lattice.slope(position, unit.table), 0.0)
            return jnp.log(density / jnp.cosh(hidden)) - family.log_slope(place)

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
        ends = family.parameter_at(unit.place(jnp.stack([low, high])))
        least, most = family.limits
        return jnp.stack([jnp.where(falling, least, ends[0]), jnp.where(rising, most, ends[1])])

    return jax.vmap(one)(distributions)


@partial(jax.jit, static_argnums=0)
def unit_density(
    family: AnyFamily,
    mixture: Mixture,
    value: Float[Array, ""],
    size: Float[Array, ""],
    parameters: Float[Array, "points"],
) -> Float[Array, "points"]:
    """Posterior density of one unit's parameter; without data, of a new unit's.

    Args:
        family: Conjugate family.
        mixture: Points of the hyperparameters.
        value: y.
        size: Its size.
        parameters: Where, strictly between the parameter's limits.

    Returns:
        The density with respect to theta.
    """
    component = _components(family, mixture, value, size)
    center, *_ = _place(family, component, mixture)
    places = family.place_of(parameters)
    density = _density(family, component, center, places)
    return jnp.sum(mixture.weights * density, axis=1) * jnp.exp(-family.log_slope(places))
