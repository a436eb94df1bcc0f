"""What a method infers of one data set, in compiled code: pure, so that batches map over it."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hierjax.errors import ModelError
from hierjax.inference import Method, Moments, Quadrature, Type2MLE
from hierjax.inference.moments import estimate
from hierjax.inference.quadrature import quadrature
from hierjax.inference.result import Status
from hierjax.inference.type2_mle import type2_mle
from hierjax.model import Model
from hierjax.tally import TallyArrays
from hierjax.units.row_mixture import RowMixture

__all__ = ["STATUSES", "BatchMethod", "Inferred", "batch_method", "infer"]

BatchMethod = Moments | Type2MLE | Quadrature

STATUSES = tuple(Status)
# Rows of a lattice on which modes are sought; the others' are interpolated.
_PLACING = 12


class Inferred(NamedTuple):
    """The hyperparameters of one data set; NumPy's arrays, with a batch axis, on the host.

    Attributes:
        mean: Of the working coordinates; a point estimate itself.
        sd: Their standard deviations; a point estimate's standard errors.
        log_evidence: Log of the evidence; of a point estimate, the largest log-likelihood.
        error: Quadrature's error estimate; zero for others.
        status: Position in `STATUSES`.
    """

    mean: Float[Any, "*batch 2"]
    sd: Float[Any, "*batch 2"]
    log_evidence: Float[Any, "*batch"]
    error: Float[Any, "*batch"]
    status: Int[Any, "*batch"]


def batch_method(method: Method) -> BatchMethod:
    """The method, if it does batches.

    Raises:
        ModelError: If it does not; the message names those that do.
    """
    if isinstance(method, (Moments, Type2MLE, Quadrature)):
        return method
    raise ModelError(f"fit_batch: expected moments, type2_mle or quadrature, found {method!r}")


def infer(
    method: BatchMethod,
    size: tuple[int, int],
    by_columns: bool,
    model: Model,
    tally: TallyArrays,
    successes: Float[Array, "pairs"],
    trials: Float[Array, "pairs"],
    multiplicity: Float[Array, "pairs"],
) -> tuple[RowMixture, Inferred]:
    """Infers the hyperparameters of one data set.

    Args:
        method: The method's settings.
        size: Rows and columns of quadrature's lattice.
        by_columns: Whether units' posteriors mix over all of its columns.
        model: Family and hyperprior.
        tally: The units' tally.
        successes: y of every distinct pair.
        trials: n likewise; zero fills up.
        multiplicity: Units that have the pair.

    Returns:
        The posterior or the point that stands for it, and what is told of it: nothing that means
        anything where the status is failed.
    """
    if isinstance(method, Quadrature):
        return _by_quadrature(method, size, by_columns, model, tally)
    if isinstance(method, Type2MLE):
        return _by_ascent(method, model, tally)
    return _by_moments(method, model, tally, successes, trials, multiplicity)


def _code(status: Status) -> Int[Array, ""]:
    return jnp.asarray(STATUSES.index(status))


def _by_quadrature(
    method: Quadrature,
    size: tuple[int, int],
    by_columns: bool,
    model: Model,
    tally: TallyArrays,
) -> tuple[RowMixture, Inferred]:
    found = quadrature(model, tally, *size, placing=min(size[0], _PLACING))
    points, weights = found.posterior
    mean = jnp.sum(weights[..., None] * points, axis=(0, 1))
    variance = jnp.sum(weights[..., None] * (points - mean) ** 2, axis=(0, 1))
    near = (found.error_estimate <= method.tolerance) & (found.edge_mass <= method.tolerance)
    status = jnp.where(near, _code(Status.CONVERGED), _code(Status.NOT_CONVERGED))
    finite = jnp.isfinite(found.error_estimate) & jnp.all(jnp.isfinite(mean))
    told = Inferred(
        mean,
        jnp.sqrt(variance),
        found.log_evidence,
        found.error_estimate,
        jnp.where(finite, status, _code(Status.FAILED)),
    )
    return RowMixture.of_lattice(found.posterior, by_columns), told


def _by_ascent(method: Type2MLE, model: Model, tally: TallyArrays) -> tuple[RowMixture, Inferred]:
    dtype = tally.units.dtype
    rate = method.learning_rate
    optimum = type2_mle(
        model,
        tally,
        jnp.asarray(method.tolerance(dtype), dtype),
        None if rate is None else jnp.asarray(rate, dtype),
        optimizer=method.optimizer,
        max_steps=method.most_steps,
    )
    is_pooled = optimum.pooled_is_best
    eta = jnp.where(is_pooled, jnp.stack([optimum.pooled, jnp.inf]), optimum.eta)
    (a, b), (_, d) = optimum.information
    determinant = a * d - b * b
    is_maximum = optimum.converged & (a > 0) & (determinant > 0)
    sd = jnp.sqrt(jnp.stack([d, a]) / determinant)
    status = jnp.where(is_maximum, _code(Status.CONVERGED), _code(Status.NOT_CONVERGED))
    status = jnp.where(is_pooled, _code(Status.BOUNDARY), status)
    finite = jnp.all(jnp.isfinite(optimum.eta)) & (tally.interior > 0)
    told = Inferred(
        eta,
        jnp.where(is_pooled, jnp.nan, sd),
        jnp.where(is_pooled, optimum.pooled_log_marginal, optimum.log_marginal),
        jnp.zeros((), dtype),
        jnp.where(finite | is_pooled & (tally.interior > 0), status, _code(Status.FAILED)),
    )
    return RowMixture.at(eta), told


def _by_moments(
    method: Moments,
    model: Model,
    tally: TallyArrays,
    successes: Float[Array, "pairs"],
    trials: Float[Array, "pairs"],
    multiplicity: Float[Array, "pairs"],
) -> tuple[RowMixture, Inferred]:
    data = (successes, trials, multiplicity)
    found, eta, covariance = estimate(model.family, method.estimator, *data)
    mean, correlation = found
    inside = (mean > 0) & (mean < 1)
    is_pooled = inside & (correlation <= 8 * jnp.finfo(trials.dtype).eps)
    pooled = jnp.stack([jnp.log(mean) - jnp.log1p(-mean), jnp.inf])
    eta = jnp.where(is_pooled, pooled, eta)
    status = jnp.where(is_pooled, _code(Status.BOUNDARY), _code(Status.CONVERGED))
    told = Inferred(
        eta,
        jnp.where(is_pooled, jnp.nan, jnp.sqrt(jnp.diagonal(covariance))),
        model.log_marginal(tally, eta),
        jnp.zeros((), trials.dtype),
        jnp.where(inside & (correlation < 1), status, _code(Status.FAILED)),
    )
    return RowMixture.at(eta), told
