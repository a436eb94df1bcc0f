"""DuckDB as an engine for tables larger than memory: one connection, and errors in a line.

It is imported when a table needs it, never reaches for the network, and cleans up after itself.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hierjax.errors import DataError

__all__ = ["connect", "literal", "quoted", "reading", "within_glob"]

# What does not fit is spilled to a temporary directory.
_MEMORY = "1GiB"


@contextlib.contextmanager
def connect() -> Iterator[Any]:
    """A connection to a database in memory, which leaves nothing behind.

    Its memory is capped; what does not fit goes to a temporary directory that is removed. No
    extension is installed or loaded beyond those that DuckDB is built with.

    Yields:
        The connection.

    Examples:
        >>> with connect() as database:
        ...     database.execute("SELECT 4 / 14.0").fetchone()
        (0.2857142857142857,)
    """
    import duckdb

    with tempfile.TemporaryDirectory(prefix="hierjax-") as folder:
        database = duckdb.connect(
            ":memory:",
            config={
                "allow_community_extensions": "false",
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "extension_directory": str(Path(folder) / "extensions"),
                "memory_limit": _MEMORY,
                "temp_directory": str(Path(folder) / "spill"),
            },
        )
        try:
            database.execute("SET enable_progress_bar = false")
            yield database
        finally:
            database.close()


@contextlib.contextmanager
def reading(place: str, expected: str = "a table that can be read") -> Iterator[None]:
    """Turns an error of DuckDB into one line.

    Args:
        place: What is being read or written.
        expected: What should have been there.

    Raises:
        DataError: If the block raises an error of DuckDB.

    Examples:
        >>> try:
        ...     with connect() as database, reading("the cell", "a number"):
        ...         database.execute("SELECT CAST('x' AS BIGINT)")
        ... except DataError as error:
        ...     print(error)
        the cell: expected a number, found: Could not convert string 'x' to INT64
    """
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        kind, _, text = (lines[0] if lines else type(error).__name__).partition(" Error: ")
        raise DataError(f"{place}: expected {expected}, found: {(text or kind)[:300]}") from None


def quoted(name: str) -> str:
    """A name as an identifier of SQL.

    Examples:
        >>> print(quoted('the "best" rate'))
        "the ""best"" rate"
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Text as a literal of SQL.

    Examples:
        >>> print(literal("it's"))
        'it''s'
    """
    return "'" + text.replace("'", "''") + "'"


def within_glob(path: str) -> str:
    """A path as the pattern that matches nothing else, where DuckDB would take it for a pattern.

    Examples:
        >>> within_glob("a[1].csv")
        'a[[]1].csv'
    """
    return "".join(f"[{c}]" if c in "*?[" else c for c in path)
