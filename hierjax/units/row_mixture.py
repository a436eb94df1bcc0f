r"""Units' posteriors row by row: lean enough for millions of them, in compiled code.

At one log-concentration the posterior of logit_mean is close to normal and a unit's posterior is a
mixture of Betas over it. Few nodes stand for as much of that spread as the unit's own Betas are
wide enough to smooth; the rest widens each Beta to the variance that the mixture has. Means and
standard deviations are the rows' own and exact.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hierjax import lattice
from hierjax.families.beta_binomial import BetaBinomial, Population
from hierjax.posterior import HyperPosterior

__all__ = ["NODES_OF_DRAWS", "STRIPS", "THREE", "RowMixture", "UnitSummary", "unit_summary"]

# Gauss-Hermite's nodes and weights for a normal distribution.
_NODES, _SHARES = (-(3.0**0.5), 0.0, 3.0**0.5), (1 / 6, 2 / 3, 1 / 6)
THREE = len(_NODES)
# How many standard deviations nodes of a unit's density reach beyond exponential tails of so
# many lengths, and how many widths of the narrowest Beta that counts their stretching has.
_REACH, _LENGTHS, _STRETCH = 5.0, 8.0, 3.0
_COUNTS = 1e-9
# How coarse three nodes are, and the columns of a lattice; see `RowMixture`.
_OF_THREE, _OF_COLUMNS = 1.0, 0.1
# Strips that stand for draws, and nodes in each where columns are kept.
STRIPS, NODES_OF_DRAWS = 24, 32
# The least variance of a Beta's log-odds, and how often a step of the lattice is halved to find a
# quantile.
_NARROWEST, _HALVINGS = 1e-10, 16
# The variance of nodes below which they do not differ.
_SPREADLESS = 1e-6


class RowMixture(NamedTuple):
    """The posterior of the hyperparameters as rows, each of one log-concentration.

    Attributes:
        weights: Of the rows, summing to one.
        dispersion: phi = exp(-log_concentration).
        logit_mean: Mean of logit_mean in each row.
        variance: Its variance.
        mean: Mean of the population's mean m in each row.
        mean_variance: The variance of m.
        nodes: Nodes for logit_mean, in standard deviations from its mean.
        shares: Their weights in the row.
        coarseness: A Beta's log-odds are to have more than this share of the variance that
            logit_mean lends them, or nodes would show.
    """

    weights: Float[Array, "rows"]
    dispersion: Float[Array, "rows"]
    logit_mean: Float[Array, "rows"]
    variance: Float[Array, "rows"]
    mean: Float[Array, "rows"]
    mean_variance: Float[Array, "rows"]
    nodes: Float[Array, "rows columns"]
    shares: Float[Array, "rows columns"]
    coarseness: float

    @classmethod
    def at(cls, eta: Float[Array, "2"]) -> "RowMixture":
        """All weight on one point."""
        u, phi, zero = eta[:1], jnp.exp(-eta[1:]), jnp.zeros_like(eta[:1])
        one, m = jnp.ones_like(u), jax.nn.sigmoid(u)
        return cls(one, phi, u, zero, m, zero, zero[None], one[None], 1.0)

    @classmethod
    def of_lattice(cls, posterior: HyperPosterior, by_columns: bool) -> "RowMixture":
        """The rows of quadrature's lattice.

        Args:
            posterior: Points and weights.
            by_columns: Whether to keep all columns as nodes; otherwise three stand for them, with
                the skewness of the row by Cornish and Fisher's expansion. That will do for data
                sets of many units.
        """
        u, w = posterior.points[..., 0], posterior.points[:, 0, 1]
        tiny = jnp.finfo(u.dtype).tiny
        weights = jnp.sum(posterior.weights, axis=1)
        shares = posterior.weights / jnp.maximum(weights, tiny)[:, None]

        def moments(x: Float[Array, "rows columns"]) -> tuple[Array, Array, Array]:
            mean = jnp.sum(shares * x, axis=1)
            away = x - mean[:, None]
            return mean, jnp.sum(shares * away**2, axis=1), away

        center, variance, away = moments(u)
        mean, mean_variance, _ = moments(jax.nn.sigmoid(u))
        nodes = away / jnp.sqrt(jnp.maximum(variance, tiny))[:, None]
        coarseness = _OF_COLUMNS
        if not by_columns:
            skewness = jnp.sum(shares * nodes**3, axis=1, keepdims=True)
            hermite = jnp.array(_NODES, u.dtype)
            nodes, coarseness = hermite + skewness / 6 * (hermite**2 - 1), _OF_THREE
            shares = jnp.broadcast_to(jnp.array(_SHARES, u.dtype), nodes.shape)
        rows = (weights, jnp.exp(-w), center, variance, mean, mean_variance)
        return cls(*rows, nodes, shares, coarseness)

    @classmethod
    def of_draws(cls, points: Float[Array, "draws 2"], by_columns: bool) -> "RowMixture":
        """Draws, in strips of equal number by log-concentration, each of which is a row.

        What is lost is the log-concentration's variance within strips: with 24 of them some 1.5 %
        of it, in the tails; see `hierjax.posterior.merge`. Columns are means of a row's draws in
        parts of equal number, stretched to the row's variance.

        Args:
            points: Working coordinates.
            by_columns: As for `of_lattice`.
        """
        strips = _in_parts(points[jnp.argsort(points[:, 1])], STRIPS)
        middle = -jnp.log(jnp.mean(jnp.exp(-strips[..., 1]), axis=1, keepdims=True))
        rows = strips.at[..., 1].set(jnp.broadcast_to(middle, strips.shape[:2]))
        weights = jnp.full(rows.shape[:2], 1 / rows[..., 0].size, points.dtype)
        found = cls.of_lattice(HyperPosterior(rows, weights), by_columns)
        if not by_columns:
            return found
        parts = jax.vmap(lambda row: _in_parts(row, NODES_OF_DRAWS))(jnp.sort(found.nodes, axis=1))
        nodes = parts.mean(axis=2)
        nodes /= jnp.sqrt(jnp.maximum(jnp.mean(nodes**2, axis=1, keepdims=True), _SPREADLESS))
        return found._replace(nodes=nodes, shares=jnp.full_like(nodes, 1 / nodes.shape[1]))


def _in_parts(values: Float[Array, "many *rest"], parts: int) -> Float[Array, "parts each *rest"]:
    """Values in parts of equal number; evenly spaced ones are left out where they do not divide."""
    parts = min(parts, len(values))
    size = parts * (len(values) // parts)
    chosen = np.linspace(0, len(values) - 1, size).round().astype(int)
    return values[chosen].reshape(parts, -1, *values.shape[1:])


class UnitSummary(NamedTuple):
    """What is told of units in a batch; NumPy's arrays, with a batch axis, on the host.

    Attributes:
        mean: Posterior means.
        sd: Posterior standard deviations.
        quantiles: Posterior quantiles at the levels asked for.
    """

    mean: Float[Any, "*batch units"]
    sd: Float[Any, "*batch units"]
    quantiles: Float[Any, "*batch units levels"]


def _components(
    family: BetaBinomial, rows: RowMixture, y: Float[Array, ""], n: Float[Array, ""]
) -> tuple[Population, Float[Array, "components"]]:
    """Betas that stand for the unit's posterior, with their weights."""
    middle = Population(
        jax.nn.sigmoid(rows.logit_mean), jax.nn.sigmoid(-rows.logit_mean), rows.dispersion
    )
    posterior = family.update(y, n, middle)
    growth = 1 + n * rows.dispersion
    # By log-odds: the Beta's variance, and the one that logit_mean lends its mean.
    own = _NARROWEST + 1 / posterior.alpha + 1 / posterior.beta
    product = posterior.mean * posterior.complement
    lent = rows.variance * (middle.mean * middle.complement / (growth * product)) ** 2
    by_nodes = own**2 / (own**2 + (rows.coarseness * lent) ** 2)
    rest = ((1 - by_nodes) * rows.variance)[:, None]
    odds = jnp.exp(jnp.sqrt(by_nodes * rows.variance)[:, None] * rows.nodes)
    m, c = middle.mean[:, None] * odds, middle.complement[:, None]
    m, c = m / (m + c), c / (m + c)
    moved = 0.5 * rest * m * c * (c - m)
    nodes = Population(m + moved, c - moved, rows.dispersion[:, None])
    beta = family.update(y, n, nodes)
    product = beta.mean * beta.complement
    variance = product * beta.dispersion / (1 + beta.dispersion)
    variance += rest * (m * c / growth[:, None]) ** 2
    dispersion = jnp.maximum(variance / (product - variance), _NARROWEST * product)
    weights = rows.weights[:, None] * rows.shares
    component = Population(beta.mean, beta.complement, dispersion)
    return Population(*(x.ravel() for x in component)), weights.ravel()


def _lattice(
    component: Population, weights: Float[Array, "components"], size: int
) -> tuple[Array, ...]:
    """Center, scale, start and step of log-odds that hold the mixture, as in `UnitDistribution`."""
    counts = weights > _COUNTS
    logit = jnp.log(component.mean) - jnp.log(component.complement)
    width = jnp.sqrt(1 / component.alpha + 1 / component.beta)
    height = weights / width
    center = jnp.sum(height * logit) / jnp.sum(height)
    spread = jnp.sqrt(jnp.sum(weights * (width**2 + (logit - center) ** 2)))
    narrowest = jnp.min(jnp.where(counts, width, jnp.inf))
    scale = jnp.minimum(_STRETCH * narrowest, jnp.minimum(spread, 1.0))

    def end(shape: Float[Array, "components"]) -> Float[Array, ""]:
        length = _LENGTHS / jnp.min(jnp.where(counts, shape, jnp.inf))
        return jnp.arcsinh((_REACH * spread + length) / scale)

    start = -end(component.alpha)
    return center, scale, start, (end(component.beta) - start) / (size - 1)


def unit_summary(
    family: BetaBinomial,
    rows: RowMixture,
    successes: Float[Array, "units"],
    trials: Float[Array, "units"],
    levels: Float[Array, "levels"],
    size: int = 40,
) -> UnitSummary:
    r"""Means, standard deviations and quantiles of units' rates.

    .. math:: E[\theta_j \mid Y] = \sum_r w_r \frac{E_r[m] + y_j \phi_r}{1 + n_j \phi_r}

    and likewise the second moment, exactly. Quantiles are right to 1e-3 in probability; to some
    1e-5 for data sets of 40 units and more that show overdispersion.

    Args:
        family: Conjugate family.
        rows: The posterior of the hyperparameters.
        successes: y of every unit.
        trials: n likewise.
        levels: Probabilities of the quantiles.
        size: Nodes of each unit's density.

    Returns:
        The answers.
    """

    def one(y: Float[Array, ""], n: Float[Array, ""]) -> UnitSummary:
        component, weights = _components(family, rows, y, n)
        center, scale, start, step = _lattice(component, weights, size)
        hidden = start + step * jnp.arange(size, dtype=step.dtype)
        distance = scale * jnp.sinh(hidden)
        rate, rest = jax.nn.sigmoid(center), jax.nn.sigmoid(-center)
        lean = (component.mean * rest - component.complement * rate) / component.dispersion
        divergence = family.divergence(center, center + distance)
        density = jnp.cosh(hidden) * _mixed(
            lean, 1 / component.dispersion, weights, distance, divergence, jnp.cosh(hidden)
        )
        total, slope = lattice.cumulative(density), lattice.derivative(density)
        table = (total, density, slope, lattice.derivative(slope))
        position = lattice.invert(levels * total[-1], table, _HALVINGS)
        quantiles = jax.nn.sigmoid(center + scale * jnp.sinh(start + step * position))
        return UnitSummary(*_moments(family, rows, y, n), quantiles)

    return jax.vmap(one)(successes, trials)


def _mixed(
    lean: Float[Array, "components"],
    precision: Float[Array, "components"],
    weights: Float[Array, "components"],
    distance: Float[Array, "nodes"],
    divergence: Float[Array, "nodes"],
    jacobian: Float[Array, "nodes"],
) -> Float[Array, "nodes"]:
    """Densities of log-odds, mixed: in float32, whose digits are more than quantiles have here.

    Each component is normalised on the lattice, which keeps the mass of the narrowest.
    """
    dtype = weights.dtype
    lean, precision, weights, distance, divergence, jacobian = (
        x.astype(jnp.float32) for x in (lean, precision, weights, distance, divergence, jacobian)
    )
    logs = lean[:, None] * distance - precision[:, None] * divergence
    shapes = jnp.exp(logs - jnp.max(logs, axis=1, keepdims=True))
    return ((weights / (shapes @ jacobian)) @ shapes).astype(dtype)


def _moments(
    family: BetaBinomial, rows: RowMixture, y: Float[Array, ""], n: Float[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mean and standard deviation."""
    q, r, phi = family.update(y, n, Population(rows.mean, 1 - rows.mean, rows.dispersion))
    lent = rows.mean_variance / (1 + n * rows.dispersion) ** 2
    variance = lent + (q * r - lent) * phi / (1 + phi)
    mean = jnp.sum(rows.weights * q)
    return mean, jnp.sqrt(jnp.sum(rows.weights * (variance + (q - mean) ** 2)))
