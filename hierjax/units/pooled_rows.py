r"""Rows of a lattice close to complete pooling, where a unit's posterior is a spike at every node.

Their mixture is smooth all the same: what it answers is an analytic function of the dispersion
phi down to phi = 0, as in :math:`E f(\theta) = f(m) + f''(m) V(m) \phi / 2 + \dots` with f
smoothed by the spread of m. So it is extrapolated, by Lagrange's polynomial, from dispersions at
which components are as wide as nodes are apart.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from hierjax.families.host_protocol import OnHost
from hierjax.units.row_density import resample, row_moments

__all__ = ["APART", "PooledRows", "extrapolate_rows", "narrowest_extrapolated"]

# Components extrapolated from are at least so wide, in standard deviations of the first coordinate.
_NARROWEST = (0.25, 0.18, 0.125, 0.087, 0.05)
# From how many dispersions, and their ratio.
_DISPERSIONS, _RATIO = 6, 1.6
# The error allowed.
_ERROR = 3e-9
# Nodes so far apart, in standard deviations of a component, add up to a smooth density.
APART = 0.9
# How far they reach, in standard deviations of the first coordinate.
_REACH = 8.0


class PooledRows(NamedTuple):
    """Points that stand for rows close to complete pooling, and for which units they do.

    Attributes:
        points: Working coordinates.
        weights: Weights of both signs, which sum to the rows'.
        mean: Mean parameter.
        most_weight: v of a unit that the points hold for, some times as much as of all units.
        most_excess: Of its statistic t over its expectation, or below it, likewise.
        sd: Standard deviation of the first coordinate: such units' posteriors have no finer
            features.
    """

    points: Float[np.ndarray, "points 2"]
    weights: Float[np.ndarray, "points"]
    mean: float
    most_weight: float
    most_excess: float
    sd: float

    def hold(
        self, t: Shaped[np.ndarray, "pairs"], v: Shaped[np.ndarray, "pairs"]
    ) -> Bool[np.ndarray, "pairs"]:
        """Whether the points will do for units with these statistics and weights."""
        return (v <= self.most_weight) & (np.abs(t - v * self.mean) <= self.most_excess)


def narrowest_extrapolated(
    ratios: Float[np.ndarray, "rows"], mass: Float[np.ndarray, "rows"], least_reach: float
) -> tuple[float, float]:
    """Which rows to extrapolate, and for which units that does.

    The error is that of a polynomial of degree six in the squared width, times what a unit moves
    along with the dispersion.

    Args:
        ratios: Widths of components, in standard deviations of the first coordinate.
        mass: Posterior weight of each row.
        least_reach: How many times the weight of all units a unit may have, and how many of
            their standard deviations it may be away, if possible.

    Returns:
        The width below which rows are to be extrapolated, and the reach that this has.
    """
    for narrowest in _NARROWEST:
        share = max(float(mass[ratios < narrowest].sum()), _ERROR)
        reach = (_ERROR / share) ** (1 / _DISPERSIONS) / narrowest**2
        if reach >= least_reach:
            break
    return narrowest, reach


def extrapolate_rows(
    family: OnHost,
    nodes: Float[np.ndarray, "rows columns"],
    log_concentration: Float[np.ndarray, "rows"],
    weights: Float[np.ndarray, "rows columns"],
    narrowest: float,
    reach: float,
) -> PooledRows:
    """Replaces rows by few whose components are as wide as nodes are apart.

    Args:
        family: The family on the host.
        nodes: First coordinates; each row an affine image of the same smooth map of the columns.
        log_concentration: Of every row.
        weights: Posterior weights.
        narrowest: Least width of components, in standard deviations of the first.
        reach: For which units; see `narrowest_extrapolated`.

    Returns:
        The points.
    """
    heaviest = [int(np.argmax(weights.sum(axis=1)))]
    (center,), (sd,) = row_moments(nodes[heaviest], weights[heaviest])
    spread = sd**2 * np.exp(family.log_slope(center))
    dispersions = narrowest**2 * spread * _RATIO ** np.arange(_DISPERSIONS)
    step = APART * narrowest
    grid = center + sd * np.arange(-_REACH, _REACH + step, step)
    density = resample(nodes, weights, np.broadcast_to(grid, (len(nodes), len(grid))))
    coefficients = _lagrange(dispersions, np.exp(-log_concentration))
    u, w = np.meshgrid(grid, -np.log(dispersions))
    return PooledRows(
        np.stack([u, w], axis=-1).reshape(-1, 2),
        (coefficients @ density).ravel() * step * sd,
        float(family.parameter_at(center)),
        float(reach / spread),
        float(reach / sd),
        float(sd),
    )


def _lagrange(
    nodes: Float[np.ndarray, "nodes"], places: Float[np.ndarray, "rows"]
) -> Float[np.ndarray, "nodes rows"]:
    """Lagrange's polynomials of the nodes at places."""
    others = nodes[:, None] - nodes[None, :] + np.eye(len(nodes))
    factors = places[None, None, :] - nodes[None, :, None]
    factors = np.where(np.eye(len(nodes), dtype=bool)[:, :, None], 1.0, factors)
    return np.prod(factors / others[:, :, None], axis=1)
