"""Predictive probabilities of counts that are not there yet."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key
from scipy.special import betainc, expit

from hierjax.families.beta_binomial import BetaBinomial
from hierjax.posterior import HyperPosterior
from hierjax.tally import distinct_pairs
from hierjax.units.answers import Columns, Units
from hierjax.units.nodes import below_log_odds, beta_nodes

__all__ = ["draw_successes", "log_predictive", "predict_successes"]

# Up to here all outcomes are enumerated.
_MOST_OUTCOMES = 10_000
Shapes = tuple[Float[np.ndarray, "points"], Float[np.ndarray, "points"]]


@partial(jax.jit, static_argnums=0)
def log_predictive(
    family: BetaBinomial,
    posterior: HyperPosterior,
    new_successes: Float[Array, "points"],
    new_trials: Float[Array, ""],
    successes: Float[Array, ""],
    trials: Float[Array, ""],
) -> Float[Array, "points"]:
    """Log-probability of a unit's next counts, given the counts it has.

    Args:
        family: Conjugate family.
        posterior: Posterior of the hyperparameters.
        new_successes: Possible numbers of successes.
        new_trials: Number of next trials.
        successes: y so far; 0 with no trials for a new unit.
        trials: n so far.

    Returns:
        One log-probability for every entry of `new_successes`.
    """
    points = posterior.points.reshape(-1, 2)
    log_weights = jnp.log(posterior.weights.ravel())

    def at(k: Float[Array, ""]) -> Float[Array, ""]:
        def one(eta: Float[Array, "2"]) -> Float[Array, ""]:
            return family.log_predictive(k, new_trials, successes, trials, family.constrain(eta))

        return jax.nn.logsumexp(jax.vmap(one)(points) + log_weights)

    return jax.lax.map(at, new_successes)


def predict_successes(
    units: Units, y: Int[np.ndarray, "units"], n: Int[np.ndarray, "units"], m: int, level: float
) -> Columns:
    r"""Moments and quantiles of the successes in each unit's next m trials.

    .. math:: E[K] = m E[\theta], \qquad
        Var[K] = m E[\theta(1 - \theta)] + m^2 Var[\theta]

    Args:
        units: Answers about units.
        y: Successes so far.
        n: Trials so far.
        m: Number of next trials.
        level: Probability between the lower and the upper quantile.

    Returns:
        Columns mean, sd, low, median and high; quantiles are the smallest numbers whose
        probability of not being exceeded reaches 1/2 of 1 - level, 1/2, and the rest.
    """
    moments = units.moments(y, n)
    mean, variance = (np.asarray(x, float) for x in (moments["mean"], moments["sd"] ** 2))
    sd = np.sqrt(m * (mean * (1 - mean) - variance) + m**2 * variance)
    pairs, inverse = distinct_pairs(y, n)
    levels = np.array([(1 - level) / 2, 0.5, (1 + level) / 2])
    found = np.array([_quantiles(units, pair, m, levels) for pair in pairs.T.astype(float)])
    ends = dict(zip(("low", "median", "high"), found[inverse].T, strict=True))
    return {"mean": m * mean, "sd": sd, **ends}


def _shapes(units: Units, pair: Float[np.ndarray, "2"]) -> tuple[np.ndarray, Shapes]:
    """Weights and shapes of the unit's posterior at every point that has weight."""
    mixture, (y, n) = units.coarse_mixture, pair
    kept = mixture.weights > 0
    u, w = mixture.points[kept].T
    # Concentrations beyond that pool completely, to all digits of a count.
    concentration = np.exp(np.minimum(w, 36.0))
    alpha = concentration / (1 + np.exp(-u)) + y
    return mixture.weights[kept], (alpha, concentration / (1 + np.exp(u)) + n - y)


def _quantiles(
    units: Units, pair: Float[np.ndarray, "2"], m: int, levels: Float[np.ndarray, "levels"]
) -> Int[np.ndarray, "levels"]:
    weights, shapes = _shapes(units, pair)
    if m <= _MOST_OUTCOMES:
        total = np.cumsum(weights @ _probabilities(*shapes, m))
        # The sum of all may round to less than one.
        return np.minimum(np.searchsorted(total, levels * total[-1]), m)
    low, high = np.full(len(levels), -1), np.full(len(levels), m)
    while np.any(high - low > 1):
        middle = (low + high) // 2
        under = np.array([_below(weights, shapes, m, int(k)) for k in middle]) < levels
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    return high


def _probabilities(
    alpha: Float[np.ndarray, "points"], beta: Float[np.ndarray, "points"], m: int
) -> Float[np.ndarray, "points outcomes"]:
    """Beta-binomial probabilities of 0 to m, by the ratios of neighbours."""
    k = np.arange(m)
    ratios = np.log((m - k) / (k + 1.0)) + np.log(
        (alpha[:, None] + k) / (beta[:, None] + (m - 1 - k))
    )
    logs = np.pad(np.cumsum(ratios, axis=1), ((0, 0), (1, 0)))
    values = np.exp(logs - logs.max(axis=1, keepdims=True))
    return values / values.sum(axis=1, keepdims=True)


def _below(weights: np.ndarray, shapes: Shapes, m: int, k: int) -> float:
    """P(K <= k), integrated over the narrower of the rate and what the trials show of it."""
    alpha, beta = shapes
    if k >= m:
        return 1.0
    if m > weights @ (alpha + beta):
        log_odds, shares = beta_nodes(np.array([k + 1.0]), np.array([float(m - k)]))
        return float(
            weights @ (below_log_odds(alpha[:, None], beta[:, None], log_odds) @ shares[0])
        )
    log_odds, shares = beta_nodes(alpha, beta)
    return float(weights @ np.sum(shares * betainc(m - k, k + 1, expit(-log_odds)), axis=1))


def draw_successes(
    units: Units, pair: tuple[int, int], m: int, key: Key[Array, ""], draws: int
) -> Int[np.ndarray, "draws"]:
    """Draws of the successes in a unit's next m trials; see `_shapes` for its posterior."""
    weights, (alpha, beta) = _shapes(units, np.array(pair, float))
    generator = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    at = generator.choice(len(weights), draws, p=weights / weights.sum())
    return generator.binomial(m, generator.beta(alpha[at], beta[at]))
