"""Leave-one-unit-out probability integral transform: where units fall among predictions."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hierjax.checks.loo import require_proper_without_one, thinned
from hierjax.families.beta_binomial import Population
from hierjax.families.protocol import AnyFamily
from hierjax.model import Model
from hierjax.observations import Observations
from hierjax.posterior import HyperPosterior

__all__ = ["LooPit", "loo_pit"]

_BATCH = 8
# Shorter tails are summed term by term. Longer ones are integrated from the first count on: a sum
# and the integral differ by 1/24 over the variance, which such tails make less than 1e-6.
_LONGEST, _FIRST = 100_000, 1_000
_NODES = 512
# Gauss-Legendre nodes this dense resolve a bell: those narrower are far from where tails end.
_RESOLVED = 0.7


@dataclass(frozen=True)
class LooPit:
    """Probability integral transforms of units, each predicted from the others.

    Counts are discrete, so each transform is an interval: if the model holds, a uniform number
    drawn from it is uniform on (0, 1). Of measurements both ends are the same number.

    Attributes:
        low: P(y' < y_j | y_-j).
        high: P(y' <= y_j | y_-j).
    """

    low: Float[np.ndarray, "units"]
    high: Float[np.ndarray, "units"]

    @property
    def mid(self) -> Float[np.ndarray, "units"]:
        """Halfway: P(y' < y_j | y_-j) + P(y' = y_j | y_-j) / 2."""
        return 0.5 * (self.low + self.high)

    def cdf(self, levels: Float[np.ndarray, "levels"]) -> Float[np.ndarray, "levels"]:
        """Mean distribution function of the transforms; of a good model about `levels` itself.

        The nonrandomised one of Czado, Gneiting & Held (2009), *Biometrics* 65, eq. 2 and 3:
        each unit's is 0 below its interval, 1 above, and linear within.

        Args:
            levels: Where, from 0 to 1.

        Returns:
            One value a level.
        """
        is_interval = self.high > self.low
        width = np.where(is_interval, self.high - self.low, 1.0)

        def below(level: float) -> Float[np.ndarray, "units"]:
            within = np.clip((level - self.low) / width, 0.0, 1.0)
            return np.where(is_interval, within, level > self.low)

        return np.array([np.mean(below(level)) for level in levels])


class _Tails:
    """Pairs turned so that fewer successes than failures are to be summed, shortest first."""

    def __init__(self, counts: Observations, turns: bool):
        (y, n, weight), inverse = _distinct(counts)
        flip = (2 * y > n) & turns
        k = np.where(flip, n - y, y)
        order = np.argsort(k, kind="stable")
        self.columns = k[order], n[order], weight[order], flip[order]
        self.place = np.argsort(order)[inverse.ravel()]
        self.short = int(np.searchsorted(self.columns[0], _LONGEST, side="right"))

    def batch(self, start: int, stop: int, dtype: type) -> tuple[Array, ...]:
        """Some of the pairs, padded to one size with the last of them."""
        missing = (0, _BATCH - (stop - start))
        padded = (np.pad(column[start:stop], missing, "edge") for column in self.columns)
        k, n, weight, flip = padded
        return *(jnp.asarray(values, dtype) for values in (k, n, weight)), jnp.asarray(flip)


def _distinct(
    counts: Observations,
) -> tuple[Float[np.ndarray, "3 pairs"], Int[np.ndarray, "units"]]:
    """Distinct values, sizes and weights, and which of them each unit has."""
    weights = np.ones(len(counts)) if counts.weights is None else counts.weights
    columns = np.stack([*counts.pair, weights])
    found, inverse = np.unique(columns, axis=1, return_inverse=True)
    return found, inverse.ravel()


def loo_pit(model: Model, counts: Observations, posterior: HyperPosterior, dtype: type) -> LooPit:
    r"""Where every unit falls in its prediction from the other units.

    .. math:: P(y' \le y_j \mid y_{-j}) = \frac{E\big[P(y' \le y_j \mid \eta)\,/\,
        p(y_j \mid \eta)\big]}{E\big[1 / p(y_j \mid \eta)\big]}

    over the posterior of eta given all units, the unit's parameter integrated out: by quadrature
    exact (Gelfand, Dey & Chang 1992), from draws an importance estimate, and at a point estimate
    not left out at all. Units of weight a are left out altogether, as in `hierjax.checks.loo`.

    Every distinct pair of counts is answered once. Of the successes and the failures the fewer
    are summed term by term, by the ratio of successive probabilities; where both exceed 10^5
    all but the first terms are replaced by their integral, which is good to 1e-6. Nothing of
    the length of the trials is stored. Events are summed likewise, from none on.

    Args:
        model: Family and hyperprior.
        counts: The units.
        posterior: Posterior of the hyperparameters.
        dtype: Floating type.

    Returns:
        Both ends of every unit's transform; 0 and 1 for a unit without trials.

    Raises:
        ModelError: If without one of the units the posterior would be improper.

    Example:
        >>> import hierjax as hj
        >>> pit = hj.fit(hj.datasets.rat_tumors(current=True)).loo_pit()
        >>> print(f"{pit.low[-1]:.3f} {pit.high[-1]:.3f}")
        0.817 0.905
    """
    require_proper_without_one(model, counts, posterior)
    points, weights = thinned(posterior)
    given = jnp.asarray(points, dtype), jnp.asarray(np.log(weights), dtype)
    if model.family.support == "reals":
        return _continuous(model.family, counts, *given, dtype)
    tails, found = _Tails(counts, model.family.support == "counts_up_to_size"), []
    for start in range(0, tails.short, _BATCH):
        stop = min(start + _BATCH, tails.short)
        batch = tails.batch(start, stop, dtype)
        steps = jnp.asarray(int(tails.columns[0][stop - 1]))
        found.append(_summed(model.family, *given, *batch, steps)[: stop - start])
    for start in range(tails.short, len(tails.columns[0])):
        k, n, weight, flip = (column[:1] for column in tails.batch(start, start + 1, dtype))
        found.append(_integrated(model.family, *given, k, n, weight, flip))
    ends = np.concatenate([np.asarray(part, np.float64) for part in found])[tails.place]
    return LooPit(ends[:, 0], ends[:, 1])


def _continuous(
    family: AnyFamily,
    counts: Observations,
    points: Float[Array, "points 2"],
    log_weights: Float[Array, "points"],
    dtype: type,
) -> LooPit:
    """Of measurements, which fall at a point of their predictions."""
    columns, inverse = _distinct(counts)
    missing = (0, -columns.shape[1] % _BATCH)
    padded = jnp.asarray(np.pad(columns, ((0, 0), missing), "edge"), dtype)
    found = np.asarray(_normal(family, points, log_weights, tuple(padded)), np.float64)[inverse]
    return LooPit(found, found)


@partial(jax.jit, static_argnums=0)
def _normal(
    family: AnyFamily,
    points: Float[Array, "points 2"],
    log_weights: Float[Array, "points"],
    rows: tuple[Float[Array, "pairs"], Float[Array, "pairs"], Float[Array, "pairs"]],
) -> Float[Array, "pairs"]:
    population = jax.vmap(family.constrain)(points)

    def one(row: tuple[Float[Array, ""], ...]) -> Float[Array, ""]:
        value, error, weight = row
        log_p = jax.vmap(family.log_marginal, in_axes=(None, None, 0))(value, error, population)
        others = jax.nn.softmax(log_weights - weight * log_p)
        sd = jnp.hypot(error, jnp.sqrt(population.dispersion))
        return jnp.sum(others * jax.scipy.special.ndtr((value - population.mean) / sd))

    return jax.lax.map(one, rows, batch_size=_BATCH)


def _populations(
    family: AnyFamily, points: Float[Array, "points 2"], flip: Bool[Array, "pairs"]
) -> Any:
    """Populations of the rarer outcome, one row a pair."""
    population = jax.vmap(family.constrain)(points)
    if family.support != "counts_up_to_size":
        shape = (len(flip), len(points))
        return jax.tree.map(lambda values: jnp.broadcast_to(values, shape), population)
    mean, complement, phi = population
    turned = flip[:, None]
    return Population(
        jnp.where(turned, complement, mean),
        jnp.where(turned, mean, complement),
        jnp.broadcast_to(phi, (len(flip), len(phi))),
    )


def _log_marginals(
    family: AnyFamily,
    k: Float[Array, "pairs"],
    n: Float[Array, "pairs"],
    population: Any,
) -> Float[Array, "pairs points"]:
    across = jax.vmap(family.log_marginal, in_axes=(None, None, 0))
    return jax.vmap(across)(k, n, population)


def _log_lower(
    family: AnyFamily,
    k: Float[Array, "pairs"],
    n: Float[Array, "pairs"],
    population: Any,
    log_p: Float[Array, "pairs points"],
    steps: Int[Array, ""],
) -> Float[Array, "pairs points"]:
    """log P(y' <= k), from the probability of k downwards."""
    # Terms grow without bound where k lies far above a population: they are kept in range.
    large = jnp.finfo(log_p.dtype).max ** 0.25

    def add(j: Int[Array, ""], state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        term, total, scale = state
        at = jnp.maximum(k - j, 0.0)[:, None]
        term *= family.ratio_below(at, n[:, None], population)
        total += term
        shrink = jnp.where(total > large, 1 / large, 1.0)
        return term * shrink, total * shrink, scale - jnp.log(shrink)

    start = (jnp.ones_like(log_p), jnp.ones_like(log_p), jnp.zeros_like(log_p))
    _, total, scale = jax.lax.fori_loop(0, steps, add, start)
    return jnp.minimum(log_p + jnp.log(total) + scale, 0.0)


def _ends(
    weights: Float[Array, "pairs points"],
    lower: Float[Array, "pairs points"],
    log_p: Float[Array, "pairs points"],
    flip: Bool[Array, "pairs"],
) -> Float[Array, "pairs 2"]:
    """Both ends from P(y' <= k) at every point, turned back where failures were summed."""
    high = jnp.sum(weights * lower, axis=1)
    low = jnp.maximum(high - jnp.sum(weights * jnp.exp(log_p), axis=1), 0.0)
    ends = jnp.where(flip, jnp.stack([1 - high, 1 - low]), jnp.stack([low, high]))
    return jnp.clip(ends.T, 0.0, 1.0)


@partial(jax.jit, static_argnums=0)
def _summed(
    family: AnyFamily,
    points: Float[Array, "points 2"],
    log_weights: Float[Array, "points"],
    k: Float[Array, "pairs"],
    n: Float[Array, "pairs"],
    weight: Float[Array, "pairs"],
    flip: Bool[Array, "pairs"],
    steps: Int[Array, ""],
) -> Float[Array, "pairs 2"]:
    population = _populations(family, points, flip)
    log_p = _log_marginals(family, k, n, population)
    others = jax.nn.softmax(log_weights - weight[:, None] * log_p, axis=1)
    return _ends(others, jnp.exp(_log_lower(family, k, n, population, log_p, steps)), log_p, flip)


@partial(jax.jit, static_argnums=0)
def _integrated(
    family: AnyFamily,
    points: Float[Array, "points 2"],
    log_weights: Float[Array, "points"],
    k: Float[Array, "1"],
    n: Float[Array, "1"],
    weight: Float[Array, "1"],
    flip: Bool[Array, "1"],
) -> Float[Array, "1 2"]:
    """As `_summed`, with the integral in place of all terms but the first.

    The places (log-odds, or logarithms) of real counts are stretched by a hyperbolic sine from
    where the tail ends.
    """
    population = _populations(family, points, flip)
    log_p = _log_marginals(family, k, n, population)
    others = jax.nn.softmax(log_weights - weight[:, None] * log_p, axis=1)

    first = jnp.full_like(k, _FIRST)
    log_first = _log_marginals(family, first, n, population)
    steps = jnp.asarray(_FIRST)
    lower = jnp.exp(_log_lower(family, first, n, population, log_first, steps))

    end, begin = (family.place_of((x + 0.5) / n) for x in (k, first))
    scale = 2 * jnp.exp(-0.5 * family.log_slope(family.place_of(k / n))) / jnp.sqrt(n)
    reach = jnp.arcsinh((end - begin) / scale)
    x, w = (jnp.asarray(values, k.dtype) for values in np.polynomial.legendre.leggauss(_NODES))
    hidden = 0.5 * reach * (x - 1)
    places = end + scale * jnp.sinh(hidden)
    counts = n * family.parameter_at(places)
    slope = n * jnp.exp(family.log_slope(places))
    measure = 0.5 * reach * w * slope * scale * jnp.cosh(hidden)

    # Far from the end nodes are sparse; a narrow population there is wholly on one side of it.
    away = jnp.hypot(scale, family.location(population) - end)
    least = _RESOLVED * away * reach * (np.pi / (2 * _NODES))
    enough = least**2 * family.unit_variance(population) - 1 / n
    wide = population._replace(dispersion=jnp.maximum(population.dispersion, enough))

    def density(count: Float[Array, ""]) -> Float[Array, "1 points"]:
        return jnp.exp(_log_marginals(family, count[None], n, wide))

    def add(total: Float[Array, "1 points"], node: tuple[Array, Array]) -> tuple[Array, None]:
        return total + node[1] * density(node[0]), None

    lower, _ = jax.lax.scan(add, lower, (counts, measure))
    return _ends(others, jnp.minimum(lower, 1.0), log_p, flip)
