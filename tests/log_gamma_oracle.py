"""Exact distributions of log-gamma and log-beta variates, and the test of draws against them.

Shared by the quick and the slow tests of `hierjax.log_gamma`.
"""

from collections.abc import Callable

import numpy as np
from scipy import special, stats

# Below this log the first term of the CDF's power series is exact to double precision, and SciPy's
# functions, which take the variate and not its logarithm, would soon underflow.
FIRST_TERM_ENOUGH = -40.0


def cdf_of_log_gamma(log_values: np.ndarray, shape: float) -> np.ndarray:
    """P(log G <= value) for G ~ Gamma(shape, 1)."""
    deep = np.minimum(log_values, FIRST_TERM_ENOUGH)
    first_term = np.exp(shape * deep - special.gammaln(shape + 1.0))
    full = special.gammainc(shape, np.exp(np.maximum(log_values, FIRST_TERM_ENOUGH)))
    return np.where(log_values < FIRST_TERM_ENOUGH, first_term, full)


def cdf_of_log_beta(log_values: np.ndarray, a: float, b: float) -> np.ndarray:
    """P(log theta <= value) for theta ~ Beta(a, b), from whichever of theta, 1 - theta is smaller.

    Theta near 1 has no digits to spare in double precision, but its logarithm has.
    """
    below_zero = np.minimum(log_values, -np.finfo(np.float64).tiny)
    near_one = below_zero > np.log(0.5)
    log_rest = np.log(-np.expm1(below_zero))
    lower = _lower_half_of_log_beta(np.where(near_one, np.log(0.5), below_zero), a, b)
    upper = 1.0 - _lower_half_of_log_beta(np.where(near_one, log_rest, np.log(0.5)), b, a)
    return np.where(log_values < 0.0, np.where(near_one, upper, lower), 1.0)


def _lower_half_of_log_beta(log_values: np.ndarray, a: float, b: float) -> np.ndarray:
    deep = np.minimum(log_values, FIRST_TERM_ENOUGH)
    first_term = np.exp(a * deep - np.log(a) - special.betaln(a, b))
    full = special.betainc(a, b, np.exp(np.maximum(log_values, FIRST_TERM_ENOUGH)))
    return np.where(log_values < FIRST_TERM_ENOUGH, first_term, full)


def kolmogorov_smirnov_p_value(draws: np.ndarray, cdf: Callable[[np.ndarray], np.ndarray]) -> float:
    """P-value of the two-sided Kolmogorov-Smirnov test, for draws rounded to their dtype.

    A draw stands for all reals that round to it, so the empirical CDF is compared half-way between
    neighbouring floats: at shape 1e8 a standard deviation is 50 spacings of float32, and comparing
    at the draws themselves would find that rounding. A test on a grid is at most as ready to reject
    as one on the line, so the p-value errs on the safe side. A device may flush subnormal numbers
    to zero, so zero stands for all of them.
    """
    assert np.isfinite(draws).all()
    tiny = np.finfo(draws.dtype).tiny
    values, counts = np.unique(np.where(np.abs(draws) < tiny, 0.0, draws), return_counts=True)
    assert values.dtype == draws.dtype
    at_or_below = np.cumsum(counts)
    below = at_or_below - counts
    half_spacing = 0.5 * np.spacing(np.abs(values)).astype(np.float64)
    half_spacing = np.where(values == 0.0, tiny, half_spacing)
    lower_edges = values.astype(np.float64) - half_spacing
    upper_edges = values.astype(np.float64) + half_spacing
    distance = max(
        np.abs(at_or_below / draws.size - cdf(upper_edges)).max(),
        np.abs(below / draws.size - cdf(lower_edges)).max(),
    )
    return float(stats.kstwo.sf(distance, draws.size))
