"""Counts from a text table, with errors that point at the line and the column in the file."""

import csv
import io
import os
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
    (header_line, header), rows = _table(path)
    at = {field: _position(path, header_line, header, name) for field, name in names.items()}
    source = Source(
        str(path),
        lambda row: f"{path}, line {rows[row][0]}",
        {field: f"column {name!r}" for field, name in names.items()},
    )
    columns: dict[str, list] = {}
    for field, index in at.items():
        cells = [row[index] for _, row in rows]
        columns[field] = cells if field in ("labels", "groups") else [_number(c) for c in cells]
    return Counts(**columns, source=source)


def _table(
    path: str | os.PathLike[str],
) -> tuple[tuple[int, list[str]], list[tuple[int, list[str]]]]:
    """The header and the rows below it, each with the line of the file on which it starts."""
    delimiter = DELIMITERS.get(Path(path).suffix.lower(), ",")
    reader = csv.reader(io.StringIO(_text(path), newline=""), delimiter=delimiter, strict=True)
    records: list[tuple[int, list[str]]] = []
    line = 1
    try:
        for cells in reader:
            if cells:
                records.append((line, [cell.strip() for cell in cells]))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}, line {line}: expected cells of a table, found {error}") from None
    if not records:
        raise DataError(f"{path}: expected a header and rows below it, found an empty file")
    header, *rows = records
    width = len(header[1])
    for line, cells in rows:
        if len(cells) != width:
            raise DataError(
                f"{path}, line {line}: expected {width} cells as in the header, found {len(cells)}"
            )
    return header, rows


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
    times = header.count(name)
    if times == 1:
        return header.index(name)
    found = f"{times} of that name" if times else ", ".join(header[:20])
    if not times:
        found += f" and {len(header) - 20} more" if len(header) > 20 else ""
        found += did_you_mean(name, header)
    raise DataError(f"{path}, line {line}: expected one column {name!r}, found {found}")


def _number(cell: str) -> int | float | str:
    """The number that a cell holds, or its text where it holds none."""
    for kind in (int, float):
        try:
            return cell if "_" in cell else kind(cell)  # Python's own digit separator
        except ValueError:
            continue
    return cell
