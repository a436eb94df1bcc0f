"""How a maximum of the log-marginal, and the answers that follow from it, move with weights."""

from collections.abc import Callable
from functools import partial
from statistics import NormalDist
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hierjax.errors import InferenceError
from hierjax.families import AnyFamily
from hierjax.families.hyperparameters import Hyperparameters
from hierjax.followed import Followed
from hierjax.inference.result import Status
from hierjax.special import CENTRAL_SLOPE
from hierjax.units.effects import unit_gradients

if TYPE_CHECKING:
    from hierjax.fitting import Fit

__all__ = ["estimate_moves"]

Pairs = tuple[Float[Array, "pairs"], Float[Array, "pairs"]]

# Differences of seven points: the step, and the shares of second derivatives.
_STEP = 0.05
_BENDS = (3 / 2, -3 / 20, 1 / 90)


def estimate_moves(
    fit: "Fit",
    asked: Followed,
    pairs: Float[np.ndarray, "2 pairs"],
    multiplicity: Float[np.ndarray, "pairs"],
) -> Float[np.ndarray, "pairs columns"]:
    r"""Derivatives of a point estimate's answers with respect to the weight of units.

    With L the log-marginal, l that of one unit and :math:`\Sigma` the inverse of the observed
    information,

    .. math:: \dot\eta = \Sigma \nabla l, \qquad
        \dot\Sigma = \Sigma (\nabla^2 l + \nabla^3 L\, \dot\eta) \Sigma

    and Wald's quantiles and the points of `Fit.corrected` move with both.

    Args:
        fit: By Type-2 maximum likelihood, corrected or not.
        asked: What is followed.
        pairs: Distinct data of units.
        multiplicity: Total weight of the units that have them.

    Returns:
        One row a pair: hyperparameters, rates, quantiles, probabilities and the log-marginal.

    Raises:
        InferenceError: If the fit is at no maximum, or corrected at complete pooling.
    """
    weights = np.asarray(fit.posterior.weights, np.float64)
    carried = fit.result.estimate
    eta = np.asarray(fit.posterior.points[0, 0] if carried is None else carried, np.float64)
    covariance, pooled = _covariance(fit, eta), fit.result.status is Status.BOUNDARY

    def at_point(eta: Float[np.ndarray, "2"]) -> tuple[np.ndarray, np.ndarray]:
        with jax.enable_x64(True):
            logs, scores = _at_point(
                fit.model.family, jnp.asarray(eta), tuple(map(jnp.asarray, pairs))
            )
            return np.asarray(logs), np.asarray(scores)

    logs, scores = at_point(eta)
    moved = scores @ covariance
    curved = np.full((len(logs), 2, 2), np.nan)
    if not pooled and (not fit.is_point or np.any(asked.levels != 0.5)):
        own, third = _curvatures(lambda eta: at_point(eta)[1], eta, multiplicity)
        curved = own + np.einsum("ijk,pk->pij", third, moved)
    reported = fit.model.family.hyperparameters
    wald = [_wald_moves(reported, eta, covariance, level, moved, curved) for level in asked.levels]
    points = np.asarray(fit.posterior.points, np.float64).reshape(-1, 2)
    along = _point_moves(points - eta, covariance, moved, curved) if len(points) > 1 else moved
    effects = unit_gradients(fit, asked, points, weights.ravel())
    rates, quantiles, above = (np.moveaxis(x @ along.T, -1, 0) for x in effects)
    gradients = reported.answer_gradients(eta)
    hyper = moved @ gradients.T
    if pooled:
        hyper[:, gradients[:, 1] != 0] = np.nan
    each = [part for k, ends in enumerate(wald) for part in (ends, quantiles[:, k])]
    return np.column_stack([hyper, rates, *each, above.reshape(len(logs), -1), logs])


def _covariance(fit: "Fit", eta: Float[np.ndarray, "2"]) -> Float[np.ndarray, "2 2"]:
    """Inverse of the observed information; under complete pooling, of the mean alone."""
    if fit.result.status is Status.BOUNDARY:
        if not fit.is_point:
            raise InferenceError(
                f"{fit.method.name}: expected a standard error to differentiate, found complete "
                "pooling, at which the plug-in estimate has derivatives alone"
            )
        a = np.ones(len(fit.counts)) if fit.counts.weights is None else fit.counts.weights
        family = fit.model.family
        with jax.enable_x64(True):
            columns = (getattr(fit.counts, name) for name in family.columns)
            _, v = family.statistic(*(jnp.asarray(x, np.float64) for x in columns))
            variance = family.variance_function(family.parameter_at(jnp.asarray(eta[0])))
            return np.diag([1 / float(jnp.asarray(a) @ v * variance), 0.0])
    if fit.result.covariance is None:
        raise InferenceError(f"{fit.method.name}: no maximum to differentiate, {fit.message}")
    return np.asarray(fit.result.covariance, np.float64)


@partial(jax.jit, static_argnums=0)
def _at_point(
    family: AnyFamily, eta: Float[Array, "2"], pairs: Pairs
) -> tuple[Float[Array, "pairs"], Float[Array, "pairs 2"]]:
    """Log-marginals of the pairs and their gradients."""

    def one(value: Float[Array, ""], size: Float[Array, ""]) -> tuple[Array, Array]:
        def log_marginal(eta: Float[Array, "2"]) -> Float[Array, ""]:
            return family.log_marginal(value, size, family.constrain(eta))

        return log_marginal(eta), jax.jacfwd(log_marginal)(eta)

    return jax.vmap(one)(*pairs)


def _curvatures(
    scores: Callable[[np.ndarray], Float[np.ndarray, "pairs 2"]],
    eta: Float[np.ndarray, "2"],
    multiplicity: Float[np.ndarray, "pairs"],
) -> tuple[Float[np.ndarray, "pairs 2 2"], Float[np.ndarray, "2 2 2"]]:
    """Second derivatives of log-marginals, and third ones of their weighted sum.

    By central differences of the gradients, which are smooth on the scale of one; a third
    automatic derivative would take minutes to compile.
    """
    own = np.zeros((len(multiplicity), 2, 2))
    third = np.zeros((2, 2, 2))
    here = scores(eta)
    for i in range(2):
        # Second derivatives by one coordinate, of both gradients: all of a symmetric tensor.
        second = np.zeros(2)
        for (k, slope), bend in zip(CENTRAL_SLOPE, _BENDS, strict=True):
            after, before = (scores(eta + sign * k * _STEP * np.eye(2)[i]) for sign in (1, -1))
            own[:, i] += slope * (after - before) / _STEP
            second += bend * multiplicity @ (after - 2 * here + before) / _STEP**2
        third[i, i] = second
    third[0, 1] = third[1, 0] = third[0, 0, 1], third[1, 1, 0]
    return own, third


def _wald_moves(
    reported: Hyperparameters,
    eta: Float[np.ndarray, "2"],
    covariance: Float[np.ndarray, "2 2"],
    level: float,
    moved: Float[np.ndarray, "pairs 2"],
    curved: Float[np.ndarray, "pairs 2 2"],
) -> Float[np.ndarray, "pairs parameters"]:
    """Derivatives of Wald's quantiles; NaN where there are none, as under complete pooling."""
    line = reported.on_line(eta)
    gradients = np.stack([direction.gradient(eta) for direction in reported.directions])
    found = gradients @ moved.T
    pooled = np.isinf(eta[1])
    if pooled:
        found[gradients[:, 1] != 0] = np.nan
    if level != 0.5 and pooled:
        found[:] = np.nan
    elif level != 0.5:
        z = NormalDist().inv_cdf(level)
        error = np.sqrt(np.einsum("ci,ij,cj->c", gradients, covariance, gradients))
        across = gradients @ covariance
        spread = np.einsum("ci,pij,cj->cp", across, curved, across)
        # Directions may turn with the first coordinate.
        bends = np.array([direction.bend(eta[0]) for direction in reported.directions])
        turned = bends[:, None] * moved[:, 0]
        spread += 2 * across[:, :1] * turned
        found += z / (2 * error)[:, None] * spread
        line = line + z * error
    return reported.moved(line, found).T


def _point_moves(
    away: Float[np.ndarray, "points 2"],
    covariance: Float[np.ndarray, "2 2"],
    moved: Float[np.ndarray, "pairs 2"],
    curved: Float[np.ndarray, "pairs 2 2"],
) -> Float[np.ndarray, "pairs coordinates"]:
    r"""Derivatives of the points of `Fit.corrected`, all coordinates in one row.

    Points are :math:`\hat\eta + C z` with C the Cholesky factor of the covariance, and
    :math:`\dot C = C \, \Phi(C^{-1} \dot\Sigma C^{-T})`, where Phi keeps the lower triangle and
    half of the diagonal (Smith 1995, "Differentiation of the Cholesky algorithm").
    """
    factor = np.linalg.cholesky(covariance)
    standard = np.linalg.solve(factor, away.T)
    inner = factor.T @ curved @ factor
    factors = factor @ (np.tril(inner) - 0.5 * np.eye(2) * inner)
    points = moved[:, :, None] + factors @ standard
    return np.swapaxes(points, 1, 2).reshape(len(moved), -1)
