"""What a method infers of one data set, in compiled code: pure, so that batches map over it."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from hierjax import lattice
from hierjax.batch.drawn import Chains, evenly_spaced, independent_draws, rates_given
from hierjax.batch.plan import AROUND_ESTIMATE, DataSetArrays, Plan
from hierjax.inference import Moments, Quadrature, Type2MLE
from hierjax.inference.boundary import boundary_posterior
from hierjax.inference.moments import estimate
from hierjax.inference.quadrature import QuadratureResult, quadrature
from hierjax.inference.result import Status
from hierjax.inference.type2_mle import type2_mle
from hierjax.model import Model
from hierjax.posterior import HyperPosterior
from hierjax.units.row_mixture import RowMixture

__all__ = ["STATUSES", "Inferred", "infer"]

STATUSES = tuple(Status)
# Rows of a lattice on which modes are sought; the others' are interpolated.
_PLACING = 12
# Log-concentrations that are told apart from no and from complete pooling.
_SPARSEST, _POOLED = -30.0, 36.0
# How often an interval that holds a quantile of logit_mean is halved, and how many standard
# deviations it reaches at first.
_HALVINGS, _REACH = 20, 30.0

Levels = Float[Array, "levels"]


class Inferred(NamedTuple):
    """The hyperparameters of one data set; NumPy's arrays, with a batch axis, on the host.

    Attributes:
        mean: Of the working coordinates; a point estimate itself.
        sd: Their standard deviations; a point estimate's standard errors.
        quantiles: Of the working coordinates, at the levels asked for; a point estimate's Wald's.
        log_evidence: Log of the evidence; of a point estimate, the largest log-likelihood; NaN of
            samplers.
        error: Quadrature's error estimate; zero for others.
        status: Position in `STATUSES`; a sampler's chains are judged on the host.
        chains: All draws of a sampler; none of other methods.
        draws: Draws of the working coordinates that were asked for.
        rates: Rates that go with them.
    """

    mean: Float[Any, "*batch 2"]
    sd: Float[Any, "*batch 2"]
    quantiles: Float[Any, "*batch 2 levels"]
    log_evidence: Float[Any, "*batch"]
    error: Float[Any, "*batch"]
    status: Int[Any, "*batch"]
    chains: Float[Any, "*batch chains kept 2"]
    draws: Float[Any, "*batch draws 2"]
    rates: Float[Any, "*batch draws rates"]


def infer(
    plan: Plan, model: Model, data: DataSetArrays, levels: Levels, chains: Chains | None
) -> tuple[RowMixture, Inferred]:
    """Infers the hyperparameters of one data set.

    Args:
        plan: The method's settings, and what is wanted.
        model: Family and hyperprior.
        data: The data set.
        levels: Probabilities of quantiles.
        chains: What a sampler drew; None of other methods.

    Returns:
        The posterior or the point that stands for it, and what is told of it: nothing that means
        anything where the status is failed.
    """
    key_method, key_rates = jax.random.split(data.key)
    if isinstance(plan.method, Quadrature):
        rows, told = _by_quadrature(plan, model, data, levels, key_method)
    elif chains is not None:
        rows, told = _by_chains(plan, chains, levels)
    else:
        rows, told = _by_point(plan, model, data, levels, key_method)
    return rows, told._replace(rates=rates_given(told.draws, data, key_rates))


def _told(
    mean: Float[Array, "2"],
    sd: Float[Array, "2"],
    quantiles: Float[Array, "2 levels"],
    log_evidence: Float[Array, ""],
    status: Int[Array, ""],
    **more: Float[Array, "..."],
) -> Inferred:
    """What most methods tell, with nothing drawn."""
    dtype = mean.dtype
    none = jnp.zeros((0, 2), dtype)
    empty = {"error": jnp.zeros((), dtype), "chains": none[None], "draws": none}
    rest = {**empty, "rates": none, **more}
    return Inferred(mean, sd, quantiles, log_evidence, status=status, **rest)


def _code(status: Status) -> Int[Array, ""]:
    return jnp.asarray(STATUSES.index(status))


def _by_quadrature(
    plan: Plan, model: Model, data: DataSetArrays, levels: Levels, key: Key[Array, ""]
) -> tuple[RowMixture, Inferred]:
    method: Any = plan.method
    placing = min(plan.rows, _PLACING)
    found = quadrature(model, data.tally, plan.rows, plan.columns, placing)
    points, weights = found.posterior
    mean = jnp.sum(weights[..., None] * points, axis=(0, 1))
    variance = jnp.sum(weights[..., None] * (points - mean) ** 2, axis=(0, 1))
    near = (found.error_estimate <= method.tolerance) & (found.edge_mass <= method.tolerance)
    status = jnp.where(near, _code(Status.CONVERGED), _code(Status.NOT_CONVERGED))
    finite = jnp.isfinite(found.error_estimate) & jnp.all(jnp.isfinite(mean))
    told = _told(
        mean,
        jnp.sqrt(variance),
        _lattice_quantiles(found, mean[0], jnp.sqrt(variance[0]), levels),
        found.log_evidence,
        jnp.where(finite, status, _code(Status.FAILED)),
        error=found.error_estimate,
    )
    if plan.draws:
        draws = independent_draws(model, data.tally, found, key, plan.draws)
        told = told._replace(draws=draws)
    return RowMixture.of_lattice(found.posterior, plan.few), told


def _lattice_quantiles(
    found: QuadratureResult, mean: Float[Array, ""], sd: Float[Array, ""], levels: Levels
) -> Float[Array, "2 levels"]:
    """Quantiles of both working coordinates: cumulative integrals along rows and across them."""
    weights, places = found.posterior.weights, found.lattice

    def table(values: Float[Array, "*rows nodes"]) -> tuple[Array, ...]:
        slope = lattice.derivative(values)
        return lattice.cumulative(values), values, slope, lattice.derivative(slope)

    by_row = table(weights.sum(axis=1))
    position = lattice.invert(levels * by_row[0][-1], by_row)
    within = table(weights)
    total = jnp.sum(weights)

    def below(u: Float[Array, ""]) -> Float[Array, ""]:
        at = places.column_position(u[None])
        return jnp.sum(jax.vmap(lattice.interpolate)(at, within))

    def quantile(level: Float[Array, ""]) -> Float[Array, ""]:
        def halve(_: Int[Array, ""], ends: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = ends
            middle = 0.5 * (low + high)
            short = below(middle) < level * total
            return jnp.where(short, middle, low), jnp.where(short, high, middle)

        start = mean - _REACH * sd, mean + _REACH * sd
        low, high = jax.lax.fori_loop(0, _HALVINGS, halve, start)
        return 0.5 * (low + high)

    return jnp.stack([jax.vmap(quantile)(levels), places.row_value(position)])


def _by_chains(plan: Plan, chains: Chains, levels: Levels) -> tuple[RowMixture, Inferred]:
    points = chains.eta.reshape(-1, 2)
    status = jnp.where(chains.divergent, _code(Status.NOT_CONVERGED), _code(Status.CONVERGED))
    told = _told(
        points.mean(axis=0),
        points.std(axis=0),
        jnp.quantile(points, levels, axis=0).T,
        jnp.full((), jnp.nan, points.dtype),
        jnp.where(jnp.all(jnp.isfinite(points)), status, _code(Status.FAILED)),
        chains=chains.eta,
        draws=evenly_spaced(chains.eta, plan.draws),
    )
    return RowMixture.of_draws(points, plan.few), told


def _by_point(
    plan: Plan, model: Model, data: DataSetArrays, levels: Levels, key: Key[Array, ""]
) -> tuple[RowMixture, Inferred]:
    by: Any = _by_ascent if isinstance(plan.method, Type2MLE) else _by_moments
    eta, covariance, value, status = by(plan.method, model, data)
    is_pooled = status == _code(Status.BOUNDARY)
    sd = jnp.where(is_pooled, jnp.nan, jnp.sqrt(jnp.diagonal(covariance)))
    quantiles = eta[:, None] + sd[:, None] * jax.scipy.special.ndtri(levels)
    told = _told(eta, sd, quantiles, value, status)
    if not plan.corrected:
        return RowMixture.at(eta), told
    posterior = jax.tree.map(
        partial(jnp.where, is_pooled),
        boundary_posterior(model, data.tally, eta[0], *AROUND_ESTIMATE),
        _around(eta, covariance),
    )
    draws = _draws_around(posterior, key, plan.draws)
    return RowMixture.of_lattice(posterior, True), told._replace(draws=draws)


def _around(eta: Float[Array, "2"], covariance: Float[Array, "2 2"]) -> HyperPosterior:
    """A normal distribution by a product rule, in rows: the root has log-concentration first.

    Where the covariance is none, all weight is on the estimate.
    """
    (a, b), (_, d) = covariance
    root = jnp.array([[b / jnp.sqrt(d), jnp.sqrt(a - b * b / d)], [jnp.sqrt(d), 0.0]])
    root = jnp.where(jnp.all(jnp.isfinite(root)), root, 0.0)
    (x, across), (z, along) = map(np.polynomial.hermite_e.hermegauss, AROUND_ESTIMATE)
    nodes = jnp.asarray(np.stack(np.meshgrid(x, z, indexing="ij"), axis=-1), eta.dtype)
    weights = np.outer(across / across.sum(), along / along.sum())
    moved = eta + nodes @ root.T
    w = jnp.clip(moved[..., 1], _SPARSEST, _POOLED)
    return HyperPosterior(jnp.stack([moved[..., 0], w], axis=-1), jnp.asarray(weights, eta.dtype))


def _draws_around(
    posterior: HyperPosterior, key: Key[Array, ""], draws: int
) -> Float[Array, "{draws} 2"]:
    """Draws from rows of normal distributions: log-concentration by interpolation between rows."""
    key_row, key_column = jax.random.split(key)
    u, w, weights = posterior.points[..., 0], posterior.points[:, 0, 1], posterior.weights
    mass = jnp.maximum(weights.sum(axis=1), jnp.finfo(w.dtype).tiny)
    center = jnp.sum(weights * u, axis=1) / mass
    scale = jnp.sqrt(jnp.sum(weights * (u - center[:, None]) ** 2, axis=1) / mass)
    level = jax.random.uniform(key_row, (draws,), w.dtype)
    drawn = jnp.interp(level, jnp.cumsum(mass) - 0.5 * mass, w)
    order = jnp.argsort(w)
    place, size = (jnp.interp(drawn, w[order], x[order]) for x in (center, scale))
    return jnp.stack([place + size * jax.random.normal(key_column, (draws,), w.dtype), drawn], -1)


Point = tuple[Float[Array, "2"], Float[Array, "2 2"], Float[Array, ""], Int[Array, ""]]


def _by_ascent(method: Type2MLE, model: Model, data: DataSetArrays) -> Point:
    """The estimate, its covariance, its log-likelihood and its status."""
    tally, dtype = data.tally, data.tally.units.dtype
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
    covariance = jnp.array([[d, -b], [-b, a]]) / determinant
    status = jnp.where(is_maximum, _code(Status.CONVERGED), _code(Status.NOT_CONVERGED))
    status = jnp.where(is_pooled, _code(Status.BOUNDARY), status)
    finite = jnp.all(jnp.isfinite(optimum.eta)) & (tally.interior > 0)
    return (
        eta,
        covariance,
        jnp.where(is_pooled, optimum.pooled_log_marginal, optimum.log_marginal),
        jnp.where(finite | is_pooled & (tally.interior > 0), status, _code(Status.FAILED)),
    )


def _by_moments(method: Moments, model: Model, data: DataSetArrays) -> Point:
    """The estimate, its covariance, its log-likelihood and its status."""
    units = (data.successes, data.trials, data.multiplicity)
    found, eta, covariance = estimate(model.family, method.estimator, *units)
    mean, correlation = found
    inside = (mean > 0) & (mean < 1)
    is_pooled = inside & (correlation <= 8 * jnp.finfo(data.trials.dtype).eps)
    pooled = jnp.stack([jnp.log(mean) - jnp.log1p(-mean), jnp.inf])
    eta = jnp.where(is_pooled, pooled, eta)
    status = jnp.where(is_pooled, _code(Status.BOUNDARY), _code(Status.CONVERGED))
    status = jnp.where(inside & (correlation < 1), status, _code(Status.FAILED))
    return eta, covariance, model.log_marginal(data.tally, eta), status
