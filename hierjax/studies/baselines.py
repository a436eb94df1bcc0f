"""What partial pooling is compared with: every unit by itself, and one rate for all."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy.special import betaincinv, logit

from hierjax.asked import probability
from hierjax.inference.result import Status
from hierjax.studies.simulation import Simulated

__all__ = ["Baseline", "complete_pooling", "no_pooling", "pooled_rates", "raw_rates"]


@dataclass(frozen=True, eq=False)
class Baseline:
    """Answers that need no hierarchy; of the same form as those of `hierjax.fit_batch`.

    Attributes:
        status: `converged`, always.
        mean: Units' estimates; NaN beyond a data set's units.
        low: Lower ends of units' intervals.
        high: Upper ends.
        coordinates: Estimates of (logit_mean, log_concentration); NaN where there are none.
        coordinate_low: Lower ends of their intervals.
        coordinate_high: Upper ends.
    """

    status: Shaped[np.ndarray, "batch"]
    mean: Float[np.ndarray, "batch units"]
    low: Float[np.ndarray, "batch units"]
    high: Float[np.ndarray, "batch units"]
    coordinates: Float[np.ndarray, "batch 2"]
    coordinate_low: Float[np.ndarray, "batch 2"]
    coordinate_high: Float[np.ndarray, "batch 2"]


def raw_rates(simulated: Simulated) -> Float[np.ndarray, "batch units"]:
    """Successes over trials; NaN for units without trials.

    Args:
        simulated: The data sets.

    Returns:
        One rate a unit.
    """
    y, n = simulated.data_sets.successes, simulated.data_sets.trials
    return np.divide(y, n, out=np.full(y.shape, np.nan), where=n > 0)


def pooled_rates(simulated: Simulated) -> Float[np.ndarray, "batch"]:
    """Successes over trials of all units of a data set together; NaN where none has trials.

    Args:
        simulated: The data sets.

    Returns:
        One rate a data set.
    """
    y, n = (x.sum(axis=1) for x in (simulated.data_sets.successes, simulated.data_sets.trials))
    return np.divide(y, n, out=np.full(len(y), np.nan), where=n > 0)


def no_pooling(simulated: Simulated, level: float) -> Baseline:
    """Every unit by itself: raw rates, and intervals under Jeffreys's Beta(1/2, 1/2).

    A unit without trials has an interval and no estimate. There is no population.

    Args:
        simulated: The data sets.
        level: Probability of the equal-tailed intervals.

    Returns:
        Answers.

    Raises:
        ConfigError: If the level is not inside (0, 1).

    Example:
        >>> import jax
        >>> import hierjax as hj
        >>> from hierjax.studies.simulation import simulate_like
        >>> rats = hj.datasets.rat_tumors()
        >>> simulated = simulate_like(jax.random.key(0), rats, np.array([-1.8, 2.8]), 10)
        >>> no_pooling(simulated, level=0.9).low.shape
        (10, 70)
    """
    data_sets = simulated.data_sets
    low, high = _jeffreys(data_sets.successes, data_sets.trials, level)
    low, high = (np.where(data_sets.present, end, np.nan) for end in (low, high))
    none = np.full((len(simulated), 2), np.nan)
    return Baseline(_converged(simulated), raw_rates(simulated), low, high, none, none, none)


def complete_pooling(simulated: Simulated, level: float) -> Baseline:
    """One rate for all units: the pooled one, and its interval under Jeffreys's Beta(1/2, 1/2).

    Args:
        simulated: The data sets.
        level: Probability of the equal-tailed intervals.

    Returns:
        Answers; the log concentration is infinite, without an interval.

    Raises:
        ConfigError: If the level is not inside (0, 1).

    Example:
        >>> import jax
        >>> import hierjax as hj
        >>> from hierjax.studies.simulation import simulate_like
        >>> rats = hj.datasets.rat_tumors()
        >>> simulated = simulate_like(jax.random.key(0), rats, np.array([-1.8, 2.8]), 10)
        >>> answers = complete_pooling(simulated, level=0.9)
        >>> answers.coordinates[:, 1].min().item()
        inf
    """
    data_sets, pooled = simulated.data_sets, pooled_rates(simulated)
    totals = data_sets.successes.sum(axis=1), data_sets.trials.sum(axis=1)
    low, high = _jeffreys(*totals, level)

    def of_units(rates: Float[np.ndarray, "batch"]) -> Float[np.ndarray, "batch units"]:
        return np.where(data_sets.present, rates[:, None], np.nan)

    def of_population(
        rates: Float[np.ndarray, "batch"], log_concentration: float
    ) -> Float[np.ndarray, "batch 2"]:
        return np.stack([logit(rates), np.full(len(rates), log_concentration)], axis=1)

    return Baseline(
        _converged(simulated),
        of_units(pooled),
        of_units(low),
        of_units(high),
        of_population(pooled, np.inf),
        of_population(low, np.nan),
        of_population(high, np.nan),
    )


def _converged(simulated: Simulated) -> Shaped[np.ndarray, "batch"]:
    return np.full(len(simulated), str(Status.CONVERGED))


def _jeffreys(
    successes: Int[np.ndarray, "*units"], trials: Int[np.ndarray, "*units"], level: float
) -> tuple[Float[np.ndarray, "*units"], Float[np.ndarray, "*units"]]:
    """Both ends of intervals under Beta(1/2, 1/2), worked out once for equal counts."""
    tail = (1 - probability("level", level)) / 2
    pairs = np.stack([successes.ravel(), trials.ravel()])
    (y, n), places = np.unique(pairs, axis=1, return_inverse=True)
    ends = (betaincinv(y + 0.5, n - y + 0.5, p) for p in (tail, 1 - tail))
    low, high = (end[places.ravel()].reshape(successes.shape) for end in ends)
    return low, high
