"""Events over exposures, one pair a unit, validated once on the host."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float64, Int64, Shaped

from hierjax.entries import ArrayLike, Rule, Source, positive_numbers, whole_numbers
from hierjax.frames import Frame
from hierjax.observations import Observations
from hierjax.validation import exact_sum

__all__ = ["Events"]


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Events(Observations):
    r"""Events :math:`y_j` over exposures :math:`e_j` for units :math:`j = 1, \dots, J`.

    An exposure is what a rate is a rate per: person-years, hours of operation, square kilometres.
    There may be more events than exposure. The arrays are copies and read-only.

    Args:
        events: Events, whole numbers from 0 to 2^53 - 1, shape ``(units,)``.
        exposures: Exposures, positive numbers, shape ``(units,)``. A unit that was exposed to
            nothing has no rate: leave it out.
        labels: What the units are called; ``"1"`` to ``"J"`` by default. Labels that occur more
            than once raise a `DataWarning`.
        groups: What group each unit belongs to, if any.
        weights: How many times each unit counts in the likelihood of the hyperparameters, finite
            and not negative; by default once.
        source: How errors name rows and columns, for readers of files and tables.

    Attributes:
        events: int64, shape ``(units,)``.
        exposures: float64, shape ``(units,)``.
        labels: Text, shape ``(units,)``.
        groups: Text, shape ``(units,)``, or None.
        weights: float64, shape ``(units,)``, or None.
        frame: The data frame that they came from, or None; equal events may differ in it.

    Raises:
        DataError: If an entry is out of range, lengths differ, there are fewer than two units, or
            a label or group is missing. The message names the unit, what was expected and what was
            found.

    Examples:
        >>> from hierjax.errors import DataError
        >>> events = Events([5, 1, 19], [94.3, 15.7, 31.4], labels=["a", "b", "c"])
        >>> events
        Events(units=3, events=25, exposures=141.4)
        >>> events.raw_rates.round(3).tolist()
        [0.053, 0.064, 0.605]
        >>> try:
        ...     Events([0, 5], [9, -4])
        ... except DataError as error:
        ...     print(error)
        unit 1 (label '2'), exposures: expected a positive number, 1e-100 to 1e+100, found -4
    """

    family: ClassVar[str] = "gamma_poisson"
    columns: ClassVar[tuple[str, str]] = ("events", "exposures")
    keys: ClassVar[tuple[str, str]] = ("events", "exposure")
    rules: ClassVar[Mapping[str, Rule]] = {"events": whole_numbers, "exposures": positive_numbers}

    events: Int64[np.ndarray, " units"]
    exposures: Float64[np.ndarray, " units"]
    labels: Shaped[np.ndarray, " units"]
    groups: Shaped[np.ndarray, " units"] | None
    weights: Float64[np.ndarray, " units"] | None
    frame: Frame | None

    def __init__(
        self,
        events: ArrayLike,
        exposures: ArrayLike,
        labels: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        *,
        source: Source | None = None,
    ):
        self._fill((events, exposures), labels, groups, weights, source)

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        events: str,
        exposures: str,
        label: str | None = None,
        group: str | None = None,
        weight: str | None = None,
    ) -> "Events":
        """Events from the columns of a data frame, one row a unit.

        The frame is remembered as `hierjax.Counts.from_frame` says.

        Args:
            frame: A frame of pandas, Polars or PyArrow, a relation of DuckDB, or any other that
                narwhals understands. Of a lazy frame only these columns are computed.
            events: Name of the column that holds the events.
            exposures: Name of the column that holds the exposures.
            label: Name of the column that holds the units' labels.
            group: Name of the column that holds the units' groups.
            weight: Name of the column that holds the units' weights.

        Returns:
            The events, in the order of the frame.

        Raises:
            ConfigError: If a column is named twice.
            DataError: If the frame lacks a column, cannot be computed, or holds what `Events`
                refuses. The message names the row, counted from 0, and the column.

        Examples:
            >>> import pandas
            >>> frame = pandas.DataFrame({"failures": [5, 1], "hours": [94.3, 15.7]})
            >>> Events.from_frame(frame, events="failures", exposures="hours")
            Events(units=2, events=6, exposures=110)
        """
        return cls._from_frame(frame, (events, exposures), label, group, weight)

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        events: str,
        exposures: str,
        label: str | None = None,
        group: str | None = None,
        weight: str | None = None,
    ) -> "Events":
        r"""Events from the columns of a file, one row a unit.

        Files are of the formats that `hierjax.read_counts` takes.

        Args:
            path: The file, or a pattern of files.
            events: Name of the column that holds the events.
            exposures: Name of the column that holds the exposures.
            label: Name of the column that holds the units' labels.
            group: Name of the column that holds the units' groups.
            weight: Name of the column that holds the units' weights.

        Returns:
            The events, in the order of the file.

        Raises:
            ConfigError: If a column is named twice.
            DataError: If a file cannot be read, is no table, lacks a column, or holds what `Events`
                refuses. The message names the file, the line or row, and the column.

        Examples:
            >>> import pathlib, tempfile
            >>> path = pathlib.Path(tempfile.mkdtemp()) / "units.csv"
            >>> _ = path.write_text("failures,hours\n5,94.3\n1,15.7\n")
            >>> Events.from_file(path, events="failures", exposures="hours")
            Events(units=2, events=6, exposures=110)
        """
        columns = {
            "events": events,
            "exposure": exposures,
            "label": label,
            "group": group,
            "weight": weight,
        }
        return cls._from_file(path, columns)

    @cached_property
    def values(self) -> Float64[np.ndarray, " units"]:
        """Events as floating numbers."""
        return self.events.astype(np.float64)

    @property
    def sizes(self) -> Float64[np.ndarray, " units"]:
        """The exposures."""
        return self.exposures

    @property
    def raw_rates(self) -> Float64[np.ndarray, " units"]:
        """Events over exposure of each unit."""
        return self.events / self.exposures

    @property
    def raw(self) -> Float64[np.ndarray, " units"]:
        """The raw rates."""
        return self.raw_rates

    @property
    def total_events(self) -> int:
        """Events of all units together."""
        return exact_sum(self.events)

    @property
    def total_exposure(self) -> float:
        """Exposure of all units together."""
        return math.fsum(self.exposures)

    def totals(self) -> Mapping[str, int | float]:
        """Events and exposure of all units together."""
        return {"events": self.total_events, "exposures": self.total_exposure}

    def append(
        self,
        label: str,
        events: int,
        exposure: int | float,
        *,
        group: str | None = None,
        weight: float | None = None,
    ) -> "Events":
        """The events with one more unit at the end.

        Args:
            label: What the new unit is called.
            events: Its events.
            exposure: Its exposure.
            group: Its group, wanted if and only if the other units have groups.
            weight: Its weight, 1 by default.

        Returns:
            New events of one unit more.

        Raises:
            DataError: If the new unit breaks a rule.

        Examples:
            >>> Events([5, 1], [94.3, 15.7]).append("new", 3, 12.5)
            Events(units=3, events=9, exposures=122.5)
        """
        return self._appended(label, (events, exposure), group, weight)
