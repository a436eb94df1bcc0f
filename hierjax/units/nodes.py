"""Nodes of Beta distributions, for integrals over a rate on the host."""

import numpy as np
from jaxtyping import Float
from scipy.special import expit

__all__ = ["beta_nodes"]

# Nodes, and how many standard deviations they reach beyond exponential tails of 20 lengths.
_NODES, _REACH = 40, 7.0
# The exponential of more overflows.
_FAR = 600.0


def beta_nodes(
    alpha: Float[np.ndarray, "points"], beta: Float[np.ndarray, "points"]
) -> tuple[Float[np.ndarray, "points nodes"], Float[np.ndarray, "points nodes"]]:
    """The trapezoidal rule of Beta distributions in log-odds stretched by a hyperbolic sine.

    Args:
        alpha: First shapes.
        beta: Second shapes.

    Returns:
        Rates, and their shares of each distribution, which sum to one.
    """
    width = np.sqrt(1 / alpha + 1 / beta)
    reach = _REACH * width
    start = -np.arcsinh((reach + 20 / alpha) / (2 * width))
    end = np.arcsinh((reach + 20 / beta) / (2 * width))
    hidden = np.linspace(start, end, _NODES, axis=1)
    distance = 2 * width[:, None] * np.sinh(hidden)
    logit = np.log(alpha / beta)[:, None] + distance
    # Relative to the mean's: alpha d + (alpha + beta) log(1 - theta), which does not cancel.
    rate = (alpha / (alpha + beta))[:, None]
    lost = np.where(
        distance < _FAR,
        np.log1p(rate * np.expm1(np.minimum(distance, _FAR))),
        distance + np.log(rate),
    )
    log_density = alpha[:, None] * distance - (alpha + beta)[:, None] * lost
    shares = np.exp(log_density) * np.cosh(hidden)
    return expit(logit), shares / shares.sum(axis=1, keepdims=True)
