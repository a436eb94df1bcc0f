"""Units from files of tables, with errors that point at the row and the column in the file."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from hierjax import files, text_tables
from hierjax.containers import CONTAINERS
from hierjax.counts import Counts
from hierjax.entries import LIMITS, Rule, texts
from hierjax.errors import DataError
from hierjax.files import TableFile
from hierjax.observations import Observations
from hierjax.table_columns import TableColumns, table_columns
from hierjax.validation import SHARED, Source

__all__ = ["from_columns", "read_counts", "read_table", "refuse_first_wrong_row"]

Place = tuple[Path, int]
_TEXTS = {"labels", "groups"}


def read_counts(
    path: str | os.PathLike[str],
    successes: str | None = None,
    trials: str | None = None,
    label: str | None = None,
    group: str | None = None,
    weight: str | None = None,
    *,
    success_column: str | None = None,
    unit: str | None = None,
) -> Counts:
    r"""Reads the counts of units from a file, one unit a row or one event a row.

    The name says what a file is: ``.csv``, ``.tsv`` or ``.tab`` (with a header; UTF-8; blank lines
    are skipped, and so is space around a cell), ``.parquet``, ``.jsonl``, ``.ndjson`` or ``.json``;
    any other is taken for CSV. Text and JSON may be compressed (``.gz``). A path with ``*``, ``?``
    or ``[...]`` names all files that match, one after the other in alphabetical order. Only the
    columns asked for are read; large files and all but text by DuckDB.

    Args:
        path: The file or files.
        successes: Name of the column that holds the successes.
        trials: Name of the column that holds the trials.
        label: Name of the column that holds the units' labels.
        group: Name of the column that holds the units' groups.
        weight: Name of the column that holds the units' weights.
        success_column: In a table of one row an event, in place of all these, name of the column
            that holds what came of each: 0 or 1, false or true.
        unit: With it, name of the column that holds the unit of each event.

    Returns:
        The counts, in the order of the file; of events sorted by unit.

    Raises:
        ConfigError: If the columns named are neither those of units nor those of events, or one
            is named twice.
        DataError: If a file cannot be read, is no table, lacks a column, or holds counts that
            `Counts` refuses. The message names the file, the line or row, and the column.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "rats.csv"
        >>> _ = path.write_text("tumors,rats\n0,20\n4,14\n")
        >>> read_counts(path, successes="tumors", trials="rats")
        Counts(units=2, successes=4, trials=34)
    """
    columns = table_columns(
        Counts.family,
        successes=successes,
        trials=trials,
        label=label,
        group=group,
        weight=weight,
        success_column=success_column,
        unit=unit,
    )
    counts = read_table(path, columns)
    assert isinstance(counts, Counts)
    return counts


def read_table(path: str | os.PathLike[str], columns: TableColumns) -> Observations:
    """Reads the data of units, of whatever family, from a file; see `read_counts`.

    Args:
        path: The file or files.
        columns: Which of its columns hold what.

    Returns:
        The data, in the order of the file; of events sorted by unit.

    Raises:
        DataError: If a file cannot be read, is no table, lacks a column, or holds what the family's
            container refuses. The message names the file, the line or row, and the column.
    """
    paths = files.expand(path)
    if columns.events:
        from hierjax.events import read_events

        return read_events(str(path), paths, columns)
    if files.is_text(paths) and files.is_small(paths):
        return _read_text(str(path), paths, columns)
    return _read_by_engine(str(path), paths, columns)


def from_columns(
    name: str, table: Mapping[str, Shaped[np.ndarray, " rows"]], columns: TableColumns
) -> Observations:
    """The data of units from a table in memory.

    Args:
        name: What errors call the table.
        table: Its columns.
        columns: Which of them hold what.

    Returns:
        The data, in the order of the table.

    Raises:
        DataError: If the table lacks a column, or holds what the family's container refuses.
    """
    for column in columns.fields.values():
        text_tables.unique_column(tuple(table), column, name)
    values = {field: table[column] for field, column in columns.fields.items()}
    source = _source(name, lambda index: f"{name}, row {index + 1}", columns.fields)
    return _made(columns, values, source)


def _read_text(path: str, paths: Sequence[Path], columns: TableColumns) -> Observations:
    """The data of text tables, by Python."""
    places, found = text_tables.columns(paths, columns.fields)
    values: dict[str, Any] = dict(found)
    for field in values.keys() - _TEXTS:
        values[field] = [text_tables.number(cell) for cell in values[field]]

    def row(index: int) -> str:
        file, line = places[index]
        return f"{file}, line {line}"

    return _made(columns, values, _source(path, row, columns.fields))


def _made(columns: TableColumns, values: Mapping[str, Any], source: Source) -> Observations:
    """The family's container of what was read."""
    container = CONTAINERS[columns.family]
    value, size = (values[field] for field in container.columns)
    shared = {field: values[field] for field in SHARED if field in values}
    return container(value, size, **shared, source=source)


def _source(path: str, row: Callable[[int], str], names: Mapping[str, str]) -> Source:
    return Source(path, row, {field: f"column {name!r}" for field, name in names.items()})


def _read_by_engine(path: str, paths: Sequence[Path], asked: TableColumns) -> Observations:
    """The data of tables of any format, by DuckDB."""
    from hierjax.engine import connect

    text, names = files.is_text(paths), asked.fields
    parts: list[dict[str, Any]] = []
    tables: list[TableFile] = []
    with connect() as database:
        try:
            for each in paths:
                tables.append(files.describe(database, each))
                parts.append(_fetched(database, tables[-1], asked))
        except DataError:
            if not text:
                raise
            return _read_text(path, paths, asked)
        sizes = [len(next(iter(part.values()))) for part in parts]
        columns = {field: np.ma.concatenate([part[field] for part in parts]) for field in names}
        bad = {field for field, values in columns.items() if np.ma.is_masked(values)}
        if bad and text:
            return _read_text(path, paths, asked)

        def at(index: int) -> tuple[int, int]:
            """The file of a row, and its place there."""
            file = int(np.searchsorted(np.cumsum(sizes), index, side="right"))
            return file, index - sum(sizes[:file])

        for field in bad - _TEXTS:
            first = int(np.argmax(np.ma.getmaskarray(columns[field])))
            file, row = at(first)
            values = columns[field].data.astype(object)
            values[first] = _raw(database, tables[file], names[field], row)
            columns[field] = values

    def place(index: int) -> str:
        file, row = at(index)
        if text:
            return f"{paths[file]}, line {text_tables.line_of_row(paths[file], row)}"
        return f"{paths[file]}, row {row + 1}"

    plain = {field: _unmasked(values) for field, values in columns.items()}
    return _made(asked, plain, _source(path, place, names))


def _unmasked(values: Any) -> Any:
    return values if np.ma.is_masked(values) else np.asarray(values)


def _fetched(database: Any, table: TableFile, asked: TableColumns) -> dict[str, Any]:
    """Columns of one file as arrays, masked where a cell breaks the rules of its field."""
    from hierjax.engine import reading

    rules = _rules(asked)
    chosen = ", ".join(
        f"{table.cells(name, rules[field])} AS {field}" for field, name in asked.fields.items()
    )
    with reading(str(table.path)):
        return database.execute(f"SELECT {chosen} FROM {table.scan}").fetchnumpy()


def _raw(database: Any, table: TableFile, name: str, row: int) -> Any:
    """What a cell holds that is no number."""
    from hierjax.engine import reading

    column = table.column(name)
    kind = table.types[table.names.index(name)]
    with reading(str(table.path)):
        query = f"SELECT {column} FROM {table.scan} LIMIT 1 OFFSET {row}"
        value = database.execute(query).fetchone()[0]
    if kind == "JSON" and value is not None:
        value = json.loads(value)
    if isinstance(value, Decimal):
        return float(value)
    return value if value is None or isinstance(value, int | float) else str(value)


def refuse_first_wrong_row(
    database: Any, tables: Sequence[TableFile], columns: TableColumns
) -> None:
    """Looks for the first row of units that breaks a rule, whatever the size of the tables.

    Args:
        database: A connection of DuckDB.
        tables: The tables.
        columns: Which of their columns hold what.

    Raises:
        DataError: If there is one, with the file, its row or line, and the column.
    """
    from hierjax.engine import reading

    rules = _rules(columns)
    for table in tables:
        cells = {f: table.cells(name, rules[f]) for f, name in columns.fields.items()}
        legal = [
            f"{f} BETWEEN {LIMITS[rules[f]][0]!r} AND {LIMITS[rules[f]][1]!r}"
            if rules[f] in LIMITS
            else f"{f} IS NOT NULL"
            for f in cells
        ]
        if columns.family == Counts.family:
            legal.append("successes <= trials")
        named = ", ".join(f"{cell} AS {field}" for field, cell in cells.items())
        query = (
            f"SELECT place FROM (SELECT row_number() OVER () - 1 AS place, {named} "
            f"FROM {table.scan}) WHERE NOT coalesce({' AND '.join(legal)}, false) "
            "ORDER BY place LIMIT 1"
        )
        with reading(str(table.path)):
            first = database.execute(query).fetchone()
        if first is not None:
            _refuse_row(database, table, columns, first[0])


def _refuse_row(database: Any, table: TableFile, asked: TableColumns, row: int) -> None:
    """The container's error about a row, with one beside it that breaks no rule."""
    rules, is_text = _rules(asked), table.format == "text"
    columns: dict[str, Any] = {}
    for field, name in asked.fields.items():
        value = _raw(database, table, name, row)
        if is_text:
            value = value or ""
            value = value if rules[field] is texts else text_tables.number(value)
        columns[field] = [value, "legal" if rules[field] is texts else 1]

    def place(_: int) -> str:
        if is_text:
            return f"{table.path}, line {text_tables.line_of_row(table.path, row)}"
        return f"{table.path}, row {row + 1}"

    _made(asked, columns, _source(str(table.path), place, asked.fields))


def _rules(columns: TableColumns) -> dict[str, Rule]:
    """The rule of each field."""
    return SHARED | dict(CONTAINERS[columns.family].rules)
