"""Influence: how answers move with the weight of each unit, and with the hyperprior's parameters.

A derivative with respect to a unit's weight is its infinitesimal leave-one-out. Posterior means
move by a covariance under the posterior, maxima by the implicit function theorem; neither needs
another fit.
"""

import inspect
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hierjax.checks.loo import thinned
from hierjax.counts import Counts
from hierjax.errors import DataError, InferenceError, did_you_mean
from hierjax.families.beta_binomial import BetaBinomial
from hierjax.hyperpriors import Hyperprior
from hierjax.inference.result import Status
from hierjax.table import Table

if TYPE_CHECKING:
    from hierjax.fitting import Fit

__all__ = ["ANSWERS", "influence", "sensitivity"]

ANSWERS = ("logit_mean", "log_concentration", "mean", "log_alpha", "log_beta")
_BATCH = 8
_NUDGE = 1e-3

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
    centered = _centered(family, points, weights, followed)

    def one(pair: tuple[Float[Array, ""], Float[Array, ""]]) -> Float[Array, "columns"]:
        logs = jax.vmap(lambda eta: family.log_marginal(*pair, family.constrain(eta)))(points)
        expected = weights @ logs
        return jnp.append((logs - expected) @ centered, expected)

    return jax.lax.map(one, pairs, batch_size=_BATCH)


def _centered(
    family: BetaBinomial,
    points: Float[Array, "points 2"],
    weights: Float[Array, "points"],
    followed: Followed,
) -> Float[Array, "points answers"]:
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
    followed = _positions(fit.counts, labels)
    counts, dtype = fit.counts, fit.dtype
    columns = np.stack([counts.successes, counts.trials])
    pairs, inverse = np.unique(columns, axis=1, return_inverse=True)
    # Whole batches: a remainder would be compiled apart.
    padded = np.pad(pairs, ((0, 0), (0, -pairs.shape[1] % _BATCH)))
    on_device = (_arrays(columns[:, followed], dtype), _arrays(padded, dtype))
    rows = (_of_maximum if fit.is_point else _of_posterior)(fit, *on_device)
    values = np.asarray(rows, np.float64)[inverse.ravel()].T
    given = {"label": counts.labels, "successes": counts.successes, "trials": counts.trials}
    return Table({**given, **_columns(values, labels)})


def _columns(values: Float[np.ndarray, "columns rows"], labels: list[str]) -> dict[str, np.ndarray]:
    """Names of the derivatives, the evidence's moved in front of the rates'."""
    hyper, rates, evidence = np.split(values, [len(ANSWERS), len(values) - 1])
    names = [*ANSWERS, "log_evidence", *(f"rate of {label}" for label in labels)]
    return dict(zip(names, [*hyper, *evidence, *rates], strict=True))


def _require_likelihood(fit: "Fit") -> None:
    if fit.method.name == "moments":
        raise InferenceError(
            "moments: no likelihood whose derivatives could be taken; use quadrature or type2_mle"
        )


def _positions(counts: Counts, labels: list[str]) -> list[int]:
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


def _arrays(columns: np.ndarray, dtype: type) -> tuple[Float[Array, "_"], Float[Array, "_"]]:
    return jnp.asarray(columns[0], dtype), jnp.asarray(columns[1], dtype)


def _points(fit: "Fit") -> tuple[Float[Array, "points 2"], Float[Array, "points"]]:
    points, weights = thinned(fit.posterior)
    return jnp.asarray(points, fit.dtype), jnp.asarray(weights, fit.dtype)


def _of_posterior(fit: "Fit", followed: Followed, pairs: Pairs) -> Float[Array, "pairs columns"]:
    return _covariances(fit.model.family, *_points(fit), followed, pairs)


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


_CONCENTRATED = ("log_concentration", "log_alpha", "log_beta")


def sensitivity(fit: "Fit", of: str | Sequence[str] = ()) -> Table:
    r"""Derivative of answers with respect to the hyperprior's parameters.

    .. math:: \frac{\partial}{\partial\lambda} E[g(\eta) \mid Y] = \mathrm{Cov}\Big(g(\eta),
        \frac{\partial \log p(\eta \mid \lambda)}{\partial\lambda}\Big)

    and the mean of the second for log_evidence. NaN marks what does not exist: the evidence
    under an improper hyperprior, whose constant is arbitrary, and derivatives with respect to an
    end of a distribution's support (as of Uniform's), where the density jumps. Parameters are
    those that the distributions are made from, if they are numbers.

    Args:
        fit: By quadrature or a sampler.
        of: Labels of units whose posterior mean rate is followed too.

    Returns:
        One row a parameter: parameter, value, then derivatives as in `influence`.

    Raises:
        InferenceError: If the hyperprior does not enter the method.
        DataError: If there is no unit, or more than one, of a label.

    Example:
        >>> import hierjax as hj
        >>> table = hj.fit(hj.datasets.rat_tumors()).sensitivity()
        >>> print(table["parameter"][0], f"{table['log_concentration'][0]:.3f}")
        exponent -0.119
    """
    if fit.is_point:
        raise InferenceError(
            f"{fit.method.name}: the hyperprior does not enter, so nothing depends on it"
        )
    labels = [of] if isinstance(of, str) else list(of)
    columns = np.stack([fit.counts.successes, fit.counts.trials])[:, _positions(fit.counts, labels)]
    points, weights = _points(fit)
    centered = _centered(fit.model.family, points, weights, _arrays(columns, fit.dtype))
    hyperprior = fit.model.hyperprior
    parameters = dict(_parameters(hyperprior))
    rows = []
    for name, value in parameters.items():
        if _moves_support(hyperprior, name, value):
            rows.append(np.full(centered.shape[1] + 1, np.nan))
            continue
        slopes = _slopes(hyperprior, name, value, points)
        expected = weights @ slopes if hyperprior.proper else jnp.nan
        moved = (slopes - weights @ slopes) @ centered
        rows.append(np.append(np.asarray(moved, np.float64), float(expected)))
    values = np.array(rows).reshape(len(rows), centered.shape[1] + 1).T
    given = {"parameter": list(parameters), "value": list(parameters.values())}
    return Table({**given, **_columns(values, labels)})


def _slopes(
    hyperprior: Hyperprior, name: str, value: float, points: Float[Array, "points 2"]
) -> Float[Array, "points"]:
    """Derivative of the hyperprior's log-density with respect to one parameter, at all points."""

    def log_density(value: Float[Array, ""]) -> Float[Array, "points"]:
        return jax.vmap(_replaced(hyperprior, name, value).log_density)(points)

    return jax.jacfwd(log_density)(jnp.asarray(value, points.dtype))


def _parts(value: Any) -> dict[str, Any]:
    """What a hyperprior or a distribution is made from, by name."""
    if isinstance(value, Hyperprior):
        return dict(vars(value))
    names = [name for name in inspect.signature(type(value)).parameters if name != "validate_args"]
    return {name: getattr(value, name) for name in names if hasattr(value, name)}


def _is_number(value: Any) -> bool:
    return bool(np.size(value) == 1 and np.asarray(value).dtype.kind in "iuf")


def _parameters(value: Any, prefix: str = "") -> Iterator[tuple[str, float]]:
    from numpyro.distributions import Distribution

    for name, part in _parts(value).items():
        if isinstance(part, Distribution):
            yield from _parameters(part, f"{prefix}{name}.")
        elif _is_number(part):
            yield f"{prefix}{name}", float(part)


def _replaced(owner: Any, name: str, value: Any) -> Any:
    """The hyperprior or distribution with one parameter replaced, its value not looked at."""
    first, _, rest = name.partition(".")
    parts = _parts(owner)
    parts[first] = _replaced(parts[first], rest, value) if rest else value
    if isinstance(owner, Hyperprior):
        leaves, structure = jax.tree.flatten(owner, is_leaf=lambda x: x is not owner)
        return jax.tree.unflatten(structure, [parts[name] for name in vars(owner)][: len(leaves)])
    return type(owner)(**parts)


def _moves_support(hyperprior: Hyperprior, name: str, value: float) -> bool:
    """Whether an end of the support is where this parameter says."""
    first, _, rest = name.partition(".")
    if not rest:
        return False

    def ends(distribution: Any) -> list[float]:
        support = distribution.support
        bounds = (getattr(support, end, np.nan) for end in ("lower_bound", "upper_bound"))
        return [float(bound) for bound in bounds]

    owner = vars(hyperprior)[first]
    nudged = _replaced(owner, rest, value + _NUDGE * max(1.0, abs(value)))
    return not np.array_equal(ends(owner), ends(nudged), equal_nan=True)
