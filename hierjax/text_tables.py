"""Text tables by Python's own parser, which knows the line of every row.

It is the judge of what a text table holds: DuckDB reads large ones faster, and what it will not
take is read again here, for the error or for the counts.
"""

import csv
import gzip
import io
import math
import textwrap
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hierjax.errors import DataError, did_you_mean

__all__ = [
    "Header",
    "columns",
    "delimiter",
    "line_of_row",
    "number",
    "read_header",
    "unique_column",
]

_DELIMITERS = {".tsv": "\t", ".tab": "\t"}

Record = tuple[int, list[str]]


@dataclass(frozen=True)
class Header:
    """The first row of a text table.

    Attributes:
        path: The file.
        line: The line on which it stands.
        names: The columns' names, without space around them.
        even: Whether the next row has as many cells.
    """

    path: Path
    line: int
    names: tuple[str, ...]
    even: bool = True


def delimiter(path: Path) -> str:
    r"""What separates the cells of a file: tabs or commas, as its name says.

    Examples:
        >>> delimiter(Path("rats.TSV.gz"))
        '\t'
    """
    name = path.name.lower().removesuffix(".gz")
    return _DELIMITERS.get(Path(name).suffix, ",")


def read_header(path: Path) -> Header:
    """Reads the names of a text table's columns.

    Raises:
        DataError: If the file cannot be read or is empty.
    """
    records = _records(path)
    header = _header(path, records)
    after = next(records, None)
    return Header(path, header.line, header.names, not after or len(after[1]) == len(header.names))


def columns(
    paths: Iterable[Path], names: Mapping[str, str]
) -> tuple[list[tuple[Path, int]], dict[str, list[str]]]:
    """Reads columns of one or more text tables, one table after the other.

    Args:
        paths: The files.
        names: The column of each field.

    Returns:
        The file and the line of each row, and each field's cells.

    Raises:
        DataError: If a file cannot be read, is no table or lacks a column. The message names the
            file and the line.
    """
    places: list[tuple[Path, int]] = []
    found: dict[str, list[str]] = {field: [] for field in names}
    for path in paths:
        records = _records(path)
        header = _header(path, records)
        at = {
            field: unique_column(header.names, name, f"{path}, line {header.line}")
            for field, name in names.items()
        }
        for line, cells in records:
            if len(cells) != len(header.names):
                raise DataError(
                    f"{path}, line {line}: expected {len(header.names)} cells as in the header, "
                    f"found {len(cells)}"
                )
            places.append((path, line))
            for field, index in at.items():
                found[field].append(cells[index])
    return places, found


def line_of_row(path: Path, row: int) -> int:
    """The line of a file on which a row starts, rows counted from 0 below the header."""
    records = _records(path)
    _header(path, records)
    return next(line for index, (line, _) in enumerate(records) if index == row)


def unique_column(names: tuple[str, ...], name: str, place: str) -> int:
    """Where the only column of a name stands.

    Examples:
        >>> unique_column(("tumors", "rats"), "rats", "a.csv")
        1
        >>> try:
        ...     unique_column(("tumors", "rats"), "rat", "a.csv")
        ... except DataError as error:
        ...     print(error)
        a.csv: expected one column 'rat', found tumors, rats; did you mean 'rats'?
    """
    times = names.count(name)
    if times == 1:
        return names.index(name)
    found = f"{times} of that name"
    if not times:
        found = textwrap.shorten(", ".join(names), 200, placeholder=" ...")
        found += did_you_mean(name, names)
    raise DataError(f"{place}: expected one column {name!r}, found {found}")


def number(cell: str) -> int | float | str:
    """The finite number that a cell holds, or its text where it holds none.

    Examples:
        >>> [number(cell) for cell in (" 14 ", "2e1", "1_000", "nan")]
        [14, 20.0, '1_000', 'nan']
    """
    if "_" in cell:  # the digit separator of Python's source, not of tables
        return cell
    try:
        return int(cell)
    except ValueError:
        pass
    try:
        value = float(cell)
    except ValueError:
        return cell
    return value if math.isfinite(value) else cell


def _header(path: Path, records: Iterator[Record]) -> Header:
    line, cells = next(records, (0, []))
    if not cells:
        raise DataError(f"{path}: expected a header and rows below it, found an empty file")
    return Header(path, line, tuple(cell.strip() for cell in cells))


def _records(path: Path) -> Iterator[Record]:
    """The cells of each row that is not blank, with the line of the file on which it starts."""
    line = 1
    try:
        with _binary(path) as binary, io.TextIOWrapper(binary, "utf-8-sig", newline="") as text:
            reader = csv.reader(text, delimiter=delimiter(path), strict=True)
            for cells in reader:
                if cells:
                    yield line, cells
                line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}, line {line}: expected cells of a table, found {error}") from None
    except UnicodeDecodeError as error:
        # Where in the file this was is not known, but what is wrong is wrong on its line alone.
        raise _undecodable(path) or DataError(
            f"{path}: expected UTF-8 text, found byte 0x{error.object[error.start]:02x}"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        found = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: expected a readable file, found: {found}") from None


def _binary(path: Path) -> io.BufferedReader | gzip.GzipFile:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rb")
    return path.open("rb")


def _undecodable(path: Path) -> DataError | None:
    """The error about the first line that is not UTF-8."""
    if not path.is_file():
        return None
    with _binary(path) as binary:
        for line, content in enumerate(binary, start=1):
            try:
                content.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = content[error.start]
                return DataError(
                    f"{path}, line {line}: expected UTF-8 text, found byte 0x{byte:02x}"
                )
    return None
