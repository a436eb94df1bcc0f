"""Averages over data sets, with standard errors that know that units of one are dependent."""

import numpy as np
from jaxtyping import Float

__all__ = ["ratio", "root"]

_ROUNDING = 1e-14


def ratio(
    numerators: Float[np.ndarray, "batch"], denominators: Float[np.ndarray, "batch"]
) -> tuple[float, float]:
    r"""Ratio of two sums over data sets, and its Monte Carlo standard error.

    .. math:: R = \frac{\sum_i a_i}{\sum_i b_i}, \qquad
        s^2 = \frac{B}{B - 1} \frac{\sum_i (a_i - R b_i)^2}{(\sum_i b_i)^2}

    over the B data sets of which b is not 0: the ratio estimator of cluster samples (Cochran 1977,
    *Sampling Techniques*, 3rd edition, eq. 9A.2 and 2.39).

    Args:
        numerators: a_i, such as the number of units covered in data set i.
        denominators: b_i, such as its number of units.

    Returns:
        Both; NaN where there is nothing to divide by, the error also where B is 1.

    Example:
        >>> ratio(np.array([1.0, 2.0]), np.array([2.0, 2.0]))
        (0.75, 0.25)
    """
    counted = denominators != 0
    batch, total = int(counted.sum()), float(denominators.sum())
    if not batch:
        return np.nan, np.nan
    value = float(numerators.sum()) / total
    if batch == 1:
        return value, np.nan
    squares = float(np.sum((numerators - value * denominators)[counted] ** 2))
    error = float(np.sqrt(batch / (batch - 1) * squares)) / total
    # What is the same in every data set has no error, whatever the rounding.
    return value, error if error > _ROUNDING * abs(value) else 0.0


def root(mean_square: float, error: float) -> tuple[float, float]:
    """Root of a mean square, and its standard error to first order.

    Args:
        mean_square: The mean square.
        error: Its standard error.

    Returns:
        Both; the error of 0 is NaN.

    Example:
        >>> root(4.0, 0.4)
        (2.0, 0.1)
    """
    value = float(np.sqrt(mean_square))
    return value, error / (2 * value) if value > 0 else np.nan
