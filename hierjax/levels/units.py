r"""Units' posteriors: mixtures, over the coordinates of their lab, of conjugate posteriors.

All families are natural exponential families of quadratic variance, so that the density of a
unit's place z is, with z0 any place, m' and phi' its posterior's mean and dispersion,

.. math:: \log p(z) = \text{const} + \frac{(m' - m(z_0)) (z - z_0) - KL(z_0, z)}{\phi'}
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

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
    value: Scalar,
    size: Scalar,
    levels: Float[Array, "levels"],
) -> UnitAnswers:
    def updated(eta: Float[Array, "2"]) -> Any:
        return family.update(value, size, family.constrain(eta))

    def slope(eta: Float[Array, "2"]) -> Scalar:
        return jax.grad(lambda u: updated(jnp.stack([u, eta[1]])).mean)(eta[0])

    points, weights = mixture.points.reshape(-1, 2), mixture.weights.ravel()
    posterior = jax.vmap(updated)(points)
    variance, m = posterior.variance, posterior.mean
    mean = jnp.sum(weights * m)
    sd = jnp.sqrt(jnp.sum(weights * (variance + (m - mean) ** 2)))
    _, weight = family.statistic(value, size)
    shrinkage = jnp.sum(weights / (1 + weight * jnp.exp(-points[:, 1])))

    # Rows with components narrower than what is between two of them would leave gaps.
    moves = (jax.vmap(slope)(points) * mixture.gaps.ravel()) ** 2
    bridged = moves / jnp.maximum(variance, 1e-30)
    most = jnp.max(mixture.weights, axis=1, keepdims=True)
    narrow = (bridged.reshape(most.shape[0], -1) > _MOST) & (mixture.weights > _COUNTS * most)
    rows = jnp.any(narrow, axis=1, keepdims=True)
    masses = jnp.where(rows, mixture.masses, mixture.weights).ravel()
    bridged = jnp.where(jnp.broadcast_to(rows, narrow.shape).ravel(), bridged, 0.0)
    posterior = posterior._replace(dispersion=posterior.dispersion * (1 + bridged))
    places = _quantiles(family, posterior, weights, masses, levels)
    return UnitAnswers(mean, sd, family.parameter_at(places), shrinkage)


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
    lab: Int[Array, "units"],
    values: Float[Array, "units"],
    sizes: Float[Array, "units"],
    levels: Float[Array, "levels"],
) -> UnitAnswers:
    def one(each: tuple[Array, Array, Array]) -> UnitAnswers:
        at, value, size = each
        return _one(family, jax.tree.map(lambda x: x[at], mixtures), value, size, levels)

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
        The answers. Units of one lab with equal data are worked out once.
    """
    keys = np.stack([lab.astype(np.float64), values, sizes], axis=1)
    distinct, inverse = np.unique(keys, axis=0, return_inverse=True)
    count = len(distinct)
    batch = next((n for n in _BATCHES if count <= n), _BATCHES[-1])
    filled = np.pad(distinct, ((0, -count % batch), (0, 0)), mode="edge")
    with jax.enable_x64(True):
        held = jax.tree.map(jnp.asarray, mixtures)
        parts = [
            jax.device_get(
                _answers(family, held, part[:, 0].astype(int), part[:, 1], part[:, 2], levels)
            )
            for part in np.split(filled, len(filled) // batch)
        ]
    every = (np.concatenate(x)[:count][inverse.ravel()] for x in zip(*parts, strict=True))
    return UnitAnswers(*every)
