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
from hierjax.levels.lab_posterior import LabPosteriors

__all__ = ["Mixtures", "UnitAnswers", "unit_answers"]

Scalar = Float[Array, ""]
# Nodes of a unit's place, how far they reach in hyperbolic sines of its spread, and the least
# width of a component in their steps.
_SIZE, _REACH, _LEAST = 96, 4.0, 0.8
_ROWS = 24  # of a lab's nodes
# Units that one call takes; others are filled up or split.
_BATCHES = (16, 1024)


class Mixtures(NamedTuple):
    """Weighted coordinates of each lab.

    Attributes:
        points: Working coordinates.
        weights: Summing to one.
        gaps: Between neighbouring locations, which components are made to bridge; 0 for draws.
    """

    points: Float[Any, "labs points 2"]
    weights: Float[Any, "labs points"]
    gaps: Float[Any, "labs points"]

    @classmethod
    def of_lattice(cls, labs: LabPosteriors) -> "Mixtures":
        """The nodes of labs' posteriors; of very many rows every second one."""
        kept = slice(None, None, max(1, labs.weights.shape[1] // _ROWS))
        location, weights = labs.location[:, kept], labs.weights[:, kept]
        w = np.broadcast_to(labs.log_concentration[:, kept, None], location.shape)
        _, gaps = labs.columns.values(location.shape[2])
        points = np.stack([location, w], axis=-1)
        shape = len(location), -1
        weights = weights.reshape(shape)
        return cls(
            points.reshape(*shape, 2),
            weights / weights.sum(axis=1, keepdims=True),
            gaps[:, kept].reshape(shape),
        )

    @classmethod
    def of_draws(cls, draws: Float[np.ndarray, "draws labs 2"], most: int = 400) -> "Mixtures":
        """Evenly spaced draws of all chains."""
        chosen = np.linspace(0, len(draws) - 1, min(most, len(draws))).round().astype(int)
        points = np.swapaxes(draws[chosen], 0, 1)
        weights = np.full(points.shape[:2], 1 / points.shape[1])
        return cls(points, weights, np.zeros_like(weights))


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
    points: Float[Array, "points 2"],
    weights: Float[Array, "points"],
    gaps: Float[Array, "points"],
    value: Scalar,
    size: Scalar,
    levels: Float[Array, "levels"],
) -> UnitAnswers:
    def updated(eta: Float[Array, "2"]) -> Any:
        return family.update(value, size, family.constrain(eta))

    def slope(eta: Float[Array, "2"]) -> Scalar:
        return jax.grad(lambda u: updated(jnp.stack([u, eta[1]])).mean)(eta[0])

    posterior = jax.vmap(updated)(points)
    variance, m = posterior.variance, posterior.mean
    mean = jnp.sum(weights * m)
    sd = jnp.sqrt(jnp.sum(weights * (variance + (m - mean) ** 2)))
    _, weight = family.statistic(value, size)
    shrinkage = jnp.sum(weights / (1 + weight * jnp.exp(-points[:, 1])))

    # Components that leave gaps are widened by those between locations.
    bridged = (jax.vmap(slope)(points) * gaps) ** 2
    posterior = posterior._replace(
        dispersion=posterior.dispersion * (1 + bridged / jnp.maximum(variance, 1e-30))
    )
    center = family.place_of(m)
    width = family.spread(posterior)
    middle = jnp.sum(weights * center)
    spread = jnp.sqrt(jnp.sum(weights * (width**2 + (center - middle) ** 2)))
    x = jnp.linspace(-_REACH, _REACH, _SIZE, dtype=points.dtype)
    step = x[1] - x[0]
    least = _LEAST * step * jnp.hypot(spread, center - middle)
    posterior = posterior._replace(
        dispersion=posterior.dispersion * jnp.maximum(1.0, (least / width) ** 2)
    )
    z = middle + spread * jnp.sinh(x)
    divergence = family.divergence(middle, z)
    lean = jax.vmap(family.excess, (0, None))(posterior, middle)
    logs = lean[:, None] * (z - middle) - divergence
    logs /= posterior.dispersion[:, None]
    shapes = jnp.exp(logs - jnp.max(logs, axis=1, keepdims=True))
    lengths = jnp.cosh(x)
    density = lengths * ((weights / (shapes @ lengths)) @ shapes)
    bend = lattice.derivative(density)
    table = (lattice.cumulative(density), density, bend, lattice.derivative(bend))
    position = lattice.invert(levels * table[0][-1], table, 24)
    quantiles = family.parameter_at(middle + spread * jnp.sinh(x[0] + step * position))
    return UnitAnswers(mean, sd, quantiles, shrinkage)


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
        points, weights, gaps = (x[at] for x in mixtures)
        return _one(family, points, weights, gaps, value, size, levels)

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
