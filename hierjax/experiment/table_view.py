"""Views of a user's table for the engine: the user's columns as they are, and the units' data.

Columns u0, u1, ... are the user's, y and n the units' values and sizes, null where a cell holds
none; `label` is the unit's, and `wrong` says whether a label or group is missing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from hierjax.containers import CONTAINERS
from hierjax.errors import DataError
from hierjax.events import by_unit
from hierjax.files import TableFile
from hierjax.table_columns import TableColumns

__all__ = ["give_types", "of_events", "of_units"]

_WHOLE = "CAST(TRY_CAST({0} AS BIGINT) AS VARCHAR) = {0}"
_REAL = "regexp_full_match({0}, '-?(0|[1-9][0-9]*)?([.][0-9]*)?([eE][+-]?[0-9]{{1,3}})?')"


def of_units(
    tables: Sequence[TableFile], columns: TableColumns, pairs_only: bool = False
) -> tuple[str, tuple[str, ...]]:
    """The view of a table of units.

    Args:
        tables: The files.
        columns: Which of their columns hold what.
        pairs_only: Whether to leave out the user's columns, which may then differ between files.

    Returns:
        The statement that makes `user_table`, and the names of the user's columns.

    Raises:
        DataError: If a column is missing, or the files' columns differ.
    """
    names = () if pairs_only else _same_names(tables)
    container, fields = CONTAINERS[columns.family], columns.fields
    selects = []
    for table in tables:
        texts = {key: table.text(fields[key]) for key in ("labels", "groups") if key in fields}
        missing = [f"{text} IS NULL" for text in texts.values()]
        chosen = [
            *(f"{table.column(name)} AS u{i}" for i, name in enumerate(names)),
            *(
                f"{table.cells(fields[field], container.rules[field])} AS {name}"
                for field, name in zip(container.columns, ("y", "n"), strict=True)
            ),
            f"{texts.get('labels', 'CAST(NULL AS VARCHAR)')} AS label",
            f"({' OR '.join(missing) or 'false'}) AS wrong",
        ]
        selects.append(f"SELECT {', '.join(chosen)} FROM {table.scan}")
    return f"CREATE TEMP VIEW user_table AS {' UNION ALL '.join(selects)}", names


def of_events(
    tables: Sequence[TableFile], fields: Mapping[str, str]
) -> tuple[str, tuple[str, ...]]:
    """The table of units that a table of events adds up to, as `of_units` gives a view.

    Raises:
        DataError: If a column is missing, or that of units is called as one of the counts.
    """
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


def give_types(database: Any, columns: int) -> None:
    """Gives the view numbers for those columns of a text table whose cells all are numbers.

    Args:
        database: A connection that holds the view.
        columns: How many columns the user has.
    """
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
