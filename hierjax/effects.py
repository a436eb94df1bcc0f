r"""How the answers of a posterior move with the weights of its points.

To first order an answer moves by :math:`\sum_s \dot w_s \psi_s` when weights move by
:math:`\dot w_s` that sum to zero; psi is the answer's influence function (Huber 1981, *Robust
Statistics*, sec. 2.5). A posterior mean of g has psi = g - E[g]; a quantile q at level p of what
has the distribution function :math:`F(c) = \sum_s w_s F_s(c)` has

.. math:: \psi_s = -\frac{F_s(q) - p}{F'(q)}

Weights move in proportion to themselves and to the derivative of the log-posterior density, so
every derivative of an answer is a covariance of the latter with psi.
"""

import itertools
from statistics import NormalDist
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hierjax.checks.loo import thinned
from hierjax.families.hyperparameters import Hyperparameters
from hierjax.followed import Followed
from hierjax.lattice_quantiles import lattice_quantile_effects
from hierjax.units.effects import unit_effects

if TYPE_CHECKING:
    from hierjax.fitting import Fit

__all__ = ["posterior_effects"]


def posterior_effects(
    fit: "Fit", asked: Followed
) -> tuple[Float[Array, "points 2"], Float[Array, "points"], Float[Array, "points answers"]]:
    """Points of a posterior, their weights, and the effects of every answer times the weights.

    Args:
        fit: By quadrature or a sampler.
        asked: What is followed.

    Returns:
        Points and weights; a product with the third is a covariance.
    """
    points, weights = (np.asarray(values, np.float64) for values in thinned(fit.posterior))
    means = fit.model.family.hyperparameters.answer_values(points)
    rates, quantiles, above = unit_effects(fit, asked, points, weights, _gaps(fit))
    each = zip(_parameter_effects(fit, points, asked.levels), quantiles, strict=True)
    parts = [means - (means @ weights)[:, None], rates, *itertools.chain(*each), *above]
    centered = np.concatenate(parts).T * weights[:, None]
    placed = [jnp.asarray(values, fit.dtype) for values in (points, weights, centered)]
    return placed[0], placed[1], placed[2]


def _gaps(fit: "Fit") -> Float[np.ndarray, "points 2"] | None:
    """Distances of a lattice's points from their neighbours; None if they are no lattice."""
    if fit.result.lattice is None:
        return None
    u, w = np.moveaxis(np.asarray(fit.posterior.points, np.float64), -1, 0)
    gaps = np.stack([np.gradient(u, axis=1), np.gradient(w, axis=0)], axis=-1)
    return gaps.reshape(-1, 2)[fit.posterior.weights.ravel() > 0]


def _parameter_effects(
    fit: "Fit", points: Float[np.ndarray, "points 2"], levels: Float[np.ndarray, "levels"]
) -> Float[np.ndarray, "levels parameters points"]:
    """Effects on quantiles of the hyperparameters."""
    reported = fit.model.family.hyperparameters
    if fit.result.lattice is None:
        return _draw_effects(reported, points, levels)
    carry = fit.posterior.weights.ravel() > 0
    found = lattice_quantile_effects(fit.posterior, fit.result.lattice, levels, reported)
    return np.moveaxis(found.reshape(len(found), len(levels), carry.size)[..., carry], 0, 1)


def _draw_effects(
    reported: Hyperparameters,
    points: Float[np.ndarray, "points 2"],
    levels: Float[np.ndarray, "levels"],
) -> Float[np.ndarray, "levels parameters points"]:
    r"""From equally weighted draws, the density by differences of quantiles.

    .. math:: \frac{1}{F'(q)} \approx \frac{q(p + h) - q(p - h)}{2h}, \qquad
        h = n^{-1/5} \Big(\frac{9 \varphi(z)^4}{2 (2 z^2 + 1)^2}\Big)^{1/5}, \quad p = \Phi(z)

    (Bofinger 1975, "Estimation of a density function using order statistics").
    """
    values = reported.on_line(points)
    effects = np.empty((len(levels), len(reported.names), len(points)))
    normal = NormalDist()
    for effect, level in zip(effects, levels, strict=True):
        z = normal.inv_cdf(level)
        width = (4.5 * normal.pdf(z) ** 4 / (len(points) * (2 * z * z + 1) ** 2)) ** 0.2
        width = min(width, 0.5 * level, 0.5 * (1 - level))
        low, found, high = np.quantile(values, [level - width, level, level + width], axis=1)
        below = values < found[:, None]
        surplus = below.mean(axis=1, keepdims=True) - below
        effect[:] = reported.moved(found, surplus * ((high - low) / (2 * width))[:, None])
    return effects
