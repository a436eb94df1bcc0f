"""Influence: how answers move with the weight of each unit.

A derivative with respect to a unit's weight is its infinitesimal leave-one-out. Posterior means
move by a covariance under the posterior, maxima by the implicit function theorem; neither needs
another fit.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hierjax.checks.loo import thinned
from hierjax.counts import Counts
from hierjax.errors import DataError, InferenceError, did_you_mean
from hierjax.families.beta_binomial import BetaBinomial
from hierjax.inference.result import Status
from hierjax.table import Table

if TYPE_CHECKING:
    from hierjax.fitting import Fit

__all__ = [
    "ANSWERS",
    "centered_answers",
    "columns_of",
    "influence",
    "pair_arrays",
    "positions",
    "support",
]

ANSWERS = ("logit_mean", "log_concentration", "mean", "log_alpha", "log_beta")
_CONCENTRATED = ("log_concentration", "log_alpha", "log_beta")
_BATCH = 8

Pairs = tuple[Float[Array, "pairs"], Float[Array, "pairs"]]
Followed = tuple[Float[Array, "units"], Float[Array, "units"]]


def _answers(
    family: BetaBinomial, followed: Followed, eta: Float[Array, "2"]
) -> Float[Array, "answers"]:
    """The hyperparameters, then posterior mean rates of the units followed, given eta."""
    u, w = eta[0], eta[1]
    log_alpha, log_beta = w + jax.nn.log_sigmoid(u), w + jax.nn.log_sigmoid(-u)
    population = family.constrain(eta)
    hyper = jnp.stack([u, w, population.mean, log_alpha, log_beta])
    rates = jax.vmap(lambda y, n: family.update(y, n, population).mean)(*followed)
    return jnp.concatenate([hyper, rates])


@partial(jax.jit, static_argnums=0)
def _covariances(
    family: BetaBinomial,
    points: Float[Array, "points 2"],
    weights: Float[Array, "points"],
    followed: Followed,
    pairs: Pairs,
) -> Float[Array, "pairs columns"]:
    """Covariance of every answer with log p(y_j | eta), and the latter's mean."""
    centered = centered_answers(family, points, weights, followed)

    def one(pair: tuple[Float[Array, ""], Float[Array, ""]]) -> Float[Array, "columns"]:
        logs = jax.vmap(lambda eta: family.log_marginal(*pair, family.constrain(eta)))(points)
        expected = weights @ logs
        return jnp.append((logs - expected) @ centered, expected)

    return jax.lax.map(one, pairs, batch_size=_BATCH)


def centered_answers(
    family: BetaBinomial,
    points: Float[Array, "points 2"],
    weights: Float[Array, "points"],
    followed: Followed,
) -> Float[Array, "points answers"]:
    """Answers less their means, times the weights: a product with these is a covariance."""
    answers = jax.vmap(lambda eta: _answers(family, followed, eta))(points)
    return weights[:, None] * (answers - weights @ answers)


@partial(jax.jit, static_argnums=0)
def _at_point(
    family: BetaBinomial, eta: Float[Array, "2"], followed: Followed, pairs: Pairs
) -> tuple[Float[Array, "pairs"], Float[Array, "pairs 2"], Float[Array, "answers 2"]]:
    """Log-marginals of the pairs and their gradients, and the gradients of the answers."""

    def one(y: Float[Array, ""], n: Float[Array, ""]) -> tuple[Array, Array]:
        def log_marginal(eta: Float[Array, "2"]) -> Float[Array, ""]:
            return family.log_marginal(y, n, family.constrain(eta))

        return log_marginal(eta), jax.jacfwd(log_marginal)(eta)

    logs, scores = jax.vmap(one)(*pairs)
    return logs, scores, jax.jacfwd(partial(_answers, family, followed))(eta)


def influence(fit: "Fit", of: str | Sequence[str] = ()) -> Table:
    r"""Derivative of answers with respect to the weight a_j of every unit.

    Under a posterior, for any function g of the hyperparameters,

    .. math:: \frac{\partial}{\partial a_j} E[g(\eta) \mid Y] = \mathrm{Cov}\big(g(\eta),
        \log p(y_j \mid \eta)\big), \qquad
        \frac{\partial}{\partial a_j} \log p(Y) = E[\log p(y_j \mid \eta)]

    exact on the lattice of quadrature, and estimated from a sampler's draws. A maximum of the
    log-marginal with observed information H moves by the implicit function theorem,

    .. math:: \frac{\partial \hat\eta}{\partial a_j} = H^{-1} \nabla \log p(y_j \mid \hat\eta)

    Leaving a unit out altogether changes an answer by about minus its row. The weight is that in
    the likelihood of the hyperparameters: a unit's own rate keeps its counts. The columns
    log_alpha and log_beta are relative changes of alpha and beta; their posterior means exist
    where those of alpha and beta do not. Under complete pooling only the mean can move, and the
    others are NaN.

    Args:
        fit: By quadrature, a sampler or Type-2 maximum likelihood.
        of: Labels of units whose posterior mean rate is followed too.

    Returns:
        One row a unit: label, successes, trials, then derivatives of logit_mean,
        log_concentration, mean, log_alpha, log_beta (posterior means, or estimates), of
        log_evidence (of a maximum: the log-marginal likelihood), and `rate of LABEL` for every
        unit of `of`.

    Raises:
        InferenceError: If the method failed, is moments, or did not reach a maximum.
        DataError: If there is no unit, or more than one, of a label.

    Example:
        >>> import hierjax as hj
        >>> rats = hj.datasets.rat_tumors(current=True)
        >>> table = hj.fit(rats).influence()
        >>> j = int(abs(table["log_alpha"]).argmax())
        >>> print(table["successes"][j], table["trials"][j], f"{table['log_alpha'][j]:.4f}")
        0 20 -0.0777
    """
    _require_likelihood(fit)
    labels = [of] if isinstance(of, str) else list(of)
    followed = positions(fit.counts, labels)
    counts, dtype = fit.counts, fit.dtype
    columns = np.stack([counts.successes, counts.trials])
    pairs, inverse = np.unique(columns, axis=1, return_inverse=True)
    # Whole batches: a remainder would be compiled apart.
    padded = np.pad(pairs, ((0, 0), (0, -pairs.shape[1] % _BATCH)))
    on_device = (pair_arrays(columns[:, followed], dtype), pair_arrays(padded, dtype))
    rows = (_of_maximum if fit.is_point else _of_posterior)(fit, *on_device)
    values = np.asarray(rows, np.float64)[inverse.ravel()].T
    given = {"label": counts.labels, "successes": counts.successes, "trials": counts.trials}
    return Table({**given, **columns_of(values, labels)})


def columns_of(
    values: Float[np.ndarray, "columns rows"], labels: list[str]
) -> dict[str, np.ndarray]:
    """Names of the derivatives, the evidence's moved in front of the rates'."""
    hyper, rates, evidence = np.split(values, [len(ANSWERS), len(values) - 1])
    names = [*ANSWERS, "log_evidence", *(f"rate of {label}" for label in labels)]
    return dict(zip(names, [*hyper, *evidence, *rates], strict=True))


def _require_likelihood(fit: "Fit") -> None:
    if fit.method.name == "moments":
        raise InferenceError(
            "moments: no likelihood whose derivatives could be taken; use quadrature or type2_mle"
        )


def positions(counts: Counts, labels: list[str]) -> list[int]:
    """Where the units of these labels are; refuses a label of none or of several."""
    found = []
    for label in labels:
        where = np.flatnonzero(counts.labels == str(label))
        if len(where) != 1:
            hint = "" if len(where) else did_you_mean(str(label), counts.labels.tolist())
            raise DataError(
                f"of: expected the label of one unit, found {label!r}, which {len(where)} "
                f"units have{hint}"
            )
        found.append(int(where[0]))
    return found


def pair_arrays(columns: np.ndarray, dtype: type) -> tuple[Float[Array, "_"], Float[Array, "_"]]:
    """Successes and trials on the device."""
    return jnp.asarray(columns[0], dtype), jnp.asarray(columns[1], dtype)


def support(fit: "Fit") -> tuple[Float[Array, "points 2"], Float[Array, "points"]]:
    """Points of the posterior that carry weight, and their weights."""
    points, weights = thinned(fit.posterior)
    return jnp.asarray(points, fit.dtype), jnp.asarray(weights, fit.dtype)


def _of_posterior(fit: "Fit", followed: Followed, pairs: Pairs) -> Float[Array, "pairs columns"]:
    return _covariances(fit.model.family, *support(fit), followed, pairs)


def _of_maximum(fit: "Fit", followed: Followed, pairs: Pairs) -> Float[np.ndarray, "pairs columns"]:
    eta = fit.posterior.points[0, 0]
    pooled = fit.result.status is Status.BOUNDARY
    if fit.result.covariance is None and not pooled:
        raise InferenceError(f"{fit.method.name}: no maximum to differentiate, {fit.message}")
    logs, scores, slopes = (
        np.asarray(values, np.float64)
        for values in _at_point(fit.model.family, jnp.asarray(eta), followed, pairs)
    )
    covariance = fit.result.covariance
    if pooled:
        a = np.ones(len(fit.counts)) if fit.counts.weights is None else fit.counts.weights
        m = 1 / (1 + np.exp(-float(eta[0])))
        covariance = np.diag([1 / (a @ fit.counts.trials * m * (1 - m)), 0.0])
    moved = scores @ np.asarray(covariance, np.float64) @ slopes.T
    if pooled:
        moved[:, [ANSWERS.index(name) for name in _CONCENTRATED]] = np.nan
    return np.column_stack([moved, logs])
