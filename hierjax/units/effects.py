"""How answers about units move with the hyperparameters, or with the weights of their points."""

from functools import partial
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hierjax.entries import Number
from hierjax.families.host_protocol import OnHost, Shapes
from hierjax.families.protocol import AnyFamily
from hierjax.followed import Followed
from hierjax.special import CENTRAL_SLOPE

if TYPE_CHECKING:
    from hierjax.fitting import Fit

__all__ = ["unit_effects", "unit_gradients"]

# Width of components in gaps between a lattice's nodes: more moves answers with its square, less
# leaves steps between nodes. Near complete pooling both then are below one percent of a derivative.
_RESOLVED = 0.5
# Log-concentrations beyond that pool completely, to all digits of a count, where a dispersion is a
# pure number.
_POOLED = 36.0
# Of a component's width: differences of seven points leave 1e-11 of the derivative.
_STEP = 0.02

Points = Float[np.ndarray, "points 2"]
# On means, on quantiles and on probabilities of exceeding thresholds.
Effects = tuple[
    Float[np.ndarray, "followed _"],
    Float[np.ndarray, "levels followed _"],
    Float[np.ndarray, "thresholds followed _"],
]


def unit_effects(
    fit: "Fit",
    asked: Followed,
    points: Points,
    weights: Float[np.ndarray, "points"],
    gaps: Points | None = None,
) -> Effects:
    r"""What weight on each point does to answers about units.

    .. math:: \psi_s = m_s - \sum_t w_t m_t, \qquad
        \psi_s = -\frac{F_s(q) - p}{F'(q)}, \qquad \psi_s = F(c) - F_s(c)

    for a mean, a quantile q at level p and P(theta > c), with :math:`m_s` and :math:`F_s` mean
    and distribution function of the unit's conjugate posterior at point s.

    Args:
        fit: The fit, whose quantiles they are.
        asked: What is followed.
        points: Points of the hyperparameters.
        weights: Their weights.
        gaps: How far a lattice's points are apart; where components are narrower, they are widened.

    Returns:
        Effects, whose means under the weights are zero.
    """
    family, host = fit.model.family, fit.model.family.on_host
    places, thresholds = _unit_quantiles(fit, asked), host.place_of(asked.above)
    means, quantiles, above = _empty(asked, len(points))
    for j, pair in enumerate(zip(asked.values.tolist(), asked.sizes.tolist(), strict=True)):
        shapes, at = _shapes(host, points, *pair, gaps), places[:, j]
        mean = host.mean(shapes)
        means[j] = mean - mean @ weights
        tails = _above(host, shapes, np.append(at, thresholds))
        tails -= (tails @ weights)[:, None]
        slopes = _quantile_slopes(family, shapes, weights, at)
        quantiles[:, j] = tails[: len(at)] * slopes[:, None]
        above[:, j] = tails[len(at) :]
    return means, quantiles, above


def unit_gradients(
    fit: "Fit", asked: Followed, points: Points, weights: Float[np.ndarray, "points"]
) -> Effects:
    r"""What moving each point does to answers about units.

    .. math:: w_s \nabla m_s, \qquad -\frac{w_s \nabla F_s(q)}{F'(q)}, \qquad -w_s \nabla F_s(c)

    Args:
        fit: A point estimate, corrected or not.
        asked: What is followed.
        points: Its points; of complete pooling, where all parameters are the mean, and
            probabilities 0 or 1, the only one.
        weights: Their weights.

    Returns:
        Derivatives with respect to both coordinates of the first point, the second and so on.
    """
    family, host = fit.model.family, fit.model.family.on_host
    places, thresholds = _unit_quantiles(fit, asked), host.place_of(asked.above)
    means, quantiles, above = _empty(asked, points.size)
    for j, pair in enumerate(zip(asked.values.tolist(), asked.sizes.tolist(), strict=True)):
        shapes, at = _shapes(host, points, *pair), places[:, j]
        share = weights * np.exp(host.log_slope(host.place(shapes)))
        means[j] = (share[:, None] * _moves(host, points, *pair)).ravel()
        if np.isinf(points).any():
            quantiles[:, j] = means[j]
            continue
        slopes = _above_gradients(host, points, pair, np.append(at, thresholds))
        slopes = (weights[:, None] * slopes).reshape(-1, points.size)
        factors = _quantile_slopes(family, shapes, weights, at)
        quantiles[:, j] = slopes[: len(at)] * factors[:, None]
        above[:, j] = slopes[len(at) :]
    return means, quantiles, above


def _empty(asked: Followed, size: int) -> Effects:
    units = len(asked.names)
    return (
        np.zeros((units, size)),
        np.zeros((len(asked.levels), units, size)),
        np.zeros((len(asked.above), units, size)),
    )


def _above_gradients(
    family: OnHost,
    points: Points,
    pair: tuple[Number, Number],
    places: Float[np.ndarray, "places"],
) -> Float[np.ndarray, "places points 2"]:
    """Gradients of P(theta > place | eta), by central differences in steps of the unit's width."""
    width = family.width(_shapes(family, points, *pair))[:, None]
    moves = np.abs(_moves(family, points, *pair))
    # The second coordinate is a logarithm, the first may have a unit of measurement.
    longest = np.array([family.widest, 1.0])
    steps = _STEP * np.minimum(longest, width / np.maximum(moves, width / longest))
    found = np.zeros((len(places), *points.shape))
    for i in range(2):
        step = steps * np.eye(2)[i]
        for k, share in CENTRAL_SLOPE:
            after, before = (
                _above(family, _shapes(family, points + sign * k * step, *pair), places)
                for sign in (1, -1)
            )
            found[..., i] += share * (after - before) / steps[:, i]
    return found


def _unit_quantiles(fit: "Fit", asked: Followed) -> Float[np.ndarray, "levels followed"]:
    """Places of the quantiles that the fit answers with."""
    host = fit.model.family.on_host
    found = np.empty((len(asked.levels), len(asked.names)))
    for row, level in zip(found, asked.levels, strict=True):
        if len(asked.names):
            name = "median" if level == 0.5 else "low" if level < 0.5 else "high"
            width = 0.5 if level == 0.5 else abs(2 * level - 1)
            row[:] = fit._units.intervals(asked.values, asked.sizes, width)[name]
    # Rates that round to 0 or 1 do not move.
    least, most = fit.model.family.limits
    least, most = least + np.finfo(float).tiny, most - np.finfo(float).epsneg
    return host.place_of(np.clip(found, least, most))


def _finite(family: OnHost, points: Points) -> Points:
    """Points at which a population has a density, if it has one to all digits of a count."""
    most = _POOLED - family.log_scale(points[..., 0])
    return np.stack([points[..., 0], np.minimum(points[..., 1], most)], axis=-1)


def _shapes(
    family: OnHost, points: Points, y: Number, n: Number, gaps: Points | None = None
) -> Shapes:
    """A unit's posterior at each point; on a lattice at least as wide as points are apart."""
    shapes = family.shapes(_finite(family, points), y, n)
    if gaps is None:
        return shapes
    apart = _RESOLVED * np.max(np.abs(_moves(family, points, y, n) * gaps), axis=1)
    return family.widened(shapes, np.maximum(1.0, (apart / family.width(shapes)) ** 2))


def _moves(family: OnHost, points: Points, y: Number, n: Number) -> Points:
    """Derivatives of the place of a unit's posterior mean with respect to both coordinates."""
    return np.stack(family.moved(_finite(family, points), y, n), axis=-1)


def _above(
    family: OnHost, shapes: Shapes, places: Float[np.ndarray, "places"]
) -> Float[np.ndarray, "places points"]:
    """P(theta > place) of every component."""
    return family.above(shapes, places[:, None])


def _quantile_slopes(
    family: AnyFamily,
    shapes: Shapes,
    weights: Float[np.ndarray, "points"],
    places: Float[np.ndarray, "levels"],
) -> Float[np.ndarray, "levels"]:
    """Derivatives of quantiles with respect to the probability above them."""
    if not len(places):
        return np.empty(0)
    host = family.on_host
    with jax.enable_x64(True):
        given = (host.place(shapes), 1 / host.precision(shapes), weights, places)
        density = np.asarray(_density(family, *map(jnp.asarray, given)))
    return np.exp(host.log_slope(places)) / density


@partial(jax.jit, static_argnums=0)
def _density(
    family: AnyFamily,
    locations: Float[Array, "points"],
    dispersions: Float[Array, "points"],
    weights: Float[Array, "points"],
    places: Float[Array, "levels"],
) -> Float[Array, "levels"]:
    """Density of a mixture's places."""
    component = family.population_at(locations, dispersions)
    each = jax.vmap(family.log_prior_unconstrained, in_axes=(None, 0))
    return jnp.exp(jax.vmap(each, in_axes=(0, None))(places, component)) @ weights
