"""Counts from any data frame that narwhals understands, and answers back into the same kind.

Narwhals and the frames' own libraries are imported when a frame is there to be read.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int64, Shaped

from hierjax.errors import DataError, did_you_mean
from hierjax.validation import Source

if TYPE_CHECKING:
    import narwhals as nw

__all__ = ["Frame", "attach", "free_names", "read", "tally_events"]

_NAME = "data frame"
_TAKEN = "_fit"


@dataclass(frozen=True)
class Frame:
    """The data frame that counts came from.

    Attributes:
        native: The frame as the user gave it, not a copy.
        successes: Its column of successes.
        trials: Its column of trials.
    """

    native: Any
    successes: str
    trials: str


def read(frame: Any, names: Mapping[str, str]) -> tuple[dict[str, Any], Source]:
    """Columns of a data frame, and how errors name its rows and columns.

    Args:
        frame: Any frame that narwhals understands; of a lazy one only these columns are computed.
        names: The column of each field of `hierjax.counts.Counts`.

    Returns:
        The values of each field, in the order of the frame, and the source.

    Raises:
        DataError: If it is no data frame, lacks a column, or fails when it is computed.

    Examples:
        >>> import pandas
        >>> frame = pandas.DataFrame({"tumors": [0, 4], "rats": [20, 14]})
        >>> columns, source = read(frame, {"successes": "tumors", "trials": "rats"})
        >>> columns["trials"].tolist(), source.cell(1, "successes")
        ([20, 14], "data frame, row 1, column 'tumors'")
    """
    wrapped = _wrapped(frame)
    _require_columns(_schema(wrapped), names.values())
    with _readable():
        found = _fetched(wrapped, list(dict.fromkeys(names.values())))
    columns = {field: found[name] for field, name in names.items()}
    labels = columns.get("labels")

    def row(index: int) -> str:
        label = "" if labels is None else f" (label {str(labels[index])!r})"
        return f"{_NAME}, row {index}{label}"

    return columns, Source(_NAME, row, {field: f"column {name!r}" for field, name in names.items()})


def attach(
    frame: Frame,
    successes: Int64[np.ndarray, " units"],
    trials: Int64[np.ndarray, " units"],
    answers: Mapping[str, Shaped[np.ndarray, " units"]],
) -> Any:
    """A data frame with answers about its units as further columns.

    A lazy frame of Polars and a relation of DuckDB stay lazy: answers, which depend on nothing but
    a unit's counts, are joined to them by the counts when they are computed. Other lazy frames are
    computed.

    Args:
        frame: The frame that the counts came from.
        successes: The counts as they were read.
        trials: Likewise.
        answers: The new columns; see `free_names` for one whose name is taken.

    Returns:
        A new frame of the same kind: the user's columns, then the answers.

    Raises:
        DataError: If the frame no longer holds the counts that were read from it.
    """
    import narwhals as nw

    wrapped = _wrapped(frame.native)
    given = isinstance(frame.native, nw.DataFrame | nw.LazyFrame)
    renamed = free_names(_schema(wrapped), answers)
    columns = {renamed[name]: values for name, values in answers.items()}
    kind = wrapped.implementation
    if isinstance(wrapped, nw.LazyFrame) and (kind.is_polars() or kind.is_duckdb()):
        join = _joined_by_polars if kind.is_polars() else _joined_by_duckdb
        pairs = np.stack([successes, trials])
        pairs, first = np.unique(pairs, axis=1, return_index=True)
        native = join(frame, wrapped.to_native(), pairs, {k: v[first] for k, v in columns.items()})
        return nw.from_native(native) if given else native
    with _readable():
        eager = wrapped.collect() if isinstance(wrapped, nw.LazyFrame) else wrapped
        found = _fetched(eager, [frame.successes, frame.trials])
    pairs_now = (found[frame.successes], successes), (found[frame.trials], trials)
    if not all(np.array_equal(np.asarray(now), then) for now, then in pairs_now):
        raise DataError(f"{_NAME}: expected the counts that were fitted, found others in it now")
    backend = eager.implementation
    added = [nw.new_series(name, values, backend=backend) for name, values in columns.items()]
    result = eager.with_columns(*added)
    return result if given else result.to_native()


def tally_events(frame: Any, success: str, unit: str) -> Any:
    """Successes and trials of every unit, of a frame with one row an event.

    Args:
        frame: Any frame that narwhals understands; a lazy one stays lazy.
        success: Column of what came of each event: 0 or 1, false or true.
        unit: Column of the unit that each event belongs to.

    Returns:
        A frame of the same kind, sorted by unit: the column of units, `successes` and `trials`.

    Raises:
        DataError: If it is no data frame, lacks a column, or an event has no unit or is neither
            success nor failure. The message names the row.

    Examples:
        >>> import pandas
        >>> frame = pandas.DataFrame({"page": ["b", "a", "b"], "sold": [True, False, False]})
        >>> tally_events(frame, "sold", "page").to_dict("list")
        {'page': ['a', 'b'], 'successes': [0, 1], 'trials': [1, 2]}
    """
    import narwhals as nw

    wrapped = _wrapped(frame)
    schema = _schema(wrapped)
    _require_columns(schema, (success, unit))
    if unit in ("successes", "trials"):
        raise DataError(
            f"{_NAME}: expected units in a column not called successes or trials, found {unit!r}"
        )
    with _readable():
        events = wrapped.select(*dict.fromkeys((success, unit)))
        if schema[success].is_numeric() or schema[success] == nw.Boolean:
            good = nw.col(success).cast(nw.Float64).is_in([0.0, 1.0]) & ~nw.col(unit).is_null()
            bad = events.filter(~good | nw.col(success).is_null()).head(1).lazy().collect()
            suspicious = len(bad) > 0
        else:
            suspicious = True
    if suspicious:
        columns, source = read(frame, {"success": success, "unit": unit})
        checked = _checked_events(columns, source)
        # Legal after all: a frame whose column of Python objects holds nothing but 0 and 1.
        eager = events.collect() if isinstance(events, nw.LazyFrame) else events
        series = nw.new_series(success, checked, backend=eager.implementation)
        events = eager.with_columns(series)
    outcome = nw.col(success)
    with _readable():
        events = events.with_columns(outcome.cast(nw.Int64))
        tallied = events.group_by(unit).agg(successes=outcome.sum(), trials=outcome.count())
        tallied = tallied.sort(unit).with_columns(nw.col("successes", "trials").cast(nw.Int64))
    return tallied if isinstance(frame, nw.DataFrame | nw.LazyFrame) else tallied.to_native()


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


def _wrapped(frame: Any) -> "nw.DataFrame[Any] | nw.LazyFrame[Any]":
    import narwhals as nw

    with _readable(), contextlib.suppress(TypeError):
        return nw.from_native(frame)
    raise DataError(
        f"{_NAME}: expected a frame of pandas, Polars, PyArrow, DuckDB or another library that "
        f"narwhals understands, found {type(frame).__name__}"
    )


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """Another library's failure as one line."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
        raise DataError(f"{_NAME}: expected one that can be read, found {text[:300]}") from None


def _schema(wrapped: Any) -> dict[str, Any]:
    with _readable():
        return dict(wrapped.collect_schema())


def _require_columns(schema: Mapping[str, Any], wanted: Any) -> None:
    columns = [str(name) for name in schema]
    for name in wanted:
        if name not in schema:
            shown = ", ".join(columns)
            shown = shown if len(shown) <= 200 else f"{shown[:196]} ..."
            near = did_you_mean(str(name), columns)
            raise DataError(f"{_NAME}: expected a column {name!r}, found {shown or 'none'}{near}")


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


def _checked_events(columns: Mapping[str, Any], source: Source) -> Int64[np.ndarray, " events"]:
    """Outcomes as 0 and 1, or an error that names the first event that is wrong."""
    outcomes, units = (list(columns[name]) for name in ("success", "unit"))
    for index, (outcome, unit) in enumerate(zip(outcomes, units, strict=True)):
        if not (isinstance(outcome, Real | np.bool_) and outcome in (0, 1)):
            shown = repr(outcome.item() if isinstance(outcome, np.generic) else outcome)
            raise DataError(
                f"{source.cell(index, 'success')}: expected 0 or 1, false or true, "
                f"found {'nothing' if outcome is np.ma.masked else shown[:60]}"
            )
        if unit is None or unit is np.ma.masked or unit != unit:
            raise DataError(f"{source.cell(index, 'unit')}: expected a unit, found nothing")
    return np.array(outcomes, np.int64)


def _joined_by_polars(
    frame: Frame,
    native: Any,
    pairs: Int64[np.ndarray, "2 pairs"],
    answers: Mapping[str, Float[np.ndarray, " pairs"]],
) -> Any:
    import polars as pl

    schema = native.collect_schema()
    keys = dict(zip(("hierjax_successes", "hierjax_trials"), pairs, strict=True))
    names = [frame.successes, frame.trials]
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
    pairs: Int64[np.ndarray, "2 pairs"],
    answers: Mapping[str, Float[np.ndarray, " pairs"]],
) -> Any:
    # DuckDB finds this dictionary by its name and holds on to it for as long as the relation.
    hierjax_answers = {"hierjax_y": pairs[0], "hierjax_n": pairs[1], **answers}  # noqa: F841
    added = ", ".join(f"a.{_quoted(name)}" for name in answers)
    return native.query(
        "hierjax_frame",
        f"SELECT t.* EXCLUDE (hierjax_row), {added} "
        "FROM (SELECT *, row_number() OVER () AS hierjax_row FROM hierjax_frame) t "
        "LEFT JOIN hierjax_answers a "
        f"ON CAST(t.{_quoted(frame.successes)} AS BIGINT) = a.hierjax_y "
        f"AND CAST(t.{_quoted(frame.trials)} AS BIGINT) = a.hierjax_n ORDER BY t.hierjax_row",
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
