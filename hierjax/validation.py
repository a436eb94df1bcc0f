"""The rules that columns of counts obey, and errors that point at the entry that breaks one.

The rules are the same whatever the counts come from (lists, arrays, a file); a `Source` only says
how an error names a row and a column.
"""

import sys
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped

from hierjax.errors import ConfigError, DataError, DataWarning

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
else:
    # NumPy's protocol is for static checkers: at run time a tuple does not match it.
    ArrayLike = Any

# Every whole number up to here is exact in float64, in which the densities are computed.
MAX_COUNT = 2**53 - 1


@dataclass(frozen=True)
class Source:
    """How errors name the table that counts came from, its rows and its columns.

    Attributes:
        name: Name of the whole table.
        row: Name of a row, given its zero-based position among the units.
        columns: Name of the column that holds a field (``successes``, ``trials``, ``labels``,
            ``groups``, ``weights``), where it is not the field's own.

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
    given = _column(values, name)
    numbers = _numbers(given)
    ok = (numbers >= 0) & (numbers <= MAX_COUNT)
    if numbers.dtype.kind == "f":
        ok &= np.floor(numbers) == numbers
    expected = f"a whole number from 0 to {MAX_COUNT}"
    _require(ok, given, name, expected, source or _positions(None))
    return numbers.astype(np.int64)


def checked_columns(
    columns: Mapping[str, ArrayLike | None], source: Source | None = None
) -> dict[str, Shaped[np.ndarray, " units"]]:
    """Every rule in turn: shapes, entries, and what only the whole can break.

    Args:
        columns: Values of ``successes`` and ``trials``, and of ``labels``, ``groups`` and
            ``weights`` or None for these, each of shape ``(units,)``.
        source: How errors name rows and columns; by position and label unless given.

    Returns:
        New read-only arrays of the columns that were given, and of labels in any case: int64
        counts, float64 weights and text.

    Raises:
        DataError: If the columns break a rule of `hierjax.counts.Counts`.
    """
    given = {name: _column(value, name) for name, value in columns.items() if value is not None}
    source = source or _positions(given.get("labels"))
    lengths = {name: len(column) for name, column in given.items()}
    units = lengths["trials"]
    if set(lengths.values()) != {units}:
        found = ", ".join(f"{length} {name}" for name, length in lengths.items())
        raise DataError(f"{source.name}: expected columns of equal length, found {found}")
    if units < 2:
        raise DataError(f"{source.name}: expected at least two units to pool, found {units}")

    rules: dict[str, Callable[..., np.ndarray]] = {
        "successes": whole_numbers,
        "trials": whole_numbers,
        "labels": _texts,
        "groups": _texts,
        "weights": _weights,
    }
    checked = {name: rules[name](column, name, source) for name, column in given.items()}
    _require_successes_among_trials(checked, source)
    _require_trials(checked, source)
    if "labels" in checked:
        _warn_of_duplicates(checked["labels"], source)
    else:
        checked["labels"] = np.arange(1, units + 1).astype(f"<U{len(str(units))}")
    for column in checked.values():
        column.flags.writeable = False
    return checked


def require_own_columns(names: Mapping[str, str]) -> None:
    """Refuses one column of a table for two fields.

    Args:
        names: The column of each field.

    Raises:
        ConfigError: If two have the same.
    """
    fields: dict[str, str] = {}
    for field_name, column in names.items():
        other = fields.setdefault(column, field_name)
        if other != field_name:
            raise ConfigError(
                f"columns: expected one of its own for {field_name}, found {column!r}, which is "
                f"that of {other}"
            )


def checked_pairs(
    successes: ArrayLike, trials: ArrayLike, source: Source | None = None
) -> tuple[Int64[np.ndarray, " units"], Int64[np.ndarray, " units"]]:
    """Counts of units that stand alone, which need not be a table of two or more.

    Args:
        successes: Successes, shape ``(units,)``.
        trials: Trials, likewise.
        source: How errors name rows and columns; by position unless given.

    Returns:
        Both as new int64 arrays.

    Raises:
        DataError: If an entry is not a whole number in range, or successes exceed trials.

    Examples:
        >>> [column.tolist() for column in checked_pairs([4], [14.0])]
        [[4], [14]]
    """
    source = source or _positions(None)
    checked = {
        "successes": whole_numbers(successes, "successes", source),
        "trials": whole_numbers(trials, "trials", source),
    }
    if len(checked["successes"]) != len(checked["trials"]):
        found = " and ".join(f"{len(column)} {name}" for name, column in checked.items())
        raise DataError(f"{source.name}: expected columns of equal length, found {found}")
    _require_successes_among_trials(checked, source)
    return checked["successes"], checked["trials"]


def _column(values: Any, name: str) -> Shaped[np.ndarray, " _"]:
    """A one-dimensional array of what was given, with text and numbers left apart."""
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


def _weights(
    given: Shaped[np.ndarray, " units"], name: str, source: Source
) -> Float64[np.ndarray, " units"]:
    weights = np.array(_numbers(given), np.float64)
    ok = (weights >= 0) & (weights <= sys.float_info.max)
    _require(ok, given, name, "a finite number that is not negative", source)
    return weights


def _texts(
    given: Shaped[np.ndarray, " units"], name: str, source: Source
) -> Shaped[np.ndarray, " units"]:
    texts = np.array([str(value).strip() for value in given])
    present = np.array([not is_missing(value) for value in given])
    _require(present & (texts != ""), given, name, "text", source)
    return texts


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


def _require_successes_among_trials(
    checked: Mapping[str, Shaped[np.ndarray, " units"]], source: Source
) -> None:
    successes, trials = checked["successes"], checked["trials"]
    if (successes > trials).any():
        index = int(np.argmax(successes > trials))
        raise DataError(
            f"{source.cell(index, 'successes')}: expected at most {trials[index]} "
            f"({source.column('trials')}), found {successes[index]}"
        )


def _require_trials(checked: Mapping[str, Shaped[np.ndarray, " units"]], source: Source) -> None:
    trials, weights = checked["trials"], checked.get("weights")
    if not (trials > 0 if weights is None else (trials > 0) & (weights > 0)).any():
        weighty = "" if weights is None else " of positive weight"
        raise DataError(f"{source.name}: expected a unit{weighty} that has trials, found none")


def _shown(value: Any) -> str:
    """An entry as an error shows it: on one line and never long."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, str) and not value.strip():
        return "an empty cell"
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _positions(labels: Shaped[np.ndarray, " units"] | None) -> Source:
    """Names units by position and label, for counts that came as arrays."""

    def row(index: int) -> str:
        label = index + 1 if labels is None else labels[index]
        return f"unit {index}" if is_missing(label) else f"unit {index} (label {str(label)!r})"

    return Source("Counts", row)


def _warn_of_duplicates(labels: Shaped[np.ndarray, " units"], source: Source) -> None:
    listed = labels.tolist()
    surplus = len(listed) - len(set(listed))
    if surplus:
        label = Counter(listed).most_common(1)[0][0]
        first, second = (source.row(int(i)) for i in np.flatnonzero(labels == label)[:2])
        warnings.warn(
            f"{source.name}: expected a label of its own for each unit, found {surplus} used "
            f"before, as {label!r} of {first} by {second}",
            DataWarning,
            stacklevel=4,
        )
