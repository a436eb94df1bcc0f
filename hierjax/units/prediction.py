"""Predictions of values that are not there yet."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, Shaped
from scipy.special import ndtri

from hierjax.entries import Number
from hierjax.families.host_protocol import Shapes
from hierjax.families.protocol import AnyFamily
from hierjax.posterior import HyperPosterior
from hierjax.tally import distinct_pairs
from hierjax.units.answers import Columns, Units
from hierjax.units.nodes import unit_nodes

__all__ = ["draw_values", "log_predictive", "most_events", "places_among", "predict_values"]

# Up to here all outcomes are enumerated.
_MOST_OUTCOMES = 10_000
# Log-concentrations beyond that pool completely, to all digits of a count.
_POOLED = 36.0
# Halvings of an interval of values, and of components widened to overlap the width in gaps.
_HALVINGS, _RESOLVED = 60, 0.7


@partial(jax.jit, static_argnums=0)
def log_predictive(
    family: AnyFamily,
    posterior: HyperPosterior,
    new_values: Float[Array, "points"],
    new_size: Float[Array, ""],
    value: Float[Array, ""],
    size: Float[Array, ""],
) -> Float[Array, "points"]:
    """Log-density of a unit's next value, given the one it has.

    Args:
        family: Conjugate family.
        posterior: Posterior of the hyperparameters.
        new_values: Possible values.
        new_size: Their size.
        value: y so far.
        size: Its size; that of no data for a new unit.

    Returns:
        One log-density, or log-probability, for every entry of `new_values`.
    """
    points = posterior.points.reshape(-1, 2)
    log_weights = jnp.log(posterior.weights.ravel())

    def at(k: Float[Array, ""]) -> Float[Array, ""]:
        def one(eta: Float[Array, "2"]) -> Float[Array, ""]:
            return family.log_predictive(k, new_size, value, size, family.constrain(eta))

        return jax.nn.logsumexp(jax.vmap(one)(points) + log_weights)

    return jax.lax.map(at, new_values)


def predict_values(
    units: Units,
    y: Shaped[np.ndarray, "units"],
    n: Shaped[np.ndarray, "units"],
    size: Number,
    level: float,
) -> Columns:
    r"""Moments and quantiles of each unit's next value.

    .. math:: E[K] = E[E[K \mid \theta]], \qquad
        Var[K] = E[Var[K \mid \theta]] + Var[E[K \mid \theta]]

    Args:
        units: Answers about units.
        y: Values so far.
        n: Their sizes.
        size: Number of next trials, next exposure, or error of the next measurement.
        level: Probability between the lower and the upper quantile.

    Returns:
        Columns mean, sd, low, median and high; quantiles of counts are the smallest numbers whose
        probability of not being exceeded reaches 1/2 of 1 - level, 1/2, and the rest.
    """
    family, moments = units.family, units.moments(y, n)
    mean, variance = (np.asarray(x, float) for x in (moments["mean"], moments["sd"] ** 2))
    expected, spread = family.on_host.noise(mean, variance, size)
    pairs, inverse = distinct_pairs(y, n)
    levels = np.array([(1 - level) / 2, 0.5, (1 + level) / 2])
    find = _real_quantiles if family.support == "reals" else _count_quantiles
    found = np.array([find(units, pair, size, levels) for pair in pairs.T.astype(float)])
    ends = dict(zip(("low", "median", "high"), found[inverse].T, strict=True))
    return {"mean": expected, "sd": np.sqrt(spread), **ends}


def _shapes(units: Units, pair: Float[np.ndarray, "2"]) -> tuple[np.ndarray, Shapes]:
    """Weights and shapes of the unit's posterior at every point that has weight."""
    mixture, host = units.coarse_mixture, units.family.on_host
    kept = mixture.weights > 0
    points = np.array(mixture.points[kept])
    points[:, 1] = np.minimum(points[:, 1], _pooled_beyond(units, points))
    shapes, gaps = host.shapes(points, *pair), mixture.gaps[kept]
    if gaps.any() and units.family.support == "reals":
        apart = _RESOLVED * np.abs(np.stack(host.moved(points, *pair), axis=-1) * gaps).max(axis=1)
        shapes = host.widened(shapes, np.maximum(1.0, (apart / host.width(shapes)) ** 2))
    return mixture.weights[kept], shapes


def _pooled_beyond(units: Units, points: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, "_"]:
    """Log-concentrations from which a population is a point to all digits."""
    return _POOLED - units.family.on_host.log_scale(points[:, 0])


def _real_quantiles(
    units: Units, pair: Float[np.ndarray, "2"], size: Number, levels: Float[np.ndarray, "levels"]
) -> Float[np.ndarray, "levels"]:
    """Quantiles of a mixture of normal distributions, by halving intervals that hold them."""
    weights, (mean, variance) = _shapes(units, pair)
    sd = np.sqrt(variance + size**2)
    host, given = units.family.on_host, (mean, sd**2)
    # One of the components has less below it than asked for, another more.
    edges = mean + sd * ndtri(levels)[:, None]
    low, high = edges.min(axis=1), edges.max(axis=1)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        under = host.below(given, middle[:, None]) @ weights < levels * weights.sum()
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    return 0.5 * (low + high)


def _count_quantiles(
    units: Units, pair: Float[np.ndarray, "2"], size: Number, levels: Float[np.ndarray, "levels"]
) -> Int[np.ndarray, "levels"]:
    weights, shapes = _shapes(units, pair)
    host = units.family.on_host
    if host.edges[1] and size <= _MOST_OUTCOMES:
        total = np.cumsum(weights @ host.outcomes(shapes, int(size)))
        # The sum of all may round to less than one.
        return np.minimum(np.searchsorted(total, levels * total[-1]), size)
    low = np.full(len(levels), -1)
    high = np.full(len(levels), int(size) if host.edges[1] else _enough(units, pair, size, levels))
    while np.any(high - low > 1):
        middle = (low + high) // 2
        each = [_below(units, weights, shapes, size, int(k)) for k in middle]
        under = np.array(each) < levels
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    return high


def _enough(
    units: Units, pair: Float[np.ndarray, "2"], size: Number, levels: Float[np.ndarray, "levels"]
) -> int:
    """A count that is exceeded less often than any level says."""
    weights, shapes = _shapes(units, pair)
    most = 1 + int(size * float(weights @ units.family.on_host.mean(shapes)))
    while _below(units, weights, shapes, size, most) < levels.max():
        most *= 2
    return most


def _below(units: Units, weights: np.ndarray, shapes: Shapes, size: Number, k: int) -> float:
    """P(K <= k), integrated over the narrower of the parameter and what the data show of it."""
    host = units.family.on_host
    if k < 0:
        return 0.0
    if host.edges[1] and k >= size:
        return 1.0
    if size > weights @ host.precision(shapes):
        places, shares = unit_nodes(host, host.shown(k, size))
        columns = (shapes[0][:, None], shapes[1][:, None])
        return float(weights @ (host.below(columns, places) @ shares[0]))
    places, shares = unit_nodes(host, shapes)
    return float(weights @ np.sum(shares * host.at_most(k, size, places), axis=1))


def places_among(
    units: Units,
    pair: tuple[Number, Number],
    next_values: Shaped[np.ndarray, "values"],
    next_size: Number,
) -> Float[np.ndarray, "values 2"]:
    """P(K < k) and P(K <= k) of a unit's next value K, at values k that it may have.

    Args:
        units: Answers about units.
        pair: Value and size of the unit so far.
        next_values: The values k.
        next_size: Their size.

    Returns:
        Both probabilities of every value; of measurements they are the same.
    """
    weights, shapes = _shapes(units, np.array(pair, float))
    if units.family.support == "reals":
        given = (shapes[0], shapes[1] + next_size**2)
        each = units.family.on_host.below(given, np.asarray(next_values, float)[:, None]) @ weights
        return np.stack([each, each], axis=1) / weights.sum()
    ends = ((int(k) - 1, int(k)) for k in next_values)
    below = [[_below(units, weights, shapes, next_size, k) for k in pair] for pair in ends]
    return np.clip(np.array(below) / weights.sum(), 0.0, 1.0)


def most_events(units: Units, pair: tuple[Number, Number], size: Number, tail: float) -> int:
    """The smallest count that is exceeded with a probability of at most `tail`.

    Args:
        units: Answers about units.
        pair: Value and size of the unit so far.
        size: Its next size.
        tail: The probability.

    Returns:
        The count.
    """
    found = _count_quantiles(units, np.array(pair, float), size, np.array([1 - tail]))
    return int(found[0])


def draw_values(
    units: Units, pair: tuple[Number, Number], size: Number, key: Key[Array, ""], draws: int
) -> Shaped[np.ndarray, "draws"]:
    """Draws of a unit's next value; see `_shapes` for its posterior."""
    host, (weights, shapes) = units.family.on_host, _shapes(units, np.array(pair, float))
    generator = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    at = generator.choice(len(weights), draws, p=weights / weights.sum())
    parameters = host.draw(generator, (shapes[0][at], shapes[1][at]))
    return host.observe(generator, parameters, size)
