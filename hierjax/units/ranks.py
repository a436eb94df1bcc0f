"""Ranks of units: expected ranks by integration, the rest from joint draws of all parameters.

Units are independent only given the hyperparameters, so what compares them is computed at every
point of the mixture, or from draws that share one. Rank 1 is the highest rate, or effect.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from hierjax import lattice
from hierjax.families.host_protocol import OnHost
from hierjax.families.protocol import AnyFamily
from hierjax.inference.result import Progress
from hierjax.units.draws import draw_places
from hierjax.units.mixture import Mixture

__all__ = ["RankIntegrals", "draw_ranks", "integrate_ranks"]

# Nodes a common lattice of places may have, and their distance in the narrowest component's
# standard deviations.
_MOST_NODES, _SPACING = 2048, 0.45
_FEWEST_NODES, _BLOCK = 256, 32
_TAIL, _LENGTHS = 9.0, 20.0
# Parameters drawn in one compiled call.
_CHUNK = 1 << 20
# Standard deviation of places, relative to a family's widest and to how far apart they are, from
# which draws in single precision will do.
_WIDE_ENOUGH = 2e-3


class RankIntegrals(NamedTuple):
    """Expectations about ranks that are one-dimensional integrals.

    Attributes:
        expected_rank: Posterior expectation of each pair's rank.
        best: Probability of each pair's having the highest.
    """

    expected_rank: Float[np.ndarray, "pairs"]
    best: Float[np.ndarray, "pairs"]


def integrate_ranks(
    family: AnyFamily,
    mixture: Mixture,
    pairs: Float[np.ndarray, "2 pairs"],
    multiplicity: Float[np.ndarray, "pairs"],
) -> RankIntegrals | None:
    r"""Expected ranks and probabilities of being the highest, without draws.

    .. math:: E[r_j] = 1 + \sum_{i \ne j} P(\theta_i > \theta_j), \qquad
        P(r_j = 1) = \int p(\theta_j) \prod_{i \ne j} P(\theta_i < \theta_j)\, d\theta_j

    at every point of the mixture (Laird & Louis 1989, "Empirical Bayes ranking methods", eq. 3.1).

    Args:
        family: Conjugate family.
        mixture: Points of the hyperparameters.
        pairs: Distinct values and sizes.
        multiplicity: How many units have each pair.

    Returns:
        The integrals; None where a lattice that resolves the narrowest unit and holds them all
        would be too long.
    """
    kept = mixture.weights > 0
    points, weights = mixture.points[kept], mixture.weights[kept]
    ends = _lattice_ends(family.on_host, points, weights, pairs)
    if ends is None:
        return None
    low, high, size = ends
    host = family.on_host
    count = pairs.shape[1]
    padding = (0, -count % max(64, 1 << max(0, count.bit_length() - 3)))
    # A size of 0 is not one of every family.
    padded = np.vstack([np.pad(pairs, ((0, 0), padding), "edge"), np.pad(multiplicity, padding)])
    with jax.enable_x64(True):
        nodes = np.linspace(low, high, size)
        above = int(np.count_nonzero(nodes > _least_best(host, points, weights, pairs)))
        top = min(size, -(-above // 128) * 128)
        arrays = (jnp.asarray(x) for x in (points, weights, *padded, nodes))
        found = _integrate(family, top, *arrays)
    return RankIntegrals(*(np.asarray(x)[:count] for x in found))


def _lattice_ends(
    family: OnHost,
    points: Float[np.ndarray, "points 2"],
    weights: Float[np.ndarray, "points"],
    pairs: Float[np.ndarray, "2 pairs"],
) -> tuple[float, float, int] | None:
    """First and last node, and how many, of a lattice for all units under all likely points."""
    shapes = family.shapes(points[weights > 1e-6 * weights.max()][:, None], *pairs)
    place, width, (left, right) = family.place(shapes), family.width(shapes), family.tails(shapes)
    low = float(np.min(place - _TAIL * width - _LENGTHS / left))
    high = float(np.max(place + _TAIL * width + _LENGTHS / right))
    needed = (high - low) / (_SPACING * float(width.min()))
    if not needed < _MOST_NODES:
        return None
    return low, high, max(_FEWEST_NODES, 1 << int(np.ceil(np.log2(needed))))


def _least_best(
    family: OnHost,
    points: Float[np.ndarray, "points 2"],
    weights: Float[np.ndarray, "points"],
    pairs: Float[np.ndarray, "2 pairs"],
) -> float:
    """Place below which the highest is not, as two pairs' are above."""
    if pairs.shape[1] < 2:
        return -np.inf
    shapes = family.shapes(points[weights > 1e-9 * weights.max()][:, None], *pairs)
    width, (left, _) = family.width(shapes), family.tails(shapes)
    least = family.place(shapes) - _TAIL * width - _LENGTHS / left
    return float(np.partition(least, -2, axis=1)[:, -2].min())


@partial(jax.jit, static_argnums=(0, 1))
def _integrate(
    family: AnyFamily,
    top: int,
    points: Float[Array, "points 2"],
    weights: Float[Array, "points"],
    y: Float[Array, "pairs"],
    n: Float[Array, "pairs"],
    multiplicity: Float[Array, "pairs"],
    places: Float[Array, "nodes"],
) -> tuple[Float[Array, "pairs"], Float[Array, "pairs"]]:
    step = places[1] - places[0]
    units = jnp.sum(multiplicity)

    def one(
        totals: tuple[Array, Array], point: tuple[Array, Array]
    ) -> tuple[tuple[Array, Array], None]:
        eta, weight = point
        update = jax.vmap(family.update, in_axes=(0, 0, None))
        components = update(y, n, family.constrain(eta))
        # Sums over all units are integrated to spectral accuracy at once. Exponentials are taken
        # twice, within the sums: keeping them takes longer.
        density = _densities(family, components, places)[0]
        every = jnp.sum(multiplicity[:, None] * density, axis=0)
        above = units - lattice.cumulative(every, step)
        density = _densities(family, jax.lax.optimization_barrier(components), places)[0]
        rank = 0.5 + jnp.sum(density * above, axis=1) * step
        highest, slope = _densities(family, components, places[-top:])
        below = _below(highest, slope, step)
        log_below = jnp.log(jnp.maximum(below, jnp.finfo(below.dtype).tiny))
        others = jnp.exp(multiplicity @ log_below - log_below)
        best = jnp.sum(highest * others, axis=1) * step
        return (totals[0] + weight * rank, totals[1] + weight * best), None

    zeros = jnp.zeros_like(y)
    return jax.lax.scan(one, (zeros, zeros), (points, weights))[0]


def _densities(
    family: AnyFamily, component: Any, places: Float[Array, "nodes"]
) -> tuple[Float[Array, "pairs nodes"], Float[Array, "pairs nodes"]]:
    """Every unit's density of the place, and what corrects its sums.

    The integral up to a node is the trapezoidal rule's with three terms of Euler and Maclaurin's
    correction (Abramowitz & Stegun 1964, eq. 23.1.30); the density's derivatives are known.
    """
    center = 0.5 * (places[0] + places[-1])
    at_center = jax.vmap(family.log_prior_unconstrained, in_axes=(None, 0))(center, component)
    lean = family.excess(component, center) / component.dispersion
    weight = 1 / component.dispersion
    divergence = family.divergence(center, places)
    density = jnp.exp(
        at_center[:, None] + lean[:, None] * (places - center) - weight[:, None] * divergence
    )
    # Derivatives of the log-density.
    across = jax.tree.map(lambda values: values[:, None], component)
    slope, bend = family.slopes(places)
    g1 = family.excess(across, places) * weight[:, None]
    g2 = -weight[:, None] * slope
    g3 = g2 * bend
    step = places[1] - places[0]
    third = g1**3 + 3 * g1 * g2 + g3
    return density, density * step * (g1 / 12 - step**2 * third / 720)


def _below(
    density: Float[Array, "pairs nodes"],
    correction: Float[Array, "pairs nodes"],
    step: Float[Array, ""],
) -> Float[Array, "pairs nodes"]:
    """Distribution functions, from what is above every node."""
    sums = _running_sums(density[:, ::-1])[:, ::-1] - 0.5 * density
    return jnp.clip(1 - step * (sums + correction), 0.0, 1.0)


def _running_sums(values: Float[Array, "pairs nodes"]) -> Float[Array, "pairs nodes"]:
    """Cumulative sums by blocks, each by a product with a triangle: XLA's own are many passes."""
    blocks = values.reshape(values.shape[0], -1, _BLOCK)
    inner = blocks @ jnp.triu(jnp.ones((_BLOCK, _BLOCK), values.dtype))
    before = jnp.cumsum(inner[..., -1], axis=1) - inner[..., -1]
    return (inner + before[..., None]).reshape(values.shape)


def draw_ranks(
    family: AnyFamily,
    mixture: Mixture,
    y: Float[np.ndarray, "units"],
    n: Float[np.ndarray, "units"],
    key: Key[Array, ""],
    draws: int,
    progress: Progress | None = None,
) -> Int[np.ndarray, "draws units"]:
    """Ranks of all units in joint draws of their parameters.

    Args:
        family: Conjugate family.
        mixture: Points of the hyperparameters.
        y: Value of every unit.
        n: Size.
        key: Typed key.
        draws: Number of draws.
        progress: Called with the number of draws made and their total.

    Returns:
        Ranks from 1, the highest, in every draw.
    """
    key_points, key_rates = jax.random.split(key)
    size = max(1, _CHUNK // len(y))
    ranks = np.empty((draws, len(y)), np.int32)
    # Places rounded to 1e-6 do where that is far below the Monte Carlo error: units which tie
    # are then a thousandth of a standard deviation apart.
    narrow = _narrowest(family.on_host, mixture, y, n) <= _WIDE_ENOUGH
    dtype = np.float64 if narrow else np.float32
    with jax.enable_x64(True):
        index = jax.random.choice(
            key_points, len(mixture.weights), (draws,), p=jnp.asarray(mixture.weights)
        )
        points = np.pad(mixture.points[np.asarray(index)], ((0, -draws % size), (0, 0)), "edge")
        data = tuple(jnp.asarray(x, dtype) for x in (y, n))

        def drawn(start: int) -> Float[np.ndarray, "draws units"]:
            with jax.enable_x64(True):
                chunk = jnp.asarray(points[start : start + size], dtype)
                key = jax.random.fold_in(key_rates, start)
                return np.asarray(draw_places(family, key, chunk, *data))

        def rank(start: int, found: Float[np.ndarray, "draws units"]) -> None:
            order = np.argsort(-found[: draws - start], axis=1)
            places = np.arange(1, len(y) + 1, dtype=np.int32)
            np.put_along_axis(ranks[start : start + size], order, places, 1)

        # One thread sorts while another draws.
        with ThreadPoolExecutor(1) as sorter:
            waiting = []
            for start in range(0, draws, size):
                waiting.append(sorter.submit(rank, start, drawn(start)))
                if len(waiting) > 1:
                    waiting.pop(0).result()
                if progress:
                    progress(min(start + size, draws), draws)
            for job in waiting:
                job.result()
    return ranks


def _narrowest(
    family: OnHost,
    mixture: Mixture,
    y: Float[np.ndarray, "units"],
    n: Float[np.ndarray, "units"],
) -> float:
    """No unit's place has a smaller standard deviation, roughly, at any point."""
    points = mixture.points[mixture.weights > 0]
    return family.narrowest(float(np.exp(points[:, 1].max())), points[:, 0], y, n)
