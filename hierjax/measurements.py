"""Measurements with known standard errors, one pair a unit, validated once on the host."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float64, Shaped

from hierjax.entries import ArrayLike, Rule, Source, finite_numbers, positive_numbers
from hierjax.frames import Frame
from hierjax.observations import Observations

__all__ = ["Measurements"]


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Measurements(Observations):
    r"""Measurements :math:`y_j` with standard errors :math:`s_j` for units :math:`j = 1, \dots, J`.

    A unit may be a study, a school or a laboratory, and its measurement an estimate of its effect.
    The arrays are copies and read-only.

    Args:
        values: What was measured, finite numbers, shape ``(units,)``.
        errors: Its standard error, positive numbers, shape ``(units,)``.
        labels: What the units are called; ``"1"`` to ``"J"`` by default. Labels that occur more
            than once raise a `DataWarning`.
        groups: What group each unit belongs to, if any.
        weights: How many times each unit counts in the likelihood of the hyperparameters, finite
            and not negative; by default once.
        source: How errors name rows and columns, for readers of files and tables.

    Attributes:
        values: float64, shape ``(units,)``.
        errors: float64, shape ``(units,)``.
        labels: Text, shape ``(units,)``.
        groups: Text, shape ``(units,)``, or None.
        weights: float64, shape ``(units,)``, or None.
        frame: The data frame that they came from, or None; equal measurements may differ in it.

    Raises:
        DataError: If an entry is out of range, lengths differ, there are fewer than two units, or
            a label or group is missing. The message names the unit, what was expected and what was
            found.

    Examples:
        >>> from hierjax.errors import DataError
        >>> Measurements([28, 8, -3], [15, 10, 16], labels=["A", "B", "C"])
        Measurements(units=3)
        >>> try:
        ...     Measurements([28, 8], [15, 0])
        ... except DataError as error:
        ...     print(error)
        unit 1 (label '2'), errors: expected a positive number, 1e-100 to 1e+100, found 0
    """

    family: ClassVar[str] = "normal_normal"
    columns: ClassVar[tuple[str, str]] = ("values", "errors")
    rules: ClassVar[Mapping[str, Rule]] = {"values": finite_numbers, "errors": positive_numbers}

    values: Float64[np.ndarray, " units"]
    errors: Float64[np.ndarray, " units"]
    labels: Shaped[np.ndarray, " units"]
    groups: Shaped[np.ndarray, " units"] | None
    weights: Float64[np.ndarray, " units"] | None
    frame: Frame | None

    def __init__(
        self,
        values: ArrayLike,
        errors: ArrayLike,
        labels: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        *,
        source: Source | None = None,
    ):
        self._fill((values, errors), labels, groups, weights, source)

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        values: str,
        errors: str,
        label: str | None = None,
        group: str | None = None,
        weight: str | None = None,
    ) -> "Measurements":
        """Measurements from the columns of a data frame, one row a unit.

        The frame is remembered as `hierjax.Counts.from_frame` says.

        Args:
            frame: A frame of pandas, Polars or PyArrow, a relation of DuckDB, or any other that
                narwhals understands. Of a lazy frame only these columns are computed.
            values: Name of the column that holds what was measured.
            errors: Name of the column that holds the standard errors.
            label: Name of the column that holds the units' labels.
            group: Name of the column that holds the units' groups.
            weight: Name of the column that holds the units' weights.

        Returns:
            The measurements, in the order of the frame.

        Raises:
            ConfigError: If a column is named twice.
            DataError: If the frame lacks a column, cannot be computed, or holds what
                `Measurements` refuses. The message names the row, counted from 0, and the column.

        Examples:
            >>> import pandas
            >>> frame = pandas.DataFrame({"effect": [28.0, 8.0], "se": [15.0, 10.0]})
            >>> Measurements.from_frame(frame, values="effect", errors="se")
            Measurements(units=2)
        """
        return cls._from_frame(frame, (values, errors), label, group, weight)

    @property
    def sizes(self) -> Float64[np.ndarray, " units"]:
        """The standard errors."""
        return self.errors

    @property
    def raw(self) -> Float64[np.ndarray, " units"]:
        """The measurements themselves."""
        return self.values

    def append(
        self,
        label: str,
        value: int | float,
        error: int | float,
        *,
        group: str | None = None,
        weight: float | None = None,
    ) -> "Measurements":
        """The measurements with one more unit at the end.

        Args:
            label: What the new unit is called.
            value: What was measured.
            error: Its standard error.
            group: Its group, wanted if and only if the other units have groups.
            weight: Its weight, 1 by default.

        Returns:
            New measurements of one unit more.

        Raises:
            DataError: If the new unit breaks a rule.

        Examples:
            >>> Measurements([28, 8], [15, 10]).append("new", 3, 12.5)
            Measurements(units=3)
        """
        return self._appended(label, (value, error), group, weight)
