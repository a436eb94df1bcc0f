"""Files that hold tables, of any format, as what DuckDB is to be asked for.

A `TableFile` knows its columns; what turns their cells into numbers and text is an expression of
SQL that is null for a cell that breaks its rule.
"""

import glob
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hierjax import text_tables
from hierjax.engine import literal, quoted, reading, within_glob
from hierjax.entries import Rule, finite_numbers, positive_numbers, texts, weights, whole_numbers
from hierjax.errors import DataError

__all__ = ["TableFile", "describe", "expand", "is_small", "is_text"]

_FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}
# Python has read a text table of this many bytes before DuckDB is there.
_SMALL = 1 << 20
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_DIGITS = "[+-]?[0-9]{1,18}"
_DECIMAL = "[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,3})?"


@dataclass(frozen=True)
class TableFile:
    """One file as a table of SQL.

    Attributes:
        path: The file.
        format: ``text``, ``parquet`` or ``json``.
        names: Its columns, as the user knows them.
        types: Their types in SQL; text for all columns of a text table.
        scan: What stands after ``FROM``.
        place: How errors name the place of the columns' names.
    """

    path: Path
    format: str
    names: tuple[str, ...]
    types: tuple[str, ...]
    scan: str
    place: str

    def column(self, name: str) -> str:
        """The column of a name, as SQL.

        Raises:
            DataError: If there is none, or more than one.
        """
        return self._reference(text_tables.unique_column(self.names, name, self.place))

    def cells(self, name: str, rule: Rule) -> str:
        """A column's entries, as SQL; null where one is not of the kind that a rule asks for."""
        return _CELLS[rule](self, name)

    def count(self, name: str) -> str:
        """A column's whole numbers, as SQL; null where a cell holds none."""
        index = text_tables.unique_column(self.names, name, self.place)
        column, kind = self._reference(index), self.types[index]
        if self.format == "text":
            return _count_in_text(column)
        if kind.removeprefix("U") in _INTEGERS:
            return f"TRY_CAST({column} AS BIGINT)"
        if kind == "BOOLEAN":
            return f"CAST({column} AS BIGINT)"
        if kind in ("FLOAT", "DOUBLE") or kind.startswith("DECIMAL"):
            return _count_in_decimal(column)
        if kind == "JSON":
            return (
                f"CASE WHEN {_is_json_number(column)} THEN {_count_in_text(column)} "
                f"WHEN {_is_json_bit(column)} THEN CAST(CAST({column} AS BOOLEAN) AS BIGINT) END"
            )
        return "CAST(NULL AS BIGINT)"

    def outcome(self, name: str) -> str:
        """A column's successes and failures as 1 and 0, as SQL; null where a cell is neither."""
        count, column = self.count(name), self.column(name)
        is_bit = f"CASE WHEN {count} IN (0, 1) THEN {count} END"
        if self.types[self.names.index(name)] not in ("VARCHAR", "JSON"):
            return is_bit
        word = f"lower(trim(CAST({column} AS VARCHAR), ' \t'))"
        return f"CASE {word} WHEN 'true' THEN 1 WHEN 'false' THEN 0 ELSE {is_bit} END"

    def text(self, name: str) -> str:
        """A column as text without space around it, as SQL; null where it is empty."""
        column = self.column(name)
        is_json = self.types[self.names.index(name)] == "JSON"
        column = f"({column} ->> '$')" if is_json else f"CAST({column} AS VARCHAR)"
        return f"nullif(trim({column}, ' \t'), '')"

    def weight(self, name: str) -> str:
        """A column's finite numbers, as SQL; null where a cell of text or JSON holds none."""
        number = self._real(name)
        if self.format == "text":
            return f"CASE WHEN isfinite({number}) AND {number} >= 0 THEN {number} END"
        return number

    def number(self, name: str) -> str:
        """A column's finite numbers, as SQL; null where a cell holds none."""
        number = self._real(name)
        return f"CASE WHEN isfinite({number}) THEN {number} END"

    def positive(self, name: str) -> str:
        """A column's positive numbers, as SQL; null where a cell holds none."""
        number = self._real(name)
        return f"CASE WHEN isfinite({number}) AND {number} > 0 THEN {number} END"

    def _real(self, name: str) -> str:
        """A column's numbers, as SQL; null where a cell holds none."""
        index = text_tables.unique_column(self.names, name, self.place)
        column, kind = self._reference(index), self.types[index]
        if kind == "JSON":
            return (
                f"CASE WHEN {_is_json_number(column)} "
                f"THEN TRY_CAST(CAST({column} AS VARCHAR) AS DOUBLE) "
                f"WHEN {_is_json_bit(column)} THEN CAST(CAST({column} AS BOOLEAN) AS DOUBLE) END"
            )
        if self.format == "text":
            cell = f"trim({column}, ' \t')"
            is_number = f"regexp_full_match({cell}, '{_DECIMAL}')"
            return f"CASE WHEN {is_number} THEN TRY_CAST({cell} AS DOUBLE) END"
        numeric = (*_INTEGERS, "BOOLEAN", "FLOAT", "DOUBLE")
        if kind.removeprefix("U") in numeric or kind.startswith("DECIMAL"):
            return f"CAST({column} AS DOUBLE)"
        return "CAST(NULL AS DOUBLE)"

    def _reference(self, index: int) -> str:
        # A text table may have columns of one name, of which only those asked for must be unique.
        return f"c{index}" if self.format == "text" else quoted(self.names[index])


_CELLS = {
    whole_numbers: TableFile.count,
    positive_numbers: TableFile.positive,
    finite_numbers: TableFile.number,
    weights: TableFile.weight,
    texts: TableFile.text,
}


def expand(path: str | os.PathLike[str]) -> list[Path]:
    """The files that a path names: itself, or all that it matches, in alphabetical order.

    Raises:
        DataError: If there is none, or one cannot be opened.
    """
    text = os.fspath(path)
    paths = [Path(text)]
    if glob.has_magic(text) and not os.path.lexists(text):
        paths = sorted(Path(found) for found in glob.glob(text, recursive=True))
        if not paths:
            raise DataError(f"{text}: expected files that match, found none")
    for each in paths:
        try:
            if not is_pipe(each):
                each.open("rb").close()
        except OSError as error:
            raise DataError(f"{each}: expected a readable file, found: {error.strerror}") from None
    formats = {_format(each) for each in paths}
    if len(formats) > 1:
        raise DataError(f"{text}: expected files of one format, found {', '.join(sorted(formats))}")
    return paths


def is_pipe(path: Path) -> bool:
    """Whether a file can be read no more than once."""
    mode = path.stat().st_mode
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def is_text(paths: Sequence[Path]) -> bool:
    """Whether files are text tables, as by their names all but Parquet and JSON files are."""
    return _format(paths[0]) == "text"


def is_small(paths: Sequence[Path]) -> bool:
    """Whether Python alone reads text tables in no time, or nothing else could."""
    size = sum(each.stat().st_size * (8 if _is_compressed(each) else 1) for each in paths)
    return size < _SMALL or any(map(is_pipe, paths))


def describe(database: Any, path: Path, typed: bool = False) -> TableFile:
    """Looks at the columns of a file.

    Args:
        database: A connection of DuckDB.
        path: The file.
        typed: Whether a JSON file's columns are given the types that their values suggest, rather
            than read as they are.

    Returns:
        The table.

    Raises:
        DataError: If the file is no table of the format that its name says.
    """
    kind, name = _format(path), literal(within_glob(str(path)))
    if kind == "text":
        header = text_tables.read_header(path)
        place = f"{path}, line {header.line}"
        if not header.even:  # DuckDB takes no notice of a comma at the end of a row
            raise DataError(f"{place}: expected as many cells in the header as below it")
        types = ("VARCHAR",) * len(header.names)
        return TableFile(path, kind, header.names, types, _text_scan(path, header), place)
    if not path.stat().st_size:
        raise DataError(f"{path}: expected a table that can be read, found an empty file")
    scan = f"read_parquet({name})"
    if kind == "json":
        # All rows are looked at for columns; values keep their JSON, as 4 and "4" differ.
        depth = "" if typed else ", maximum_depth = 1"
        scan = f"read_json({name}, sample_size = -1{depth})"
    with reading(str(path), "a table that can be read"):
        described = database.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()
    names, kinds = (tuple(str(row[i]) for row in described) for i in (0, 1))
    return TableFile(path, kind, names, kinds, scan, str(path))


def _text_scan(path: Path, header: text_tables.Header) -> str:
    columns = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(len(header.names)))
    return (
        f"read_csv({literal(within_glob(str(path)))}, delim = '{text_tables.delimiter(path)}', "
        "quote = '\"', escape = '\"', comment = '', header = true, auto_detect = false, "
        f"skip = {header.line - 1}, strict_mode = true, columns = {{{columns}}}, "
        f"compression = '{'gzip' if _is_compressed(path) else 'none'}')"
    )


def _format(path: Path) -> str:
    return _FORMATS.get(Path(path.name.lower().removesuffix(".gz")).suffix, "text")


def _is_compressed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def _is_json_number(column: str) -> str:
    return f"json_type({column}) IN ('UBIGINT', 'BIGINT', 'HUGEINT', 'UHUGEINT', 'DOUBLE')"


def _is_json_bit(column: str) -> str:
    return f"json_type({column}) = 'BOOLEAN'"


def _count_in_text(column: str) -> str:
    cell = f"trim(CAST({column} AS VARCHAR), ' \t')"
    decimal = _count_in_decimal(f"TRY_CAST({cell} AS DOUBLE)")
    return (
        f"CASE WHEN regexp_full_match({cell}, '{_DIGITS}') THEN CAST({cell} AS BIGINT) "
        f"WHEN regexp_full_match({cell}, '{_DECIMAL}') THEN {decimal} END"
    )


def _count_in_decimal(number: str) -> str:
    within = f"abs({number}) < 9007199254740992"
    return f"CASE WHEN {number} = floor({number}) AND {within} THEN CAST({number} AS BIGINT) END"
