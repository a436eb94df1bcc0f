"""The user's own table with answers as further columns, in one file, larger than memory or not.

Units enter the hyperparameters and their own answers by their value and size alone. So the table is
read once for its distinct pairs of these, and once more, as it is written, to be joined to what is
known of each pair.
"""

import contextlib
import dataclasses
import os
import platform
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from hierjax import files
from hierjax.containers import CONTAINERS
from hierjax.engine import connect, literal, quoted, reading
from hierjax.errors import ConfigError, DataError, DataWarning
from hierjax.experiment.row_answers import Pairs, by_row, with_answers
from hierjax.experiment.table_view import give_types, of_events, of_units
from hierjax.frames import free_names
from hierjax.observations import Observations
from hierjax.reading import read_table, refuse_first_wrong_row
from hierjax.table import Table
from hierjax.table_columns import TableColumns
from hierjax.validation import Source

__all__ = ["UserTable", "answers_in", "check_target", "is_table_file", "opened"]

_FORMATS = {".csv": "FORMAT csv, HEADER true", ".parquet": "FORMAT parquet, COMPRESSION zstd"}


def is_table_file(out: Path) -> bool:
    """Whether a path names a table to write, and not a run's directory.

    Examples:
        >>> is_table_file(Path("rates.csv")), is_table_file(Path("runs/rates"))
        (True, False)
    """
    return out.suffix.lower() in _FORMATS


def check_target(out: Path) -> None:
    """Refuses to write over what is there.

    Raises:
        ConfigError: If the file is there already, or its directory is not.
    """
    if out.exists() or out.is_symlink():
        raise ConfigError(f"--out {out}: expected no file there, found one; choose another name")
    if not out.absolute().parent.is_dir():
        raise ConfigError(f"--out {out}: expected a directory to write it to, found none")


def answers_in(table: Table) -> dict[str, np.ndarray]:
    """The columns of a table of units that no user's table has.

    Args:
        table: What `Fit.unit_table`, `Fit.predict` or `GroupFit.units` gave.

    Returns:
        The columns from `raw_rate` on.
    """
    names = list(table)
    return {name: table[name] for name in names[names.index("raw_rate") :]}


@dataclass(frozen=True)
class UserTable:
    """The table of a user, in an engine that streams it.

    Attributes:
        path: What the user called the file or files.
        names: Its columns, in their order.
        columns: Which of them hold what.
        pairs: Values and sizes (successes and trials, say), each pair once.
        multiplicity: Units with each pair.
        warnings: What is odd about the table.
        is_text: Whether the table's cells are text, whatever they hold.
        stamps: When each of its files was written last, and how large it was.
    """

    path: str
    names: tuple[str, ...]
    columns: TableColumns
    pairs: Pairs
    multiplicity: Int64[np.ndarray, " pairs"]
    warnings: tuple[str, ...]
    is_text: bool
    stamps: tuple[tuple[Path, int, int], ...]
    _database: Any

    @property
    def units(self) -> int:
        """Number of units."""
        return int(self.multiplicity.sum())

    def observations(self, expanded: bool = False) -> Observations:
        """The data that tell of the hyperparameters all that the table does.

        Args:
            expanded: Whether to repeat a pair for each of its units, for methods that take no
                weights.

        Raises:
            DataError: If there are fewer than two units, or none whose size tells anything.
        """
        repeats, weights = self.multiplicity, None
        if not expanded:
            # Two rows at least, where a single pair is that of many units.
            repeats = np.minimum(repeats, 2 if len(repeats) == 1 else 1)
            weights = np.repeat(self.multiplicity / repeats, repeats)
        values, sizes = (np.repeat(column, repeats) for column in self.pairs)
        container = CONTAINERS[self.columns.family]
        return container(values, sizes, weights=weights, source=Source(self.path, str))

    def write(
        self, out: Path, answers: Mapping[str, Float[np.ndarray, " _"]], rowwise: bool = False
    ) -> None:
        """Writes the table with answers as further columns, its rows in their order.

        Args:
            out: The file, CSV or Parquet by its name.
            answers: A value of each pair for each new column, NaN for an empty cell.
            rowwise: Whether there is a value of each row, and not of each pair.

        Raises:
            DataError: If it cannot be written, or the table is no longer the one that was fitted.
        """
        database, renamed = self._database, free_names(self.names, answers)
        users = [f"t.u{i} AS {quoted(name)}" for i, name in enumerate(self.names)]
        added = [f"t.a{i} AS {quoted(name)}" for i, name in enumerate(renamed.values())]
        columns, suffix = ", ".join([*users, *added]), out.suffix.lower()
        _clean_up_after_killed(out)
        partial = out.with_name(f".{out.name}.{platform.node()}-{os.getpid()}.partial")
        try:
            with reading(str(out), "a file that can be written"):
                if self.is_text and suffix != ".csv":
                    give_types(database, len(self.names))
                if rowwise:
                    table = by_row(database, answers)
                else:
                    table = with_answers(database, self.pairs, answers)
                rows = database.execute(
                    f"COPY (SELECT {columns} FROM {table}) "
                    f"TO {literal(str(partial))} ({_FORMATS[suffix]})"
                ).fetchone()[0]
            if rows != self.units or self.stamps != _stamps([path for path, _, _ in self.stamps]):
                raise DataError(
                    f"{self.path}: expected the {self.units} rows that were fitted, found others; "
                    "was it changed meanwhile?"
                )
            os.replace(partial, out)
        finally:
            partial.unlink(missing_ok=True)


def _stamps(paths: list[Path]) -> tuple[tuple[Path, int, int], ...]:
    """What tells whether files have changed."""
    found = [(path, path.stat()) for path in paths]
    return tuple((path, status.st_mtime_ns, status.st_size) for path, status in found)


def _clean_up_after_killed(out: Path) -> None:
    """Removes what runs that were killed on this machine have left of the same file."""
    start, end = f".{out.name}.{platform.node()}-", ".partial"
    for path in out.absolute().parent.iterdir():
        process = path.name[len(start) : -len(end)]
        if path.name == f"{start}{process}{end}" and process.isdecimal() and _is_gone(int(process)):
            path.unlink(missing_ok=True)


def _is_gone(process: int) -> bool:
    if os.name != "posix":  # where a signal of 0 ends a process
        return False
    with contextlib.suppress(PermissionError, OverflowError):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
    return False


@contextlib.contextmanager
def opened(path: str, columns: TableColumns, pairs_only: bool = False) -> Iterator[UserTable]:
    """Opens a table and counts its distinct pairs, in one pass over them.

    Args:
        path: The file, or a pattern of files with the same columns.
        columns: Which of its columns hold what.
        pairs_only: Whether only these are wanted: then the table cannot be written, labels
            are not looked at, and a pattern's files may differ in their other columns.

    Yields:
        The table.

    Raises:
        DataError: If it cannot be read or its units break a rule, as `read_table` says it.
    """
    paths = files.expand(path)
    if any(map(files.is_pipe, paths)):
        raise DataError(f"{path}: expected a file, found a pipe, which cannot be read twice")
    if pairs_only and not columns.events:
        own = {field: columns.fields[field] for field in CONTAINERS[columns.family].columns}
        columns = dataclasses.replace(columns, fields=own)
    # Units of events are added up into a table of their own, whatever happens to the files.
    stamps, is_text = _stamps([] if columns.events else paths), files.is_text(paths)
    with connect() as database:
        try:
            tables = [files.describe(database, each, typed=True) for each in paths]
            if columns.events:
                view, names = of_events(tables, columns.fields)
            else:
                view, names = of_units(tables, columns, pairs_only)
            with reading(path):
                database.execute(view)
                pairs, multiplicity, is_legal = _tally(database, columns)
            odd = _odd(database, path, columns.fields)
        except DataError:
            if is_text:  # Python names the line
                _read_in_memory(path, columns)
            raise
        if not is_legal:
            if columns.events:
                _read_in_memory(path, columns)
            plain = [files.describe(database, each) for each in paths]
            refuse_first_wrong_row(database, plain, columns)
            raise DataError(f"{path}: expected data of units, found cells that are none")
        yield UserTable(path, names, columns, pairs, multiplicity, odd, is_text, stamps, database)


def _tally(database: Any, columns: TableColumns) -> tuple[Pairs, Int64[np.ndarray, " pairs"], bool]:
    """Distinct pairs, how many units have each, and whether all of them are legal."""
    query = "SELECT y, n, count(*) AS units, count(*) FILTER (wrong) AS wrong "
    found = database.execute(f"{query} FROM user_table GROUP BY y, n ORDER BY n, y").fetchnumpy()
    y, n, units, wrong = (found[name] for name in ("y", "n", "units", "wrong"))
    is_legal = not np.ma.is_masked(y) and not np.ma.is_masked(n) and not wrong.any()
    pairs = np.asarray(y), np.asarray(n)
    if is_legal:
        try:
            pairs = CONTAINERS[columns.family].pairs(*pairs)
        except DataError:
            is_legal = False
    return pairs, np.asarray(units).astype(np.int64), is_legal


def _read_in_memory(path: str, columns: TableColumns) -> None:
    """Reads the table into memory, for the error that names the row."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        read_table(path, columns)


def _odd(database: Any, path: str, fields: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence about labels that occur more than once."""
    if "labels" not in fields:
        return ()
    # Hashes, as the text would not fit into memory: two of 10^8 labels share one with probability
    # 3e-4, which makes a needless warning.
    units_of = "SELECT hash(label) AS code, count(*) AS units FROM user_table GROUP BY code"
    with reading(path):
        surplus = database.execute(f"SELECT sum(units - 1) FROM ({units_of})").fetchall()[0][0]
        if not surplus:
            return ()
        most = database.execute(f"{units_of} ORDER BY units DESC, code LIMIT 1").fetchall()[0][0]
        found = database.execute(f"SELECT min(label) FROM user_table WHERE hash(label) = {most}")
        label = found.fetchall()[0][0]
    return (
        f"{path}: expected a label of its own for each unit, found {surplus} used before, "
        f"as {label!r}",
    )
