"""Leave-one-unit-out prediction, by partial pooling and without a hierarchy."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hierjax.errors import ModelError
from hierjax.families import FAMILIES
from hierjax.families.protocol import AnyFamily
from hierjax.model import Model
from hierjax.observations import Observations
from hierjax.posterior import HyperPosterior

__all__ = ["Loo", "baselines", "loo"]

# Points that leave-one-out averages over; more draws are thinned evenly.
_MOST_POINTS = 8192
_BATCH = 8


@dataclass(frozen=True)
class Loo:
    """Leave-one-unit-out expected log predictive density.

    Attributes:
        elpd: Sum over units of log p(y_j | y_-j).
        se: Its standard error over units, sqrt(J) times their standard deviation.
        pointwise: The terms.
    """

    elpd: float
    se: float
    pointwise: Float[np.ndarray, "units"]

    @classmethod
    def of(cls, pointwise: Float[np.ndarray, "units"]) -> "Loo":
        """Sums the terms of all units."""
        se = float(np.sqrt(len(pointwise)) * np.std(pointwise, ddof=1))
        return cls(float(pointwise.sum()), se, pointwise)


@partial(jax.jit, static_argnums=0)
def _log_left_out(
    family: AnyFamily,
    points: Float[Array, "points 2"],
    log_weights: Float[Array, "points"],
    pairs: tuple[Float[Array, "pairs"], Float[Array, "pairs"], Float[Array, "pairs"]],
) -> Float[Array, "pairs"]:
    def one(pair: tuple[Float[Array, ""], ...]) -> Float[Array, ""]:
        y, n, weight = pair
        log_p = jax.vmap(lambda eta: family.log_marginal(y, n, family.constrain(eta)))(points)
        others = log_weights - weight * log_p
        return jax.nn.logsumexp(others + log_p) - jax.nn.logsumexp(others)

    return jax.lax.map(one, pairs, batch_size=_BATCH)


def loo(model: Model, counts: Observations, posterior: HyperPosterior, dtype: type) -> Loo:
    r"""Leave-one-unit-out elpd of partial pooling, each unit's parameter integrated out.

    .. math:: p(y_j \mid y_{-j}) = \Big(E\big[1 / p(y_j \mid \eta)\big]\Big)^{-1}

    over the posterior of eta given all units (Gelfand, Dey & Chang 1992). By quadrature this is
    exact; from draws it is an importance estimate. A point estimate plugs itself in, and is then
    not a leave-one-out prediction: its hyperparameters have seen the unit. A unit of weight a is
    left out altogether: E[p^(1 - a)] / E[p^(-a)].

    Args:
        model: Family and hyperprior.
        counts: The units.
        posterior: Posterior of the hyperparameters.
        dtype: Floating type.

    Returns:
        The elpd, its standard error and the units' terms.

    Raises:
        ModelError: If without one of the units the posterior would be improper.
    """
    weights = np.ones(len(counts)) if counts.weights is None else counts.weights
    require_proper_without_one(model, counts, posterior)
    columns = np.stack([*counts.pair, weights])
    pairs, inverse = np.unique(columns, axis=1, return_inverse=True)
    points, point_weights = thinned(posterior)
    with np.errstate(divide="ignore"):
        log_weights = np.log(point_weights)
    # Whole batches: a remainder would be compiled apart.
    padded = np.pad(pairs, ((0, 0), (0, -pairs.shape[1] % _BATCH)), "edge")
    arrays = tuple(jnp.asarray(row, dtype) for row in padded)
    left_out = _log_left_out(
        model.family, jnp.asarray(points, dtype), jnp.asarray(log_weights, dtype), arrays
    )
    return Loo.of(np.asarray(left_out, np.float64)[inverse.ravel()])


def require_proper_without_one(
    model: Model, counts: Observations, posterior: HyperPosterior
) -> None:
    """Refuses to leave units out of a posterior that would be improper without one of them.

    Args:
        model: Family and hyperprior.
        counts: The units.
        posterior: Posterior of the hyperparameters; of a point estimate nothing is asked.

    Raises:
        ModelError: If without one of the units the posterior would be improper.
    """
    weights = np.ones(len(counts)) if counts.weights is None else counts.weights
    inside = weights * model.family.on_host.informs(*counts.pair)
    j = int(np.argmax(inside))
    if posterior.weights.size > 1 and model.hyperprior.impropriety(inside.sum() - inside[j]):
        raise ModelError(
            f"leave-one-out: without unit {str(counts.labels[j])!r} the posterior is improper "
            "under this hyperprior; use a proper one"
        )


def thinned(posterior: HyperPosterior) -> tuple[np.ndarray, np.ndarray]:
    """Points that carry weight, or an evenly spaced subset of many draws."""
    points, weights = np.asarray(posterior.points).reshape(-1, 2), np.asarray(posterior.weights)
    kept = np.flatnonzero(weights.ravel() > 0)
    if len(kept) > _MOST_POINTS and np.ptp(weights) == 0:
        kept = kept[np.linspace(0, len(kept) - 1, _MOST_POINTS).astype(int)]
    weights = weights.ravel()[kept]
    return points[kept], weights / weights.sum()


def baselines(counts: Observations) -> dict[str, Loo]:
    r"""Leave-one-unit-out elpd without a hierarchy.

    No pooling gives each unit a parameter of its own, of which other units say nothing but its
    order of magnitude; complete pooling gives all units one parameter, whose posterior from the
    other units is conjugate.

    Of binomial counts both priors are uniform on (0, 1), so that without pooling
    p(y_j | y_-j) = 1 / (n_j + 1). Parameters without bounds have no such prior. Without pooling a
    rate of events is exponential, and an effect normal, with the mean, and in the latter case the
    variance, of what all other units are: (1 + their events) / their exposure; the average of
    their values, and of the squared distances from it and squared errors. The prior of the one
    rate, or effect, of complete pooling is flat.

    Args:
        counts: The units.

    Returns:
        `no_pooling` and `complete_pooling`.

    Example:
        >>> import hierjax as hj
        >>> for name, result in baselines(hj.datasets.rat_tumors()).items():
        ...     print(f"{name} {result.elpd:.2f}")
        no_pooling -222.30
        complete_pooling -171.32
    """
    family = FAMILIES[counts.family]
    weights = np.ones(len(counts)) if counts.weights is None else counts.weights
    value, size = (column.astype(float) for column in counts.pair)
    alone, together = family.on_host.baselines(value, size, weights)
    with jax.enable_x64(True):
        log_marginal = jax.jit(jax.vmap(family.log_marginal))

        def pointwise(prior: tuple[np.ndarray, np.ndarray]) -> Loo:
            population = family.population_at(*map(jnp.asarray, prior))
            return Loo.of(
                np.asarray(log_marginal(jnp.asarray(value), jnp.asarray(size), population))
            )

        return {"no_pooling": pointwise(alone), "complete_pooling": pointwise(together)}
