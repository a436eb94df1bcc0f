"""Files of one row an event: added up to the counts of units, by DuckDB or by Python."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierjax import files, text_tables
from hierjax.counts import Counts
from hierjax.errors import DataError
from hierjax.files import TableFile
from hierjax.validation import Source

if TYPE_CHECKING:
    from hierjax.table_columns import TableColumns

__all__ = ["by_unit", "read_events"]

_OUTCOMES = {"0": 0, "1": 1, "false": 0, "true": 1}
_DIGITS = 18


def read_events(path: str, paths: Sequence[Path], names: "TableColumns") -> Counts:
    """Counts of units from files of events, sorted by unit.

    Args:
        path: What the user called the files.
        paths: The files.
        names: The columns of outcomes and of units.

    Returns:
        The counts; units whose names are whole numbers come first and in their order.

    Raises:
        DataError: If a file cannot be read, lacks a column, or holds an event without a unit or one
            that is neither success nor failure.
    """
    text = files.is_text(paths)
    if text and files.is_small(paths):
        return _read_text(path, paths, names.fields)
    from hierjax.engine import connect, reading

    with connect() as database:
        try:
            tables = [files.describe(database, each) for each in paths]
            query = by_unit(tables, names.fields)
            with reading(path):
                found = database.execute(query).fetchnumpy()
            if found["wrong"].sum():
                _refuse(database, tables, names.fields)
        except DataError:
            if not text:
                raise
            return _read_text(path, paths, names.fields)
    return _counts(path, names.fields, found["unit"], found["successes"], found["trials"])


def by_unit(tables: Sequence[TableFile], names: Mapping[str, str]) -> str:
    """The query for successes, trials and wrong rows of each unit, sorted by unit.

    Args:
        tables: Tables of events.
        names: Their columns of ``success`` and ``unit``.
    """
    events = " UNION ALL ".join(
        f"SELECT {table.text(names['unit'])} AS unit, {table.outcome(names['success'])} AS success "
        f"FROM {table.scan}"
        for table in tables
    )
    whole = (
        f"CASE WHEN regexp_full_match(unit, '[0-9]{{1,{_DIGITS}}}') THEN CAST(unit AS BIGINT) END"
    )
    return (
        "SELECT unit, CAST(coalesce(sum(success), 0) AS BIGINT) AS successes, count(*) AS trials, "
        "CASE WHEN unit IS NULL THEN count(*) ELSE count(*) - count(success) END AS wrong "
        f"FROM ({events}) GROUP BY unit ORDER BY {whole} NULLS LAST, unit"
    )


def _refuse(database: Any, tables: Sequence[TableFile], names: Mapping[str, str]) -> None:
    """The error about the first row that is wrong."""
    from hierjax.engine import reading

    for table in tables:
        success = table.column(names["success"])
        is_outcome = f"{table.outcome(names['success'])} IS NOT NULL"
        is_named = f"{table.text(names['unit'])} IS NOT NULL"
        with reading(str(table.path)):
            row = database.execute(
                f"SELECT * FROM (SELECT row_number() OVER () AS row, {is_outcome} AS outcome, "
                f"{is_named} AS named, CAST({success} AS VARCHAR) AS found FROM {table.scan}) "
                "WHERE NOT (outcome AND named) ORDER BY row LIMIT 1"
            ).fetchone()
        if row:
            number, outcome, _, found = row
            place = f"{table.path}, row {number}"
            field = "unit" if outcome else "success"
            raise _wrong(place, field, names, "" if outcome or found is None else found)


def _wrong(place: str, field: str, names: Mapping[str, str], found: str) -> DataError:
    expected = "a unit" if field == "unit" else "0 or 1, false or true"
    shown = repr(found[:60]) if found.strip() else "an empty cell"
    return DataError(f"{place}, column {names[field]!r}: expected {expected}, found {shown}")


def _read_text(path: str, paths: Sequence[Path], names: Mapping[str, str]) -> Counts:
    places, columns = text_tables.columns(paths, names)
    tallies: dict[str, list[int]] = {}
    for (file, line), cell, name in zip(places, columns["success"], columns["unit"], strict=True):
        unit = name.strip()
        outcome = _OUTCOMES.get(cell.strip().lower())
        if outcome is None:
            value = text_tables.number(cell)
            outcome = int(value) if not isinstance(value, str) and value in (0, 1) else None
        if outcome is None or not unit:
            field, found = ("success", cell) if outcome is None else ("unit", name)
            raise _wrong(f"{file}, line {line}", field, names, found)
        tally = tallies.setdefault(unit, [0, 0])
        tally[0] += outcome
        tally[1] += 1
    units = sorted(tallies, key=_order)
    successes, trials = ([tallies[unit][i] for unit in units] for i in (0, 1))
    return _counts(path, names, units, successes, trials)


def _order(unit: str) -> tuple[bool, int, str]:
    whole = unit.isascii() and unit.isdigit() and len(unit) <= _DIGITS
    return not whole, int(unit) if whole else 0, unit


def _counts(path: str, names: Mapping[str, str], units: Any, successes: Any, trials: Any) -> Counts:
    source = Source(path, lambda i: f"{path}, unit {str(units[i])!r}", {"labels": names["unit"]})
    return Counts(successes, trials, units, source=source)
