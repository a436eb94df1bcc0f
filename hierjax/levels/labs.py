"""Labs: the units of a table by group, each group as its tally, on the host."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int, PyTree, Shaped

from hierjax.errors import DataError
from hierjax.families import AnyFamily
from hierjax.observations import Observations

__all__ = ["Chunk", "Labs", "pad_to"]

# Labs that one call of compiled code goes through; fewer are filled up to a power of two.
_LARGEST_CHUNK = 32
# What entries that fill a tally up hold where it is not zero: a standard error has to be positive.
_FILLING = {"errors": 1.0}


@dataclass(frozen=True)
class Chunk:
    """Some labs with tallies of one shape.

    Attributes:
        positions: Which labs; repeated to fill the chunk up.
        count: How many of them are not repeated.
        tallies: Their tallies, stacked.
    """

    positions: Int[np.ndarray, "labs"]
    count: int
    tallies: PyTree


def pad_to(size: int) -> int:
    """The size of a chunk that holds so many labs."""
    return min(_LARGEST_CHUNK, 1 << max(0, size - 1).bit_length())


def _length(size: int) -> int:
    """Few different lengths, so that labs of different sizes share compiled code."""
    return 0 if size == 0 else max(16, 4 ** -(-(size - 1).bit_length() // 2))


def _filled(tally: Any) -> Any:
    """A tally with its axes at one of a few lengths."""

    def fill(name: str, values: np.ndarray) -> np.ndarray:
        if values.ndim == 0:
            return values
        more = (0, _length(len(values)) - len(values))
        return np.pad(values, more, constant_values=_FILLING.get(name, 0.0))

    return type(tally)(*map(fill, tally._fields, tally))


@dataclass(frozen=True)
class Labs:
    """Units by group.

    Attributes:
        names: Of the groups, sorted.
        group: Position of every unit's group.
        units: Positions of each group's units.
        data: The table.
    """

    names: Shaped[np.ndarray, "groups"]
    group: Int[np.ndarray, "units"]
    units: list[np.ndarray]
    data: Observations

    @classmethod
    def of(cls, data: Observations) -> "Labs":
        """Sorts the units of a table.

        Args:
            data: Observations with groups.

        Raises:
            DataError: If they have none.
        """
        if data.groups is None:
            raise DataError("groups: expected the group of every unit, found none")
        names, group = np.unique(data.groups, return_inverse=True)
        order = np.argsort(group, kind="stable")
        ends = np.cumsum(np.bincount(group))[:-1]
        return cls(names, group, np.split(order, ends), data)

    def __len__(self) -> int:
        """Number of groups."""
        return len(self.names)

    def tallies(self, family: AnyFamily, dtype: type) -> list[Any]:
        """Each group's tally."""
        return [self.tally(family, dtype, position) for position in range(len(self))]

    def tally(
        self,
        family: AnyFamily,
        dtype: type,
        position: int | None,
        unit: tuple[Any, Any] | None = None,
    ) -> Any:
        """A group's tally.

        Args:
            family: Conjugate family.
            dtype: Floating type.
            position: Which group; None for one without units.
            unit: Value and size of a unit to append to it.
        """
        at = np.empty(0, int) if position is None else self.units[position]
        columns = [column[at] for column in self.data.pair]
        weights = None if self.data.weights is None else self.data.weights[at]
        if unit is not None:
            columns = [np.append(x, each) for x, each in zip(columns, unit, strict=True)]
            weights = None if weights is None else np.append(weights, 1)
        return _filled(family.tally(columns[0], columns[1], weights, dtype))


def chunks(tallies: list[Any]) -> Iterator[Chunk]:
    """Labs in chunks of equal shapes.

    Args:
        tallies: Of every lab.

    Yields:
        Chunks that hold every lab once, and repeat some to be full.
    """
    classes: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    for position, tally in enumerate(tallies):
        classes.setdefault(tuple(values.shape for values in tally), []).append(position)
    for members in classes.values():
        size = pad_to(len(members))
        for first in range(0, len(members), size):
            kept = members[first : first + size]
            filled = np.resize(np.array(kept), size)
            stacked = (np.stack(x) for x in zip(*(tallies[i] for i in filled), strict=True))
            yield Chunk(filled, len(kept), type(tallies[0])(*stacked))
