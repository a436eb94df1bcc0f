"""Joint posteriors of two units' parameters, on lattices that points of the hyperparameters share.

Units are independent only given the hyperparameters. On fixed nodes of both their joint
density is a sum over points of products, so that a matrix product mixes the points once and for
all, and what is then asked of the two costs nothing per point.
"""

from collections import defaultdict
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from hierjax import lattice
from hierjax.families.host_protocol import OnHost
from hierjax.units.nodes import log_kernel

__all__ = ["Joint", "UnitLattice", "UnitShapes", "point_groups", "unit_lattice"]

# Distance of nodes in the narrowest component's widths, and how many widths they reach, beyond
# exponential tails of so many lengths. Shapes below one only lengthen a density's tails.
_SPACING, _REACH, _LENGTHS, _BULK = 0.27, 7.5, 28.0, 0.8
# Stretchings that are tried, in the narrowest component's widths.
_SCALES = np.array([3.0, 6.0, 15.0, 50.0])
# Shapes below which tails are so long that nodes are to be closer.
_SMALL, _SPACING_SMALL = 0.5, 0.12
_FEWEST, _MOST = 40, 160
# Logarithm of the least share of a node, relative to the greatest.
_LEAST = -100.0
# Nodes come in multiples of this.
_ROWS = 8

UnitShapes = tuple[Float[np.ndarray, "units points"], Float[np.ndarray, "units points"]]


class _Place(NamedTuple):
    """Places center + scale * sinh(start + step * k), of every unit."""

    center: Float[np.ndarray, "units"]
    scale: Float[np.ndarray, "units"]
    start: Float[np.ndarray, "units"]
    step: Float[np.ndarray, "units"]

    def of(self, units: Int[np.ndarray, "pairs"]) -> "_Place":
        """Of some units, as columns."""
        return _Place(*(x[units][:, None] for x in self))

    def position(self, places: Float[np.ndarray, "units nodes"]) -> np.ndarray:
        """Distance from the first node, in steps; everything is in columns."""
        return (np.arcsinh((places - self.center) / self.scale) - self.start) / self.step

    def parameters(
        self, family: OnHost, places: Float[np.ndarray, "units nodes"]
    ) -> tuple[np.ndarray, ...]:
        """Parameters at nodes, all along one axis more, and three derivatives in steps."""
        x = np.arcsinh((places - self.center) / self.scale)
        sine, cosine = (self.step * self.scale * f(x) for f in (np.sinh, np.cosh))
        value, first, second, third = family.slopes(places)
        found = (
            value,
            first * cosine,
            second * cosine**2 + first * sine * self.step,
            third * cosine**3 + (3 * second * sine * self.step + first * self.step**2) * cosine,
        )
        return tuple(values[:, None] for values in found)


class UnitLattice(NamedTuple):
    """Components of units' posteriors on lattices of places.

    Attributes:
        place: Where nodes are.
        places: The nodes.
        shares: How much of each component every node stands for; each sums to one.
    """

    place: _Place
    places: Float[np.ndarray, "units nodes"]
    shares: Float[np.ndarray, "units points nodes"]


def _ends(family: OnHost, shapes: UnitShapes) -> tuple[np.ndarray, ...]:
    """Centers and widths of components, and first and last place of each unit."""
    width = np.minimum(family.width(shapes), _BULK * family.widest)
    # Where the tail of a small shape begins, not at the mode, which is far out in it.
    center, (left, right) = family.middle(shapes), family.tails(shapes)
    low = np.min(center - _REACH * width - _LENGTHS / left, axis=1)
    high = np.max(center + _REACH * width + _LENGTHS / right, axis=1)
    return center, width, low, high


def _places(family: OnHost, shapes: UnitShapes) -> tuple[_Place, Float[np.ndarray, "units"]]:
    """Lattices with as few nodes as resolve every component, and how many those are."""
    center, width, low, high = _ends(family, shapes)
    narrowest = np.argmin(width, axis=1)[:, None]
    middle, least = (np.take_along_axis(x, narrowest, axis=1) for x in (center, width))
    scales = least * _SCALES
    start, end = (np.arcsinh((x[:, None] - middle) / scales) for x in (low, high))
    away = np.hypot(scales[:, None], (center - middle)[..., None])
    left, right = family.tails(shapes)
    small = np.minimum(left.min(axis=1), right.min(axis=1)) < _SMALL
    spacing = np.where(small, _SPACING_SMALL, _SPACING)[:, None]
    step = spacing * np.min(width[..., None] / away, axis=1)
    sizes = (end - start) / step + 1
    best = np.argmin(sizes, axis=1)[:, None]
    scale, start, end, size = (
        np.take_along_axis(x, best, axis=1)[:, 0] for x in (scales, start, end, sizes)
    )
    return _Place(middle[:, 0], scale, start, end - start), np.ceil(size)


def unit_lattice(family: OnHost, shapes: UnitShapes) -> UnitLattice:
    """Lattices of units' parameters that all their components share.

    Args:
        family: The family on the host.
        shapes: Of each unit's components.

    Returns:
        The lattices, all of the same number of nodes.
    """
    place, sizes = _places(family, shapes)
    size = -int(-max(sizes.max(), _FEWEST) // _ROWS) * _ROWS
    place = place._replace(step=place.step / (size - 1))
    hidden = place.start[:, None] + place.step[:, None] * np.arange(size)
    places = place.center[:, None] + place.scale[:, None] * np.sinh(hidden)
    shares = log_kernel(family, shapes, place.center, places)
    shares -= shares.max(axis=-1, keepdims=True)
    # Products of less would be subnormal, and many times slower.
    np.exp(np.maximum(shares, _LEAST, out=shares), out=shares)
    shares *= np.cosh(hidden)[:, None]
    shares /= shares.sum(axis=-1, keepdims=True)
    return UnitLattice(place, places, shares)


def point_groups(family: OnHost, shapes: UnitShapes) -> list[Int[np.ndarray, "groups size"]]:
    """Points whose components are enough alike to share a lattice, for all of some units.

    Args:
        family: The family on the host.
        shapes: Of each unit's components.

    Returns:
        Positions of points, each point in one group; groups of one size are together.
    """
    waiting, found = [np.arange(shapes[0].shape[1])], defaultdict(list)
    while waiting:
        group = waiting.pop()
        sizes = _places(family, (shapes[0][:, group], shapes[1][:, group]))[1]
        if len(group) == 1 or sizes.max() <= _MOST:
            found[len(group)].append(group)
            continue
        worst = int(np.argmax(sizes))
        row = slice(worst, worst + 1)
        center, width, *_ = _ends(family, (shapes[0][row, group], shapes[1][row, group]))
        apart = np.ptp(center) > width.max() - width.min()
        order = np.argsort((center if apart else width)[0], kind="stable")
        waiting += np.array_split(group[order], 2)
    return [np.stack(groups) for groups in found.values()]


class Joint:
    """Pairs of units: nodes of one, and the other's distribution function beside each.

    Lattices and pairs are repeated for groups of points of the same size, whose parts add up.

    Args:
        family: The family on the host.
        shapes: Of all units at every point.
        groups: Positions of the points in each group.
        weights: Of the points.
        nodes: Units whose nodes are summed over.
        others: Units whose functions are taken.
    """

    def __init__(
        self,
        family: OnHost,
        shapes: UnitShapes,
        groups: Int[np.ndarray, "groups size"],
        weights: Float[np.ndarray, "points"],
        nodes: Int[np.ndarray, "pairs"],
        others: Int[np.ndarray, "pairs"],
    ):
        self._family = family
        self._groups, size = groups.shape
        lattices, places = [], []
        for side in (nodes, others):
            used, place = np.unique(side, return_inverse=True)
            first, second = (x[used][:, groups].reshape(-1, size) for x in shapes)
            lattices.append(unit_lattice(family, (first, second)))
            places.append((place[:, None] * self._groups + np.arange(self._groups)).ravel())
        own, other = lattices
        shares = own.shares.reshape(-1, *groups.shape, own.places.shape[-1])
        weighted = np.swapaxes(shares * weights[groups][..., None], -1, -2)
        weighted = weighted.reshape(-1, *weighted.shape[-2:])
        # Products of few rows each: larger ones wait for other threads.
        parts = weighted.reshape(len(weighted), -1, _ROWS, size)[places[0]]
        rows = parts @ other.shares[places[1]][:, None]
        density = rows.reshape(len(rows), -1, rows.shape[-1])
        slope = lattice.derivative(rows)
        table = (lattice.cumulative(rows), rows, slope, lattice.derivative(slope))
        self._total = density.sum(axis=-1)
        self._table = tuple(values.reshape(density.shape) for values in table)
        self._place = other.place.of(places[1])
        self._other_places = other.places[places[1]]
        self._places = own.places[places[0]]
        self._held = family.held(self._places)

    def below(self) -> Float[np.ndarray, "pairs"]:
        """P(other < this)."""
        return self._below(self._places)

    def below_shifted(self, difference: Float[np.ndarray, "pairs"]) -> Float[np.ndarray, "pairs"]:
        """P(other - this < difference)."""
        return self._below(self._family.shifted(self._held, self._repeated(difference)))

    def below_scaled(self, log_ratio: Float[np.ndarray, "pairs"]) -> Float[np.ndarray, "pairs"]:
        """P(other / this < ratio), by its logarithm."""
        return self._below(self._family.scaled(self._held, self._repeated(log_ratio)))

    def of(self, pairs: Bool[np.ndarray, "pairs"]) -> "Joint":
        """Of some of the pairs."""
        if pairs.all():
            return self
        chosen, parts = object.__new__(Joint), np.repeat(pairs, self._groups)
        for name, values in vars(self).items():
            if isinstance(values, tuple):
                found = tuple(x[parts] for x in values)
                setattr(chosen, name, _Place(*found) if isinstance(values, _Place) else found)
            else:
                setattr(chosen, name, values[parts] if isinstance(values, np.ndarray) else values)
        return chosen

    def mean_excess(self) -> Float[np.ndarray, "pairs"]:
        """E[max(this - other, 0)]: the integral of the other's distribution function up to this."""
        total, density, slope, _ = self._table
        # Derivatives of the parameter in steps of the lattice, and by parts its integral.
        value, first, second, third = self._place.parameters(self._family, self._other_places)
        # From a parameter among them, of which no digits are to cancel.
        value = value - self._family.parameter_at(self._place.center)[:, None]
        moments = (value * density).reshape(-1, _ROWS, density.shape[-1])
        table = (
            value * total - lattice.cumulative(moments).reshape(total.shape),
            first * total,
            second * total + first * density,
            third * total + 2 * second * density + first * slope,
        )
        found = lattice.interpolate_lines(self._place.position(self._places), table)
        own, last = map(self._family.parameter_at, (self._places, self._other_places[:, -1:]))
        beyond = np.maximum(own - last, 0.0)
        return self._sum(np.maximum(found, 0.0) + beyond * self._total)

    def _below(self, places: Float[np.ndarray, "parts nodes"]) -> Float[np.ndarray, "pairs"]:
        """P(other's place < a function of this one's), given its values at the nodes."""
        found = lattice.interpolate_lines(self._place.position(places), self._table)
        return self._sum(np.clip(found, 0.0, self._total))

    def _repeated(self, values: Float[np.ndarray, "pairs"]) -> Float[np.ndarray, "parts 1"]:
        return np.repeat(values, self._groups)[:, None]

    def _sum(self, values: Float[np.ndarray, "parts nodes"]) -> Float[np.ndarray, "pairs"]:
        return values.reshape(-1, self._groups * values.shape[-1]).sum(axis=-1)
