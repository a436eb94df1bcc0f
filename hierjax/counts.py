"""Counts of successes among trials, one pair a unit, validated once on the host."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float64, Int64, Shaped

from hierjax.entries import ArrayLike, Rule, Source, whole_numbers
from hierjax.frame_events import tally_events
from hierjax.frames import Frame
from hierjax.observations import Observations
from hierjax.validation import Columns, exact_sum, require_successes_among_trials

__all__ = ["Counts"]


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Counts(Observations):
    r"""Successes :math:`y_j` among trials :math:`n_j` for units :math:`j = 1, \dots, J`.

    Lists, NumPy and JAX arrays are accepted, booleans as 0 and 1, and floats that are whole
    numbers. A unit with no trials is legal: it carries no information, and its posterior is the
    population's. The arrays are copies and read-only.

    Args:
        successes: Successes, whole numbers with ``0 <= successes <= trials``, shape ``(units,)``.
        trials: Trials, whole numbers below 2^53, shape ``(units,)``.
        labels: What the units are called; ``"1"`` to ``"J"`` by default. Labels that occur more
            than once raise a `DataWarning`.
        groups: What group each unit belongs to, if any.
        weights: How many times each unit counts in the likelihood of the hyperparameters, finite
            and not negative; by default once.
        source: How errors name rows and columns, for readers of files and tables.

    Attributes:
        successes: int64, shape ``(units,)``.
        trials: int64, shape ``(units,)``.
        labels: Text, shape ``(units,)``.
        groups: Text, shape ``(units,)``, or None.
        weights: float64, shape ``(units,)``, or None.
        frame: The data frame that the counts came from, or None; equal counts may differ in it.

    Raises:
        DataError: If an entry is not a whole number in range, successes exceed trials, lengths
            differ, there are fewer than two units, no unit has a trial, a label or group is
            missing, or a weight is negative or not finite. The message names the unit, what was
            expected and what was found.

    Examples:
        >>> from hierjax.errors import DataError
        >>> counts = Counts([0, 1, 4], [20, 20, 14], labels=["a", "b", "c"])
        >>> counts
        Counts(units=3, successes=5, trials=54)
        >>> counts.raw_rates.round(3).tolist()
        [0.0, 0.05, 0.286]
        >>> try:
        ...     Counts([0, 5], [9, 4])
        ... except DataError as error:
        ...     print(error)
        unit 1 (label '2'), successes: expected at most 4 (trials), found 5
    """

    family: ClassVar[str] = "beta_binomial"
    columns: ClassVar[tuple[str, str]] = ("successes", "trials")
    keys: ClassVar[tuple[str, str]] = ("successes", "trials")
    rules: ClassVar[Mapping[str, Rule]] = {"successes": whole_numbers, "trials": whole_numbers}

    successes: Int64[np.ndarray, " units"]
    trials: Int64[np.ndarray, " units"]
    labels: Shaped[np.ndarray, " units"]
    groups: Shaped[np.ndarray, " units"] | None
    weights: Float64[np.ndarray, " units"] | None
    frame: Frame | None

    def __init__(
        self,
        successes: ArrayLike,
        trials: ArrayLike,
        labels: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        *,
        source: Source | None = None,
    ):
        self._fill((successes, trials), labels, groups, weights, source)

    @staticmethod
    def require_together(columns: Columns, source: Source) -> None:
        """Refuses more successes than trials.

        Args:
            columns: Checked columns.
            source: How errors name rows and columns.

        Raises:
            DataError: If a unit has more.
        """
        require_successes_among_trials(columns, source)

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        successes: str,
        trials: str,
        label: str | None = None,
        group: str | None = None,
        weight: str | None = None,
    ) -> "Counts":
        """Counts from the columns of a data frame, one row a unit.

        The counts remember the frame, which is not copied: `Fit.units` gives the same kind back,
        with the answers as further columns. Counts made from these by `select` or `append` do not.

        Args:
            frame: A frame of pandas, Polars or PyArrow, a relation of DuckDB, or any other that
                narwhals understands. Of a lazy frame only these columns are computed.
            successes: Name of the column that holds the successes.
            trials: Name of the column that holds the trials.
            label: Name of the column that holds the units' labels.
            group: Name of the column that holds the units' groups.
            weight: Name of the column that holds the units' weights.

        Returns:
            The counts, in the order of the frame.

        Raises:
            ConfigError: If a column is named twice.
            DataError: If the frame lacks a column, cannot be computed, or holds counts that
                `Counts` refuses. The message names the row, counted from 0, and the column.

        Examples:
            >>> import pandas
            >>> frame = pandas.DataFrame({"tumors": [0, 4], "rats": [20, 14]})
            >>> Counts.from_frame(frame, successes="tumors", trials="rats")
            Counts(units=2, successes=4, trials=34)
        """
        return cls._from_frame(frame, (successes, trials), label, group, weight)

    @classmethod
    def from_events(cls, frame: Any, success: str, unit: str) -> "Counts":
        """Counts from a data frame with one row an event, added up by the frame's own engine.

        Args:
            frame: As in `from_frame`. The order of its rows, and an index that pandas gave them,
                do not matter.
            success: Name of the column that holds what came of each event: 0 or 1, false or true.
            unit: Name of the column that holds the unit that each event belongs to.

        Returns:
            The counts, sorted by unit. They remember a frame of the same kind with the columns
            `unit`, ``successes`` and ``trials``.

        Raises:
            ConfigError: If it is the same column.
            DataError: If the frame lacks a column or cannot be computed, if an event has no unit or
                is neither success nor failure, or if `Counts` refuses the totals.

        Examples:
            >>> import pandas
            >>> frame = pandas.DataFrame({"page": ["b", "a", "b"], "sold": [1, 0, 0]})
            >>> counts = Counts.from_events(frame, success="sold", unit="page")
            >>> counts.labels.tolist(), counts.successes.tolist(), counts.trials.tolist()
            (['a', 'b'], [0, 1], [1, 2])
        """
        return cls.from_frame(tally_events(frame, success, unit), "successes", "trials", unit)

    @cached_property
    def values(self) -> Float64[np.ndarray, " units"]:
        """Successes as floating numbers."""
        return self.successes.astype(np.float64)

    @cached_property
    def sizes(self) -> Float64[np.ndarray, " units"]:
        """Trials as floating numbers."""
        return self.trials.astype(np.float64)

    @property
    def raw(self) -> Float64[np.ndarray, " units"]:
        """The raw rates."""
        return self.raw_rates

    @property
    def raw_rates(self) -> Float64[np.ndarray, " units"]:
        """Successes over trials of each unit, and NaN only for a unit with no trials."""
        rates = np.full(len(self), np.nan)
        return np.divide(self.successes, self.trials, out=rates, where=self.trials > 0)

    @property
    def total_successes(self) -> int:
        """Successes of all units together."""
        return exact_sum(self.successes)

    @property
    def total_trials(self) -> int:
        """Trials of all units together."""
        return exact_sum(self.trials)

    def totals(self) -> Mapping[str, int | float]:
        """Successes and trials of all units together."""
        return {"successes": self.total_successes, "trials": self.total_trials}

    def append(
        self,
        label: str,
        successes: int,
        trials: int,
        *,
        group: str | None = None,
        weight: float | None = None,
    ) -> "Counts":
        """The counts with one more unit at the end.

        Args:
            label: What the new unit is called.
            successes: Its successes.
            trials: Its trials.
            group: Its group, wanted if and only if the other units have groups.
            weight: Its weight, 1 by default.

        Returns:
            New counts of one unit more.

        Raises:
            DataError: If the new unit breaks a rule.

        Examples:
            >>> Counts([0, 1], [20, 20]).append("current", 4, 14)
            Counts(units=3, successes=5, trials=54)
        """
        return self._appended(label, (successes, trials), group, weight)
