"""Where labs' likelihoods are: their modes, and how far they reach to all sides.

Searches go on the host for all labs of a chunk at once, by differences of likelihoods in float64.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from hierjax.families import AnyFamily
from hierjax.levels.evaluation import log_likelihoods
from hierjax.levels.labs import Chunk

__all__ = ["Places", "place"]

Matrix = Float[np.ndarray, "labs _"]
Curves = Float[np.ndarray, "curves labs _"]
Function = Callable[[Matrix, Matrix], Matrix]

# Log-concentrations, from the family's own origin, between which the mode is sought.
_COARSE = np.arange(-14.0, 42.0, 2.0)
# Of those within so many nats of the best one, that is taken which is closest to a usual value.
_AS_GOOD, _USUAL = 0.01, 4.0
_DIFFERENCE = 1e-3
_STEPS, _LONGEST = 14, 1.5
# Curvature is at least this; a coordinate of which less is known has the scale of the formula.
_FLATTEST = 0.05
# A side ends where the likelihood has fallen by so many nats, or changes no more by so much of its
# largest value.
_DROP, _UNCHANGING = 16.0, 2e-5
_DISTANCES = 0.7 * 1.45 ** np.arange(14)
_SIDES = np.concatenate([-_DISTANCES[::-1], _DISTANCES])
_BESIDE = (-2.0, 0.0, 2.0)
_SCANNED_ROWS = 12


class Places(NamedTuple):
    """Lattices for labs' likelihoods.

    Attributes:
        rows: Log-concentrations, evenly spaced.
        first: First location in each row.
        last: Last location.
        mode: Location and log-concentration of the mode.
        spread: Standard deviations there.
    """

    rows: Float[np.ndarray, "labs rows"]
    first: Float[np.ndarray, "labs rows"]
    last: Float[np.ndarray, "labs rows"]
    mode: Float[np.ndarray, "labs 2"]
    spread: Float[np.ndarray, "labs 2"]


def _climb(function: Function, a: Matrix, b: Matrix, steps: int) -> tuple[Matrix, Matrix]:
    """Newton's steps in the first coordinate; where they end, and the curvature there."""
    points = a.shape[1]
    for step in range(steps + 1):
        tried = np.concatenate([a - _DIFFERENCE, a, a + _DIFFERENCE], axis=1)
        low, middle, high = np.split(function(tried, np.tile(b, 3)), [points, 2 * points], axis=1)
        with np.errstate(invalid="ignore"):
            slope = (high - low) / (2 * _DIFFERENCE)
            bend = (high - 2 * middle + low) / _DIFFERENCE**2
            move = np.clip(slope / np.maximum(-bend, 1e-3), -_LONGEST, _LONGEST)
        if step < steps:
            a = a + np.where(np.isfinite(move), move, 0.0)
    return a, np.where(np.isfinite(bend), bend, 0.0)


def _mode(
    function: Function, start: Float[np.ndarray, "labs 2"]
) -> tuple[Float[np.ndarray, "labs 2"], Float[np.ndarray, "labs 2 2"]]:
    """Newton's ascent in both coordinates, and what the curvature says of both."""
    stencil = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1], indexing="ij"), axis=-1).reshape(-1, 2)
    x = start
    for step in range(_STEPS + 1):
        at = x[:, None] + _DIFFERENCE * stencil
        f = function(at[..., 0], at[..., 1]).reshape(-1, 3, 3)
        middle = f[:, 1, 1]
        gradient = np.stack([f[:, 2, 1] - f[:, 0, 1], f[:, 1, 2] - f[:, 1, 0]], axis=-1)
        gradient /= 2 * _DIFFERENCE
        hessian = np.empty((len(x), 2, 2))
        hessian[:, 0, 0] = f[:, 2, 1] - 2 * middle + f[:, 0, 1]
        hessian[:, 1, 1] = f[:, 1, 2] - 2 * middle + f[:, 1, 0]
        hessian[:, 0, 1] = 0.25 * (f[:, 2, 2] - f[:, 2, 0] - f[:, 0, 2] + f[:, 0, 0])
        hessian[:, 1, 0] = hessian[:, 0, 1]
        values, vectors = np.linalg.eigh(np.nan_to_num(-hessian / _DIFFERENCE**2))
        values = np.maximum(np.abs(values), _FLATTEST)
        inverse = (vectors / values[:, None]) @ np.swapaxes(vectors, 1, 2)
        if step == _STEPS:
            break
        move = np.nan_to_num((inverse @ gradient[..., None])[..., 0])
        length = np.maximum(np.linalg.norm(move, axis=1), 1e-12)
        move *= np.minimum(1.0, _LONGEST / length)[:, None]
        tried = x[:, None] + np.array([0.0, 0.1, 0.5, 1.0])[:, None] * move[:, None]
        best = np.argmax(function(tried[..., 0], tried[..., 1]), axis=1)
        x = tried[np.arange(len(x)), best]
    return x, inverse


def _extent(distance: Matrix, drops: Curves) -> Float[np.ndarray, "labs"]:
    """How far a side reaches, by how far likelihoods have fallen at distances.

    It ends where the first curve, which is highest, has fallen far enough, or beyond which none
    changes.
    """
    rows, drop = np.arange(len(distance)), drops[0]
    level = np.exp(-np.maximum(drops, 0.0))
    changed = (np.abs(np.diff(level, axis=2)) > _UNCHANGING).any(axis=0)
    size = distance.shape[1]
    steady = np.where(changed.any(axis=1), size - 1 - changed[:, ::-1].argmax(axis=1), 1)
    fallen = drop >= _DROP
    first = np.where(fallen.any(axis=1), fallen.argmax(axis=1), size - 1)
    previous = np.maximum(first - 1, 0)
    # Along falls that grow exponentially; one that grows as a square has fallen a little farther.
    fall = np.log(np.clip(drop, 0.01, 3 * _DROP))
    steepness = np.maximum(fall[rows, first] - fall[rows, previous], 1e-3)
    share = np.clip((np.log(_DROP) - fall[rows, previous]) / steepness, 0.0, 1.0)
    here, there = distance[rows, previous], distance[rows, first]
    near = here + share * (there - here)
    ends = np.where(fallen.any(axis=1) & (first > 0), near, there)
    return np.minimum(ends, distance[rows, steady])


def _reach(
    scale: Float[np.ndarray, "labs"], drops: Curves
) -> tuple[Float[np.ndarray, "labs"], Float[np.ndarray, "labs"]]:
    """Both sides' reach, by the falls at `_SIDES`."""
    away, half = scale[:, None] * _DISTANCES, len(_DISTANCES)
    return _extent(away, drops[..., :half][..., ::-1]), _extent(away, drops[..., half:])


def _interpolate(at: Matrix, known: Matrix, values: Matrix) -> Matrix:
    return np.stack([np.interp(*each) for each in zip(at, known, values, strict=True)])


def place(family: AnyFamily, chunk: Chunk, rows: int) -> Places:
    """Finds the lattices of labs.

    Args:
        family: Conjugate family.
        chunk: Labs, their tallies in float64.
        rows: Number of log-concentrations.

    Returns:
        The lattices.
    """
    frame, start = _frames(family, chunk)
    origin, unit, log_origin = (np.asarray(x, np.float64)[:, None] for x in frame)

    def function(a: Matrix, b: Matrix) -> Matrix:
        points = np.stack([origin + unit * a, log_origin + b], axis=-1)
        return log_likelihoods(family, chunk, points)

    coarse = np.broadcast_to(_COARSE, (len(origin), len(_COARSE)))
    a_start = (start[:, None] - origin) / unit
    a, _ = _climb(function, np.broadcast_to(a_start, coarse.shape), coarse, 4)
    value = function(a, coarse)
    as_good = value >= value.max(axis=1, keepdims=True) - _AS_GOOD
    best = np.argmin(np.where(as_good, np.abs(coarse - _USUAL), np.inf), axis=1)
    labs = np.arange(len(best))
    mode, covariance = _mode(function, np.stack([a[labs, best], coarse[labs, best]], axis=-1))
    spread = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    peak = function(mode[:, :1], mode[:, 1:])

    scale = np.minimum(spread[:, 1], 1.0)
    b = mode[:, 1:] + scale[:, None] * _SIDES
    at, _ = _climb(function, np.broadcast_to(mode[:, :1], b.shape), b, 5)
    # The mode of rows may be where none of them matters: see what others do beside it.
    others = [np.broadcast_to(a_start + side, b.shape) for side in _BESIDE]
    drops = np.stack([peak - function(x, b) for x in (at, *others)])
    below, above = _reach(scale, drops)
    share = np.linspace(0.0, 1.0, _SCANNED_ROWS)
    scanned = (mode[:, 1] - below)[:, None] + (below + above)[:, None] * share
    half = len(_DISTANCES)
    known, near = (
        np.concatenate([x[:, :half], middle, x[:, half:]], axis=1)
        for x, middle in ((b, mode[:, 1:]), (at, mode[:, :1]))
    )
    near = _interpolate(scanned, known, near)
    center, left, right = _scan(family, function, near, scanned)

    fine = scanned[:, :1] + (scanned[:, -1:] - scanned[:, :1]) * np.linspace(0.0, 1.0, rows)
    middle = _interpolate(fine, scanned, center)
    first, last = (
        origin + unit * (middle + side * np.exp(_interpolate(fine, scanned, np.log(x))))
        for side, x in ((-1, left), (1, right))
    )
    scales = np.concatenate([unit, np.ones_like(unit)], axis=1)
    origins = np.concatenate([origin, log_origin], axis=1)
    return Places(log_origin + fine, first, last, origins + scales * mode, scales * spread)


def _frames(family: AnyFamily, chunk: Chunk) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """The family's coordinates for each lab, and a place to start from."""
    frame, start = jax.tree.map(
        lambda x: np.asarray(x, np.float64), _frames_compiled(family, chunk.tallies)
    )
    return frame, start


@partial(jax.jit, static_argnums=0)
def _frames_compiled(family: AnyFamily, tallies: Any) -> tuple[tuple[Array, ...], Array]:
    return jax.vmap(lambda tally: (tuple(family.frame(tally)), family.start(tally)))(tallies)


def _scan(
    family: AnyFamily, function: Function, a: Matrix, b: Matrix
) -> tuple[Matrix, Matrix, Matrix]:
    """Mode of each row, and how far it reaches to the left and the right."""
    # Where a parameter has a limit, nothing is smoother than the formula that leads there.
    widest = 2.0 if np.any(np.isfinite(family.limits)) else np.inf
    a, bend = _climb(function, a, b, 4)
    scale = np.minimum(1 / np.sqrt(np.maximum(-bend, 1e-12)), widest)
    sides = a[..., None] + scale[..., None] * _SIDES
    values = function(sides.reshape(len(a), -1), np.repeat(b, len(_SIDES), axis=1))
    drop = function(a, b)[..., None] - values.reshape(sides.shape)
    flat = scale.ravel(), drop.reshape(1, -1, len(_SIDES))
    left, right = (x.reshape(a.shape) for x in _reach(*flat))
    return a, left, right
