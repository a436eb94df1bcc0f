"""Mixture: the points of the hyperparameters that units' posteriors mix, as few as will do.

Given a point, every unit's posterior is conjugate. A lattice of quadrature has thousands of points,
but along one of its rows a unit's posterior changes slowly, so that a Gauss rule of a few nodes
with the row's own moments integrates it as well (Golub & Welsch 1969, "Calculation of Gauss
quadrature rules", from the three-term recurrence of the discrete measure).
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from hierjax.posterior import HyperPosterior, merge

__all__ = ["Mixture", "condense"]

_SMALLEST_RULE = 2
# A row's nodes are brought closer until Betas this wide overlap, by so many halvings at most.
_COARSEST, _MOST_HALVINGS, _COST = 0.4, 4, 3e-3
# From this error on every second row of a lattice will do.
_COARSE = 1e-6
_SIZES = (1, 64, 256, 768, 2048)
# Points of a mixture that draws are merged into.
_CELLS = 400


class Mixture(NamedTuple):
    """Weighted points of the hyperparameters, and how far apart they are.

    Attributes:
        points: Working coordinates.
        weights: Weights, summing to one; zero fills up.
        gaps: Distance to the neighbouring points in both coordinates, where components narrower
            than that are to be widened; zero where the points integrate any component.
    """

    points: Float[Any, "points 2"]
    weights: Float[Any, "points"]
    gaps: Float[Any, "points 2"]


def condense(posterior: HyperPosterior, is_lattice: bool, error: float = 1e-10) -> Mixture:
    """Reduces a posterior to the points that answers about units need.

    Args:
        posterior: Points and weights.
        is_lattice: Whether rows are those of quadrature's lattice; otherwise points are draws, or
            a single estimate.
        error: Error allowed in a probability that is answered from a lattice.

    Returns:
        The mixture, on the host, filled up to one of a few sizes.
    """
    if is_lattice:
        return _filled(*_condense_lattice(posterior, error))
    merged = merge(posterior, _CELLS)
    points = np.asarray(merged.points, np.float64).reshape(-1, 2)
    return _filled(points, np.asarray(merged.weights, np.float64).ravel(), np.zeros_like(points))


def _filled(points: np.ndarray, weights: np.ndarray, gaps: np.ndarray) -> Mixture:
    size = _size_class(len(weights))
    missing = (0, size - len(weights))
    points, gaps = (np.pad(x, (missing, (0, 0)), mode="edge") for x in (points, gaps))
    return Mixture(points, np.pad(weights / weights.sum(), missing), gaps)


def _size_class(size: int) -> int:
    """One of few sizes, so that there are few compilations."""
    return next((most for most in _SIZES if size <= most), -(-size // _SIZES[-1]) * _SIZES[-1])


def _condense_lattice(
    posterior: HyperPosterior, error: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    used = slice(None, None, 2 if error >= _COARSE else 1)
    weights = np.asarray(posterior.weights, np.float64)[used]
    weights = weights / weights.sum()
    mass = weights.sum(axis=1)
    kept = mass > 0.1 * error
    weights, mass = weights[kept], mass[kept]
    u, w = np.moveaxis(np.asarray(posterior.points, np.float64)[used][kept], -1, 0)
    row_gaps = _neighbour_gaps(w[:, :1].T).T
    ratios = _width_ratios(u, w[:, 0], weights)
    sizes = _rule_sizes(ratios, mass / error)
    columns = np.sum(weights > error * weights.max(), axis=1)
    narrow = sizes >= columns
    parts = []
    for size in np.unique(sizes[~narrow]):
        rows = np.flatnonzero((sizes == size) & ~narrow)
        nodes, shares = _gauss_rules(u[rows], weights[rows], int(size))
        parts.append((rows, nodes, shares, np.zeros_like(nodes)))
    # Widening costs a share of the row's mass that falls with the square of the factor.
    wanted = np.minimum(_COARSEST / ratios, np.sqrt(_COST * mass / error))
    factors = 2 ** np.clip(np.ceil(np.log2(wanted)), 0, _MOST_HALVINGS).astype(int)
    for factor in np.unique(factors[narrow]):
        rows = np.flatnonzero((factors == factor) & narrow)
        nodes, shares = _refined(u[rows], weights[rows], int(factor))
        parts.append((rows, nodes, shares, _neighbour_gaps(nodes)))
    points, masses, gaps = [], [], []
    for rows, nodes, shares, column_gaps in parts:
        at = np.broadcast_to(w[rows, :1], nodes.shape)
        along = np.broadcast_to(row_gaps[rows], nodes.shape)
        points.append(np.stack([nodes, at], axis=-1).reshape(-1, 2))
        masses.append(shares.ravel())
        gaps.append(np.stack([column_gaps, along], axis=-1).reshape(-1, 2))
    flat = np.concatenate(masses)
    heavy = flat > 1e-3 * error
    return np.concatenate(points)[heavy], flat[heavy], np.concatenate(gaps)[heavy]


def _neighbour_gaps(values: Float[np.ndarray, "lines nodes"]) -> Float[np.ndarray, "lines nodes"]:
    """Distance to the farther of both neighbours along each line."""
    if values.shape[1] < 2:
        return np.zeros_like(values)
    gaps = np.abs(np.diff(values, axis=1))
    edged = np.pad(gaps, ((0, 0), (1, 1)))
    return np.maximum(edged[:, 1:], edged[:, :-1])


def _width_ratios(
    u: Float[np.ndarray, "rows columns"],
    w: Float[np.ndarray, "rows"],
    weights: Float[np.ndarray, "rows columns"],
) -> Float[np.ndarray, "rows"]:
    r"""How wide a unit's Beta is at least, relative to the spread of logit_mean in the row.

    :math:`r = (\kappa m (1 - m))^{-1/2} / sd(u)`, the population's own, as a unit's posterior
    moves the less with logit_mean the more data it has.
    """
    shares = weights / weights.sum(axis=1, keepdims=True)
    mean = np.sum(shares * u, axis=1)
    variance = np.sum(shares * (u - mean[:, None]) ** 2, axis=1)
    log_product = -np.logaddexp(0, mean) - np.logaddexp(0, -mean)
    log_squares = -w - log_product - np.log(np.maximum(variance, np.finfo(float).tiny))
    return np.exp(np.clip(log_squares / 2, -300, 300))


def _rule_sizes(
    ratios: Float[np.ndarray, "rows"], mass_in_errors: Float[np.ndarray, "rows"]
) -> Float[np.ndarray, "rows"]:
    """How many Gauss nodes each row needs: k err by (1 + r^2)^-k, Hermite's for a normal Beta."""
    digits = np.log(np.maximum(mass_in_errors, 1.0))
    sizes = np.ceil(digits / np.log1p(np.minimum(ratios, 1e6) ** 2))
    return np.maximum(sizes, _SMALLEST_RULE)


def _refined(
    nodes: Float[np.ndarray, "rows columns"],
    weights: Float[np.ndarray, "rows columns"],
    factor: int,
) -> tuple[Float[np.ndarray, "rows nodes"], Float[np.ndarray, "rows nodes"]]:
    """Rows with nodes closer by a factor: weights by the sinc series, which is exact for them."""
    if factor == 1:
        return nodes, weights
    # Imported where few fits come: it takes a quarter of a second.
    from scipy.interpolate import CubicSpline

    at = np.arange(nodes.shape[1])
    fine = np.arange((len(at) - 1) * factor + 1) / factor
    shares = weights @ np.sinc(fine[:, None] - at).T / factor
    return CubicSpline(at, nodes, axis=1)(fine), np.maximum(shares, 0.0)


def _gauss_rules(
    nodes: Float[np.ndarray, "rows columns"], weights: Float[np.ndarray, "rows columns"], size: int
) -> tuple[Float[np.ndarray, "rows size"], Float[np.ndarray, "rows size"]]:
    """Gauss rules of discrete measures, by Lanczos' recurrence with full reorthogonalisation."""
    mass = weights.sum(axis=1, keepdims=True)
    shares = weights / mass
    mean = np.sum(shares * nodes, axis=1, keepdims=True)
    sd = np.sqrt(np.sum(shares * (nodes - mean) ** 2, axis=1, keepdims=True))
    x = (nodes - mean) / sd
    basis = [np.sqrt(shares)]
    jacobi = np.zeros((len(nodes), size, size))
    for k in range(size):
        residual = x * basis[-1]
        jacobi[:, k, k] = np.sum(basis[-1] * residual, axis=1)
        for vector in basis * 2:
            residual -= np.sum(vector * residual, axis=1, keepdims=True) * vector
        norm = np.sqrt(np.sum(residual**2, axis=1, keepdims=True))
        if k + 1 < size:
            jacobi[:, k, k + 1] = jacobi[:, k + 1, k] = norm[:, 0]
            basis.append(residual / norm)
    places, vectors = np.linalg.eigh(jacobi)
    return mean + sd * places, mass * vectors[:, 0] ** 2
