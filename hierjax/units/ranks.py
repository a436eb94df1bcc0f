"""Ranks of units: expected ranks by integration, the rest from joint draws of all rates.

Units are independent only given the hyperparameters, so what compares them is computed at every
point of the mixture, or from draws that share one. Rank 1 is the highest rate.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from hierjax import lattice
from hierjax.families.beta_binomial import BetaBinomial, Population
from hierjax.inference.result import Progress
from hierjax.units.draws import draw_log_odds
from hierjax.units.mixture import Mixture

__all__ = ["RankIntegrals", "draw_ranks", "integrate_ranks"]

# Nodes a common lattice of log-odds may have, and their distance in the narrowest component's
# standard deviations.
_MOST_NODES, _SPACING = 2048, 0.45
_FEWEST_NODES, _BLOCK = 256, 32
_TAIL = 9.0
# Rates drawn in one compiled call.
_CHUNK = 1 << 20
# Standard deviation of log-odds from which draws in single precision will do.
_WIDE_ENOUGH = 2e-3


class RankIntegrals(NamedTuple):
    """Expectations about ranks that are one-dimensional integrals.

    Attributes:
        expected_rank: Posterior expectation of each pair's rank.
        best: Probability of each pair's having the highest rate.
    """

    expected_rank: Float[np.ndarray, "pairs"]
    best: Float[np.ndarray, "pairs"]


def integrate_ranks(
    family: BetaBinomial,
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
        pairs: Distinct successes and trials.
        multiplicity: How many units have each pair.

    Returns:
        The integrals; None where a lattice that resolves the narrowest unit and holds them all
        would be too long.
    """
    kept = mixture.weights > 0
    points, weights = mixture.points[kept], mixture.weights[kept]
    ends = _lattice_ends(points, weights, pairs)
    if ends is None:
        return None
    low, high, size = ends
    count = pairs.shape[1]
    padding = (0, -count % max(64, 1 << max(0, count.bit_length() - 3)))
    padded = np.pad(np.vstack([pairs, multiplicity]), ((0, 0), padding))
    with jax.enable_x64(True):
        nodes = np.linspace(low, high, size)
        above = int(np.count_nonzero(nodes > _least_best(points, weights, pairs)))
        top = min(size, -(-above // 128) * 128)
        arrays = (jnp.asarray(x) for x in (points, weights, *padded, nodes))
        found = _integrate(family, top, *arrays)
    return RankIntegrals(*(np.asarray(x)[:count] for x in found))


def _lattice_ends(
    points: Float[np.ndarray, "points 2"],
    weights: Float[np.ndarray, "points"],
    pairs: Float[np.ndarray, "2 pairs"],
) -> tuple[float, float, int] | None:
    """First and last node, and how many, of a lattice for all units under all likely points."""
    u, w = points[weights > 1e-6 * weights.max()].T[..., None]
    concentration, (y, n) = np.exp(w), pairs
    alpha = concentration / (1 + np.exp(-u)) + y
    beta = concentration / (1 + np.exp(u)) + n - y
    logit, width = np.log(alpha) - np.log(beta), np.sqrt(1 / alpha + 1 / beta)
    low = float(np.min(logit - _TAIL * width - 20 / alpha))
    high = float(np.max(logit + _TAIL * width + 20 / beta))
    needed = (high - low) / (_SPACING * float(width.min()))
    if not needed < _MOST_NODES:
        return None
    return low, high, max(_FEWEST_NODES, 1 << int(np.ceil(np.log2(needed))))


def _least_best(
    points: Float[np.ndarray, "points 2"],
    weights: Float[np.ndarray, "points"],
    pairs: Float[np.ndarray, "2 pairs"],
) -> float:
    """Log-odds below which the highest rate is not, as two pairs' rates are above."""
    if pairs.shape[1] < 2:
        return -np.inf
    u, w = points[weights > 1e-9 * weights.max()].T[..., None]
    concentration, (y, n) = np.exp(w), pairs
    alpha = concentration / (1 + np.exp(-u)) + y
    beta = concentration / (1 + np.exp(u)) + n - y
    width = np.sqrt(1 / alpha + 1 / beta)
    least = np.log(alpha) - np.log(beta) - _TAIL * width - 20 / alpha
    return float(np.partition(least, -2, axis=1)[:, -2].min())


@partial(jax.jit, static_argnums=(0, 1))
def _integrate(
    family: BetaBinomial,
    top: int,
    points: Float[Array, "points 2"],
    weights: Float[Array, "points"],
    y: Float[Array, "pairs"],
    n: Float[Array, "pairs"],
    multiplicity: Float[Array, "pairs"],
    log_odds: Float[Array, "nodes"],
) -> tuple[Float[Array, "pairs"], Float[Array, "pairs"]]:
    step = log_odds[1] - log_odds[0]
    units = jnp.sum(multiplicity)

    def one(
        totals: tuple[Array, Array], point: tuple[Array, Array]
    ) -> tuple[tuple[Array, Array], None]:
        eta, weight = point
        update = jax.vmap(family.update, in_axes=(0, 0, None))
        components = update(y, n, family.constrain(eta))
        # Sums over all units are integrated to spectral accuracy at once. Exponentials are taken
        # twice, within the sums: keeping them takes longer.
        density = _densities(family, components, log_odds)[0]
        every = jnp.sum(multiplicity[:, None] * density, axis=0)
        above = units - lattice.cumulative(every, step)
        density = _densities(family, jax.lax.optimization_barrier(components), log_odds)[0]
        rank = 0.5 + jnp.sum(density * above, axis=1) * step
        highest, slope = _densities(family, components, log_odds[-top:])
        below = _below(highest, slope, step)
        log_below = jnp.log(jnp.maximum(below, jnp.finfo(below.dtype).tiny))
        others = jnp.exp(multiplicity @ log_below - log_below)
        best = jnp.sum(highest * others, axis=1) * step
        return (totals[0] + weight * rank, totals[1] + weight * best), None

    zeros = jnp.zeros_like(y)
    return jax.lax.scan(one, (zeros, zeros), (points, weights))[0]


def _densities(
    family: BetaBinomial, component: Population, log_odds: Float[Array, "nodes"]
) -> tuple[Float[Array, "pairs nodes"], Float[Array, "pairs nodes"]]:
    """Every unit's density of the log-odds, and what corrects its sums.

    The integral up to a node is the trapezoidal rule's with three terms of Euler and Maclaurin's
    correction (Abramowitz & Stegun 1964, eq. 23.1.30); the density's derivatives are known.
    """
    center = 0.5 * (log_odds[0] + log_odds[-1])
    rate, rest = jax.nn.sigmoid(center), jax.nn.sigmoid(-center)
    at_center = jax.vmap(family.log_prior_logit, in_axes=(None, 0))(center, component)
    lean = (component.mean * rest - component.complement * rate) / component.dispersion
    weight = 1 / component.dispersion
    divergence = family.divergence(center, log_odds)
    density = jnp.exp(
        at_center[:, None] + lean[:, None] * (log_odds - center) - weight[:, None] * divergence
    )
    theta, complement = jax.nn.sigmoid(log_odds), jax.nn.sigmoid(-log_odds)
    # Derivatives of the log-density.
    g1 = (component.mean[:, None] * complement - component.complement[:, None] * theta) * weight[
        :, None
    ]
    g2 = -weight[:, None] * theta * complement
    g3 = g2 * (complement - theta)
    step = log_odds[1] - log_odds[0]
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
    mixture: Mixture,
    y: Float[np.ndarray, "units"],
    n: Float[np.ndarray, "units"],
    key: Key[Array, ""],
    draws: int,
    progress: Progress | None = None,
) -> Int[np.ndarray, "draws units"]:
    """Ranks of all units in joint draws of their rates.

    Args:
        mixture: Points of the hyperparameters.
        y: Successes of every unit.
        n: Trials.
        key: Typed key.
        draws: Number of draws.
        progress: Called with the number of draws made and their total.

    Returns:
        Ranks from 1, the highest rate, in every draw.
    """
    key_points, key_rates = jax.random.split(key)
    size = max(1, _CHUNK // len(y))
    ranks = np.empty((draws, len(y)), np.int32)
    # Log-odds rounded to 1e-6 do where that is far below the Monte Carlo error: units which tie
    # are then a thousandth of a standard deviation apart.
    dtype = np.float32 if _narrowest(mixture, n) > _WIDE_ENOUGH else np.float64
    with jax.enable_x64(True):
        index = jax.random.choice(
            key_points, len(mixture.weights), (draws,), p=jnp.asarray(mixture.weights)
        )
        points = np.pad(mixture.points[np.asarray(index)], ((0, -draws % size), (0, 0)), "edge")
        counts = tuple(jnp.asarray(x, dtype) for x in (y, n - y))

        def drawn(start: int) -> Float[np.ndarray, "draws units"]:
            with jax.enable_x64(True):
                chunk = jnp.asarray(points[start : start + size], dtype)
                return np.asarray(
                    draw_log_odds(jax.random.fold_in(key_rates, start), chunk, *counts)
                )

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


def _narrowest(mixture: Mixture, n: Float[np.ndarray, "units"]) -> float:
    """No unit's log-odds have a smaller standard deviation, roughly, at any point."""
    largest = np.exp(mixture.points[mixture.weights > 0, 1].max()) + n.max()
    return float(2 / np.sqrt(largest))
