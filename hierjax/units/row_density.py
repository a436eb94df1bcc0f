"""Densities along a lattice's rows, read between its nodes."""

import numpy as np
from jaxtyping import Float

__all__ = ["resample", "row_moments"]

# A polynomial of this degree in the column follows a hyperbolic sine of four lengths to 1e-9.
_DEGREE, _NEWTON_STEPS = 17, 4


def row_moments(
    nodes: Float[np.ndarray, "rows columns"], weights: Float[np.ndarray, "rows columns"]
) -> tuple[Float[np.ndarray, "rows"], Float[np.ndarray, "rows"]]:
    """Mean and standard deviation of every row."""
    shares = weights / weights.sum(axis=1, keepdims=True)
    mean = np.sum(shares * nodes, axis=1)
    variance = np.sum(shares * (nodes - mean[:, None]) ** 2, axis=1)
    return mean, np.sqrt(np.maximum(variance, np.finfo(float).tiny))


def resample(
    nodes: Float[np.ndarray, "rows columns"],
    weights: Float[np.ndarray, "rows columns"],
    places: Float[np.ndarray, "rows places"],
) -> Float[np.ndarray, "rows places"]:
    """Density of every row at places of its own, by the sinc series, which is exact for it.

    Args:
        nodes: Every row an affine image of the same smooth map of the columns.
        weights: Masses of the nodes.
        places: Where; the density is zero beyond the nodes.

    Returns:
        Density with respect to the nodes' coordinate.
    """
    columns = np.arange(nodes.shape[1])
    first, length = nodes[:, :1], nodes[:, -1:] - nodes[:, :1]
    # More would not be determined by equally spaced nodes.
    degree = min(_DEGREE, len(columns) // 3)
    along = np.polynomial.Chebyshev.fit(columns, (nodes[0] - first[0]) / length[0], degree)
    slope = along.deriv()
    share = (places - first) / length
    column = np.interp(share, along(columns), columns)
    for _ in range(_NEWTON_STEPS):
        column = np.clip(column - (along(column) - share) / slope(column), 0, columns[-1])
    masses = np.sinc(column[:, :, None] - columns) @ weights[:, :, None]
    inside = (share >= 0) & (share <= 1)
    return np.where(inside, masses[:, :, 0] / (slope(column) * length), 0.0)
