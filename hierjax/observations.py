"""Observations: what every family's container of data shares."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
from jaxtyping import Float64, Shaped

from hierjax.entries import ArrayLike, Rule, Source
from hierjax.errors import DataError
from hierjax.frames import Frame, read
from hierjax.validation import SHARED, Columns, checked_alone, checked_columns

__all__ = ["Observations"]

Own = TypeVar("Own", bound="Observations")


class Observations:
    """An observed value and a known size of each unit, validated once on the host.

    A container of one family is a frozen dataclass with the family's two columns, then `labels`,
    `groups`, `weights` and `frame`; arrays are copies and read-only.

    Attributes:
        family: Name of the conjugate family that the data are for.
        columns: The fields of the observed value and of the size.
        keys: What configurations and options of the command call their columns in a table.
        rules: Of the entries of these fields.
        labels: Text, shape ``(units,)``.
        groups: Text, shape ``(units,)``, or None.
        weights: How often each unit counts, float64, shape ``(units,)``, or None.
        frame: The data frame that they came from, or None; equal observations may differ in it.
    """

    family: ClassVar[str]
    columns: ClassVar[tuple[str, str]]
    keys: ClassVar[tuple[str, str]]
    rules: ClassVar[Mapping[str, Rule]]

    labels: Shaped[np.ndarray, " units"]
    groups: Shaped[np.ndarray, " units"] | None
    weights: Float64[np.ndarray, " units"] | None
    frame: Frame | None

    if TYPE_CHECKING:

        def __init__(
            self,
            value: ArrayLike,
            size: ArrayLike,
            labels: ArrayLike | None = None,
            groups: ArrayLike | None = None,
            weights: ArrayLike | None = None,
            *,
            source: Source | None = None,
        ): ...

        @property
        def values(self) -> Float64[np.ndarray, " units"]:
            """The observed values, whatever their family calls them."""

        @property
        def sizes(self) -> Float64[np.ndarray, " units"]:
            """The known sizes, whatever their family calls them."""

        @property
        def raw(self) -> Float64[np.ndarray, " units"]:
            """What each unit alone says of its parameter; NaN where it says nothing."""

    @staticmethod
    def require_together(columns: Columns, source: Source) -> None:
        """Refuses columns whose entries are right but do not fit each other.

        Args:
            columns: Checked columns, the family's two among them.
            source: How errors name rows and columns.

        Raises:
            DataError: If they do not.
        """

    @classmethod
    def pairs(
        cls, value: ArrayLike, size: ArrayLike, source: Source | None = None
    ) -> tuple[Shaped[np.ndarray, " units"], Shaped[np.ndarray, " units"]]:
        """Checks units that stand alone, which need not be a table of two or more.

        Args:
            value: Observed values, shape ``(units,)``.
            size: Sizes, likewise.
            source: How errors name rows and columns; by position unless given.

        Returns:
            Both as new arrays of the types that the container holds.

        Raises:
            DataError: If they break a rule of the container.
        """
        given = dict(zip(cls.columns, (value, size), strict=True))
        checked = checked_alone(given, cls.rules, cls.require_together, source, cls.__name__)
        first, second = cls.columns
        return checked[first], checked[second]

    def _fill(
        self,
        pair: tuple[ArrayLike, ArrayLike],
        labels: ArrayLike | None,
        groups: ArrayLike | None,
        weights: ArrayLike | None,
        source: Source | None,
    ) -> None:
        """Checks the columns and sets the fields."""
        shared = {"labels": labels, "groups": groups, "weights": weights}
        given = dict(zip(self.columns, pair, strict=True)) | shared
        name = type(self).__name__
        checked = checked_columns(given, self.rules, self.require_together, source, name)
        for field in given:
            object.__setattr__(self, field, checked.get(field))
        object.__setattr__(self, "frame", None)

    @classmethod
    def _from_frame(
        cls: type[Own],
        frame: Any,
        pair: tuple[str, str],
        label: str | None,
        group: str | None,
        weight: str | None,
    ) -> Own:
        """Observations from the columns of a data frame, which they remember."""
        given = zip((*cls.columns, *SHARED), (*pair, label, group, weight), strict=True)
        columns, source = read(frame, {field: name for field, name in given if name is not None})
        value, size = (columns.pop(field) for field in cls.columns)
        observations = cls(value, size, **columns, source=source)
        object.__setattr__(observations, "frame", Frame(frame, pair))
        return observations

    @classmethod
    def _from_file(
        cls: type[Own], path: str | os.PathLike[str], columns: Mapping[str, str | None]
    ) -> Own:
        """Observations from the columns of a file, by what configurations call them."""
        from hierjax.reading import read_table
        from hierjax.table_columns import table_columns

        found = read_table(path, table_columns(cls.family, **columns))
        assert isinstance(found, cls)
        return found

    @property
    def pair(self) -> tuple[Shaped[np.ndarray, " units"], Shaped[np.ndarray, " units"]]:
        """The family's two columns, of the types that they are kept in."""
        first, second = self.columns
        return getattr(self, first), getattr(self, second)

    def __len__(self) -> int:
        """Number of units."""
        return len(self.labels)

    def __eq__(self, other: object) -> bool:
        """Whether every field of both holds the same values."""
        if not isinstance(other, type(self)):
            return NotImplemented
        names = (*self.columns, *SHARED)
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        groups = "" if self.groups is None else f", groups={len(np.unique(self.groups))}"
        totals = "".join(f", {name}={_short(total)}" for name, total in self.totals().items())
        return f"{type(self).__name__}(units={len(self)}{totals}{groups})"

    def totals(self) -> Mapping[str, int | float]:
        """Sums over all units of the columns that it makes sense to add up.

        Examples:
            >>> from hierjax.counts import Counts
            >>> Counts([0, 4], [20, 14]).totals()
            {'successes': 4, 'trials': 34}
        """
        return {}

    def select(self: Own, which: ArrayLike | slice) -> Own:
        """The observations of some of the units.

        Args:
            which: Boolean mask of shape ``(units,)``, positions, or a slice.

        Returns:
            The units chosen, in the order of `which`.

        Raises:
            DataError: If the units left break a rule, as a single unit does.

        Examples:
            >>> from hierjax.counts import Counts
            >>> counts = Counts([0, 1, 4], [20, 20, 14])
            >>> counts.select(counts.trials == 20)
            Counts(units=2, successes=1, trials=40)
        """
        index = which if isinstance(which, slice) else np.asarray(which)
        value, size = (column[index] for column in self.pair)
        shared = (
            None if column is None else column[index]
            for column in (self.labels, self.groups, self.weights)
        )
        return type(self)(value, size, *shared)

    def _appended(
        self: Own, label: str, pair: tuple[Any, Any], group: str | None, weight: float | None
    ) -> Own:
        """The observations with one more unit at the end."""
        groups = weights = None
        if self.groups is not None:
            groups = [*self.groups, group]
        elif group is not None:
            raise DataError(
                f"unit {label!r}: expected no group, as of other units, found {group!r}"
            )
        if self.weights is not None or weight is not None:
            others = np.ones(len(self)) if self.weights is None else self.weights
            weights = [*others, 1.0 if weight is None else weight]
        values, sizes = ([*old, new] for old, new in zip(self.pair, pair, strict=True))
        return type(self)(values, sizes, [*self.labels, label], groups, weights)

    def append(
        self: Own,
        label: str,
        value: Any,
        size: Any,
        /,
        *,
        group: str | None = None,
        weight: float | None = None,
    ) -> Own:
        """The observations with one more unit at the end.

        Args:
            label: What the new unit is called.
            value: Its observed value.
            size: Its size.
            group: Its group, wanted if and only if the other units have groups.
            weight: Its weight, 1 by default.

        Returns:
            New observations of one unit more.

        Raises:
            DataError: If the new unit breaks a rule.
        """
        return self._appended(label, (value, size), group, weight)


def _short(total: int | float) -> str:
    return f"{total:.6g}" if isinstance(total, float) else f"{total}"
