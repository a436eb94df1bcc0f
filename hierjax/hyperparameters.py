"""Answers about the hyperparameters: estimates, intervals, and which of them exist."""

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import numpy as np
from jaxtyping import Float

from hierjax.families.beta_binomial import BetaBinomial
from hierjax.families.hyperparameters import Hyperparameters
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
    "without_moments",
]

_BETA_BINOMIAL = BetaBinomial.hyperparameters
PARAMETERS = _BETA_BINOMIAL.names


def parameter_values(
    points: Float[np.ndarray, "*batch 2"], reported: Hyperparameters = _BETA_BINOMIAL
) -> dict[str, np.ndarray]:
    """Every hyperparameter at given working coordinates.

    Args:
        points: Working coordinates; an infinite log-concentration is complete pooling.
        reported: The family's hyperparameters.

    Returns:
        Values by name, each of shape `batch`.

    Example:
        >>> values = parameter_values(np.array([0.0, np.log(2.0)]))
        >>> print(f"{values['alpha']:.3f} {values['beta']:.3f}")
        1.000 1.000
    """
    return reported.values(points)


def wald(
    eta: Float[np.ndarray, "2"],
    covariance: Float[np.ndarray, "2 2"],
    z: float,
    reported: Hyperparameters = _BETA_BINOMIAL,
) -> dict[str, tuple[float, float, float]]:
    r"""Standard error and Wald interval of every hyperparameter of a point estimate.

    The delta method on a scale without bounds, which is the hyperparameter's direction d(eta):

    .. math:: d(\hat\eta) \pm z \sqrt{\nabla d^T \, \Sigma \, \nabla d}

    Args:
        eta: Working coordinates.
        covariance: Their covariance, from the observed information.
        z: Normal quantile of the interval's upper end.
        reported: The family's hyperparameters.

    Returns:
        Standard error, lower and upper end by name.
    """
    result = {}
    for parameter in reported.each:
        direction, scale = parameter.direction, parameter.scale
        center, gradient = direction(eta), direction.gradient(eta)
        error = np.sqrt(gradient @ covariance @ gradient)
        slope = scale.slope(scale.inverse(center))
        low, high = (float(scale.inverse(center + side * error)) for side in (-z, z))
        result[parameter.name] = (float(slope * error), low, high)
    return result


Columns = dict[str, Float[np.ndarray, "parameters"]]
_DIAGNOSTICS = ("ess_bulk", "ess_tail", "r_hat")


def without_moments(
    columns: Columns,
    concentration: int,
    mean: int,
    reported: Hyperparameters = _BETA_BINOMIAL,
) -> Columns:
    """Empties what does not exist: numbers found for it would mean nothing.

    Args:
        columns: Of a summary of a posterior.
        concentration: How many moments exist of the concentration.
        mean: How many of the population's mean.
        reported: The family's hyperparameters.

    Returns:
        The columns, with NaN for the means and standard deviations that do not exist.
    """
    columns = dict(columns)
    for column, order in (("mean", 1), ("sd", 2)):
        missing = [
            (parameter.grows and concentration < order) or (parameter.spreads and mean < order)
            for parameter in reported.each
        ]
        columns[column] = np.where(missing, np.nan, columns[column])
    return columns


def summarize_point(
    eta: Float[np.ndarray, "2"],
    covariance: Float[np.ndarray, "2 2"] | None,
    levels: np.ndarray,
    reported: Hyperparameters = _BETA_BINOMIAL,
) -> Columns:
    """A point estimate, with Wald's intervals where it has a covariance.

    Args:
        eta: Working coordinates; an infinite log-concentration leaves its row, and those of all
            that grow with it, empty.
        covariance: Their covariance.
        levels: Probabilities of the lower end, the median and the upper end.
        reported: The family's hyperparameters.

    Returns:
        The columns mean, median, and with a covariance sd, low and high.
    """
    values = np.array(list(reported.values(eta).values()))
    values = np.where(np.isfinite(values), values, np.nan)
    columns = {"mean": values, "median": values.copy()}
    if covariance is not None:
        z = NormalDist().inv_cdf(levels[2])
        errors = wald(eta, np.asarray(covariance, np.float64), z, reported)
        ends = np.array([errors[name] for name in reported.names]).T
        columns |= dict(zip(("sd", "low", "high"), ends, strict=True))
    return columns


def summarize_draws(
    draws: Float[np.ndarray, "chains draws 2"],
    levels: np.ndarray,
    diagnostics: Mapping[str, Any],
    reported: Hyperparameters = _BETA_BINOMIAL,
) -> Columns:
    """Moments, quantiles and diagnostics of draws.

    Args:
        draws: Working coordinates.
        levels: Probabilities.
        diagnostics: Effective sample sizes and R-hat of both working coordinates. Ranks do not
            change under monotone maps, so functions of one coordinate have the same.
        reported: The family's hyperparameters.

    Returns:
        All columns.
    """
    values = reported.values(np.asarray(draws, np.float64))
    stacked = np.array([value.ravel() for value in values.values()])
    quantiles = np.quantile(stacked, levels, axis=1)
    judged = [
        list(effective_sample_sizes(values[parameter.name]))
        if (row := parameter.direction.follows) is None
        else [diagnostics[name][row] for name in _DIAGNOSTICS]
        for parameter in reported.each
    ]
    columns = {"mean": stacked.mean(axis=1), "sd": stacked.std(axis=1)}
    columns |= dict(zip(("low", "median", "high"), quantiles, strict=True))
    return columns | dict(zip(_DIAGNOSTICS, np.array(judged).T, strict=True))


def summarize_lattice(
    posterior: HyperPosterior,
    places: Lattice,
    levels: np.ndarray,
    reported: Hyperparameters = _BETA_BINOMIAL,
) -> Columns:
    """Moments and quantiles of quadrature.

    Args:
        posterior: Nodes and weights.
        places: Where the nodes are.
        levels: Probabilities.
        reported: The family's hyperparameters.

    Returns:
        The columns mean, sd, low, median and high.
    """
    weights = np.asarray(posterior.weights, np.float64)
    values = reported.values(np.asarray(posterior.points, np.float64))
    stacked = np.where(weights > 0, np.array(list(values.values())), 0.0)
    mean = np.sum(weights * stacked, axis=(1, 2))
    variance = np.sum(weights * (stacked - mean[:, None, None]) ** 2, axis=(1, 2))
    quantiles = lattice_quantiles(posterior, places, levels, reported)
    columns = {"mean": mean, "sd": np.sqrt(variance)}
    return columns | dict(zip(("low", "median", "high"), quantiles.T, strict=True))
