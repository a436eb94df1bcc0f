"""Nodes of labs' coordinates: lines of them, where they begin and end, and their weights."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from hierjax.levels.surface import Surface

__all__ = ["LabPosteriors", "Lines", "Reach", "even", "first_reach", "narrowed"]

# A lattice is narrowed to where masses are at least this share of the largest.
_NEGLIGIBLE = 1e-6

Grid = Float[np.ndarray, "labs rows columns"]


class LabPosteriors(NamedTuple):
    """Posteriors of labs' coordinates.

    Attributes:
        location: Of the nodes.
        log_concentration: Of the rows.
        weights: Summing to one.
        total: Sum of the weights before that, which would be 1 without error.
        rows: How rows are spaced.
        columns: How nodes in each row are.
    """

    location: Grid
    log_concentration: Float[np.ndarray, "labs rows"]
    weights: Grid
    total: Float[np.ndarray, "labs"]
    rows: "Lines"
    columns: "Lines"


def _common(
    low: np.ndarray, high: np.ndarray, inner: tuple[float, float], open_ends: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """What a likelihood's reach and the population's have in common; else the likelihood's."""
    first = np.where(open_ends[0], inner[0], np.maximum(low, inner[0]))
    last = np.where(open_ends[1], inner[1], np.minimum(high, inner[1]))
    apart = first >= last
    return np.where(apart, low, first), np.where(apart, high, last)


class Lines(NamedTuple):
    """Nodes on lines: center + scale sinh(x) of evenly spaced x."""

    center: Float[np.ndarray, "*lines"]
    scale: Float[np.ndarray, "*lines"]
    start: Float[np.ndarray, "*lines"]
    step: Float[np.ndarray, "*lines"]

    @classmethod
    def between(
        cls, low: np.ndarray, high: np.ndarray, center: np.ndarray, scale: np.ndarray, size: int
    ) -> "Lines":
        """Lines with these ends, whose nodes are closest at their centers."""
        start, end = (np.arcsinh((x - center) / scale) for x in (low, high))
        return cls(center, scale, start, (end - start) / (size - 1))

    def values(
        self, size: int
    ) -> tuple[Float[np.ndarray, "*lines nodes"], Float[np.ndarray, "*lines nodes"]]:
        """Nodes, and the lengths that they stand for."""
        x = self.start[..., None] + self.step[..., None] * np.arange(size)
        length = (self.scale * self.step)[..., None] * np.cosh(x)
        return self.center[..., None] + self.scale[..., None] * np.sinh(x), length


def _four(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The first axis, taken apart."""
    return values[0], values[1], values[2], values[3]


class Reach(NamedTuple):
    """Where the nodes of labs go.

    Attributes:
        rows: First, last, center and scale of the log-concentrations.
        known: Log-concentrations at which the locations' are known.
        columns: The same of the locations, in these rows.
    """

    rows: Float[np.ndarray, "4 labs"]
    known: Float[np.ndarray, "labs known"]
    columns: Float[np.ndarray, "4 labs known"]

    def lines(self, size: int) -> tuple[Lines, Lines]:
        """Nodes of the rows, and of as many columns in each."""
        rows = Lines.between(*_four(self.rows), size)
        w, _ = rows.values(size)
        low, high, center, scale = (
            np.stack([np.interp(*each) for each in zip(w, self.known, x, strict=True)])
            for x in self.columns
        )
        return rows, Lines.between(low, high, center, scale, size)


def narrowed(u: Grid, lengths: Grid, w: np.ndarray, heights: np.ndarray, mass: Grid) -> Reach:
    """To where there is mass; rows without any reach as far as those beside them."""
    by_row = mass.sum(axis=2)
    columns = _core(u, lengths, mass)
    at = np.arange(by_row.shape[1])
    for lab, values in enumerate(by_row):
        counts = values > _NEGLIGIBLE**2 * values.max()
        if counts.any():
            for each in columns:
                each[lab] = np.interp(at, at[counts], each[lab][counts])
    return Reach(_core(w, heights, by_row), w, columns)


def _core(
    nodes: Float[np.ndarray, "*lines nodes"],
    lengths: Float[np.ndarray, "*lines nodes"],
    mass: Float[np.ndarray, "*lines nodes"],
) -> Float[np.ndarray, "4 *lines"]:
    """Where lines are to begin and end, where density is highest, and how wide that peak is."""
    inside = mass > _NEGLIGIBLE * mass.max(axis=-1, keepdims=True)
    inside |= ~inside.any(axis=-1, keepdims=True)
    first = np.maximum(inside.argmax(axis=-1) - 1, 0)
    last = nodes.shape[-1] - np.maximum(inside[..., ::-1].argmax(axis=-1), 1)
    density = mass / lengths
    peak = density.argmax(axis=-1)
    low, high, center, length, highest = (
        np.take_along_axis(x, index[..., None], axis=-1)[..., 0]
        for x, index in (
            *((nodes, first), (nodes, np.minimum(last, nodes.shape[-1] - 1)), (nodes, peak)),
            *((lengths, peak), (density, peak)),
        )
    )
    width = mass.sum(axis=-1) / (np.maximum(highest, 1e-300) * np.sqrt(2 * np.pi))
    scale = np.clip(width, 0.4 * length, high - low)
    return np.stack([low, high, center, scale])


def first_reach(surface: Surface, ranges: list[tuple[float, float]]) -> Reach:
    """Where both a lab's likelihood and its population are, by their ends."""
    start, step, values = surface.start, surface.step, surface.coefficients
    count, size = start.shape[1], values.shape[2] - 2
    known = surface.row_start[:, None] + surface.row_step[:, None] * np.arange(count)
    open_rows = tuple(np.any(values[:, end] != 0, axis=1) for end in (0, -1))
    rows = _common(known[:, 0], known[:, -1], ranges[1], open_rows)
    open_columns = tuple(values[..., end] != 0 for end in (0, -1))
    columns = _common(start, start + (size - 1) * step, ranges[0], open_columns)
    return Reach(even(*rows), np.asarray(known, np.float64), even(*columns))


def even(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Lines whose nodes are almost evenly spaced."""
    low, high = (np.asarray(x, np.float64) for x in (low, high))
    return np.stack([low, high, 0.5 * (low + high), high - low])
