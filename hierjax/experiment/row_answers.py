"""Each row of a table beside what is known of its pair, the rows in their order.

A join would lose the order, and sorting ten columns takes longer than all else. Instead the
answers are lists in a table of one row, and every row of the user's table looks up its own: the
answers for n trials start at a place of their own, those for y successes y places further on.
Pairs that are not both whole numbers are joined.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int64, Shaped

__all__ = ["Pairs", "by_row", "with_answers"]

Pairs = tuple[Shaped[np.ndarray, " pairs"], Shaped[np.ndarray, " pairs"]]
# Places in the lists of answers, and their longest list of trials: 64 MB at most.
_MOST_PLACES = 1 << 20


def with_answers(
    database: Any,
    pairs: Pairs,
    answers: Mapping[str, Float[np.ndarray, " pairs"]],
) -> str:
    """What stands after ``FROM``: `user_table`, in its order, with columns a0, a1, ... of answers.

    Args:
        database: A connection that holds `user_table`, with values and sizes in columns y and n.
        pairs: Values and sizes, each pair once.
        answers: A value of each pair for each new column, NaN for none.

    Returns:
        A table of SQL called t; its answers are null where there is none.
    """
    are_whole = all(column.dtype.kind == "i" for column in pairs)
    starts = _starts(pairs[1]) if are_whole else None
    columns = [f"a{i}" for i in range(len(answers))]
    if starts is None:
        return _joined(database, pairs, dict(zip(columns, answers.values(), strict=True)))
    places = starts[pairs[1]] + pairs[0]
    spread = {"place": np.arange(starts[-1] + len(starts))}
    for name, values in zip(columns, answers.values(), strict=True):
        spread[name] = np.full(len(spread["place"]), np.nan)
        spread[name][places] = values
    _copy(database, "answers", spread)
    _copy(database, "starts", {"n": np.arange(len(starts)), "start": starts + 1})
    lists = ", ".join(f"list({name} ORDER BY place) AS all_{name}" for name in columns)
    database.execute(
        f"CREATE OR REPLACE TEMP TABLE answer_lists AS SELECT {lists}, "
        "(SELECT list(start ORDER BY n) FROM starts) AS starts FROM answers"
    )
    # Sides must not be swapped: rows of the first keep their order, and pass by one at a time.
    database.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")
    found = ", ".join(f"all_{name}[place] AS {name}" for name in columns)
    return (
        f"(SELECT *, {found} FROM "
        "(SELECT *, starts[n + 1] + y AS place FROM user_table, answer_lists)) t"
    )


def by_row(database: Any, answers: Mapping[str, Float[np.ndarray, " rows"]]) -> str:
    """What stands after ``FROM``, as of `with_answers`, for answers of each row by itself.

    Args:
        database: A connection that holds `user_table`.
        answers: A value of each row, in the table's order, for each new column.

    Returns:
        A table of SQL called t.
    """
    columns = [f"a{i}" for i in range(len(answers))]
    values = dict(zip(columns, answers.values(), strict=True))
    rows = len(next(iter(answers.values())))
    _copy(database, "answers", {"row_place": np.arange(1, rows + 1), **values})
    found = ", ".join(f"a.{name}" for name in columns)
    return (
        f"(SELECT u.*, {found} FROM (SELECT *, row_number() OVER () AS place FROM user_table) u "
        "LEFT JOIN answers a ON u.place = a.row_place ORDER BY u.place) t"
    )


def _starts(trials: Int64[np.ndarray, " pairs"]) -> Int64[np.ndarray, " starts"] | None:
    """Where the answers for each number of trials start, or None if they would need too much."""
    occurring = np.unique(trials)
    if occurring[-1] >= _MOST_PLACES or np.sum(occurring + 1) > _MOST_PLACES:
        return None
    sizes = np.zeros(occurring[-1] + 1, np.int64)
    sizes[occurring] = occurring + 1
    # Trials that do not occur start behind the end, where there is no answer.
    return np.where(sizes, np.cumsum(sizes) - sizes, sizes.sum())


def _joined(
    database: Any,
    pairs: Pairs,
    answers: Mapping[str, Float[np.ndarray, " pairs"]],
) -> str:
    """A join, then a sort: for pairs too many or too far apart for lists, or no whole numbers."""
    _copy(database, "answers", {"y": pairs[0], "n": pairs[1], **answers})
    found = ", ".join(f"a.{name}" for name in answers)
    return (
        f"(SELECT u.*, {found} FROM (SELECT *, row_number() OVER () AS place FROM user_table) u "
        "LEFT JOIN answers a ON u.y = a.y AND u.n = a.n ORDER BY place) t"
    )


def _copy(database: Any, name: str, columns: Mapping[str, np.ndarray]) -> None:
    """Makes a table of arrays, which DuckDB finds by the name of the argument."""
    database.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM columns")
