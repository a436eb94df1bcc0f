"""Mixture: the points of the hyperparameters that units' posteriors mix, as few as will do.

Given a point, every unit's posterior is conjugate. A lattice of quadrature has thousands of points,
but along one of its rows a unit's posterior changes slowly, so that a Gauss rule of a few nodes
with the row's own moments integrates it as well (Golub & Welsch 1969, "Calculation of Gauss
quadrature rules", from the three-term recurrence of the discrete measure).
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from hierjax.families.host_protocol import OnHost
from hierjax.families.protocol import AnyFamily
from hierjax.posterior import HyperPosterior, merge
from hierjax.units.pooled_rows import (
    APART,
    PooledRows,
    extrapolate_rows,
    narrowest_extrapolated,
)
from hierjax.units.row_density import resample, row_moments

__all__ = ["Mixture", "condense", "condense_pooled"]

# Betas of small shapes are less smooth than normals.
_SMALLEST_RULE, _SAFETY = 2, 30.0
# Nodes of other rows are this close at least, in standard deviations; beyond, components are
# widened until they overlap, which costs a share of the row's mass.
_CLOSEST, _COST = 0.015, 0.05
# How far nodes reach, and how close they are for any integrand, in standard deviations.
_REACH, _FARTHEST = 8.0, 0.35
# From this error on every second row of a lattice will do, and so many nodes in each.
_COARSE, _MOST_COARSE = 1e-6, 24
# Log-concentrations in a narrower range than this need few rows for what is smooth over so much.
_WELL_KNOWN, _SMOOTH = 3.0, 1.5
# The least spread of a unit's posterior, in standard deviations of the row.
_FINEST = 0.5
_SIZES = (1, 64, 256, 768, 1536, 3072)
# Points of a mixture that draws are merged into.
_CELLS = 400


class Mixture(NamedTuple):
    """Weighted points of the hyperparameters, and how far apart they are.

    Attributes:
        points: Working coordinates.
        weights: Weights, summing to one; zero fills up.
        gaps: Distance to the neighbouring points in both coordinates, where components narrower
            than that are to be widened; zero where the points integrate any component.
        finest: Below this width of places the mixture has no features; zero where components
            may stand alone.
    """

    points: Float[Any, "points 2"]
    weights: Float[Any, "points"]
    gaps: Float[Any, "points 2"]
    finest: Any = 0.0


def condense(
    family: AnyFamily, posterior: HyperPosterior, is_lattice: bool, error: float = 1e-10
) -> Mixture:
    """Reduces a posterior to the points that answers about units need.

    Args:
        family: Conjugate family.
        posterior: Points and weights.
        is_lattice: Whether rows are those of quadrature's lattice; otherwise points are draws, or
            a single estimate.
        error: Error allowed in a probability that is answered from a lattice; from 1e-6 on for
            what compares units, or a unit with the population, whose hyperparameters it shares.

    Returns:
        The mixture, on the host, filled up to one of a few sizes.
    """
    if is_lattice:
        return _filled(*_condense_rows(_Rows.of(family.on_host, posterior, error), error))
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


def condense_pooled(
    family: AnyFamily, posterior: HyperPosterior, reach: float = 4.0, error: float = 1e-10
) -> tuple[Mixture, PooledRows] | None:
    """As `condense`, with rows close to complete pooling extrapolated.

    Args:
        family: Conjugate family.
        posterior: Points and weights of a lattice.
        reach: How unlike the data units may be; see `narrowest_extrapolated`.
        error: Error allowed in a probability.

    Returns:
        A mixture with weights of both signs, and for which units it holds; None if there are no
        such rows.
    """
    rows, host = _Rows.of(family.on_host, posterior, error), family.on_host
    narrowest, reach = narrowest_extrapolated(rows.ratios, rows.mass, reach)
    pooled = rows.ratios < narrowest
    if rows.mass[pooled].sum() <= error:
        return None
    taken = (rows.u[pooled], rows.w[pooled], rows.weights[pooled])
    found = extrapolate_rows(host, *taken, narrowest, reach)
    heavy = np.abs(found.weights) > 1e-3 * error
    parts = [(found.points[heavy], found.weights[heavy], np.zeros((heavy.sum(), 2)))]
    if not pooled.all():
        parts.append(_condense_rows(_Rows(*(values[~pooled] for values in rows)), error))
    points, weights, gaps = map(np.concatenate, zip(*parts, strict=True))
    # Units for which this holds have components that overlap in both directions.
    return _filled(points, weights, np.zeros_like(gaps))._replace(finest=_FINEST * found.sd), found


class _Rows(NamedTuple):
    """Rows of a lattice that carry weight."""

    u: Float[np.ndarray, "rows columns"]
    w: Float[np.ndarray, "rows"]
    weights: Float[np.ndarray, "rows columns"]
    mass: Float[np.ndarray, "rows"]
    ratios: Float[np.ndarray, "rows"]
    gaps: Float[np.ndarray, "rows"]

    @classmethod
    def of(cls, family: OnHost, posterior: HyperPosterior, error: float) -> "_Rows":
        used = slice(None, None, 2 if error >= _COARSE else 1)
        weights = np.asarray(posterior.weights, np.float64)[used]
        weights = weights / weights.sum()
        mass = weights.sum(axis=1)
        kept = mass > 0.1 * error
        u, w = np.moveaxis(np.asarray(posterior.points, np.float64)[used][kept], -1, 0)
        u, w, weights = _fewer_rows(u, w[:, 0], weights[kept], error)
        ratios = _width_ratios(family, u, w, weights)
        return cls(u, w, weights, weights.sum(axis=1), ratios, _neighbour_gaps(w[None])[0])


def _fewer_rows(
    u: Float[np.ndarray, "lattice columns"],
    w: Float[np.ndarray, "lattice"],
    weights: Float[np.ndarray, "lattice columns"],
    error: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of a Gauss rule over log-concentration, where that is known so well that few will do.

    Rows in between are the nearest ones, moved and stretched to the mean and spread there.
    """
    mass = weights.sum(axis=1)
    if error < _COARSE or np.ptp(w) > _WELL_KNOWN:
        return u, w, weights
    sd = row_moments(w[None], mass[None])[1][0]
    size = 1 + int(np.ceil(np.log(_SAFETY / error) / np.log1p((_SMOOTH / sd) ** 2)))
    if size >= len(w):
        return u, w, weights
    (at,), (shares,) = _gauss_rules(w[None], mass[None], size)
    near = np.abs(w[None] - at[:, None]).argmin(axis=1)
    means, spreads = row_moments(u, weights)
    mean, spread = (np.interp(at, w, values) for values in (means, spreads))
    stretched = (u[near] - means[near, None]) / spreads[near, None]
    conditional = weights[near] / mass[near, None]
    return mean[:, None] + spread[:, None] * stretched, at, shares[:, None] * conditional


def _condense_rows(rows: _Rows, error: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    u, w, weights, mass, ratios, row_gaps = rows
    sizes = _rule_sizes(ratios, mass / error)
    apart = np.maximum(APART * ratios, np.maximum(_CLOSEST, np.sqrt(_COST * error / mass)))
    # Few distances, so that rows go together.
    apart = 2 ** (np.floor(2 * np.log2(np.minimum(apart, _FARTHEST))) / 2)
    if error >= _COARSE:
        sizes = np.minimum(sizes, _MOST_COARSE)
    narrow = sizes >= np.maximum(2 * _REACH / apart, _MOST_COARSE + 1)
    parts = []
    for size in np.unique(sizes[~narrow]):
        at = np.flatnonzero((sizes == size) & ~narrow)
        nodes, shares = _gauss_rules(u[at], weights[at], int(size))
        parts.append((at, nodes, shares, np.zeros_like(nodes)))
    for step in np.unique(apart[narrow]):
        at = np.flatnonzero((apart == step) & narrow)
        center, sd = row_moments(u[at], weights[at])
        nodes = center[:, None] + sd[:, None] * np.arange(-_REACH, _REACH + step, step)
        gap = step * sd[:, None]
        shares = np.maximum(resample(u[at], weights[at], nodes) * gap, 0.0)
        parts.append((at, nodes, shares, np.broadcast_to(gap, nodes.shape)))
    points, masses, gaps = [], [], []
    for at, nodes, shares, column_gaps in parts:
        level = np.broadcast_to(w[at, None], nodes.shape)
        along = np.broadcast_to(row_gaps[at, None], nodes.shape)
        points.append(np.stack([nodes, level], axis=-1).reshape(-1, 2))
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
    family: OnHost,
    u: Float[np.ndarray, "rows columns"],
    w: Float[np.ndarray, "rows"],
    weights: Float[np.ndarray, "rows columns"],
) -> Float[np.ndarray, "rows"]:
    r"""How wide a unit's posterior is at least, relative to the spread of u in the row.

    :math:`r = \sqrt{\phi / V(m)} / sd(u)`, the population's own, as a unit's posterior moves the
    less with u the more data it has; of rates of binomial counts V(m) is m (1 - m).
    """
    mean, sd = row_moments(u, weights)
    log_squares = -w - family.log_slope(mean) - 2 * np.log(sd)
    return np.exp(np.clip(log_squares / 2, -300, 300))


def _rule_sizes(
    ratios: Float[np.ndarray, "rows"], mass_in_errors: Float[np.ndarray, "rows"]
) -> Float[np.ndarray, "rows"]:
    """How many Gauss nodes each row needs: k err by (1 + r^2)^-k, Hermite's for a normal Beta."""
    digits = np.log(np.maximum(_SAFETY * mass_in_errors, 1.0))
    sizes = np.ceil(digits / np.log1p(np.minimum(ratios, 1e6) ** 2))
    return np.maximum(sizes, _SMALLEST_RULE)


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
