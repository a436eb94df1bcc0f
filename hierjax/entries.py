"""The rules that single entries of columns obey, and errors that point at the one that breaks one.

The rules are the same whatever the columns come from (lists, arrays, a file); a `Source` only says
how an error names a row and a column.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped

from hierjax.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
else:
    # NumPy's protocol is for static checkers: at run time a tuple does not match it.
    ArrayLike = Any

__all__ = [
    "LIMITS",
    "MAX_COUNT",
    "ArrayLike",
    "Number",
    "Rule",
    "Source",
    "as_column",
    "finite_numbers",
    "is_missing",
    "positions",
    "positive_numbers",
    "texts",
    "weights",
    "whole_numbers",
]

# Every whole number up to here is exact in float64, in which the densities are computed.
MAX_COUNT = 2**53 - 1
# Squares and ratios of numbers up to here are finite.
_LARGEST = 1e100


# One value or size.
Number = int | float
# Entries of a column as an array of one type, or an error about the first that is wrong.
Rule = Callable[..., Shaped[np.ndarray, " units"]]


@dataclass(frozen=True)
class Source:
    """How errors name the table that columns came from, its rows and its columns.

    Attributes:
        name: Name of the whole table.
        row: Name of a row, given its zero-based position among the units.
        columns: Name of the column that holds a field (``successes``, ``trials``, ``labels`` and
            so on), where it is not the field's own.

    Examples:
        >>> source = Source("a.csv", lambda i: f"a.csv, line {i + 2}", {"trials": "column 'rats'"})
        >>> source.cell(4, "trials")
        "a.csv, line 6, column 'rats'"
    """

    name: str
    row: Callable[[int], str]
    columns: Mapping[str, str] = field(default_factory=dict)

    def column(self, name: str) -> str:
        """Name of the column that holds the field `name`."""
        return self.columns.get(name, name)

    def cell(self, index: int, name: str) -> str:
        """Name of the place where row `index` and the field `name` meet."""
        return f"{self.row(index)}, {self.column(name)}"


def whole_numbers(
    values: ArrayLike, name: str, source: Source | None = None
) -> Int64[np.ndarray, " units"]:
    """Counts as int64, or an error that names the first entry that is none.

    Args:
        values: Numbers of any type, shape ``(units,)``.
        name: The field that they are for.
        source: How errors name rows and columns; by position unless given.

    Returns:
        A new array of the same numbers.

    Raises:
        DataError: If an entry is not a whole number from 0 to 2^53 - 1.

    Examples:
        >>> whole_numbers([20.0, 14.0], "trials").tolist()
        [20, 14]
    """
    given = as_column(values, name)
    numbers = _numbers(given)
    ok = (numbers >= 0) & (numbers <= MAX_COUNT)
    if numbers.dtype.kind == "f":
        ok &= np.floor(numbers) == numbers
    expected = f"a whole number from 0 to {MAX_COUNT}"
    _require(ok, given, name, expected, source or positions(None))
    return numbers.astype(np.int64)


def as_column(values: Any, name: str) -> Shaped[np.ndarray, " _"]:
    """A one-dimensional array of what was given, with text and numbers left apart.

    Args:
        values: Any sequence.
        name: The field that it is for.

    Returns:
        An array of numbers or of objects.

    Raises:
        DataError: If it has no dimension or more than one.
    """
    if isinstance(values, np.ma.MaskedArray):
        values = [None if value is np.ma.masked else value for value in values]
    try:
        array = np.asarray(values)
    except ValueError:  # a ragged sequence
        array = np.asarray(values, dtype=object)
    if array.dtype.kind not in "biuf":
        array = np.asarray(values, dtype=object)
    if array.ndim != 1:
        found = f"shape {array.shape}" if array.ndim else type(values).__name__
        raise DataError(f"{name}: expected a one-dimensional sequence, found {found}")
    return array


def _numbers(given: Shaped[np.ndarray, " units"]) -> Shaped[np.ndarray, " units"]:
    """Numbers that can be compared, where NaN stands for an entry that is no number."""
    if given.dtype.kind == "O":
        return np.array([_float(value) for value in given], np.float64)
    return given.astype(np.float64) if given.dtype.kind == "f" else given


def _float(value: Any) -> float:
    try:
        return float(value) if isinstance(value, Real) else np.nan
    except OverflowError:
        return np.inf


def finite_numbers(
    values: ArrayLike, name: str, source: Source | None = None
) -> Float64[np.ndarray, " units"]:
    """Measurements as float64, or an error that names the first entry that is none.

    Args:
        values: Numbers of any type, shape ``(units,)``.
        name: The field that they are for.
        source: How errors name rows and columns; by position unless given.

    Returns:
        A new array of the same numbers.

    Raises:
        DataError: If an entry is not a number from -1e100 to 1e100.

    Examples:
        >>> finite_numbers([28, -3.5], "values").tolist()
        [28.0, -3.5]
    """
    given = as_column(values, name)
    numbers = np.array(_numbers(given), np.float64)
    ok = np.abs(numbers) <= _LARGEST
    expected = f"a finite number, at most {_LARGEST:g} in size"
    _require(ok, given, name, expected, source or positions(None))
    return numbers


def positive_numbers(
    values: ArrayLike, name: str, source: Source | None = None
) -> Float64[np.ndarray, " units"]:
    """Exposures or standard errors as float64, or an error that names the first that is none.

    Args:
        values: Numbers of any type, shape ``(units,)``.
        name: The field that they are for.
        source: How errors name rows and columns; by position unless given.

    Returns:
        A new array of the same numbers.

    Raises:
        DataError: If an entry is not a number from 1e-100 to 1e100.

    Examples:
        >>> try:
        ...     positive_numbers([94.3, 0.0], "exposures")
        ... except DataError as error:
        ...     print(error)
        unit 1 (label '2'), exposures: expected a positive number, 1e-100 to 1e+100, found 0.0
    """
    given = as_column(values, name)
    numbers = np.array(_numbers(given), np.float64)
    ok = (numbers >= 1 / _LARGEST) & (numbers <= _LARGEST)
    expected = f"a positive number, {1 / _LARGEST:g} to {_LARGEST:g}"
    _require(ok, given, name, expected, source or positions(None))
    return numbers


def weights(
    values: ArrayLike, name: str, source: Source | None = None
) -> Float64[np.ndarray, " units"]:
    """Weights as float64, or an error that names the first entry that is negative or not finite.

    Args:
        values: Numbers of any type, shape ``(units,)``.
        name: The field that they are for.
        source: How errors name rows and columns; by position unless given.

    Returns:
        A new array of the same numbers.

    Raises:
        DataError: If an entry is no such number.
    """
    given = as_column(values, name)
    numbers = np.array(_numbers(given), np.float64)
    ok = (numbers >= 0) & (numbers <= sys.float_info.max)
    _require(ok, given, name, "a finite number that is not negative", source or positions(None))
    return numbers


def texts(
    values: ArrayLike, name: str, source: Source | None = None
) -> Shaped[np.ndarray, " units"]:
    """Labels or groups as text without space around it, or an error that names the first missing.

    Args:
        values: Anything, shape ``(units,)``.
        name: The field that they are for.
        source: How errors name rows and columns; by position unless given.

    Returns:
        A new array of text.

    Raises:
        DataError: If an entry is missing or empty.
    """
    given = as_column(values, name)
    stripped = np.array([str(value).strip() for value in given])
    present = np.array([not is_missing(value) for value in given])
    _require(present & (stripped != ""), given, name, "text", source or positions(None))
    return stripped


def is_missing(value: Any) -> bool:
    """Whether a data frame means "no entry": None, a masked entry, or NaN and its kin."""
    try:
        return value is None or value is np.ma.masked or bool(value != value)
    except TypeError:  # pandas.NA compares to neither true nor false
        return True


def _require(
    ok: Bool[np.ndarray, " units"],
    given: Shaped[np.ndarray, " units"],
    name: str,
    expected: str,
    source: Source,
) -> None:
    """Refuses the first entry that is not `ok`."""
    if not ok.all():
        index = int(np.argmin(ok))
        found = _shown(given[index])
        raise DataError(f"{source.cell(index, name)}: expected {expected}, found {found}")


def _shown(value: Any) -> str:
    """An entry as an error shows it: on one line and never long."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, str) and not value.strip():
        return "an empty cell"
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def positions(labels: Shaped[np.ndarray, " units"] | None, name: str = "Counts") -> Source:
    """Names units by position and label, for columns that came as arrays.

    Args:
        labels: What units are called, if anything.
        name: Name of the whole table.

    Returns:
        The source.
    """

    def row(index: int) -> str:
        label = index + 1 if labels is None else labels[index]
        return f"unit {index}" if is_missing(label) else f"unit {index} (label {str(label)!r})"

    return Source(name, row)


# The least and the largest number that a rule allows.
LIMITS: dict[Rule, tuple[Number, Number]] = {
    whole_numbers: (0, MAX_COUNT),
    positive_numbers: (1 / _LARGEST, _LARGEST),
    finite_numbers: (-_LARGEST, _LARGEST),
    weights: (0, sys.float_info.max),
}
