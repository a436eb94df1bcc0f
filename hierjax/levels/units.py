r"""Units' posteriors: mixtures, over the coordinates of their lab, of conjugate posteriors.

All families are natural exponential families of quadratic variance, so that the density of a
unit's place z is, with z0 any place, m' and phi' its posterior's mean and dispersion,

.. math:: \log p(z) = \text{const} + \frac{(m' - m(z_0)) (z - z_0) - KL(z_0, z)}{\phi'}
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hierjax import lattice
from hierjax.families import AnyFamily
from hierjax.levels.basis import density_coefficients
from hierjax.levels.lab_nodes import LabPosteriors

__all__ = ["Mixtures", "UnitAnswers", "unit_answers"]

Scalar = Float[Array, ""]
# Nodes of a unit's place, how many standard deviations of it they reach, and the least width of a
# component in their steps.
_SIZE, _REACH, _LEAST = 128, 27.0, 0.8
# Of fewer nodes these quantiles are found first, to put the others about them.
_FEW, _CORE = 64, (0.16, 0.5, 0.84)
# Components that leave gaps are made wider by so much of these. A row leaves none if no component
# of at least this share of its largest weight has less than one over so much of that variance.
_BRIDGE, _COUNTS, _MOST = 0.6, 3e-3, 1.5
_ROWS = 24  # of a lab's nodes
# One of so many nodes will do where components are wide.
_THIN = 2
# By how much of a standard deviation a unit's moments may then differ.
_SAME = 3e-4
# Units that one call takes; others are filled up or split.
_BATCHES = (16, 1024)


class Mixtures(NamedTuple):
    """Weighted coordinates of each lab.

    Attributes:
        points: Working coordinates.
        weights: Summing to one.
        gaps: Widths that bridge those between neighbouring locations of a row; 0 for draws.
        masses: What weights become where components are so bridged: of normal densities as wide,
            whose mixture is no wider. Some are negative.
    """

    points: Float[Any, "labs rows columns 2"]
    weights: Float[Any, "labs rows columns"]
    gaps: Float[Any, "labs rows columns"]
    masses: Float[Any, "labs rows columns"]

    @classmethod
    def of_lattice(cls, labs: LabPosteriors) -> "Mixtures":
        """The nodes of labs' posteriors; of very many rows every second one."""
        kept = slice(None, None, max(1, labs.weights.shape[1] // _ROWS))
        location, weights = labs.location[:, kept], labs.weights[:, kept]
        w = np.broadcast_to(labs.log_concentration[:, kept, None], location.shape)
        _, gaps = labs.columns.values(location.shape[2])
        weights = weights / weights.sum(axis=(1, 2), keepdims=True)
        masses = weights @ density_coefficients(weights.shape[2], _BRIDGE).T
        points = np.stack([location, w], axis=-1)
        return cls(points, weights, _BRIDGE * gaps[:, kept], masses)

    def thinned(self) -> "Mixtures":
        """Every second node only, along rows and across them."""
        weights = self.weights[:, ::_THIN, ::_THIN]
        weights = weights / weights.sum(axis=(1, 2), keepdims=True)
        masses = weights @ density_coefficients(weights.shape[2], _BRIDGE).T
        gaps = _THIN * self.gaps[:, ::_THIN, ::_THIN]
        return Mixtures(self.points[:, ::_THIN, ::_THIN], weights, gaps, masses)

    @classmethod
    def of_draws(cls, draws: Float[np.ndarray, "draws labs 2"], most: int = 400) -> "Mixtures":
        """Evenly spaced draws of all chains, as one row."""
        chosen = np.linspace(0, len(draws) - 1, min(most, len(draws))).round().astype(int)
        points = np.swapaxes(draws[chosen], 0, 1)[:, None]
        weights = np.full(points.shape[:-1], 1 / points.shape[2])
        return cls(points, weights, np.zeros_like(weights), weights)


class UnitAnswers(NamedTuple):
    """What is told of units.

    Attributes:
        mean: Posterior means of their parameters.
        sd: Posterior standard deviations.
        quantiles: At the levels asked for.
        shrinkage: Posterior means of the weight of the lab's mean in the unit's.
    """

    mean: Float[Any, "units"]
    sd: Float[Any, "units"]
    quantiles: Float[Any, "units levels"]
    shrinkage: Float[Any, "units"]


def _one(
    family: AnyFamily,
    mixture: Mixtures,
    few: Mixtures,
    value: Scalar,
    size: Scalar,
    levels: Float[Array, "levels"],
) -> tuple[UnitAnswers, Bool[Array, ""]]:
    """Moments by all nodes and quantiles by few, and whether these are too few."""
    points, weights = mixture.points.reshape(-1, 2), mixture.weights.ravel()
    mean, sd = _moments(weights, _components(family, mixture, value, size))
    _, weight = family.statistic(value, size)
    shrinkage = jnp.sum(weights / (1 + weight * jnp.exp(-points[:, 1])))
    components = _components(family, few, value, size)
    differences = jnp.stack(_moments(few.weights.ravel(), components)) - jnp.stack([mean, sd])
    places, narrow = _places(family, few, components, value, size, levels)
    unlike = ~jnp.all(jnp.abs(differences) <= _SAME * sd)  # or not finite
    return UnitAnswers(mean, sd, family.parameter_at(places), shrinkage), narrow | unlike


def _updated(family: AnyFamily, value: Scalar, size: Scalar, eta: Float[Array, "2"]) -> Any:
    return family.update(value, size, family.constrain(eta))


def _components(family: AnyFamily, mixture: Mixtures, value: Scalar, size: Scalar) -> Any:
    """The unit's posterior at each of its lab's coordinates."""
    points = mixture.points.reshape(-1, 2)
    return jax.vmap(lambda eta: _updated(family, value, size, eta))(points)


def _moments(weights: Float[Array, "points"], components: Any) -> tuple[Scalar, Scalar]:
    mean = jnp.sum(weights * components.mean)
    squares = components.variance + (components.mean - mean) ** 2
    return mean, jnp.sqrt(jnp.sum(weights * squares))


def _places(
    family: AnyFamily,
    mixture: Mixtures,
    components: Any,
    value: Scalar,
    size: Scalar,
    levels: Float[Array, "levels"],
) -> tuple[Float[Array, "levels"], Bool[Array, ""]]:
    """Quantiles of a unit's place, and whether any component is narrow."""

    def slope(eta: Float[Array, "2"]) -> Scalar:
        at = lambda u: _updated(family, value, size, jnp.stack([u, eta[1]])).mean  # noqa: E731
        return jax.grad(at)(eta[0])

    points, weights = mixture.points.reshape(-1, 2), mixture.weights.ravel()
    # Rows with components narrower than what is between two of them would leave gaps.
    moves = (jax.vmap(slope)(points) * mixture.gaps.ravel()) ** 2
    bridged = moves / jnp.maximum(components.variance, 1e-30)
    most = jnp.max(mixture.weights, axis=1, keepdims=True)
    narrow = (bridged.reshape(most.shape[0], -1) > _MOST) & (mixture.weights > _COUNTS * most)
    rows = jnp.any(narrow, axis=1, keepdims=True)
    masses = jnp.where(rows, mixture.masses, mixture.weights).ravel()
    bridged = jnp.where(jnp.broadcast_to(rows, narrow.shape).ravel(), bridged, 0.0)
    components = components._replace(dispersion=components.dispersion * (1 + bridged))
    return _quantiles(family, components, weights, masses, levels), jnp.any(narrow)


def _median(values: Float[Array, "points"], weights: Float[Array, "points"]) -> Scalar:
    order = jnp.argsort(values)
    below = jnp.cumsum(weights[order])
    return values[order][jnp.searchsorted(below, 0.5 * below[-1])]


def _quantiles(
    family: AnyFamily,
    components: Any,
    weights: Float[Array, "points"],
    masses: Float[Array, "points"],
    levels: Float[Array, "levels"],
) -> Float[Array, "levels"]:
    """Quantiles of the place of a mixture, from its density at nodes close to its middle.

    Components may be far apart, and some far wider than the others: nodes reach as far as these
    and are closest where those are.
    """
    center, width = family.location(components), family.spread(components)
    middle = _median(center, weights)
    away = jnp.hypot(width, center - middle)
    spread = _median(away, weights)
    reach = _REACH * jnp.sqrt(jnp.sum(weights * away**2))
    core = jnp.asarray(_CORE, levels.dtype)
    low, middle, high = _inverted(family, components, masses, core, middle, spread, reach, _FEW)
    spread = 0.5 * (high - low)
    return _inverted(family, components, masses, levels, middle, spread, reach, _SIZE)


def _inverted(
    family: AnyFamily,
    components: Any,
    masses: Float[Array, "points"],
    levels: Float[Array, "levels"],
    middle: Scalar,
    spread: Scalar,
    reach: Scalar,
    count: int,
) -> Float[Array, "levels"]:
    """Quantiles by nodes at middle + spread sinh(x) of evenly spaced x."""
    end = jnp.arcsinh(reach / spread)
    x = end * jnp.linspace(-1.0, 1.0, count, dtype=masses.dtype)
    step = x[1] - x[0]
    center, width = family.location(components), family.spread(components)
    least = _LEAST * step * jnp.hypot(spread, center - middle)
    components = components._replace(
        dispersion=components.dispersion * jnp.maximum(1.0, (least / width) ** 2)
    )
    z = middle + spread * jnp.sinh(x)
    divergence = family.divergence(middle, z)
    lean = jax.vmap(family.excess, (0, None))(components, middle)
    logs = lean[:, None] * (z - middle) - divergence
    logs /= components.dispersion[:, None]
    shapes = jnp.exp(logs - jnp.max(logs, axis=1, keepdims=True))
    lengths = jnp.cosh(x)
    density = lengths * jnp.maximum((masses / (shapes @ lengths)) @ shapes, 0.0)
    bend = lattice.derivative(density)
    table = (lattice.cumulative(density), density, bend, lattice.derivative(bend))
    position = lattice.invert(levels * table[0][-1], table, 24)
    return middle + spread * jnp.sinh(x[0] + step * position)


@partial(jax.jit, static_argnums=0)
def _answers(
    family: AnyFamily,
    mixtures: Mixtures,
    few: Mixtures,
    lab: Int[Array, "units"],
    values: Float[Array, "units"],
    sizes: Float[Array, "units"],
    levels: Float[Array, "levels"],
) -> tuple[UnitAnswers, Bool[Array, "units"]]:
    def one(each: tuple[Array, Array, Array]) -> tuple[UnitAnswers, Bool[Array, ""]]:
        at, value, size = each
        every, some = jax.tree.map(lambda x: x[at], (mixtures, few))
        return _one(family, every, some, value, size, levels)

    return jax.lax.map(one, (lab, values, sizes))


def unit_answers(
    family: AnyFamily,
    mixtures: Mixtures,
    lab: Int[np.ndarray, "units"],
    values: Float[np.ndarray, "units"],
    sizes: Float[np.ndarray, "units"],
    levels: Float[np.ndarray, "levels"],
) -> UnitAnswers:
    """Posteriors of units.

    Means and standard deviations are exact given the labs' nodes; quantiles are right to some 1e-3
    in probability.

    Args:
        family: Conjugate family.
        mixtures: Of all labs.
        lab: Position of each unit's lab.
        values: What was observed.
        sizes: Their sizes.
        levels: Probabilities of the quantiles.

    Returns:
        The answers. Units of one lab with equal data are worked out once, on all processors.
    """
    keys = np.stack([lab.astype(np.float64), values, sizes], axis=1)
    distinct, inverse = np.unique(keys, axis=0, return_inverse=True)
    # A further program would take longer to compile than few units do; draws have no order.
    if len(distinct) <= _BATCHES[-1] or not mixtures.gaps.any():
        found, _ = _worked_out(family, mixtures, mixtures, distinct, levels)
    else:
        found, narrow = _worked_out(family, mixtures, mixtures.thinned(), distinct, levels)
        if narrow.any():
            again, _ = _worked_out(family, mixtures, mixtures, distinct[narrow], levels)
            found.quantiles[narrow] = again.quantiles
    return UnitAnswers(*(x[inverse.ravel()] for x in found))


def _worked_out(
    family: AnyFamily,
    mixtures: Mixtures,
    few: Mixtures,
    units: Float[np.ndarray, "units 3"],
    levels: Float[np.ndarray, "levels"],
) -> tuple[UnitAnswers, Bool[np.ndarray, "units"]]:
    """Answers about units by lab, value and size, and whether the few nodes are too few."""
    count = len(units)
    batch = next((n for n in _BATCHES if count <= n), _BATCHES[-1])
    filled = np.pad(units, ((0, -count % batch), (0, 0)), mode="edge")
    with jax.enable_x64(True):
        held = jax.tree.map(jnp.asarray, (mixtures, few))

    def one(part: Float[np.ndarray, "units 3"]) -> tuple[UnitAnswers, Bool[np.ndarray, "units"]]:
        with jax.enable_x64(True):  # of this thread
            columns = part[:, 0].astype(int), part[:, 1], part[:, 2]
            return jax.device_get(_answers(family, *held, *columns, levels))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = list(pool.map(one, np.split(filled, len(filled) // batch)))
    merged: tuple[UnitAnswers, np.ndarray] = jax.tree.map(
        lambda *x: np.concatenate(x)[:count], *parts
    )
    return merged
