"""Influence: how answers move with the weight of each unit.

A derivative with respect to a unit's weight is its infinitesimal leave-one-out. Answers of a
posterior move by a covariance under it, maxima by the implicit function theorem; neither needs
another fit.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hierjax.effects import posterior_effects
from hierjax.errors import InferenceError
from hierjax.families.protocol import AnyFamily
from hierjax.followed import Followed, New
from hierjax.maxima import estimate_moves
from hierjax.table import Table

if TYPE_CHECKING:
    from hierjax.fitting import Fit

__all__ = ["columns_of", "influence"]

_BATCH = 8

Pairs = tuple[Float[Array, "pairs"], Float[Array, "pairs"]]


@partial(jax.jit, static_argnums=0)
def _covariances(
    family: AnyFamily,
    points: Float[Array, "points 2"],
    weights: Float[Array, "points"],
    centered: Float[Array, "points answers"],
    pairs: Pairs,
) -> Float[Array, "pairs columns"]:
    """Covariance of every answer with log p(y_j | eta), and the latter's mean."""

    def one(pair: tuple[Float[Array, ""], Float[Array, ""]]) -> Float[Array, "columns"]:
        logs = jax.vmap(lambda eta: family.log_marginal(*pair, family.constrain(eta)))(points)
        expected = weights @ logs
        return jnp.append((logs - expected) @ centered, expected)

    return jax.lax.map(one, pairs, batch_size=_BATCH)


def influence(
    fit: "Fit",
    of: str | Sequence[str] = (),
    *,
    new: New = (),
    levels: float | Sequence[float] = (),
    above: float | Sequence[float] = (),
) -> Table:
    r"""Derivative of answers with respect to the weight a_j of every unit.

    Under a posterior, for any function g of the hyperparameters,

    .. math:: \frac{\partial}{\partial a_j} E[g(\eta) \mid Y] = \mathrm{Cov}\big(g(\eta),
        \log p(y_j \mid \eta)\big), \qquad
        \frac{\partial}{\partial a_j} \log p(Y) = E[\log p(y_j \mid \eta)]

    exact on the lattice of quadrature, and estimated from a sampler's draws. A probability that a
    rate exceeds c is such a mean, of :math:`g = P(\theta > c \mid \eta)`, and a quantile q at level
    p, where the distribution function F has the value p, moves by

    .. math:: \frac{\partial q}{\partial a_j} = -\frac{1}{F'(q)}
        \frac{\partial F(q)}{\partial a_j}

    A maximum of the log-marginal with observed information H moves by the implicit function
    theorem,

    .. math:: \frac{\partial \hat\eta}{\partial a_j} = H^{-1} \nabla \log p(y_j \mid \hat\eta)

    and all that is plugged into, Wald's quantiles and `Fit.corrected` included, moves with it.
    Leaving a unit out altogether changes an answer by about minus its row. The weight is that in
    the likelihood of the hyperparameters: a unit's own rate keeps its counts. The columns
    log_alpha and log_beta are relative changes of alpha and beta; their posterior means exist
    where those of alpha and beta do not. Under complete pooling only the mean can move, the other
    hyperparameters are NaN, and so are Wald's quantiles.

    Args:
        fit: By quadrature, a sampler or Type-2 maximum likelihood.
        of: Labels of units whose rate is followed too.
        new: Value and size of new units whose rate is followed, as (4, 14) or a list of such.
        levels: Probabilities of quantiles that are followed, of all hyperparameters and rates.
        above: Thresholds that rates may exceed.

    Returns:
        One row a unit: label, successes, trials (or as their family calls them), then derivatives
        of the family's hyperparameters (posterior means, or estimates), of binomial counts
        logit_mean, log_concentration, mean, log_alpha, log_beta, of
        log_evidence (of a maximum: the log-marginal likelihood), and of the mean `rate of LABEL`
        for every unit of `of`, `rate of 4/14` for one of `new`. For every level `50% of alpha`,
        likewise of logit_mean, log_concentration, mean, concentration, beta and the rates; for
        every threshold `P(rate of LABEL > 0.2)`.

    Raises:
        InferenceError: If the method failed, is moments, or did not reach a maximum.
        DataError: If there is no unit, or more than one, of a label, or a new unit's counts break
            a rule.
        ConfigError: If a level or a threshold is out of its range, or anything is asked twice.

    Example:
        >>> import hierjax as hj
        >>> rats = hj.datasets.rat_tumors(current=True)
        >>> table = hj.fit(rats).influence(levels=0.5)
        >>> j = int(abs(table["50% of alpha"]).argmax())
        >>> print(table["successes"][j], table["trials"][j], f"{table['50% of alpha'][j]:.4f}")
        0 20 -0.1692
    """
    _require_likelihood(fit)
    asked = Followed.of(fit.counts, of, new, levels, above, fit.model.family)
    counts, dtype = fit.counts, fit.dtype
    columns = np.stack(counts.pair)
    pairs, inverse = np.unique(columns, axis=1, return_inverse=True)
    inverse = inverse.ravel()
    a = np.ones(len(counts)) if counts.weights is None else counts.weights
    total = np.bincount(inverse, a, pairs.shape[1])
    # Whole batches: a remainder would be compiled apart.
    missing = (0, -pairs.shape[1] % _BATCH)
    padded = np.pad(pairs.astype(float), ((0, 0), missing), "edge")
    if fit.is_estimate:
        values = estimate_moves(fit, asked, padded, np.pad(total, missing))
    else:
        on_device = (jnp.asarray(padded[0], dtype), jnp.asarray(padded[1], dtype))
        effects = posterior_effects(fit, asked)
        values = np.asarray(_covariances(fit.model.family, *effects, on_device), np.float64)
    return Table({**fit._counted, **columns_of(values[inverse].T, asked)})


def columns_of(
    values: Float[np.ndarray, "columns rows"], asked: Followed
) -> dict[str, Float[np.ndarray, "rows"]]:
    """The derivatives by their names, the evidence's moved from the end to its place.

    Args:
        values: One row an answer.
        asked: What was followed.

    Returns:
        Columns of a table.
    """
    count = len(asked.family.hyperparameters.answers)
    hyper, rest, evidence = np.split(values, [count, len(values) - 1])
    return dict(zip(asked.columns, [*hyper, *evidence, *rest], strict=True))


def _require_likelihood(fit: "Fit") -> None:
    if fit.method.name == "moments":
        raise InferenceError(
            "moments: no likelihood whose derivatives could be taken; use quadrature or type2_mle"
        )
