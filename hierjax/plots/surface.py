"""Functions of two hyperparameters on a grid, for contours."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

__all__ = ["Box", "Surface", "density_levels", "evaluate", "weighted_quantiles"]

_COARSE, _FINE, _ROUGH = 29, 161, 81


class Surface(NamedTuple):
    """A function of the working coordinates on a fine grid.

    Attributes:
        logit_mean: First coordinate of the grid.
        log_concentration: Second coordinate of the grid.
        values: The function.
    """

    logit_mean: Float[np.ndarray, " columns"]
    log_concentration: Float[np.ndarray, " rows"]
    values: Float[np.ndarray, "rows columns"]


Box = tuple[tuple[float, float], tuple[float, float]]


def evaluate(function: Callable[[np.ndarray], np.ndarray], box: Box) -> Surface:
    """Evaluates a smooth function at Chebyshev points and interpolates it onto a fine grid.

    A log-density costs time in proportion to the distinct units; its polynomial does not.

    Args:
        function: Maps points of shape (rows, columns, 2) to values of shape (rows, columns).
        box: Ends of logit_mean and of log_concentration.

    Returns:
        The function on the fine grid.
    """
    (left, right), (bottom, top) = box
    nodes = np.polynomial.chebyshev.chebpts2(_COARSE)
    u = left + (right - left) * (nodes + 1) / 2
    w = bottom + (top - bottom) * (nodes + 1) / 2
    values = np.asarray(function(np.stack(np.meshgrid(u, w), axis=-1)), np.float64)
    if not np.isfinite(values).all():
        return _rough_surface(function, box)
    fine = np.linspace(-1, 1, _FINE)
    vandermonde = np.polynomial.chebyshev.chebvander
    matrix = vandermonde(fine, _COARSE - 1) @ np.linalg.inv(vandermonde(nodes, _COARSE - 1))
    return Surface(
        np.linspace(left, right, _FINE), np.linspace(bottom, top, _FINE), matrix @ values @ matrix.T
    )


def _rough_surface(function: Callable[[np.ndarray], np.ndarray], box: Box) -> Surface:
    """Evaluates a function that is minus infinity in places, where no polynomial follows it."""
    u, w = (np.linspace(low, high, _ROUGH) for low, high in box)
    values = np.asarray(function(np.stack(np.meshgrid(u, w), axis=-1)), np.float64)
    return Surface(u, w, np.where(np.isfinite(values), values, np.nanmax(values) - 1e3))


def weighted_quantiles(
    values: np.ndarray, weights: np.ndarray, levels: tuple[float, ...]
) -> tuple[float, ...]:
    """Values below which the given shares of the weights lie."""
    order = np.argsort(values, axis=None)
    cumulative = np.cumsum(weights.ravel()[order])
    found = np.interp(np.array(levels) * cumulative[-1], cumulative, values.ravel()[order])
    return tuple(found.tolist())


def density_levels(
    surface: Surface, probabilities: tuple[float, ...]
) -> Float[np.ndarray, " levels"]:
    """Log-densities above which the posterior has the given probabilities, in rising order."""
    ordered = np.sort(np.exp(surface.values - surface.values.max()), axis=None)[::-1]
    mass = np.cumsum(ordered)
    positions = np.searchsorted(mass, np.array(sorted(probabilities, reverse=True)) * mass[-1])
    # Probabilities that one cell holds have one level.
    return surface.values.max() + np.unique(np.log(ordered[positions]))
