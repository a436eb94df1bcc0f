"""Data frames of one row an event, added up by their own engines."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from jaxtyping import Int64

from hierjax.errors import DataError
from hierjax.frames import NAME, read, readable, require_columns, schema_of, wrapped_frame
from hierjax.validation import Source, is_missing, require_own_columns

__all__ = ["tally_events"]


def tally_events(frame: Any, success: str, unit: str) -> Any:
    """Successes and trials of every unit, of a frame with one row an event.

    Args:
        frame: Any frame that narwhals understands; a lazy one stays lazy.
        success: Column of what came of each event: 0 or 1, false or true.
        unit: Column of the unit that each event belongs to.

    Returns:
        A frame of the same kind, sorted by unit: the column of units, `successes` and `trials`.

    Raises:
        ConfigError: If it is the same column.
        DataError: If it is no data frame, lacks a column, or an event has no unit or is neither
            success nor failure. The message names the row.

    Examples:
        >>> import pandas
        >>> frame = pandas.DataFrame({"page": ["b", "a", "b"], "sold": [True, False, False]})
        >>> tally_events(frame, "sold", "page").to_dict("list")
        {'page': ['a', 'b'], 'successes': [0, 1], 'trials': [1, 2]}
    """
    import narwhals as nw

    require_own_columns({"success": success, "unit": unit})
    wrapped = wrapped_frame(frame)
    schema = schema_of(wrapped)
    require_columns(schema, (success, unit))
    if unit in ("successes", "trials"):
        raise DataError(
            f"{NAME}: expected units in a column not called successes or trials, found {unit!r}"
        )
    with readable():
        events = wrapped.select(success, unit)
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
    with readable():
        events = events.with_columns(outcome.cast(nw.Int64))
        tallied = events.group_by(unit).agg(successes=outcome.sum(), trials=outcome.count())
        tallied = tallied.sort(unit).with_columns(nw.col("successes", "trials").cast(nw.Int64))
    return tallied if isinstance(frame, nw.DataFrame | nw.LazyFrame) else tallied.to_native()


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
        if is_missing(unit):
            raise DataError(f"{source.cell(index, 'unit')}: expected a unit, found nothing")
    return np.array(outcomes, np.int64)
