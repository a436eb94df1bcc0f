"""How answers about units move with the hyperparameters, or with the weights of their points."""

from functools import partial
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import betainc, expit, logit

from hierjax.families.beta_binomial import BetaBinomial, Population
from hierjax.followed import Followed
from hierjax.special import CENTRAL_SLOPE

if TYPE_CHECKING:
    from hierjax.fitting import Fit

__all__ = ["unit_effects", "unit_gradients"]

# Width of components in gaps between a lattice's nodes: more moves answers with its square, less
# leaves steps between nodes. Near complete pooling both then are below one percent of a derivative.
_RESOLVED = 0.5
# Log-concentrations beyond that pool completely, to all digits of a count.
_POOLED = 36.0
# Of a component's width: differences of seven points leave 1e-11 of the derivative.
_STEP = 0.02

Points = Float[np.ndarray, "points 2"]
# On mean rates, on quantiles and on probabilities of exceeding thresholds.
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

    for a mean rate, a quantile q at level p and P(theta > c), with :math:`m_s` and :math:`F_s` mean
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
    places, thresholds = _unit_quantiles(fit, asked), logit(asked.above)
    rates, quantiles, above = _empty(asked, len(points))
    for j, pair in enumerate(zip(asked.successes.tolist(), asked.trials.tolist(), strict=True)):
        component, at = _component(points, *pair, gaps), places[:, j]
        rates[j] = component.mean - component.mean @ weights
        tails = _above(component, np.append(at, thresholds))
        tails -= (tails @ weights)[:, None]
        slopes = _quantile_slopes(fit.model.family, component, weights, at)
        quantiles[:, j] = tails[: len(at)] * slopes[:, None]
        above[:, j] = tails[len(at) :]
    return rates, quantiles, above


def unit_gradients(
    fit: "Fit", asked: Followed, points: Points, weights: Float[np.ndarray, "points"]
) -> Effects:
    r"""What moving each point does to answers about units.

    .. math:: w_s \nabla m_s, \qquad -\frac{w_s \nabla F_s(q)}{F'(q)}, \qquad -w_s \nabla F_s(c)

    Args:
        fit: A point estimate, corrected or not.
        asked: What is followed.
        points: Its points; of complete pooling, where all rates are the mean, and probabilities 0
            or 1, the only one.
        weights: Their weights.

    Returns:
        Derivatives with respect to both coordinates of the first point, the second and so on.
    """
    places, thresholds = _unit_quantiles(fit, asked), logit(asked.above)
    rates, quantiles, above = _empty(asked, points.size)
    for j, pair in enumerate(zip(asked.successes.tolist(), asked.trials.tolist(), strict=True)):
        component, at = _component(points, *pair), places[:, j]
        share = weights * component.mean * component.complement
        rates[j] = (share[:, None] * _moves(points, *pair)).ravel()
        if np.isinf(points).any():
            quantiles[:, j] = rates[j]
            continue
        slopes = _above_gradients(points, pair, np.append(at, thresholds))
        slopes = (weights[:, None] * slopes).reshape(-1, points.size)
        factors = _quantile_slopes(fit.model.family, component, weights, at)
        quantiles[:, j] = slopes[: len(at)] * factors[:, None]
        above[:, j] = slopes[len(at) :]
    return rates, quantiles, above


def _empty(asked: Followed, size: int) -> Effects:
    units = len(asked.names)
    return (
        np.zeros((units, size)),
        np.zeros((len(asked.levels), units, size)),
        np.zeros((len(asked.above), units, size)),
    )


def _above_gradients(
    points: Points, pair: tuple[int, int], log_odds: Float[np.ndarray, "places"]
) -> Float[np.ndarray, "places points 2"]:
    """Gradients of P(theta > place | eta), by central differences in steps of the unit's width."""
    mean, complement, dispersion = _component(points, *pair)
    width = np.sqrt(dispersion / (mean * complement))[:, None]
    steps = _STEP * np.minimum(1.0, width / np.maximum(np.abs(_moves(points, *pair)), width))
    found = np.zeros((len(log_odds), *points.shape))
    for i in range(2):
        step = steps * np.eye(2)[i]
        for k, share in CENTRAL_SLOPE:
            after, before = (
                _above(_component(points + sign * k * step, *pair), log_odds) for sign in (1, -1)
            )
            found[..., i] += share * (after - before) / steps[:, i]
    return found


def _unit_quantiles(fit: "Fit", asked: Followed) -> Float[np.ndarray, "levels followed"]:
    """Log-odds of the quantiles that the fit answers with."""
    found = np.empty((len(asked.levels), len(asked.names)))
    for row, level in zip(found, asked.levels, strict=True):
        if len(asked.names):
            name = "median" if level == 0.5 else "low" if level < 0.5 else "high"
            width = 0.5 if level == 0.5 else abs(2 * level - 1)
            row[:] = fit._units.intervals(asked.successes, asked.trials, width)[name]
    # Rates that round to 0 or 1 do not move.
    return logit(np.clip(found, np.finfo(float).tiny, 1 - np.finfo(float).epsneg))


def _component(points: Points, y: int, n: int, gaps: Points | None = None) -> Population:
    """A unit's posterior at each point; on a lattice at least as wide as points are apart."""
    u, w = points.T
    phi = np.exp(-np.minimum(w, _POOLED))
    growth = 1 + n * phi
    mean = (expit(u) + y * phi) / growth
    complement = (expit(-u) + (n - y) * phi) / growth
    dispersion = phi / growth
    if gaps is not None:
        apart = _RESOLVED * np.max(np.abs(_moves(points, y, n) * gaps), axis=1)
        dispersion = np.maximum(dispersion, apart**2 * mean * complement)
    return Population(mean, complement, dispersion)


def _moves(points: Float[np.ndarray, "*points 2"], y: int, n: int) -> np.ndarray:
    """Derivatives of the log-odds of a unit's posterior mean with respect to both coordinates."""
    u, w = np.moveaxis(points, -1, 0)
    m, c, phi = expit(u), expit(-u), np.exp(-np.minimum(w, _POOLED))
    product = (m + y * phi) * (c + (n - y) * phi)
    along = phi * (y * c - (n - y) * m)
    return np.stack([m * c * (1 + n * phi), -along], axis=-1) / product[..., None]


def _above(
    component: Population, log_odds: Float[np.ndarray, "places"]
) -> Float[np.ndarray, "places points"]:
    """P(theta > place) of every component."""
    mean, complement, dispersion = component
    return betainc(complement / dispersion, mean / dispersion, expit(-log_odds)[:, None])


def _quantile_slopes(
    family: BetaBinomial,
    component: Population,
    weights: Float[np.ndarray, "points"],
    log_odds: Float[np.ndarray, "levels"],
) -> Float[np.ndarray, "levels"]:
    """Derivatives of quantiles with respect to the probability above them."""
    if not len(log_odds):
        return np.empty(0)
    with jax.enable_x64(True):
        arrays = jax.tree.map(jnp.asarray, (component, weights, log_odds))
        density = np.asarray(_density(family, *arrays))
    return expit(log_odds) * expit(-log_odds) / density


@partial(jax.jit, static_argnums=0)
def _density(
    family: BetaBinomial,
    component: Population,
    weights: Float[Array, "points"],
    log_odds: Float[Array, "levels"],
) -> Float[Array, "levels"]:
    """Density of a mixture's log-odds."""
    each = jax.vmap(family.log_prior_logit, in_axes=(None, 0))
    return jnp.exp(jax.vmap(each, in_axes=(0, None))(log_odds, component)) @ weights
