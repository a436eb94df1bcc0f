r"""Labs' own coordinates given all data: nodes on a lattice where each lab's posterior is.

.. math:: p(\eta_g \mid Y) = L_g(\eta_g)
    \int \frac{N(\eta_g \mid \psi)}{I_g(\psi)} \, p(\psi \mid Y) \, d\psi, \qquad
    I_g(\psi) = \int L_g(\eta) N(\eta \mid \psi) \, d\eta

The integral over what is above the labs, psi, is a sum of normal densities: of the lab's population
as all other labs show it. Means of psi are evenly spaced, and the function of them interpolated, so
that the sum is smooth however narrow the normals are.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hierjax.families import AnyFamily
from hierjax.levels.basis import density_coefficients
from hierjax.levels.evaluation import log_likelihoods
from hierjax.levels.lab_nodes import LabPosteriors, Reach, even, first_reach, narrowed
from hierjax.levels.labs import Chunk
from hierjax.levels.nested import TopPosterior
from hierjax.levels.surface import Surface
from hierjax.levels.top import FLOOR, Level, each_chunk, log_integrals

__all__ = ["LARGEST_LOSS", "LabPosteriors", "lab_posteriors", "new_lab"]

#: How far a lab's weights may be from summing to one before its answers are not to be trusted.
LARGEST_LOSS = 0.02
# Rows, and columns in each; of all labs so many more where the weights of one of them are off by
# more than this share.
_SIZE, _MORE, _OFF = 24, 48, 0.01
_PASSES = 4
# How far the normals reach, those of nodes with this share of the largest weight.
_REACH, _COUNTS = 5.5, 1e-7


class _Normals(NamedTuple):
    """Normal densities that a lab's population is a sum of products of.

    Attributes:
        weights: Of each product.
        locations: Mean and width of each density of the location.
        concentrations: Of the log-concentration.
    """

    weights: Float[Array, "*labs nodes others"]
    locations: Float[Array, "nodes 2"]
    concentrations: Float[Array, "others 2"]


def _smoothed(
    posterior: TopPosterior, block: int
) -> tuple[Float[np.ndarray, "nodes 2"], Float[np.ndarray, "rows columns columns"]]:
    """Means of nodes with widths that leave no gaps; what takes weights in each row to theirs."""
    found = posterior.blocks[block]
    sd, size = found.points[..., 1], found.points.shape[1]
    narrow = sd[:, 0] < found.step
    width = np.where(narrow[:, None], np.hypot(sd, found.step[:, None]), sd)
    matrices = np.where(narrow[:, None, None], density_coefficients(size), np.eye(size))
    return np.stack([found.points[..., 0], width], axis=-1).reshape(-1, 2), matrices


def _interpolated(
    weights: Float[Array, "nodes others"],
    left: Float[Array, "rows columns columns"],
    right: Float[Array, "rows2 columns2 columns2"],
) -> Float[Array, "nodes others"]:
    """Weights of nodes as those of normals about them; both blocks have rows and columns."""
    each = weights.reshape(*left.shape[:2], *right.shape[:2])
    return jnp.einsum("rab,rbsc,sdc->rasd", left, each, right).reshape(weights.shape)


def _populations(
    surface: Surface,
    weights: Float[Array, "nodes others"],
    locations: Float[Array, "nodes 2"],
    concentrations: Float[Array, "others 2"],
    left: Float[Array, "rows columns columns"],
    right: Float[Array, "rows2 columns2 columns2"],
) -> Float[Array, "labs nodes others"]:
    """Each lab's population as all other labs show it, as weights of normals."""

    def lab(each: Surface) -> Float[Array, "nodes others"]:
        value = jnp.exp(log_integrals(each, locations, concentrations))
        known = value > 1.5 * FLOOR[np.dtype(value.dtype)]
        return _interpolated(jnp.where(known, weights / value, 0.0), left, right)

    return jax.lax.map(lab, surface)


@jax.jit
def _evidence(
    surface: Surface,
    seen: Surface,
    weights: Float[Array, "nodes others"],
    locations: Float[Array, "nodes 2"],
    concentrations: Float[Array, "others 2"],
) -> Float[Array, "labs"]:
    """Mean of labs' likelihoods over those that what is above them has seen."""

    def lab(each: tuple[Surface, Surface]) -> Float[Array, ""]:
        value, before = (log_integrals(x, locations, concentrations) for x in each)
        known = before > np.log(1.5 * FLOOR[np.dtype(before.dtype)])
        return jnp.sum(jnp.where(known, weights * jnp.exp(value - before), 0.0))

    return jax.lax.map(lab, (surface, seen))


_interpolated_compiled, _populations_compiled = jax.jit(_interpolated), jax.jit(_populations)


@jax.jit
def _density(
    normals: _Normals, u: Float[Array, "labs rows columns"], w: Float[Array, "labs rows"]
) -> Float[Array, "labs rows columns"]:
    """Density of the labs' populations at points."""

    def normal(x: Float[Array, "*points"], node: Float[Array, "2"]) -> Float[Array, "*points"]:
        standard = (x - node[0]) / node[1]
        return jnp.exp(-0.5 * standard * standard) * (0.3989422804014327 / node[1])

    def lab(
        each: tuple[Float[Array, "nodes others"], Float[Array, "rows columns"], Array],
    ) -> Float[Array, "rows columns"]:
        weights, u, w = each
        by_row = weights @ jax.vmap(lambda node: normal(w, node))(normals.concentrations)
        by_node = jax.vmap(lambda node: normal(u, node))(normals.locations)
        return jnp.sum(by_row[..., None] * by_node, axis=0)

    return jax.lax.map(lab, (normals.weights, u, w))


def _range(
    posterior: TopPosterior, block: int, normals: Float[np.ndarray, "nodes 2"]
) -> tuple[float, float]:
    """Where the population of labs may be."""
    weights = posterior.marginal(block).ravel()
    at = normals[weights > _COUNTS * weights.max()]
    ends = at[:, 0] - _REACH * at[:, 1], at[:, 0] + _REACH * at[:, 1]
    return float(ends[0].min()), float(ends[1].max())


def _settled(
    reach: Reach,
    normals: _Normals,
    likelihood: Callable[[np.ndarray], np.ndarray],
    dtype: type,
    size: int = _SIZE,
) -> LabPosteriors:
    """Nodes narrowed to where the posterior is, and its weights."""
    for turn in range(_PASSES):
        rows, columns = reach.lines(size)
        (w, heights), (u, lengths) = rows.values(size), columns.values(size)
        points = np.stack([u, np.broadcast_to(w[..., None], u.shape)], axis=-1)
        density = np.asarray(_density(normals, u.astype(dtype), w.astype(dtype)), np.float64)
        mass = np.maximum(density, 0.0) * likelihood(points) * lengths * heights[..., None]
        if turn < _PASSES - 1:
            reach = narrowed(u, lengths, w, heights, mass)
    total = mass.sum(axis=(1, 2))
    # Nothing is said of a lab that nodes miss altogether.
    weights = mass / np.where(total > 0, total, np.nan)[:, None, None]
    return LabPosteriors(u, w, weights, total, rows, columns)


def lab_posteriors(
    family: AnyFamily, level: Level, posterior: TopPosterior, seen: Surface | None = None
) -> LabPosteriors:
    """Posteriors of all labs' coordinates, each given its own data and all that is above the labs.

    Args:
        family: Conjugate family.
        level: The labs.
        posterior: Of what is above them; a single node for an estimate.
        seen: What of each lab that posterior has seen, where it is less than all of the lab.

    Returns:
        In the labs' order.
    """
    smooth, matrices = zip(*(_smoothed(posterior, i) for i in range(2)), strict=True)
    ranges = [_range(posterior, i, smooth[i]) for i in range(2)]
    nodes = (block.nodes for block in posterior.blocks)
    given = (posterior.weights, *nodes, *matrices, *smooth)
    arrays: list[Any] = [np.asarray(x, level.dtype) for x in given]

    def one(chunk: Chunk, size: int) -> LabPosteriors:
        surface: Surface = jax.tree.map(lambda x: x[chunk.positions], level.every)
        before = surface if seen is None else jax.tree.map(lambda x: x[chunk.positions], seen)
        weights = _populations_compiled(before, *arrays[:5])
        normals = _Normals(weights, *arrays[5:])

        def likelihood(points: np.ndarray) -> np.ndarray:
            values = log_likelihoods(family, chunk, points)
            return np.exp(values - surface.log_largest[:, None, None])

        reach = first_reach(surface, ranges)
        found = _settled(reach, normals, likelihood, level.dtype, size)
        if seen is not None:
            found = found._replace(
                total=found.total / np.asarray(_evidence(surface, before, *arrays[:3]))
            )
        return jax.tree.map(lambda x: x[: chunk.count], found)

    for size in (_SIZE, _MORE):
        parts = list(each_chunk(partial(one, size=size), level.tallies, np.float64))
        if all(np.abs(part.total - 1).max() <= _OFF for part in parts):
            break
    order = np.argsort(np.concatenate([c.positions[: c.count] for c in level.tallies]))
    merged: LabPosteriors = jax.tree.map(lambda *x: np.concatenate(x)[order], *parts)
    return merged


def new_lab(posterior: TopPosterior, dtype: type) -> LabPosteriors:
    """The population of labs: the posterior of a lab of which nothing is known.

    Args:
        posterior: Of what is above the labs.
        dtype: Floating type.

    Returns:
        Of one lab.
    """
    smooth, matrices = zip(*(_smoothed(posterior, i) for i in range(2)), strict=True)
    (low, high), rows = (_range(posterior, i, smooth[i]) for i in range(2))
    arrays: list[Any] = [np.asarray(x, dtype) for x in (posterior.weights, *matrices, *smooth)]
    with jax.enable_x64(True):
        weights = _interpolated_compiled(*arrays[:3])[None]
        reach = Reach(
            even(*np.array(rows)[:, None]),
            np.array([rows]),
            even(*np.broadcast_to(np.array([low, high])[:, None, None], (2, 1, 2))),
        )
        normals = _Normals(weights, *arrays[3:])
        return _settled(reach, normals, lambda points: np.ones(points.shape[:-1]), dtype, _MORE)
