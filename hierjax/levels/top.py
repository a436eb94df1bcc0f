"""What labs say of the level above them: their likelihoods together, and its maximum."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hierjax.families import AnyFamily
from hierjax.levels.labs import Chunk, pad_to
from hierjax.levels.labs import chunks as chunks_of
from hierjax.levels.model import TopPrior
from hierjax.levels.surface import (
    Surface,
    location_integrals,
    row_weights,
    surfaces,
)

__all__ = ["FLOOR", "Level", "Maximum", "ascend", "each_chunk", "log_integrals", "units"]

Scalar = Float[Array, ""]
Vector = Float[np.ndarray, "4"]
# Below this share of its largest value a likelihood is only the error of its interpolation.
FLOOR = {np.dtype(np.float64): 1e-12, np.dtype(np.float32): 1e-6}
# Of the standard deviations' units, for derivatives.
_DIFFERENCE = {np.dtype(np.float64): 1e-3, np.dtype(np.float32): 0.05}
_STENCIL = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1], indexing="ij"), axis=-1).reshape(-1, 2)
_ITERATIONS, _HALVINGS, _ENOUGH = 80, 12, 1e-9
_PARTS = 2


def each_chunk(function: Callable[..., Any], chunks: list[Any], dtype: type) -> Iterator[Any]:
    """Applies a function to all chunks, two at a time, in order."""
    x64 = np.dtype(dtype) == np.float64

    def one(chunk: Any) -> Any:
        with jax.enable_x64(x64):  # a thread has a setting of its own
            return function(chunk)

    if len(chunks) == 1:
        yield one(chunks[0])
        return
    with ThreadPoolExecutor(min(_PARTS, os.cpu_count() or 1)) as pool:
        yield from pool.map(one, chunks)


@dataclass(frozen=True)
class Level:
    """All labs' likelihoods.

    Attributes:
        surfaces: In chunks of labs in order, the last one filled up.
        present: One for every lab, zero for what fills up.
        tallies: The labs in chunks of equal shapes, for what needs them again.
        every: Of every lab, on the host.
        dtype: Floating type.
    """

    surfaces: list[Surface]
    present: list[Float[np.ndarray, "labs"]]
    tallies: list[Chunk]
    every: Surface
    dtype: type

    @classmethod
    def of(
        cls, family: AnyFamily, tallies: list[Any], rows: int, columns: int, dtype: type
    ) -> "Level":
        """Works the labs' likelihoods out.

        Args:
            family: Conjugate family.
            tallies: Of every lab.
            rows: Log-concentrations of every lab.
            columns: Locations in each row.
            dtype: Floating type.
        """
        parts = list(chunks_of(tallies))

        def worked_out(chunk: Chunk) -> Surface:
            found = surfaces(family, chunk, rows, columns)
            return jax.tree.map(lambda x: x[: chunk.count], found)

        found = list(each_chunk(worked_out, parts, np.float64))
        order = np.argsort(np.concatenate([c.positions[: c.count] for c in parts]))
        every: Surface = jax.tree.map(lambda *x: np.concatenate(x)[order].astype(dtype), *found)
        size, labs = pad_to(len(tallies)), len(tallies)
        split = [np.arange(i, i + size) for i in range(0, labs, size)]
        kept = [jax.tree.map(lambda x, at=at: x[at % labs], every) for at in split]
        present: list[np.ndarray] = [(at < labs).astype(dtype) for at in split]
        return cls(kept, present, parts, every, dtype)

    def __len__(self) -> int:
        """Number of labs."""
        return len(self.every.mode)

    @property
    def log_largest(self) -> float:
        """Sum of the logarithms of what likelihoods are relative to."""
        return float(np.sum(self.every.log_largest, dtype=np.float64))

    def derivatives(
        self, top: Vector, unit: Vector
    ) -> tuple[float, Vector, Float[np.ndarray, "4 4"]]:
        """Log-likelihood of what is above the labs, its gradient and Hessian, by differences."""
        difference = _DIFFERENCE[np.dtype(self.dtype)] * unit
        blocks = [top[at] + difference[at] * _STENCIL for at in (slice(0, 2), slice(2, 4))]
        f = self.log_likelihoods(blocks[0], blocks[1]).reshape(3, 3, 3, 3)
        gradient, hessian = np.empty(4), np.empty((4, 4))
        for i in range(4):
            low, high = (f[_beside((i, d))] for d in (-1, 1))
            gradient[i] = (high - low) / 2
            hessian[i, i] = high - 2 * f[1, 1, 1, 1] + low
            for j in range(i):
                corner = [[f[_beside((i, d), (j, e))] for e in (-1, 1)] for d in (-1, 1)]
                mixed = corner[1][1] - corner[1][0] - corner[0][1] + corner[0][0]
                hessian[i, j] = hessian[j, i] = mixed / 4
        return (
            float(f[1, 1, 1, 1]) + self.log_largest,
            gradient / difference,
            hessian / np.outer(difference, difference),
        )

    def log_likelihoods(
        self, locations: Float[np.ndarray, "nodes 2"], concentrations: Float[np.ndarray, "others 2"]
    ) -> Float[np.ndarray, "nodes others"]:
        """Log-likelihoods of all pairs of nodes, relative to the labs' largest.

        Args:
            locations: Means and standard deviations of the locations.
            concentrations: Of the log-concentrations.
        """
        nodes: list[np.ndarray] = [np.asarray(x, self.dtype) for x in (locations, concentrations)]
        pairs = list(zip(self.surfaces, self.present, strict=True))
        total = np.zeros((len(locations), len(concentrations)))
        for part in each_chunk(
            lambda pair: np.asarray(_sum_log_integrals(*pair, *nodes)), pairs, self.dtype
        ):
            total += part
        return total


def _beside(*moves: tuple[int, int]) -> tuple[int, ...]:
    """Index of a neighbour in a stencil of four coordinates."""
    index = [1, 1, 1, 1]
    for axis, distance in moves:
        index[axis] += distance
    return tuple(index)


def _log_floored(value: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """Logarithm of likelihoods, whose errors of interpolation are not to be taken for values."""
    return jnp.log(jnp.maximum(value, FLOOR[np.dtype(value.dtype)]))


def log_integrals(
    surface: Surface,
    locations: Float[Array, "nodes 2"],
    concentrations: Float[Array, "others 2"],
) -> Float[Array, "nodes others"]:
    """One lab's log-likelihood at all pairs of nodes for the two coordinates.

    Args:
        surface: Of one lab.
        locations: Means and standard deviations of the locations.
        concentrations: Of the log-concentrations.
    """
    by_row = jax.vmap(lambda node: location_integrals(surface, node[0], node[1]))(locations)
    weights = jax.vmap(lambda node: row_weights(surface, node[0], node[1]))(concentrations)
    return _log_floored(by_row @ weights.T)


@jax.jit
def _sum_log_integrals(
    surface: Surface,
    present: Float[Array, "labs"],
    locations: Float[Array, "nodes 2"],
    concentrations: Float[Array, "others 2"],
) -> Float[Array, "nodes others"]:
    """The same, summed over some labs."""

    def add(total: Array, lab: tuple[Surface, Scalar]) -> tuple[Array, None]:
        return total + lab[1] * log_integrals(lab[0], locations, concentrations), None

    shape = (len(locations), len(concentrations))
    return jax.lax.scan(add, jnp.zeros(shape, locations.dtype), (surface, present))[0]


class Maximum(NamedTuple):
    """A maximum over what is above the labs.

    Attributes:
        top: Means and standard deviations.
        value: Of the function there.
        hessian: Likewise, by the standard deviations themselves.
        decrement: Newton's, half of which is what there is left to gain.
        iterations: How many it took.
    """

    top: Vector
    value: float
    hessian: Float[np.ndarray, "4 4"]
    decrement: float
    iterations: int


def _start(level: Level, unit: Vector) -> Vector:
    """Moments of the labs' modes, each with the error that its likelihood has."""
    top = np.empty(4)
    for i in range(2):
        at = np.asarray(level.every.mode[:, i], np.float64)
        error = np.asarray(level.every.spread[:, i], np.float64)
        weight = 1 / (error**2 + unit[2 * i + 1] ** 2)
        mean = weight @ at / weight.sum()
        excess = weight @ ((at - mean) ** 2 - error**2) / weight.sum()
        top[2 * i] = mean
        top[2 * i + 1] = np.sqrt(max(excess, (0.2 * unit[2 * i + 1]) ** 2))
    return top


def units(level: Level, prior: TopPrior) -> Vector:
    """What each coordinate above the labs is measured in.

    Standard deviations have the scale of their hyperprior; means what one lab says of them, whose
    likelihood may be far wider than labs differ.

    Args:
        level: The labs.
        prior: Hyperprior.

    Returns:
        Four lengths.
    """
    error = np.asarray(level.every.spread, np.float64)
    typical = np.sqrt(1 / np.mean(1 / (error**2 + prior.scales**2), axis=0))
    return np.stack([np.minimum(typical, prior.sds), prior.scales], axis=1).ravel()


def ascend(level: Level, prior: TopPrior, posterior: bool) -> Maximum:
    """Newton's ascent of the labs' likelihood, or of the posterior density.

    Standard deviations may pass through 0, in which the function is even: a maximum at 0 is found
    as any other.

    Args:
        level: The labs.
        prior: Hyperprior; of the likelihood it gives the units of measurement alone.
        posterior: Whether to include it.

    Returns:
        The maximum.
    """
    unit = units(level, prior)
    center = np.array([prior.centers[0], 0.0, prior.centers[1], 0.0])
    width = np.array([prior.sds[0], prior.scales[0], prior.sds[1], prior.scales[1]])

    def function(top: Vector) -> tuple[float, Vector, Float[np.ndarray, "4 4"]]:
        value, gradient, hessian = level.derivatives(top, unit)
        if posterior:
            for i in range(2):
                mean, sd = top[2 * i : 2 * i + 1], top[2 * i + 1 : 2 * i + 2]
                value += float(prior.log_density(i, mean, sd)[0])
            gradient = gradient - (top - center) / width**2
            hessian = hessian - np.diag(1 / width**2)
        return value, gradient, hessian

    top = _start(level, unit)
    if posterior:  # moments may be far from where a narrow hyperprior allows
        top[1::2] = np.minimum(top[1::2], prior.scales)
    value, gradient, hessian = function(top)
    decrement = np.inf
    for iteration in range(_ITERATIONS):
        values, vectors = np.linalg.eigh(-hessian * np.outer(unit, unit))
        slope = vectors.T @ (gradient * unit)
        move = slope / np.maximum(np.abs(values), 1e-6 * max(1.0, np.abs(values).max()))
        decrement = float(slope @ move)
        if decrement < _enough(level) and values.min() > -1e-6:
            return Maximum(top, value, hessian, decrement, iteration)
        step = unit * (vectors @ move) * min(1.0, 2.0 / max(float(np.linalg.norm(move)), 1e-12))
        for halving in range(_HALVINGS):
            tried = top + 0.5**halving * step
            found = function(tried)
            if np.isfinite(found[0]) and found[0] > value - 1e-12 * abs(value):
                break
        else:
            return Maximum(top, value, hessian, decrement, iteration)
        top, (value, gradient, hessian) = tried, found
    return Maximum(top, value, hessian, decrement, _ITERATIONS)


def _enough(level: Level) -> float:
    return _ENOUGH if np.dtype(level.dtype) == np.float64 else 1e-3
