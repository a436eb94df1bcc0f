"""The user's own table with answers as further columns, in one file, larger than memory or not.

Units enter the hyperparameters and their own answers by their counts alone. So the table is read
once for its distinct pairs of counts, and once more, as it is written, to be joined to what is
known of each pair.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from hierjax import files
from hierjax.counts import Counts
from hierjax.engine import connect, literal, quoted, reading
from hierjax.errors import ConfigError, DataError, DataWarning
from hierjax.events import by_unit
from hierjax.files import TableFile
from hierjax.frames import free_names
from hierjax.reading import TableColumns, read_counts
from hierjax.validation import Source

__all__ = ["UserTable", "check_target", "is_table_file", "opened"]

_FORMATS = {".csv": "FORMAT csv, HEADER true", ".parquet": "FORMAT parquet, COMPRESSION zstd"}
_WHOLE = "CAST(TRY_CAST({0} AS BIGINT) AS VARCHAR) = {0}"
_REAL = "regexp_full_match({0}, '-?(0|[1-9][0-9]*)?([.][0-9]*)?([eE][+-]?[0-9]{{1,3}})?')"


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


@dataclass(frozen=True)
class UserTable:
    """The table of a user, in an engine that streams it.

    Attributes:
        path: What the user called the file or files.
        names: Its columns, in their order.
        pairs: Successes and trials, each pair once.
        multiplicity: Units with each pair.
        warnings: What is odd about the table.
    """

    path: str
    names: tuple[str, ...]
    pairs: Int64[np.ndarray, "2 pairs"]
    multiplicity: Int64[np.ndarray, " pairs"]
    warnings: tuple[str, ...]
    _database: Any

    @property
    def units(self) -> int:
        """Number of units."""
        return int(self.multiplicity.sum())

    def counts(self, expanded: bool = False) -> Counts:
        """The counts that tell of the hyperparameters all that the table does.

        Args:
            expanded: Whether to repeat a pair for each of its units, for methods that take no
                weights.

        Raises:
            DataError: If there are fewer than two units, or none has trials.
        """
        repeats, weights = self.multiplicity, None
        if not expanded:
            # Two rows at least, where a single pair is that of many units.
            repeats = np.minimum(repeats, 2 if len(repeats) == 1 else 1)
            weights = np.repeat(self.multiplicity / repeats, repeats)
        successes, trials = np.repeat(self.pairs, repeats, axis=1)
        return Counts(successes, trials, weights=weights, source=Source(self.path, str))

    def write(self, out: Path, answers: Mapping[str, Float[np.ndarray, " pairs"]]) -> None:
        """Writes the table with answers as further columns, its rows in their order.

        Args:
            out: The file, CSV or Parquet by its name.
            answers: A value of each pair for each new column, NaN for an empty cell.

        Raises:
            DataError: If it cannot be written, or the table is no longer the one that was fitted.
        """
        renamed = free_names(self.names, answers)
        # DuckDB finds this dictionary by its name.
        hierjax_answers = {f"a{i}": values for i, values in enumerate(answers.values())}
        hierjax_answers |= {"y": self.pairs[0], "n": self.pairs[1]}
        users = [f"t.u{i} AS {quoted(name)}" for i, name in enumerate(self.names)]
        added = [f"a.a{i} AS {quoted(name)}" for i, name in enumerate(renamed.values())]
        partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
        try:
            with reading(str(out), "a file that can be written"):
                copied = self._database.execute(
                    f"COPY (SELECT {', '.join([*users, *added])} "
                    "FROM (SELECT *, row_number() OVER () AS place FROM user_table) t "
                    "LEFT JOIN hierjax_answers a ON t.y = a.y AND t.n = a.n ORDER BY t.place) "
                    f"TO {literal(str(partial))} ({_FORMATS[out.suffix.lower()]})"
                )
                rows = copied.fetchone()[0]
            if rows != self.units:
                raise DataError(
                    f"{self.path}: expected the {self.units} rows that were fitted, found others; "
                    "was it changed meanwhile?"
                )
            os.replace(partial, out)
        finally:
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def opened(path: str, columns: TableColumns, out: Path) -> Iterator[UserTable]:
    """Opens a table and counts its distinct pairs.

    Args:
        path: The file, or a pattern of files with the same columns.
        columns: Which of its columns hold what.
        out: The file to be written.

    Yields:
        The table.

    Raises:
        DataError: If it cannot be read or its counts break a rule, as `read_counts` says it.
    """
    paths = files.expand(path)
    if any(map(files.is_pipe, paths)):
        raise DataError(f"{path}: expected a file, found a pipe, which cannot be read twice")
    with connect() as database:
        try:
            tables = [files.describe(database, each, typed=True) for each in paths]
            view, names = (_events if columns.events else _units)(tables, columns.fields)
            with reading(path):
                database.execute(view)
                if tables[0].format == "text" and out.suffix.lower() != ".csv":
                    _give_types(database, len(names))
                query = "SELECT y, n, count(*) AS units, count(*) FILTER (wrong) AS wrong "
                found = database.execute(f"{query} FROM user_table GROUP BY y, n ORDER BY n, y")
                pairs = found.fetchnumpy()
            odd = _odd(database, path, columns.fields)
        except DataError:
            _read_plainly(path, columns)
            raise
        y, n, units, wrong = (pairs[name] for name in ("y", "n", "units", "wrong"))
        legal = not np.ma.is_masked(y) and not np.ma.is_masked(n)
        if not legal or wrong.any() or (y < 0).any() or (y > n).any():
            _read_plainly(path, columns)
            raise DataError(f"{path}: expected counts, found cells that are none")
        stacked = np.stack([np.asarray(y), np.asarray(n)]).astype(np.int64)
        sizes = np.asarray(units).astype(np.int64)
        yield UserTable(path, names, stacked, sizes, odd, database)


def _read_plainly(path: str, columns: TableColumns) -> None:
    """Reads the table into memory, for the error that names the row."""
    import warnings

    spelled = {"success": "success_column", "labels": "label", "groups": "group"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        read_counts(path, **{spelled.get(k, k): name for k, name in columns.fields.items()})


def _units(tables: Sequence[TableFile], fields: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """The view of a table of units: u0, u1, ... are the user's columns, y and n the counts."""
    names = _same_names(tables)
    selects = []
    for table in tables:
        texts = {key: table.text(fields[key]) for key in ("labels", "groups") if key in fields}
        missing = [f"{text} IS NULL" for text in texts.values()]
        chosen = [
            *(f"{table.column(name)} AS u{i}" for i, name in enumerate(names)),
            f"{table.count(fields['successes'])} AS y",
            f"{table.count(fields['trials'])} AS n",
            f"{texts.get('labels', 'CAST(NULL AS VARCHAR)')} AS label",
            f"({' OR '.join(missing) or 'false'}) AS wrong",
        ]
        selects.append(f"SELECT {', '.join(chosen)} FROM {table.scan}")
    return f"CREATE TEMP VIEW user_table AS {' UNION ALL '.join(selects)}", names


def _events(tables: Sequence[TableFile], fields: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """The table of units that a table of events adds up to."""
    names = (fields["unit"], "successes", "trials")
    if fields["unit"].casefold() in names[1:]:
        raise DataError(
            f"{tables[0].place}: expected units in a column not called successes or trials, "
            f"found {fields['unit']!r}"
        )
    summed = by_unit(tables, fields)
    kind = tables[0].types[tables[0].names.index(fields["unit"])]
    unit = f"TRY_CAST(unit AS {kind})" if kind.endswith("INT") or kind == "INTEGER" else "unit"
    return (
        f"CREATE TEMP TABLE user_table AS SELECT {unit} AS u0, successes AS u1, trials AS u2, "
        "successes AS y, trials AS n, CAST(NULL AS VARCHAR) AS label, wrong > 0 AS wrong "
        f"FROM ({summed})"
    ), names


def _same_names(tables: Sequence[TableFile]) -> tuple[str, ...]:
    """The columns of all files, which must be the same, though not in the same order."""
    first = tables[0]
    for table in tables:
        folded = [name.casefold() for name in table.names]
        for index, name in enumerate(folded):
            if name in folded[:index]:
                twice = f"{table.names[folded.index(name)]!r} and {table.names[index]!r}"
                raise DataError(
                    f"{table.place}: expected columns of different names, found {twice}"
                )
        if odd := sorted(set(table.names) ^ set(first.names)):
            raise DataError(
                f"{table.place}: expected the columns of {first.path}, found {odd[0]!r} in one only"
            )
    return first.names


def _give_types(database: Any, columns: int) -> None:
    """Numbers for those columns of a text table whose cells all are numbers."""
    cells = [f"trim(u{i})" for i in range(columns)]
    asked = ", ".join(
        f"count(u{i}), bool_and(coalesce({_WHOLE.format(cell)}, u{i} IS NULL)), "
        f"bool_and({_REAL.format(cell)} AND TRY_CAST({cell} AS DOUBLE) IS NOT NULL)"
        for i, cell in enumerate(cells)
    )
    found = database.execute(f"SELECT {asked} FROM user_table").fetchone()
    typed = []
    for i, cell in enumerate(cells):
        present, whole, real = found[3 * i : 3 * i + 3]
        kind = "BIGINT" if present and whole else "DOUBLE" if present and real else None
        if kind:
            typed.append(f"CAST({cell} AS {kind}) AS u{i}")
    if typed:
        database.execute("ALTER VIEW user_table RENAME TO text_table")
        replaced = f"SELECT * REPLACE ({', '.join(typed)}) FROM text_table"
        database.execute(f"CREATE TEMP VIEW user_table AS {replaced}")


def _odd(database: Any, path: str, fields: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence about labels that occur more than once."""
    if "labels" not in fields:
        return ()
    with reading(path):
        surplus = database.execute(
            "SELECT count(label) - count(DISTINCT label) FROM user_table"
        ).fetchone()[0]
        if not surplus:
            return ()
        most = database.execute(
            "SELECT label FROM user_table GROUP BY label ORDER BY count(*) DESC, label LIMIT 1"
        ).fetchone()[0]
    return (
        f"{path}: expected a label of its own for each unit, found {surplus} used before, "
        f"as {most!r}",
    )
