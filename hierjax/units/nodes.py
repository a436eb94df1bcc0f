"""Nodes of Beta distributions, for integrals over a rate on the host."""

import numpy as np
from jaxtyping import Float
from scipy.special import betainc, betaincc, betaln, expit

__all__ = ["below_log_odds", "beta_nodes", "log_kernel"]

# Fewest and most nodes, and their distance in the stretched coordinate.
_FEWEST, _MOST, _STEP = 40, 160, 0.12
# How many widths nodes reach, beyond exponential tails of so many lengths, and the largest width
# of a density's bulk: shapes below one only lengthen its tails.
_REACH, _LENGTHS, _BULK = 7.0, 20.0, 1.5
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
        Log-odds of rates, and their shares of each distribution, which sum to one.
    """
    width = np.minimum(np.sqrt(1 / alpha + 1 / beta), _BULK)
    left, right = (_REACH * width + _LENGTHS / shape for shape in (alpha, beta))
    start, end = -np.arcsinh(left / (2 * width)), np.arcsinh(right / (2 * width))
    size = int(np.clip(np.max(end - start) / _STEP, _FEWEST, _MOST))
    hidden = np.linspace(start, end, size, axis=1)
    # Where the tail of a small shape begins, not at the mode, which is far out in it.
    center = np.log((alpha + 0.5) / (beta + 0.5))[:, None]
    log_odds = center + 2 * width[:, None] * np.sinh(hidden)
    distance = log_odds - np.log(alpha / beta)[:, None]
    # Relative to the mean's: alpha d + (alpha + beta) log(1 - theta), which does not cancel.
    rate = (alpha / (alpha + beta))[:, None]
    lost = np.where(
        distance < _FAR,
        np.log1p(rate * np.expm1(np.minimum(distance, _FAR))),
        distance + np.log(rate),
    )
    log_density = alpha[:, None] * distance - (alpha + beta)[:, None] * lost
    highest = log_density.max(axis=1, keepdims=True)
    shares = np.exp(log_density - highest) * np.cosh(hidden)
    return log_odds, shares / shares.sum(axis=1, keepdims=True)


def below_log_odds(
    alpha: Float[np.ndarray, "points 1"],
    beta: Float[np.ndarray, "points 1"],
    log_odds: Float[np.ndarray, "#points nodes"],
) -> Float[np.ndarray, "points nodes"]:
    """Distribution functions of Betas, also at rates that round to 0 or 1.

    Args:
        alpha: First shapes.
        beta: Second shapes.
        log_odds: Log-odds of rates.

    Returns:
        P(theta < rate).
    """
    below = np.where(
        log_odds < 0,
        betainc(alpha, beta, expit(log_odds)),
        betaincc(beta, alpha, expit(-log_odds)),
    )
    # So far out the tails are exponential to all digits.
    left = np.exp(alpha * np.minimum(log_odds, -_FAR) - np.log(alpha) - betaln(alpha, beta))
    right = np.exp(-beta * np.maximum(log_odds, _FAR) - np.log(beta) - betaln(alpha, beta))
    return np.where(log_odds < -_FAR, left, np.where(log_odds > _FAR, 1 - right, below))


def log_kernel(
    alpha: Float[np.ndarray, "units points"],
    beta: Float[np.ndarray, "units points"],
    center: Float[np.ndarray, "units"],
    log_odds: Float[np.ndarray, "units nodes"],
) -> Float[np.ndarray, "units points nodes"]:
    r"""Logs of Beta densities of the log-odds z, but for constants.

    .. math:: (\alpha - (\alpha + \beta) r) (z - z_0) - (\alpha + \beta)\,[
        \log(1 + r (e^{z - z_0} - 1)) - r (z - z_0)]

    where r is the rate at the center: the bracket, small where the density is not, is the same
    for all points.

    Args:
        alpha: First shapes.
        beta: Second shapes.
        center: Log-odds among each unit's components.
        log_odds: Nodes of each unit.

    Returns:
        The logs.
    """
    distance = log_odds - center[:, None]
    rate, rest = expit(center)[:, None], expit(-center)[:, None]
    bend = np.where(
        distance < _FAR,
        np.log1p(rate * np.expm1(np.minimum(distance, _FAR))),
        distance + np.log(rate),
    )
    bend -= rate * distance
    lean = alpha * rest - beta * rate
    return lean[..., None] * distance[:, None] - (alpha + beta)[..., None] * bend[:, None]
