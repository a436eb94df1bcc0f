"""Observations from any data frame that narwhals understands, and answers back into the same kind.

Narwhals and the frames' own libraries are imported when a frame is there to be read.
"""

import contextlib
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Shaped

from hierjax.errors import DataError, did_you_mean
from hierjax.validation import Source, is_missing, require_own_columns

if TYPE_CHECKING:
    import narwhals as nw

__all__ = [
    "NAME",
    "Frame",
    "attach",
    "free_names",
    "read",
    "readable",
    "require_columns",
    "schema_of",
    "wrapped_frame",
]

NAME = "data frame"
_TAKEN = "_fit"


@dataclass(frozen=True)
class Frame:
    """The data frame that observations came from.

    Attributes:
        native: The frame as the user gave it, not a copy.
        columns: Its columns of units' observed values and sizes.
    """

    native: Any
    columns: tuple[str, str]


def read(frame: Any, names: Mapping[str, str]) -> tuple[dict[str, Any], Source]:
    """Columns of a data frame, and how errors name its rows and columns.

    Args:
        frame: Any frame that narwhals understands; of a lazy one only these columns are computed.
        names: The column of each field of the container.

    Returns:
        The values of each field, in the order of the frame, and the source.

    Raises:
        ConfigError: If one column is to hold two fields.
        DataError: If it is no data frame, lacks a column, or fails when it is computed.

    Examples:
        >>> import pandas
        >>> frame = pandas.DataFrame({"tumors": [0, 4], "rats": [20, 14]})
        >>> columns, source = read(frame, {"successes": "tumors", "trials": "rats"})
        >>> columns["trials"].tolist(), source.cell(1, "successes")
        ([20, 14], "data frame, row 1, column 'tumors'")
    """
    require_own_columns(names)
    wrapped = wrapped_frame(frame)
    require_columns(schema_of(wrapped), names.values())
    with readable():
        found = _fetched(wrapped, list(names.values()))
    columns = {field: found[name] for field, name in names.items()}
    labels = columns.get("labels")

    def row(index: int) -> str:
        label = None if labels is None else labels[index]
        return f"{NAME}, row {index}" + ("" if is_missing(label) else f" (label {str(label)!r})")

    return columns, Source(NAME, row, {field: f"column {name!r}" for field, name in names.items()})


def attach(
    frame: Frame,
    values: Shaped[np.ndarray, " units"],
    sizes: Shaped[np.ndarray, " units"],
    answers: Mapping[str, Shaped[np.ndarray, " units"]],
) -> Any:
    """A data frame with answers about its units as further columns.

    A lazy frame of Polars and a relation of DuckDB stay lazy: answers, which depend on nothing but
    a unit's value and size, are joined to them by these when they are computed. Other lazy frames
    are computed.

    Args:
        frame: The frame that the observations came from.
        values: The observed values (successes, say) as they were read.
        sizes: The sizes (trials, say), likewise.
        answers: The new columns; see `free_names` for one whose name is taken.

    Returns:
        A new frame of the same kind: the user's columns, then the answers.

    Raises:
        DataError: If the frame no longer holds the observations that were read from it.
    """
    import narwhals as nw

    from hierjax.tally import distinct_pairs

    wrapped = wrapped_frame(frame.native)
    given = isinstance(frame.native, nw.DataFrame | nw.LazyFrame)
    renamed = free_names(schema_of(wrapped), answers)
    columns = {renamed[name]: answer for name, answer in answers.items()}
    kind = wrapped.implementation
    if isinstance(wrapped, nw.LazyFrame) and (kind.is_polars() or kind.is_duckdb()):
        join = _joined_by_polars if kind.is_polars() else _joined_by_duckdb
        pairs, which = distinct_pairs(values, sizes)
        unit = np.zeros(pairs.shape[1], np.int64)
        unit[which] = np.arange(len(which))
        of_pairs = {name: answer[unit] for name, answer in columns.items()}
        with readable():
            native = join(frame, wrapped.to_native(), pairs, of_pairs)
        return nw.from_native(native) if given else native
    with readable():
        eager = wrapped.collect() if isinstance(wrapped, nw.LazyFrame) else wrapped
        found = _fetched(eager, list(frame.columns))
    pairs_now = zip(frame.columns, (values, sizes), strict=True)
    if not all(np.array_equal(np.asarray(found[name]), then) for name, then in pairs_now):
        raise DataError(f"{NAME}: expected the counts that were fitted, found others in it now")
    backend = eager.implementation
    added = [nw.new_series(name, answer, backend=backend) for name, answer in columns.items()]
    result = eager.with_columns(*added)
    return result if given else result.to_native()


def free_names(
    taken: Sequence[str] | Mapping[str, Any], names: Mapping[str, Any]
) -> dict[str, str]:
    """What answers are called beside the columns of a user's table, which stay as they are.

    Args:
        taken: The names of the user's columns, compared without regard to capitals.
        names: The answers' own names.

    Returns:
        For each answer its own name, or that with ``_fit`` at its end where it is taken.

    Raises:
        DataError: If both are taken.

    Examples:
        >>> free_names(["page", "Mean"], {"mean": None, "sd": None})
        {'mean': 'mean_fit', 'sd': 'sd'}
    """
    folded = {str(name).casefold() for name in taken}
    free = {name: name + _TAKEN if name in folded else name for name in names}
    if clash := [name for name in free.values() if name in folded]:
        raise DataError(
            f"expected no columns called both {clash[0].removesuffix(_TAKEN)!r} and {clash[0]!r}, "
            "found both; rename one"
        )
    return free


def wrapped_frame(frame: Any) -> "nw.DataFrame[Any] | nw.LazyFrame[Any]":
    """A data frame as narwhals has it.

    Raises:
        DataError: If it is none.
    """
    import narwhals as nw

    with readable(), contextlib.suppress(TypeError):
        return nw.from_native(frame)
    raise DataError(
        f"{NAME}: expected a frame of pandas, Polars, PyArrow, DuckDB or another library that "
        f"narwhals understands, found {type(frame).__name__}"
    )


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """Turns another library's failure into one line, and keeps its warnings to itself.

    Raises:
        DataError: If the block raises anything.
    """
    try:
        with warnings.catch_warnings():
            # What one library thinks of how another calls it is no concern of the user's.
            warnings.simplefilter("ignore")
            yield
    except DataError:
        raise
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        text = f"{type(error).__name__}: {' '.join(lines)}" if lines else type(error).__name__
        raise DataError(f"{NAME}: expected one that can be read, found {text[:300]}") from None


def schema_of(wrapped: Any) -> dict[str, Any]:
    """The type of each column of a wrapped frame; of a lazy one without computing it.

    Raises:
        DataError: If a lazy frame's plan fails.
    """
    with readable():
        return dict(wrapped.collect_schema())


def require_columns(schema: Mapping[str, Any], wanted: Iterable[str]) -> None:
    """Refuses a frame that lacks a column.

    Raises:
        DataError: If it does; the nearest name is offered.
    """
    columns = [str(name) for name in schema]
    for name in wanted:
        if name not in schema:
            shown = ", ".join(columns)
            shown = shown if len(shown) <= 200 else f"{shown[:196]} ..."
            near = did_you_mean(str(name), columns)
            raise DataError(f"{NAME}: expected a column {name!r}, found {shown or 'none'}{near}")


def _fetched(wrapped: Any, names: list[str]) -> dict[str, Any]:
    """Values of columns: arrays of numbers, and lists of anything else."""
    import narwhals as nw

    if wrapped.implementation.is_duckdb():
        # Without PyArrow, through which narwhals would go.
        quoted = ", ".join(map(_quoted, names))
        return dict(
            zip(names, wrapped.to_native().project(quoted).fetchnumpy().values(), strict=True)
        )
    chosen = wrapped.select(*names)
    eager = chosen.collect() if isinstance(chosen, nw.LazyFrame) else chosen
    return {name: _values(eager[name]) for name in names}


def _values(series: Any) -> Any:
    import narwhals as nw

    dtype = series.dtype
    plain = (dtype.is_numeric() and not dtype.is_decimal()) or dtype == nw.Boolean
    if plain and not series.null_count():
        return series.to_numpy()
    listed = series.to_list()
    return [_number(value) if isinstance(value, Decimal) else value for value in listed]


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _joined_by_polars(
    frame: Frame,
    native: Any,
    pairs: Shaped[np.ndarray, "2 pairs"],
    answers: Mapping[str, Float[np.ndarray, " pairs"]],
) -> Any:
    import polars as pl

    schema = native.collect_schema()
    keys = dict(zip(("hierjax_value", "hierjax_size"), pairs, strict=True))
    names = list(frame.columns)
    typed = [
        pl.Series(key, values).cast(schema[name])
        for (key, values), name in zip(keys.items(), names, strict=True)
    ]
    table = pl.DataFrame([*typed, *(pl.Series(name, values) for name, values in answers.items())])
    return native.join(
        table.lazy(), left_on=names, right_on=list(keys), how="left", maintain_order="left"
    )


def _joined_by_duckdb(
    frame: Frame,
    native: Any,
    pairs: Shaped[np.ndarray, "2 pairs"],
    answers: Mapping[str, Float[np.ndarray, " pairs"]],
) -> Any:
    # DuckDB finds this dictionary by its name and holds on to it for as long as the relation.
    hierjax_answers = {"hierjax_y": pairs[0], "hierjax_n": pairs[1], **answers}  # noqa: F841
    added = ", ".join(f"a.{_quoted(name)}" for name in answers)
    kind = "BIGINT" if pairs.dtype.kind == "i" else "DOUBLE"
    value, size = (f"CAST(t.{_quoted(name)} AS {kind})" for name in frame.columns)
    return native.query(
        "hierjax_frame",
        f"SELECT t.* EXCLUDE (hierjax_row), {added} "
        "FROM (SELECT *, row_number() OVER () AS hierjax_row FROM hierjax_frame) t "
        "LEFT JOIN hierjax_answers a "
        f"ON {value} = a.hierjax_y AND {size} = a.hierjax_n ORDER BY t.hierjax_row",
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
