"""The rules that columns obey together, whatever family they are for."""

import warnings
from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Int64, Shaped

from hierjax.entries import (
    MAX_COUNT,
    ArrayLike,
    Rule,
    Source,
    as_column,
    is_missing,
    positions,
    texts,
    weights,
    whole_numbers,
)
from hierjax.errors import ConfigError, DataError, DataWarning

__all__ = [
    "MAX_COUNT",
    "SHARED",
    "ArrayLike",
    "Columns",
    "Source",
    "checked_alone",
    "checked_columns",
    "exact_sum",
    "is_missing",
    "require_own_columns",
    "require_successes_among_trials",
    "whole_numbers",
]

Columns = Mapping[str, Shaped[np.ndarray, " units"]]
# The columns of every container, after its own two.
SHARED: dict[str, Rule] = {"labels": texts, "groups": texts, "weights": weights}


def checked_columns(
    columns: Mapping[str, ArrayLike | None],
    rules: Mapping[str, Rule],
    together: Callable[[Columns, Source], None],
    source: Source | None = None,
    name: str = "Counts",
) -> dict[str, Shaped[np.ndarray, " units"]]:
    """Every rule in turn: shapes, entries, and what only the whole can break.

    Args:
        columns: Values of the two columns that `rules` names, and of ``labels``, ``groups`` and
            ``weights`` or None for these, each of shape ``(units,)``.
        rules: Of the entries of the two columns, of which the second is the units' size.
        together: Refuses columns that do not fit each other.
        source: How errors name rows and columns; by position and label unless given.
        name: What errors call the table then.

    Returns:
        New read-only arrays of the columns that were given, and of labels in any case.

    Raises:
        DataError: If the columns break a rule.
    """
    given = {
        field: as_column(value, field) for field, value in columns.items() if value is not None
    }
    source = source or positions(given.get("labels"), name)
    units = _common_length(given, source)
    if units < 2:
        raise DataError(f"{source.name}: expected at least two units to pool, found {units}")
    all_rules = SHARED | dict(rules)
    checked = {field: all_rules[field](column, field, source) for field, column in given.items()}
    together(checked, source)
    _, size = rules
    _require_sizes(checked, size, source)
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


def checked_alone(
    columns: Mapping[str, ArrayLike],
    rules: Mapping[str, Rule],
    together: Callable[[Columns, Source], None],
    source: Source | None = None,
    name: str = "Counts",
) -> dict[str, Shaped[np.ndarray, " units"]]:
    """The two columns of units that stand alone, which need not be a table of two or more.

    Args:
        columns: Values of the two columns that `rules` names, each of shape ``(units,)``.
        rules: Of their entries.
        together: Refuses columns that do not fit each other.
        source: How errors name rows and columns; by position unless given.
        name: What errors call the table then.

    Returns:
        Both as new arrays.

    Raises:
        DataError: If they break a rule.
    """
    source = source or positions(None, name)
    checked = {field: rule(columns[field], field, source) for field, rule in rules.items()}
    _common_length(checked, source, " and ")
    together(checked, source)
    return checked


def _common_length(columns: Columns, source: Source, between: str = ", ") -> int:
    lengths = {field: len(column) for field, column in columns.items()}
    if len(set(lengths.values())) > 1:
        found = between.join(f"{length} {field}" for field, length in lengths.items())
        raise DataError(f"{source.name}: expected columns of equal length, found {found}")
    return next(iter(lengths.values()))


def require_successes_among_trials(checked: Columns, source: Source) -> None:
    """Refuses more successes than trials.

    Args:
        checked: The columns.
        source: How errors name rows and columns.

    Raises:
        DataError: If a unit has more.
    """
    successes, trials = checked["successes"], checked["trials"]
    if (successes > trials).any():
        index = int(np.argmax(successes > trials))
        raise DataError(
            f"{source.cell(index, 'successes')}: expected at most {trials[index]} "
            f"({source.column('trials')}), found {successes[index]}"
        )


def _require_sizes(checked: Columns, size: str, source: Source) -> None:
    sizes, weighty = checked[size], checked.get("weights")
    if not (sizes > 0 if weighty is None else (sizes > 0) & (weighty > 0)).any():
        of_weight = "" if weighty is None else " of positive weight"
        raise DataError(f"{source.name}: expected a unit{of_weight} that has {size}, found none")


def exact_sum(values: Int64[np.ndarray, " units"]) -> int:
    """The sum of numbers below 2^53 by halves, of which neither can overflow int64.

    Args:
        values: Whole numbers, none negative.

    Returns:
        Their sum.

    Examples:
        >>> exact_sum(np.full(3000, MAX_COUNT)) == 3000 * MAX_COUNT
        True
    """
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())


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
            stacklevel=5,
        )
