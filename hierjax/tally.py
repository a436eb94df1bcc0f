"""Tally: all that the hyperparameters can see of the units, exactly, and additively.

Given the hyperparameters, units with the same counts are interchangeable, so J units reduce to
their distinct (successes, trials) pairs with multiplicities. Units of few trials reduce further,
to counts of counts: with c_k = #{y > k}, d_k = #{n - y > k}, e_k = #{n > k}, the log-marginal is

    sum_k c_k log(m + k phi) + d_k log(1 - m + k phi) - e_k log(1 + k phi)

plus a constant, whatever the number of units. Units of many trials stay as pairs.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

from hierjax.counts import Counts
from hierjax.counts_of_counts import (
    LARGEST_DENSE,
    SMALLEST_DENSE,
    above,
    dense_length,
    size_class,
)
from hierjax.errors import DataError

__all__ = ["Tally", "TallyArrays", "batch_lengths", "distinct_pairs", "tally_batch"]


class TallyArrays(NamedTuple):
    """A tally as arrays for compiled code, padded to a few size classes.

    NumPy on the host, JAX within compiled code.

    Attributes:
        successes_above: c_k, the weight of units with more than k successes.
        failures_above: d_k, the weight of units with more than k failures.
        trials_above: e_k, the weight of units with more than k trials.
        log_coefficient: Sum of log binomial coefficients of the units counted above.
        pair_successes: Successes of the distinct pairs kept apart; 0 in padding.
        pair_trials: Their trials; 0 in padding.
        pair_multiplicity: The weight of units with that pair; 0 in padding.
        total_successes: Weighted sum of all successes.
        total_failures: Weighted sum of all failures.
        interior: Weight of units with 0 < successes < trials.
        units: Weight of all units.
    """

    successes_above: Float[Any, "counts"]
    failures_above: Float[Any, "counts"]
    trials_above: Float[Any, "counts"]
    log_coefficient: Float[Any, ""]
    pair_successes: Float[Any, "pairs"]
    pair_trials: Float[Any, "pairs"]
    pair_multiplicity: Float[Any, "pairs"]
    total_successes: Float[Any, ""]
    total_failures: Float[Any, ""]
    interior: Float[Any, ""]
    units: Float[Any, ""]

    @property
    def dtype(self) -> Any:
        """Floating type of the arrays."""
        return self.units.dtype

    @property
    def weight(self) -> Float[Any, ""]:
        """Weight of all units."""
        return self.units

    @property
    def terms(self) -> int:
        """Elements of a log-marginal."""
        return int(self.pair_trials.size + self.trials_above.size)


def distinct_pairs(
    first: Shaped[np.ndarray, "units"], second: Shaped[np.ndarray, "units"]
) -> tuple[Shaped[np.ndarray, "2 pairs"], Int[np.ndarray, "units"]]:
    """The pairs that occur, in order, and which of them each unit has.

    Small counts are looked up in a table of all pairs that there could be. Others are sorted column
    by column, which is several times faster than sorting rows.

    Args:
        first: A column.
        second: Another.

    Returns:
        The distinct pairs, and the position of every unit's among them.
    """
    if len(first) and (width := _table_width(first, second)):
        codes = first * width + second
        occurs = np.bincount(codes) > 0
        found = np.flatnonzero(occurs)
        position = np.cumsum(occurs) - 1
        return np.stack(np.divmod(found, width)), position[codes]
    values, codes = zip(*(np.unique(x, return_inverse=True) for x in (first, second)), strict=True)
    pairs, inverse = np.unique(codes[0] * len(values[1]) + codes[1], return_inverse=True)
    at = np.divmod(pairs, max(1, len(values[1])))
    return np.stack([values[0][at[0]], values[1][at[1]]]), inverse


def _table_width(first: np.ndarray, second: np.ndarray) -> int:
    """Columns of a table of all pairs, 0 if it would be much longer than the data."""
    if first.dtype.kind not in "iu" or second.dtype.kind not in "iu":
        return 0
    width = int(second.max()) + 1
    small = min(first.min(), second.min()) >= 0
    return width if small and (int(first.max()) + 1) * width <= 4 * len(first) + 10_000 else 0


def _check_digits(successes: np.ndarray, trials: np.ndarray, dtype: type) -> None:
    failures = trials - successes
    held: np.ndarray = trials.astype(dtype) - successes.astype(dtype)
    lost = np.flatnonzero(np.abs(held - failures) > 1e-3 * failures)
    if lost.size:
        y, n = successes[lost[0]], trials[lost[0]]
        raise DataError(
            f"{np.dtype(dtype)} holds too few digits for a unit of {y} successes in {n} trials; "
            "use float64"
        )


@dataclass(frozen=True, eq=False)
class Tally:
    """Distinct (successes, trials) pairs with multiplicities; tallies add.

    Attributes:
        successes: Distinct pairs' successes, sorted by (trials, successes).
        trials: Distinct pairs' trials.
        multiplicity: Number (or total weight) of the units with that pair.

    Example:
        >>> import hierjax as hj
        >>> rats = hj.datasets.rat_tumors()
        >>> parts = rats.select(slice(40)), rats.select(slice(40, None))
        >>> hj.Tally.of(parts[0]) + hj.Tally.of(parts[1]) == hj.Tally.of(rats)
        True
    """

    successes: np.ndarray
    trials: np.ndarray
    multiplicity: np.ndarray

    @classmethod
    def of(cls, counts: Counts) -> "Tally":
        """Tallies the units of a table, each with its weight.

        Args:
            counts: Validated counts.

        Returns:
            The tally; its pairs are those of `counts.pairs`.
        """
        return cls.from_pairs(counts.successes, counts.trials, counts.weights)

    @classmethod
    def from_pairs(
        cls, successes: np.ndarray, trials: np.ndarray, multiplicity: np.ndarray | None = None
    ) -> "Tally":
        """Merges equal pairs, summing their multiplicities, which are one unless given."""
        pairs, inverse = distinct_pairs(trials, successes)
        weight = np.bincount(inverse, multiplicity, minlength=pairs.shape[1])
        return cls(pairs[1], pairs[0], weight.astype(float))

    def __add__(self, other: "Tally") -> "Tally":
        return Tally.from_pairs(
            np.concatenate([self.successes, other.successes]),
            np.concatenate([self.trials, other.trials]),
            np.concatenate([self.multiplicity, other.multiplicity]),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tally) and all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("successes", "trials", "multiplicity")
        )

    def __len__(self) -> int:
        return len(self.successes)

    @property
    def interior(self) -> float:
        """Weight of the units with 0 < successes < trials: they alone bound the concentration."""
        inside = (self.successes > 0) & (self.successes < self.trials)
        return float(self.multiplicity[inside].sum())

    def _dense_length(self) -> int:
        return dense_length(self.trials)

    def arrays(self, dtype: type = np.float64) -> TallyArrays:
        """The tally as padded arrays for the families' log-marginals.

        Args:
            dtype: Floating type of the arrays.

        Returns:
            Counts of counts for units of few trials, pairs for the rest.

        Raises:
            DataError: If the type has too few digits to tell successes from trials.
        """
        _check_digits(self.successes, self.trials, dtype)
        length = self._dense_length()
        few = self.trials <= length
        y, n, weight = self.successes[few], self.trials[few], self.multiplicity[few]
        log_factorial = np.array([math.lgamma(k + 1) for k in range(length + 1)])
        coefficient = log_factorial[n] - log_factorial[y] - log_factorial[n - y]
        padding = (0, size_class(int(np.sum(~few)), 8) - int(np.sum(~few)))
        pairs = [
            np.pad(values[~few], padding)
            for values in (self.successes, self.trials, self.multiplicity)
        ]
        arrays = (
            above(y, weight, length),
            above(n - y, weight, length),
            above(n, weight, length),
            weight @ coefficient,
            *pairs,
            self.multiplicity @ self.successes,
            self.multiplicity @ (self.trials - self.successes),
            self.interior,
            self.multiplicity.sum(),
        )
        return TallyArrays(*(np.asarray(values, dtype) for values in arrays))


def batch_lengths(
    successes: Int[np.ndarray, "batch units"], trials: Int[np.ndarray, "batch units"]
) -> tuple[int, int, int]:
    """How long the counts of counts of many data sets must be.

    Args:
        successes: Of every unit of every data set.
        trials: Likewise.

    Returns:
        Of successes, failures and trials; zeros if trials are so many that units stay pairs.
    """
    if trials.max(initial=0) > LARGEST_DENSE:
        return 0, 0, 0
    largest = (int(x.max(initial=1)) for x in (successes, trials - successes, trials))
    y, f, n = (size_class(max(1, x), SMALLEST_DENSE) for x in largest)
    return y, f, n


def tally_batch(
    successes: Int[np.ndarray, "batch units"],
    trials: Int[np.ndarray, "batch units"],
    dtype: type = np.float64,
    lengths: tuple[int, int, int] | None = None,
) -> TallyArrays:
    """Tallies of many data sets at once, as arrays with a leading batch axis.

    Args:
        successes: Of every unit of every data set, between 0 and trials.
        trials: Likewise; smaller data sets are filled up with units of no trials, which carry no
            information and are not counted.
        dtype: Floating type of the arrays.
        lengths: What `batch_lengths` gives for these data sets or for more of them.

    Returns:
        What `Tally.arrays` gives for each, with common sizes, to be mapped over with `jax.vmap`.
        Log binomial coefficients are those of the units counted above, as there.

    Raises:
        DataError: If the type has too few digits.

    Example:
        >>> import numpy as np
        >>> arrays = tally_batch(np.array([[1, 0], [2, 3]]), np.array([[4, 5], [3, 3]]))
        >>> arrays.total_successes.tolist(), arrays.units.tolist()
        ([1.0, 5.0], [2.0, 2.0])
    """
    _check_digits(successes.ravel(), trials.ravel(), dtype)
    lengths = batch_lengths(successes, trials) if lengths is None else lengths
    batch, most, failures = len(trials), lengths[2], trials - successes
    few = trials <= most

    def each_above(values: Int[np.ndarray, "batch units"], length: int) -> np.ndarray:
        first = np.arange(batch)[:, None] * (length + 1)
        size = batch * (length + 1)
        histogram = np.bincount((first + values)[few], minlength=size).reshape(batch, -1)
        return histogram[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]

    log_factorial = np.array([math.lgamma(k + 1) for k in range(most + 1)])
    coefficient = log_factorial[np.where(few, trials, 0)] - sum(
        log_factorial[np.where(few, values, 0)] for values in (successes, failures)
    )
    padding = ((0, 0), (0, size_class(trials.shape[1], 8) - trials.shape[1]))
    pairs = [
        np.pad(np.where(few, 0, values), padding) if most == 0 else np.zeros((batch, 0))
        for values in (successes, trials, ~few)
    ]
    arrays = (
        *map(each_above, (successes, failures, trials), lengths),
        coefficient.sum(axis=1),
        *pairs,
        successes.sum(axis=1),
        failures.sum(axis=1),
        ((successes > 0) & (successes < trials)).sum(axis=1),
        (trials > 0).sum(axis=1),
    )
    return TallyArrays(*(np.asarray(values, dtype) for values in arrays))
