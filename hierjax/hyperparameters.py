"""Answers about the hyperparameters: estimates, intervals, and which of them exist."""

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import numpy as np
from jaxtyping import Float

from hierjax.inference.convergence import effective_sample_sizes
from hierjax.inference.quadrature import Lattice
from hierjax.lattice_quantiles import lattice_quantiles
from hierjax.posterior import HyperPosterior

__all__ = [
    "PARAMETERS",
    "lattice_quantiles",
    "parameter_values",
    "summarize_draws",
    "summarize_lattice",
    "summarize_point",
    "wald",
]

# Every one is a monotone function of a working coordinate, or of logit_mean in a lattice row.
PARAMETERS = ("logit_mean", "log_concentration", "mean", "concentration", "alpha", "beta")


def parameter_values(points: Float[np.ndarray, "*batch 2"]) -> dict[str, np.ndarray]:
    """Every hyperparameter at given working coordinates.

    Args:
        points: Working coordinates; an infinite log-concentration is complete pooling.

    Returns:
        Values by name, each of shape `batch`.

    Example:
        >>> values = parameter_values(np.array([0.0, np.log(2.0)]))
        >>> print(f"{values['alpha']:.3f} {values['beta']:.3f}")
        1.000 1.000
    """
    u, w = points[..., 0], points[..., 1]
    log_mean, log_complement = -np.logaddexp(0, -u), -np.logaddexp(0, u)
    with np.errstate(over="ignore"):
        values = (
            u,
            w,
            np.exp(log_mean),
            np.exp(w),
            np.exp(w + log_mean),
            np.exp(w + log_complement),
        )
    return dict(zip(PARAMETERS, values, strict=True))


def wald(
    eta: Float[np.ndarray, "2"], covariance: Float[np.ndarray, "2 2"], z: float
) -> dict[str, tuple[float, float, float]]:
    r"""Standard error and Wald interval of every hyperparameter of a point estimate.

    The delta method on a scale without bounds: logit for the mean, log for the others,

    .. math:: \log\alpha = w + \log m, \qquad \log\beta = w + \log(1 - m)

    Args:
        eta: Working coordinates.
        covariance: Their covariance, from the observed information.
        z: Normal quantile of the interval's upper end.

    Returns:
        Standard error, lower and upper end by name.
    """
    values = parameter_values(eta)
    m = values["mean"]
    slopes = {
        "logit_mean": (1.0, 0.0),
        "log_concentration": (0.0, 1.0),
        "mean": (1.0, 0.0),
        "concentration": (0.0, 1.0),
        "alpha": (1.0 - m, 1.0),
        "beta": (-m, 1.0),
    }
    result = {}
    for name, slope in slopes.items():
        direction = np.array(slope)
        error = float(np.sqrt(direction @ covariance @ direction))
        value = float(values[name])
        if name in ("logit_mean", "log_concentration"):
            result[name] = (error, value - z * error, value + z * error)
        elif name == "mean":
            ends = parameter_values(eta + np.outer((-z, z), (error, 0.0)))["mean"]
            result[name] = (error * m * (1 - m), float(ends[0]), float(ends[1]))
        else:
            low, high = value * np.exp(-z * error), value * np.exp(z * error)
            result[name] = (value * error, float(low), float(high))
    return result


Columns = dict[str, Float[np.ndarray, "parameters"]]
_DIAGNOSTICS = ("ess_bulk", "ess_tail", "r_hat")


def summarize_point(
    eta: Float[np.ndarray, "2"], covariance: Float[np.ndarray, "2 2"] | None, levels: np.ndarray
) -> Columns:
    """A point estimate, with Wald's intervals where it has a covariance.

    Args:
        eta: Working coordinates; an infinite log-concentration leaves its row and alpha's and
            beta's empty.
        covariance: Their covariance.
        levels: Probabilities of the lower end, the median and the upper end.

    Returns:
        The columns mean, median, and with a covariance sd, low and high.
    """
    values = np.array(list(parameter_values(eta).values()))
    values = np.where(np.isfinite(values), values, np.nan)
    columns = {"mean": values, "median": values.copy()}
    if covariance is not None:
        z = NormalDist().inv_cdf(levels[2])
        errors = wald(eta, np.asarray(covariance, np.float64), z)
        ends = np.array([errors[name] for name in PARAMETERS]).T
        columns |= dict(zip(("sd", "low", "high"), ends, strict=True))
    return columns


def summarize_draws(
    draws: Float[np.ndarray, "chains draws 2"],
    levels: np.ndarray,
    diagnostics: Mapping[str, Any],
) -> Columns:
    """Moments, quantiles and diagnostics of draws.

    Args:
        draws: Working coordinates.
        levels: Probabilities.
        diagnostics: Effective sample sizes and R-hat of both working coordinates. Ranks do not
            change under monotone maps, so the mean and the concentration have the same.

    Returns:
        All columns.
    """
    values = parameter_values(np.asarray(draws, np.float64))
    stacked = np.array([value.ravel() for value in values.values()])
    quantiles = np.quantile(stacked, levels, axis=1)
    judged = [[diagnostics[name][row] for name in _DIAGNOSTICS] for row in (0, 1, 0, 1)]
    judged += [list(effective_sample_sizes(values[name])) for name in ("alpha", "beta")]
    columns = {"mean": stacked.mean(axis=1), "sd": stacked.std(axis=1)}
    columns |= dict(zip(("low", "median", "high"), quantiles, strict=True))
    return columns | dict(zip(_DIAGNOSTICS, np.array(judged).T, strict=True))


def summarize_lattice(posterior: HyperPosterior, places: Lattice, levels: np.ndarray) -> Columns:
    """Moments and quantiles of quadrature.

    Args:
        posterior: Nodes and weights.
        places: Where the nodes are.
        levels: Probabilities.

    Returns:
        The columns mean, sd, low, median and high.
    """
    weights = np.asarray(posterior.weights, np.float64)
    values = parameter_values(np.asarray(posterior.points, np.float64))
    stacked = np.where(weights > 0, np.array(list(values.values())), 0.0)
    mean = np.sum(weights * stacked, axis=(1, 2))
    variance = np.sum(weights * (stacked - mean[:, None, None]) ** 2, axis=(1, 2))
    quantiles = lattice_quantiles(posterior, places, levels)
    columns = {"mean": mean, "sd": np.sqrt(variance)}
    return columns | dict(zip(("low", "median", "high"), quantiles.T, strict=True))
