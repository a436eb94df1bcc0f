"""Data sets of different sizes as one rectangle, filled up with units of no trials."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from hierjax.counts import Counts
from hierjax.errors import DataError
from hierjax.observations import Observations
from hierjax.tally import batch_lengths
from hierjax.validation import ArrayLike

__all__ = ["DataSets", "DistinctPairs", "SizeClass"]

# Numbers of distinct pairs are rounded up to eighths of an octave: few compilations, and few pairs
# for nothing.
_STEPS = 8
# With fewer units than this the posterior along a row is far from normal.
_FEW = 20


@dataclass(frozen=True, init=False, eq=False, repr=False)
class DataSets:
    """Counts of many data sets, each a row.

    Args:
        successes: Successes of every unit of every data set.
        trials: Trials likewise; units of none fill up smaller data sets.
        sizes: Number of units of each data set; by default all of the row.

    Raises:
        DataError: If shapes differ, counts are not whole numbers with 0 <= successes <= trials,
            or a size is not between 1 and the row's length, or has trials beyond it.

    Example:
        >>> DataSets(np.array([[1, 0], [2, 3]]), np.array([[4, 5], [3, 3]]))
        DataSets(data_sets=2, units=2)
    """

    successes: Int[np.ndarray, "batch units"]
    trials: Int[np.ndarray, "batch units"]
    sizes: Int[np.ndarray, "batch"]

    def __init__(
        self,
        successes: ArrayLike,
        trials: ArrayLike,
        sizes: ArrayLike | None = None,
    ) -> None:
        y, n = (_whole(name, x) for name, x in (("successes", successes), ("trials", trials)))
        if y.shape != n.shape or y.ndim != 2 or y.size == 0:
            raise DataError(
                "successes, trials: expected two tables of one shape, a row a data set, "
                f"found {y.shape} and {n.shape}"
            )
        if np.any(wrong := (y < 0) | (y > n)):
            row, unit = np.argwhere(wrong)[0]
            raise DataError(
                f"data set {row}, unit {unit}: expected 0 to {n[row, unit]} (trials) successes, "
                f"found {y[row, unit]}"
            )
        width = y.shape[1]
        lengths = np.full(len(y), width) if sizes is None else _whole("sizes", sizes)
        if lengths.shape != (len(y),) or np.any((lengths < 1) | (lengths > width)):
            raise DataError(f"sizes: expected {len(y)} of 1 to {width} units, found {lengths}")
        if np.any(beyond := (n > 0) & (np.arange(width) >= lengths[:, None])):
            row, unit = np.argwhere(beyond)[0]
            raise DataError(
                f"data set {row}, unit {unit}: expected no trials beyond its {lengths[row]} units, "
                f"found {n[row, unit]}"
            )
        for name, values in (("successes", y), ("trials", n), ("sizes", lengths)):
            values.flags.writeable = False
            object.__setattr__(self, name, values)

    @classmethod
    def of(cls, data_sets: Sequence[Observations]) -> "DataSets":
        """Data sets of any sizes, in order.

        Args:
            data_sets: Validated counts, unweighted.

        Raises:
            DataError: If there are none, one is no table of counts, or units are weighted.
        """
        if not data_sets:
            raise DataError("data sets: expected at least one, found none")
        if weighted := [k for k, counts in enumerate(data_sets) if counts.weights is not None]:
            raise DataError(f"data set {weighted[0]}: expected units without weights")
        checked = [_counts(k, each) for k, each in enumerate(data_sets)]
        sizes = np.array([len(counts) for counts in checked])
        y, n = (np.zeros((len(sizes), sizes.max()), np.int64) for _ in range(2))
        for row, counts in enumerate(checked):
            y[row, : sizes[row]], n[row, : sizes[row]] = counts.successes, counts.trials
        return cls(y, n, sizes)

    def __len__(self) -> int:
        return len(self.sizes)

    def __repr__(self) -> str:
        return f"DataSets(data_sets={len(self)}, units={self.trials.shape[1]})"

    @property
    def present(self) -> Bool[np.ndarray, "batch units"]:
        """Which units are there, and not filled up."""
        return np.arange(self.trials.shape[1]) < self.sizes[:, None]

    def select(self, rows: ArrayLike | slice) -> "DataSets":
        """Some of the data sets."""
        chosen = rows if isinstance(rows, slice) else np.asarray(rows)
        return DataSets(self.successes[chosen], self.trials[chosen], self.sizes[chosen])

    def counts(self, row: int) -> Counts:
        """One of the data sets, as it would be fitted alone."""
        size = self.sizes[row]
        return Counts(self.successes[row, :size], self.trials[row, :size])

    def distinct(self, least: int = 1) -> "DistinctPairs":
        """Distinct (successes, trials) of every data set: what is alike is done once.

        Args:
            least: How many pairs there is to be room for.
        """
        y, n = self.successes, self.trials
        if int(n.max()) < 1 << 31:
            codes = n * (int(y.max()) + 1) + y
        else:
            codes = np.unique(np.stack([n, y], axis=-1).reshape(-1, 2), axis=0, return_inverse=True)
            codes = codes[1].reshape(n.shape)
        order = np.argsort(codes, axis=1, kind="stable")
        in_order = np.take_along_axis(codes, order, axis=1)
        changes = np.diff(in_order, axis=1, prepend=in_order[:, :1]) > 0
        rank = np.cumsum(changes.astype(np.int64), axis=1)
        position = np.empty_like(rank)
        np.put_along_axis(position, order, rank, axis=1)
        width = _rounded_up(max(least, int(rank[:, -1].max()) + 1))
        successes, trials = (np.zeros((len(y), width), np.int64) for _ in range(2))
        np.put_along_axis(successes, position, y, axis=1)
        np.put_along_axis(trials, position, n, axis=1)
        cells = np.arange(len(y))[:, None] * width + position
        multiplicity = np.bincount(cells[self.present], minlength=trials.size)
        return DistinctPairs(successes, trials, multiplicity.reshape(trials.shape), position)


class DistinctPairs(NamedTuple):
    """Distinct pairs of every data set, filled up with pairs of no trials.

    Attributes:
        successes: Of every pair.
        trials: Likewise.
        multiplicity: Units that have the pair, of those that are there.
        position: The pair that each unit has.
    """

    successes: Int[np.ndarray, "batch pairs"]
    trials: Int[np.ndarray, "batch pairs"]
    multiplicity: Int[np.ndarray, "batch pairs"]
    position: Int[np.ndarray, "batch units"]


class SizeClass(NamedTuple):
    """How large the arrays of compiled code are; batches of one class share a program.

    Attributes:
        units: Units of a data set.
        pairs: Its distinct pairs.
        lengths: Of counts of counts, as `batch_lengths` gives them.
        few: Whether some data set has so few units that a row's posterior is far from normal.
    """

    units: int
    pairs: int
    lengths: tuple[int, int, int]
    few: bool

    @classmethod
    def of(cls, data_sets: DataSets, pairs: DistinctPairs | None = None) -> "SizeClass":
        """The smallest that holds some data sets.

        Args:
            data_sets: The data sets.
            pairs: Their distinct pairs, where they are known already.
        """
        return cls(
            data_sets.trials.shape[1],
            (pairs or data_sets.distinct()).successes.shape[1],
            batch_lengths(data_sets.successes, data_sets.trials),
            bool(data_sets.sizes.min() < _FEW),
        )

    def joined(self, other: "SizeClass") -> "SizeClass":
        """The smallest that holds what either does.

        Example:
            >>> SizeClass(10, 8, (16, 32, 32), True).joined(SizeClass(70, 60, (32, 16, 32), False))
            SizeClass(units=70, pairs=60, lengths=(32, 32, 32), few=True)
        """
        lengths = (0, 0, 0)
        if all((*self.lengths, *other.lengths)):
            y, f, n = map(max, self.lengths, other.lengths)
            lengths = (y, f, n)
        sizes = max(self.units, other.units), max(self.pairs, other.pairs)
        return SizeClass(*sizes, lengths, self.few or other.few)


def _rounded_up(size: int) -> int:
    step = max(_STEPS, 1 << max(0, (size - 1).bit_length() - 1)) // _STEPS
    return -(-size // step) * step


def _whole(name: str, values: ArrayLike) -> Int[np.ndarray, "..."]:
    array = np.array(values)
    if array.dtype.kind not in "iufb":
        raise DataError(f"{name}: expected whole numbers, found {array.dtype}")
    if array.dtype.kind == "f" and np.any(wrong := array != np.floor(array)):
        at = np.argwhere(wrong)[0].tolist()
        raise DataError(f"{name}: expected whole numbers, found {array[wrong][0]} at {at}")
    return array.astype(np.int64)


def _counts(position: int, data: Observations) -> Counts:
    if not isinstance(data, Counts):
        raise DataError(
            f"data set {position}: expected Counts, as batches know no other family, "
            f"found {type(data).__name__}"
        )
    return data
