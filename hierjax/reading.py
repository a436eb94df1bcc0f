"""Counts from a text table, with errors that point at the line and the column in the file."""

import csv
import io
import math
import os
import textwrap
from collections.abc import Iterator
from pathlib import Path

from hierjax.counts import Counts
from hierjax.errors import DataError, did_you_mean
from hierjax.validation import Source

DELIMITERS = {".tsv": "\t", ".tab": "\t"}


def read_counts(
    path: str | os.PathLike[str],
    successes: str,
    trials: str,
    label: str | None = None,
    group: str | None = None,
    weight: str | None = None,
) -> Counts:
    r"""Reads the counts of units from a CSV or TSV file, one unit a line below a header.

    The text is UTF-8, with or without a byte-order mark. Cells are separated by tabs in a file
    whose name ends in ``.tsv`` or ``.tab`` and by commas in any other; blank lines are skipped,
    and so is space around a cell.

    Args:
        path: The file.
        successes: Name of the column that holds the successes.
        trials: Name of the column that holds the trials.
        label: Name of the column that holds the units' labels.
        group: Name of the column that holds the units' groups.
        weight: Name of the column that holds the units' weights.

    Returns:
        The counts, in the order of the file.

    Raises:
        DataError: If the file cannot be read, is no table, lacks a column, or holds counts that
            `Counts` refuses. The message names the file, the line and the column.

    Examples:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "rats.csv"
        >>> _ = path.write_text("tumors,rats\n0,20\n4,14\n")
        >>> read_counts(path, successes="tumors", trials="rats")
        Counts(units=2, successes=4, trials=34)
    """
    wanted = {
        "successes": successes,
        "trials": trials,
        "labels": label,
        "groups": group,
        "weights": weight,
    }
    names = {field: name for field, name in wanted.items() if name is not None}
    lines, columns = _columns(path, names)
    for field in columns.keys() & {"successes", "trials", "weights"}:
        columns[field] = [_number(cell) for cell in columns[field]]
    source = Source(
        str(path),
        lambda row: f"{path}, line {lines[row]}",
        {field: f"column {name!r}" for field, name in names.items()},
    )
    return Counts(**columns, source=source)


def _columns(
    path: str | os.PathLike[str], names: dict[str, str]
) -> tuple[list[int], dict[str, list]]:
    """The line of each row, and each field's cells from the column of its name."""
    records = _records(path)
    header_line, header = next(records, (0, []))
    if not header:
        raise DataError(f"{path}: expected a header and rows below it, found an empty file")
    at = {field: _position(path, header_line, header, name) for field, name in names.items()}
    lines: list[int] = []
    columns: dict[str, list] = {field: [] for field in at}
    for line, cells in records:
        if len(cells) != len(header):
            raise DataError(
                f"{path}, line {line}: expected {len(header)} cells as in the header, "
                f"found {len(cells)}"
            )
        lines.append(line)
        for field, index in at.items():
            columns[field].append(cells[index])
    return lines, columns


def _records(path: str | os.PathLike[str]) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row that is not blank, with the line of the file on which it starts."""
    delimiter = DELIMITERS.get(Path(path).suffix.lower(), ",")
    reader = csv.reader(io.StringIO(_text(path), newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}, line {line}: expected cells of a table, found {error}") from None


def _text(path: str | os.PathLike[str]) -> str:
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: expected a readable file, found: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        raise DataError(
            f"{path}, line {line}: expected UTF-8 text, found byte 0x{byte:02x}"
        ) from None


def _position(path: str | os.PathLike[str], line: int, header: list[str], name: str) -> int:
    """Where in a row the cell of the column `name` stands."""
    header = [cell.strip() for cell in header]
    times = header.count(name)
    if times == 1:
        return header.index(name)
    found = f"{times} of that name"
    if not times:
        found = textwrap.shorten(", ".join(header), 200, placeholder=" ...")
        found += did_you_mean(name, header)
    raise DataError(f"{path}, line {line}: expected one column {name!r}, found {found}")


def _number(cell: str) -> int | float | str:
    """The finite number that a cell holds, or its text where it holds none."""
    if "_" in cell:  # the digit separator of Python's source, not of tables
        return cell
    try:
        return int(cell)
    except ValueError:
        pass
    try:
        number = float(cell)
    except ValueError:
        return cell
    return number if math.isfinite(number) else cell
